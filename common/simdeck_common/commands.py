"""What an app's described programs are called: the store writes these names, the workflow backend makes the classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassNames:
    """The classes of one command."""

    workflow: str
    calculation: str
    parser: str


def class_names(command: str) -> ClassNames:
    """Return the names of a command's classes: ``count_words`` is ``CountWords``."""
    base = "".join(part[:1].upper() + part[1:] for part in command.split("_"))
    return ClassNames(f"{base}WorkChain", f"{base}Calculation", f"{base}Parser")


def package_name(app: str) -> str:
    """Return the package that an install makes of an app's commands."""
    return f"simdeck_commands_{''.join(letter if letter.isalnum() else '_' for letter in app)}"
