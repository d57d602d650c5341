"""What agent, registry and hub say, as they say it: apps, runs, tasks; each function makes one of its kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from simdeck_agent.shares import Received
from simdeck_deck.sharing import ShareView

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>\'"&'
LONG = (
    "Conformational_search_of_a_very_long_named_organometallic_complex_with_"
    + "methyl" * 20
    + " and more words after it"
)


def before(**age: float) -> str:
    """Return the ISO time that lies so long ago."""
    return (datetime.now(UTC) - timedelta(**age)).isoformat().replace("+00:00", "Z")


def release(version: str, **changes: Any) -> dict[str, Any]:
    wheel = {"name": f"app-{version}.whl", "path": "files/ab/x/app.whl", "sha256": "ab", "size": 48_213}
    return {
        "version": version,
        "wheel": wheel,
        "python": ">=3.11",
        "resources": {"cores": 1, "memory": "1 GiB"},
        "workflows": ["molecule.optimize"],
        "needs": ["Structures of up to 300 atoms, hydrogen to radon.", "No licence and no other program."],
        **changes,
    }


CHECKED = {
    "passed": True,
    "when": "2026-11-20T10:00:00+00:00",
    "python": "3.11.9",
    "items": [
        {"name": "Installs from its lock", "state": "passed", "detail": "12 s"},
        {"name": "Page opens in Chromium", "state": "passed", "detail": "1.4 s, 210 MB"},
        {"name": "Known vulnerabilities", "state": "warning", "detail": "1 in a package of its own"},
        {"name": "Smoke workflow", "state": "skipped", "detail": ""},
    ],
}


def store_app(identifier: str = "molecule", **changes: Any) -> dict[str, Any]:
    """Return an app as the registry describes it (an index entry and a document in one)."""
    return {
        "id": identifier,
        "title": "Molecule",
        "summary": "Geometry optimisation, vibrational frequencies, IR spectrum and thermochemistry with GFN2-xTB.",
        "description": "Relaxes **one molecule** in vacuum and computes its normal modes.\n\n### Methods\n\n"
        "- GFN2-xTB, GFN1-xTB and IPEA1-xTB through [tblite](https://tblite.readthedocs.io)\n"
        "- harmonic frequencies by finite differences\n\n| Quantity | Unit |\n|---|---|\n| Energy | eV |\n| Wavenumber | cm⁻¹ |",
        "categories": ["quantum-chemistry"],
        "keywords": ["xtb", "infrared"],
        "authors": "The Simdeck developers",
        "license": "BSD-3-Clause",
        "links": {"documentation": "https://example.org/guide", "source": "https://example.org/source"},
        "logo": {"name": "logo.svg", "path": "files/ab/logo/molecule.svg", "sha256": "ab", "size": 900},
        "screenshots": [
            {"name": "result.png", "path": "files/ab/shot/result.png", "sha256": "ab", "size": 90_000},
            {"name": "input-form.png", "path": "files/ab/shot/input-form.png", "sha256": "ab", "size": 90_000},
        ],
        "citations": [
            {
                "text": "C. Bannwarth, S. Ehlert and S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019)",
                "doi": "10.1021/acs.jctc.8b01176",
            },
            {
                "text": "A. Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
                "doi": "10.1088/1361-648X/aa680e",
            },
        ],
        "latest": "1.1.0",
        "versions": ["1.1.0", "1.0.0"],
        "releases": [release("1.1.0"), release("1.0.0")],
        **changes,
    }


def share_view(identifier: str = "s1", **changes: Any) -> ShareView:
    told = {
        "id": identifier,
        "run": "41fd8a1e-7b0c-4a58-9a5e-0b8d2a3c4e5f",
        "title": "Water, GFN2-xTB",
        "people": ["bob", "lise"],
        "groups": ["course-2026"],
        "created": before(hours=3),
        "expires": before(days=-30),
        "link": f"/services/deck/shared/ticket-{identifier}#key-{identifier}",
        "ended": False,
    }
    return ShareView.model_validate(told | changes)


def received(ticket: str = "t1", **changes: Any) -> Received:
    told = {"ticket": ticket, "owner": "grace", "title": "Ammonia inversion", "added": before(days=2)}
    return Received.model_validate(told | changes)


def index_entry(identifier: str, **changes: Any) -> dict[str, Any]:
    """Return an app whose logo is a path, as in the index."""
    entry = store_app(identifier, **changes)
    if isinstance(entry.get("logo"), dict):
        entry["logo"] = entry["logo"]["path"]
    return entry


def installed_app(identifier: str = "molecule", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "title": "Molecule",
        "summary": "Geometry optimisation, vibrational frequencies, IR spectrum and thermochemistry with GFN2-xTB.",
        "current": "1.1.0",
        "versions": ["1.0.0", "1.1.0"],
        "previous": "1.0.0",
        "entry": {"kind": "notebook", "path": "simdeck_molecule/app.ipynb"},
        "logo": "files/ab/logo/molecule.svg",
        "workflows": ["molecule.optimize"],
        "installed": before(days=3),
        **changes,
    }


def run(identifier: str = "6f1c2a90-5f0e-4f3b-9d56-0a5b5d1c7e11", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "workflow": "molecule.optimize",
        "app": "molecule",
        "app_version": "1.1.0",
        "title": "Water, tight convergence",
        "state": "finished",
        "created": before(minutes=42),
        "started": before(minutes=41, seconds=58),
        "ended": before(minutes=41),
        "progress": None,
        "summary": {
            "energy": {"title": "Total energy", "value": -137.9776543, "unit": "eV"},
            "gibbs_energy": {"title": "Gibbs energy at 298.15 K", "value": -137.8791, "unit": "eV"},
            "zero_point_energy": {"title": "Zero-point energy", "value": 0.5583, "unit": "eV"},
        },
        "problem": None,
        "retry_of": None,
        "process": "0a5b5d1c-7e11-4f3b-9d56-6f1c2a905f0e",
        "paused": False,
        **changes,
    }


def running(identifier: str = "1b7e0c52-8a13-4c7d-8d0a-77e3d4f0a2b4", **changes: Any) -> dict[str, Any]:
    energy = {"energy": -1142.31874, "energy_unit": "eV", "fmax": 0.0231, "fmax_unit": "eV/Å"}
    return run(
        identifier,
        **{
            "title": "Caffeine",
            "state": "running",
            "created": before(minutes=2),
            "started": before(minutes=1, seconds=48),
            "ended": None,
            "summary": None,
            "progress": {"stage": "optimise", "step": 23, **energy},
            **changes,
        },
    )


def failed(identifier: str = "c09a4b1e-3f6c-4f53-9f8c-2f1f0a7d9e55", **changes: Any) -> dict[str, Any]:
    problem = {
        "type": "urn:simdeck:problem:calculation-failed",
        "code": "calculation-failed",
        "title": "The calculation failed",
        "status": 422,
        "detail": "The self-consistent field did not converge in 250 iterations at step 3.",
        "remedy": "Check charge and multiplicity; a better starting structure often helps.",
    }
    return run(
        identifier,
        **{
            "title": "Fe(CO)5, triplet",
            "state": "failed",
            "created": before(hours=5),
            "started": before(hours=5),
            "ended": before(hours=4, minutes=52),
            "summary": None,
            "problem": problem,
            **changes,
        },
    )


WORKFLOW = {
    "name": "molecule.optimize",
    "title": "Optimise a molecule",
    "schema": {
        "properties": {
            "structure": {
                "title": "Structure",
                "x-simdeck-type": "structure",
                "description": "One molecule in vacuum.",
            },
            "charge": {"title": "Total charge", "x-simdeck-unit": "e", "description": "Charge of the whole molecule."},
            "fmax": {"title": "Force threshold", "x-simdeck-unit": "eV/Å"},
        }
    },
    "outputs": [
        {"name": "energy", "title": "Total energy", "type": "Float", "unit": "eV"},
        {"name": "frequencies", "title": "Wavenumbers", "type": "List", "unit": "cm⁻¹"},
        {"name": "structure", "title": "Optimised structure", "type": "StructureData", "unit": None},
    ],
}

WATER = "3\nwater\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n"
INPUTS = {"structure": {"name": "water.xyz", "content": WATER}, "charge": 0, "fmax": 0.005, "method": "GFN2-xTB"}
OUTPUTS = {
    "energy": -137.9776543,
    "frequencies": [1539.4, 3643.1, 3651.7],
    "structure": {
        "symbols": ["O", "H", "H"],
        "positions": [[0, 0, 0], [0.77, 0.55, 0], [-0.77, 0.55, 0]],
        "cell": None,
    },
    "converged": True,
}
FILES = [
    {"path": "optimise/trajectory.xyz", "size": 18_402, "node": "a"},
    {"path": "optimise/input.json", "size": 412, "node": "a"},
    {"path": "vibrations/spectrum.csv", "size": 1_204_331, "node": "b"},
]


def energy_events(count: int = 24) -> list[tuple[str, dict[str, Any]]]:
    """Return the progress of an optimisation, with its processes."""
    events: list[tuple[str, dict[str, Any]]] = [
        ("state", {"state": "running"}),
        (
            "step",
            {
                "process": "p1",
                "label": "OptimizeWorkChain",
                "title": "Geometry and vibrations",
                "kind": "work chain",
                "state": "running",
            },
        ),
        (
            "step",
            {
                "process": "p2",
                "label": "XtbCalculation",
                "title": "Geometry optimisation",
                "kind": "calculation",
                "state": "waiting",
            },
        ),
    ]
    for step in range(count):
        energy = -1142.319 + 1.9 * 0.8**step
        data = {"stage": "optimise", "step": step, "energy": energy, "energy_unit": "eV", "fmax": 0.5 * 0.85**step}
        events.append(("progress", data))
    return events


def task(identifier: str = "task-1", **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "kind": "install",
        "app": "molecule",
        "version": "1.1.0",
        "state": "running",
        "step": "build",
        "message": "Installing 41 packages",
        "problem": None,
        "created": before(seconds=9),
        "ended": None,
        **changes,
    }


CATEGORIES = {
    "quantum-chemistry": {"title": "Quantum chemistry", "description": ""},
    "solids": {"title": "Solids and surfaces", "description": ""},
    "dynamics": {"title": "Molecular dynamics", "description": ""},
    "data": {"title": "Data and analysis", "description": ""},
}


def many_entries(count: int) -> list[dict[str, Any]]:
    """Return so many different apps of the store."""
    kinds = list(CATEGORIES)
    words = (
        "Phonons",
        "Band structure",
        "Surface slab",
        "Docking",
        "Diffusion",
        "Equation of state",
        "Elastic constants",
    )
    return [
        index_entry(
            f"app-{number:03d}",
            title=f"{words[number % len(words)]} {number}",
            summary=f"Computes {words[number % len(words)].lower()} and draws the result with units.",
            categories=[kinds[number % len(kinds)]],
            keywords=["dft"] if number % 3 else ["force field"],
            methods=["DFT"] if number % 3 else ["Force field", "Molecular dynamics"],
            codes=["cp2k"] if number % 4 == 0 else [],
            logo=None,
            latest="0.3.1",
            versions=["0.3.1"],
        )
        for number in range(count)
    ]
