"""Builds wheels in a process of its own: hatchling works in the current folder and runs the project's build hooks.

Reads ``{"folder", "output"}`` and answers ``{"wheel"}`` or ``{"error"}``, one JSON object per line. Started as a plain
script by any Python that has hatchling, so it imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys


def main() -> None:
    from hatchling.build import build_wheel

    for line in sys.stdin:
        job = json.loads(line)
        try:
            os.chdir(job["folder"])
            with contextlib.redirect_stdout(sys.stderr):
                answer = {"wheel": build_wheel(job["output"])}
        except (Exception, SystemExit) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
