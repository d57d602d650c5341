"""What each verb of the launcher does, and what it refuses."""

from __future__ import annotations

import json
import os
import stat

import pytest
from simdeck_clusters.launcher import simdeck_launch as launch

HOSTILE = [
    "", ".", "..", "../up", "a/b", "/etc", "-x", "--help", "a b", "a\nb", "a\0b", "a;b", "$(id)", "`id`", "ä", "a" * 101,
    "a\n", ".hidden", "٣",
]  # fmt: skip


def files(**contents: object) -> str:
    return json.dumps({"files": {name.replace("_", "."): content for name, content in contents.items()}})


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("verb", ["write", "sbatch", "sbatch-test", "read", "clean", "scancel"])
def test_an_argument_that_is_not_a_plain_name_is_refused(verb, name):
    with pytest.raises(launch.Refused):
        launch.checked([verb, name])


@pytest.mark.parametrize("job", ["0", "-1", "+1", "1 2", "1,2", "12_3", "1-9", "1e3", "1234567890123", "all"])
@pytest.mark.parametrize("verb", ["scancel", "signal"])
def test_a_job_id_is_one_positive_number(verb, job):
    with pytest.raises(launch.Refused):
        launch.checked([verb, job, *(["TERM"] if verb == "signal" else [])])


@pytest.mark.parametrize("name", ["KILL", "STOP", "term", "9", "SIGTERM", "USR1,TERM", ""])
def test_only_some_signals_can_be_sent(name):
    with pytest.raises(launch.Refused):
        launch.checked(["signal", "12", name])


@pytest.mark.parametrize(
    "argv",
    [
        [], [""], ["help"], ["sh"], ["-c", "id"], ["agent", "a", "b"], ["write"], ["write", "a", "b"], ["sbatch"],
        ["sbatch", "a", "main", "c"], ["sbatch", "a", "--wrap=id"], ["scancel", "1", "--user=bob"], ["check", "x"],
        ["signal", "1"], ["agent", "a b"], ["agent", "--settings"],
    ],
)  # fmt: skip
def test_an_unknown_verb_or_a_wrong_number_of_arguments_is_refused(argv):
    with pytest.raises(launch.Refused):
        launch.checked(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["agent"], ["agent", "alice@example.org"], ["write", "simdeck-1a2b3c4d-17"], ["sbatch", "a"], ["sbatch", "a", "main"],
        ["sbatch-test", "a"], ["scancel", "4711"], ["signal", "4711", "USR1"], ["read", "a"], ["clean", "a"], ["check"],
    ],
)  # fmt: skip
def test_a_plain_request_passes(argv):
    assert launch.checked(argv) == (argv[0], argv[1:])


def test_a_cluster_that_root_did_not_name_is_refused(side):
    with pytest.raises(launch.Refused, match="no such cluster"):
        side.run("scancel", "1", "elsewhere")
    assert not side.record.exists()


# --- write -----------------------------------------------------------------------------------------------------------


def test_files_are_written_for_the_user_alone(side):
    assert side.run("write", "a", given=files(server_json={"token": "t"}, job_sh="#!/bin/sh\n")) == 0
    folder = side.servers / "a"
    assert json.loads((folder / "server.json").read_text()) == {"token": "t"}
    assert (folder / "job.sh").read_text() == "#!/bin/sh\n"
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert {mode(path) for path in (folder, folder.parent, folder.parent.parent)} == {0o700}


def test_an_open_folder_is_closed_to_others_before_a_secret_is_written(side):
    (side.servers / "a").mkdir(parents=True)
    for folder in (side.servers / "a", side.servers, side.servers.parent):
        folder.chmod(0o777)
    side.run("write", "a", given=files(server_json="{}"))
    assert {mode(path) for path in (side.servers / "a", side.servers, side.servers.parent)} == {0o700}


