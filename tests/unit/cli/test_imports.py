"""The import budget: what a call may pull in, looked at in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("textual", "rich", "pyroute2", "psutil", "yaml", "argparse", "asyncio", "pathlib", "subprocess", "logging")


@pytest.mark.parametrize(
    "module",
    ["main", "run", "exec", "lifecycle", "ps", "attach", "logs", "output", "text"],
)
def test_what_is_on_the_way_to_a_container_is_light(module: str) -> None:
    program = f"import sys, pyctr_tui.cli.{module}; print(*sorted(sys.modules))"
    shown = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in shown.split()}
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


def test_main_alone_imports_next_to_nothing() -> None:
    program = "import sys; before = set(sys.modules); import pyctr_tui.cli.main; print(*set(sys.modules) - before)"
    shown = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    assert set(shown.split()) <= {"__future__", "pyctr_tui", "pyctr_tui.cli", "pyctr_tui.cli.main"}


def test_a_whole_ps_is_light(tmp_path: Path) -> None:
    program = (
        "import sys; from pyctr_tui.cli.main import main;"
        f"code = main(['--state-dir', {str(tmp_path / 's')!r}, '--run-dir', {str(tmp_path / 'r')!r}, 'ps']);"
        "print(code, *sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    code, *modules = shown.splitlines()[-1].split()
    assert code == "0"
    loaded = {name.partition(".")[0] for name in modules}
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)
    assert not [name for name in modules if name.startswith(("pyctr_engine.images.", "pyctr_engine.stacks."))]
