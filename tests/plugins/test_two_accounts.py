"""An app whose workflows need packages, at a site of two real Unix accounts: admitted once, and there for both."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from simdeck_appstore.build import build_registry
from simdeck_appstore.policy import AppPolicy
from simdeck_appstore.registries import RegistrySource
from simdeck_hub import site_install

sys.path += [str(Path(__file__).parents[1] / name) for name in ("agent", "appstore")]
import site_accounts
from appstore_shop import DESCRIBE
from plugins_wheels import UV, make_backend, write_wheel
from synthetic import write_app, write_source, write_stand_in

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(site_accounts.missing() is not None, reason=site_accounts.missing() or ""),
]
POINTS = {"aiida.workflows": {"demo.work": "nowhere:Work"}}
ASK = """
await launcher.ensure({user!r})
async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(launcher.socket({user!r}))), timeout=60) as c:
    answer = await c.request({method!r}, "http://agent" + {path!r}, json={body!r}, headers={{"X-Simdeck-Groups": "[]"}})
    return {{"status": answer.status_code, "body": answer.json() if answer.content else None}}
"""
PROGRAM = """#!{python} -I
import runpy, site, sys
site.addsitedir({packages!r})
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
DESCRIBED = DESCRIBE.replace(
    '{"name": name}', '{"name": name, "title": "", "summary": "", "schema": {}, "outputs": []}'
)
CHOSEN = """
import site, json, pathlib, subprocess
site.addsitedir({packages!r})
from simdeck_common.layout import account_home
from simdeck_workflows.environments import Environments
python = Environments(account_home(), pathlib.Path({backend!r}), pathlib.Path({apps!r})).python()
told = subprocess.run([python, "-I", "-c", "import honey; print(honey.VERSION)"], capture_output=True, text=True)
print(json.dumps({{"python": str(python), "honey": told.stdout.strip()}}))
"""


