"""Words for people: clusters and their schedulers. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
    "resources-unknown-field": Entry(
        422, "No such option", "There is no option called {name}.", "Known options: {known}."
    ),
    "resources-invalid": Entry(422, "An option is not valid", "This cannot be read: {reason}.", "Change the value."),
    "resources-choice": Entry(
        422, "Not a possible choice", "This value of {name} cannot be chosen here.", "You may choose: {allowed}."
    ),
    "resources-range": Entry(
        422,
        "Too much or too little",
        "{value} is outside what you may ask for here.",
        "Ask for at least {least} and at most {most}.",
    ),
    "resources-no-node": Entry(
        422,
        "No node is large enough",
        "No single node of the partition {partition} has all of this together.",
        "Ask for less; the largest node has {size}.",
    ),
    "resources-not-allowed": Entry(
        403,
        "Not open to you",
        "None of your groups may start servers on {cluster}.",
        "Ask the administrator to be added to a group that may.",
    ),
    "resources-no-cluster": Entry(
        422, "No cluster", "This site has no cluster to choose.", "Start the server without options."
    ),
    "cluster-unavailable": Entry(
        503,
        "The scheduler does not answer",
        "The cluster {cluster} could not be asked: {reason}.",
        "Nothing of yours is lost; it is asked again by itself.",
    ),
    "cluster-submit-unknown": Entry(
        503,
        "It is not known whether the job was taken",
        "The cluster {cluster} did not answer in time to a submission: {reason}.",
        "The job is looked for by its name before anything else is submitted.",
    ),
    "cluster-refused": Entry(
        422, "The scheduler refused", "The cluster {cluster} said: {reason}.", "Change the request; {hint}."
    ),
    "cluster-job-not-found": Entry(
        404, "No such job", "The cluster {cluster} has no job {job}.", "It may have ended long ago."
    ),
    "server-out-of-memory": Entry(
        500,
        "The server ran out of memory",
        "It needed more memory than it had asked for ({limit}), and was ended.",
        "Start it again with more memory.",
    ),
    "server-time-limit": Entry(
        500,
        "The server's time was up",
        "It had asked for {time}, and that is over.",
        "Continue in a new job, with more time if you need it; runs go on without it.",
    ),
    "server-node-failure": Entry(
        500, "The node failed", "Something is wrong with {node}, where the server ran.", "Start the server again."
    ),
    "server-preempted": Entry(
        500,
        "A more important job took the place",
        "The cluster {cluster} ended the server to make room for a job of higher priority.",
        "Start it again, or choose a partition or QoS that cannot be pre-empted.",
    ),
    "server-cancelled": Entry(
        200, "The server was stopped", "Its job was cancelled.", "Start it again when you need it."
    ),
    "server-cancelled-by-admin": Entry(
        500,
        "An administrator cancelled the job",
        "Somebody who is not you ended the server's job on the cluster {cluster}.",
        "Ask the administrator of the cluster why; then start it again.",
    ),
    "server-limit-refused": Entry(
        422, "A limit of the cluster refused the job", "It was never started: {reason}.", "{remedy}"
    ),
    "server-launch-failed": Entry(
        500,
        "The job could not be started on its node",
        "Slurm could not start it on {node}: a file system, a log-in environment or the node itself is at fault.",
        "Start it again; if this comes back, tell the administrator.",
    ),
    "server-environment-missing": Entry(
        500,
        "The environment is not there",
        "The node cannot read {environment}.",
        "Choose another environment, and tell the administrator.",
    ),
    "server-module-missing": Entry(
        500,
        "A module is missing",
        "The node cannot load {module}.",
        "Choose another environment, and tell the administrator.",
    ),
    "server-setup-failed": Entry(
        500,
        "Preparing the environment failed",
        "The environment's own set-up ended with status {status}.",
        "Choose another environment, and tell the administrator.",
    ),
    "server-command-not-found": Entry(
        500,
        "The server's program is not there",
        "The node cannot find {command}.",
        "Choose another environment, and tell the administrator.",
    ),
    "server-hub-unreachable": Entry(
        500,
        "The node cannot reach the hub",
        "The server started on {node}, but could not connect to the hub.",
        "Start it again; if this comes back, tell the administrator to run `simdeck doctor`.",
    ),
    "server-died-before-ready": Entry(
        500,
        "The server ended while it was starting",
        "It ended with {status} before it was ready.",
        "Read the last lines of its log below, then start it again.",
    ),
    "server-requeued": Entry(
        503,
        "The job starts again",
        "The cluster {cluster} put the job back into its queue.",
        "Wait: it starts by itself.",
    ),
    "server-crashed": Entry(
        500,
        "The server ended by itself",
        "It ended with {status} while it was in use.",
        "Read the last lines of its log below, then start it again.",
    ),
    "server-ended": Entry(200, "The server has ended", "It ended as it should.", "Start it again when you need it."),
    "server-end-unknown": Entry(
        500,
        "The server is gone, and nothing says why",
        "Neither the cluster {cluster} nor the job itself remembers how it ended.",
        "Start it again; if this comes back, tell the administrator.",
    ),
    "cluster-launcher-failed": Entry(
        502,
        "Acting as the user did not work",
        "The launcher could not do {verb} for {user}: {reason}.",
        "Run `simdeck doctor`; it checks the sudo rule and the launcher.",
    ),
}
