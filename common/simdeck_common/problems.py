"""The one error type that crosses rooms, and its form on the wire (RFC 9457 problem+json).

A refusal is raised as ``Problem("run-not-found", run=run_id)``: the code is stable and machine-readable, the words for
people come from :mod:`simdeck_common.catalogue`.
"""

from __future__ import annotations

from typing import Any

from simdeck_common.catalogue import CATALOGUE

TYPE_PREFIX = "urn:simdeck:problem:"


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal or failure that a person can act on.

    Parameters
    ----------
    code
        A key of the catalogue.
    field
        Where the fault is: the name (dotted path) of the input, file or line concerned.
    detail
        Replaces the catalogue's sentence where the raiser knows a better one (for example a validator's own words).
    params
        Values for the catalogue's templates.

    Raises
    ------
    KeyError
        The code is not in the catalogue: a bug in the raiser.
    """

    def __init__(self, code: str, *, field: str | None = None, detail: str | None = None, **params: Any) -> None:
        entry = CATALOGUE[code]
        self.code = code
        self.status = entry.status
        self.title = entry.title
        self.detail = detail if detail is not None else entry.detail.format(**params)
        self.remedy = entry.remedy.format(**params)
        self.field = field
        super().__init__(self.detail)

    def to_json(self) -> dict[str, Any]:
        """Return the RFC 9457 body, with our ``code``, ``remedy`` and, where known, ``field``."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "code": self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "remedy": self.remedy,
        }
        if self.field is not None:
            body["field"] = self.field
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Problem:
        """Rebuild a problem received from another process; an unknown code becomes ``unexpected``."""
        code = str(body.get("code", "unexpected"))
        problem = cls.__new__(cls)
        Exception.__init__(problem, body.get("detail", ""))
        problem.code = code
        problem.status = int(body.get("status", 500))
        problem.title = str(body.get("title", "Something went wrong"))
        problem.detail = str(body.get("detail", ""))
        problem.remedy = str(body.get("remedy", ""))
        problem.field = body.get("field")
        return problem