@pytest.mark.parametrize("planted", [".simdeck", ".simdeck/servers", ".simdeck/servers/a"])
def test_a_link_in_place_of_a_folder_is_not_followed(side, tmp_path, planted):
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "home" / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(launch.Refused, match="is not a folder"):
        side.run("write", "a", given=files(server_json="{}"))
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_untouched(side, tmp_path):
    target = tmp_path / "precious"
    target.write_text("as it was")
    (side.servers / "a").mkdir(parents=True)
    (side.servers / "a" / "server.json").symlink_to(target)
    side.run("write", "a", given=files(server_json="{}"))
    assert target.read_text() == "as it was"
    assert not (side.servers / "a" / "server.json").is_symlink()


def test_a_folder_in_place_of_a_file_is_left_alone_and_nothing_half_written_stays(side):
    (side.servers / "a" / "server.json").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011
        side.run("write", "a", given=files(server_json="{}"))
    assert os.listdir(side.servers / "a") == ["server.json"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a folder to somebody else")
def test_a_folder_of_somebody_else_is_refused(side):
    side.servers.mkdir(parents=True)
    os.chown(side.servers, 12345, 12345)
    with pytest.raises(launch.Refused, match="does not belong to"):
        side.run("write", "a", given=files(server_json="{}"))


@pytest.mark.parametrize(
    "given",
    [
        b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"files": {}}', b'{"files": []}', b'{"files": {"a": 1}}',
        b'{"files": {"../a": ""}}', b'{"files": {"a/b": ""}}', b'{"files": {".a": ""}}', b'{"files": {"": ""}}',
        b'{"files": {"a\\u0000": ""}}', b'{"files": {"a": "\\ud800"}}', b'{"files": {"a": ["x"]}}',
        b"[" * 100_000, json.dumps({"files": {f"f{n}": "" for n in range(17)}}).encode(),
    ],
)  # fmt: skip
def test_input_that_is_not_what_it_must_be_is_refused_and_writes_nothing(side, given):
    with pytest.raises(launch.Refused):
        side.run("write", "a", given=given)
    assert not (side.servers / "a").exists()


def test_a_refusal_never_repeats_the_secret(side):
    with pytest.raises(launch.Refused) as refused:
        side.run("write", "a", given='{"files": {"server.json": ["token-of-alice"]}}')
    assert "token-of-alice" not in str(refused.value)


@pytest.mark.parametrize("verb", ["write", "sbatch", "sbatch-test"])
def test_more_input_than_a_megabyte_is_refused(side, verb):
    with pytest.raises(launch.Refused, match="larger than"):
        side.run(verb, "a", given=b" " * (launch.INPUT_LIMIT + 1))
    assert not side.record.exists()


# --- Slurm -----------------------------------------------------------------------------------------------------------


def test_a_script_is_submitted_with_its_log_in_the_servers_folder(side, capfd):
    assert side.run("sbatch", "a", given="#!/bin/sh\n") == 0
    asked = side.asked()
    assert asked["argv"] == ["--parsable", f"--output={side.servers}/a/job.log"]
    assert asked["input"] == "#!/bin/sh\n"
    assert (side.servers / "a").is_dir()
    assert capfd.readouterr().out == "4711\n"


def test_a_test_submission_says_so(side):
    side.run("sbatch-test", "a", given="#!/bin/sh\n")
    assert side.asked()["argv"][0] == "--test-only"


@pytest.mark.parametrize(
    ("argv", "asked"),
    [(["scancel", "12"], ["12"]), (["signal", "12", "USR1"], ["--batch", "--signal=USR1", "12"])],
)
def test_a_job_is_ended_or_signalled_by_its_id_alone(side, argv, asked):
    assert side.run(*argv) == 0
    assert side.asked()["argv"] == asked


def test_nothing_of_the_callers_environment_is_passed_on(side):
    side.run("sbatch", "a", given="#!/bin/sh\n")
    environment = side.asked()["environment"]
    environment.pop("LC_CTYPE", None)
    assert environment == {
        "LANG": "C.UTF-8", "SITE": "here", "PATH": "/usr/bin:/bin", "HOME": side.account.home,
        "USER": "alice", "LOGNAME": "alice", "SHELL": "/bin/sh",
    }  # fmt: skip


