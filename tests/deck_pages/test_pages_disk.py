"""What the person's apps take on disk, in the store's list of installed apps and on a page of its own."""

from __future__ import annotations


async def test_the_list_of_installed_apps_asks_for_their_disk_use(visitor):
    busy = visitor("busy")
    soup = await busy.soup("store?installed=1")
    part = soup.find(class_="disk-use")
    assert part["hx-get"].endswith("/disk")
    assert part.find("a")["href"].endswith("/disk")
    assert (await busy.soup("store")).find(class_="disk-use") is None


async def test_each_app_is_told_with_its_size_and_what_a_removal_gives_back(visitor):
    text = (await visitor("busy").soup("disk", fragment=True)).get_text(" ")
    assert "molecule" in text
    assert "84\u00a0MB" in text
    assert "9.1\u00a0MB" in text


async def test_without_a_script_it_is_a_whole_page(visitor):
    soup = await visitor("busy").soup("disk")
    assert soup.find("h1").get_text() == "Disk use"
    assert soup.find("table") is not None


async def test_without_apps_it_says_so(visitor):
    assert "No app of yours" in (await visitor("empty").soup("disk")).get_text(" ")
