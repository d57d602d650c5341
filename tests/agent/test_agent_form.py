"""A run from a posted form, as `curl -F` sends it."""

from __future__ import annotations

import asyncio

FORM = "/workflows/molecule.optimize/run"


async def test_a_forms_fields_and_files_are_read_by_their_declared_types(agent, monkeypatch):
    seen = []
    accept = agent.backend.submit
    monkeypatch.setattr(agent.backend, "submit", lambda *args: seen.append(args[0]) or accept(*args))
    water = b"1\n\nH 0 0 0\n"
    answer = await agent.client.post(
        FORM, data={"charge": "-1", "title": "anion"}, files={"structure": ("water.xyz", water)}
    )
    assert answer.status_code == 202
    assert seen[0].title == "anion"
    assert seen[0].inputs == {"charge": -1, "structure": {"name": "water.xyz", "content": water.decode()}}


async def test_waiting_answers_with_the_ended_run(agent):
    async def end_it():
        while not agent.backend.runs:  # noqa: ASYNC110 - the fake has no event for it
            await asyncio.sleep(0)
        await agent.backend.finish(next(iter(agent.backend.runs)))

    ending = asyncio.create_task(end_it())
    answer = await agent.client.post(FORM, params={"wait": 60}, data={"charge": "0"})
    await ending
    assert (answer.status_code, answer.json()["state"]) == (200, "finished")


async def test_an_unknown_field_is_named(agent):
    answer = await agent.client.post(FORM, data={"chrage": "0"})
    assert answer.status_code == 422
    assert answer.json()["field"] == "chrage"
    assert agent.backend.runs == {}


async def test_a_value_that_is_not_of_its_type_is_named(agent):
    answer = await agent.client.post(FORM, data={"charge": "one"})
    assert (answer.status_code, answer.json()["field"]) == (422, "charge")


async def test_the_same_form_with_the_same_key_is_one_run(agent):
    answers = [await agent.client.post(FORM, data={"charge": "0"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert len({answer.json()["id"] for answer in answers}) == 1
