"""The image that the programs run from: made once, kept, whole."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pyctr_engine.model.spec import Mount
from tests.engine.programs import debian
from tests.engine.programs.conftest import House


def test_of_two_runs_at_once_one_makes_the_file_system_and_both_get_it(tmp_path: Path) -> None:
    made: list[str] = []

    def make(path: str) -> None:
        made.append(path)
        time.sleep(0.1)
        Path(path).write_text("whole")

    results: list[Path] = []
    runs = [threading.Thread(target=lambda: results.append(debian.rootfs(tmp_path, make))) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(made) == 1
    assert {result.read_text() for result in results} == {"whole"}


def test_a_failure_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    def fail(path: str) -> None:
        Path(path).write_text("ha")
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError):
        debian.rootfs(tmp_path, fail)
    assert list(tmp_path.glob("*.tar")) == []
    whole = debian.rootfs(tmp_path, lambda path: Path(path).write_text("whole") and None)
    assert whole.read_text() == "whole"
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.root
def test_python_runs_with_the_libraries_it_is_made_of(house: House) -> None:
    program = "import ssl, sqlite3, json, sys, multiprocessing as m; m.Lock(); print(sys.version_info[:2])"
    outcome = house.run("python3", "-c", program)
    assert (outcome.out, outcome.err, outcome.code) == ("(3, 11)\n", "", 0)


@pytest.mark.root
def test_a_compiler_makes_a_program_that_runs(house: House) -> None:
    source = '#include <stdio.h>\nint main(void) { printf("%d\\n", 6 * 7); return 3; }\n'
    script = f"cat > /root/a.c <<'END'\n{source}END\ntcc -o /root/a /root/a.c && exec /root/a"
    outcome = house.run("sh", "-c", script)
    assert (outcome.out, outcome.err, outcome.code) == ("42\n", "", 3)


@pytest.mark.root
def test_a_start_of_it_changes_nothing(house: House) -> None:
    container = house.start(mounts=(Mount("volume", "", "/var/lib/redis"),))
    house.shell(container, "true")
    assert house.engine.changes(container.id) == []
