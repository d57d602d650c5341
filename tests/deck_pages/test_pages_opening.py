"""A result opens in the version of its app that made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deck_pages_samples import run
from deck_pages_servers import running_job

Make = Callable[[str], Any]
RUN = str(run()["id"])


def made_by(visitor: Make, version: str, world: str = "shop") -> Any:
    """A visitor whose run was made by ``version``, with the server running."""
    ada = visitor(world)
    ada.world.agent.runs = [run(app_version=version)]
    ada.world.server.answer = {"state": "running"}
    return ada


async def test_a_result_of_the_version_in_use_opens_at_the_apps_address(visitor: Make) -> None:
    answer = await made_by(visitor, "1.1.0").get(f"open/molecule?run={RUN}")
    assert answer.headers["location"] == f"/user/shop/deck/molecule/?run={RUN}"


async def test_a_result_of_an_older_version_opens_in_that_one(visitor: Make) -> None:
    answer = await made_by(visitor, "1.0.0").get(f"open/molecule?run={RUN}")
    assert answer.headers["location"] == f"/user/shop/deck/molecule@1.0.0/?run={RUN}"


async def test_a_result_of_a_missing_version_says_which_and_offers_it_beside(visitor: Make) -> None:
    ada = made_by(visitor, "2.0.0")
    page = await ada.soup(f"open/molecule?run={RUN}")
    assert "Molecule 2.0.0 is not installed" in page.h1.text
    form = page.select_one('form[action$="/store/molecule/install"]')
    fields = {one["name"]: one["value"] for one in form.find_all("input") if one["name"] != "_xsrf"}
    assert fields == {"version": "2.0.0", "beside": "1", "run": RUN}
    assert page.find("a", string="Open in 1.1.0")["href"].endswith(f"open/molecule?run={RUN}&version=current")
    assert ada.world.agent.sent == []


async def test_a_version_that_nobody_offers_any_more_can_only_be_replaced(visitor: Make) -> None:
    page = await made_by(visitor, "0.1.0").soup(f"open/molecule?run={RUN}")
    assert "the store no longer offers 0.1.0" in page.text
    assert page.select_one('form[action$="/store/molecule/install"]') is None


async def test_the_version_in_use_can_be_asked_for(visitor: Make) -> None:
    answer = await made_by(visitor, "2.0.0").get(f"open/molecule?run={RUN}&version=current")
    assert answer.headers["location"] == f"/user/shop/deck/molecule/?run={RUN}"


async def test_a_version_opens_without_a_result(visitor: Make) -> None:
    answer = await made_by(visitor, "1.1.0").get("open/molecule?version=1.0.0")
    assert answer.headers["location"] == "/user/shop/deck/molecule@1.0.0/"


async def test_an_unknown_run_opens_in_the_version_in_use(visitor: Make) -> None:
    answer = await made_by(visitor, "1.0.0").get("open/molecule?run=no-such-run")
    assert answer.headers["location"] == "/user/shop/deck/molecule/?run=no-such-run"


async def test_the_version_is_kept_on_the_way_through_a_job(visitor: Make) -> None:
    ada = made_by(visitor, "0.9.0", "site")
    ada.world.agent.apps[0] |= {"versions": ["1.1.0", "0.9.0"], "current": "1.1.0"}
    ada.world.servers.views = []
    form = await ada.soup(f"open/molecule?run={RUN}")
    assert form.find("input", {"name": "app"})["value"] == "molecule@0.9.0"
    answer = await ada.post("servers/new", form="1", app="molecule@0.9.0", run=RUN, name="mine")
    assert f"servers/mine?app=molecule%400.9.0&run={RUN}&open=1" in answer.headers["location"]
    assert ada.world.servers.started[0][1]["app"] == "molecule"
    ada.world.servers.views = [running_job(name="mine")]
    page = await ada.get(f"servers/mine?app=molecule%400.9.0&run={RUN}&open=1")
    found = page.headers.get("location", "") + page.text
    assert f"deck/molecule@0.9.0/?run={RUN}" in found


async def test_the_page_leads_to_the_result_once_its_version_is_there(visitor: Make) -> None:
    ada = visitor("shop")
    answer = await ada.post("store/molecule/install", version="2.0.0", beside="1", run=RUN)
    assert answer.headers["location"].endswith(f"store/molecule?task=new-id&run={RUN}")
    ada.world.agent.tasks = [
        {
            "id": "new-id",
            "app": "molecule",
            "kind": "add",
            "state": "done",
            "version": "2.0.0",
            "created": "2026-11-21T12:00:00Z",
        }
    ]
    page = await ada.soup(f"store/molecule?task=new-id&run={RUN}")
    assert page.find(id="run-waits").a["href"].endswith(f"open/molecule?run={RUN}")
