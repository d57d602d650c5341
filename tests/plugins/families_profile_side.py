"""``BACKEND_PYTHON families_profile_side.py HOME STEPS``: provision a profile with families; tell of its groups after each step."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome
from simdeck_workflows import pseudopotentials
from simdeck_workflows.engine import profile
from simdeck_workflows.pseudopotentials import RunFamily


def after(home: UserHome, step: dict[str, Any]) -> list[dict[str, Any]]:
    from aiida import orm
    from simdeck_workflows.engine.pseudopotentials import provision

    if step.get("own"):
        orm.Group(label=step["own"]).store()
    pseudopotentials.write(home, [RunFamily.model_validate(one) for one in step["families"]])
    provision(home)
    found = [one for (one,) in orm.QueryBuilder().append(orm.Group).order_by({orm.Group: "id"}).iterall()]
    return [
        {
            "label": one.label, "kind": type(one).__name__, "members": sorted(node.element for node in one.nodes),
            "nodes": sorted(node.uuid for node in one.nodes),
            "cutoffs": one.get_cutoffs("normal") if hasattr(one, "get_cutoffs") else None,
            "unit": one.get_cutoffs_unit("normal") if hasattr(one, "get_cutoffs_unit") else None,
        }
        for one in found
    ]  # fmt: skip


def main() -> None:
    home = UserHome(Path(sys.argv[1]), Path(sys.argv[1]))
    profile.set_environment(home)
    profile.load(home)
    before = "aiida_pseudo" in sys.modules
    print(json.dumps({"early": before, "steps": [after(home, step) for step in json.loads(sys.argv[2])]}))


if __name__ == "__main__":
    main()
