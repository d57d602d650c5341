"""The hub's own pages in Simdeck's look: they extend JupyterHub's templates and fill only blocks that those have."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupyterhub
import pytest
import simdeck_hub
from bs4 import BeautifulSoup
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH

OURS = Path(simdeck_hub.__file__).parent / "templates"
HUB = Path(DATA_FILES_PATH) / "templates"
NAMES = sorted(path.name for path in OURS.glob("*.html"))
BLOCK = re.compile(r"{%-?\s*block\s+(\w+)")


def environment() -> Environment:
    """Return Jinja as JupyterHub sets it up with our ``template_paths``."""
    loader = ChoiceLoader([PrefixLoader({"templates": FileSystemLoader(HUB)}), FileSystemLoader([OURS, HUB])])
    return Environment(loader=loader, autoescape=True)


def render(name: str, user: str | None = "ada", **values: Any) -> BeautifulSoup:
    shown = (
        SimpleNamespace(name=user, json_escaped_name=user, spawner=SimpleNamespace(options_form="")) if user else None
    )
    context = {
        "base_url": "/hub/",
        "prefix": "/",
        "user": shown,
        "static_url": lambda path, **_: f"/hub/static/{path}",
        "login_url": "/hub/login",
        "logout_url": "/hub/logout",
        "parsed_scopes": {},
        "services": [],
        "authenticator": SimpleNamespace(request_otp=False),
        "authenticator_login_url": "/hub/login?next=",
        "username": "",
        "xsrf": "token",
        "default_server": SimpleNamespace(active=True),
        "site_name": "Simdeck",
        "deck_url": "/services/deck/",
        **values,
    }
    return BeautifulSoup(environment().get_template(name).render(context), "html.parser")


@pytest.mark.parametrize("name", NAMES)
def test_only_blocks_of_the_hubs_template_are_filled(name: str) -> None:
    """A block that JupyterHub does not know would silently not be shown after an upgrade."""
    parents = [(HUB / "page.html").read_text(), (HUB / name).read_text(), (HUB / "error.html").read_text()]
    known = {block for text in parents for block in BLOCK.findall(text)}
    assert set(BLOCK.findall((OURS / name).read_text())) <= known


@pytest.mark.parametrize("name", [name for name in NAMES if name != "spawn.html"])
def test_every_page_has_our_frame(name: str) -> None:
    soup = render(name, status_code=404, status_message="Not Found", api_tokens=[], oauth_clients=[])
    assert [link["href"] for link in soup.select("link[rel=stylesheet]")][-1] == "/hub/simdeck/hub.css"
    assert soup.title.get_text(strip=True) == "Simdeck"  # type: ignore[union-attr]
    assert soup.select_one(".simdeck-brand")["href"] == "/services/deck/"  # type: ignore[index]
    assert soup.select_one("#dark-theme-toggle"), "the hub's script looks for it"


def test_the_sign_in_page_says_where_the_password_is() -> None:
    soup = render("login.html", user=None, login_error="Invalid username or password")
    text = soup.get_text(" ", strip=True)
    assert "printed where Simdeck was started" in text
    assert "simdeck password" in text
    assert "Invalid username or password" in text
    labelled = {label["for"] for label in soup.select("label")}
    assert {"username_input", "password_input"} <= labelled
    form = soup.select_one("form")
    assert form is not None
    assert form.select_one("input[name=_xsrf]")["value"] == "token"  # type: ignore[index]
    assert soup.select_one("#password_input")["autocomplete"] == "one-time-code"  # type: ignore[index]


def test_another_sign_in_keeps_the_hubs_button_without_our_hint() -> None:
    soup = render("login.html", user=None, login_service="OIDC")
    assert "Sign in with OIDC" in soup.get_text()
    assert "simdeck password" not in soup.get_text()


def test_a_failed_start_leads_on() -> None:
    soup = render("not_running.html", failed=True, failed_message="out of memory", spawn_url="/hub/spawn/ada")
    assert "out of memory" in soup.get_text()
    assert soup.select_one("#start")["href"] == "/hub/spawn/ada"  # type: ignore[index]


def test_what_the_hub_says_is_escaped() -> None:
    soup = render("not_running.html", failed=True, failed_message="<script>x</script>", spawn_url="/hub/spawn")
    assert "x" not in [script.get_text() for script in soup.find_all("script")]
    assert render("login.html", user=None, username='"><img src=x>').find("img", src="x") is None


def test_the_files_the_pages_name_are_there() -> None:
    static = OURS.parent / "static"
    named = {match for path in OURS.glob("*.html") for match in re.findall(r"simdeck/([\w.]+)\"", path.read_text())}
    assert named
    assert all((static / name).is_file() for name in named)


def test_the_hub_is_of_the_version_these_pages_were_made_for() -> None:
    assert jupyterhub.__version__.split(".")[0] == "6"
