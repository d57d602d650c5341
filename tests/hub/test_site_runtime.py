"""What differs on a site: addresses nodes can reach, ports that stay, folders users may pass through."""

from __future__ import annotations

import importlib.util
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest
from simdeck_hub import scopes, site_file
from simdeck_hub.configure import Runtime
from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.ports import free_ports
from simdeck_hub.progress import Progress
from simdeck_hub.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
SITE = """
[hub]
node_address = "{address}"
{more}
[servers]
kind = "slurm"

[[clusters]]
name = "main"
"""


def site_of(folder: Path, address: str = "127.0.0.1", more: str = "") -> site_file.Site:
    path = folder / "site.toml"
    path.write_text(SITE.format(address=address, more=more), encoding="utf-8")
    return site_file.load(path)


def supervisor(folder: Path, site: site_file.Site) -> Supervisor:
    return Supervisor(DataFolder(folder / "data"), Checkout.find(), site, None, 8000, Progress())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_on_a_site_users_pass_through_the_data_folder_and_enter_nothing_private(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.make(on_site=True)
    assert mode(data.root) == 0o711
    assert mode(data.public) == 0o755
    assert {mode(path) for path in (data.hub, data.private, data.logs, data.users, data.agents)} == {0o700}


def test_without_clusters_the_data_folder_is_closed(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    data.make()
    assert mode(data.root) == 0o700


def test_nodes_are_told_an_address_they_can_reach(tmp_path: Path) -> None:
    runtime = supervisor(tmp_path, site_of(tmp_path, "10.9.8.7"))._runtime()
    assert runtime.ip == runtime.hub_ip == "10.9.8.7"
    assert runtime.api == "http://10.9.8.7:8000/services/deck/api/v1"
    assert runtime.hub_api == f"http://10.9.8.7:{runtime.hub_port}/hub/api"


def test_a_name_for_the_nodes_opens_the_ports_on_every_address(tmp_path: Path) -> None:
    more = 'public_url = "https://deck.example.org"\n'
    runtime = supervisor(tmp_path, site_of(tmp_path, "hub.cluster", more))._runtime()
    assert runtime.ip == runtime.hub_ip == "0.0.0.0"
    assert (runtime.here, runtime.address) == ("http://127.0.0.1:8000", "https://deck.example.org")
    assert runtime.api.startswith("http://hub.cluster:8000/")


def test_the_hubs_own_port_is_the_last_starts(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    one = supervisor(tmp_path, site)
    one.data.make(on_site=True)
    first = one._runtime()
    first.write(one.data)
    assert supervisor(tmp_path, site)._runtime().hub_port == first.hub_port


def test_the_hubs_own_port_can_be_given(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    assert supervisor(tmp_path, site_of(tmp_path, more=f"api_port = {port}\n"))._runtime().hub_port == port


def test_without_clusters_everything_listens_on_this_machine_alone(tmp_path: Path) -> None:
    runtime = supervisor(tmp_path, site_file.load(None))._runtime()
    assert isinstance(runtime, Runtime)
    assert {runtime.ip, runtime.hub_ip} == {"127.0.0.1"}
    assert runtime.api == runtime.own_api


def test_who_looks_after_a_site_holds_no_scope_to_become_somebody_else() -> None:
    (role,) = [role for role in scopes.roles(["ada"], on_site=True) if role["name"] == "simdeck-admin"]
    forbidden = ("access:", "tokens", "admin:", "inherit", "self", "groups", "users:")
    assert not [scope for scope in role["scopes"] if scope.startswith(forbidden)]


@pytest.fixture
def prefix_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "bootstrap"))
    spec = importlib.util.spec_from_file_location("prefix_for_test", ROOT / "bootstrap" / "prefix.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delitem(sys.modules, "environments", raising=False)
    return module


def test_a_prefix_is_opened_for_all_to_read_and_for_nobody_to_write(tmp_path: Path, prefix_module: ModuleType) -> None:
    folder = tmp_path / "prefix" / "bin"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "program").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "program").chmod(0o700)
    (folder / "notes").write_text("", encoding="utf-8")
    (folder / "notes").chmod(0o600)
    secret = tmp_path / "secret"
    secret.write_text("", encoding="utf-8")
    secret.chmod(0o600)
    (folder / "link").symlink_to(secret)
    prefix_module.readable_by_all(tmp_path / "prefix")
    assert [mode(folder), mode(folder / "program"), mode(folder / "notes"), mode(secret)] == [
        0o755,
        0o755,
        0o644,
        0o600,
    ]
