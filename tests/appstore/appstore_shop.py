"""What the tests of this room share: where uv is, a stand-in for the describe command, and the registry's places."""

from __future__ import annotations

import select
import sys
from dataclasses import dataclass
from pathlib import Path

from simdeck_appstore.installer import Installer, InstallerSettings

UV = Path(sys.executable).with_name("uv")
DESCRIBE = """\
import json, sys, pathlib
names = [line.split('=')[0].strip() for path in pathlib.Path(sys.argv[2]).glob('*.dist-info/entry_points.txt')
         for line in path.read_text().splitlines() if '=' in line]
print(json.dumps({"workflows": [{"name": name} for name in names]}))
"""


@dataclass(frozen=True)
class Shop:
    """Where the built registry, its source and the stand-in project lie."""

    registry: Path
    source: Path
    stand_in: Path
    describe: list[str]

    def installer(self, apps: Path, **changes: object) -> Installer:
        settings = {"registries": [self.registry], "uv": UV, "describe_argv": self.describe, **changes}
        return Installer(apps, InstallerSettings(**settings))  # type: ignore[arg-type]


def ends(handle: int, seconds: float = 180.0) -> bool:
    """Wait until the process of a pidfd has ended; ``select`` would refuse a descriptor above 1023."""
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    return bool(waiting.poll(int(seconds * 1000)))
