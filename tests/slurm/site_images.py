"""A container image for whole servers, and the environments of the site file that offer it."""

from __future__ import annotations

import json
from pathlib import Path

from simdeck_hub.trial.trial import Options

RUNTIMES = ("ch-run", "bwrap")
MARK = "mark-of-the-image"


def image_of(options: Options) -> Path:
    return options.folder / "run" / "image"


def binds_of(options: Options) -> list[str]:
    """What a server needs inside, each at its own path: programs, the site's prefix, the homes, Slurm's files."""
    folders = [options.folder / "prefix", options.folder / "run" / "home"]
    folders += [options.folder / "run" / ("slurm" if number == 0 else f"slurm-{number + 1}")
                for number in range(len(options.clusters))]  # fmt: skip
    return ["/usr", *map(str, folders)]


def environments(options: Options) -> str:
    """Return the text for the site file: one environment for each program that runs images without rights."""
    return "".join(
        f'[[environments]]\nname = "image-{runtime}"\ntitle = "Image with {runtime}"\n\n[environments.source]\n'
        f'kind = "container"\nruntime = "{runtime}"\nimage = {json.dumps(str(image_of(options)))}\n'
        f"binds = {json.dumps(binds_of(options))}\n\n"
        for runtime in RUNTIMES
    )


def make_image(options: Options) -> Path:
    """Make the image: a root file system with a place for each bind, and nothing of its own but a mark."""
    root = image_of(options)
    for folder in ("/dev", "/proc", "/sys", "/tmp", "/etc", *binds_of(options)):
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (root / link).symlink_to(f"usr/{link}")
    for file in ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf"):
        (root / file).touch()
    (root / MARK).write_text("inside\n", encoding="utf-8")
    return root
