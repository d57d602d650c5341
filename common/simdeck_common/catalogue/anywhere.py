"""Words for people: refusals any room can make. Kept in the order of the path a person takes."""

from __future__ import annotations

from simdeck_common.catalogue.entry import Entry

ENTRIES: dict[str, Entry] = {
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
    "disk-full": Entry(
        507,
        "The disk is full",
        "There is no room left on the disk that holds your runs, so nothing was changed.",
        "Delete runs or files that you no longer need, or ask the administrator for more room; then try again.",
    ),
}
