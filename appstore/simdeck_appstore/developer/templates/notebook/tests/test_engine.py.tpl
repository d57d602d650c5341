"""The engine against known values of the EMT potential."""

import pytest
from $package.engine import equation_of_state


@pytest.mark.parametrize(("element", "constant"), [("Cu", 3.59), ("Al", 4.00), ("Au", 4.06)])
def test_the_lattice_constant_is_that_of_the_potential(element: str, constant: float) -> None:
    assert equation_of_state(element, 11)["lattice_constant"] == pytest.approx(constant, abs=0.03)


def test_progress_is_told_for_every_volume() -> None:
    lines: list[dict[str, float]] = []
    equation_of_state("Cu", 7, lines.append)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
