"""Apps that are web programs, on a real Jupyter server: started on demand on a Unix socket, ended when nobody uses them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from program_apps import install_entry, install_program
from server_extension.conftest import TOKEN, running

JSON = {"Authorization": f"token {TOKEN}", "Accept": "application/json"}
HTML = {"Authorization": f"token {TOKEN}", "Accept": "text/html"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("programs")
    apps = root / "apps"
    install_program(apps, "small")
    install_program(apps, "knows", absolute=True)
    install_program(apps, "fails", "--fail", "no licence was found")
    install_program(apps, "crashes")
    install_program(apps, "slow", "--wait-for", str(root / "go"))
    install_program(apps, "parent", "--child", str(root / "child"))
    install_entry(apps, "tcp", {"kind": "command", "command": ["serve", "--port", "{port}"]})
    install_entry(apps, "missing", {"kind": "command", "command": ["no-such-program", "{unix_socket}"]})
    with running(root, apps, SIMDECK_WARM_APPS="0") as found:
        yield found


def ask(lab: Any, path: str, headers: dict[str, str] = JSON, **more: Any) -> httpx.Response:
    return httpx.get(lab.address + path, headers=headers, timeout=60, **more)


def test_a_program_is_started_by_the_first_who_opens_it_and_gets_the_query(lab: Any) -> None:
    said = ask(lab, "deck/small/?run=4711&x=%3C").json()
    assert (said["path"], said["query"], said["app"]) == ("/", "run=4711&x=<", "small")
    assert said["prefix"] == "/user/ada/deck/small"
    assert ask(lab, "deck/small/deep/page?a=1").json()["path"] == "/deep/page"


def test_one_program_serves_everybody_who_opens_the_app(lab: Any) -> None:
    assert len({ask(lab, "deck/small/").json()["pid"] for _ in range(3)}) == 1


def test_a_program_that_names_its_address_is_asked_by_it(lab: Any) -> None:
    assert ask(lab, "deck/knows/deep?a=1").json()["path"] == "/user/ada/deck/knows/deep"


def test_a_redirect_of_a_program_stays_below_its_app(lab: Any) -> None:
    assert ask(lab, "deck/small/moved", follow_redirects=False).headers["location"] == "/user/ada/deck/small/elsewhere"


def test_nobody_gets_through_to_a_program_without_signing_in(lab: Any) -> None:
    ask(lab, "deck/small/")
    answer = httpx.get(f"{lab.address}deck/small/", headers={"Accept": "application/json"}, follow_redirects=False)
    assert answer.status_code in {302, 403}


def test_a_program_never_sees_what_proves_who_the_person_is(lab: Any) -> None:
    headers = {**JSON, "Cookie": "jupyterhub-session-id=a; _xsrf=b; own=c; jupyter-hub-token=d"}
    said = ask(lab, "deck/small/", headers=headers).json()
    assert (said["cookies"], said["authorization"]) == (["own"], "")


def test_another_site_cannot_send_a_program_s_forms(lab: Any) -> None:
    headers = {**JSON, "Sec-Fetch-Site": "cross-site"}
    assert httpx.post(f"{lab.address}deck/small/die", headers=headers).status_code == 403


def test_the_socket_lies_in_a_folder_of_the_user_alone_and_no_port_is_open(lab: Any) -> None:
    pid = ask(lab, "deck/small/").json()["pid"]
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    socket = Path(words[words.index("--socket") + 1])
    assert stat.S_ISSOCK(socket.stat().st_mode)
    for folder in (socket.parent, socket.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    own = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if one.exists() or one.is_symlink()}
    tcp = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    assert not [line for line in tcp if f"socket:[{line[9]}]" in own]


def test_a_program_for_tcp_only_is_refused_with_the_reason(lab: Any) -> None:
    answer = ask(lab, "deck/tcp/", HTML)
    assert answer.status_code == 404
    assert "every user of this machine could reach" in answer.text
    assert "{unix_socket}" in answer.text


def test_a_program_that_does_not_start_shows_its_last_lines_and_a_retry(lab: Any) -> None:
    lab.until(lambda: ask(lab, "deck/fails/?run=1", HTML).status_code == 502)
    text = ask(lab, "deck/fails/?run=1", HTML).text
    assert "Fails &lt;app&gt; has stopped" in text
    assert "ended while it was starting (exit code 1)" in text
    assert "no licence was found" in text
    assert 'name="query" value="run=1"' in text


def test_a_program_that_is_not_there_is_named(lab: Any) -> None:
    lab.until(lambda: ask(lab, "deck/missing/", HTML).status_code == 502)
    assert "no-such-program: No such file or directory" in ask(lab, "deck/missing/", HTML).text


def test_while_a_program_starts_a_page_says_so_and_then_the_app_is_there(lab: Any) -> None:
    answer = ask(lab, "deck/slow/", HTML)
    assert answer.status_code == 200
    assert "Starting Slow &lt;app&gt;" in answer.text
    assert ask(lab, "deck/api/program/slow").json() == {"state": "starting"}
    (lab.apps.parent / "go").touch()
    lab.until(lambda: ask(lab, "deck/api/program/slow").json() == {"state": "running"})
    assert "Small program" in ask(lab, "deck/slow/", HTML).text


def test_a_crashed_program_is_told_with_its_last_words_and_starts_anew_when_asked(lab: Any) -> None:
    before = ask(lab, "deck/crashes/").json()["pid"]
    httpx.post(f"{lab.address}deck/crashes/die", headers=JSON)
    lab.until(lambda: ask(lab, "deck/crashes/", HTML).status_code == 502)
    with httpx.Client(base_url=lab.address, headers=HTML, timeout=60) as browser:
        page = browser.get("deck/crashes/?a=1")
        assert "ended unexpectedly (exit code 3)" in page.text
        assert "the last words of the program" in page.text
        token = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
        assert token
        answer = browser.post("deck/api/program/crashes", data={"_xsrf": token[1], "query": "a=1"})
        assert answer.headers["location"] == "/user/ada/deck/crashes/?a=1"
    assert ask(lab, "deck/crashes/").json()["pid"] != before


def test_what_a_program_printed_is_kept_in_a_log_of_the_user_alone(lab: Any) -> None:
    ask(lab, "deck/small/")
    log = lab.apps / ".logs" / "small.page.log"
    lab.until(lambda: "the program starts" in log.read_text())
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_an_unused_program_ends_with_all_it_started_and_comes_back_when_opened(tmp_path: Path) -> None:
    install_program(tmp_path / "apps", "parent", "--child", str(tmp_path / "child"))
    with running(tmp_path, tmp_path / "apps", SIMDECK_WARM_APPS="0", SIMDECK_COMMAND_IDLE="1") as lab:
        first = ask(lab, "deck/parent/").json()["pid"]
        child = int((tmp_path / "child").read_text())
        lab.until(lambda: ask(lab, "deck/api/program/parent").json() == {"state": "ended"})
        lab.until(lambda: not alive(first) and not alive(child))
        second = ask(lab, "deck/parent/").json()["pid"]
        assert second != first
    lab.until(lambda: not alive(second))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_program_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    install_program(tmp_path / "apps", "small")
    with running(tmp_path, tmp_path / "apps", SIMDECK_WARM_APPS="0") as lab:
        pid = ask(lab, "deck/small/").json()["pid"]
        lab.process.kill()
        lab.until(lambda: not alive(pid))
