"""The model against known values, and the web program as a browser meets it."""

import pytest
from starlette.testclient import TestClient

from $package.app import app
from $package.model import curve, levels


@pytest.fixture
def client() -> TestClient:
    return TestClient(app)


def test_hydrogen_has_the_zero_point_energy_of_its_morse_potential() -> None:
    # H2: 4.75 eV, 1.94 1/Å, 0.504 u; the zero point of the measured spectrum lies at 0.270 eV.
    assert levels(4.75, 1.94, 0.504)[0] == pytest.approx(0.27, abs=0.01)


def test_the_well_is_deepest_at_the_equilibrium() -> None:
    assert min(curve(4.5, 1.9), key=lambda at: at[1])[0] == pytest.approx(0, abs=0.02)


def test_the_page_asks_only_for_relative_addresses(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert 'fetch("/' not in page.text


def test_a_value_outside_its_limits_is_refused_by_name(client: TestClient) -> None:
    answer = client.get("/numbers?depth=1000")
    assert (answer.status_code, answer.json()["field"]) == (422, "depth")
