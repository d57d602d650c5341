"""What a site's policy offers: apps by name, groups and versions; pure."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from simdeck_appstore import policy as rules
from simdeck_appstore.models import CommandEntry, FileRef, IndexEntry, RegistryApp, Release
from simdeck_appstore.policy import AppPolicy
from simdeck_common.problems import Problem


def policy(**keys: Any) -> AppPolicy:
    return AppPolicy.model_validate(keys)


def rule(**keys: Any) -> AppPolicy:
    return policy(rules=[{"app": "wave", **keys}])


def entry(*versions: str, app: str = "wave") -> IndexEntry:
    return IndexEntry(id=app, title=app, summary="", latest=versions[0], versions=list(versions))


def document(*versions: str) -> RegistryApp:
    ref = FileRef(name="x", path="files/00/0/x", sha256="0" * 64, size=1)
    releases = [
        Release(version=version, wheel=ref, lock=ref, package="wave", entry=CommandEntry(command=["x"]))
        for version in versions
    ]
    return RegistryApp(id="wave", title="Wave", summary="", latest=versions[0], releases=releases)


@pytest.mark.parametrize(
    ("made", "groups", "seen"),
    [
        (policy(), (), True),
        (policy(allow=["wave"]), (), True),
        (policy(allow=["wa*"]), (), True),
        (policy(allow=["other"]), (), False),
        (policy(deny=["wave"]), (), False),
        (policy(allow=["wave"], deny=["w*"]), (), False),
        (rule(groups=["physics"]), (), False),
        (rule(groups=["physics"]), ("chemistry",), False),
        (rule(groups=["physics"]), ("chemistry", "physics"), True),
        (rule(groups=["*"]), (), True),
        (
            policy(rules=[{"app": "*", "groups": ["staff"]}, {"app": "wave", "groups": ["physics"]}]),
            ("physics",),
            False,
        ),
        (policy(rules=[{"app": "other", "groups": ["physics"]}]), (), True),
        (rule(groups=["physics"]), None, True),
        (policy(deny=["wave"]), None, False),
    ],
)
def test_an_app_is_offered_by_name_and_group(made: AppPolicy, groups: tuple[str, ...] | None, seen: bool) -> None:
    assert rules.is_offered(made, "wave", groups) is seen


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({}, ["2.0", "1.1", "1.0"]),
        ({"pinned": "1.1"}, ["1.1"]),
        ({"pinned": "1.1.0"}, ["1.1"]),
        ({"pinned": "~=1.0"}, ["1.1", "1.0"]),
        ({"retired": ["1.0", ">=2"]}, ["1.1"]),
        ({"pinned": "<2", "retired": ["1.1"]}, ["1.0"]),
    ],
)
def test_pinned_and_retired_versions_decide_what_is_listed(keys: dict[str, Any], kept: list[str]) -> None:
    found = rules.offered(rule(**keys), document("2.0", "1.1", "1.0"), ())
    card = rules.offered_entry(rule(**keys), entry("2.0", "1.1", "1.0"), ())
    assert found is not None
    assert card is not None
    assert [release.version for release in found.releases] == kept == card.versions
    assert found.latest == card.latest == kept[0]


def test_an_app_of_which_no_version_is_left_is_not_offered() -> None:
    assert rules.offered(rule(pinned="9"), document("2.0"), ()) is None
    assert rules.offered_entry(rule(pinned="9"), entry("2.0"), ()) is None


def test_a_version_that_is_no_python_version_is_named_as_it_is() -> None:
    assert rules.covers("first-try", "first-try")
    assert not rules.covers("<2", "first-try")


def test_a_hidden_app_is_refused_as_if_there_were_none() -> None:
    with pytest.raises(Problem) as hidden:
        rules.check(rule(groups=["physics"]), "wave", None, ())
    assert (hidden.value.code, hidden.value.status) == ("app-not-found", 404)


def test_a_retired_version_is_refused_with_its_reason() -> None:
    with pytest.raises(Problem) as caught:
        rules.check(rule(retired=["<2"]), "wave", "1.0", ())
    assert (caught.value.code, caught.value.status) == ("version-not-offered", 403)
    assert "1.0 of wave" in caught.value.detail


def test_only_groups_that_a_rule_names_make_a_difference() -> None:
    assert rules.relevant(rule(groups=["physics"]), ["staff", "physics"]) == {"physics"}


@pytest.mark.parametrize(
    "keys",
    [{"deny": ["a b"]}, {"rules": [{"app": ""}]}, {"rules": [{"app": "a", "pinned": "<<2"}]}, {"plugins": "all"}],
)
def test_what_means_nothing_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(**keys)
