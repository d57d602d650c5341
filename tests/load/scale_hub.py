"""The configuration of the hub that is measured at scale: ours for Slurm, on a simulated cluster, with a stopwatch.

JupyterHub reads this file (``jupyterhub -f scale_hub.py``). Its event loop's lag goes into ``lag.jsonl``: one line a
second with the lags, in seconds, of a task that wants to run each 20 ms.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from load.scale_cluster import Connected
from simdeck_clusters.settings import SiteResources
from simdeck_hub.database import do_not_wait_for_the_disk
from simdeck_spawners.hub import install

TICK = 0.02


async def watch_lag(target: Path) -> None:
    """Write down how late the loop is, until the end."""
    lags: list[float] = []
    with target.open("a", encoding="utf-8") as file:
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK)
            lags.append(round(time.monotonic() - began - TICK, 5))
            if len(lags) * TICK >= 1 or sum(lags) >= 1:
                file.write(json.dumps({"when": time.time(), "lags": lags}) + "\n")
                file.flush()
                lags = []


def configure(c: Any, folder: Path, known: dict[str, Any]) -> asyncio.Task[None]:
    """Fill ``c`` from what the measurement decided."""
    hub = c.JupyterHub
    hub.bind_url = f"http://127.0.0.1:{known['port']}/"
    hub.hub_bind_url = f"http://127.0.0.1:{known['hub_port']}"
    do_not_wait_for_the_disk()
    hub.db_url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
    hub.cookie_secret_file = str(folder / "cookie-secret")
    hub.cleanup_proxy = False
    hub.tornado_settings = {}
    hub.activity_resolution = 60
    hub.authenticator_class = "dummy"
    c.Authenticator.allow_all = True
    hub.proxy_class = "configurable-http-proxy"
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{known['proxy_port']}"
    c.ConfigurableHTTPProxy.auth_token = known["proxy_token"]
    hub.services = [{"name": "load", "api_token": known["token"]}]
    scopes = ["admin:users", "admin:servers", "servers", "proxy", "list:users"]
    hub.load_roles = [{"name": "load", "services": ["load"], "scopes": scopes}]
    install(c)
    fleet = c.SlurmFleet
    fleet.data = str(folder)
    fleet.public = str(folder / "public")
    fleet.instance = "0123456789abcdef"
    fleet.api = f"http://127.0.0.1:{known['port']}/services/deck/api/v1"
    fleet.site = SiteResources.model_validate({"clusters": [{"name": "sim"}]})
    fleet.make_executor = lambda _: Connected(known["cluster"])
    return asyncio.get_running_loop().create_task(watch_lag(folder / "lag.jsonl"))


if "SIMDECK_SCALE" in os.environ:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    place = Path(os.environ["SIMDECK_SCALE"])
    watching = configure(get_config(), place, json.loads((place / "known.json").read_text()))  # type: ignore[name-defined]  # noqa: F821
