"""Who uses an app is counted, not named."""

from __future__ import annotations

import time

from simdeck_deck.keys import Keys
from simdeck_deck.usage import DAY, REMEMBERED_DAYS, Usage, own_apps

KEYS = Keys(b"k" * 32)


def test_each_person_counts_once_for_each_app(tmp_path):
    usage = Usage(tmp_path, KEYS)
    usage.note("ada", ["molecule", "bands"])
    usage.note("bob", ["molecule"])
    usage.note("bob", ["molecule"])
    assert usage.counts() == {"molecule": 2, "bands": 1}


def test_who_has_removed_an_app_does_not_count(tmp_path):
    usage = Usage(tmp_path, KEYS)
    usage.note("ada", ["molecule"])
    usage.note("ada", [])
    assert usage.counts() == {}


def test_counts_outlive_the_service_and_people_who_stay_away_do_not(tmp_path, monkeypatch):
    usage = Usage(tmp_path, KEYS)
    usage.note("ada", ["molecule"])
    usage.close()
    again = Usage(tmp_path, KEYS)
    assert again.counts() == {"molecule": 1}
    again.close()
    later = time.time() + (REMEMBERED_DAYS + 1) * DAY
    monkeypatch.setattr(time, "time", lambda: later)
    assert Usage(tmp_path, KEYS).counts() == {}


def test_what_everybody_has_is_nobodys_choice():
    apps = [
        {"id": "mine", "versions": ["1"], "site_versions": []},
        {"id": "both", "versions": ["2", "1"], "site_versions": ["1"]},
        {"id": "theirs", "versions": ["1"], "site_versions": ["1"]},
    ]
    assert own_apps(apps) == ["mine", "both"]
