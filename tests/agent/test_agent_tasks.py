"""Tasks: durable, one at a time per app, cancellable, and settled after a crash."""

from __future__ import annotations

import asyncio

from simdeck_agent.task_store import TaskStore
from simdeck_agent.tasks import Tasks
from simdeck_agent.testing import FakeBackend, FakeInstaller


async def ended(client, task_id):
    """Follow the task to its end; return it."""
    async with asyncio.timeout(120), client.stream("GET", f"/tasks/{task_id}/events") as response:
        async for line in response.aiter_lines():
            if line == "event: end":
                break
    return (await client.get(f"/tasks/{task_id}")).json()


async def test_an_install_ends_done_and_names_its_version(agent):
    response = await agent.client.post("/apps/molecule/install", json={"version": "2.0"})
    assert response.status_code == 202
    assert response.headers["location"] == f"/tasks/{response.json()['id']}"
    task = await ended(agent.client, response.json()["id"])
    assert (task["state"], task["version"], task["step"]) == ("done", "2.0", "ready")
    assert (await agent.client.get("/apps/molecule")).json()["current"] == "2.0"


async def test_an_install_needs_no_body(agent):
    response = await agent.client.post("/apps/molecule/install")
    assert (await ended(agent.client, response.json()["id"]))["state"] == "done"


async def test_the_worker_learns_of_an_install_before_the_task_is_done(agent, monkeypatch):
    states = []

    async def reload():
        states.extend(task.state for task in agent.app.store.recent())

    monkeypatch.setattr(agent.backend, "reload", reload)
    response = await agent.client.post("/apps/molecule/install")
    await ended(agent.client, response.json()["id"])
    assert states == ["running"]


async def test_a_refused_install_ends_failed_with_the_installers_words(agent):
    response = await agent.client.post("/apps/nowhere/install")
    task = await ended(agent.client, response.json()["id"])
    assert task["state"] == "failed"
    assert task["problem"]["code"] == "app-not-found"
    assert agent.backend.reloads == 0


async def test_pressing_install_twice_is_one_task(agent):
    agent.installer.hold = True
    first = await agent.client.post("/apps/molecule/install")
    second = await agent.client.post("/apps/molecule/install")
    assert first.json()["id"] == second.json()["id"]
    agent.installer.release.set()
    await ended(agent.client, first.json()["id"])
    assert agent.installer.apps == {"molecule": ["1.0"]}


async def test_tasks_of_one_app_come_one_after_the_other(agent):
    agent.installer.hold = True
    first = (await agent.client.post("/apps/molecule/install", json={"version": "1.0"})).json()
    second = (await agent.client.post("/apps/molecule/install", json={"version": "2.0"})).json()
    await asyncio.to_thread(agent.installer.begun.wait, 10)
    assert (await agent.client.get(f"/tasks/{second['id']}")).json()["state"] == "queued"
    agent.installer.release.set()
    await ended(agent.client, second["id"])
    assert (await agent.client.get(f"/tasks/{first['id']}")).json()["state"] == "done"
    assert agent.installer.apps == {"molecule": ["1.0", "2.0"]}


async def test_a_running_install_can_be_cancelled(agent):
    agent.installer.hold = True
    task = (await agent.client.post("/apps/molecule/install")).json()
    await asyncio.to_thread(agent.installer.begun.wait, 10)
    assert (await agent.client.delete(f"/tasks/{task['id']}")).status_code == 202
    assert (await ended(agent.client, task["id"]))["state"] == "cancelled"
    assert agent.installer.apps == {}


async def test_a_queued_task_can_be_cancelled_and_never_begins(agent):
    agent.installer.hold = True
    first = (await agent.client.post("/apps/molecule/install", json={"version": "1.0"})).json()
    second = (await agent.client.post("/apps/molecule/install", json={"version": "2.0"})).json()
    await agent.client.delete(f"/tasks/{second['id']}")
    agent.installer.release.set()
    assert (await ended(agent.client, second["id"]))["state"] == "cancelled"
    assert (await ended(agent.client, first["id"]))["state"] == "done"
    assert agent.installer.apps == {"molecule": ["1.0"]}


async def test_an_ended_task_cannot_be_cancelled(agent):
    task = (await agent.client.post("/apps/molecule/install")).json()
    await ended(agent.client, task["id"])
    response = await agent.client.delete(f"/tasks/{task['id']}")
    assert (response.status_code, response.json()["code"]) == (409, "task-ended")


