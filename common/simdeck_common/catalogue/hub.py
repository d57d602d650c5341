"""Words for people: the hub, the site file, sign-in and the `simdeck` command. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
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
}
