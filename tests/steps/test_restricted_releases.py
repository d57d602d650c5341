"""What of an app's releases is offered to whom, where some are for groups alone."""

from __future__ import annotations

from typing import Any

import pytest
from simdeck_appstore.models import IndexEntry, RegistryApp
from simdeck_appstore.policy import OPEN, offered, offered_entry, version_for
from simdeck_common.problems import Problem

FILE = {"name": "x", "path": f"files/{'0' * 64}/x", "sha256": "0" * 64, "size": 1}


def release(version: str, *groups: str) -> dict[str, Any]:
    entry = {"kind": "workflow"}
    return {"version": version, "wheel": FILE, "lock": FILE, "package": "x", "entry": entry, "groups": list(groups)}


LAW = RegistryApp.model_validate(
    {"id": "law", "title": "Law", "summary": "S.", "latest": "2.0", "releases": [release("2.0", "lab"), release("1.0")]}
)
CARD = IndexEntry(id="law", title="Law", summary="S.", latest="2.0", versions=["2.0", "1.0"], groups={"2.0": ["lab"]})


@pytest.mark.parametrize(
    ("groups", "versions"), [(["lab"], ["2.0", "1.0"]), (["x"], ["1.0"]), ([], ["1.0"]), (None, ["2.0", "1.0"])]
)
def test_a_restricted_release_is_offered_to_its_groups_alone(groups: list[str] | None, versions: list[str]) -> None:
    document, card = offered(OPEN, LAW, groups), offered_entry(OPEN, CARD, groups)
    assert document is not None
    assert card is not None
    assert ([one.version for one in document.releases], document.latest) == (versions, versions[0])
    assert (card.versions, card.latest) == (versions, versions[0])


def test_the_newest_version_is_the_newest_that_is_for_whoever_installs() -> None:
    assert version_for(OPEN, LAW, None, ["lab"]) == "2.0"
    assert version_for(OPEN, LAW, None, []) == "1.0"
    assert version_for(OPEN, LAW, "1.0", []) == "1.0"
    with pytest.raises(Problem) as hidden:
        version_for(OPEN, LAW, "2.0", ["x"])
    assert hidden.value.code == "app-not-found"
