"""Every page in every state: it renders, it is safe under the content policy, and it can be used with keyboard and screen reader."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup, Tag
from conftest import Visitor
from deck_pages_lab import BARE_PAGES, LAB_FRAGMENTS, LAB_PAGES, LAB_WORLDS
from deck_pages_samples import HOSTILE, failed, run, running
from deck_pages_worlds import SITE_WORLDS, WORLDS

RUN, RUNNING, FAILED = (str(kind()["id"]) for kind in (run, running, failed))
PAGES = [
    "",
    "store",
    "store?q=phonon&category=solids&installed=1",
    "store/molecule",
    "store/molecule/remove",
    "runs",
    "runs?q=water&state=finished&workflow=molecule.optimize",
    f"runs/{RUN}",
    f"runs/{RUNNING}",
    f"runs/{FAILED}",
    "open/molecule?run=1",
    "account",
    "help",
]
SITE_PAGES = [
    "servers",
    "servers/new",
    "servers/new?app=molecule&run=1&opt-cores=8&opt-gpus=a100:2&opt-partition=gone",
    "servers/-",
    "servers/queue-1?app=phonons&open=1",
    "servers/booting-1",
    "servers/molecule-2",
    "servers/idle-1",
    "servers/nothing",
]
SITE_FRAGMENTS = [
    "servers",
    "servers/card",
    "servers/queue-1/live",
    "servers/molecule-2/live",
    "servers/new/fields?form=1&opt-cluster=alpha&opt-partition=gpu",
    "servers/new/estimate?form=1&opt-cores=x",
    "servers/new/now",
]
FRAGMENTS = ["recent-runs", "server", "store?q=a", "runs", f"runs/{RUNNING}/live", "store/molecule/tasks/task-1"]
Make = Callable[[str], Visitor]

PLAIN_WORLDS = sorted(WORLDS.keys() - SITE_WORLDS.keys() - LAB_WORLDS.keys() - {"stopped"})
CASES = [(world, path) for world in PLAIN_WORLDS for path in PAGES if (world, path) != ("empty", "open/molecule?run=1")]
# Who has not installed the app is led to the store; this is who has.
CASES += [("stopped", "open/molecule?run=1"), ("empty", "store/molecule?version=1.1.0")]
CASES += [(world, path) for world in sorted(SITE_WORLDS) for path in ("", "open/molecule?run=1", *SITE_PAGES)]
CASES += [(world, path) for world in sorted(LAB_WORLDS.keys() - {"bare-lab"}) for path in LAB_PAGES]
CASES += [("bare-lab", path) for path in BARE_PAGES]
every_page = pytest.mark.parametrize(("world", "path"), CASES)


# Rendered once: the tests below only read.
_rendered: dict[tuple[str, str], BeautifulSoup] = {}


async def page_of(visitor: Make, world: str, path: str) -> BeautifulSoup:
    """Return the page of somebody whose server does not run (opening an app would lead on to it)."""
    if (world, path) not in _rendered:
        ada = visitor(world)
        if ada.world.server.answer["state"] == "running":
            ada.world.server.answer = {"state": "starting"}
        answer = await ada.get(path)
        assert answer.status_code in (200, 404, 409, 503)
        _rendered[world, path] = BeautifulSoup(answer.text, "html.parser")
    return _rendered[world, path]


@every_page
async def test_nothing_on_a_page_breaks_the_content_policy(visitor: Make, world: str, path: str) -> None:
    """Scripts and styles come from files; no handler or style hides in an attribute."""
    soup = await page_of(visitor, world, path)
    for script in soup.find_all("script"):
        assert str(script.get("src", "")).startswith("/services/deck/static/")
        assert not script.get_text(strip=True)
    assert not soup.find_all("style")
    for element in soup.find_all(True):
        assert not [name for name in element.attrs if name.startswith("on") or name in ("style", "hx-on", "hx-vals")]
        for name in ("href", "src", "action"):
            assert not str(element.get(name, "")).lower().lstrip().startswith(("javascript:", "data:", "//"))


@every_page
async def test_a_page_has_one_title_and_headings_in_order(visitor: Make, world: str, path: str) -> None:
    soup = await page_of(visitor, world, path)
    assert isinstance(soup.title, Tag)
    assert soup.title.get_text().endswith("Simdeck")
    levels = [int(heading.name[1]) for heading in soup.find_all(["h1", "h2", "h3", "h4", "h5", "h6"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(soup.find_all("main")) == 1
    assert isinstance(soup.html, Tag)
    assert soup.html.get("lang") == "en"


@every_page
async def test_everything_to_press_or_fill_in_has_a_name(visitor: Make, world: str, path: str) -> None:
    soup = await page_of(visitor, world, path)
    labelled = {label.get("for") for label in soup.find_all("label")}
    for element in soup.find_all(["a", "button", "summary"]):
        assert element.get_text(strip=True) or element.get("aria-label") or element.find("img", alt=True), element
    for link in soup.find_all("a"):
        assert link.get("href"), "a link without an address cannot be reached by keyboard"
    for field in soup.find_all(["input", "select", "textarea"]):
        assert field.get("type") == "hidden" or field.get("id") in labelled, field
    for image in soup.find_all("img"):
        assert image.has_attr("alt")
    for drawing in soup.find_all("svg"):
        assert drawing.get("aria-hidden") == "true" or drawing.get("aria-label")
    for table in soup.find_all("table"):
        if "prose" not in str(table.parent.get("class") if table.parent else ""):
            assert all(cell.get("scope") for cell in table.find_all("th")), table


@every_page
async def test_ids_are_unique_and_references_lead_somewhere(visitor: Make, world: str, path: str) -> None:
    soup = await page_of(visitor, world, path)
    ids = [str(element["id"]) for element in soup.find_all(id=True)]
    assert sorted(ids) == sorted(set(ids))
    for element in soup.find_all(True):
        for name in ("aria-labelledby", "for", "data-copy"):
            assert element.get(name) is None or element[name] in ids
        target = element.get("hx-target")
        assert target is None or str(target).removeprefix("#") in ids


@every_page
async def test_every_form_that_changes_something_carries_the_token(visitor: Make, world: str, path: str) -> None:
    soup = await page_of(visitor, world, path)
    for form in soup.find_all("form"):
        if form.get("method") == "post":
            field = form.find("input", {"name": "_xsrf"})
            assert isinstance(field, Tag)
            assert field["value"] == visitor(world).site.xsrf(world)
            assert form.find("button", type="submit"), "works without script"


STRANGERS = [("hostile", path) for path in (*PAGES, *FRAGMENTS)]
STRANGERS += [("hostile-lab", path) for path in (*LAB_PAGES, *LAB_FRAGMENTS)]
STRANGERS += [("hostile-site", path) for path in ("", "open/molecule", *SITE_PAGES, *SITE_FRAGMENTS)]


@pytest.mark.parametrize(("world", "path"), STRANGERS)
async def test_what_a_stranger_wrote_is_shown_and_never_run(visitor: Make, world: str, path: str) -> None:
    answer = await visitor(world).get(path, fragment=path in (*FRAGMENTS, *SITE_FRAGMENTS, *LAB_FRAGMENTS))
    assert answer.status_code < 500
    assert HOSTILE not in answer.text
    soup = BeautifulSoup(answer.text, "html.parser")
    assert not [script for script in soup.find_all("script") if not script.get("src")]
    assert not soup.find_all("img", src="x")
    assert not soup.find_all(onerror=True)


SHARES = [(world, path) for world in PLAIN_WORLDS for path in FRAGMENTS]
SHARES += [(world, path) for world in sorted(LAB_WORLDS.keys() - {"bare-lab"}) for path in LAB_FRAGMENTS]
SHARES += [(world, path) for world in sorted(SITE_WORLDS) for path in SITE_FRAGMENTS]


@pytest.mark.parametrize(("world", "path"), SHARES)
async def test_a_fragment_is_no_whole_page(visitor: Make, world: str, path: str) -> None:
    answer = await visitor(world).get(path, fragment=True)
    assert answer.status_code in (200, 204, 404)
    assert "<html" not in answer.text
    assert "Traceback" not in answer.text


async def test_pages_are_never_kept_by_caches_and_bring_a_strict_policy(visitor: Make) -> None:
    answer = await visitor("busy").get("")
    assert answer.headers["cache-control"] == "no-store"
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]


async def test_static_addresses_change_with_their_content(visitor: Make) -> None:
    soup = await visitor("busy").soup("")
    sheets = [str(link["href"]) for link in soup.find_all("link", rel="stylesheet")]
    assert sheets
    assert all("?v=" in sheet for sheet in sheets)
