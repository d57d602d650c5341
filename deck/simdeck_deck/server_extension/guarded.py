"""Starts an app's web program so that it ends with the server: ``python -I -S guarded.py <server's pid> <program> …``.

Run as a script, so it imports nothing of ours. Whatever the program makes (its socket, its files) is the user's alone.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew our wish
        sys.exit(1)
    os.umask(0o077)
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - there is no shell, and that is the point
    except OSError as error:
        print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


if __name__ == "__main__":
    main()
