"""Telling somebody that a run has ended: by a POST to a web address, or by mail through the site's relay.

A notice is written with the run and sent when the run has ended, by the agent. It is tried again with growing pauses
until it is taken; a receiver may therefore see it twice, and knows it by its id.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import logging
import smtplib
import socket
import time
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx
import sqlalchemy as sa

from simdeck_workflows.models import ENDED_STATES, Run
from simdeck_workflows.policy import NoticeSettings
from simdeck_workflows.store import Store
from simdeck_workflows.store_tables import NOTICES, RUNS

LOG = logging.getLogger(__name__)

PAUSES = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0)
"""Seconds before each further try; after the last one a notice is given up."""
TIMEOUT = 10.0
_AT_ONCE = 20
_ENDED = sorted(state.value for state in ENDED_STATES)


@dataclass(frozen=True)
class Notice:
    """One thing to send."""

    id: str
    run: Run
    kind: str
    target: dict[str, Any]
    tries: int


class RefusedError(Exception):
    """The notice will never be taken: trying again is of no use."""


class Notices:
    """Sends what is due. ``user`` is whose runs these are."""

    def __init__(
        self, store: Store, settings: NoticeSettings, user: str, *, pauses: tuple[float, ...] = PAUSES
    ) -> None:
        self._store = store
        self._settings = settings
        self._user = user
        self._pauses = pauses

    def pending(self) -> bool:
        """Whether an ended run still has somebody to be told."""
        query = sa.select(sa.exists().where(NOTICES.c.state == "waiting", NOTICES.c.run == RUNS.c.id, _ended()))
        with self._store.reading() as connection:
            return bool(connection.execute(query).scalar_one())

    async def send_due(self) -> int:
        """Send what is due; return how many were taken."""
        due = await asyncio.to_thread(self._due)
        results = await asyncio.gather(*(self._send(notice) for notice in due))
        return sum(results)

    def of(self, run_id: str) -> list[dict[str, Any]]:
        """What has become of a run's notices: ``{kind, state, tries, said}`` each."""
        query = sa.select(NOTICES.c.kind, NOTICES.c.state, NOTICES.c.tries, NOTICES.c.said).where(
            NOTICES.c.run == run_id
        )
        with self._store.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def _due(self) -> list[Notice]:
        query = (
            sa.select(NOTICES)
            .join(RUNS, RUNS.c.id == NOTICES.c.run)
            .where(NOTICES.c.state == "waiting", NOTICES.c.due <= time.time(), _ended())
            .order_by(NOTICES.c.due)
            .limit(_AT_ONCE)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [Notice(row.id, self._store.get(row.run), row.kind, row.target, row.tries) for row in rows]

    async def _send(self, notice: Notice) -> bool:
        tries = notice.tries + 1
        try:
            if notice.kind == "webhook":
                await self._post(notice)
            else:
                await asyncio.to_thread(self._mail, notice)
            change: dict[str, Any] = {"state": "done", "said": None}
        except RefusedError as error:
            change = {"state": "failed", "said": str(error)}
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:300]
            late = tries > len(self._pauses)
            change = {"state": "failed" if late else "waiting", "said": said}
            if not late:
                change["due"] = time.time() + self._pauses[tries - 1]
            LOG.info("notice %s of run %s: %s", notice.id, notice.run.id, said)
        await asyncio.to_thread(self._note, notice.id, {**change, "tries": tries})
        return bool(change["state"] == "done")

    def _note(self, notice_id: str, change: dict[str, Any]) -> None:
        with self._store.writing() as connection:
            connection.execute(sa.update(NOTICES).where(NOTICES.c.id == notice_id).values(**change))

    # --- the two ways --------------------------------------------------------------------------------------------

    async def _post(self, notice: Notice) -> None:
        url = httpx.URL(notice.target["url"])
        body = json.dumps({"event": "run.ended", "id": notice.id, "run": notice.run.model_dump(mode="json")}).encode()
        headers = {"Content-Type": "application/json", "X-Simdeck-Delivery": notice.id, "Host": _host(url)}
        if secret := notice.target.get("secret"):
            headers["X-Simdeck-Signature"] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        address = await self._address(url)
        # The address that was looked at is the one that is called: a name may lead elsewhere the next moment.
        there = url.copy_with(host=address)
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "POST", there, content=body, headers=headers, extensions={"sni_hostname": url.host}
            ) as answer,
        ):
            if answer.status_code == 410:
                raise RefusedError("the receiver is gone (410)")
            if not answer.is_success:
                raise RuntimeError(f"it answered {answer.status_code}")

    async def _address(self, url: httpx.URL) -> str:
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        for *_, place in found:
            address = str(place[0])
            if self._settings.local_webhooks or _abroad(address):
                return address
        raise RefusedError("this address leads to the machine itself, which webhooks may not")

    def _mail(self, notice: Notice) -> None:
        if self._settings.smtp_host is None:
            raise RefusedError("this site sends no mail")
        run = notice.run
        message = EmailMessage()
        message["From"] = self._settings.mail_from
        message["To"] = self._settings.mail_to.format(user=self._user)
        # A title may hold anything, line breaks among it.
        message["Subject"] = " ".join(f"{run.title}: {run.state.value}".split())[:200]
        message["Message-ID"] = f"<{notice.id}@simdeck>"
        message.set_content(_text(run, self._settings.deck_url), cte="8bit")
        with smtplib.SMTP(self._settings.smtp_host, self._settings.smtp_port, timeout=TIMEOUT) as relay:
            relay.send_message(message)


def _ended() -> sa.ColumnElement[bool]:
    return RUNS.c.state.in_(_ENDED)


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii").rpartition("@")[2]


def _abroad(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return not (found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast)


def _text(run: Run, deck_url: str | None) -> str:
    lines = [f"{run.title} ({run.workflow}) has ended: {run.state.value}."]
    for entry in (run.summary or {}).values():
        lines.append(f"  {entry['title']}: {entry['value']} {entry['unit'] or ''}".rstrip())
    if run.problem:
        lines += [str(run.problem.get("detail", "")), str(run.problem.get("remedy", ""))]
    if deck_url:
        lines += ["", f"{deck_url.rstrip('/')}/runs/{run.id}"]
    return "\n".join(lines) + "\n"
