"""A step as an AiiDA calculation: its arguments are nodes, its job is the app's own Python, its result is a node."""

from __future__ import annotations

import json
from typing import Any

from aiida import orm
from aiida.common import CalcInfo, CodeInfo
from aiida.engine import CalcJob, ExitCode

from simdeck_workflows.steps import job
from simdeck_workflows.steps.declare import Step
from simdeck_workflows.steps.encode import decoded, dumps
from simdeck_workflows.steps.nodes import result_nodes, value_of

OUT, ERR = "step.out", "step.err"


class StepCalculation(CalcJob):  # type: ignore[misc]
    """Call a function that is marked as a step."""

    @classmethod
    def define(cls, spec: Any) -> None:
        super().define(spec)
        spec.input("function", valid_type=orm.Str, help="Where the function is: module:name.")
        spec.input_namespace("arguments", dynamic=True, valid_type=orm.Data)
        spec.input("nothing", valid_type=orm.List, required=False, help="Arguments that are None.")
        spec.input("files", valid_type=orm.List, required=False, help="Patterns of files to keep.")
        spec.output("result", valid_type=orm.Data, required=False)
        spec.output_namespace("results", dynamic=True, valid_type=orm.Data, help="Several values by name.")
        spec.output("error", valid_type=orm.Dict, required=False)
        spec.inputs["metadata"]["options"]["resources"].default = lambda: _resources(1)
        spec.inputs["metadata"]["options"]["withmpi"].default = False
        spec.exit_code(300, "ERROR_INTERRUPTED", message="The step was cut off before it had ended.")
        spec.exit_code(310, "ERROR_RAISED", message="{reason}", invalidates_cache=True)

    def prepare_for_submission(self, folder: Any) -> CalcInfo:
        """Write what the job reads."""
        arguments = value_of(self.inputs.get("arguments", {})) or {}
        arguments |= dict.fromkeys(self.inputs.nothing.get_list() if "nothing" in self.inputs else ())
        with folder.open(job.CALL, "w") as out:
            out.write(f'{{"function": {json.dumps(self.inputs.function.value)}, "arguments": {dumps(arguments)}}}')
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        # -P: modules are the environment's, not what lies in the working directory.
        code.cmdline_params = ["-P", "-m", "simdeck_workflows.steps.job"]
        code.stdout_name, code.stderr_name = OUT, ERR
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = [job.RESULT, OUT, ERR, *(self.inputs.files.get_list() if "files" in self.inputs else ())]
        return info

    def parse_retrieved_output(self, retrieved_temporary_folder: str | None = None) -> ExitCode | None:
        """Read the result; there is no parser of its own, which would need an entry point."""
        try:
            text = self.node.outputs.retrieved.base.repository.get_object_content(job.RESULT)
            found = json.loads(text)
        except (OSError, ValueError):
            # What the scheduler says of its end, such as too little memory, is the better answer.
            return None if self.node.exit_status else self.exit_codes.ERROR_INTERRUPTED
        if "error" in found:
            error = found["error"]
            self.out("error", orm.Dict(dict=error))
            return self.exit_codes.ERROR_RAISED.format(reason=f"{error['type']}: {error['message']}")
        value = decoded(found["value"])
        if value is not None:
            found = result_nodes(value)
            for name, node in ({"result": found} if not isinstance(found, dict) else _below_results(found)).items():
                self.out(name, node)
        return ExitCode(0)


def options_of(step: Step[Any, Any]) -> dict[str, Any]:
    """The scheduler's options of a step's job; what the step does not say is the cluster's."""
    options: dict[str, Any] = {
        "resources": _resources(step.cores),
        "environment_variables": {"OMP_NUM_THREADS": str(step.cores)},
    }
    if step.memory_mib is not None:
        options["max_memory_kb"] = 1024 * step.memory_mib
    if step.walltime_minutes is not None:
        options["max_wallclock_seconds"] = 60 * step.walltime_minutes
    return options


def result_of(node: Any) -> tuple[Any, dict[str, Any]]:
    """The value of a step that has finished well, and the nodes of its parts (under ``result``: of itself)."""
    if "results" in node.outputs:
        parts = {name: node.outputs.results[name] for name in node.outputs.results}
        return value_of(parts), parts
    return (value_of(node.outputs.result), {"result": node.outputs.result}) if "result" in node.outputs else (None, {})


def _below_results(parts: dict[str, Any]) -> dict[str, Any]:
    return {f"results.{name}": node for name, node in parts.items()}


def _resources(cores: int) -> dict[str, int]:
    return {"num_machines": 1, "num_mpiprocs_per_machine": 1, "num_cores_per_mpiproc": cores}