def test_another_cluster_is_asked_with_its_own_configuration(side):
    side.run("scancel", "12", "other")
    assert side.asked()["environment"]["SLURM_CONF"] == "/etc/slurm-other/slurm.conf"


def test_slurms_refusal_is_passed_on(side):
    from launcher.conftest import command

    command(side.record.parent / "bin" / "sbatch", side.record, answer="", status=3)
    assert side.run("sbatch", "a", given="#!/bin/sh\n") == 3


def test_a_command_that_hangs_is_given_up(side):
    hanging = side.record.parent / "bin" / "scancel"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    side.config = side.config._replace(seconds=0.2)
    with pytest.raises(launch.Refused) as refused:
        side.run("scancel", "12")
    assert refused.value.status == launch.LATE


# --- read and clean --------------------------------------------------------------------------------------------------


def test_reading_gives_the_logs_end_and_the_end_record(side, capfd):
    side.run("write", "a", given=files(end_json={"code": 1}))
    (side.servers / "a" / "job.log").write_bytes(b"x" * (launch.LOG_TAIL + 5) + b"\nlast words\n")
    assert side.run("read", "a") == 0
    said = json.loads(capfd.readouterr().out)
    assert len(said["log"]) == launch.LOG_TAIL
    assert said["log"].endswith("\nlast words\n")
    assert said["end"] == {"code": 1}
    assert said["files"] == ["end.json", "job.log"]


def test_reading_what_is_not_there_gives_nothing(side, capfd):
    side.run("read", "never")
    assert json.loads(capfd.readouterr().out) == {"log": "", "end": None, "files": []}
    assert not side.servers.exists()


@pytest.mark.timeout(20)
def test_a_pipe_or_a_link_in_place_of_the_log_is_not_read(side, tmp_path, capfd):
    (side.servers / "a").mkdir(parents=True)
    os.mkfifo(side.servers / "a" / "job.log")
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    (side.servers / "a" / "end.json").symlink_to(tmp_path / "secret.json")
    side.run("read", "a")
    said = json.loads(capfd.readouterr().out)
    assert (said["log"], said["end"]) == ("", None)


def test_cleaning_removes_the_folder_and_follows_no_link(side, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("as it was")
    folder = side.servers / "a" / "deep" / "deeper"
    folder.mkdir(parents=True)
    (folder / "file").write_text("")
    (side.servers / "a" / "link").symlink_to(precious)
    (side.servers / "b").symlink_to(precious)
    for name in ("a", "b", "never"):
        assert side.run("clean", name) == 0
    assert list(side.servers.iterdir()) == []
    assert (precious / "file").read_text() == "as it was"


# --- the program's own checks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"service_user": "nobody-of-that-name"}', b"{"])
def test_a_broken_configuration_is_refused(broken):
    with pytest.raises(launch.Refused, match=r"launch\.json is not valid"):
        launch.parse_config(broken)


def test_a_configuration_that_others_could_have_written_is_refused(tmp_path):
    path = tmp_path / "launch.json"
    path.write_text("{}")
    path.chmod(0o666)
    with pytest.raises(launch.Refused, match="writable by root alone"):
        launch.read_config(str(path))


@pytest.mark.parametrize(
    ("uid", "why"), [(0, "root"), (990, "account of the system"), (1500, "service user"), (4_000_000, "no account")]
)
def test_the_program_refuses_to_be_anybody_but_a_user(side, monkeypatch, uid, why):
    monkeypatch.setattr(os, "getuid", lambda: uid)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    with pytest.raises(launch.Refused, match=why):
        launch.who(side.config._replace(service_uid=1500))


def test_the_agent_needs_a_listening_unix_socket(side):
    import socket

    with socket.socket(socket.AF_UNIX) as idle, socket.create_server(("127.0.0.1", 0)) as tcp:
        for handle in (idle.fileno(), tcp.fileno(), os.open(os.devnull, os.O_RDONLY)):
            with pytest.raises(launch.Refused, match="not a listening Unix socket"):
                launch.must_listen(handle)
