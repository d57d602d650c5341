"""One running Simdeck with two people, and a thing of every kind that is alice's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_appstore.registry_new import create_registry
from stack import Stack

from api_matrix.people import People

SITE = """
[groups]
makers = ["alice"]

[[registries]]
name = "ours"
url = "{registry}/built"
optional = true
source = "{registry}/source"
publishers = ["makers"]
"""


@pytest.fixture(scope="package")
def people() -> Iterator[People]:
    # Folders that everybody may enter: what keeps others out must be Simdeck's own.
    folder = Path(tempfile.mkdtemp(prefix="sd-matrix-"))
    folder.chmod(0o755)
    try:
        # A registry that alice may publish into, and bob may not.
        create_registry(folder / "registry", "Apps of a test")
        with Stack(folder, users=["alice", "bob"], site=SITE.format(registry=folder / "registry")) as stack:
            stack._short.chmod(0o755)
            made = People(stack)
            made.give_alice()
            made.publish(folder)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
