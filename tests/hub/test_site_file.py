"""The site file: defaults, and refusals that name file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel
from simdeck_common.problems import Problem
from simdeck_hub import site_file
from simdeck_hub.site_errors import models_in
from simdeck_hub.trial.site_text import site_toml

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
        ("[hub]\nport = 8000\nprot = 1\n", 3, ["there is no key 'hub.prot'", "log_level, node_address, port"]),
        ("\n\n[hubb]\nport = 1\n", 3, ["there is no section 'hubb'", "groups, hub, notices, policies"]),
        ("hub.port = 99999\n", 1, ["hub.port", "65535", "99999"]),
        ("[hub]\n# a port\nport = 'eighty'\n", 3, ["hub.port", "eighty"]),
        ("[users]\nnames = ['Alice Smith']\n", 2, ["'Alice Smith' is not a hub user's name", "lower-case"]),
        ("[users]\nnames = ['alice']\nadmins = ['bob']\n", 1, ["bob", "not in names"]),
        ("[hub]\nport = \n", 2, ["not TOML"]),
        ("[server]\nstart_timeout = 1\n", 2, ["server.start_timeout", "Seconds a server may take"]),
        ("[hub]\ninternal_tls = true\n", 2, ["hub.internal_tls = true is not supported", "Leave it out"]),
        ("[hub]\nip = 'myhost'\n", 2, ["hub.ip", "not an IP address", "opened on"]),
        ("[hub]\npublic_url = 'https://a.example/x'\n", 2, ["hub.public_url", "at the address's root"]),
        ("[servers]\nkind = 'slrum'\n", 2, ["servers.kind", "'slurm'", "batch jobs"]),
        ("[servers]\nkind = 'slurm'\n", 2, ['servers.kind = "slurm" needs a cluster', "[[clusters]]"]),
        ("[groups]\nphysics = ['Alice']\n", 2, ["'Alice' is not a hub user's name"]),
        ("[[clusters]]\nname = 'a'\n[[clusters]]\nname = 'b'\npol = 1\n", 5, ["no key 'clusters.pol'", "poll_seconds"]),
        ("[[clusters]]\ntitle = 'A'\n\n[[clusters]]\nname = 'b'\n", 1, ["clusters lacks the key 'name'"]),
        (
            "[[clusters]]\nname = 'a'\n[[clusters.partitions]]\nname = 'p'\n[[clusters.partitions]]\nname = 'x y'\n",
            6,
            ["clusters.partitions.name", "'x y'"],
        ),
        (
            "[[clusters]]\nname = 'a'\n[[clusters.partitions]]\nname = 'p'\n"
            "[[clusters]]\nname = 'b'\n[[clusters.partitions]]\nname = 'q'\nmax_cores = 0\n",
            9,
            ["clusters.partitions.max_cores", "given: 0"],
        ),
        ("[[presets]]\nname = 's'\ntitle = 'S'\nwalltime = 'long'\n", 4, ["presets.walltime"]),
        (
            "[[environments]]\nname = 'e'\nsource = {kind = 'venv', pth = '/x'}\n",
            3,
            ["no key 'environments.source.pth'", "kind, path"],
        ),
        (
            "[[clusters]]\nname = 'a'\n[[presets]]\nname = 's'\ntitle = 'S'\ncluster = 'z'\n",
            3,
            ["preset s", "called z"],
        ),
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


def written_keys(model: type[BaseModel], place: str = "") -> set[tuple[str, str]]:
    """Return (section, key) of everything that may stand in the file; a table in a table is a section of its own."""
    found: set[tuple[str, str]] = set()
    for name, field in model.model_fields.items():
        key = field.alias or name
        below = models_in(field.annotation)
        section = f"{place}.{key}" if place else key
        for one in below:
            found |= written_keys(one, section)
        if not below:
            found.add((place, key) if place else (key, "name"))
    return found


def test_the_administrators_page_lists_exactly_the_keys_of_the_model() -> None:
    assert reference_rows() == written_keys(site_file.Site)


def test_a_site_of_compute_nodes_must_say_how_they_reach_it(tmp_path: Path) -> None:
    problem = refused(tmp_path, "[servers]\nkind = 'slurm'\n\n[[clusters]]\nname = 'a'\n")
    assert problem.field == f"{tmp_path / 'site.toml'}:2"
    assert "node_address" in problem.detail


def test_a_whole_site_is_read(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        site_toml(
            users=["alice", "bob"], service="simdeck", group="simdeck-users", address="10.77.0.1", port=8000,
            prefix=Path("/opt/simdeck"), clusters={"main": Path("/etc/slurm/slurm.conf"), "old": Path("/etc/old/slurm.conf")},
        ),
        encoding="utf-8",
    )  # fmt: skip
    site = site_file.load(path)
    assert site.on_site
    assert [preset.walltime_minutes for preset in site.resources().presets] == [60, 240]
    assert [cluster.name for cluster in site.clusters] == ["main", "old"]
    assert [offer.name for offer in site.clusters[1].partitions] == ["normal", "debug", "gpu", "preempt"]
