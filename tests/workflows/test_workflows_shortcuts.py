"""Where the worker answers for AiiDA by a shorter way, the answers are AiiDA's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.backend

DUMPING = """
import json
import yaml
from aiida.common import AttributeDict
from aiida.engine import ProcessState
from aiida.orm.utils import serialize
from simdeck_workflows.engine import checkpoints

data = {
    "state": ProcessState.WAITING, "context": AttributeDict({"steps": [1, 2.5, None, True], "words": "Größe: 'x'"}),
    "long": "word " * 60, "lines": "one\\n  two\\n", "numbers": "12", "called": ",1,22,", "nothing": {}, "at": (1, "two"),
}
text = yaml.dump(data, Dumper=checkpoints._Dumper)
print(json.dumps({
    "same": serialize.deserialize_unsafe(text) == serialize.deserialize_unsafe(serialize.serialize(data)) == data,
    "called": sorted(checkpoints.called_in(yaml.dump({checkpoints._KEY: ",1,22,"}, Dumper=checkpoints._Dumper))),
    "none": sorted(checkpoints.called_in(yaml.dump({checkpoints._KEY: ","}, Dumper=checkpoints._Dumper))),
}))
"""

LINKING = """
import json
from aiida import load_profile, orm
from aiida.common.links import LinkType
from aiida.orm.nodes.links import NodeLinks
from aiida.storage.sqlite_temp import SqliteTempBackend

load_profile(SqliteTempBackend.create_profile())
from simdeck_workflows.engine import links

number, sum_ = orm.Int(1).store(), orm.Int(2).store()
parent = orm.WorkChainNode()
parent.base.links.add_incoming(number, LinkType.INPUT_WORK, "a")
parent.store()
child = orm.CalcFunctionNode()
child.base.links.add_incoming(parent, LinkType.CALL_CALC, "CALL")
child.base.links.add_incoming(number, LinkType.INPUT_CALC, "a")
child.store()
sum_.base.links.add_incoming(parent, LinkType.RETURN, "sum")

def asked():
    nodes = [number, sum_, parent, child]
    kinds = [(), LinkType.RETURN, (LinkType.CALL_CALC, LinkType.CALL_WORK), [LinkType.INPUT_WORK]]
    found = []
    for node in nodes:
        for kind in kinds:
            for look in (node.base.links.get_incoming, node.base.links.get_outgoing):
                triples = look(link_type=kind).all()
                found.append(sorted((one.node.pk, one.link_type.value, one.link_label) for one in triples))
    callers = [node.caller.pk if node.caller else None for node in (parent, child)]
    return [found, callers, [one.pk for one in parent.called]]

before = asked()
links.install()
after = asked()

refused = []
made = orm.CalcFunctionNode()
for source in (number, number):
    try:
        made.base.links.add_incoming(source, LinkType.INPUT_CALC, "same")
    except ValueError:
        refused.append("label twice")
result = orm.Int(3).store()
try:
    result.base.links.add_incoming(child, LinkType.CREATE, "b")
    other = orm.CalcFunctionNode().store()
    result.base.links.add_incoming(other, LinkType.CREATE, "b")
except ValueError:
    refused.append("made twice")
print(json.dumps({"same": before == after, "some": sum(map(len, before[0])) > 5, "refused": refused}))
"""


@pytest.fixture
def answer(toy: ModuleType, tmp_path: Path) -> Any:
    """Run a script with the backend's Python and return what it says."""
    environment = {**os.environ, "AIIDA_PATH": str(tmp_path)}

    def run(script: str) -> Any:
        argv = [str(toy.BACKEND_PYTHON), "-c", script]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_a_checkpoint_of_ours_is_read_as_one_of_aiidas(answer: Any) -> None:
    assert answer(DUMPING) == {"same": True, "called": [1, 22], "none": []}


def test_links_are_the_same_and_wrong_ones_refused_where_it_is_first_asked_whether_there_are_any(answer: Any) -> None:
    assert answer(LINKING) == {"same": True, "some": True, "refused": ["label twice", "made twice"]}
