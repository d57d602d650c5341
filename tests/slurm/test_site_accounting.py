"""A site whose Slurm keeps accounts: balances, qualities of service and groups' policies, over REST and in a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from simdeck_hub.trial import machine
from simdeck_hub.trial.trial import Options, Trial
from slurm.site_stack import SiteStack, missing_for_slurm
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]
ALICE, BOB = "sda-alice", "sda-bob"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE = 120_000  # ms
GROUPS = f"""
[groups]
staff = ["{ALICE}"]
guests = ["{BOB}"]
"""
POLICIES = """
[[policies]]
groups = ["staff"]

[[policies]]
groups = ["guests"]
partitions = ["debug"]
max_cores = 1
max_walltime = "0:20:00"
"""
OPTIONS = Options(
    folder=Path("/var/lib/simdeck-trial-accounts"), users=(ALICE, BOB), service="sda-service", group="sda-people",
    accounting=True, extra=GROUPS + POLICIES,
)  # fmt: skip
ASKED = {"partition": "normal", "cores": 1, "memory": "512 MiB", "walltime": "0:20:00", "account": "science"}


class AccountedTrial(Trial):
    """A trial with two accounts of little money, a quality of service that refuses, and one nobody may use."""

    def start_cluster(self) -> None:
        super().start_cluster()
        for words in (
            ("modify", "account", "science", "set", "GrpTRESMins=cpu=600"),
            ("add", "account", "thrift"),
            ("modify", "account", "thrift", "set", "GrpTRESMins=cpu=30"),
            ("add", "user", ALICE, "Account=thrift"),
            ("add", "qos", "brief"),
            ("modify", "qos", "brief", "set", "MaxWall=00:10:00", "Flags=DenyOnLimit"),
            ("add", "qos", "locked"),
            ("modify", "user", ALICE, "set", "qos=normal,brief"),
        ):
            self.slurm.slurm("sacctmgr", "--immediate", *words)


class AccountedSite(SiteStack):
    """The site on that cluster."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, extra=OPTIONS.extra, options=OPTIONS)
        self.trial = AccountedTrial(self.options, say=self._say)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountedSite]:
    reason = missing_for_slurm()
    packages = machine.missing_packages(accounting=True)
    if reason or packages:
        pytest.skip(reason or f"`apt-get install {' '.join(packages)}` adds them")
    with AccountedSite(tmp_path_factory.mktemp("accounts")) as running:
        yield running
    assert not running.run.exists()


@pytest.fixture(scope="module")
def alice(site: AccountedSite) -> Iterator[httpx.Client]:
    with site.client(ALICE) as client:
        wait_for("the accounts to be known", lambda: offered(client)["accounts"], 180)
        yield client


def offered(client: httpx.Client) -> dict[str, Any]:
    """Return what may be chosen."""
    (cluster,) = client.get("/clusters").json()["items"]
    return dict(cluster)


def refused(answer: httpx.Response) -> tuple[str, str]:
    """Return field and words of a refusal."""
    assert answer.is_client_error, answer.text
    problem = answer.json()
    return problem["field"], f"{problem['detail']} {problem['remedy']}"


def test_accounts_are_offered_with_what_is_left_of_them(alice: httpx.Client) -> None:
    shown = offered(alice)
    assert shown["accounting"] is True
    accounts = {one["name"]: (one["core_hours_limit"], one["default"]) for one in shown["accounts"]}
    assert accounts == {"science": (10.0, True), "thrift": (0.5, False)}
    assert all(0 <= one["core_hours_left"] <= one["core_hours_limit"] for one in shown["accounts"])
    assert shown["qos"] == ["brief", "normal"]


def test_the_price_stands_beside_what_is_left(alice: httpx.Client) -> None:
    options = ASKED | {"cores": 2, "walltime": "2:00:00"}
    cost = alice.post("/server/estimate", json={"options": options}).json()["cost"]
    assert cost["core_hours"] == 4
    assert 9 < cost["balance"] <= 10


def test_an_account_or_quality_of_service_of_others_is_refused_by_its_field(alice: httpx.Client) -> None:
    field, words = refused(alice.post("/server/estimate", json={"options": ASKED | {"qos": "locked"}}))
    assert field == "qos"
    assert "brief" in words
    field, words = refused(alice.post("/server/estimate", json={"options": ASKED | {"account": "other"}}))
    assert field == "account"
    assert "thrift" in words


