"""Words for people: the workflow backend and its runs. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
    "workflow-not-found": Entry(
        404,
        "No such workflow",
        "No installed app has a workflow called {workflow}.",
        "List the workflows to see their names, or install the app that brings it.",
    ),
    "run-not-found": Entry(404, "No such run", "You have no run {run}.", "List your runs to see their ids."),
    "run-ended": Entry(
        409,
        "The run has ended",
        "This cannot be done to a run that has ended; this one is {state}.",
        "Retry the run to have it done again.",
    ),
    "run-not-ended": Entry(
        409, "The run goes on", "This can only be done to a run that has ended.", "Wait for its end, or cancel it."
    ),
    "run-in-use": Entry(
        409,
        "Another run used its results",
        "Processes of {others} took results of this run; deleting it would take them along.",
        "Delete those first.",
    ),
    "run-without-process": Entry(
        409,
        "Nothing was computed",
        "This run has no provenance: it ended before anything began, or its process was deleted.",
        "Export a run that was begun.",
    ),
    "archive-refused": Entry(
        422,
        "The archive is not taken",
        "This file cannot be taken in: {reason}.",
        "Give an AiiDA archive (.aiida) of processes that have ended.",
    ),
    "sweep-not-found": Entry(404, "No such sweep", "You have no sweep {sweep}.", "List your sweeps to see their ids."),
    "run-file-not-found": Entry(
        404, "No such file", "The run has no file {path}.", "List the run's files to see their paths."
    ),
    "ssh-key-not-found": Entry(
        404, "No such key", "You have no SSH key {key}.", "List your keys to see their ids, or make a new one."
    ),
    "ssh-key-gone": Entry(
        422,
        "The SSH key is not there any more",
        "The key {key} was revoked, or never was one of yours.",
        "Make a new key, install its public half where the data is, and name the new id.",
    ),
    "too-many-keys": Entry(
        409, "Too many keys", "A user may have {most} SSH keys.", "Delete those that are not used any more."
    ),
    "workflow-lacks-packages": Entry(
        409,
        "The workflow backend lacks what this app needs",
        "The workflows of {app} need {wanted}, and the workflow backend could not be fitted to that.",
        "Open the app's page in the store and install it once more: the install says why. An app for everybody may "
        "contradict one of your own; then remove that one.",
    ),
    "worker-unavailable": Entry(
        503,
        "The workflow engine does not answer",
        "The process that carries out your runs could not be reached: {reason}.",
        "It is started again by itself and no run is lost; if this stays, see its log in {log}.",
    ),
    "waiting-pause": Entry(
        503,
        "The site is paused",
        "The administrator lets nothing new begin at the moment{reason}.",
        "It begins by itself afterwards; nothing is lost.",
    ),
    "waiting-user-limit": Entry(
        429,
        "Your limit is reached",
        "{most} of your calculations run, which is as many as one user may have here.",
        "It begins when one of them has ended.",
    ),
    "waiting-here": Entry(
        429,
        "This machine is busy",
        "{most} of your calculations run on this machine, which is as many as it takes of one user.",
        "It begins when one of them has ended.",
    ),
    "waiting-group-limit": Entry(
        429,
        "Your group's limit is reached",
        "The members of {group} have {most} calculations running, which is as many as they may have between them.",
        "It begins when one of them has ended.",
    ),
    "waiting-rate": Entry(
        429,
        "Not so many at once",
        "The cluster {cluster} takes {most} of your jobs a minute, and has had these.",
        "It is submitted within the next minute.",
    ),
    "waiting-queue": Entry(
        429,
        "In the cluster's queue",
        "The job waits in the queue of {cluster}: {sentence}",
        "It begins by itself; choose another cluster or ask for less if that takes too long.",
    ),
    "calculation-failed": Entry(
        500,
        "The calculation did not succeed",
        "The workflow ended without a result: {message}",
        "Read the run's log, change the inputs and submit again.",
    ),
    "job-refused": Entry(
        500,
        "The cluster refused the job",
        "The cluster {cluster} does not take the calculation's job: {sentence}",
        "Choose another cluster or ask for less; if it says account or partition, ask the administrator.",
    ),
    "job-out-of-memory": Entry(
        500,
        "The calculation needed more memory",
        "The cluster stopped the calculation because it used more memory than its limit ({memory}).",
        "Make the system smaller, or run it with more memory.",
    ),
    "job-time-limit": Entry(
        500,
        "The calculation ran out of time",
        "The cluster stopped the calculation at its time limit ({walltime}).",
        "Retry the run, make the system smaller, or run it with a longer time limit.",
    ),
    "job-node-failed": Entry(
        500,
        "A node of the cluster failed",
        "The calculation ended because {node} of {cluster} stopped working; it is not the calculation's fault.",
        "Retry the run; the cluster uses another node.",
    ),
    "job-preempted": Entry(
        500,
        "The calculation had to make room",
        "The cluster {cluster} stopped the calculation in favour of a job with precedence.",
        "Retry the run, or choose a cluster or partition without pre-emption.",
    ),
    "job-cancelled": Entry(
        500,
        "The job was cancelled on the cluster",
        "Somebody, or the cluster {cluster} itself, cancelled the calculation's job from outside of Simdeck.",
        "Retry the run; if that happens again, ask the cluster's administrator why.",
    ),
    "workflow-crashed": Entry(
        500,
        "The workflow met an error in its own code",
        "The workflow stopped with an error: {message}",
        "Read the run's log; if the inputs are fine, report it to the app's author.",
    ),
    "app-version-gone": Entry(
        409,
        "The app's version is no longer there",
        "Version {version} of {app} is not installed any more.",
        "Submit the run again to use the version that is installed now.",
    ),
}
