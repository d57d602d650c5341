"""A new run of a workflow from its own form: for workflows without a page, and beside those that have one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import see_other
from simdeck_deck.pages.run_again import REFUSALS, form_of
from simdeck_deck.pages.sources import agent_path
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.run_inputs import MISSING, Field, fields_of, kind_of, leaves, put, read, title_of
from simdeck_deck.pages.views.text import text_of
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

NAMES = {"structure": "structure.xyz", "file": "input.txt"}
"""What a pasted file is called where nobody says it: its ending tells how a structure is read."""


@dataclass(frozen=True)
class FileField:
    """An input that is a file's text, pasted, and the file's name."""

    name: str
    title: str
    help: str
    required: bool
    file_name: str
    text: str
    error: str = ""


@dataclass(frozen=True)
class NewRun:
    """The form of a workflow as it is filled in, and the inputs that come of it."""

    workflow: Mapping[str, Any]
    fields: tuple[Field, ...]
    files: tuple[FileField, ...]
    elsewhere: tuple[str, ...]
    inputs: dict[str, Any]
    title: str

    @property
    def wrong(self) -> bool:
        """Whether something that was typed cannot be read."""
        return any(field.error for field in self.fields) or any(field.error for field in self.files)


async def new_run(visit: Visit, name: str, given: Mapping[str, str] | None) -> NewRun:
    """Read the form of a workflow; ``given`` are the texts that were sent, None before anything was.

    Raises
    ------
    Problem
        There is no such workflow, or the agent does not answer.
    """
    workflow = await visit.agent.get(agent_path("workflows", name))
    schema = workflow.get("schema")
    fields = fields_of(schema, {}, {})
    values: dict[str, Any] = {}
    typed = {key.removeprefix("input-"): text for key, text in (given or {}).items() if key.startswith("input-")}
    if given is not None:
        fields, values = read(fields, typed)
    inputs: dict[str, Any] = {}
    for key, value in values.items():
        if value is not MISSING:
            put(inputs, key, value)
    files, elsewhere = [], []
    for key, said, required in leaves(schema):
        kind = text_of(said, "x-simdeck-type")
        if kind_of(said) is not None:
            continue
        if kind not in NAMES:
            if required:
                elsewhere.append(title_of(key, said))
            continue
        text, called = typed.get(key, ""), typed.get(f"{key}.file-name", "").strip() or NAMES[kind]
        missing = given is not None and required and not text.strip()
        error = "Paste the file's text." if missing else ""
        files.append(FileField(key, title_of(key, said), text_of(said, "description"), required, called, text, error))
        if text.strip():
            put(inputs, key, {"name": called, "content": text.replace("\r\n", "\n")})
    return NewRun(workflow, fields, tuple(files), tuple(elsewhere), inputs, (given or {}).get("title", "")[:200])


def _page(visit: Visit, name: str, wish: NewRun, problem: ProblemView | None = None) -> Response:
    names = {field.name for field in wish.fields} | {field.name for field in wish.files}
    return visit.page(
        "run_new.html",
        here="runs",
        status=422 if problem or wish.wrong else 200,
        name=name,
        wish=wish,
        title=text_of(wish.workflow, "title", name),
        summary=text_of(wish.workflow, "summary"),
        comes_from=f"{text_of(wish.workflow, 'app')} {text_of(wish.workflow, 'app_version')}".strip(),
        groups=[str(group) for group in wish.workflow.get("groups") or ()],
        plain=tuple(field for field in wish.fields if not field.advanced),
        advanced=tuple(field for field in wish.fields if field.advanced),
        problem=problem,
        at_field=problem is not None and problem.field in names,
    )


@router.get("/workflows/{name}")
async def show(visit: Visiting, name: str) -> Response:
    """Show a workflow's form."""
    return _page(visit, name, await new_run(visit, name, None))


@router.post("/workflows/{name}")
async def submit(visit: Visiting, name: str) -> Response:
    """Run it with the form's inputs; what is wrong is said in the form."""
    visit.need("runs")
    given = await form_of(visit)
    wish = await new_run(visit, name, given)
    if wish.wrong:
        return _page(visit, name, wish)
    body: dict[str, Any] = {"workflow": name, "inputs": wish.inputs} | ({"title": wish.title} if wish.title else {})
    try:
        await visit.agent.send("POST", f"{agent_path('workflows', name)}/validate", {"inputs": wish.inputs})
        made = await visit.agent.send("POST", "/runs", body)
    except Problem as problem:
        if problem.status not in REFUSALS:
            raise
        return _page(visit, name, wish, problem_view(problem))
    return see_other(visit.links.page("runs", text_of(made, "id")))
