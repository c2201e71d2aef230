"""How long it takes to open the layer explorer on an image of 100,000 files, imported into a store of the bench's."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator

from pyctr_engine.engine import Engine
from pyctr_engine.paths import Paths
from tests import leaks
from tests.bench.figures import Figure
from tests.bench.tui.terminal import Terminal

FILES = 100_000


def explorer(quick: bool) -> Iterator[Figure]:
    """From the key to the first directory on the screen: at first, and again in another session."""
    with tempfile.TemporaryDirectory(prefix="pyctr-bench-") as directory:
        paths = Paths(f"{directory}/state", f"{directory}/run")
        try:
            engine = Engine(paths)
            count = FILES // 10 if quick else FILES
            _write(f"{directory}/root.tar", count)
            engine.import_image(f"{directory}/root.tar", "many")
            engine.close()
            taken = [_open(paths) for _ in range(2 if quick else 4)]
        finally:
            leaks.settled(paths, leaks.held(paths))
    yield Figure(f"an image of {count:,} files opened, the first time", (taken[0],), target=1000)
    yield Figure("and again, in new sessions", tuple(taken[1:]), target=1000)


def _write(path: str, count: int) -> None:
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            info = tarfile.TarInfo(f"srv/d{number // 1000:03d}/f{number}")
            info.size = 8
            tar.addfile(info, io.BytesIO(b"%08d" % number))


def _open(paths: Paths) -> float:
    program = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")
    terminal = Terminal(("/usr/bin/env", f"PYCTR_STATE_DIR={paths.state}", f"PYCTR_RUN_DIR={paths.run}", program))
    try:
        terminal.wait(lambda: "many" in terminal.text())
        terminal.press("2")
        time.sleep(1.0)
        began = terminal.press("f")
        return (terminal.wait(lambda: "srv" in terminal.text() and "reading" not in terminal.text()) - began) * 1000
    finally:
        terminal.close()
