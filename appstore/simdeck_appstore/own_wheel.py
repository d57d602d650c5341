"""The simdeck wheel that a registry offers beside its apps: built from the checkout, or taken as it is."""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from simdeck_appstore.models import SimdeckWheel
from simdeck_appstore.records import FileStore
from simdeck_appstore.seen import Seen
from simdeck_appstore.wheels import WheelBuilder, inspect_wheel


class OwnRecord(BaseModel):
    """The wheel built last, kept under the hash of its sources."""

    model_config = ConfigDict(frozen=True)
    key: str
    simdeck: SimdeckWheel


@dataclass(frozen=True)
class OwnWheel:
    record: OwnRecord
    warnings: list[str] = field(default_factory=list)


def own_checkout() -> Path | None:
    """Return the checkout this module lies in, or None where it is installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    file = root / "pyproject.toml"
    if not file.is_file():
        return None
    return root if tomllib.loads(file.read_text("utf-8")).get("project", {}).get("name") == "simdeck" else None


def own_key(origin: Path, seen: Seen) -> str:
    """Return a hash that changes when the wheel of ``origin`` would."""
    return _checkout_key(origin, _wheel_config(origin), seen) if origin.is_dir() else seen.file(origin)


def own_wheel(origin: Path, earlier: OwnRecord | None, builder: WheelBuilder, store: FileStore, seen: Seen) -> OwnWheel:
    """Return the wheel of ``origin`` (a checkout, or a wheel), built only when its sources changed.

    Raises
    ------
    Problem
        ``source-invalid`` when it cannot be built.
    """
    wheel_config = _wheel_config(origin) if origin.is_dir() else {}
    key = own_key(origin, seen)
    warnings = [
        f"the simdeck wheel lacks {pattern}: nothing matches it in the checkout"
        for pattern in wheel_config.get("artifacts", [])
        if not any(origin.glob(pattern))
    ]
    if earlier is not None and earlier.key == key and store.keep([earlier.simdeck.wheel]):
        return OwnWheel(earlier, warnings)
    with tempfile.TemporaryDirectory(prefix="simdeck-build-") as scratch:
        path = builder.build(origin, Path(scratch)) if origin.is_dir() else origin
        simdeck = SimdeckWheel(version=inspect_wheel(path).version, wheel=store.add(path))
    return OwnWheel(OwnRecord(key=key, simdeck=simdeck), warnings)


def _wheel_config(checkout: Path) -> dict[str, Any]:
    data = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))
    target = data.get("tool", {}).get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    return dict(target)


def _checkout_key(checkout: Path, config: dict[str, Any], seen: Seen) -> str:
    """Hash only what goes into the wheel: a checkout holds much more, and some of it changes while we read."""
    parts = ["pyproject.toml", "README.md", "LICENSE", *config.get("packages", [])]
    return seen.tree(checkout, [part for part in parts if (checkout / part).exists()])
