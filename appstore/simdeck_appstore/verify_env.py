"""Checks an app inside its own environment: ``env/bin/python -I verify_env.py <package> [<notebook>]``.

Imports the package (where one is named), reads the notebook, compiles what the first page needs, and prints what it
found as JSON. Run as a script by the app's Python, so it imports nothing of ours; what is wrong goes to standard error,
with exit code 3.
"""

import compileall
import contextlib
import importlib
import importlib.util
import json
import sys
import sysconfig
from pathlib import Path

# Imported once here, so that their byte code lies ready when the first page opens.
WARM = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipywidgets", "simdeck_widgets", "simdeck_workflows.client")


def refuse(reason: str) -> None:
    print(f"simdeck: {reason}", file=sys.stderr)
    sys.exit(3)


def check_notebook(path: Path) -> None:
    if not path.is_file():
        refuse(f"its notebook {path.name} is not in the environment")
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        refuse(f"its notebook {path.name} cannot be read")
    if not cells:
        refuse(f"its notebook {path.name} is empty")
    if importlib.util.find_spec("ipykernel") is None:
        refuse("its requirements.lock lacks ipykernel, which runs the page")


def main(package: str, notebook: str) -> None:
    site = Path(sysconfig.get_paths()["purelib"])
    if notebook:
        check_notebook(site / notebook)
    if package:
        try:
            importlib.import_module(package)
        except BaseException as error:
            refuse(f"its package {package} cannot be imported ({type(error).__name__}: {error})")
        if not compileall.compile_dir(site / package, quiet=2, force=False):
            refuse(f"a module of its package {package} is not valid Python")
    for name in WARM:
        # A convenience only: what is missing or broken here fails where it is used.
        with contextlib.suppress(BaseException):
            if importlib.util.find_spec(name.partition(".")[0]) is not None:
                importlib.import_module(name)
    answer = {
        "site": str(site.relative_to(Path(sys.prefix).parent)),
        "kernel": importlib.util.find_spec("ipykernel") is not None,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
