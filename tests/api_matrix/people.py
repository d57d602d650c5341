"""Alice and bob on one running Simdeck: her things, tokens of every kind, and what she sees of her own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from simdeck_appstore.developer.release import make_release
from simdeck_hub import scopes
from simdeck_hub.hub_api import HubApi
from simdeck_hub.instance import read_state
from simdeck_hub.secrets_file import Secrets
from stack import Stack, wait_for

from api_matrix.matrix import Operation, operations

sys.path.insert(0, str(Path(__file__).parents[1] / "appstore"))
from synthetic import write_app

API = "/services/deck/api/v1"
WAAS = "/services/deck/api/hpcwaas"
WORKFLOW = "molecule.optimize"
SECRET = "alices-own-words"
HYDROGEN = {
    "structure": {"symbols": ["H", "H"], "positions": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]},
    "frequencies": False,
}
DECLARED = ("runs", "runs:read", "apps:install", "apps:read", "apps:publish", "server", "admin")
OPENED_BY = {"runs:read": {"runs:read", "runs"}, "apps:read": {"apps:read", "apps:install"}}

VOLATILE = frozenset(
    {"elapsed", "age", "walltime_left", "last_activity", "since", "used", "active", "worker", "people", "opened"}
)
"""Fields that change by themselves while nothing happens."""


class People:
    """Two real users of one stack. ``things`` are alice's, by the name of the parameter that names such a thing."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.things: dict[str, str] = {}
        self.last_seen: dict[str, Any] = {}
        with httpx.Client(base_url=stack.url, trust_env=False) as anybody:
            self.operations: list[Operation] = [
                one for base in (API, WAAS) for one in operations(anybody.get(base + "/openapi.json").json(), base)
            ]

    def client(self, token: str | None, **headers: str) -> httpx.Client:
        """Return a client of the whole site with a token, or with none."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=self.stack.url, headers=headers, trust_env=False, timeout=90.0)

    def token(self, user: str, *wanted: str) -> str:
        """Make a hub token of ``user`` with these hub scopes and access to the deck."""
        running = read_state(self.stack.data)
        assert running is not None
        secret = Secrets.load(self.stack.data.private).operator_token
        hub = HubApi(running.hub_api, secret, str(self.stack.data.logs / "hub.log"))
        return asyncio.run(hub.make_token(user, "for a test", [*wanted, scopes.ACCESS_DECK], 3600))

    def token_without(self, user: str, declared: str) -> str:
        """Make a token of ``user`` that opens all but what declares the short scope ``declared``."""
        held = [name for name in DECLARED if name not in OPENED_BY.get(declared, {declared})]
        # The hub's own scopes contain each other as Simdeck's do: to hold more than the user may is not asked for.
        held = [name for name in held if name != "admin"]
        return self.token(user, *(full for name in held for full in scopes.for_token(name)))

    def give_alice(self) -> None:
        """Let alice have one of everything."""
        with self.client(self.stack.cli_token("alice")) as alice:
            assert alice.post(f"{API}/servers/-").status_code == 202
            task = alice.post(f"{API}/apps/molecule/install").json()
            wait_for("alice's app", lambda: alice.get(f"{API}/tasks/{task['id']}").json()["ended"])
            body = {"workflow": WORKFLOW, "inputs": HYDROGEN, "title": SECRET}
            run = alice.post(f"{API}/runs", json=body).json()["id"]
            vary = {"workflow": WORKFLOW, "inputs": HYDROGEN, "vary": {"frequencies": [False]}, "title": SECRET}
            sweep = alice.post(f"{API}/sweeps", json=vary).json()["id"]
            key = alice.post(f"{API}/ssh_keys", json={"metadata": {"for": SECRET}}).json()["id"]
            share = alice.post(f"{API}/shares", json={"run": run, "app": "molecule", "people": ["mallory"]}).json()
            ticket = alice.post(f"{API}/shared", json={"link": share["link"]}).json()["ticket"]
            wait_for("alice's runs", lambda: all_ended(alice), 300)
            wait_for("alice's server", lambda: alice.get(f"{API}/servers/-").json()["phase"] == "running", 240)
            files = alice.get(f"{API}/runs/{run}/files").json()["items"]
        self.things = {
            "run_id": run, "execution_id": run, "sweep_id": sweep, "key_id": key, "task_id": task["id"],
            "share": share["id"], "ticket": ticket, "link": share["link"], "path": files[0]["path"],
            "app": "molecule", "name": WORKFLOW, "workflow_id": WORKFLOW, "server": "-",
        }  # fmt: skip

    def publish(self, folder: Path) -> None:
        """Have alice publish an app through the API."""
        project = write_app(folder / "project", "published")
        release = make_release(project, folder / "release", Path(sys.executable))
        with self.client(self.stack.cli_token("alice")) as alice, release.wheel.open("rb") as wheel:
            answer = alice.post(
                f"{API}/registries/ours/releases",
                files={"release": (release.wheel.name, wheel)},
                data={"manifest": release.to_json()},
            )
            assert answer.status_code == 202, answer.text
            made = answer.json()["id"]
            wait_for("alice's release", lambda: alice.get(f"{API}/publications/{made}").json()["ended"], 240)
            ended = alice.get(f"{API}/publications/{made}").json()
            assert ended["state"] == "done", ended
        self.things |= {"publication": made, "registry": "ours"}

    @property
    def secrets(self) -> list[str]:
        """Words that stand in alice's answers and must stand in nobody else's."""
        return [
            SECRET,
            "/user/alice",
            *(self.things[name] for name in ("run_id", "sweep_id", "key_id", "task_id", "share", "publication")),
        ]

    def seen_by_alice(self) -> dict[str, Any]:
        """Return what every operation that only reads tells alice of her things, for a comparison."""
        found: dict[str, Any] = {}
        with self.client(self.stack.cli_token("alice")) as alice:
            for one in self.operations:
                if one.method == "get" and one.answers_json and one.scope != "open":
                    answer = alice.request(**one.request(self.things))
                    found[f"{one.base}{one}"] = (answer.status_code, _without(answer.json()))
        return found

    def told(self, answer: httpx.Response, request: Mapping[str, Any]) -> list[str]:
        """Return alice's secrets that stand in ``answer`` and did not already stand in the request."""
        asked = json.dumps({name: value for name, value in request.items() if name != "content"})
        return [word for word in self.secrets if word in answer.text and word not in asked]


def all_ended(client: httpx.Client) -> bool:
    return all(run["ended"] for run in client.get(f"{API}/runs").json()["items"])


def _without(value: Any) -> Any:
    """Return what of an answer stays the same while nothing happens."""
    if isinstance(value, dict):
        return {name: _without(one) for name, one in value.items() if name not in VOLATILE}
    return [_without(one) for one in value] if isinstance(value, list) else value
