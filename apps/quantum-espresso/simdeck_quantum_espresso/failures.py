"""Why a calculation failed, and what may help: from exit codes and the program's own words to a sentence or two."""

from __future__ import annotations

import re
from typing import Any

SCF = (410, 463, 510)
"""Exit codes of pw.x's plug-in: the self-consistent field did not converge."""
IONS = (500, 501, 502, 503, 511, 520, 521)
"""The same of a relaxation."""
TIME = (120, 340, 400)
"""The scheduler, or the program itself, stopped at the time limit."""

CURES = (
    ("charge is wrong", "The occupations do not hold the electrons. Choose smearing instead of fixed occupations."),
    (
        "the system is metallic",
        "The crystal is a metal in this calculation: choose smearing instead of fixed occupations.",
    ),
    ("too few bands", "There were too few bands. Choose smearing instead of fixed occupations."),
    ("smearing is needed", "The number of electrons is odd: choose smearing instead of fixed occupations."),
    ("fixed occupations and lsda", "Choose smearing instead of fixed occupations for a magnetic crystal."),
    ("charge density cutoff", "Raise the density's cutoff (eight to twelve times that of the wavefunctions)."),
    (
        "S matrix not positive definite",
        "Two atoms are too close for their pseudopotentials, or the density's cutoff is too low.",
    ),
    (
        "problems computing cholesky",
        "Two atoms may be too close to each other; check the structure, or lower the mixing.",
    ),
    ("eigenvectors failed to converge", "Raise the density's cutoff, or lower the mixing to 0.2."),
    (
        "Not enough space allocated for radial FFT",
        "The cell changed a great deal; relax it again from the last structure.",
    ),
    ("No space left", "The disk is full: free some space (the scratch folder of your runs), then retry."),
    ("allocat", "There was not enough memory: ask for a smaller cell, a lower cutoff, or a larger machine."),
)


def explain(process: Any, job: Any) -> tuple[str, str]:
    """(``scf``, ``relaxation`` or ``other``; sentences for people) for a stage that failed."""
    status = job.exit_status if job is not None else process.exit_status
    if status in SCF:
        return "scf", (
            "The electronic structure did not become self-consistent, not even with calmer mixing. Likely "
            "cures, in this "
            "order: a wider smearing (0.3 eV), a mixing of 0.1, magnetism where the crystal has iron, cobalt, nickel, "
            "manganese or chromium, and more iterations. Check the structure first: crowded or missing atoms "
            "never converge."
        )
    if status in IONS:
        return "relaxation", (
            "The relaxation did not come to rest. Go on from the structure it left, with the protocol fast, or "
            "relax the "
            "positions before the cell. A start far from equilibrium needs several rounds."
        )
    if status in TIME:
        return "other", "It ran out of time. Give it a longer time limit or more cores, or take a coarser protocol."
    said = own_words(retrieved_text(job, "aiida.out") + "\n" + retrieved_text(job, "CRASH")) if job is not None else ""
    for mark, cure in CURES:
        if mark.lower() in said.lower():
            return "other", f"{cure} (Quantum ESPRESSO says: {said}.)"
    if said:
        return "other", f"Quantum ESPRESSO says: {said}."
    stderr = retrieved_text(job, "_scheduler-stderr.txt").strip().splitlines() if job is not None else []
    reason = process.exit_message or process.exception or f"it ended as {process.process_state}"
    return "other", stderr[-1][:400] if stderr else str(reason).strip().splitlines()[-1][:400]


def own_words(text: str) -> str:
    """What stands in the box of per cent signs in which the programs print their errors; empty without one."""
    found = re.search(r"%{20,}\s*\n(.*?)%{20,}", text, re.DOTALL)
    if not found:
        return ""
    lines = [line.strip() for line in found[1].splitlines() if line.strip()]
    return " ".join(re.sub(r"^(Error in routine|task #.*?from)\s+", "", line) for line in lines)[:300].strip(" .")


def retrieved_text(job: Any, name: str) -> str:
    """A retrieved file of a calculation as text; empty where there is none."""
    if "retrieved" not in job.outputs:
        return ""
    repository = job.outputs.retrieved.base.repository
    if name not in repository.list_object_names():
        return ""
    return str(repository.get_object_content(name, mode="rb").decode(errors="replace"))
