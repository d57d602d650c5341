"""Publishing into a registry of the site through its API, by somebody who cannot write the registry's folder."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import click
import httpx
from simdeck_appstore.developer.release import MadeRelease
from simdeck_common.problems import Problem

from simdeck_hub.cli_client import rest

NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,39}$")
LOOK_SECONDS = 0.5


def registry_name(registry: str) -> str | None:
    """Return the name by which the site knows the registry ``--to`` means; None: its files are at hand, or it is git.

    A name is that of a registry in the site file. A folder that this person cannot write is looked for there.
    """
    # os.path: a folder that this person may not even look into is as one that is not there.
    there = os.path.exists(registry)
    if NAME.match(registry) and not there:
        return registry
    local = there or registry.startswith(("/", "."))
    if "://" in registry or not local or os.access(registry, os.W_OK):
        return None
    try:
        with rest() as client:
            found = client.get("registries").json()["items"]
    except Problem:
        # No Simdeck to ask: then it is a folder like any other.
        return None
    wanted = os.path.realpath(registry)
    return next((str(one["name"]) for one in found if os.path.realpath(one["source"]) == wanted), None)


def send(release: MadeRelease, registry: str) -> dict[str, Any]:
    """Send ``release`` to the registry called so, say each step, and return the publication when it is in.

    Raises
    ------
    Problem
        Why it was refused.
    """
    # The same release sent again, after a broken connection say, is the same publication.
    headers = {"Idempotency-Key": f"{registry}-{release.app}-{release.version}-{release.wheel_sha256}-{os.getpid()}"}
    with rest() as client, release.wheel.open("rb") as stream:
        files = {"release": (release.file_name, stream, "application/octet-stream")}
        made = _post(client, f"registries/{registry}/releases", files, release, headers)
        said = ""
        while made["state"] not in ("done", "failed"):
            if made["message"] != said:
                said = made["message"]
                click.echo(f"{said} …", err=True)
            time.sleep(LOOK_SECONDS)
            made = client.get(f"publications/{made['id']}").json()
    if made["state"] == "failed":
        raise Problem.from_json(made["problem"])
    return made


def _post(
    client: httpx.Client, path: str, files: dict[str, Any], release: MadeRelease, headers: dict[str, str]
) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(
        path, files=files, data={"manifest": release.to_json()}, headers=headers
    ).json()
    return answer
