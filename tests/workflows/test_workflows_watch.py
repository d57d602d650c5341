"""A process that is active in the database but carried on by nobody does not wait for ever."""

from __future__ import annotations

import json
import subprocess

import pytest
from toy_oven import Oven

pytestmark = pytest.mark.backend

# The controller's part, played: process 7 answers, 8 does not.
LOOK = """
import asyncio, concurrent.futures, json
from types import SimpleNamespace
from simdeck_workflows.engine import tree, watch

class Controller:
    def __init__(self):
        self.continued = []
    def get_status(self, pk):
        future = concurrent.futures.Future()
        future.set_result({}) if pk == 7 else future.set_exception(Exception("Recipient not found: 8"))
        return future
    def now(self, pk):
        self.continued.append(pk)

tree.active_processes = lambda: [SimpleNamespace(pk=7), SimpleNamespace(pk=8)]

async def main():
    controller = Controller()
    looking = watch.Watch(controller, lambda: None)
    print(json.dumps([await looking.look() for _ in range(3)]))

asyncio.run(main())
"""


def test_a_process_silent_twice_is_continued_and_one_that_answers_is_left_alone(oven: Oven) -> None:
    argv = [str(oven.toy.BACKEND_PYTHON), "-c", LOOK]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], [8], []]


STANDING = """
import json
from datetime import timedelta
from types import SimpleNamespace
from aiida.common import timezone
from simdeck_workflows.engine import watch

def process(minutes, paused=False, child_ended=None):
    extras = {}
    base = SimpleNamespace(extras=SimpleNamespace(get=lambda key, default: extras.get(key, default), set=extras.__setitem__))
    called = [] if child_ended is None else [SimpleNamespace(is_terminated=child_ended)]
    return SimpleNamespace(pk=1, paused=paused, mtime=timezone.now() - timedelta(minutes=minutes), called=called, base=base)

restarts = []
looking = watch.Watch(None, lambda: restarts.append(1))
answer = []
still = process(5)
for node in (process(0), process(5, paused=True), process(5, child_ended=False), process(5, child_ended=True), still, still):
    looking.look_for_stuck([node])
    answer.append(len(restarts))
print(json.dumps(answer))
"""


def test_a_process_that_stands_still_with_nothing_to_wait_for_has_the_worker_start_afresh_once(oven: Oven) -> None:
    done = subprocess.run([str(oven.toy.BACKEND_PYTHON), "-c", STANDING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Fresh, paused and waiting ones are left alone; one with ended children and one without any are not; never twice.
    assert json.loads(done.stdout) == [0, 0, 0, 1, 2, 2]
