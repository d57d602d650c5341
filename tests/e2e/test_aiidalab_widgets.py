"""A real AiiDAlab app: ``aiidalab-widgets-base`` from PyPI, installed from a registry, in real Chromium, on the user's profile."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer, InstallerSettings

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("appstore", "server_extension")]

from aiidalab_apps import notebook
from aiidalab_fixtures import write_files
from appstore_shop import UV
from server_extension.conftest import running
from synthetic import write_source, write_stand_in

NIGHTLY = "SIMDECK_CHAOS_ROUNDS" in os.environ

pytestmark = [
    pytest.mark.skipif(not NIGHTLY, reason="installs a hundred packages from PyPI; `make nightly` does"),
    pytest.mark.browser,
    pytest.mark.backend,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium on this machine"),
]

SHOTS = Path(__file__).parents[1] / "artifacts" / "aiidalab"
PATIENCE = 240_000
"""Importing the package is seconds of work on an idle machine."""

SETUP_CFG = (
    "[aiidalab]\ntitle = Structures\n\n[metadata]\nname = structures\nversion = 1.0.0\ndescription = Real widgets.\n"
)
CELLS = [
    "%%javascript\nIPython.OutputArea.prototype._should_scroll = function(lines) { return false; };",
    "%load_ext aiida\n%aiida",
    "import ipywidgets as ipw\nfrom aiida import orm\nimport aiidalab_widgets_base as awb\n"
    "class Step(ipw.VBox, awb.WizardAppWidgetStep):\n    def can_reset(self): return True\n"
    "structures = awb.StructureManagerWidget(\n"
    "    importers=[awb.StructureUploadWidget(title='From computer')], node_class='StructureData')\n"
    "display(awb.WizardAppWidget(steps=[('Select a structure', Step([structures])), ('Submit', Step([ipw.Label('go')]))]))",
    "button = ipw.Button(description='Store a node')\nsaid = ipw.HTML('')\n"
    "button.on_click(lambda _: setattr(said, 'value', f\"<i id='stored'>{orm.Str('from the page').store().uuid}</i>\"))\n"
    "display(ipw.VBox([button, said]))",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    base = tmp_path_factory.mktemp("widgets-base")
    app = write_files(
        base / "structures",
        {
            "setup.cfg": SETUP_CFG,
            "requirements.txt": "aiidalab-widgets-base~=2.5\n",
            "start.md": "[Structures](./main.ipynb)\n",
        },
    )
    notebook(app / "main.ipynb", *CELLS)
    source = write_source(base / "source", {"structures": ["file:../structures"]})
    assert build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck")).problems == []
    apps = base / "ada" / "apps"
    Installer(apps, InstallerSettings(registries=[base / "registry"], uv=UV)).install("structures")
    with running(base, apps, SIMDECK_WARM_APPS="0") as found:
        yield found


@pytest.fixture
def page(lab: Any, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{lab.address}api/status?token=test-token")
    yield page
    context.close()


def test_real_aiidalab_widgets_are_drawn_and_store_into_the_user_s_own_profile(lab: Any, page: Page) -> None:
    page.goto(f"{lab.address}deck/structures/")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Structures", exact=True).click()
    app = opened.value
    app.set_default_timeout(PATIENCE)
    expect(app.get_by_text("Step 1: Select a structure")).to_be_visible(timeout=PATIENCE)
    expect(app.get_by_text("Upload Structure (0)")).to_be_visible()
    app.get_by_role("button", name="Store a node").click()
    stored = app.locator("#stored").inner_text()
    SHOTS.mkdir(parents=True, exist_ok=True)
    app.screenshot(path=SHOTS / "widgets-base.png", full_page=True)
    found = subprocess.run(
        [str(backend_python()), "-c", f"import aiida; aiida.load_profile(); from aiida import orm; print(orm.load_node('{stored}').value)"],
        env={**os.environ, "AIIDA_PATH": str(lab.apps.parent / "workflows" / "aiida")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.stdout.strip(), found.stderr) == ("from the page", "")


def test_an_app_whose_aiida_cannot_read_the_profile_says_so_and_is_kept_away_from_it(lab: Any, page: Page) -> None:
    folder = lab.apps.parent / "workflows" / "aiida" / ".aiida"
    config = json.loads((folder / "config.json").read_text())
    newer = {**config, "CONFIG_VERSION": {"CURRENT": 99, "OLDEST_COMPATIBLE": 99}}
    (folder / "config.json").write_text(json.dumps(newer))
    try:
        page.goto(f"{lab.address}apps/apps/structures/")
        expect(page.get_by_role("note")).to_contain_text("the two cannot share their files")
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab.address}apps/apps/structures/main.ipynb", timeout=PATIENCE)
        expect(page.locator("#sd-failure")).to_contain_text("the two cannot share their files")
        page.screenshot(path=SHOTS / "other-aiida.png", full_page=True)
        assert json.loads((folder / "config.json").read_text()) == newer
    finally:
        (folder / "config.json").write_text(json.dumps(config))


def test_the_profile_s_storage_is_the_one_the_backend_makes(lab: Any) -> None:
    from simdeck_deck.server_extension.aiida_profile import own_aiida, profile_of

    profile = profile_of(lab.apps)
    own = own_aiida(backend_python().parents[1])
    assert own is not None
    assert (profile.config, profile.storage) == ((own.config, own.config), own.storage)
    database = next((profile.folder / ".aiida").rglob("database.sqlite"))
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def backend_python() -> Path:
    from simdeck_hub.places import Checkout

    return Checkout.find().backend_python