async def test_rolling_back_makes_the_earlier_version_current(agent):
    agent.installer.apps["molecule"] = ["1.0", "2.0"]
    task = (await agent.client.post("/apps/molecule/rollback")).json()
    assert (await ended(agent.client, task["id"]))["version"] == "1.0"
    assert agent.backend.reloads == 1


async def test_an_app_that_is_not_installed_cannot_be_removed(agent):
    response = await agent.client.delete("/apps/molecule")
    assert (response.status_code, response.json()["code"]) == (404, "app-not-installed")


async def test_a_version_with_unfinished_runs_is_not_removed(agent):
    agent.installer.apps["molecule"] = ["0.9", "1.0"]
    run = (await agent.client.post("/runs", json={"workflow": "molecule.optimize"})).json()
    for query in ("", "?version=1.0"):
        response = await agent.client.delete(f"/apps/molecule{query}")
        assert (response.status_code, response.json()["code"]) == (409, "version-in-use")
    other = await agent.client.delete("/apps/molecule?version=0.9")
    assert (await ended(agent.client, other.json()["id"]))["state"] == "done"
    await agent.backend.finish(run["id"])
    last = await agent.client.delete("/apps/molecule")
    assert (await ended(agent.client, last.json()["id"]))["state"] == "done"
    assert agent.installer.apps == {}


async def test_a_task_found_running_after_a_crash_is_failed_and_staging_cleaned(tmp_path):
    path = tmp_path / "tasks.sqlite"
    before = TaskStore(path)
    task = before.create("install", "molecule", None)
    before.update(task.id, "state", {"state": "running"}, state="running")
    # Nothing is closed or finished: that is what a kill leaves.
    installer, backend = FakeInstaller(), FakeBackend()
    tasks = Tasks(TaskStore(path), installer, backend)
    await tasks.start()
    found = tasks.get(task.id)
    assert found.state == "failed"
    assert found.problem is not None
    assert found.problem["code"] == "task-interrupted"
    assert installer.cleaned == 1
    assert backend.reloads == 1
    assert not tasks.active()


async def test_a_task_found_queued_after_a_crash_is_done_now(tmp_path):
    path = tmp_path / "tasks.sqlite"
    task = TaskStore(path).create("install", "molecule", "3.0")
    installer = FakeInstaller()
    tasks = Tasks(TaskStore(path), installer, FakeBackend())
    await tasks.start()
    async with asyncio.timeout(120):
        states = [event.data["state"] async for event in tasks.events(task.id) if event.type == "state"]
    assert states == ["queued", "running", "done"]
    assert installer.apps == {"molecule": ["3.0"]}


async def test_an_agent_that_ends_breaks_its_install_off_for_the_next_to_settle(tmp_path):
    store, installer = TaskStore(tmp_path / "tasks.sqlite"), FakeInstaller()
    installer.hold = True
    tasks = Tasks(store, installer, FakeBackend())
    await tasks.start()
    first, second = tasks.submit("install", "molecule", "1.0"), tasks.submit("install", "molecule", "2.0")
    await asyncio.to_thread(installer.begun.wait, 10)
    await tasks.stop()
    assert not tasks.active()
    assert [store.get(task.id).state for task in (first, second)] == ["running", "queued"]


async def test_the_events_of_an_ended_task_end_at_once(tmp_path):
    store = TaskStore(tmp_path / "tasks.sqlite")
    task = store.create("install", "molecule", None)
    store.update(task.id, "state", {"state": "failed"}, state="failed")
    tasks = Tasks(store, FakeInstaller(), FakeBackend())
    async with asyncio.timeout(120):
        assert [event.seq async for event in tasks.events(task.id, after=1)] == [2]


def test_nothing_is_added_to_a_task_that_has_ended(tmp_path):
    store = TaskStore(tmp_path / "tasks.sqlite")
    task = store.create("install", "molecule", None)
    store.update(task.id, "state", {"state": "done"}, state="done")
    assert store.update(task.id, "state", {"state": "failed"}, state="failed") is None
    assert store.get(task.id).state == "done"
    assert len(store.events(task.id, 0)) == 2


def test_old_ended_tasks_are_forgotten_with_their_events(tmp_path, monkeypatch):
    monkeypatch.setattr("simdeck_agent.task_store.KEPT", 2)
    store = TaskStore(tmp_path / "tasks.sqlite")
    made = [store.create("install", "molecule", None) for _ in range(2)]
    for task in made:
        store.update(task.id, "state", {"state": "done"}, state="done")
    newest = store.create("install", "molecule", None)
    assert [task.id for task in store.recent()] == [newest.id, made[1].id]
    assert store.events(made[0].id, 0) == []
