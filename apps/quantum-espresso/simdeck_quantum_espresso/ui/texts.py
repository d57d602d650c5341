"""What the page says: titles, where a run is, what it computes with, what may cure a failure. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simdeck_widgets.resource_model import duration

from simdeck_quantum_espresso import annotations, settings
from simdeck_quantum_espresso.pseudopotentials import Pseudopotential

STAGES = {
    "relax": "Relaxing the positions", "vc-relax": "Relaxing positions and cell", "scf": "Self-consistent field",
    "bands": "Band structure", "nscf": "Density of states", "projwfc": "Projecting on atoms", "phonons": "Phonons at Γ",
}  # fmt: skip


@dataclass(frozen=True)
class Cure:
    """A change of inputs that may help a failed run."""

    label: str
    change: dict[str, Any] = field(default_factory=dict)


CURES = {
    "calmer": Cure(annotations.CALMER["title"], annotations.CALMER["inputs"]),
    "wider": Cure(annotations.WIDER["title"], annotations.WIDER["inputs"]),
    "magnetic": Cure("With magnetism", {"magnetism": "ferromagnetic", "occupations": "smearing"}),
    "smearing": Cure("With smearing", {"occupations": "smearing"}),
    "faster": Cure("Go on from its last structure", {"protocol": "fast"}),
}
MAGNETIC = frozenset({"Fe", "Co", "Ni", "Mn", "Cr"})


def cures(problem: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[str]:
    """The cures that fit a failure's words and what was tried."""
    said = f"{problem.get('detail', '')} {problem.get('title', '')}".lower()
    elements = set((inputs.get("structure") or {}).get("symbols") or [])
    if "self-consistent" in said:
        found = ["magnetic"] if elements & MAGNETIC and inputs.get("magnetism") != "ferromagnetic" else []
        return [*found, "calmer", "wider"]
    if "choose smearing" in said:
        return ["smearing"]
    return ["faster"] if "relaxation did not come to rest" in said else []


def title(name: str, values: Mapping[str, Any]) -> str:
    """What a run is called in the lists."""
    parts = {"positions": ["relaxation"], "cell": ["relaxation of the cell"]}.get(str(values.get("relax")), [])
    parts = [
        *parts,
        *(word for key, word in (("bands", "bands"), ("dos", "DOS"), ("phonons", "phonons")) if values.get(key)),
    ]
    what = ", ".join(parts) or "total energy"
    return f"{name}: {what} ({values.get('functional', 'PBE')}, {values.get('protocol', 'balanced')})"[:200]


def computes_with(
    numbers: settings.Numbers, pseudos: Mapping[str, Pseudopotential] | None = None
) -> list[dict[str, Any]]:
    """Rows: the numbers behind a protocol, and each element's pseudopotential with the cutoffs that it asks for."""
    mesh = " × ".join(map(str, numbers.mesh))
    smearing = (
        "none (fixed occupations)" if numbers.smearing == "fixed" else f"{numbers.smearing}, {numbers.width:.3f} eV"
    )
    return [
        {
            "what": "Cutoff of the wavefunctions",
            "value": f"{numbers.cutoff:g} Ry ({numbers.cutoff * settings.RYDBERG:.0f} eV)",
        },
        {"what": "Cutoff of the density", "value": f"{numbers.density_cutoff:g} Ry"},
        {"what": "k-points", "value": f"{mesh}, {numbers.k_spacing:g} 1/Å apart at most"},
        {"what": "Smearing", "value": smearing},
        {"what": "Electrons, bands shown", "value": f"{numbers.electrons}, {numbers.bands}"},
        *(
            {
                "what": f"Pseudopotential of {element}",
                "value": f"{one.name}, which asks for {one.cutoff:g} and {one.density_cutoff:g} Ry",
            }
            for element, one in (pseudos or {}).items()
        ),
    ]


def estimate_text(estimate: settings.Estimate | None, cores: int) -> str:
    """How long it takes and what it costs, in a sentence."""
    if estimate is None:
        return "No estimate: the pseudopotentials cannot be seen from this page."
    hours = estimate.seconds * cores / 3600
    cost = f"{hours:.2f} core-hours" if hours >= 0.01 else "less than 0.01 core-hours"
    return (
        f"Takes {duration(estimate.seconds)} on {cores} core{'' if cores == 1 else 's'} ({cost}) in "
        f"{estimate.calculations} calculation{'' if estimate.calculations == 1 else 's'}, with about "
        f"{max(0.2, estimate.memory_mb / 1024):.1f} GiB of memory. "
        "Another machine or a stubborn field may need several times that."
    )


def where(progress: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]], state: str) -> tuple[str, float]:
    """One sentence about where a run is, and the fraction done (−1: unknown)."""
    if state == "accepted":
        return "Accepted and safe. It starts as soon as the workflow engine is ready.", -1.0
    if state == "finished":
        return "", 1.0
    if state != "running":
        return "", -1.0
    last = progress[-1] if progress else None
    if last is None:
        return "Preparing the first calculation…", -1.0
    name = STAGES.get(str(last.get("stage")), "Calculating")
    if "k_point" in last:
        points = max(1, int(last.get("k_points") or 1))
        return f"{name}: k-point {last['k_point']} of {points}", min(1.0, int(last["k_point"]) / points)
    if "accuracy" in last:
        step = f", step {last['cycle']} of the relaxation" if int(last.get("cycle", 1)) > 1 else ""
        moment = f", moment {last['moment']:.2f} μB" if last.get("moment") is not None else ""
        accuracy = power(float(last["accuracy"]))
        return f"{name}{step}: iteration {last['step']}, accuracy {accuracy} eV{minus(moment)}", -1.0
    if last.get("converged"):
        return f"{name}: converged in {last['iterations']} iterations", -1.0
    if last.get("converged") is False:
        return f"{name}: not converged after {last['iterations']} iterations; calmer mixing is tried", -1.0
    if "force" in last:
        return f"{name}: step {last.get('cycle', 1)}, total force {last['force']:.4f} eV/Å", -1.0
    if "representation" in last:
        return f"{name}: representation {last['representation']}, iteration {last['step']}", -1.0
    return f"{name}…", -1.0


