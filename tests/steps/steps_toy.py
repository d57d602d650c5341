"""A small app of workflow functions. Each computation writes a line into a ledger: how often it was done."""

from __future__ import annotations

import os
import time
from typing import Annotated, TypedDict

from pydantic import Field
from simdeck_workflows.steps import Failure, Unit, progress, step, workflow


def note(ledger: str, word: object) -> None:
    with open(ledger, "a") as out:
        out.write(f"{word}\n")


@step(title="Energy", retries=2, retry_on=(ConnectionError,), at_once=3, files=["*.txt"])
def energy(
    strain: float, ledger: str, pause: float = 0.0, flaky: str = "", bad: list[float] | None = None
) -> Annotated[float, Unit("eV")]:
    """Energy of a strained spring."""
    note(ledger, strain)
    progress(stage="stretch", strain=strain)
    with open("notes.txt", "w") as out:
        out.write("stretched\n")
    time.sleep(pause)
    if flaky and not os.path.exists(flaky):
        note(flaky, "failed once")
        raise ConnectionError("the licence server is away")
    if strain in (bad or []):
        raise ValueError(f"the spring breaks at {strain}")
    return 2.0 * strain * strain


class Fit(TypedDict):
    stiffness: Annotated[float, Unit("eV")]
    points: int


@step(title="Fit", engine=True)
def fit(strains: list[float], energies: list[float]) -> Fit:
    """A parabola through the points, by least squares."""
    stiffness = sum(e * s * s for s, e in zip(strains, energies, strict=True)) / sum(s**4 for s in strains)
    return {"stiffness": stiffness, "points": len(strains)}


@workflow(title="Stiffness of a spring")
def stiffness(
    ledger: str,
    strains: Annotated[list[float], Field(min_length=1, max_length=50), Unit("1")],
    pause: Annotated[float, Field(ge=0), Unit("s")] = 0.0,
    flaky: str = "",
) -> Fit:
    """Stretches a spring and fits its stiffness.

    Parameters
    ----------
    strains : list of float
        How far it is stretched.
    """
    energies = energy.map(strains, ledger=ledger, pause=pause, flaky=flaky)
    return fit(strains, energies)


@workflow
def broken(ledger: str, strains: list[float], bad: list[float], keep: bool = False) -> list[float]:
    """Tell which elements fail."""
    if not keep:
        return energy.map(strains, ledger=ledger, bad=bad)
    found = energy.map(strains, ledger=ledger, bad=bad, failures="keep")
    return [-1.0 if isinstance(one, Failure) else one for one in found]


@workflow
def fickle(ledger: str) -> float:
    """Ask for another step each time."""
    first = energy.submit(time.time(), ledger)
    return first.result()
