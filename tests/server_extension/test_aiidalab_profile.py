"""``load_profile()`` in a page of an AiiDAlab app: the user's own profile, kept from every AiiDA that would harm it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiidalab_apps import install_tree
from server_extension.conftest import running
from simdeck_deck.server_extension.aiida_profile import (
    OwnAiida,
    Profile,
    elsewhere,
    own_aiida,
    profile_of,
    refusal,
    wanted,
)
from simdeck_hub.places import Checkout

BACKEND = Checkout.find().backend_python
STORE = (
    "from aiida import load_profile, orm\nprofile = load_profile()\n"
    "print('profile', profile.name, orm.Str('from the page').store().uuid)"
)


@pytest.mark.parametrize(
    ("own", "reads"),
    [
        (OwnAiida("2.9.4", 10, 2), True),
        (OwnAiida("2.7.0", 9, 2), False),  # cannot read the configuration
        (OwnAiida("3.0.0", 11, 2), False),  # would rewrite the configuration
        (OwnAiida("3.0.0", 10, 3), False),  # would change the storage
        (OwnAiida("1.6.9", 0, 0), False),
    ],
)
def test_only_an_aiida_that_leaves_the_profile_s_files_as_they_are_may_use_it(own: OwnAiida, reads: bool) -> None:
    assert (refusal(own, Profile(Path("/p"), (10, 10), 2)) == "") is reads


def test_before_there_is_a_profile_the_backend_s_own_version_decides() -> None:
    version = str(wanted()).removeprefix("~=")
    assert refusal(OwnAiida(version, 10, 2), Profile(Path("/p"))) == ""
    words = refusal(OwnAiida("1.6.9", 5, 0), Profile(Path("/p")))
    assert "AiiDA 1.6.9" in words
    assert str(wanted()) in words


def test_a_folder_that_is_no_profile_is_one_that_has_not_been_made(tmp_path: Path) -> None:
    folder = tmp_path / "workflows" / "aiida" / ".aiida"
    folder.mkdir(parents=True)
    for text in ("", "[]", "{}", '{"CONFIG_VERSION": {}, "profiles": {"x": {}}}'):
        (folder / "config.json").write_text(text)
        assert not profile_of(tmp_path / "apps").made


def test_a_profile_that_lives_on_another_machine_is_left_alone(tmp_path: Path) -> None:
    assert elsewhere(tmp_path / "apps") == ""
    (tmp_path / "run-hub-node").symlink_to("/tmp")
    assert "on another machine" in elsewhere(tmp_path / "apps")
    (tmp_path / f"run-{socket.gethostname()}").symlink_to("/tmp")
    assert elsewhere(tmp_path / "apps") == ""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("profile")
    apps = root / "ada" / "apps"
    tree = install_tree(apps, "research", {"start.md": "[p](p.ipynb)", "p.ipynb": [STORE], "old.ipynb": [STORE]})
    env = tree.parents[1] / "env"
    # The backend's AiiDA, with this test's kernel beside it.
    (env / "lib").symlink_to(BACKEND.parents[1] / "lib")
    packages = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (env / "bin/python").write_text(f'#!/bin/sh\nexport PYTHONPATH="{packages}"\nexec {BACKEND} "$@"\n')
    with running(root, apps, SIMDECK_WARM_APPS="1") as found:
        yield found


@pytest.mark.backend
@pytest.mark.skipif(not BACKEND.exists(), reason="needs the workflow backend's environment")
def test_the_first_page_makes_the_profile_and_the_backend_reads_what_it_stored(lab: Any) -> None:
    text = lab.get("apps/apps/research/p.ipynb").text
    assert "profile simdeck " in text, text[-1500:]
    uuid = text.partition("profile simdeck ")[2][:36]
    path = lab.apps.parent / "workflows" / "aiida"
    code = f"import aiida; aiida.load_profile(); from aiida import orm; print(orm.load_node('{uuid}').value)"
    argv = [str(BACKEND), "-c", code]
    found = subprocess.run(argv, env={**os.environ, "AIIDA_PATH": str(path)}, capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("from the page", "")
    own = own_aiida(BACKEND.parents[1])
    assert own is not None
    profile = profile_of(lab.apps)
    assert (profile.config, profile.storage) == ((own.config, own.config), own.storage)


@pytest.mark.backend
@pytest.mark.skipif(not BACKEND.exists(), reason="needs the workflow backend's environment")
def test_an_aiida_that_cannot_read_the_profile_is_kept_away_and_the_page_says_why(lab: Any) -> None:
    file = lab.apps.parent / "workflows" / "aiida" / ".aiida" / "config.json"
    config = file.read_text()
    newer = json.dumps({**json.loads(config), "CONFIG_VERSION": {"CURRENT": 99, "OLDEST_COMPATIBLE": 99}})
    file.write_text(newer)
    try:
        text = lab.get("apps/apps/research/old.ipynb").text
        assert text.count("the two cannot share their files") == 2
        assert "profile simdeck " not in text
        assert "the two cannot share their files" in lab.get("apps/apps/research/").text
        assert file.read_text() == newer
    finally:
        file.write_text(config)
