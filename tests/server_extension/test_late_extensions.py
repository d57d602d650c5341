"""JupyterLab is loaded when the server answers already, and is there all the same."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from simdeck_deck.server_extension import late


def test_jupyterlab_is_there_soon_after_the_server(ending_server: Any) -> None:
    ending_server.until(lambda: ending_server.get("lab").status_code == 200)
    assert "jupyter-config-data" in ending_server.get("lab").text
    assert ending_server.get("lab/api/settings/@jupyterlab/apputils-extension:themes").status_code == 200


async def test_an_extension_that_is_not_there_is_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    app = SimpleNamespace(log=logging.getLogger("server"))
    with caplog.at_level("WARNING"):
        await late.load(app, ("no_such_extension",))
    assert "no_such_extension was not loaded" in caplog.text
