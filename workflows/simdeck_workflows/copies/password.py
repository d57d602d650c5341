"""Writes the file of a user's database password from standard input: ``… copies.password PATH``, as that user."""

from __future__ import annotations

import sys
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir


def main() -> None:
    path = Path(sys.argv[1])
    private_dir(path.parent)
    write_atomically(path, sys.stdin.buffer.read())


if __name__ == "__main__":
    main()
