"""The view a structure starts in."""

from __future__ import annotations

import math
import random

import pytest
from simdeck_widgets.orientation import best_view, turn
from simdeck_widgets.viewer import StructureViewer

WATER = [[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]]


def seen(positions: list[list[float]]) -> list[list[float]]:
    rotation, centre = best_view(positions)
    return [[x - c for x, c in zip(turn(rotation, p), centre, strict=True)] for p in positions]


def spread(points: list[list[float]], axis: int) -> float:
    values = [p[axis] for p in points]
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values)


def test_water_lies_flat_with_its_oxygen_up() -> None:
    oxygen, *hydrogens = seen(WATER)
    assert [p[2] for p in (oxygen, *hydrogens)] == pytest.approx([0, 0, 0], abs=1e-9)
    assert sorted(p[0] for p in hydrogens) == pytest.approx([-0.763, 0.763])
    assert oxygen[1] == pytest.approx(0.298)
    assert hydrogens[0][1] == pytest.approx(-0.298)


@pytest.mark.parametrize("seed", range(5))
def test_a_view_is_a_rotation_with_the_widest_side_across(seed: int) -> None:
    rng = random.Random(seed)
    points = [[rng.gauss(0, s) + 7 for s in (0.5, 3, 1)] for _ in range(20)]
    (a, b, c), _ = best_view(points)
    determinant = sum(a[i] * (b[(i + 1) % 3] * c[(i + 2) % 3] - b[(i + 2) % 3] * c[(i + 1) % 3]) for i in range(3))
    assert determinant == pytest.approx(1)
    shown = seen(points)
    assert spread(shown, 0) > spread(shown, 1) > spread(shown, 2)
    assert math.dist(shown[3], shown[9]) == pytest.approx(math.dist(points[3], points[9]))


def test_the_middle_of_what_is_seen_is_the_middle_of_the_stage() -> None:
    shown = seen([[5.0, 1.0, 2.0], [9.0, 1.0, 2.0], [6.0, 3.0, 2.0]])
    for axis in range(3):
        values = [p[axis] for p in shown]
        assert max(values) == pytest.approx(-min(values))


def test_a_molecule_on_a_line_lies_across() -> None:
    shown = seen([[0, 0, 0], [0, 0, 1.16], [0, 0, -1.16]])
    assert sorted(p[0] for p in shown) == pytest.approx([-1.16, 0, 1.16])


@pytest.mark.parametrize("positions", [[], [[1.0, 2.0, 3.0]]])
def test_little_or_nothing_has_a_view_too(positions: list[list[float]]) -> None:
    assert all(p == pytest.approx([0, 0, 0]) for p in seen(positions))


def test_a_picture_leaves_the_positions_as_they_are() -> None:
    viewer = StructureViewer()
    viewer.show(["O", "H", "H"], WATER, trajectory=[WATER, WATER])
    assert viewer.positions == WATER
    assert viewer.trajectory == [WATER, WATER]
    assert [abs(x) for x in viewer.view["rotation"][2]] == pytest.approx([1, 0, 0], abs=1e-6)
