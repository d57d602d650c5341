"""Many users on a real hub that is killed twice: none lost, none orphaned, none started twice, at a flat cost.

``SIMDECK_CHAOS_ROUNDS`` of 100 or more (`make nightly`) makes it a thousand users with two hundred in the queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from load.scale import run
from stack import missing

NIGHTLY = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "0")) >= 100
USERS, WAITING, WINDOW = (1000, 200, 60.0) if NIGHTLY else (40, 8, 4.0)


@pytest.mark.stack
@pytest.mark.timeout(3600 if NIGHTLY else 900)
async def test_a_hub_killed_twice_among_its_users_servers_has_them_all_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    reason = missing()
    if reason:
        pytest.skip(reason)
    found = await run(tmp_path, USERS, WAITING, WINDOW)
    for name, value in found.items():
        record_property(name, value)
    print(found)
    assert found["submitted"] == USERS
    # Two seconds lie between two looks at the queue, however many wait; the last one may be of the next window.
    assert found["calls"]["squeue"] <= found["seconds"] / 2 + 1
    assert sum(found["calls"].values()) <= found["calls"]["squeue"] + 12
