"""JupyterLab is loaded when the server answers already, and is there all the same."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from simdeck_deck.server_extension import late


def test_who_asks_for_jupyterlab_at_once_waits_for_it_and_gets_it(ending_server: Any) -> None:
    answer = ending_server.get("lab")
    while answer.status_code == 302:
        # Sent to the same address again, where JupyterLab is by now.
        assert answer.headers["location"].partition("?")[0].endswith("/lab")
        answer = ending_server.get("lab")
    assert (answer.status_code, "jupyter-config-data" in answer.text) == (200, True)
    assert ending_server.get("lab/api/settings/@jupyterlab/apputils-extension:themes").status_code == 200


async def test_an_extension_that_is_not_there_is_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    app = SimpleNamespace(log=logging.getLogger("server"))
    with caplog.at_level("WARNING"):
        await late.load(app, ("no_such_extension",))
    assert "no_such_extension was not loaded" in caplog.text
