"""Makes the user's AiiDA profile in ``AIIDA_PATH``, as the workflow backend makes it: ``python -I make_profile.py``.

Run by path with an app's own Python, so it imports nothing of ours. Whoever runs it holds the worker's lock. What is
missing besides (computer, options) the backend's worker adds when it starts. An argument is the configuration (JSON) of
a storage in PostgreSQL; without one the profile is kept in SQLite.
"""

import json
import pathlib
import sys
import warnings
from typing import Any


def main() -> None:
    warnings.simplefilter("ignore")
    from aiida.manage.configuration import create_default_user, get_config
    from aiida.plugins import BrokerFactory

    config = get_config(create=True)
    if "simdeck" not in config.profile_names and sys.argv[1:]:
        in_postgresql(config, json.loads(sys.argv[1]), BrokerFactory("core.zeromq").get_default_config())
    elif "simdeck" not in config.profile_names:
        config.create_profile(
            name="simdeck",
            storage_backend="core.sqlite_dos",
            storage_config={},
            broker_backend="core.zeromq",
            broker_config=BrokerFactory("core.zeromq").get_default_config(),
            is_test_profile=False,
        )
    config.set_default_profile("simdeck", overwrite=True)
    config.store()

    import aiida

    profile = aiida.load_profile("simdeck", allow_switch=True)
    if not profile.default_user_email:
        create_default_user(profile, "user@localhost")


def in_postgresql(config: Any, storage: dict[str, Any], broker: dict[str, Any]) -> None:
    from aiida.manage.configuration.profile import Profile

    process_control = {"backend": "core.zeromq", "config": broker}
    settings = {"storage": {"backend": "core.psql_dos", "config": storage}, "process_control": process_control}
    profile = Profile("simdeck", {**settings, "test_profile": False})
    pathlib.Path(storage["repository_uri"].removeprefix("file://")).mkdir(parents=True, exist_ok=True, mode=0o700)
    profile.storage_cls.initialise(profile)
    config.add_profile(profile)
    config.store()


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"The AiiDA profile could not be made: {error}", file=sys.stderr)
        sys.exit(1)
