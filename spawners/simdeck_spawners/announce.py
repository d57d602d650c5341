"""Telling the hub on which port the server listens, for as long as it takes, and saying plainly why it fails."""

from __future__ import annotations

import contextlib
import json
import random
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

REFUSALS = 5
"""How often "this token is not known" is taken for a hub that is just coming up."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
REPEAT_SECONDS = 60.0
REMIND_SECONDS = 240.0


class Refused(Exception):  # noqa: N818 - an outcome
    """The hub knows this server no more."""


def announce(
    api_url: str,
    token: str,
    port: int,
    *,
    context: ssl.SSLContext | None = None,
    stop: threading.Event | None = None,
    say: Callable[[str], None] | None = None,
    pause: float = FIRST_PAUSE,
) -> bool:
    """Send ``port`` to the hub until it is taken; return False when ``stop`` was set before.

    Parameters
    ----------
    api_url
        The hub's API as nodes reach it (``JUPYTERHUB_API_URL``).
    pause
        Seconds before the second try; each further one waits longer, at most ten.

    Raises
    ------
    Refused
        The hub answers that it does not know this token.
    """
    stop = stop or threading.Event()
    tell = say or _say
    refusals, told, reason = 0, float("-inf"), ""
    while not stop.is_set():
        try:
            _send(api_url, token, port, context)
            if reason:
                tell(f"simdeck-server: the hub at {api_url} answers now.")
            return True
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (401, 403, 404):
                refusals += 1
                if refusals > REFUSALS:
                    raise Refused(f"the hub at {api_url} does not know this server (HTTP {error.code})") from None
                now = f"it does not know this server yet (HTTP {error.code})"
            elif error.code == 409:
                # It still takes an earlier run of this job for the server: it will see.
                now = "it does not expect this server to announce itself yet"
            else:
                now = f"it answers HTTP {error.code}"
        except (OSError, ValueError) as error:
            cause = getattr(error, "reason", None) or error
            now = f"{cause}"
        if now != reason or time.monotonic() - told > REPEAT_SECONDS:
            tell(f"simdeck-server: the hub at {api_url} cannot be reached from this node: {now}. Trying again.")
            told, reason = time.monotonic(), now
        stop.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads servers over time
        pause = min(LONGEST_PAUSE, pause * 1.7)
    return False


def repeat(api_url: str, token: str, port: int, context: ssl.SSLContext | None, every: float = REMIND_SECONDS) -> None:
    """Say the port again now and then, for ever: a hub that took it for an earlier run's word hears it anew."""
    while True:
        time.sleep(every)
        with contextlib.suppress(OSError, ValueError):
            _send(api_url, token, port, context)


def _send(api_url: str, token: str, port: int, context: ssl.SSLContext | None) -> None:
    request = urllib.request.Request(  # noqa: S310 - the address is the hub's own
        api_url.rstrip("/") + "/simdeck/ready",
        data=json.dumps({"port": port}).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
        method="POST",
    )
    # The hub is inside: a proxy for the world outside would not find it.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    with urllib.request.build_opener(*handlers).open(request, timeout=15):
        pass


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
