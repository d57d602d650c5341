"""What `simdeck doctor` finds, and what it says to do."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from launcher.doctor_node import NODE, OneNode
from simdeck_clusters.executor import Done
from simdeck_clusters.launcher.install import LaunchConfig, Places, agent_words, program_text
from simdeck_clusters.simulated import SimulatedSlurm
from simdeck_common.problems import Problem
from simdeck_hub import doctor, doctor_canary, doctor_cluster, doctor_machine, doctor_site
from simdeck_hub.configure import Runtime
from simdeck_hub.doctor import Examination, Finding, Named
from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.ports import free_ports
from simdeck_hub.site_file import Site


def site_of(**sections: Any) -> Site:
    """Return a site with one cluster; ``sections`` replace those of the site file."""
    given = {
        "servers": {"kind": "slurm"},
        "hub": {"node_address": "127.0.0.1", "ip": "0.0.0.0", "port": free_ports(1)[0]},
        "clusters": [{"name": "main", "partitions": [{"name": "normal"}]}],
    }
    return Site.model_validate(given | sections)


def examination_of(tmp_path: Path, site: Site | None = None) -> Examination:
    data = DataFolder(tmp_path / "data")
    return Examination(site or Site(), data, Checkout(tmp_path), user="alice", patience=0.0)


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def of(found: list[Finding], check: str) -> Finding:
    return next(finding for finding in found if finding.check == check)


# --- the command -----------------------------------------------------------------------------------------------------


def test_on_a_machine_without_clusters_the_fewer_checks_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(doctor.doctor, ["--data", str(tmp_path / "data"), "--json"])
    found = json.loads(done.stdout)
    assert {finding["check"] for finding in found} == {"environments", "data-folder", "sockets", "running", "ports"}
    assert set(found[0]) == {"check", "title", "state", "message", "remedy"}


def test_a_failure_is_told_with_its_remedy_and_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o777)
    (tmp_path / "data").chmod(0o777)
    done = CliRunner().invoke(doctor.doctor, ["--data", str(tmp_path / "data")])
    assert done.exit_code == 1
    assert "✗ Data folder: others can look into" in done.stdout
    assert "→ chmod go-rwx" in done.stdout
    assert "1 failed" in done.stdout.splitlines()[-1]


async def test_a_sites_folder_is_not_to_be_closed_because_its_site_file_was_not_named(tmp_path: Path) -> None:
    examination = examination_of(tmp_path)
    examination.data.make(on_site=True)
    found = of(await doctor_machine.data_folder(examination), "data-folder")
    assert found.state == "warning"
    assert found.remedy.startswith("Name the site file with --site")


def test_the_site_file_of_the_last_start_is_looked_at_when_none_is_named(tmp_path: Path) -> None:
    data = examination_of(tmp_path).data
    data.make()
    assert doctor.own_site_file(data) is None
    used = tmp_path / "elsewhere.toml"
    Runtime(8000, 8001, 8002, 8003, str(used)).write(data)
    assert doctor.own_site_file(data) is None
    used.touch()
    assert doctor.own_site_file(data) == used
    data.site_file.touch()
    assert doctor.own_site_file(data) == data.site_file


async def test_a_check_that_fails_itself_does_not_stop_the_others(tmp_path: Path) -> None:
    async def crash(_: Examination) -> list[Finding]:
        raise RuntimeError("surprise")

    async def refuse(_: Examination) -> list[Finding]:
        raise Problem("cluster-unavailable", cluster="Main", reason="it sleeps")

    async def well(_: Examination) -> list[Finding]:
        return [Finding("well", "Well", "ok", "is well")]

    told: list[Finding] = []
    chosen = [Named("a", "A", crash), Named("b", "B", refuse), Named("c", "C", well)]
    found = await doctor.examine(chosen, examination_of(tmp_path), told.append)
    assert [finding.state for finding in found] == ["failed", "failed", "ok"]
    assert "surprise" in found[0].message
    assert "it sleeps" in found[1].message
    assert told == found


def test_every_check_of_a_site_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = [check.name for check in doctor.checks(examination_of(tmp_path, site_of()))]
    assert len(names) == len(set(names))
    assert {"sudo-rule", "launcher", "munge", "slurm-version", "accounting", "canary", "ports"} <= set(names)


# --- the machine -----------------------------------------------------------------------------------------------------


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = Site.model_validate({"hub": {"port": taken.getsockname()[1]}})
        found = await doctor_machine.ports(examination_of(tmp_path, site))
    assert states(found) == {"ports": "failed"}


async def test_a_path_that_is_too_long_for_sockets_is_told(tmp_path: Path) -> None:
    examination = examination_of(tmp_path / ("x" * 80), site_of())
    assert states(await doctor_machine.sockets(examination)) == {"sockets": "failed"}


async def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examination = examination_of(tmp_path)
    examination.data.make()
    monkeypatch.setattr(doctor_machine, "TOO_LITTLE", 2**80)
    monkeypatch.setattr(doctor_machine, "LITTLE", 2**80)
    assert of(await doctor_machine.data_folder(examination), "disk").state == "failed"


async def test_a_simdeck_that_does_not_run_is_no_fault(tmp_path: Path) -> None:
    assert states(await doctor_machine.running(examination_of(tmp_path))) == {"running": "ok"}


# --- accounts and the launcher ---------------------------------------------------------------------------------------


async def test_a_missing_account_and_group_are_told(tmp_path: Path) -> None:
    site = site_of(service={"user": "nosuchaccount-here", "group": "nosuchgroup-here"})
    found = await doctor_site.accounts(examination_of(tmp_path, site))
    assert states(found) == {"service-user": "failed", "group": "failed"}
    assert "useradd" in of(found, "service-user").remedy


@pytest.fixture
def installed(tmp_path: Path) -> Places:
    """A launcher as an installation leaves it, but for its owner where this is not root."""
    places = Places(tmp_path / "prefix", sudoers=tmp_path / "sudoers")
    places.program.parent.mkdir(parents=True)
    places.program.write_text(program_text())
    places.program.chmod(0o755)
    words = agent_words(Path("/opt/python"), tmp_path / "data" / "agent.json")
    places.config.write_text(LaunchConfig("simdeck", words).text())
    places.config.chmod(0o644)
    return places


def faults(places: Places, tmp_path: Path, **sections: Any) -> str:
    # Whose the files are depends on who runs the tests.
    found = doctor_site.launcher_faults(places, examination_of(tmp_path, site_of(**sections)))
    return "\n".join(fault for fault in found if os.getuid() == 0 or "somebody else" not in fault)


def test_a_launcher_that_fits_the_site_has_no_fault(installed: Places, tmp_path: Path) -> None:
    assert faults(installed, tmp_path) == ""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give files away")
def test_a_launcher_that_is_not_roots_is_told(installed: Places, tmp_path: Path) -> None:
    os.chown(installed.program, 12345, -1)
    assert f"somebody else than root can change {installed.program}" in faults(installed, tmp_path)


def test_a_launcher_in_a_folder_that_others_can_write_is_told(installed: Places, tmp_path: Path) -> None:
    installed.program.parent.chmod(0o777)
    found = list(doctor_site.launcher_faults(installed, examination_of(tmp_path, site_of())))
    assert f"somebody else than root can change {installed.program.parent}" in found


def test_a_launcher_that_says_something_else_than_the_site_file_is_told(installed: Places, tmp_path: Path) -> None:
    assert "names the service user" in faults(installed, tmp_path, service={"user": "another"})
    assert "does not know the cluster second" in faults(installed, tmp_path, clusters=[{"name": "second"}])
    installed.program.chmod(0o700)
    assert "users cannot run" in faults(installed, tmp_path)
    installed.config.write_text("{")
    assert "cannot be read" in faults(installed, tmp_path)
    installed.program.unlink()
    assert "is not there" in faults(installed, tmp_path)


def test_what_others_cannot_reach_is_named() -> None:
    # Pytest's own folders are closed to others, each of them.
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "folder"
        folder.mkdir()
        (folder / "file").write_text("")
        for path, mode in ((Path(top), 0o711), (folder, 0o755), (folder / "file", 0o644)):
            path.chmod(mode)
        assert doctor_site.closed_to_others([folder / "file", folder]) == []
        (folder / "link").symlink_to("file")
        (folder / "file").chmod(0o600)
        assert doctor_site.closed_to_others([folder / "link"]) == [folder / "link", folder / "file"]
        folder.chmod(0o700)
        assert doctor_site.closed_to_others([folder / "file", folder / "none"]) == [folder]
        assert doctor_site.closed_to_others([Path(top) / "none"]) == [Path(top) / "none"]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"agent_runs": True, "unreadable": [], "sbatch": {"main": "slurm-wlm 22.05.8"}}, ["ok"]),
        ({"agent_runs": True, "unreadable": [], "sbatch": {"main": "/x/sbatch: not found"}}, ["ok", "failed"]),
        ({"agent_runs": False, "unreadable": []}, ["failed"]),
        ({"agent_runs": True, "unreadable": ["/opt/x"]}, ["failed"]),
        ({"agent_runs": True, "unreadable": [], "folder_problem": "a link"}, ["failed"]),
    ],
)
def test_a_persons_side_is_judged_by_what_the_launcher_says(said: dict[str, Any], state: list[str]) -> None:
    found = list(doctor_site.side_findings({"home": "/home/alice"} | said, "alice"))
    assert [finding.state for finding in found] == state


# --- Slurm -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> SimulatedSlurm:
    simulated = SimulatedSlurm()
    monkeypatch.setattr(doctor_site, "make_executor", lambda *_: simulated)
    return simulated


async def test_a_cluster_that_answers_is_well(tmp_path: Path, slurm: SimulatedSlurm) -> None:
    examination = examination_of(tmp_path, site_of())
    for check in (doctor_cluster.answers, doctor_cluster.versions):
        assert [finding.state for finding in await check(examination)] == ["ok"]


async def test_an_outage_is_told_with_what_to_look_at(tmp_path: Path, slurm: SimulatedSlurm) -> None:
    slurm.fault("squeue", "error")
    found = await doctor_cluster.answers(examination_of(tmp_path, site_of()))
    assert states(found) == {"slurm-answers": "failed"}
    assert "slurmctld" in found[0].remedy


async def test_a_cluster_that_did_not_answer_is_asked_nothing_more(tmp_path: Path, slurm: SimulatedSlurm) -> None:
    slurm.fault("squeue", "error")
    examination = examination_of(tmp_path, site_of())
    await doctor_cluster.answers(examination)
    for check in (doctor_cluster.versions, doctor_cluster.partitions, doctor_cluster.accounting):
        assert await check(examination) == []
    assert await doctor_canary.small_job(examination) == []


@pytest.mark.parametrize(
    ("conf", "asked"),
    [
        ("AuthType=auth/munge\nAuthInfo=socket=/run/x/socket,ttl=60\n", ["--socket=/run/x/socket"]),
        ("AuthType=auth/munge\n", []),
        ("authtype = auth/slurm\n", None),
    ],
)
async def test_munge_is_asked_at_the_clusters_own_socket(tmp_path, monkeypatch, conf, asked) -> None:
    (tmp_path / "slurm.conf").write_text(conf)
    calls = []

    async def run_process(words, **_):
        calls.append(words)
        return Done(0, "MUNGE:x")

    monkeypatch.setattr(doctor_cluster, "run_process", run_process)
    site = site_of(clusters=[{"name": "main", "slurm_conf": str(tmp_path / "slurm.conf")}])
    found = await doctor_cluster.munge(examination_of(tmp_path, site))
    assert states(found) == {"munge": "skipped" if asked is None else "ok"}
    assert calls == ([] if asked is None else [["munge", "-n", *asked], ["unmunge", *asked]])


async def test_nodes_that_are_all_down_are_told(tmp_path: Path) -> None:
    examination = examination_of(tmp_path, site_of())
    with pytest.MonkeyPatch.context() as patch:
        simulated = SimulatedSlurm(nodes=1)
        patch.setattr(doctor_site, "make_executor", lambda *_: simulated)
        name = next(iter(await doctor_site.cluster_of(examination, examination.site.clusters[0]).nodes()))
        simulated.node_down(name)
        found = await doctor_cluster.answers(examination)
    assert states(found) == {"slurm-answers": "failed"}
    assert "sinfo -R" in found[0].remedy


async def test_a_partition_that_is_not_there_is_told(tmp_path: Path, slurm: SimulatedSlurm) -> None:
    site = site_of(clusters=[{"name": "main", "partitions": [{"name": "nosuch"}]}])
    found = await doctor_cluster.partitions(examination_of(tmp_path, site))
    assert states(found) == {"partitions": "failed"}
    assert "nosuch" in found[0].message


@pytest.mark.parametrize(("setting", "state"), [("auto", "warning"), ("on", "failed"), ("off", "ok")])
async def test_missing_accounting_is_a_warning_unless_the_site_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, state: str
) -> None:
    monkeypatch.setattr(doctor_site, "make_executor", lambda *_: SimulatedSlurm(accounting=False))
    site = site_of(clusters=[{"name": "main", "accounting": setting}])
    assert states(await doctor_cluster.accounting(examination_of(tmp_path, site))) == {"accounting": state}


async def test_commands_that_are_not_found_are_told(tmp_path: Path) -> None:
    site = site_of(clusters=[{"name": "main", "slurm_bin": str(tmp_path)}])
    found = await doctor_cluster.programs(examination_of(tmp_path, site))
    assert found[0].state == "failed"
    assert "sbatch" in found[0].message


@pytest.mark.parametrize(
    ("version", "answer"), [("21.08.8", True), ("22.05.8", False), ("24.11.0-1", False), ("", True)]
)
def test_old_versions_are_told_from_new_ones(version: str, answer: bool) -> None:
    assert doctor_cluster.older(version, doctor_cluster.OLDEST) is answer


# --- the small job ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_canary, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(doctor_canary, "MODULES", ("json",))


async def run_canary(
    tmp_path: Path, cluster: OneNode, monkeypatch: pytest.MonkeyPatch, **sections: Any
) -> list[Finding]:
    examination = examination_of(tmp_path, site_of(**sections))
    monkeypatch.setattr(doctor_canary, "cluster_of", lambda *_: cluster)
    return await doctor_canary.small_job(examination)


@pytest.fixture
def node(tmp_path: Path) -> OneNode:
    (tmp_path / "servers").mkdir()
    return OneNode(tmp_path / "servers")


@pytest.mark.usefixtures("quick")
async def test_a_job_tries_both_ways_the_environment_and_the_clock(tmp_path, node, monkeypatch) -> None:
    found = await run_canary(tmp_path, node, monkeypatch)
    assert states(found) == dict.fromkeys(
        ["canary", "node-to-hub", "node-environment", "hub-to-node", "clock"], "ok"
    ), found
    assert node.ended == ["7"]
    assert os.listdir(node.folder) == []


@pytest.mark.usefixtures("quick")
async def test_a_node_that_does_not_reach_the_hub_is_told(tmp_path, node, monkeypatch) -> None:
    hub = {"node_address": "127.0.0.2", "ip": "127.0.0.3", "port": free_ports(1)[0]}
    found = await run_canary(tmp_path, node, monkeypatch, hub=hub)
    assert of(found, "node-to-hub").state == "failed"
    assert "127.0.0.2" in of(found, "node-to-hub").message
    assert of(found, "hub-to-node").state == "ok"


@pytest.mark.usefixtures("quick")
async def test_a_node_that_cannot_be_reached_is_told(tmp_path, node, monkeypatch) -> None:
    node.node = dataclasses.replace(NODE, address="nosuchhost.invalid")
    found = await run_canary(tmp_path, node, monkeypatch)
    assert of(found, "hub-to-node").state == "failed"
    assert "nosuchhost.invalid" in of(found, "hub-to-node").message


@pytest.mark.usefixtures("quick")
async def test_what_the_environment_lacks_on_the_node_is_told(tmp_path, node, monkeypatch) -> None:
    monkeypatch.setattr(doctor_canary, "MODULES", ("json", "nosuchmodule"))
    found = await run_canary(tmp_path, node, monkeypatch)
    assert of(found, "node-environment").message.endswith("lacks nosuchmodule")


@pytest.mark.usefixtures("quick")
async def test_a_home_that_is_not_shared_is_told(tmp_path, node, monkeypatch) -> None:
    node.shared = False
    node.python = "/bin/true"
    found = await run_canary(tmp_path, node, monkeypatch)
    assert states(found) == {"canary": "failed"}
    assert "shared" in found[0].remedy


@pytest.mark.usefixtures("quick")
async def test_a_python_that_does_not_start_on_the_node_is_told(tmp_path, node, monkeypatch) -> None:
    node.python = "/bin/ls"
    found = await run_canary(tmp_path, node, monkeypatch)
    assert states(found) == {"canary": "failed"}
    assert "Python did not start" in found[0].message


@pytest.mark.usefixtures("quick")
async def test_a_job_that_waits_is_no_failure_and_is_taken_back(tmp_path, node, monkeypatch) -> None:
    node.reason = "Resources"
    found = await run_canary(tmp_path, node, monkeypatch)
    assert states(found) == {"canary": "warning"}
    assert "Resources" in found[0].message
    assert node.ended == ["7"]


@pytest.mark.usefixtures("quick")
async def test_a_refused_job_is_told_and_its_folder_removed(tmp_path, node, monkeypatch) -> None:
    async def refuse(*_: object) -> str:
        raise Problem("cluster-refused", cluster="main", reason="Invalid account", hint="x")

    node.submit = refuse
    found = await run_canary(tmp_path, node, monkeypatch)
    assert states(found) == {"canary": "failed"}
    assert "Invalid account" in found[0].message
    assert os.listdir(node.folder) == []


@pytest.mark.parametrize(("seconds", "state"), [(0.1, "ok"), (-5.0, "warning"), (400.0, "failed")])
def test_clocks_that_differ_are_told(seconds: float, state: str) -> None:
    heard = doctor_canary.Heard(log="x", call="", clock=seconds)
    heard.stages = {"begun": {"host": "cn1", "python": "3.11"}, "reached": {"ports": {}, "urls": {}, "missing": []}}
    found = doctor_canary.judge(heard, site_of().clusters[0], "alice")
    assert of(found, "clock").state == state


def test_lines_of_another_probe_are_not_taken_in() -> None:
    heard = doctor_canary.Heard()
    doctor_canary.read_log(
        heard, 'simdeck-doctor {"stage": "begun", "word": "theirs"}\nsimdeck-doctor {\nnoise\n', "ours"
    )
    assert heard.stages == {}


def test_the_jobs_script_holds_what_the_site_file_says_and_no_secret() -> None:
    settings = site_of(clusters=[{"name": "main", "defaults": {"partition": "debug", "account": "physics"}}]).clusters[
        0
    ]
    text = doctor_canary.script("simdeck-doctor-1", settings, Path("/opt/a b/python"))
    assert "#SBATCH --partition=debug\n" in text
    assert "#SBATCH --account=physics\n" in text
    assert "#SBATCH --export=NONE\n" in text
    assert text.rstrip().endswith("exec '/opt/a b/python' -I .simdeck/servers/simdeck-doctor-1/probe.py")
