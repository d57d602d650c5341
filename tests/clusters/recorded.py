"""Recorded outputs: ``fixtures/<version>/<name>.txt``; lines that begin with # tell where they come from."""

from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
MARK = "0123456789abcdef"


def recorded(name: str, version: str = "22.05") -> str:
    lines = (FIXTURES / version / f"{name}.txt").read_text().splitlines(keepends=True)
    while lines and lines[0].startswith("# "):
        lines.pop(0)
    return "".join(lines)
