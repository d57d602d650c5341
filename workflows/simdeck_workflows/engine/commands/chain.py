"""A described program as a workflow: chooses the code, starts the job, starts it again when it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, while_
from simdeck_clusters.quantities import memory_mib, minutes
from simdeck_common.placeholders import only

from simdeck_workflows import codes
from simdeck_workflows.engine import slurm_options
from simdeck_workflows.engine.commands.calculation import (
    CommandCalculation,
    CommandParser,
    add_inputs,
    add_outputs,
)
from simdeck_workflows.engine.commands.plan import for_double_quotes, refusal

MAX_ATTEMPTS = 3
"""How often a job is started that ended without a word: its machine restarted, or took it away."""


class CommandWorkChain(WorkChain):  # type: ignore[misc]
    """Runs one described program. An app's commands are subclasses."""

    COMMAND: ClassVar[Mapping[str, Any]] = {}
    CALCULATION: ClassVar[type[CommandCalculation]] = CommandCalculation

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare what goes in and comes out."""
        super().define(spec)
        spec.input("code", valid_type=orm.AbstractCode, help="The Python of the app's environment.")
        add_inputs(spec, cls.COMMAND, defaults=True)
        add_outputs(spec, cls.COMMAND)
        spec.inputs.validator = cls.check_together
        spec.outline(cls.prepare, while_(cls.is_unfinished)(cls.start_program, cls.look_at_it), cls.hand_out)
        spec.exit_code(410, "ERROR_PROGRAM_FAILED", message="{message}")
        spec.exit_code(420, "ERROR_RESULT_MISSING", message="{message}")
        spec.exit_code(
            450, "ERROR_INTERRUPTED_TOO_OFTEN",
            message="The program was interrupted {times} times and has been given up. If the machine did not restart, "
            "it may be short of memory.",
        )  # fmt: skip

    @classmethod
    def check_together(cls, inputs: Any, _: Any) -> str | None:
        """Say which value the program cannot be given."""
        values = {name: getattr(inputs[name], "value", None) for name in inputs if inputs[name] is not None}
        found = refusal(cls.COMMAND, values)
        return f"{found[0]}: {found[1]}" if found else None

    def prepare(self) -> None:
        """Begin with the first attempt."""
        self.ctx.attempts = 0
        self.ctx.job = None
        self.ctx.done = False

    def is_unfinished(self) -> bool:
        """Whether the program must be started (again)."""
        return not self.ctx.done

    def start_program(self) -> Any:
        """Submit the job."""
        description = dict(self.COMMAND)
        given = {name: self.inputs[name] for name in description.get("inputs") or {} if name in self.inputs}
        code = code_for(self.inputs.code, description["command"])
        self.ctx.attempts += 1
        return ToContext(
            job=self.submit(
                self.CALCULATION,
                **given,
                code=code,
                command=orm.Dict(description),
                metadata={
                    "label": self.SIMDECK["title"],
                    "call_link_label": f"program_{self.ctx.attempts}",
                    "options": self._options(description, code),
                },
            )
        )

    def _options(self, description: Mapping[str, Any], code: Any) -> dict[str, Any]:
        asked = description.get("resources") or {}
        cores: Any = asked.get("cores", 1)
        if isinstance(cores, str):
            cores = self.inputs[name].value if (name := only(cores)) else int(cores)
        options: dict[str, Any] = {
            "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1, "num_cores_per_mpiproc": int(cores)},
            "withmpi": False,
        }
        if code.computer.label != codes.HERE:
            if "memory" in asked:
                options["max_memory_kb"] = 1024 * memory_mib(asked["memory"])
            if "walltime" in asked:
                options["max_wallclock_seconds"] = 60 * minutes(asked["walltime"])
        beside = Path(self.inputs.code.filepath_executable).parent
        if Path(code.filepath_executable).parent == beside:
            # A program of the app's environment may start others of it.
            options["environment_variables"] = {"PATH": f"{for_double_quotes(str(beside))}:$PATH"}
            options["environment_variables_double_quotes"] = True
        return options

    def look_at_it(self) -> ExitCode | None:
        """Done, to be started again, or failed for good."""
        job, known = self.ctx.job, self.CALCULATION.exit_codes
        if job.is_finished_ok:
            self.ctx.done = True
            return None
        if job.exit_status == known.ERROR_INTERRUPTED.status:
            if self.ctx.attempts >= MAX_ATTEMPTS:
                return self.exit_codes.ERROR_INTERRUPTED_TOO_OFTEN.format(times=self.ctx.attempts)
            self.report(f"the program was interrupted; it is started again ({self.ctx.attempts + 1} of {MAX_ATTEMPTS})")
            return None
        self.hand_out()
        message = job.exit_message or job.exception or f"it ended as {job.process_state}"
        missing = job.exit_status == known.ERROR_RESULT_MISSING.status
        ending = self.exit_codes.ERROR_RESULT_MISSING if missing else self.exit_codes.ERROR_PROGRAM_FAILED
        return ending.format(message=message)

    def hand_out(self) -> None:
        """Hand out the outputs that there are."""
        for name in self.COMMAND.get("outputs") or {}:
            if name in self.ctx.job.outputs:
                self.out(name, self.ctx.job.outputs[name])


def code_for(app: Any, program: str) -> Any:
    """The code node of a program: the site's, the app environment's, or what is called so on the job's ``PATH``.

    Parameters
    ----------
    app
        The code that is the Python of the app's environment; its computer is where the program runs.
    """
    offered = _offered(app.computer, program)
    if offered is not None:
        return offered
    beside = Path(app.filepath_executable).parent / program
    if "/" not in program and beside.exists():
        if str(beside) == str(app.filepath_executable):
            return app
        return _made(app, f"{app.label}-{program}", str(beside))
    return _made(app, f"program-{program.strip('/').replace('/', '-')}", program)


def _offered(computer: Any, program: str) -> Any:
    """The code of the site that is called so, by its label or by its program."""
    path = Path(os.environ.get("AIIDA_PATH", "")).parent / codes.FILE
    try:
        known = [code for code in codes.read(path) if code.computer == computer.label]
    except (OSError, ValueError):
        return None
    found = next((code for code in known if code.label == program), None) or codes.find(known, computer.label, program)
    return orm.load_code(f"{found.label}@{computer.label}") if found is not None else None


def _made(app: Any, label: str, executable: str) -> Any:
    builder = orm.QueryBuilder()
    builder.append(orm.Computer, filters={"uuid": app.computer.uuid}, tag="computer")
    builder.append(orm.InstalledCode, filters={"label": label}, with_computer="computer")
    for (code,) in builder.iterall():
        if str(code.filepath_executable) == executable and not code.is_hidden:
            return code
    code = orm.InstalledCode(label=label, computer=app.computer, filepath_executable=executable).store()
    if (wants := app.base.extras.get(slurm_options.EXTRA, None)) is not None:
        # What the app's manifest asks for holds for every program of it.
        code.base.extras.set(slurm_options.EXTRA, wants)
    return code


def classes(app: str, description: Mapping[str, Any], module: str) -> tuple[type, type, type]:
    """The workflow, the calculation and the parser of one command, to be put into ``module`` by their names.

    The classes are called as :func:`simdeck_common.commands.class_names` says.
    """
    from simdeck_common.commands import class_names

    names = class_names(str(description["name"]))
    full = f"{app}.{description['name']}"
    parser = type(names.parser, (CommandParser,), {"__module__": module, "__doc__": f"Reads {full}."})
    calculation = type(
        names.calculation,
        (CommandCalculation,),
        {"__module__": module, "__doc__": f"A job of {full}.", "COMMAND": description, "PARSER": full},
    )
    about = notes(description)
    workflow = type(
        names.workflow,
        (CommandWorkChain,),
        {
            "__module__": module,
            "__doc__": about["summary"] or f"Runs {full}.",
            "COMMAND": description,
            "CALCULATION": calculation,
            "SIMDECK": about,
        },
    )
    return workflow, calculation, parser


def notes(description: Mapping[str, Any]) -> dict[str, Any]:
    """What people are told of a command: the ``SIMDECK`` of its workflow."""
    outputs = description.get("outputs") or {}
    return {
        "title": description.get("title") or _words(str(description["name"])),
        "summary": description.get("description", ""),
        "inputs": {name: _input(name, given) for name, given in (description.get("inputs") or {}).items()},
        "outputs": {
            name: {
                "title": output.get("title") or _words(name),
                **{key: output[key] for key in ("unit", "help") if output.get(key)},
            }
            for name, output in outputs.items()
        },
        "headline": [name for name, output in outputs.items() if output.get("headline")],
    }


def _input(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {"title": given.get("title") or _words(name)}
    for key, word in (("help", "help"), ("unit", "unit"), ("min", "minimum"), ("max", "maximum"), ("choices", "enum")):
        if given.get(key) not in (None, "", []):
            about[word] = given[key]
    if given.get("advanced"):
        about["advanced"] = True
    if given["type"] == "str":
        # A line of text: a line break in it could begin another setting of an input file.
        about |= {"maxLength": 10_000, "pattern": given.get("pattern") or "^[^\\u0000-\\u001f\\u007f]*$"}
    return about


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
