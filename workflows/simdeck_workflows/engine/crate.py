"""A run as a Workflow Run RO-Crate: inputs, outputs, files, the steps, and the AiiDA archive, described in JSON-LD.

The profile is https://w3id.org/ro/wfrun/workflow (0.5): a crate that says which workflow was run, with which inputs,
and what came of it, in terms that other tools read.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from aiida import __version__ as aiida_version
from rocrate.model.computerlanguage import ComputerLanguage
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from simdeck_workflows.engine import outputs, tree
from simdeck_workflows.engine.citations import citations
from simdeck_workflows.models import Run, RunState, Workflow

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
NO_LICENSE = "https://choosealicense.com/no-permission/"
"""What a crate says where its owner has not chosen: nobody else may do anything with it yet."""
_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_KINDS = {"integer": "Integer", "number": "Float", "boolean": "Boolean", "string": "Text"}


def write_crate(
    target: Path,
    run: Run,
    workflow: Workflow,
    process: Any,
    inputs: Mapping[str, Any],
    values: Mapping[str, Any],
    node: Any,
    *,
    user: str,
    apps: Path,
    archive: Path,
    license: str | None = None,
) -> None:
    """Write the crate as the zip file ``target``.

    Parameters
    ----------
    workflow, process
        The workflow as it is now, and its process class.
    inputs, values
        The run's inputs and outputs as JSON.
    archive
        The AiiDA archive of the run, which travels inside.
    license
        Address of the licence that the run's owner chose for it.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        writer = _Writer(Path(folder), run, workflow, user)
        writer.about(license or NO_LICENSE, citations(node, apps / run.app / "versions" / run.app_version))
        writer.workflow_file(process)
        writer.take(inputs)
        writer.give(values, node)
        writer.steps(node)
        writer.file(archive, "provenance.aiida", "The whole provenance, for AiiDA", "application/zip")
        text = json.dumps(run.model_dump(mode="json"), ensure_ascii=False, indent=1)
        writer.text(text, "run.json", "The run's record", "application/json")
        writer.crate.write_zip(str(target))


