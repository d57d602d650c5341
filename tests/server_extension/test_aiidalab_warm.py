"""Pages of AiiDAlab apps from warm kernels: in their own folder, with their own address, as from cold ones."""

from __future__ import annotations

from pathlib import Path

from aiidalab_apps import install_tree
from server_extension.conftest import running

PAGE = (
    "import os, sys, beside\n"
    "print('by', os.path.basename(open(f'/proc/{os.getppid()}/cmdline').read().split('\\0')[1]))\n"
    "print('in', os.path.basename(os.getcwd()), beside.WORD, jupyter_notebook_url.partition('?')[2])\n"
    "print('ours', any('server_extension' in path for path in sys.path))"
)


def test_a_page_from_a_warm_kernel_is_in_its_folder_and_knows_its_address(tmp_path: Path) -> None:
    files: dict[str, str | list[str]] = {
        "start.md": "x", "pages/page.ipynb": [PAGE], "pages/beside.py": "WORD = 'found'\n",
    }  # fmt: skip
    install_tree(tmp_path / "apps", "warm", files)
    with running(tmp_path, tmp_path / "apps", SIMDECK_WARM_APPS="1") as lab:
        text = ""

        def warm() -> bool:
            nonlocal text
            text = lab.get("apps/apps/warm/pages/page.ipynb?pk=4").text
            return "by forkserver.py" in text

        lab.until(warm, 60)
        assert "in pages found pk=4" in text
        assert "ours False" in text
