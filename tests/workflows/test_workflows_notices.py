"""Telling of a run's end: by webhook and by mail, until it is taken, and nowhere else than asked."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from simdeck_workflows.models import Notify, Run, RunState
from simdeck_workflows.notices import Notices, _abroad
from simdeck_workflows.policy import NoticeSettings
from simdeck_workflows.store import Store, new_run

LOCAL = NoticeSettings(local_webhooks=True, deck_url="https://deck.example.org/services/deck")


class Receiver:
    """A web server that answers with what is queued (then 200), and remembers what came."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in head[1:] if line}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        status = self.answers.pop(0) if self.answers else 200
        location = "Location: http://127.0.0.1:1/\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} So\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/done?of=1"
    yield found
    server.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs.sqlite")


def accepted(store: Store, **notify: Any) -> Run:
    run = new_run("toy.bake", "toy", "1.0", "Bake")
    return store.accept(run, {}, notify=Notify(**notify))


def ended(store: Store, **notify: Any) -> Run:
    run = accepted(store, **notify)
    summary = {"energy": {"title": "Total energy", "value": -4.0, "unit": "eV"}}
    store.end(run.id, RunState.FINISHED, summary=summary)
    return run


async def test_an_ended_run_is_posted_once(store: Store, receiver: Receiver) -> None:
    run = ended(store, webhook=receiver.url)
    notices = Notices(store, LOCAL, "alice")
    assert (await notices.send_due(), await notices.send_due()) == (1, 0)
    [(headers, body)] = receiver.got
    assert json.loads(body)["run"]["id"] == run.id
    assert json.loads(body)["run"]["state"] == "finished"
    assert headers["x-simdeck-delivery"] == json.loads(body)["id"]
    assert not notices.pending()


async def test_a_run_that_goes_on_is_told_of_to_nobody(store: Store, receiver: Receiver) -> None:
    accepted(store, webhook=receiver.url)
    notices = Notices(store, LOCAL, "alice")
    assert await notices.send_due() == 0
    assert not notices.pending()
    assert receiver.got == []


async def test_a_secret_signs_the_body(store: Store, receiver: Receiver) -> None:
    ended(store, webhook=receiver.url, secret="s3cret")
    await Notices(store, LOCAL, "alice").send_due()
    [(headers, body)] = receiver.got
    expected = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["x-simdeck-signature"] == f"sha256={expected}"
    assert b"s3cret" not in body


async def test_a_receiver_that_is_away_is_tried_again_under_the_same_id(store: Store, receiver: Receiver) -> None:
    run = ended(store, webhook=receiver.url)
    receiver.answers = [503]
    notices = Notices(store, LOCAL, "alice", pauses=(0.0, 0.0))
    assert await notices.send_due() == 0
    assert notices.pending()
    assert await notices.send_due() == 1
    assert len({headers["x-simdeck-delivery"] for headers, _ in receiver.got}) == 1
    assert notices.of(run.id) == [{"kind": "webhook", "state": "done", "tries": 2, "said": None}]


async def test_the_next_try_waits_its_pause(store: Store, receiver: Receiver) -> None:
    ended(store, webhook=receiver.url)
    receiver.answers = [503]
    notices = Notices(store, LOCAL, "alice", pauses=(3600.0,))
    await notices.send_due()
    await notices.send_due()
    assert len(receiver.got) == 1


async def test_a_receiver_that_never_takes_it_is_given_up_with_the_reason(store: Store, receiver: Receiver) -> None:
    run = ended(store, webhook=receiver.url)
    receiver.answers = [500, 500]
    notices = Notices(store, LOCAL, "alice", pauses=(0.0,))
    for _ in range(3):
        await notices.send_due()
    assert notices.of(run.id) == [
        {"kind": "webhook", "state": "failed", "tries": 2, "said": "RuntimeError: it answered 500"}
    ]
    assert not notices.pending()


async def test_a_redirection_is_not_followed(store: Store, receiver: Receiver) -> None:
    run = ended(store, webhook=receiver.url)
    receiver.answers = [302]
    notices = Notices(store, LOCAL, "alice")
    await notices.send_due()
    assert len(receiver.got) == 1
    assert "302" in notices.of(run.id)[0]["said"]


async def test_a_webhook_may_not_lead_to_the_machine_itself(store: Store, receiver: Receiver) -> None:
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        run = ended(store, webhook=url)
        notices = Notices(store, NoticeSettings(), "alice")
        await notices.send_due()
        assert notices.of(run.id)[0]["state"] == "failed"
    assert receiver.got == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0", "fe80::1%1"])
def test_addresses_of_this_machine_are_known(address: str) -> None:
    assert not _abroad(address)


@pytest.mark.parametrize("url", ["ftp://example.org/x", "https://", "file:///etc/passwd", "https://a:b@example.org/"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Notify(webhook=url)


@asynccontextmanager
async def relay() -> AsyncIterator[tuple[int, list[str]]]:
    """The site's mail relay: takes everything, remembers the envelope and the text."""
    letters: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode():
            if line.upper().startswith("DATA"):
                writer.write(b"354 go on\r\n")
                letters[-1] += (await reader.readuntil(b"\r\n.\r\n")).decode()
                writer.write(b"250 taken\r\n")
            elif line.upper().startswith("QUIT"):
                writer.write(b"221 bye\r\n")
                break
            else:
                if line.upper().startswith("MAIL"):
                    letters.append("")
                writer.write(b"250 fine\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], letters
    finally:
        server.close()


async def test_a_mail_goes_to_the_users_own_address_with_results_and_a_link(store: Store) -> None:
    run = ended(store, email=True)
    async with relay() as (port, letters):
        given = {"smtp_host": "127.0.0.1", "smtp_port": port, "mail_to": "{user}@example.org"}
        assert await Notices(store, LOCAL.model_copy(update=given), "alice").send_due() == 1
    [letter] = letters
    assert "To: alice@example.org" in letter
    assert "Subject: Bake: finished" in letter
    assert "Total energy: -4.0 eV" in letter
    assert f"https://deck.example.org/services/deck/runs/{run.id}" in letter


async def test_a_title_cannot_add_a_header(store: Store) -> None:
    run = new_run("toy.bake", "toy", "1.0", "Bake\r\nBcc: everybody@example.org")
    store.accept(run, {}, notify=Notify(email=True))
    store.end(run.id, RunState.FINISHED)
    async with relay() as (port, letters):
        given = {"smtp_host": "127.0.0.1", "smtp_port": port}
        assert await Notices(store, LOCAL.model_copy(update=given), "alice").send_due() == 1
    assert "\nBcc:" not in letters[0].partition("\r\n\r\n")[0]


async def test_without_a_relay_a_mail_is_given_up_at_once(store: Store) -> None:
    run = ended(store, email=True)
    notices = Notices(store, LOCAL, "alice")
    await notices.send_due()
    assert notices.of(run.id)[0]["said"] == "this site sends no mail"