def test_a_quality_of_service_that_slurm_refuses_is_told_before_and_at_the_start(alice: httpx.Client) -> None:
    options = ASKED | {"qos": "brief"}
    _, words = refused(alice.post("/server/estimate", json={"options": options}))
    assert "QOS" in words or "quality of service" in words, words
    assert alice.post("/servers/refused", json={"options": options}).status_code in {202, 400, 403, 409, 422}

    def failed() -> dict[str, Any] | None:
        view: dict[str, Any] = alice.get("/servers/refused").json()
        return view if view["phase"] == "failed" else None

    failure = wait_for("the refusal", failed)["failure"]
    assert failure["code"] == "cluster-refused"
    assert failure["remedy"]
    alice.delete("/servers/refused?remove=true")


def test_a_job_that_waits_for_money_says_so_in_plain_words(alice: httpx.Client) -> None:
    assert alice.post(
        "/servers/poor", json={"options": ASKED | {"account": "thrift", "walltime": "2:00:00"}}
    ).is_success

    def waits() -> dict[str, Any] | None:
        job: dict[str, Any] = alice.get("/servers/poor").json()["job"] or {}
        return job if job.get("reason") and job["reason"].startswith("Assoc") else None

    job = wait_for("Slurm's reason", waits)
    assert job["reason"] == "AssocGrpCPUMinutesLimit"
    assert "account" in job["reason_text"]
    assert job["remedy"]
    alice.delete("/servers/poor?remove=true")


def test_a_group_gets_what_its_policy_says_and_no_more(site: AccountedSite, alice: httpx.Client) -> None:
    assert len(offered(alice)["partitions"]) == 4
    with site.client(BOB) as bob:
        (partition,) = offered(bob)["partitions"]
        assert partition["name"] == "debug"
        assert (partition["limits"]["cores"], partition["limits"]["walltime_minutes"]) == (1, 20)
        options = {"partition": "debug", "cores": 1, "memory": "512 MiB", "walltime": "0:20:00"}
        assert bob.post("/server/estimate", json={"options": options}).is_success
        for change in ({"partition": "normal"}, {"cores": 2}, {"walltime": "0:30:00"}):
            field, _ = refused(bob.post("/servers/more", json={"options": options | change}))
            assert field == {"walltime": "walltime_minutes"}.get(name := next(iter(change)), name)


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(site: AccountedSite, alice: httpx.Client) -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(site.url)
        page.get_by_label("User name").fill(ALICE)
        page.get_by_label("One-time password").fill(site.passwords[ALICE])
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{site.url}/services/deck/")
        yield page
        chromium.close()


@pytest.mark.browser
def test_the_form_shows_accounts_their_balance_and_the_price(site: AccountedSite, page: Page) -> None:
    page.goto(f"{site.url}/services/deck/servers/new")
    page.get_by_text("All options").click()
    page.locator("#opt-account").select_option("thrift")
    expect(page.locator("#hint-account")).to_contain_text("0.5")
    expect(page.locator("#estimate")).to_contain_text(re.compile("core-hour"))


@pytest.mark.browser
def test_a_refusal_by_slurm_stands_in_the_form(site: AccountedSite, page: Page) -> None:
    page.goto(f"{site.url}/services/deck/servers/new")
    page.get_by_text("All options").click()
    page.locator("#opt-qos").select_option("brief")
    expect(page.locator("#estimate")).to_contain_text(re.compile("refused|QOS", re.IGNORECASE))


@pytest.mark.browser
def test_the_page_of_a_waiting_server_says_that_the_account_is_empty(site: AccountedSite, page: Page) -> None:
    page.goto(f"{site.url}/services/deck/servers/new")
    page.get_by_text("All options").click()
    page.locator("#opt-account").select_option("thrift")
    page.locator("#opt-walltime_minutes").fill("2:00:00")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("main")).to_contain_text("AssocGrpCPUMinutesLimit")
    expect(page.locator("main")).to_contain_text(re.compile("account"))


# --- the site file changes -------------------------------------------------------------------------------------------


def test_who_is_taken_out_of_a_group_loses_what_it_allowed(site: AccountedSite) -> None:
    with site.client(BOB) as bob:
        assert offered(bob)["partitions"]
    text = site.trial.site_file.read_text()
    site.stop_up()
    site.trial.site_file.write_text(text.replace(GROUPS, ""))
    site.start_up()
    with site.client(BOB) as bob:
        assert bob.get("/clusters").json()["items"] == []
