"""What the simdeck command's own client of the hub says when the hub is away."""

from __future__ import annotations

import pytest
from simdeck_common.problems import Problem
from simdeck_hub.hub_api import HubApi
from simdeck_hub.ports import free_ports


async def test_a_hub_that_is_away_is_said_in_words_with_its_log() -> None:
    hub = HubApi(f"http://127.0.0.1:{free_ports(1)[0]}/hub/api", "token", "/somewhere/hub.log")
    with pytest.raises(Problem) as caught:
        await hub.make_token("alice", "note", None)
    assert caught.value.code == "hub-away"
    assert "/somewhere/hub.log" in caught.value.remedy
