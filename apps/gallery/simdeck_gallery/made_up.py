"""A database of two structures, answered without a network."""

from __future__ import annotations

import json
from typing import Any

import httpx

SILICA: dict[str, Any] = {
    "id": "made-up-2",
    "type": "structures",
    "attributes": {
        "chemical_formula_reduced": "O2Si",
        "chemical_formula_descriptive": "SiO2",
        "dimension_types": [1, 1, 1],
        "lattice_vectors": [[0.0, 3.58, 3.58], [3.58, 0.0, 3.58], [3.58, 3.58, 0.0]],
        "cartesian_site_positions": [
            [0.0, 0.0, 0.0], [1.79, 1.79, 1.79],
            [0.895, 0.895, 0.895], [0.895, 2.685, 2.685], [2.685, 0.895, 2.685], [2.685, 2.685, 0.895],
        ],
        "species": [
            {"name": "Si", "chemical_symbols": ["Si"], "concentration": [1.0]},
            {"name": "O", "chemical_symbols": ["O"], "concentration": [1.0]},
        ],
        "species_at_sites": ["Si", "Si", "O", "O", "O", "O"],
        "structure_features": [],
    },
}  # fmt: skip
SILICON: dict[str, Any] = {
    "id": "made-up-1",
    "type": "structures",
    "attributes": {
        **SILICA["attributes"],
        "chemical_formula_reduced": "Si",
        "chemical_formula_descriptive": "Si",
        "lattice_vectors": [[0.0, 2.7155, 2.7155], [2.7155, 0.0, 2.7155], [2.7155, 2.7155, 0.0]],
        "cartesian_site_positions": [[0.0, 0.0, 0.0], [1.35775, 1.35775, 1.35775]],
        "species_at_sites": ["Si", "Si"],
    },
}


def answers() -> httpx.AsyncClient:
    """A client whose every question about silicon is answered with silicon, about anything else with silica."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/info"):
            return httpx.Response(200, json={"data": {"attributes": {"available_licenses": ["CC0-1.0"]}}})
        asked = request.url.params.get("filter", "")
        data = [SILICON] if '"O"' not in asked and "O2Si" not in asked else [SILICA]
        return httpx.Response(200, text=json.dumps({"data": data}))

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))
