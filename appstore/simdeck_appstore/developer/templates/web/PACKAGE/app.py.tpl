"""The web program: one page, and the numbers it asks for."""

from __future__ import annotations

from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from $package.model import curve, levels

LIMITS = {"depth": (0.5, 10.0, 4.5), "width": (0.5, 4.0, 1.9), "mass": (0.5, 50.0, 0.5)}


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse((files("$package") / "page.html").read_text("utf-8"))


async def numbers(request: Request) -> JSONResponse:
    """Answer the curve and its levels; a value that is no number or outside its limits is refused by name."""
    values = {}
    for name, (low, high, default) in LIMITS.items():
        try:
            value = float(request.query_params.get(name, default))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            return JSONResponse({"field": name, "detail": f"{name} must be between {low} and {high}"}, 422)
        values[name] = value
    return JSONResponse(
        {"curve": curve(values["depth"], values["width"]), "levels": levels(**values), "depth": values["depth"]}
    )


app = Starlette(routes=[Route("/", page), Route("/numbers", numbers)])