@dataclass
class Hall:
    """The site, with an app admitted for everybody by its administrator."""

    site: site_accounts.Site
    apps: Path
    backend: Path
    said: list[dict[str, Any]]

    def ask(self, user: str, method: str, path: str, body: Any = None) -> Any:
        """Ask the agent of ``user``, started through the launcher, in the service's name."""
        return self.site.service(ASK.format(user=user, method=method, path=path, body=body))

    def engine(self, user: str) -> dict[str, str]:
        """Return which Python a worker of ``user`` would be started with, as their account sees it."""
        words = {"packages": site_accounts.packages(), "backend": str(self.backend), "apps": str(self.apps)}
        done = self.site.run(user, site_accounts.PYTHON, "-I", "-c", CHOSEN.format(**words))
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    with site_accounts.Site() as site, pytest.MonkeyPatch.context() as patch:
        base = site.root / "shop"
        for version in ("1.0", "2.0"):
            write_wheel(base / "wheels", "honey", version)
        inside = {f"simdeck_workflows/{name}": "" for name in ("__init__.py", "engine/__init__.py")}
        inside |= {"simdeck_workflows/engine/describe.py": DESCRIBED}
        write_wheel(base / "wheels", "anchor", "1.0", files=inside)
        patch.setenv("UV_FIND_LINKS", str(base / "wheels"))
        patch.setenv("UV_NO_INDEX", "1")
        for name, wanted in (("sweet", ["honey>=1"]), ("bitter", ["honey<2"])):
            write_app(
                base / name, name, manifest={"workflows": ["demo.work"], "backend": wanted}, entry_points=POINTS,
                lock="", source="", dependencies=(),
            )  # fmt: skip
        source = write_source(base / "source", {name: [f"file:../{name}"] for name in ("sweet", "bitter")})
        assert build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck")).problems == []
        patch.setattr(sys, "executable", str(site_accounts.PYTHON))
        backend = make_backend(base / "backend", "anchor")
        # This checkout's own Python may lie where other accounts cannot go.
        program = site.root / "bin" / "python"
        program.write_text(PROGRAM.format(python=site_accounts.PYTHON, packages=site_accounts.packages()))
        program.chmod(0o755)
        patch.setattr(sys, "executable", str(program))
        for path in [base, *base.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        apps = site.root / "apps"
        apps.mkdir(mode=0o755)
        # Neither root's nor the service's: an install runs the app's code.
        os.chown(apps, site.uid(site.outsider), -1)
        policy = AppPolicy.model_validate({"plugins": "admin"})
        site.configure(
            registries=[RegistrySource.of(base / "registry")],
            uv=UV,
            app_python=site_accounts.PYTHON,
            backend_python=backend,
            site_apps=apps,
            apps=policy,
        )
        said = list(site_install.change(site.settings_file, "install", "sweet", None))
        assert "app" in said[-1], said[-1]
        yield Hall(site, apps, backend, said)


def test_what_an_administrator_admits_once_both_peoples_engines_have(hall: Hall) -> None:
    engines = []
    for user in (hall.site.alice, hall.site.bob):
        listed = hall.ask(user, "GET", "/apps")
        assert [(one["id"], one["site_versions"]) for one in listed["body"]["items"]] == [("sweet", ["1.0.0"])]
        workflows = hall.ask(user, "GET", "/workflows")["body"]["items"]
        assert [one["name"] for one in workflows] == ["demo.work"]
        engines.append(hall.engine(user))
        # Theirs is that of all: nobody made one of their own.
        assert not list((hall.site.home(user) / ".simdeck/apps/.backend").glob("backend-*"))
    assert engines[0] == engines[1]
    assert engines[0]["honey"] == "2.0"
    assert Path(engines[0]["python"]).is_relative_to(hall.apps / ".backend")


def test_the_one_copy_is_read_by_all_and_written_by_nobody(hall: Hall) -> None:
    (generation,) = (hall.apps / ".backend").glob("backend-*")
    trees = (generation, hall.apps / "sweet/versions/1.0.0")
    for tree in trees:
        for path in (one for one in tree.rglob("*") if not one.is_symlink()):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert not mode & 0o222, path
            assert mode & 0o444 == 0o444, path
    for user in (hall.site.alice, hall.site.bob):
        for target in (*trees, hall.apps, hall.apps / ".backend", next(generation.glob("lib/python*/site-packages"))):
            assert hall.site.run(user, "touch", target / "mine").returncode != 0, target
        assert hall.site.run(user, "rm", "-f", generation / "generation.json").returncode != 0


def test_what_a_person_alone_wants_admitted_is_refused_in_a_plain_sentence(hall: Hall) -> None:
    user = hall.site.alice
    begun = hall.ask(user, "POST", "/apps/bitter/install", {})
    assert begun["status"] == 202, begun
    path = f"/tasks/{begun['body']['id']}"
    task = site_accounts.wait_for(
        "the refusal", lambda: (found := hall.ask(user, "GET", path)["body"])["ended"] and found
    )
    assert (task["state"], task["problem"]["code"]) == ("failed", "app-needs-admin")
    assert "installed by administrators, for everybody" in task["problem"]["detail"]
    assert [one["id"] for one in hall.ask(user, "GET", "/apps")["body"]["items"]] == ["sweet"]
    assert hall.engine(user)["honey"] == "2.0"


def test_an_app_that_is_retired_for_everybody_leaves_both(hall: Hall) -> None:
    done = list(site_install.change(hall.site.settings_file, "remove", "sweet", None))
    assert "problem" not in done[-1]
    for user in (hall.site.alice, hall.site.bob):
        assert hall.ask(user, "GET", "/apps")["body"]["items"] == []
        assert hall.ask(user, "GET", "/workflows")["body"]["items"] == []
        assert hall.engine(user) == {"python": str(hall.backend), "honey": ""}
    shutil.rmtree(hall.apps / "sweet", ignore_errors=True)
