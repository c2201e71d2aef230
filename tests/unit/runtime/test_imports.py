"""The spawner's import budget: what a cold start has to wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3] / "engine"
FORBIDDEN = (
    "argparse asyncio ast dataclasses inspect logging multiprocessing pathlib psutil pyroute2 pyseccomp sqlite3 "
    "subprocess tempfile textual threading urllib yaml"
).split()


def test_the_spawner_imports_the_light_half_of_the_library_only() -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import pyctr_engine.runtime.spawner\n"
    program += "print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(ROOT)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "pyctr_engine.runtime.init" in loaded
    assert not loaded & set(FORBIDDEN)
    ours = {name.split(".")[1] for name in loaded if name.startswith("pyctr_engine.")}
    assert ours <= {"cgroups", "errors", "events", "linux", "model", "paths", "record", "runtime"}
    assert "hashlib" not in loaded
