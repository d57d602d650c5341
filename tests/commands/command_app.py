"""A small app whose programs are described, as a home would have it installed: its file, its line, its table."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import ModuleType
from typing import Any

from simdeck_appstore import command_package
from simdeck_appstore.commands import Command, described

MEAN: dict[str, Any] = {
    "name": "mean",
    "title": "Mean of a column",
    "description": "The mean of a column of numbers, and how they are spread.",
    "command": "awk",
    "arguments": ["-v", "column={column}", "-v", "title={title}", ["-v", "scale={scale}"], "-f", "mean.awk", "{table}"],
    "inputs": {
        "table": {"type": "file", "title": "Table", "name": "table.dat"},
        "column": {"type": "int", "default": 1, "min": 1, "max": 20, "title": "Column"},
        "title": {"type": "str", "default": "numbers"},
        "scale": {"type": "float", "optional": True, "unit": "m"},
    },
    "files": {
        "mean.awk": {
            "text": "BEGIN { if (!scale) scale = 1 }\n"
            '{ sum += $column * scale; n++; print n, $column * scale > "scaled.dat" }\n'
            'column > 9 { print "column " column " is not there" > "/dev/stderr"; code = 3; exit }\n'
            'END { if (code) exit code; print title; printf "mean = %.6f\\n", sum / n; print n }\n',
            "plain": True,
        }
    },
    "outputs": {
        "mean": {"from": "stdout", "pattern": r"mean = (\S+)", "unit": "m", "headline": True, "title": "Mean"},
        "count": {"from": "stdout", "last_line": True, "type": "int"},
        "scaled": {"file": "scaled.dat"},
        "values": {"from": "scaled.dat", "column": 2, "type": "list"},
    },
    "exit_codes": {"3": "The table has no such column; choose a smaller number."},
}

WAIT: dict[str, Any] = {
    "name": "wait",
    "command": "python",
    "arguments": ["wait.py", "{seconds}"],
    "inputs": {
        "seconds": {"type": "int", "default": 60, "min": 0},
        "ledger": {"type": "str"},
        "cores_wanted": {"type": "int", "default": 1, "min": 1},
    },
    "resources": {"cores": "{cores_wanted}", "memory": "64 MiB", "walltime": "5 min"},
    "files": {
        "wait.py": {
            "text": "import pathlib, sys, time\n"
            "with open({ledger!json}, 'a') as ledger:\n    print(pathlib.Path.cwd(), file=ledger)\n"
            "time.sleep(int(sys.argv[1]))\n"
        }
    },
    "outputs": {"said": {"file": "stdout", "optional": True}},
}

ECHO: dict[str, Any] = {
    "name": "echo",
    "command": "python",
    "arguments": ["echo.py", "{word}", ["--flag", "{flag}"], "{many}", "--", "{word}"],
    "inputs": {
        "word": {"type": "str"},
        "flag": {"type": "bool", "default": False, "true": "on", "false": ""},
        "many": {"type": "files", "optional": True},
        "shape": {"type": "structure", "optional": True, "format": "xyz"},
    },
    "files": {
        "echo.py": {
            "text": "import json, pathlib, sys\n"
            "print(json.dumps({'words': sys.argv[1:], 'stdin': sys.stdin.read()}))\n"
            "for number in range(2):\n    pathlib.Path(f'part-{number}.txt').write_text(str(number))\n"
            "pathlib.Path('shape').mkdir()\n"
            "known = pathlib.Path('shape.xyz')\n"
            "pathlib.Path('shape/first.txt').write_text(known.read_text() if known.exists() else 'none')\n",
            "plain": True,
        },
        "question.txt": {"text": "{word} {{word}} {word!json}"},
    },
    "stdin": "question.txt",
    "parser": "echo_reading:read",
    "outputs": {
        "words": {"from": "stdout", "json": "/words", "type": "list"},
        "heard": {"from": "stdout", "json": "/stdin", "type": "str"},
        "parts": {"files": "part-?.txt"},
        "first": {"file": "shape/first.txt"},
        "length": {"parser": True, "type": "int", "headline": True},
    },
}

BESIDE: dict[str, Any] = {
    "name": "beside",
    "command": "teller",
    "arguments": ["-c", 'echo "$GREETING: $(cat "$0")"', "copy of it.txt"],
    "before": [["cp", "text.txt", "copy of it.txt"], ["test", "{ok}", "=", "yes"]],
    "after": [["rm", "copy of it.txt"], ["false"]],
    "inputs": {"ok": {"type": "str"}},
    "files": {"text.txt": {"text": "it's {ok}"}},
    "outputs": {"said": {"from": "stdout", "last_line": True, "type": "str"}},
}

BOXED: dict[str, Any] = {
    "name": "boxed",
    "command": "printer",
    "arguments": ["%s|", "{word}", "{number:.2f}"],
    "inputs": {"word": {"type": "str"}, "number": {"type": "float", "default": -1}},
    "outputs": {"said": {"from": "stdout", "last_line": True, "type": "str"}},
}

READING = '''"""Reads what echo.py says."""
import json
def read(folder, inputs):
    said = json.loads((folder / "stdout.txt").read_text())
    return {"length": len(said["words"]) + 100 * len(inputs["word"])}
'''


def install(apps: Path, toy: ModuleType, version: str = "1.0") -> Path:
    """Install the app below ``apps`` as the app store would, and return the version's folder."""
    folder = apps / "described" / "versions" / version
    workflows = folder / "workflows"
    workflows.mkdir(parents=True)
    (workflows / "echo_reading.py").write_text(READING)
    commands = [described(Command.model_validate(one), {}) for one in (MEAN, WAIT, ECHO, BESIDE, BOXED)]
    names = [f"described.{one['name']}" for one in commands]
    command_package.write(workflows, version, names, commands)
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{toy.BACKEND_PYTHON}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (folder / "app.json").write_text(json.dumps({"id": "described", "version": version}))
    (folder / "workflows.json").write_bytes(toy.describe(workflows))
    (apps / "described" / "current").symlink_to(Path("versions") / version)
    return folder