class _Writer:
    """Fills a crate. Files are laid out below ``folder`` first."""

    def __init__(self, folder: Path, run: Run, workflow: Workflow, user: str) -> None:
        self.folder, self.run, self.workflow = folder, run, workflow
        self.crate = ROCrate(version="1.1")
        self.person = self._entity(f"#{user}", "Person", name=user)
        self.engine = self._entity(
            f"https://pypi.org/project/aiida-core/{aiida_version}/",
            "SoftwareApplication",
            name="AiiDA",
            softwareVersion=aiida_version,
            url="https://www.aiida.net",
        )
        self.main: Any = None
        self.action: Any = None

    # --- parts ---------------------------------------------------------------------------------------------------

    def about(self, license: str, cited: list[dict[str, Any]]) -> None:
        root, run = self.crate.root_dataset, self.run
        self.crate.name = run.title
        self.crate.description = f"The run {run.id} of the workflow {run.workflow} ({run.app} {run.app_version})."
        self.crate.datePublished = run.ended or run.created
        profiles = [self._entity(url, "CreativeWork", name=name, version=v) for url, (name, v) in PROFILES.items()]
        root["conformsTo"] = profiles
        root["author"] = self.person
        root["license"] = self._entity(license, "CreativeWork", name=license.rstrip("/").rpartition("/")[2])
        works = []
        for number, one in enumerate(cited, start=1):
            address = f"https://doi.org/{one['doi']}" if one.get("doi") else f"#citation-{number}"
            works.append(self._entity(address, "ScholarlyArticle", name=one["text"]))
        if works:
            root["citation"] = works

    def workflow_file(self, process: Any) -> None:
        """The workflow's source, as the main entity, with its parameters; its schema where there is no source."""
        language = self.crate.add(
            ComputerLanguage(
                self.crate,
                "https://www.python.org/",
                properties={"name": "Python (AiiDA)", "url": {"@id": "https://www.python.org/"}},
            )
        )
        source = None
        if isinstance(process, type):
            function = getattr(process, "WORKFLOW", None)
            source = inspect.getsourcefile(process if function is None else function.function)
        if source is not None and Path(source).is_file():
            path, place = Path(source), f"workflow/{Path(source).name}"
        else:
            path, place = self._laid("workflow/schema.json", json.dumps(self.workflow.input_schema, indent=1))
        self.main = self.crate.add_workflow(str(path), place, main=True, lang=language)
        self.main["name"] = self.workflow.title or self.run.workflow
        self.main["identifier"] = self.run.workflow
        self.main["version"] = self.run.app_version
        if self.workflow.summary:
            self.main["description"] = self.workflow.summary
        self.main["license"] = self.crate.root_dataset["license"]
        run = self.run
        self.action = self._entity(
            f"#run-{run.id}",
            "CreateAction",
            name=f"{run.title}: {run.state.value}",
            startTime=_iso(run.started or run.created),
            endTime=_iso(run.ended or run.created),
            agent=self.person,
            instrument=self.main,
            actionStatus=_status(run.state is RunState.FINISHED),
            identifier=run.process or run.id,
        )
        if run.problem:
            self.action["error"] = str(run.problem.get("detail", ""))
        self.crate.root_dataset["mentions"] = [self.action]

    def take(self, inputs: Mapping[str, Any]) -> None:
        """Inputs: parameters of the workflow, and the values or files that the run had for them."""
        known = dict(self.workflow.input_schema.get("properties", {}))
        required = set(self.workflow.input_schema.get("required", ()))
        for name in {**known, **inputs}:
            schema = known.get(name, {})
            parameter = self._parameter("input", name, schema.get("title"), _kind_of(schema, inputs.get(name)))
            parameter["valueRequired"] = str(name in required)
            if schema.get("description"):
                parameter["description"] = str(schema["description"])
            if inputs.get(name) is not None:
                value = self._value(f"inputs/{name}", name, inputs[name], schema.get("x-simdeck-unit"))
                self._join(parameter, value, "object")

    def give(self, values: Mapping[str, Any], node: Any) -> None:
        """Outputs: files where there are, values else."""
        placed = {} if node is None else {place.entry.path: place for place in outputs.files(node)}
        specs = {spec.name: spec for spec in self.workflow.outputs}
        for name, value in values.items():
            spec = specs.get(name)
            parameter = self._parameter("output", name, spec.title if spec else None, _kind_of({}, value))
            mine = [place for path, place in placed.items() if path.startswith(f"outputs/{name}/")]
            if mine:
                for place in mine:
                    self._join(parameter, self._repository_file(place), "result")
            else:
                unit = spec.unit if spec else None
                self._join(parameter, self._value(f"outputs/{name}", name, value, unit), "result")

    def steps(self, node: Any) -> None:
        """Each calculation as an action of its own, with the files it left."""
        if node is None:
            return
        placed = outputs.files(node)
        for number, job in enumerate(tree.calculations(node), start=1):
            code = job.inputs.code if "code" in job.inputs else None
            tool = self._entity(
                f"#code-{code.uuid}" if code is not None else f"#code-{job.process_label}",
                "SoftwareApplication",
                name=code.label if code is not None else job.process_label,
                description=(code.description if code is not None else "") or job.process_label,
            )
            action = self._entity(
                f"#{job.uuid}",
                "CreateAction",
                name=f"{number}. {tree.title(job)}",
                startTime=_iso(job.ctime),
                endTime=_iso(job.mtime),
                instrument=tool,
                agent=self.engine,
                actionStatus=_status(job.is_finished_ok),
            )
            prefix = f"calculations/{number}-{job.process_label}/"
            left = [self._repository_file(place) for place in placed if place.entry.path.startswith(prefix)]
            if left:
                action["result"] = left
            self.crate.root_dataset.append_to("mentions", action)

    # --- pieces --------------------------------------------------------------------------------------------------

    def file(self, source: Path, place: str, name: str, kind: str) -> Any:
        properties = {"name": name, "encodingFormat": kind, "contentSize": str(source.stat().st_size)}
        return self.crate.add_file(str(source), place, properties=properties)

    def text(self, text: str, place: str, name: str, kind: str) -> Any:
        path, _ = self._laid(place, text)
        return self.file(path, place, name, kind)

    def _laid(self, place: str, content: str | bytes) -> tuple[Path, str]:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path, place

    def _repository_file(self, place: Any) -> Any:
        inner = f"files/{place.entry.path}"
        if (known := self.crate.get(inner)) is not None:
            return known
        with place.node.base.repository.open(place.inner, "rb") as stream:
            path, _ = self._laid(inner, stream.read())
        return self.file(path, inner, PurePosixPath(inner).name, "application/octet-stream")

    def _parameter(self, way: str, name: str, title: str | None, kind: str) -> Any:
        parameter = self._entity(
            f"#{way}-{name}", "FormalParameter", name=name, additionalType=kind, conformsTo={"@id": _PARAMETER}
        )
        if title:
            parameter["alternateName"] = title
        self.main.append_to(way, parameter)
        return parameter

    def _join(self, parameter: Any, value: Any, role: str) -> None:
        value.append_to("exampleOfWork", parameter)
        parameter.append_to("workExample", value)
        self.action.append_to(role, value)

    def _value(self, place: str, name: str, value: Any, unit: str | None) -> Any:
        if isinstance(value, Mapping) and "name" in value and ("content" in value or "base64" in value):
            return self._given_file(place, value)
        shown = value if isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)
        found = self._entity(f"#{place}", "PropertyValue", name=name, value=str(shown))
        if unit:
            found["unitText"] = unit
        return found

    def _given_file(self, place: str, value: Mapping[str, Any]) -> Any:
        import base64

        inner = f"{place}/{PurePosixPath(str(value['name'])).name or 'file'}"
        content = base64.b64decode(value["base64"]) if "base64" in value else str(value["content"]).encode()
        path, _ = self._laid(inner, content)
        return self.file(path, inner, PurePosixPath(inner).name, "text/plain")

    def _entity(self, identifier: str, kind: str, /, **properties: Any) -> Any:
        known = self.crate.get(identifier)
        if known is not None:
            return known
        return self.crate.add(ContextEntity(self.crate, identifier, properties={"@type": kind, **properties}))


def _kind_of(schema: Mapping[str, Any], value: Any) -> str:
    """schema.org's type of a parameter."""
    if schema.get("x-simdeck-type") in ("structure", "file"):
        return "File"
    if isinstance(value, Mapping):
        return "File" if "content" in value or "base64" in value or "path" in value else "PropertyValue"
    if (kind := _KINDS.get(str(schema.get("type")))) is not None:
        return kind
    names = {bool: "Boolean", int: "Integer", float: "Float", str: "Text"}
    return names.get(type(value), "PropertyValue")


def _status(well: bool) -> dict[str, str]:
    return {"@id": f"http://schema.org/{'CompletedActionStatus' if well else 'FailedActionStatus'}"}


def _iso(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))
