"""What an app's manifest may open: a notebook (and further pages), a web program, or files alone."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

KINDS = ("notebook", "command", "static", "workflow")
SOCKETS = ("{unix_socket}", "{socket}")
"""What stands in a command for the socket's path: jupyter-server-proxy's word, and a short one."""


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if not value or "\\" in value or "\0" in value:
        raise ValueError("must be a path with forward slashes")
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must stay inside the project's folder")
    return str(path)


def _notebook(value: str) -> str:
    if not value.endswith(".ipynb") or "/" not in value:
        raise ValueError("must be a notebook (.ipynb) inside the app's import package")
    return value


InsidePath = Annotated[str, AfterValidator(_inside)]
NotebookPath = Annotated[str, AfterValidator(_inside), AfterValidator(_notebook)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(Strict):
    """One of several pages of a notebook app. Its address is the app's and the notebook's name."""

    path: NotebookPath = Field(description="The notebook, inside the import package.")
    title: str = Field(min_length=1, max_length=40, description="What the page is called in the app's bar.")

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).stem


class NotebookEntry(Strict):
    """The app's page is a notebook that Voilà renders."""

    kind: Literal["notebook"]
    path: NotebookPath = Field(description="The notebook, inside the import package, relative to the project.")


class CommandEntry(Strict):
    """The app's page is a web program of its own, reached through the Jupyter server."""

    kind: Literal["command"]
    command: list[str] = Field(
        min_length=1,
        description="argv; {unix_socket} (where it must listen), {base_url} and {package} are filled in at start.",
    )

    @field_validator("command")
    @classmethod
    def _on_a_socket(cls, value: list[str]) -> list[str]:
        if any("{port}" in word for word in value):
            raise ValueError(
                "must not ask for a TCP port, which every user of a shared machine can reach: "
                "let it listen on {unix_socket}"
            )
        if not any(name in word for word in value for name in SOCKETS):
            raise ValueError("must say {unix_socket}, the path of the Unix socket that the program listens on")
        return value


class StaticEntry(Strict):
    """The app is files alone (a result viewer that runs in the browser); there is no kernel."""

    kind: Literal["static"]
    path: InsidePath = Field(description="The folder with index.html, inside the import package.")

    @field_validator("path")
    @classmethod
    def _is_folder(cls, value: str) -> str:
        if "/" not in value:
            raise ValueError("must be a folder inside the app's import package")
        return value


class WorkflowEntry(Strict):
    """The app has no page: its workflows are run from their forms, the command line and REST."""

    kind: Literal["workflow"]


def fault_of_pages(kind: str, first: str, pages: list[Page]) -> str | None:
    """Return what is wrong with an app's ``pages``, or None."""
    if pages and kind != "notebook":
        return "pages are for an entry of the kind “notebook”; a web program or files have addresses of their own"
    names = [page.name for page in pages if page.path != first]
    if len({page.path for page in pages}) != len(pages) or len(set(names)) != len(names):
        return "pages names something twice: each notebook needs a file name of its own"
    return None
