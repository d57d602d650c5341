"""One running Simdeck with two people, and a thing of every kind that is alice's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Stack

from api_matrix.people import People


@pytest.fixture(scope="package")
def people() -> Iterator[People]:
    # Folders that everybody may enter: what keeps others out must be Simdeck's own.
    folder = Path(tempfile.mkdtemp(prefix="sd-matrix-"))
    folder.chmod(0o755)
    try:
        with Stack(folder, users=["alice", "bob"]) as stack:
            stack._short.chmod(0o755)
            made = People(stack)
            made.give_alice()
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
