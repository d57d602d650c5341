"""Starts a command that must not outlive its parent: ``python -I -S guard.py <parent pid> <command> <arguments…>``.

The kernel kills the command when the parent dies, even by SIGKILL: an orphaned uv would go on writing into a folder
that the next start cleans away. Run as a script, so it imports nothing of ours.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew our wish
        sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - there is no shell, and that is the point


if __name__ == "__main__":
    main()
