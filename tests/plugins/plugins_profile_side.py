"""``BACKEND_PYTHON plugins_profile_side.py HOME``: bring a profile up to date as a worker does; print its codes as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from simdeck_common.layout import UserHome
from simdeck_workflows.engine import profile


def main() -> None:
    home = UserHome(Path(sys.argv[1]), Path(sys.argv[1]))
    profile.set_environment(home)
    profile.load(home)
    from aiida import orm
    from simdeck_workflows.engine.codes import site_code

    if "OWN" in os.environ:
        here = orm.Computer.collection.get(label="localhost")
        orm.InstalledCode(label=os.environ["OWN"], computer=here, filepath_executable="/bin/true").store()
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
    print(json.dumps({"codes": found, "offered": offered.executable if offered else None}))


if __name__ == "__main__":
    main()
