"""``BACKEND_PYTHON plugins_profile_side.py HOME STEPS``: provision a profile as a worker does; tell of its codes.

STEPS is JSON: ``[{"own": label or null, "offered": [code, …]}, …]``; each is what the site says next. Prints, as JSON, the
profile's codes after each of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome
from simdeck_workflows import codes
from simdeck_workflows.codes import RunCode
from simdeck_workflows.engine import profile


def after(home: UserHome, step: dict[str, Any]) -> dict[str, Any]:
    from aiida import orm
    from simdeck_workflows.engine.codes import provision, site_code

    if step.get("own"):
        here = orm.Computer.collection.get(label="localhost")
        orm.InstalledCode(label=step["own"], computer=here, filepath_executable="/bin/true").store()
    codes.write(home, [RunCode.model_validate(code) for code in step["offered"]])
    provision(home)
    found = [
        {
            "uuid": code.uuid,
            "name": code.full_label,
            "kind": type(code).__name__,
            "hidden": code.is_hidden,
            "executable": str(code.filepath_executable),
            "prepend": code.prepend_text,
            "plugin": code.default_calc_job_plugin,
            "words": code.get_prepend_cmdline_params(),
        }
        for (code,) in orm.QueryBuilder().append(orm.AbstractCode).order_by({orm.AbstractCode: "id"}).iterall()
    ]
    offered = site_code("localhost", "pw.x")
    return {"codes": found, "offered": offered.executable if offered else None}


def main() -> None:
    home = UserHome(Path(sys.argv[1]), Path(sys.argv[1]))
    profile.set_environment(home)
    profile.load(home)
    print(json.dumps([after(home, step) for step in json.loads(sys.argv[2])]))


if __name__ == "__main__":
    main()
