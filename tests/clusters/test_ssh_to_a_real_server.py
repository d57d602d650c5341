"""The ssh executor against a real sshd: which keys it takes, what it says of others, what arrives at the far side."""

import os
import shlex
import signal

import pytest
from clusters.ssh_server import SshServer, find_sshd, make_key
from simdeck_clusters.cluster import Cluster
from simdeck_clusters.executor import SshExecutor
from simdeck_clusters.settings import ClusterSettings
from simdeck_common.problems import Problem

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(find_sshd() is None, reason="`apt-get install openssh-server` adds sshd"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with SshServer(tmp_path_factory.mktemp("sshd")) as started:
        yield started


@pytest.fixture
def server(running):
    running.know(running.host_key)
    return running


async def test_words_arrive_at_the_far_side_as_they_are(server):
    words = ["printf", "%s\\n", "a b", "$(id)", "`x`", "'q'", '"', "*", ";", "\\", "ü", ""]
    done = await SshExecutor(server.settings()).run(words)
    assert done.ok, done.err
    assert done.out.split("\n")[:-1] == words[2:]


async def test_input_environment_and_status_go_there_and_back(server):
    executor = SshExecutor(server.settings(), {"SLURM_CONF": "/etc/one.conf"})
    ask = 'cat; echo "$SLURM_TIME_FORMAT $SLURM_CONF"; echo wrong >&2; exit 7'
    done = await executor.run(["sh", "-c", ask], stdin=b"given\n")
    assert (done.code, done.unreached, done.out, done.err) == (7, False, "given\n%s /etc/one.conf\n", "wrong\n")


async def test_a_host_whose_key_is_not_known_is_refused_with_a_plain_sentence(server):
    server.know("")
    done = await SshExecutor(server.settings()).run(["echo", "reached"])
    assert (done.unreached, done.out) == (True, "")
    assert done.message.startswith(f"the host key of 127.0.0.1 (port {server.port}) is not known here")
    assert server.known_hosts.read_text() == ""


async def test_a_host_whose_key_has_changed_is_refused_with_a_plain_sentence(server, tmp_path):
    other = make_key(tmp_path / "other")
    server.know(other)
    done = await SshExecutor(server.settings()).run(["echo", "reached"])
    assert (done.unreached, done.out) == (True, "")
    assert done.message.startswith(f"the host key of 127.0.0.1 (port {server.port}) is not the one known here")
    assert other in server.known_hosts.read_text()


async def test_people_read_why_the_cluster_was_not_asked(server):
    server.know("")
    settings = ClusterSettings(name="far", executor="ssh", ssh=server.settings())
    with pytest.raises(Problem) as refused:
        await Cluster(settings, SshExecutor(settings.ssh)).queue()
    assert refused.value.code == "cluster-unavailable"
    assert "is not known here" in refused.value.detail


async def test_a_key_the_host_does_not_take_is_told(server, tmp_path):
    make_key(tmp_path / "stranger")
    done = await SshExecutor(server.settings(identity=tmp_path / "stranger")).run(["echo", "reached"])
    assert (done.unreached, done.out) == (True, "")
    assert "Permission denied" in done.message


async def test_a_command_that_hangs_there_is_given_up_here(server, tmp_path):
    pid = tmp_path / "pid"
    hang = f"echo $$ > {shlex.quote(str(pid))}; exec sleep 600"
    # Long enough to sign in; what is waited for is the end.
    done = await SshExecutor(server.settings()).run(["sh", "-c", hang], timeout=4)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert (done.unreached, done.ok) == (True, False)
