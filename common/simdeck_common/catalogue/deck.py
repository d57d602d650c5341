"""Words for people: the deck: signing in, requests, its pages. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
    "audit-unavailable": Entry(
        503,
        "The change cannot be written down",
        "Changes of apps are kept in the site's audit log, and it cannot be written to.",
        "Nothing was changed. Tell your administrator: the disk may be full.",
    ),
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
    "share-not-found": Entry(
        404,
        "There is nothing shared here",
        "The link is not complete, or what it leads to is not shared with you.",
        "Ask whoever gave you the link to share it with your name, and open the whole link again.",
    ),
    "share-owner-away": Entry(
        503,
        "This cannot be shown now",
        "The process of {owner} that shows what is shared does not answer.",
        "Try again in a moment; if this stays, tell {owner}.",
    ),
    "share-ended": Entry(
        410,
        "The share is over",
        "It was shared with you, but has expired, or was taken back or deleted.",
        "Ask its owner to share it anew.",
    ),
    "share-read-only": Entry(
        403,
        "This result is only to be looked at",
        "It belongs to {owner}, who shares it with you read-only.",
        "Fill in the inputs anew and submit: that makes a run of your own.",
    ),
    "shared-app-not-offered": Entry(
        403,
        "This site does not offer you the app",
        "{owner} shares {app} {version} with you, but the store of this site does not offer that version to you.",
        "Ask your administrator for the app, or {owner} to share a version that the store offers.",
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
    "server-names-off": Entry(
        409,
        "There is one server for each person here",
        "This site keeps no servers beside the default one, so {server} cannot be started.",
        "Use the default server; its name in the API is `-`.",
    ),
    "server-names-limit": Entry(
        409,
        "You have as many servers as the site allows",
        "{server} cannot be started: {reason}.",
        "Stop one of your servers and take it off the list, then start this one.",
    ),
    "server-active": Entry(
        409,
        "This server is there already",
        "{server} runs or waits already, and keeps what it was started with.",
        "Stop it first, or give another name.",
    ),
    "server-stopping": Entry(
        409,
        "This server is being stopped",
        "{server} is still being stopped, so it cannot be started yet.",
        "Start it again in a moment.",
    ),
    "server-stop-failed": Entry(
        502,
        "The server did not stop",
        "The hub could not stop your Jupyter server: {reason}.",
        "Try again, or read the hub's log.",
    ),
}
