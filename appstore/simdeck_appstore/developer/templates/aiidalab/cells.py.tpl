"""Cells of the common metals, by ASE."""

from __future__ import annotations

from ase.build import bulk

METALS = ("Cu", "Al", "Au", "Fe", "Na")


def measure(symbol: str) -> dict[str, float]:
    """Return the volume of one atom in Å³ and the distance to its nearest neighbour in Å."""
    atoms = bulk(symbol)
    pair = atoms.repeat((2, 2, 2))
    return {"volume": float(atoms.get_volume() / len(atoms)), "distance": float(pair.get_all_distances(mic=True)[0, 1:].min())}
