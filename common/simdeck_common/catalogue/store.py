"""Words for people: registries, manifests, installs. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
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
    "version-not-offered": Entry(
        403,
        "This version is not offered here",
        "This site does not offer version {version} of {app}: it is retired, or another one is pinned.",
        "Choose a version of the app's page. One that is installed already goes on working.",
    ),
    "app-not-installed": Entry(404, "Not installed", "The app {app} is not installed.", "Install it from the store."),
    "app-busy": Entry(
        409,
        "The app is being changed",
        "Another install, update or removal of {app} is going on.",
        "Wait until it has ended, or cancel it, and try again.",
    ),
    "app-pinned": Entry(
        409,
        "The app is pinned",
        "{app} is pinned to version {version}, and stays at it.",
        "Unpin it first, or install the other version beside it.",
    ),
    "pin-not-current": Entry(
        422,
        "This is not the version in use",
        "{app} can be pinned to the version in use, which is {current} and not {version}.",
        "Switch to the version first, then pin it.",
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
    "app-needs-admin": Entry(
        403,
        "Only administrators install this app",
        "{app} brings workflows, and at this site those are installed by administrators, for everybody.",
        "Ask your administrator to install it: simdeck admin apps install {id}.",
    ),
    "app-site-wide": Entry(
        409,
        "Installed for everybody",
        "This version of {app} is installed for everybody here and cannot be removed for one person.",
        "Install another version beside it if you need one; your administrator can remove this one.",
    ),
    "site-apps-folder": Entry(
        500,
        "The folder of everybody's apps cannot be used",
        "The folder {folder} {reason}.",
        "{hint}.",
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
    "smoke-fails": Entry(
        422,
        "The smoke workflow does not run through",
        "The smoke workflow {workflow} did not run through: {reason}.",
        "Start it in `simdeck app dev` and look at the run's log; the manifest's smoke says with which inputs.",
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
    "backend-contradiction": Entry(
        409,
        "The app's workflows do not fit the others",
        "The workflows of {app} need {mine}, but {other} needs {theirs}. {reason}.",
        "Nothing was changed, and {app} is not installed. Choose another version of either app, remove the one you need "
        "less, or tell the app's author.",
    ),
    "backend-unresolved": Entry(
        422,
        "What the app's workflows need is not to be had",
        "The workflows of {app} need {wanted}, which cannot be installed here. {reason}.",
        "Nothing was changed, and {app} is not installed. Choose another version, or tell the app's author.",
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
    "software-unreadable": Entry(
        422,
        "The description cannot be read",
        "{file} is no description of a program: {reason}.",
        "Give the JSON file of a PyCOMPSs @software description.",
    ),
    "software-unsupported": Entry(
        422,
        "The description says something that has no counterpart here",
        "{file} has {what}, which cannot be taken over: {why}.",
        "Take it out of the file, or write the command by hand; docs/apps.md, “A program without glue”, lists every key.",
    ),
    "command-taken": Entry(
        409,
        "There is such a command already",
        "The manifest has a command called {name} already.",
        "Nothing was written. Choose another name with --name.",
    ),
    "folder-taken": Entry(
        409,
        "The folder is not empty",
        "{folder} exists and is not an empty folder.",
        "Nothing was written. Name a folder that does not exist yet.",
    ),
    "dev-environment": Entry(
        422,
        "The app's environment could not be made",
        "The packages of requirements.lock could not be installed: {reason}.",
        "Run `simdeck app lock` again, or make the network reachable; nothing else was changed.",
    ),
    "dev-workflows": Entry(
        422,
        "The app's workflows cannot be read",
        "The workflow backend could not read the app's workflows: {reason}.",
        "Workflow modules may import only AiiDA, ASE and NumPy at module level; mend the module and save it.",
    ),
    "dev-backend": Entry(
        422,
        "What the app's workflows need is not to be had",
        "{reason}",
        "Change `backend` in pyproject.toml and save it; what was there before goes on.",
    ),
    "dev-ended": Entry(
        500,
        "The page's server ended",
        "The Jupyter server that shows the page ended: {reason}.",
        "Start `simdeck app dev` again; --port chooses another port.",
    ),
    "version-published": Entry(
        409,
        "This version is published",
        "The registry has version {version} of {app} already.",
        "A published version does not change: raise the version in pyproject.toml and publish again.",
    ),
    "not-a-registry": Entry(
        422,
        "Not a registry",
        "{registry} holds no apps.yaml.",
        "Name a registry's source: its folder, or its git repository. `simdeck registry init` makes a new one.",
    ),
    "publish-git": Entry(
        422,
        "The release could not be proposed",
        "git could not be used on the registry: {reason}.",
        "Nothing was published. Check the address and your access to it, then publish again.",
    ),
    "publish-check": Entry(
        422,
        "The app does not pass its checks",
        "{app} {version} was not published: {reason}",
        "Mend it; `simdeck app check` says all that was found.",
    ),
    "workflow-file": Entry(
        422,
        "The workflow cannot be published",
        "{file} cannot be published as a workflow: {reason}.",
        "Name a Python file with a function marked @workflow, or the folder of a project without a page (docs/workflows.md).",
    ),
    "publish-not-allowed": Entry(
        403,
        "You may not publish here",
        "You are in none of the groups that may publish into the registry {registry}.",
        "Ask your administrator, who names them in the site file (publishers of that registry).",
    ),
    "registry-not-found": Entry(
        404,
        "No such registry",
        "This site has no registry called {registry} that takes releases.",
        "`GET /registries` and `simdeck app publish --help` tell of those that take yours.",
    ),
    "publish-only-wheels": Entry(
        422,
        "Only finished wheels are taken here",
        "{name} would have to be built, and nobody's build code runs where the registry's keys are.",
        "Send the wheel that `simdeck app publish` makes. An AiiDAlab app is added by the registry's own people.",
    ),
    "publish-unlike": Entry(
        422,
        "Not what its description says",
        "{name} is not the file, app or version that its description names.",
        "Send both as `simdeck app publish` made them.",
    ),
    "publish-busy": Entry(
        409,
        "Too much at once",
        "{most} releases of yours are waiting to be looked into.",
        "Publish more when they are through.",
    ),
    "publish-unwritable": Entry(
        503,
        "The registry cannot be written",
        "The release could not be put into the registry {registry}: {reason}.",
        "Nothing was published. Tell your administrator: Simdeck's service must be able to write the registry's folders.",
    ),
    "publication-not-found": Entry(
        404, "No such publication", "You have published nothing under {publication}.", "Look at the list of yours."
    ),
    "publication-interrupted": Entry(
        500,
        "Publishing was interrupted",
        "The service ended before {app} {version} was taken, and what was sent is gone.",
        "Publish it again.",
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
}
