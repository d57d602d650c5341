"""The site file: defaults, and refusals that name file, line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_hub import site_file

REFERENCE = Path(__file__).parents[2] / "docs" / "administrators.md"


def refused(folder: Path, text: str) -> Problem:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Problem) as caught:
        site_file.load(path)
    assert caught.value.code == "site-file"
    return caught.value


def test_without_a_file_the_unix_user_is_the_only_user_and_looks_after_the_site() -> None:
    site = site_file.load(None)
    assert site.hub_users() == [site_file.unix_user()] == site.admins()
    assert site.hub.port == 8000


def test_several_hub_users_are_kept_in_order_and_the_first_looks_after_the_site(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text('[users]\nnames = ["bob", "alice"]\n', encoding="utf-8")
    site = site_file.load(path)
    assert site.hub_users() == ["bob", "alice"]
    assert site.admins() == ["bob"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[hub]\nport = 8000\nprot = 1\n", 3, ["there is no key 'hub.prot'", "log_level, port"]),
        ("\n\n[hubb]\nport = 1\n", 3, ["there is no section 'hubb'", "hub, server"]),
        ("hub.port = 99999\n", 1, ["hub.port", "65535", "99999"]),
        ("[hub]\n# a port\nport = 'eighty'\n", 3, ["hub.port", "eighty"]),
        ("[users]\nnames = ['Alice Smith']\n", 2, ["'Alice Smith' is not a hub user's name", "lower-case"]),
        ("[users]\nnames = ['alice']\nadmins = ['bob']\n", 1, ["bob", "not in names"]),
        ("[hub]\nport = \n", 2, ["not TOML"]),
        ("[server]\nstart_timeout = 1\n", 2, ["server.start_timeout", "Seconds a server may take"]),
    ],
)
def test_a_wrong_line_is_named_with_what_may_stand_there(
    tmp_path: Path, text: str, line: int, words: list[str]
) -> None:
    problem = refused(tmp_path, text)
    assert problem.field == f"{tmp_path / 'site.toml'}:{line}"
    assert f"line {line}:" in problem.detail
    for word in words:
        assert word in problem.detail + problem.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"nosuch\.toml cannot be read: No such file"):
        site_file.load(tmp_path / "nosuch.toml")


def reference_rows() -> set[tuple[str, str]]:
    rows = set()
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 5 and cells[1].startswith("`[") and cells[2].startswith("`"):
            rows.add((cells[1].strip("`[]"), cells[2].strip("`")))
    return rows


def test_the_administrators_page_lists_exactly_the_keys_of_the_model() -> None:
    model: set[tuple[str, str]] = set()
    for section, field in site_file.Site.model_fields.items():
        annotation: Any = field.annotation
        model |= {(section, key) for key in annotation.model_fields}
    assert reference_rows() == model
