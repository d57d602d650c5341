"""A small web program on a Unix socket: echoes what reaches it, talks on a websocket, and dies when asked."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from aiohttp import WSMsgType, web


async def page(request: web.Request) -> web.Response:
    what = {
        "path": request.path,
        "query": request.query_string,
        "cookies": sorted(request.cookies),
        "authorization": request.headers.get("Authorization", ""),
        "prefix": request.headers.get("X-Forwarded-Prefix", ""),
        "pid": os.getpid(),
        "app": os.environ.get("SIMDECK_APP"),
    }
    if request.headers.get("Accept") == "application/json":
        return web.json_response(what)
    words = f"<title>Small program</title><h1>Small program</h1><p id='query'>{request.query_string}</p>"
    script = (
        "<p id='heard'></p><script>const ws = new WebSocket(location.href.replace(/^http/, 'ws').replace(/[?].*/, '') + 'ws');"
        "ws.onopen = () => ws.send('hello'); ws.onmessage = (e) => { document.getElementById('heard').textContent = e.data; };</script>"
    )
    return web.Response(text=words + script, content_type="text/html")


async def socket(request: web.Request) -> web.WebSocketResponse:
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for message in answer:
        if message.type == WSMsgType.TEXT:
            await answer.send_str(f"heard {message.data}")
    return answer


async def die(request: web.Request) -> web.Response:
    print("the last words of the program", flush=True)
    asyncio.get_running_loop().call_later(0.05, os._exit, 3)
    return web.Response(text="dying")


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--prefix", default="/")
    parser.add_argument("--wait-for", default="")
    parser.add_argument("--fail", default="")
    parser.add_argument("--child", default="")
    given = parser.parse_args()
    print("the program starts", flush=True)
    if given.fail:
        raise SystemExit(given.fail)
    if given.child:
        child = os.fork()
        if child == 0:
            while True:
                asyncio.run(asyncio.sleep(3600))
        Path(given.child).write_text(str(child))
    while given.wait_for and not Path(given.wait_for).exists():
        asyncio.run(asyncio.sleep(0.05))
    app = web.Application()
    app.router.add_get(given.prefix + "ws", socket)
    app.router.add_post(given.prefix + "die", die)
    app.router.add_get(given.prefix + "moved", moved)
    app.router.add_get("/{path:.*}", page)
    web.run_app(app, path=given.socket, print=None)


if __name__ == "__main__":
    main()
