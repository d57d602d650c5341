"""What a site's administrator decides about everybody's runs; it reaches agents and workers in ``agent.json``."""

from __future__ import annotations

import grp
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, private_dir


class NoticeSettings(BaseModel):
    """How this site's notices go out. Without ``smtp_host`` nobody gets mail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smtp_host: str | None = Field(default=None, description="The site's mail relay; null: no mail.")
    smtp_port: int = Field(default=25, ge=1, le=65535)
    mail_from: str = Field(default="simdeck@localhost", description="The sender of mails.")
    mail_to: str = Field(default="{user}", description="A user's own address; {user} is the user's name.")
    local_webhooks: bool = Field(
        default=False, description="Whether webhooks may lead to this machine or its link-local neighbours."
    )
    deck_url: str | None = Field(default=None, description="Address of the deck, for links in mails.")


class GroupLimit(BaseModel):
    """How many calculations the members of a group may have running between them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}$")
    calculations: int = Field(ge=1, le=10_000)
    members: tuple[str, ...] = ()


class RunPolicy(BaseModel):
    """What holds everybody's calculations back. Kept by users' own workers: Slurm's limits are the wall behind it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calculations_per_user: int | None = Field(
        default=None, ge=1, description="Calculations that one user may have running at a time; null: no limit."
    )
    calculations_here: int | None = Field(
        default=None,
        ge=1,
        description="Calculations of one user that run on the hub's own machine at a time; null: its number of cores, "
        "at least 4.",
    )
    groups: tuple[GroupLimit, ...] = ()
    slots: Path | None = Field(default=None, description="Folder with a file for each calculation a group may have.")
    pause_file: Path | None = Field(default=None, description="While this file is there, nothing new begins.")

    def groups_of(self, user: str) -> tuple[GroupLimit, ...]:
        """The limited groups that the user is a member of: by the list, or by the Unix group of that name."""
        return tuple(group for group in self.groups if user in group.members or _in_unix_group(group.name))


def _in_unix_group(name: str) -> bool:
    try:
        return grp.getgrnam(name).gr_gid in {os.getgid(), *os.getgroups()}
    except KeyError:
        return False


class Pause(BaseModel):
    """The content of the pause file."""

    since: str
    reason: str = ""


def write_pause(path: Path, reason: str) -> Pause:
    """Let nothing new begin. Every user's worker reads the file."""
    pause = Pause(since=datetime.now(UTC).isoformat(timespec="seconds"), reason=reason)
    write_atomically(path, pause.model_dump_json() + "\n", mode=0o644)
    return pause


def read_pause(path: Path | None) -> Pause | None:
    """The pause that is on, or None. A file that cannot be read pauses too: somebody meant it to."""
    if path is None:
        return None
    try:
        return Pause.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return Pause(since="")


def make_slots(policy: RunPolicy) -> None:
    """Make the groups' slot files, as many as each has; everybody can read (and so lock) them, nobody write."""
    if policy.slots is None:
        return
    for group in policy.groups:
        folder = policy.slots / group.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        for number in range(group.calculations):
            (folder / str(number)).touch(mode=0o644)
        for path in folder.iterdir():
            if path.name.isdigit() and int(path.name) >= group.calculations:
                path.unlink()


_FILE = "policy.json"


class Stored(BaseModel):
    """What the agent leaves for the worker."""

    user: str = ""
    policy: RunPolicy = Field(default_factory=RunPolicy)


def write(home: UserHome, user: str, policy: RunPolicy) -> bool:
    """Leave policy and user for the worker; return whether they are others than before."""
    found = Stored(user=user, policy=policy)
    if found == read(home):
        return False
    private_dir(home.workflows)
    write_atomically(home.workflows / _FILE, found.model_dump_json(indent=1) + "\n")
    return True


def read(home: UserHome) -> Stored:
    """What the agent left; the defaults where there is nothing."""
    try:
        return Stored.model_validate_json((home.workflows / _FILE).read_bytes())
    except FileNotFoundError:
        return Stored()
