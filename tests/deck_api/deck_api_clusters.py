"""The hub's routes on clusters and servers, over dictionaries, as a part of the fake hub."""

from __future__ import annotations

from typing import Any

from deck_pages.deck_pages_servers import an_estimate
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from simdeck_common.problems import Problem

MISSING = {"message": "Not Found"}


def add_routes(app: FastAPI, hub: Any, caller: Any) -> None:
    """Add ``/hub/api/simdeck/…`` and named servers; without ``hub.clusters`` the former answer 404."""

    def mine(request: Request) -> dict[str, Any] | None:
        model = caller(request)
        return hub.views.setdefault(model["name"], {}) if model and hub.clusters is not None else None

    @app.get("/hub/api/simdeck/clusters")
    async def clusters(request: Request) -> Response:
        return JSONResponse(MISSING, 404) if mine(request) is None else JSONResponse({"items": hub.clusters})

    @app.get("/hub/api/simdeck/servers")
    async def servers(request: Request) -> Response:
        views = mine(request)
        return JSONResponse(MISSING, 404) if views is None else JSONResponse({"items": list(views.values())})

    @app.get("/hub/api/simdeck/servers/{name}")
    async def one(name: str, request: Request) -> Response:
        views = mine(request)
        found = (views or {}).get(name)
        return JSONResponse(found or MISSING, 200 if found else 404)

    @app.get("/hub/api/simdeck/servers/{name}/bundle")
    async def bundle(name: str, request: Request) -> Response:
        if name not in (mine(request) or {}):
            return JSONResponse(MISSING, 404)
        return Response(b"PK-the-papers", media_type="application/zip")

    @app.post("/hub/api/simdeck/estimate")
    async def estimate(request: Request) -> Response:
        if mine(request) is None:
            return JSONResponse(MISSING, 404)
        return refusal(await request.json()) or JSONResponse(an_estimate())

    def refusal(body: dict[str, Any]) -> Response | None:
        options = body.get("options", body)
        if int(options.get("cores", 1)) <= 32:
            return None
        problem = Problem("invalid-input", field="cores", detail="At most 32 cores can be had here.")
        return JSONResponse(problem.to_json(), problem.status, media_type="application/problem+json")

    @app.post("/hub/api/users/{user}/servers/{name}")
    async def start(user: str, name: str, request: Request) -> Response:
        options = await request.json()
        refused = refusal(options)
        if refused is not None:
            return refused
        hub.started.append((user, name, options))
        hub.views.setdefault(user, {})[name] = {"name": name, "phase": "submitting", "options": options}
        return Response(status_code=202)

    @app.delete("/hub/api/users/{user}/servers/{name}")
    async def stop(user: str, name: str, request: Request) -> Response:
        body = await request.body()
        hub.ended.append((user, name, b"remove" in body))
        if hub.views.get(user, {}).pop(name, None) is None:
            return JSONResponse(MISSING, 404)
        return Response(status_code=204)

    @app.get("/hub/api/users/{user}/servers/{name}/progress")
    async def progress(user: str, name: str) -> Response:
        if name not in hub.views.get(user, {}):
            return JSONResponse(MISSING, 404)
        body = 'data: {"progress": 10, "message": "Waiting", "simdeck": {"name": "side", "phase": "queued"}}\n\n'
        return Response(body, media_type="text/event-stream")
