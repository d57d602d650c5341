"""Every refusal's words for people, in one place: what was wrong, and what to do.

Codes are stable: clients and tests match on them. Templates are filled with the parameters given to ``Problem``.
Grouped by room; keep each group in the order of the path a person takes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """HTTP status, short title, one sentence of what was wrong, one of what to do."""

    status: int
    title: str
    detail: str
    remedy: str


CATALOGUE: dict[str, Entry] = {
    # --- anywhere -----------------------------------------------------------------------------------------------
    "unexpected": Entry(
        500,
        "Something went wrong here",
        "The service met an error it did not expect.",
        "Try again; if it comes back, send the administrator the time and this page's address.",
    ),
    "not-found": Entry(
        404, "Not found", "There is nothing at this address.", "Check the address, or start from the deck."
    ),
    "bad-request": Entry(
        400, "The request cannot be read", "The request is malformed.", "Compare it with the OpenAPI document."
    ),
    "method-not-allowed": Entry(
        405,
        "Not possible here",
        "This address does not take requests of this kind.",
        "Compare the request with the OpenAPI document.",
    ),
    "invalid-input": Entry(
        422, "An input is not valid", "The value of {field} is not valid.", "Change the value and submit again."
    ),
    # --- deck ---------------------------------------------------------------------------------------------------
    "not-signed-in": Entry(
        401, "Not signed in", "This request carries no valid token or session.", "Sign in, or send a hub token."
    ),
    "missing-scope": Entry(
        403,
        "The token may not do this",
        "The token lacks the scope {scope}.",
        "Make a token that has this scope on the hub's token page.",
    ),
    "xsrf": Entry(
        403, "The page is out of date", "The request's XSRF token does not match.", "Reload the page and try again."
    ),
    "agent-unavailable": Entry(
        503,
        "Your agent does not answer",
        "The process that looks after your runs could not be started: {reason}.",
        "It is started again at the next request; if this stays, see its log in {log}.",
    ),
    "agent-account-missing": Entry(
        403,
        "You have no account here",
        "There is no Unix account {account} on this machine, so nothing can run for you.",
        "Ask the administrator for the account.",
    ),
    "agent-account-system": Entry(
        403,
        "Nothing runs as this account",
        "The account {account} belongs to the system, and nobody's runs are carried out as it.",
        "Sign in as a person, or ask the administrator.",
    ),
    "login-failed": Entry(
        403,
        "The sign-in did not succeed",
        "The sign-in could not be finished: {reason}.",
        "Open the deck again to start a new sign-in.",
    ),
    "not-a-user": Entry(
        403,
        "Not a user's token",
        "This token belongs to a service, and only users have runs and apps.",
        "Use a token of a user.",
    ),
    "hub-away": Entry(
        503,
        "The hub does not answer",
        "JupyterHub does not answer at the moment; it may be starting.",
        "Try again in a moment. If it stays so, look into {log}.",
    ),
    "hub-unavailable": Entry(
        503, "The hub does not answer", "JupyterHub could not be asked who is calling.", "Wait a moment and try again."
    ),
    "too-large": Entry(
        413,
        "The request is too large",
        "The request is larger than {limit}.",
        "Send less, or put large files where the run can read them.",
    ),
    "server-start-failed": Entry(
        502,
        "The server did not start",
        "The hub could not start your Jupyter server: {reason}.",
        "Try again, or read the hub's log.",
    ),
    "server-not-found": Entry(
        404, "No such server", "You have no server {server}.", "List your servers to see their names."
    ),
    "server-name": Entry(
        422,
        "The name does not fit",
        "A server cannot be called {server}.",
        "Use at most 30 lowercase letters, digits and hyphens, none of the latter at the ends.",
    ),
    "server-active": Entry(
        409,
        "This server is there already",
        "{server} runs or waits already, and keeps what it was started with.",
        "Stop it first, or give another name.",
    ),
    "server-stop-failed": Entry(
        502,
        "The server did not stop",
        "The hub could not stop your Jupyter server: {reason}.",
        "Try again, or read the hub's log.",
    ),
    # --- servers as jobs ----------------------------------------------------------------------------------------
    "server-submit-failed": Entry(
        500,
        "The job could not be handed in",
        "Preparing the server's job met an error ({reason}).",
        "Try again; if it comes back, ask the administrator to look into the hub's log.",
    ),
    "server-start-cancelled": Entry(
        409, "The start was cancelled", "The server's start was cancelled.", "Start it again when you need it."
    ),
    "server-too-many": Entry(
        403,
        "Too many servers",
        "You may have {limit} servers at once on this cluster.",
        "Stop one of your servers, or choose another cluster.",
    ),
    "server-certificate": Entry(
        500,
        "No certificate fits",
        "With inner TLS a server's certificate must name its node, and partition {partition} has {count} names.",
        "Wait until the cluster's nodes are known, choose a smaller partition, or ask the administrator.",
    ),
    "server-queue-timeout": Entry(
        504,
        "The job waited too long",
        "The job did not start within {minutes} minutes, the limit of this site, and was ended.",
        "Ask for less, or at another time; the estimate before the start says when there will be room.",
    ),
    "server-boot-timeout": Entry(
        504,
        "The server did not report",
        "The job ran on {nodes} for {minutes} minutes without reaching the hub, and was ended.",
        "See the log below: it says what the server met. The administrator can run `simdeck doctor` to check the way from nodes to the hub.",
    ),
    "server-handshake-timeout": Entry(
        504,
        "The server does not answer",
        "The server on {nodes} reported to the hub, but the hub could not reach it within {minutes} minutes, and the job was ended.",
        "Ask the administrator to check that the hub and the proxy reach the nodes' ports.",
    ),
    "server-not-expected": Entry(
        409,
        "Not expected now",
        "This server is not expected to say where it listens.",
        "Nothing is to be done; a server tries again by itself.",
    ),
    "server-gone": Entry(
        502,
        "The job ended",
        "The job is over, and neither Slurm nor the job itself left word why.",
        "Start it again; if it ends again, send the bundle to the administrator.",
    ),
    # --- agent --------------------------------------------------------------------------------------------------
    "task-not-found": Entry(404, "No such task", "There is no task {task}.", "List the tasks to see their ids."),
    "task-interrupted": Entry(
        500,
        "The task was interrupted",
        "The {kind} of {app} was cut off when the agent's process ended; nothing half-made was left.",
        "Start it again.",
    ),
    "task-ended": Entry(409, "The task has ended", "The task {task} has already ended.", "Nothing is left to cancel."),
    "version-in-use": Entry(
        409,
        "The version is in use",
        "Runs of {app} {version} have not ended yet.",
        "Wait until they have ended, or cancel them.",
    ),
    "idempotency-conflict": Entry(
        409,
        "This key was used for another request",
        "The Idempotency-Key was used before with a different body.",
        "Use a new key for a new request.",
    ),
    # --- app store ----------------------------------------------------------------------------------------------
    "registry-unreachable": Entry(
        503,
        "The app registry cannot be read",
        "The registry {location} cannot be read: {reason}.",
        "Installed apps still work. Try again later, or ask the administrator to check the registry.",
    ),
    "app-not-found": Entry(
        404, "No such app", "No registry offers an app called {app}.", "Look for the app in the store."
    ),
    "version-not-found": Entry(
        404,
        "No such version",
        "The app {app} has no version {version}.",
        "Choose one of the versions listed on the app's page.",
    ),
    "app-not-installed": Entry(404, "Not installed", "The app {app} is not installed.", "Install it from the store."),
    "app-busy": Entry(
        409,
        "The app is being changed",
        "Another install, update or removal of {app} is going on.",
        "Wait until it has ended, or cancel it, and try again.",
    ),
    "no-previous-version": Entry(
        409,
        "Nothing to go back to",
        "The app {app} has no earlier version to go back to.",
        "Install the version you want from the store.",
    ),
    "app-needs-python": Entry(
        422,
        "The app needs another Python",
        "{app} {version} needs Python {needed}; this deck's apps run on Python {found}.",
        "Choose another version of the app, or ask the administrator for that Python.",
    ),
    "app-needs-simdeck": Entry(
        422,
        "The app needs a newer Simdeck",
        "{app} {version} needs Simdeck {needed} or newer; the registry offers {found}.",
        "Choose an older version of the app, or ask the administrator to update Simdeck.",
    ),
    "page-fails": Entry(
        422,
        "The page does not run",
        "The page does not run: {reason}.",
        "Open it with `simdeck app dev`, or run the notebook in the app's environment, and mend the cell.",
    ),
    "file-changed": Entry(
        502,
        "A file is not what the registry promised",
        "{name} does not match the registry's SHA-256 checksum.",
        "Nothing was installed. Try again; if it comes back, tell the registry's maintainer.",
    ),
    "install-hash": Entry(
        502,
        "A package is not what the app's lock promised",
        "{name} does not match the checksum in the app's requirements.lock.",
        "Nothing was installed. Tell the app's author: the lock or the package was changed.",
    ),
    "install-offline": Entry(
        503,
        "The packages cannot be fetched",
        "The package index did not answer while {app} was being installed.",
        "Nothing was changed. Check the network connection and try again.",
    ),
    "install-unresolved": Entry(
        422,
        "The app's packages do not fit",
        "The packages that {app} {version} locks cannot be installed here.",
        "Nothing was changed. The log says which package is concerned; choose another version, or tell the app's author.",
    ),
    "install-disk-full": Entry(
        507,
        "The disk is full",
        "There was no space left while {app} was being installed.",
        "Nothing was changed. Free some space (for example by removing old versions of apps) and try again.",
    ),
    "install-failed": Entry(
        500,
        "The app could not be installed",
        "Installing {app} {version} failed in the step “{step}”.",
        "Nothing was changed. The log's last lines say why; try again, or show them to the app's author.",
    ),
    "app-broken": Entry(
        422,
        "The app does not work",
        "{app} {version} was built, but {reason}.",
        "Nothing was changed. Choose another version, or show the log to the app's author.",
    ),
    "app-does-not-start": Entry(
        422,
        "The app does not start here",
        "{app} {version} does not start on this machine: {reason}.",
        "Nothing was changed. Show this to whoever looks after the machine: a system library or a processor feature may be missing.",
    ),
    "install-cancelled": Entry(
        499,
        "Cancelled",
        "The installation of {app} was cancelled.",
        "Nothing was changed. Install it again whenever you like.",
    ),
    "manifest-invalid": Entry(
        422,
        "The app's description is not valid",
        "{file}, line {line}: {reason}.",
        "Correct it as docs/apps.md says: {hint}.",
    ),
    "source-unsupported": Entry(
        422,
        "This kind of source is not supported yet",
        "{url} cannot be read: {reason}.",
        "Use a file: folder, a wheel or archive at a file: or https: address, or git+https: and git+file:.",
    ),
    "source-invalid": Entry(
        422,
        "The source of a release cannot be used",
        "{url} cannot be used: {reason}.",
        "Correct the release in apps.yaml or the project it names.",
    ),
    "app-name": Entry(
        422,
        "Not a name for an app",
        "{name!r} cannot be an app's name.",
        "Use lower-case letters, digits and single dashes, beginning with a letter; at most 40 characters.",
    ),
    "app-kind": Entry(
        422,
        "There is no such template",
        "There is no template called {kind}.",
        "Choose one of: {known}.",
    ),
    "folder-taken": Entry(
        409,
        "The folder is not empty",
        "{folder} exists and is not an empty folder.",
        "Nothing was written. Name a folder that does not exist yet.",
    ),
    "lock-failed": Entry(
        422,
        "The packages could not be locked",
        "The lock was not made: {reason}.",
        "Loosen the requirement named, or make the network reachable; an earlier lock is unchanged.",
    ),
    "aiidalab-unresolved": Entry(
        422,
        "The app's packages do not fit together",
        "What the AiiDAlab app {app} asks for cannot be locked: {reason}.",
        "Its author must loosen a requirement; for a registry of your own, `environment` in apps.yaml replaces them.",
    ),
    "post-install-failed": Entry(
        422,
        "The app's own script failed",
        "The post_install script of {app} {version} failed: {reason}.",
        "The app was taken away again. Show the log to the app's author, or ask the administrator to leave the script out.",
    ),
    "registry-untrusted": Entry(
        502,
        "The registry cannot be trusted",
        "What {location} serves is refused: {reason}.",
        "Nothing was installed. Tell your administrator: the site pins this registry's key in its site file.",
    ),
    "registry-expired": Entry(
        502,
        "The registry's signatures have run out",
        "What {location} serves was signed too long ago, so newer releases may be held back.",
        "Its maintainer must build it again; until then installed apps go on working.",
    ),
    "keys-exist": Entry(
        409,
        "There are keys already",
        "{folder} holds the keys of a registry already.",
        "Nothing was changed. Name an empty folder, or renew root.json with `renew`.",
    ),
    "keys-unusable": Entry(
        500,
        "A signing key cannot be used",
        "The key {path} cannot be used: {reason}.",
        "Name the folder that `python -m simdeck_appstore.signing init` made.",
    ),
    "registry-invalid": Entry(
        422, "The registry's source is not valid", "{file}: {reason}.", "Correct the file as docs/apps.md says."
    ),
    # --- hub and the simdeck command ----------------------------------------------------------------------------
    "environment-missing": Entry(
        500, "Not set up yet", "{what} is missing.", "Run `make up` in the checkout: it makes what is missing."
    ),
    "data-folder": Entry(
        500,
        "The data folder cannot be used",
        "The data folder {folder} cannot be used: {reason}.",
        "Choose a folder of your own on a disk with space: SIMDECK_DATA=/path make up.",
    ),
    "already-running": Entry(
        409,
        "Already running",
        "Simdeck is already running at {address} (pid {pid}), started {started}.",
        "Open that address, or stop it there with Ctrl-C (or `kill {pid}`) first.",
    ),
    "port-taken": Entry(
        409,
        "The port is taken",
        "Port {port} on {host} is taken by {holder}.",
        "Choose another one: PORT={other} make up.",
    ),
    "refuses-root": Entry(
        403,
        "Not as root",
        "Simdeck does not run as root unless it is told to.",
        "Start it as an ordinary user, or add --allow-root.",
    ),
    "start-failed": Entry(
        500, "Simdeck did not start", "{what} did not come up: {reason}.", "Read the last lines of {log}."
    ),
    "site-file": Entry(422, "The site file is not valid", "{what}.", "{hint}."),
    "auth-secret-file": Entry(500, "A secret's file cannot be used", "{what}.", "{hint}."),
    "auth-provider": Entry(502, "The sign-in provider cannot be used", "{what}.", "{hint}."),
    # What a person reads on the sign-in page.
    "sign-in-interrupted": Entry(
        400, "The sign-in was not finished", "The sign-in was not finished: {reason}.", "Sign in again from this page."
    ),
    "sign-in-unavailable": Entry(
        502,
        "The sign-in provider does not answer",
        "The sign-in provider did not answer as it should.",
        "Try again in a few minutes; if it stays so, tell {contact}.",
    ),
    "claim-missing": Entry(
        403,
        "The sign-in provider does not say who you are",
        "The sign-in provider sends no {claim} for you, and accounts here are found by it.",
        "Tell {contact} that the claim {claim} is missing.",
    ),
    "organisation-not-allowed": Entry(
        403,
        "Your home organisation may not sign in",
        "People of the organisation you chose at the sign-in provider may not sign in here.",
        "Sign in with another organisation, or ask {contact}.",
    ),
    "email-unverified": Entry(
        403,
        "The e-mail address is not verified",
        "The sign-in provider has not verified the e-mail address {email}, and accounts here are found by it.",
        "Verify the address at the provider and sign in again, or ask {contact}.",
    ),
    "account-missing": Entry(
        403,
        "No account here",
        "There is no account for {identity} on this cluster.",
        "Ask {contact} for one and give them this name.",
    ),
    "account-system": Entry(
        403,
        "Nobody signs in as this account",
        "The account {account} belongs to the system, and nobody works as it here.",
        "Sign in as a person, or ask {contact}.",
    ),
    "account-denied": Entry(
        403,
        "This account may not sign in",
        "The account {account} may not sign in here.",
        "Ask {contact} whether that is meant.",
    ),
    "account-outside": Entry(
        403,
        "This account is not a user of this service",
        "The account {account} is not in the Unix group {group}, whose members may use this service.",
        "Ask {contact} to add it.",
    ),
    "group-not-allowed": Entry(
        403,
        "Your groups may not sign in",
        "The account {account} is not a member of {groups}, and only members may sign in here.",
        "Ask {contact} about the membership, then sign in again.",
    ),
    "trial": Entry(500, "The trial site cannot be made", "{what}.", "{hint}."),
    "not-running": Entry(
        503,
        "Simdeck is not running",
        "No running Simdeck was found ({looked}).",
        "Start it with `make up`, or name one with SIMDECK_API and SIMDECK_TOKEN.",
    ),
    "unknown-user": Entry(404, "No such user", "There is no hub user {user} here.", "Known users: {known}."),
    "unknown-scope": Entry(422, "No such scope", "There is no scope {scope}.", "Choose from: {known}."),
    "hub-refused": Entry(
        502, "The hub refused", "The hub answered {status}: {reason}.", "Read the hub's log in {log}."
    ),
    "input-unreadable": Entry(422, "An input cannot be read", "{reason}.", "{hint}."),
    "run-unsuccessful": Entry(
        422, "The run did not finish", "The run {run} ended as {state}.", "See `simdeck show {run}`."
    ),
    # --- workflow backend ---------------------------------------------------------------------------------------
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
    "run-file-not-found": Entry(
        404, "No such file", "The run has no file {path}.", "List the run's files to see their paths."
    ),
    "worker-unavailable": Entry(
        503,
        "The workflow engine does not answer",
        "The process that carries out your runs could not be reached: {reason}.",
        "It is started again by itself and no run is lost; if this stays, see its log in {log}.",
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
    # --- clusters -----------------------------------------------------------------------------------------------
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
