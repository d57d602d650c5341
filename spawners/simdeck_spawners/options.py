"""What a person asked for, checked in one place before anything is written down."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from simdeck_clusters.request import PASSED_OVER, ResourceRequest, allowance
from simdeck_clusters.request import check as check_request
from simdeck_common.problems import Problem

from simdeck_spawners.book import LIVE

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet

Wanted = tuple[str, dict[str, Any]]
"""Cluster, and the checked options with what rides along."""

FIRST_SECONDS = 15.0
"""How long the first requests to a hub that has just started wait until it knows its clusters."""

APP = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def from_form(form: dict[str, Any]) -> dict[str, Any]:
    """Return a form's (or a URL's) fields with single values out of their lists; uploads are no options."""
    return {
        name: values[0] if isinstance(values, list) and len(values) == 1 else values
        for name, values in form.items()
        if name != "_xsrf" and not name.endswith("_file")
    }


async def clusters_known(fleet: SlurmFleet) -> None:
    """Return once every cluster has told its limits, or is known not to answer."""
    await fleet.start()
    await asyncio.gather(*(watcher.first_facts(FIRST_SECONDS) for watcher in fleet.watchers.values()))


def check(fleet: SlurmFleet, user: str, groups: list[str], raw: Mapping[str, Any], *, counting: bool = True) -> Wanted:
    """Return the request in ``raw`` when the user may have it.

    Raises
    ------
    Problem
        ``resources-…`` with the field; ``counting`` also refuses when the user has too many servers on the cluster.
    """
    if not isinstance(raw, Mapping):
        raise Problem("bad-request")
    try:
        request = check_request(raw, site=fleet.site, groups=groups, user=user, snapshots=fleet.snapshots())
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else None
        raise Problem("resources-invalid", field=field, reason=first["msg"]) from None
    allowed = allowance(fleet.site.policies, groups, request.cluster)
    if counting and allowed is not None and allowed.max_servers is not None:
        mine = [one for one in fleet.book.unfinished(request.cluster) if one.user == user and one.stage in LIVE]
        if len(mine) >= allowed.max_servers:
            raise Problem("server-too-many", field="cluster", limit=allowed.max_servers)
    chosen: dict[str, Any] = request.options()
    app = raw.get("app")
    if isinstance(app, str) and APP.fullmatch(app):
        chosen["app"] = app
    return request.cluster, chosen


def request_of(chosen: Mapping[str, Any]) -> ResourceRequest:
    """Return the request that was checked when it was written down."""
    return ResourceRequest.model_validate({key: value for key, value in chosen.items() if key not in PASSED_OVER})


def as_header(problem: Mapping[str, Any]) -> str:
    """Return a problem in one line of ASCII, for a header."""
    kept = {
        key: problem[key] for key in ("type", "code", "title", "status", "detail", "remedy", "field") if key in problem
    }
    return json.dumps(kept)
