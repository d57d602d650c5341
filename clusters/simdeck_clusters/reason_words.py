"""The words for Slurm's reasons why a job waits (or ended): data only, read by ``reasons.explain``.

Names are those of Slurm's page "Job Reason Codes" and of its sources, versions 22.05 to 25.05. ``FIXED`` are single
reasons; limits of associations and QoS come in families of scope, kind and resource, whose words are put together.
"""

from __future__ import annotations

ASK = "Ask the administrator; only they can change this."
WAIT = "Nothing to do: it starts by itself."

# reason: (sentence, remedy)
FIXED: dict[str, tuple[str, str]] = {
    "None": ("The scheduler has not looked at the job yet.", "Wait a moment; this lasts seconds."),
    "Priority": (
        "Other jobs stand ahead of yours in the queue.",
        "Wait, or ask for less: a shorter or smaller job can often start in a gap before them.",
    ),
    "Resources": (
        "Your job is next, and waits until enough cores, memory or GPUs are free.",
        "Wait, or ask for less or for another partition.",
    ),
    "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions": (
        "The nodes your job could use are out of service, or kept for jobs of more important partitions.",
        "Wait, or choose another partition.",
    ),
    "Dependency": ("The job waits for another job to end first.", WAIT),
    "DependencyNeverSatisfied": (
        "The job waits for another job that can never end as it should.",
        "Cancel it and start again.",
    ),
    "BeginTime": (
        "The job may not start before a set time; after a node failure Slurm adds a pause of about two minutes.",
        WAIT,
    ),
    "Prolog": ("The node is being prepared for your job.", "Wait a moment; this lasts seconds."),
    "Cleaning": ("The job is to run again, and its earlier run is still being cleared away.", WAIT),
    "Licenses": ("The job waits for a software licence that is in use.", "Wait until somebody else's job ends."),
    "Reservation": (
        "The reservation you chose has not begun, or all of it is in use.",
        "Wait for its begin, or start without the reservation.",
    ),
    "ReservationDeleted": (
        "The reservation you chose does not exist any more.",
        "Cancel, and start without the reservation.",
    ),
    "ReservationInvalid": (
        "The reservation you chose cannot be used for this job.",
        "Cancel, and start without the reservation.",
    ),
    "ReqNodeNotAvail": (
        "The nodes it needs are out of service or kept free, often for a planned maintenance that begins before your "
        "job would end.",
        "Ask for a time that ends before the maintenance, choose another partition, or wait until it is over.",
    ),
    "Maintenance": (
        "A planned maintenance begins before your job would end.",
        "Ask for a shorter time, or wait until the maintenance is over.",
    ),
    "PartitionDown": ("The partition takes no jobs now.", "Choose another partition, or wait until it is opened."),
    "PartitionInactive": ("The partition is switched off.", "Choose another partition."),
    "PartitionNodeLimit": (
        "The job asks for more nodes than the partition gives, or its nodes are out of service.",
        "Choose another partition.",
    ),
    "PartitionTimeLimit": (
        "The job asks for more time than the partition gives.",
        "Cancel, and ask for less time or choose another partition.",
    ),
    "PartitionConfig": ("The job breaks a limit of the partition.", "Cancel, and ask for less or choose another one."),
    "MaxMemPerLimit": (
        "The job asks for more memory per core or node than the partition gives.",
        "Cancel, and ask for less memory, or for more cores with it.",
    ),
    "AccountNotAllowed": ("Your account may not use this partition.", "Choose another account or partition."),
    "QOSNotAllowed": ("This QoS may not be used with your account or in this partition.", "Choose another QoS."),
    "InvalidAccount": ("The account does not exist or is not yours.", "Cancel, and choose another account."),
    "InvalidQOS": ("The QoS does not exist or is not yours.", "Cancel, and choose another QoS."),
    "QOSUsageThreshold": ("Your use of the cluster is above what this QoS allows.", "Choose another QoS, or wait."),
    "QOSJobLimit": ("As many jobs as the QoS allows exist already.", "Wait for one to end, or choose another QoS."),
    "QOSResourceLimit": (
        "The QoS's share of the cluster is in use now.",
        "Wait, ask for less, or choose another QoS.",
    ),
    "QOSTimeLimit": ("The QoS's time is used up.", "Ask for less time, or choose another QoS."),
    "AssociationJobLimit": ("As many jobs as your account allows exist already.", "Wait for one of them to end."),
    "AssociationResourceLimit": ("Your account's share of the cluster is used up now.", "Wait, or ask for less."),
    "AssociationTimeLimit": ("Your account's time is used up.", "Ask for less time, or charge another account."),
    "AccountingPolicy": ("A limit of your account or QoS holds the job back.", "Wait, or ask for less."),
    "JobHeldUser": ("The job is held, by yourself or by a coordinator of your account.", "Release it, or cancel it."),
    "JobHeldAdmin": ("An administrator holds the job back.", ASK),
    "JobHoldMaxRequeue": (
        "The job was started again too often and is held now.",
        "Cancel it and start again; if this comes back, tell the administrator.",
    ),
    "JobArrayTaskLimit": ("As many tasks of the array run as it allows.", WAIT),
    "launch_failed_requeued_held": (
        "The job could not be started on its node and is held now.",
        "Cancel it and start again; if this comes back, tell the administrator.",
    ),
    "JobLaunchFailure": (
        "The job could not be started on its node: a file system, a program or the node itself is at fault.",
        "Start again; if this comes back, tell the administrator.",
    ),
    "BadConstraints": (
        "No node of the cluster can ever hold what the job asks for.",
        "Cancel, and ask for less or choose another partition.",
    ),
    "Constraints": ("What the job asks for cannot be had at this time.", "Wait, or ask for less."),
    "DeadLine": ("The job cannot end before its deadline.", "Cancel, and start again without one."),
    "InactiveLimit": ("The job did nothing for longer than the cluster allows.", "Start again."),
    "FedJobLock": ("The clusters of the federation agree on where the job runs.", WAIT),
    "FrontEndDown": ("No front-end node is available.", "Wait, or tell the administrator."),
    "SchedDefer": ("The scheduler starts jobs in turns and not at once.", WAIT),
    "PowerNotAvail": ("There is not enough electrical power for the job now.", WAIT),
    "PowerReserved": ("The electrical power it needs is kept for others.", WAIT),
    "BurstBufferOperation": ("An operation of the burst buffer failed.", ASK),
    "BurstBufferResources": ("The burst buffer is full.", "Wait until somebody else's job ends."),
    "BurstBufferStageIn": ("The burst buffer copies in what the job needs.", WAIT),
    "NodeDown": ("A node the job needs is out of service.", "Wait, or choose another partition."),
    "NonZeroExitCode": ("The job ended with an error.", "See the last lines of its log."),
    "RaisedSignal": ("The job was ended by a signal.", "See the last lines of its log."),
    "OutOfMemory": ("The job used more memory than it had asked for.", "Start again with more memory."),
    "TimeLimit": ("The job's time was used up.", "Start again with more time."),
    "SystemFailure": (
        "Slurm, a file system or the network failed.",
        "Start again; if this comes back, tell the administrator.",
    ),
    "Preempted": ("A more important job took the nodes.", "It starts again by itself where that is set up."),
    "HeterogeneousJob": ("Another part of the job is not ready.", WAIT),
    "user_env_retrieval_failed_requeued_held": (
        "Your log-in environment could not be read on the node, and the job is held.",
        "Check your shell's start-up files for something that waits, then start again.",
    ),
}

