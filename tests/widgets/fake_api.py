"""A stand-in for the API that replays one real result: for developing and testing the page without the backend.

    python tests/widgets/fake_api.py 18940        (or: create_app() in a test)

What it is asked for decides what happens: ``charge`` 9 is refused with a field, ``max_steps`` 1 fails, ``max_steps`` 2 waits
for ever, anything else runs through the recorded progress.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

DATA = json.loads((Path(__file__).parent / "data" / "ethanol.json").read_text())
ENDED = {"finished", "failed", "cancelled", "rejected"}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["structure"],
    "additionalProperties": False,
    "properties": {
        "structure": {"type": "object", "title": "Structure", "x-simdeck-type": "structure"},
        "charge": {"type": "integer", "title": "Total charge", "x-simdeck-unit": "e", "minimum": -10, "maximum": 10, "default": 0, "description": "Charge of the whole molecule: 0 for a neutral one, 1 for ammonium, −1 for chloride."},
        "multiplicity": {"type": "integer", "title": "Spin multiplicity", "minimum": 0, "maximum": 11, "default": 0, "description": "Number of unpaired electrons plus one: 1 singlet, 2 doublet, 3 triplet. 0 takes the lowest that fits."},
        "method": {"type": "string", "title": "Method", "enum": ["GFN2-xTB", "GFN1-xTB", "IPEA1-xTB"], "default": "GFN2-xTB", "description": "GFN2-xTB is the best general choice."},
        "fmax": {"type": "number", "title": "Force threshold", "x-simdeck-unit": "eV/Å", "minimum": 0.0005, "maximum": 0.5, "default": 0.005, "description": "The geometry is converged when no atom feels a larger force. Frequencies need 0.01 or less."},
        "max_steps": {"type": "integer", "title": "Most optimisation steps", "minimum": 1, "maximum": 2000, "default": 300},
        "frequencies": {"type": "boolean", "title": "Frequencies and thermochemistry", "default": True, "description": "Compute normal modes, the IR spectrum and the thermochemistry: six further calculations per atom."},
        "temperature": {"type": "number", "title": "Temperature", "x-simdeck-unit": "K", "minimum": 10, "maximum": 5000, "default": 298.15},
        "pressure": {"type": "number", "title": "Pressure", "x-simdeck-unit": "Pa", "minimum": 1, "maximum": 1e9, "default": 101325.0},
        "symmetry_number": {"type": "integer", "title": "Rotational symmetry number", "minimum": 0, "maximum": 120, "default": 0},
        "line_width": {"type": "number", "title": "Line width of the spectrum", "x-simdeck-unit": "cm⁻¹", "minimum": 1, "maximum": 200, "default": 20.0},
    },
}  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class FakeRuns:
    """Runs in memory; each plays its events in a task of its own."""

    def __init__(self, beat: float) -> None:
        self.beat = beat
        self.runs: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.keys: dict[str, str] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.news = asyncio.Condition()
        self.down = False
        """While true every request is answered 503."""

    def add(self, title: str, inputs: dict[str, Any]) -> dict[str, Any]:
        run = {
            "id": str(uuid.uuid4()), "workflow": "molecule.optimize", "app": "molecule", "app_version": "1.0.0", "title": title,
            "state": "accepted", "created": now(), "started": None, "ended": None, "progress": None, "summary": None,
            "problem": None, "retry_of": None, "process": None, "paused": False,
        }  # fmt: skip
        self.runs[run["id"]], self.inputs[run["id"]], self.events[run["id"]] = run, inputs, []
        return run

    async def tell(self, run: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
        async with self.news:
            events = self.events[run["id"]]
            events.append({"seq": len(events) + 1, "time": now(), "type": kind, "data": data})
            if kind == "progress":
                run["progress"] = data
            self.news.notify_all()

    async def change(self, run: dict[str, Any], state: str, **more: Any) -> None:
        run.update(state=state, **more)
        if state in ENDED:
            run["ended"] = now()
        await self.tell(run, "state", {"state": state, "paused": run["paused"]})

    async def play(self, run: dict[str, Any]) -> None:
        inputs = self.inputs[run["id"]]
        await self.tell(run, "state", {"state": "accepted", "paused": False})
        await asyncio.sleep(2 * self.beat)
        await self.change(run, "running", started=now())
        lines = (
            DATA["progress"]
            if inputs.get("frequencies", True)
            else [p for p in DATA["progress"] if p["stage"] == "optimise"]
        )
        for count, line in enumerate(lines):
            if count == 20 and inputs.get("max_steps") == 1:
                problem = {
                    "code": "process-failed", "title": "The run failed", "status": 422,
                    "detail": "The geometry did not converge in 1 steps: the largest force is 0.4512 eV/Å and should be below 0.005 eV/Å.",
                    "remedy": "Run again from the last geometry, allow more steps, or loosen the threshold.",
                }  # fmt: skip
                await self.change(run, "failed", problem=problem)
                return
            if count == 12 and inputs.get("max_steps") == 2:
                await asyncio.Event().wait()
            while run["paused"]:  # noqa: ASYNC110
                await asyncio.sleep(self.beat)
            await asyncio.sleep(self.beat)
            await self.tell(run, "progress", line)
        summary = {"energy": {"title": "Total energy", "value": DATA["outputs"]["energy"], "unit": "eV"}}
        await self.change(run, "finished", summary=summary)

    def start(self, run: dict[str, Any]) -> None:
        self.tasks[run["id"]] = asyncio.ensure_future(self.play(run))

    def outputs(self, run: dict[str, Any]) -> dict[str, Any]:
        if run["state"] != "finished":
            return {}
        keep = ("structure", "trajectory", "energy", "dipole", "properties")
        wanted = self.inputs[run["id"]].get("frequencies", True)
        return {k: v for k, v in DATA["outputs"].items() if wanted or k in keep}


def problem(status: int, code: str, detail: str, field: str | None = None) -> JSONResponse:
    body = {"type": f"urn:simdeck:problem:{code}", "code": code, "title": "An input is not valid", "status": status, "detail": detail, "remedy": "Change the value and submit again."}  # fmt: skip
    return JSONResponse(body | ({"field": field} if field else {}), status, media_type="application/problem+json")


def create_app(beat: float = 0.1) -> FastAPI:
    """The application; ``app.state.runs`` is its :class:`FakeRuns`. ``beat``: seconds between progress lines."""
    app = FastAPI()
    runs = app.state.runs = FakeRuns(beat)

    @app.middleware("http")
    async def maybe_down(request: Request, call_next: Any) -> Response:
        if runs.down and not request.url.path.startswith("/control"):
            return problem(503, "agent-unavailable", "The process that looks after your runs could not be started.")
        return await call_next(request)

    def find(run_id: str) -> dict[str, Any] | None:
        return runs.runs.get(run_id)

    @app.post("/control/{what}")
    async def control(what: str) -> dict[str, Any]:
        runs.down = what == "down"
        return {}

    @app.get("/workflows/{name}")
    async def workflow(name: str) -> dict[str, Any]:
        return {"name": name, "app": "molecule", "app_version": "1.0.0", "title": "Optimise a molecule", "summary": "", "schema": SCHEMA, "outputs": [], "headline": ["energy"]}  # fmt: skip

    @app.post("/runs")
    async def submit(request: Request) -> Response:
        body = await request.json()
        key = request.headers.get("idempotency-key", "")
        if key in runs.keys:
            return JSONResponse(runs.runs[runs.keys[key]], 202)
        if body["inputs"].get("charge") == 9:
            return problem(422, "invalid-input", "A charge of +9 is more than this molecule can lose.", "charge")
        run = runs.add(body.get("title") or "Untitled", body["inputs"])
        runs.keys[key] = run["id"]
        runs.start(run)
        return JSONResponse(run, 202)

    @app.get("/runs")
    async def listing(limit: int = 50) -> dict[str, Any]:
        return {"items": list(reversed(runs.runs.values()))[:limit], "next_cursor": None}

    @app.get("/runs/{run_id}")
    async def show(run_id: str) -> Response:
        run = find(run_id)
        if run is None:
            return problem(404, "run-not-found", f"There is no run {run_id}.")
        return JSONResponse(run)

    @app.get("/runs/{run_id}/inputs")
    async def inputs(run_id: str) -> Any:
        return runs.inputs[run_id]

    @app.get("/runs/{run_id}/outputs")
    async def outputs(run_id: str) -> Any:
        return runs.outputs(runs.runs[run_id])

    @app.get("/runs/{run_id}/events")
    async def events(run_id: str, request: Request) -> Response:
        run = find(run_id)
        if run is None:
            return problem(404, "run-not-found", f"There is no run {run_id}.")
        after = int(request.headers.get("last-event-id", "0"))

        async def stream() -> Any:
            seen = after
            while True:
                fresh = runs.events[run_id][seen:]
                for event in fresh:
                    seen = event["seq"]
                    yield f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event['data'])}\n\n"
                if run["state"] in ENDED and seen >= len(runs.events[run_id]):
                    yield "event: end\ndata: {}\n\n"
                    return
                async with runs.news:
                    if len(runs.events[run_id]) == seen:
                        await runs.news.wait()

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/runs/{run_id}/archive")
    async def archive(run_id: str) -> Response:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as out:
            out.writestr("outputs.json", json.dumps(runs.outputs(runs.runs[run_id])))
        return Response(data.getvalue(), media_type="application/zip")

    @app.get("/runs/{run_id}/log")
    async def log(run_id: str) -> Response:
        return PlainTextResponse("")

    @app.post("/runs/{run_id}/{action}")
    async def act(run_id: str, action: str) -> Response:
        run = runs.runs[run_id]
        if action == "cancel":
            runs.tasks[run_id].cancel()
            await runs.change(run, "cancelled")
        elif action in {"pause", "resume"}:
            run["paused"] = action == "pause"
            await runs.tell(run, "state", {"state": run["state"], "paused": run["paused"]})
        elif action == "retry":
            fresh = runs.add(run["title"], runs.inputs[run_id])
            fresh["retry_of"] = run_id
            runs.start(fresh)
            run = fresh
        return JSONResponse(run, 202)

    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
