"""A backend with a real worker, on a home with the app of `steps_toy` and the example of the documentation."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from simdeck_common.layout import user_home

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "workflows" / "fixtures")]

import steps_app
from toy_oven import Oven

ROOT = Path(__file__).parents[2]
TOY = {name: f"steps_toy:{name.partition('.')[2]}" for name in ("spring.stiffness", "spring.broken", "spring.fickle")}


def example() -> str:
    """The example of the documentation: the Python block with a workflow function."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "workflows.md").read_text("utf-8"), re.DOTALL)
    return next(block for block in blocks if "@workflow" in block)


@pytest.fixture(scope="module")
async def springs() -> AsyncIterator[Oven]:
    """A started backend; its worker and jobs are killed afterwards."""
    if not steps_app.BACKEND_PYTHON.exists():
        pytest.skip("the workflow backend's environment is missing: make up makes it")
    # Not pytest's own folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sdsp-") as data:
        home = user_home(Path(data), "alice")
        steps_app.install(home.apps, "spring", (Path(__file__).parent / "steps_toy.py").read_text(), TOY)
        steps_app.install(home.apps, "metal", example(), {"metal.eos": "metal_steps:eos"})
        found = Oven(home, steps_app)
        await found.backend.start()
        yield found
        await found.backend.stop()
        found.clear()
        shutil.rmtree(home.runtime, ignore_errors=True)
