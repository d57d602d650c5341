"""An agent whose disk is full says so, whatever it was that could not be written."""

from __future__ import annotations

import errno
import sqlite3

import httpx
import pytest
from fastapi import FastAPI
from simdeck_agent.problem_answers import install


def full_database() -> sqlite3.Error:
    """Return what SQLite raises where there is no room."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("INSERT INTO notes VALUES (?)", ("x" * 100_000,))
    return full.value


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full", 507),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk-full", 507),
        (full_database(), "disk-full", 507),
        (OSError(errno.EIO, "Input/output error"), "unexpected", 500),
    ],
)
async def test_what_finds_no_room_is_refused_as_a_full_disk(error, code, status):
    app = FastAPI()
    install(app)

    @app.post("/")
    async def write():
        raise error

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
        answer = await client.post("/")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
