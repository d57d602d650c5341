"""``registry.toml`` beside ``apps.yaml``: where a registry is built to, and with which keys it is signed.

    title = "Apps of the Exemplary Institute"
    output = "../built"        # relative to this folder
    keys = "../keys"
    base_url = "https://apps.example.org"

A registry without the file can be built all the same: then output and keys are given at each build.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from simdeck_common.problems import Problem

NAME = "registry.toml"


class RegistrySettings(BaseModel):
    """What the file says; paths are relative to its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str = Field("App registry", min_length=1, max_length=80)
    summary: str = Field("", max_length=300)
    output: str | None = None
    keys: str | None = None
    base_url: str | None = Field(None, pattern=r"^https?://\S+$")


def read_settings(folder: Path) -> RegistrySettings:
    """Return the settings in ``folder``; the defaults where there is no file.

    Raises
    ------
    Problem
        ``registry-invalid``.
    """
    path = folder / NAME
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return RegistrySettings.model_validate({})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Problem("registry-invalid", file=NAME, reason=f"cannot be read ({error})") from None
    try:
        return RegistrySettings.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise Problem("registry-invalid", field=key, file=NAME, reason=f"{key}: {first['msg']}") from None