# resource in a name: (its words, the remedy's "less …")
RESOURCES: dict[str, tuple[str, str]] = {
    "BB": ("burst buffer space", "burst buffer space"),
    "Billing": ("billing units", "cores, memory or GPUs"),
    "Cpu": ("cores", "cores"),
    "CPU": ("cores", "cores"),
    "Energy": ("energy", "cores or time"),
    "GRES": ("GPUs (or other special devices)", "GPUs"),
    "License": ("software licences", "licences"),
    "Mem": ("memory", "memory"),
    "Memory": ("memory", "memory"),
    "Node": ("nodes", "nodes"),
    "Unknown": ("a resource", "of it"),
}

SCOPES: dict[str, str] = {"Assoc": "your account", "QOS": "the QoS"}

# family: (sentence, remedy); {scope}, {what}, {less}, {whose} are filled in
FAMILIES: dict[str, tuple[str, str]] = {
    "grp": (
        "All running jobs of {scope} together use as much {what} as is allowed.",
        "Wait until some of them end, or ask for less {less}.",
    ),
    "grp_minutes": (
        "{Scope} has used up its allowed time on {what}, past jobs included.",
        "Charge another account, or ask the administrator for more.",
    ),
    "grp_run_minutes": (
        "The running jobs of {scope} have claimed all the time on {what} that may be claimed at once.",
        "Wait until some of them end, or ask for less time.",
    ),
    "per_job": (
        "The job asks for more {what} than {scope} allows one job.",
        "Cancel, and ask for less {less}.",
    ),
    "per_node": (
        "The job asks for more {what} on one node than {scope} allows.",
        "Cancel, and ask for less {less}.",
    ),
    "per_user": (
        "Your jobs together use as much {what} as {scope} allows one person.",
        "Stop another of your jobs, wait for one to end, or ask for less {less}.",
    ),
    "per_account": (
        "The jobs of your account together use as much {what} as {scope} allows one account.",
        "Wait until some of them end, charge another account, or ask for less {less}.",
    ),
    "minutes_per_job": (
        "The job asks for more {what} times its time than {scope} allows one job.",
        "Cancel, and ask for less time or less {less}.",
    ),
    "min": (
        "The job asks for less {what} than {scope} requires of a job.",
        "Cancel, and ask for more {less}, or choose another QoS.",
    ),
    "grp_jobs": (
        "As many jobs of {scope} run as are allowed at once.",
        "Wait until one of them ends.",
    ),
    "grp_submit": (
        "As many jobs of {scope} wait and run as are allowed.",
        "Wait until one of them ends, or cancel one of yours.",
    ),
    "grp_wall": (
        "{Scope} has used up the time its jobs may take together.",
        "Ask for less time, charge another account, or ask the administrator for more.",
    ),
    "user_jobs": (
        "As many of your jobs run as {scope} allows one person.",
        "Stop another of your jobs, or wait for one to end.",
    ),
    "user_submit": (
        "As many of your jobs wait and run as {scope} allows one person.",
        "Cancel another of your jobs, or wait for one to end.",
    ),
    "account_jobs": (
        "As many jobs of your account run as {scope} allows one account.",
        "Wait until one of them ends, or charge another account.",
    ),
    "account_submit": (
        "As many jobs of your account wait and run as {scope} allows one account.",
        "Wait until one of them ends, or charge another account.",
    ),
    "wall_per_job": (
        "The job asks for more time than {scope} allows one job.",
        "Cancel, and ask for less time, or choose another QoS.",
    ),
}

UNKNOWN = (
    "The scheduler gives the reason “{reason}”.",
    "Wait; if it lasts, ask the administrator what this means here.",
)
