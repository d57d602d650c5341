"""Starts the kernel of an AiiDAlab app's page: ``python page_kernel.py <the app's tree> -f <connection file>``.

The page finds itself in its notebook's folder, as AiiDAlab has it. That folder is the one this was started in, where
it lies in the app's tree, or that of the page named in ``SIMDECK_PAGE`` (relative to the tree), or else the tree.
Run by the app's own Python, so it imports nothing of ours.
"""

import os
import runpy
import sys
from pathlib import Path


def page_folder(tree: Path, here: Path, page: str) -> Path:
    """Return the folder to be in."""
    if here.is_relative_to(tree):
        return here
    folder = (tree / page).resolve().parent if page else tree
    return folder if folder.is_relative_to(tree) and folder.is_dir() else tree


def main() -> None:
    tree = Path(sys.argv.pop(1)).resolve()
    os.chdir(page_folder(tree, Path.cwd().resolve(), os.environ.get("SIMDECK_PAGE", "")))
    # This script's folder must not shadow modules; the page's own folder comes first, as in any notebook.
    sys.path[0] = ""
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
