"""What the manifest's keys are made of: kinds of words, and the smaller tables within ``[tool.simdeck]``."""

from __future__ import annotations

from typing import Annotated, Any

from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field

from simdeck_appstore.entries import Strict
from simdeck_appstore.lockfile import check_requirement
from simdeck_appstore.texts import fault_of_words


def _sentence(value: str) -> str:
    fault = fault_of_words(value)
    if fault:
        raise ValueError(fault)
    return value.strip()


def _version(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        raise ValueError("must be a version number such as 0.1") from None
    return value


def _https(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("must be an https:// address")
    return value


def requirement(value: str) -> str:
    fault = check_requirement(value)
    if fault:
        raise ValueError(fault)
    return value.strip()


Sentence = Annotated[str, AfterValidator(_sentence)]
VersionText = Annotated[str, AfterValidator(_version)]
HttpsUrl = Annotated[str, AfterValidator(_https)]
MODULE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
WORKFLOW = r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)+$"


class Resources(Strict):
    """What one page of the app wants of the Jupyter server."""

    cores: int = Field(1, ge=1, le=1024, description="Processor cores.")
    memory: str = Field(
        "1 GiB", pattern=r"^[1-9][0-9]* (MiB|GiB)$", description="Memory, such as “512 MiB” or “2 GiB”."
    )


class Citation(Strict):
    """How to cite the app or what it stands on."""

    text: Sentence = Field(description="The reference as it is printed.")
    doi: str | None = Field(None, pattern=r"^10\.[0-9]{4,9}/\S+$", description="DOI without https://doi.org/.")
    url: HttpsUrl | None = Field(None, description="An https address, where there is no DOI.")


class Smoke(Strict):
    """A short run of one of the app's workflows: the checks start it and wait for its end."""

    workflow: Annotated[str, Field(pattern=WORKFLOW)] = Field(description="One of the app's workflows.")
    inputs: dict[str, Any] = Field({}, description="Its inputs, as the REST API takes them.")
    seconds: int = Field(300, ge=1, le=3600, description="It must have finished after that time.")
