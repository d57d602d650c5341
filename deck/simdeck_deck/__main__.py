"""``python -m simdeck_deck``: serve the deck as its environment says (see ``settings``), until SIGTERM."""

from __future__ import annotations

import logging
import sys

from simdeck_agent.serving import Server

from simdeck_deck.app import create_app, make_deck
from simdeck_deck.settings import DeckSettings


def main() -> int:
    """Run the service; the exit status is 2 when the environment is incomplete."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = DeckSettings.from_env()
    except (OSError, ValueError) as error:
        print(f"The deck service cannot start: {error}", file=sys.stderr)
        return 2
    deck = make_deck(settings)
    Server(create_app(deck), deck.closing, host=settings.listen_host, port=settings.listen_port).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
