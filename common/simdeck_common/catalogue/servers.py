"""Words for people: servers that are batch jobs, and why they failed. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
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
}
