"""What the doctor's small job runs on a compute node: standard library only, sent there as a file.

It prints lines ``simdeck-doctor {json}``: where it runs, whether it reaches the hub's machine, what it can import; then
it waits for a call from the hub's side and answers with its clock.
"""

import importlib.util
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request

PREFIX = "simdeck-doctor "


def say(**what: object) -> None:
    print(PREFIX + json.dumps(what), flush=True)


def reach(host: str, port: int) -> str:
    """Return why a connection to ``host`` fails, or nothing."""
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError as error:
        return str(error)
    return ""


def fetch(url: str) -> str:
    """Return why ``url`` does not answer, or nothing; any answer of the right server will do."""
    # A node's proxy settings are for the world outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            return "" if "version" in json.load(answer) else "something else than the hub answers"
    except (OSError, ValueError) as error:
        return str(error)


def main() -> None:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "plan.json"), encoding="utf-8") as stream:
        plan = json.load(stream)
    say(stage="begun", host=socket.gethostname(), word=plan["word"], python=sys.version.split()[0])
    missing = [name for name in plan["modules"] if importlib.util.find_spec(name) is None]
    ports = {f"{host}:{port}": reach(host, port) for host, port in plan["ports"]}
    say(stage="reached", missing=missing, ports=ports, urls={url: fetch(url) for url in plan["urls"]})
    with socket.create_server(("", 0)) as server:
        server.settimeout(plan["patience"])
        say(stage="listening", port=server.getsockname()[1])
        end = time.monotonic() + plan["patience"]
        try:
            while time.monotonic() < end:
                caller, _ = server.accept()
                with caller:
                    caller.settimeout(5)
                    # Whoever else looks at open ports gets no answer.
                    if caller.recv(64).decode("ascii", "replace") == plan["word"]:
                        caller.sendall(repr(time.time()).encode())
                        say(stage="called")
                        return
        except OSError:
            say(stage="not-called")


if __name__ == "__main__":
    main()
