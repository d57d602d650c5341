"""The page of an app that is installed for everybody."""

from __future__ import annotations


def for_all(person, *versions):
    """Let the person's Molecule be there for everybody in these versions."""
    app = next(app for app in person.world.agent.apps if app["id"] == "molecule")
    app["site_versions"] = list(versions)
    return app


async def test_it_says_so_and_offers_no_removal(visitor):
    person = visitor("busy")
    for_all(person, *for_all(person)["versions"])
    soup = await person.soup("store/molecule")
    assert "installed for everybody" in soup.get_text(" ")
    assert soup.find("a", href=lambda url: url and url.endswith("store/molecule/remove")) is None


async def test_a_version_of_their_own_beside_it_can_be_removed(visitor):
    person = visitor("busy")
    app = for_all(person)
    for_all(person, *(version for version in app["versions"] if version != app["current"]))
    soup = await person.soup("store/molecule")
    assert soup.find("a", href=lambda url: url and url.endswith("store/molecule/remove")) is not None
