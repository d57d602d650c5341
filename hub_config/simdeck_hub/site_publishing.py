"""What the deck is told of registries that people may publish into: ``<data>/deck/publishing.json``.

Users' agents do not read it; the folder is the service's alone.
"""

from __future__ import annotations

from pathlib import Path

from simdeck_appstore.publishing import Receiver, Receivers
from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir

from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.site_file import Site


def write_receivers(data: DataFolder, checkout: Checkout, site: Site) -> None:
    """Write the file, as the site file says it now."""
    found = [
        Receiver(name=one.name, source=one.source, publishers=one.publishers)
        for one in site.registries
        if one.source is not None and one.publishers
    ]
    made = Receivers(items=found, simdeck=own_simdeck(checkout))
    write_atomically(private_dir(data.root / "deck") / "publishing.json", made.model_dump_json(indent=1) + "\n")


def own_simdeck(checkout: Checkout) -> Path | None:
    """Return the checkout, or in a prefix the wheel, that apps' environments get simdeck from."""
    return checkout.root if (checkout.root / "pyproject.toml").is_file() else checkout.own_wheel
