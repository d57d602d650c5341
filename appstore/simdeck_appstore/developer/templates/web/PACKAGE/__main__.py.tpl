"""``python -m $package --socket PATH``: serves the page on a Unix socket, until it is told to end."""

from __future__ import annotations

import argparse
import os

import uvicorn

from $package.app import app


def main() -> None:
    parser = argparse.ArgumentParser(prog="$package")
    parser.add_argument("--socket", default=os.environ.get("SIMDECK_SOCKET"), help="Unix socket to listen on")
    parser.add_argument("--port", type=int, help="a port of this machine instead, to try it without the platform")
    chosen = parser.parse_args()
    if chosen.port:
        uvicorn.run(app, host="127.0.0.1", port=chosen.port)
    elif chosen.socket:
        # Only this user may connect.
        os.umask(0o077)
        uvicorn.run(app, uds=chosen.socket)
    else:
        parser.error("say --socket or --port")


if __name__ == "__main__":
    main()
