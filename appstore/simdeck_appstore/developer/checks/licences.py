"""What the packages of an environment say of their licences."""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any


def licences(env: Path) -> dict[str, str]:
    """Return the licence of every distribution in the environment, by name; an unknown one is empty."""
    found: dict[str, str] = {}
    for site in env.glob("lib/python*/site-packages"):
        for one in distributions(path=[str(site)]):
            found[one.metadata["Name"]] = licence_of(one)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def licence_of(one: Distribution) -> str:
    """Return what the distribution says of its licence: an SPDX expression, else classifiers, else a short text."""
    head: Any = one.metadata
    expression = head.get("License-Expression")
    if expression:
        return str(expression)
    trove = [line.rpartition(" :: ")[2] for line in head.get_all("Classifier", []) if line.startswith("License ::")]
    trove = [name for name in trove if name != "OSI Approved"]
    if trove:
        return ", ".join(trove)
    lines = str(head.get("License") or "").strip().splitlines()
    return lines[0][:80] if lines else ""


def report(found: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the sentence for people, and everything."""
    silent = [name for name, licence in found.items() if not licence]
    sentence = f"{len(found)} packages"
    if silent:
        sentence += f"; {len(silent)} do not say their licence: {', '.join(silent[:5])}"
    return sentence, {"licences": found}