def power(value: float) -> str:
    """A small number with its power of ten: 3.2·10⁻⁵."""
    if value == 0 or 1e-2 <= abs(value) < 1e4:
        return f"{value:.3g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('0123456789-', '⁰¹²³⁴⁵⁶⁷⁸⁹⁻'))}"


def minus(text: str) -> str:
    """With a true minus sign."""
    return text.replace("-", "−")


def summary_rows(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline numbers of a run."""
    found = outputs.get("properties") or {}
    rows = []

    def add(what: str, value: str, unit: str = "") -> None:
        rows.append({"what": what, "value": minus(value), "unit": unit})

    if "energy" in found:
        add("Total energy", f"{found['energy']:.5f}", "eV")
    if found.get("metal") is False:
        kind = "direct" if found.get("direct") else "indirect"
        add(f"Band gap ({kind})", f"{found['gap']:.3f}", "eV")
        if not found.get("direct"):
            add("Smallest direct gap", f"{found['direct_gap']:.3f}", "eV")
        add("Top of the valence band", f"{found['valence']:.3f}", "eV")
    elif found.get("metal"):
        add("Band gap", "none: a metal")
    if found.get("fermi_energy") is not None:
        add("Fermi level", f"{found['fermi_energy']:.3f}", "eV")
    if found.get("density_at_fermi") is not None:
        add("Density of states there", f"{found['density_at_fermi']:.3f}", "states/eV")
    if found.get("moment") is not None:
        add("Magnetic moment of the cell", f"{found['moment']:.3f}", "μB")
    forces = (outputs.get("forces") or {}).get("forces") or []
    if forces:
        add("Largest force", f"{max(sum(x * x for x in row) ** 0.5 for row in forces):.4f}", "eV/Å")
    stress = (outputs.get("forces") or {}).get("stress") or []
    if stress:
        add("Pressure", f"{-sum(stress[i][i] for i in range(3)) / 3:.2f}", "GPa")
    return rows


def method_rows(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a run computed with."""
    found = outputs.get("properties") or {}
    if not found.get("functional"):
        return []
    rows = [
        {"what": "Functional", "value": found["functional"]},
        {"what": "Protocol", "value": found.get("protocol", "")},
        {"what": "Cutoffs", "value": f"{found.get('cutoff', 0):g} and {found.get('density_cutoff', 0):g} Ry"},
        {
            "what": "k-points",
            "value": f"{' × '.join(map(str, found.get('mesh') or []))} ({found.get('k_points', '?')} distinct)",
        },
    ]
    smearing = found.get("smearing")
    rows.append(
        {
            "what": "Smearing",
            "value": "fixed occupations" if smearing == "fixed" else f"{smearing}, {found.get('width', 0):.3f} eV",
        }
    )
    rows += [
        {"what": f"Pseudopotential of {element}", "value": name}
        for element, name in (found.get("pseudopotentials") or {}).items()
    ]
    return rows


def cell_rows(structure: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lattice constants of a run's structure."""
    from ase.geometry import cell_to_cellpar

    if not structure.get("cell"):
        return []
    a, b, c, alpha, beta, gamma = cell_to_cellpar(structure["cell"])
    return [
        {"what": "a, b, c", "value": f"{a:.4f}, {b:.4f}, {c:.4f}", "unit": "Å"},
        {"what": "α, β, γ", "value": f"{alpha:.2f}, {beta:.2f}, {gamma:.2f}", "unit": "°"},
    ]


def force_rows(outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Forces by atom."""
    symbols = (outputs.get("structure") or {}).get("symbols") or []
    forces = (outputs.get("forces") or {}).get("forces") or []
    return [
        {
            "atom": f"{symbol}{n}",
            **{
                axis: minus(f"{value + 0.0 if abs(value) >= 5e-6 else 0.0:.5f}")
                for axis, value in zip("xyz", row, strict=True)
            },
        }
        for n, (symbol, row) in enumerate(zip(symbols, forces, strict=False), start=1)
    ]


def phonon_rows(phonons: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Modes at Γ, rising; an imaginary one is marked."""
    return [
        {"mode": str(n), "frequency": minus(f"{value:.1f}"), "frequency_flag": value < -5.0}
        for n, value in enumerate(phonons.get("frequencies") or [], start=1)
    ]


def warnings(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[str]:
    """What a careful person would say about the result."""
    found, notes = outputs.get("properties") or {}, []
    if found.get("metal") is False:
        notes.append(
            "Semi-local functionals make gaps too small, often by half; do not compare with experiment directly."
        )
    if inputs.get("protocol") == "fast":
        notes.append("The protocol fast is for trying out; take balanced or precise for numbers to publish.")
    if any(value < -5.0 for value in (outputs.get("phonons") or {}).get("frequencies") or []):
        notes.append(
            "There are imaginary frequencies: the structure is not at a minimum. Relax it first, more precisely."
        )
    stress = (outputs.get("forces") or {}).get("stress") or []
    if stress and abs(sum(stress[i][i] for i in range(3)) / 3) > 3.0:
        notes.append("The cell is under more than 3 GPa; relax the cell where its own lattice constant is wanted.")
    return notes
