"""The workflow around the engine. At module level only AiiDA, ASE and NumPy may be imported."""

import json
from typing import Any, ClassVar

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, ExitCode, ToContext, WorkChain
from aiida.parsers import Parser

from $package.engine import METALS


class Engine(CalcJob):
    """Runs ``python -m $package.engine`` in the app's environment (the ``code``)."""

    @classmethod
    def define(cls, spec: Any) -> None:
        super().define(spec)
        spec.input("task", valid_type=orm.Dict)
        options = spec.inputs["metadata"]["options"]
        options["parser_name"].default = "$name.engine"
        options["resources"].default = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        options["withmpi"].default = False
        options["output_filename"].default = "engine.log"
        spec.output("lattice_constant", valid_type=orm.Float)
        spec.output("bulk_modulus", valid_type=orm.Float)
        spec.exit_code(310, "ERROR_ENGINE_FAILED", message="The engine ended with an error: {message}")

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        with folder.open("input.json", "w") as file:
            json.dump(self.inputs.task.get_dict(), file)
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = ["-m", "$package.engine"]
        code.stdout_name = self.options.output_filename
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = ["result.json", "progress.jsonl", self.options.output_filename]
        return info


class EngineParser(Parser):
    """Turns ``result.json`` into outputs; without it the engine failed."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        names = self.retrieved.base.repository.list_object_names()
        if "result.json" not in names:
            lines = self._error_lines(names)
            return self.exit_codes.ERROR_ENGINE_FAILED.format(message=lines[-1] if lines else "no message")
        result = json.loads(self.retrieved.base.repository.get_object_content("result.json"))
        self.out("lattice_constant", orm.Float(result["lattice_constant"]))
        self.out("bulk_modulus", orm.Float(result["bulk_modulus"]))
        return None

    def _error_lines(self, names: list[str]) -> list[str]:
        name = self.node.get_option("scheduler_stderr") or "_scheduler-stderr.txt"
        text = self.retrieved.base.repository.get_object_content(name) if name in names else ""
        return [line.strip()[:500] for line in text.splitlines() if line.strip()]


def _check_element(node: Any, _: Any) -> str | None:
    if node.value not in METALS:
        return f"element: {node.value!r} is not one of {', '.join(METALS)}."
    return None


class EquationOfState(WorkChain):
    """One calculation; more steps go into ``spec.outline``."""

    SIMDECK: ClassVar[dict[str, Any]] = {
        "title": "Equation of state",
        "summary": "Lattice constant and bulk modulus of an fcc metal with the EMT potential.",
        "inputs": {
            "element": {"title": "Metal", "enum": list(METALS), "help": "A metal that crystallises in fcc."},
            "points": {"title": "Number of volumes", "minimum": 5, "maximum": 51, "help": "More give a finer curve."},
        },
        "outputs": {
            "lattice_constant": {"title": "Lattice constant", "unit": "Å"},
            "bulk_modulus": {"title": "Bulk modulus", "unit": "GPa"},
        },
        "headline": ["lattice_constant", "bulk_modulus"],
    }

    @classmethod
    def define(cls, spec: Any) -> None:
        super().define(spec)
        spec.input("code", valid_type=orm.AbstractCode, help="The Python of the app's environment.")
        spec.input(
            "element", valid_type=orm.Str, default=lambda: orm.Str("Cu"), serializer=orm.to_aiida_type,
            validator=_check_element,
        )
        spec.input("points", valid_type=orm.Int, default=lambda: orm.Int(11), serializer=orm.to_aiida_type)
        spec.outline(cls.compute, cls.finish)
        spec.output("lattice_constant", valid_type=orm.Float)
        spec.output("bulk_modulus", valid_type=orm.Float)
        spec.exit_code(410, "ERROR_CALCULATION_FAILED", message="{message}")

    def compute(self) -> Any:
        task = {"element": self.inputs.element.value, "points": self.inputs.points.value}
        return ToContext(engine=self.submit(Engine, code=self.inputs.code, task=orm.Dict(task)))

    def finish(self) -> ExitCode | None:
        engine = self.ctx.engine
        if not engine.is_finished_ok:
            return self.exit_codes.ERROR_CALCULATION_FAILED.format(message=engine.exit_message or "it was interrupted")
        self.out("lattice_constant", engine.outputs.lattice_constant)
        self.out("bulk_modulus", engine.outputs.bulk_modulus)
        return None
