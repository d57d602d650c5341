"""Passwords of this machine, through real PAM: as root, and as a service user that may read /etc/shadow."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from auth.auth_hub import Browser, Hub, refusal
from auth.conftest import Accounts, write_secret

pytestmark = pytest.mark.stack
PAM = {"kind": "pam", "contact": "the help desk", "accounts": {"unix_groups": True, "deny": ["sdauthdenied"]}}


@pytest.fixture(scope="module")
def people(accounts: Accounts) -> Accounts:
    """Three people and a system account with a password."""
    if not Path("/etc/pam.d/login").exists():
        pytest.skip("there is no PAM service login on this machine")
    for name in ("sdauthalice", "sdauthdenied", "sdauthexpired"):
        accounts.add(name)
    accounts.add("sdauthsystem", "--system")
    return accounts


@pytest.fixture(scope="module")
def site(people: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Hub(tmp_path_factory.mktemp("pam")) as hub:
        yield hub.start(PAM, unix_accounts=True, groups={"beta": ["sdauthalice"]}, admins=["sdauthalice"])


def test_a_person_signs_in_with_the_accounts_password_and_has_its_groups(site: Hub, people: Accounts) -> None:
    browser = Browser(site)
    page = browser.password("sdauthalice", people.passwords["sdauthalice"])
    assert page.url.path == "/hub/home"
    assert browser.signed_in() == "sdauthalice"
    user = site.user("sdauthalice")
    assert sorted(user["groups"]) == ["beta", "sdauthalice"]
    assert user["admin"] is True


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("sdauthalice", "wrong"),
        ("sdauthalice", ""),
        ("nosuch", "wrong"),
        ("", "wrong"),
        ("sdauthalice", "a\0b"),
        ("é" * 400, "x"),
    ],
)
def test_a_wrong_password_is_refused_without_a_reason(site: Hub, people: Accounts, name: str, password: str) -> None:
    browser = Browser(site)
    page = browser.password(name, password)
    assert page.status_code == 403
    assert refusal(page) == "Invalid username or password"
    assert browser.signed_in() is None


@pytest.mark.parametrize(
    ("name", "words"),
    [("sdauthdenied", "may not sign in here. Ask the help desk"), ("sdauthsystem", "belongs to the system")],
)
def test_who_may_not_sign_in_reads_why_after_the_right_password_alone(
    site: Hub, people: Accounts, name: str, words: str
) -> None:
    wrong = Browser(site).password(name, "wrong")
    assert refusal(wrong) == "Invalid username or password"
    browser = Browser(site)
    page = browser.password(name, people.passwords[name])
    assert page.status_code == 403
    assert words in refusal(page)
    assert browser.signed_in() is None
    assert people.passwords[name] not in site.log()


def test_an_account_that_has_expired_is_refused_by_pam(site: Hub, people: Accounts) -> None:
    browser = Browser(site)
    browser.password("sdauthexpired", people.passwords["sdauthexpired"])
    assert browser.signed_in() == "sdauthexpired"
    subprocess.run(["chage", "--expiredate", "2020-01-01", "sdauthexpired"], check=True)
    page = Browser(site).password("sdauthexpired", people.passwords["sdauthexpired"])
    assert refusal(page) == "Invalid username or password"


def test_the_page_says_which_password_is_meant(site: Hub) -> None:
    text = Browser(site).get("/hub/login").text
    assert "user name and password of your account on this cluster" in text
    assert "One-time" not in text


def test_an_account_outside_the_group_of_the_sudo_rule_is_refused(people: Accounts, hub: Hub) -> None:
    hub.start({"kind": "pam"}, unix_accounts=True, unix_group="sdauthsystem")
    page = Browser(hub).password("sdauthalice", people.passwords["sdauthalice"])
    assert "The account sdauthalice is not in the Unix group sdauthsystem" in refusal(page)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can pass through; pytest keeps its own to itself."""
    folder = Path(tempfile.mkdtemp(prefix="sdauth-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_a_service_user_in_the_group_shadow_checks_passwords_too(people: Accounts, open_folder: Path) -> None:
    root = Path(__file__).parents[2]
    people.add("sdauthhub")
    subprocess.run(["usermod", "--append", "--groups", "shadow", "sdauthhub"], check=True)
    reachable = subprocess.run(
        ["setpriv", "--reuid=sdauthhub", "--regid=sdauthhub", "--clear-groups", str(root / ".venv/bin/python"), "-c", "import simdeck_hub"],
        cwd="/", capture_output=True, check=False,
    )  # fmt: skip
    if reachable.returncode:
        pytest.skip("this checkout cannot be read by other users")
    with Hub(open_folder) as hub:
        subprocess.run(["chown", "-R", "sdauthhub", str(hub.data.root)], check=True)
        hub.user_name = "sdauthhub"
        hub.start({"kind": "pam", "accounts": {"lowest_uid": 1}}, unix_accounts=True)
        browser = Browser(hub)
        browser.password("sdauthalice", people.passwords["sdauthalice"])
        assert browser.signed_in() == "sdauthalice", hub.log()
        # Who signs in as the hub's own user would own the hub.
        page = Browser(hub).password("sdauthhub", people.passwords["sdauthhub"])
        assert "sdauthhub belongs to the system" in refusal(page)


def test_the_shared_password_opens_the_named_accounts_and_is_warned_of(hub: Hub) -> None:
    write_secret(hub, "test-password", "open sesame for tests")
    hub.start({"kind": "shared-password", "password_file": "test-password"}, users=["alice", "bob"])
    assert "One shared password opens every account" in Browser(hub).get("/hub/login").text
    assert "One shared password opens every account of this hub" in hub.log()
    browser = Browser(hub)
    browser.password("bob", "open sesame for tests")
    assert browser.signed_in() == "bob"
    for name, password in (
        ("mallory", "open sesame for tests"),
        ("bob", "wrong"),
        ("bob", "öffne dich"),
        ("root", "open sesame for tests"),
    ):
        page = Browser(hub).password(name, password)
        assert page.status_code == 403, name
        assert refusal(page)
