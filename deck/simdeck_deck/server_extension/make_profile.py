"""Makes the user's AiiDA profile in ``AIIDA_PATH``, as the workflow backend makes it: ``python -I make_profile.py``.

Run by path with an app's own Python, so it imports nothing of ours. Whoever runs it holds the worker's lock. What is
missing besides (computer, options) the backend's worker adds when it starts.
"""

import sys
import warnings


def main() -> None:
    warnings.simplefilter("ignore")
    from aiida.manage.configuration import create_default_user, get_config
    from aiida.plugins import BrokerFactory

    config = get_config(create=True)
    if "simdeck" not in config.profile_names:
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


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"The AiiDA profile could not be made: {error}", file=sys.stderr)
        sys.exit(1)
