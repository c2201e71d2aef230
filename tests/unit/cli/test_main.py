"""The program's surroundings: standard streams that are closed, full or can't show a letter."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "pyctr_tui.cli.main"]


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(streams: str) -> None:
    """Else the next one opened, the database say, would be descriptor 1, and be written to."""
    look = (
        "import os; from pyctr_tui.cli import main; main._open_missing_streams(); [os.fstat(fd) for fd in (0, 1, 2)]"
    )
    look += "; main.sys.stdout.flush(); main.sys.stderr.flush(); assert os.open('/dev/null', 0) > 2"
    command = f'exec "$0" -c "$1" {streams}'
    assert subprocess.run(["sh", "-c", command, sys.executable, look], check=False).returncode == 0


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [(["version"], 0), (["nonsense"], 125)])
def test_a_closed_stream_changes_no_exit_code(streams: str, words: list[str], code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *PROGRAM, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_full_disk_under_the_output_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROGRAM, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 125
    assert done.stderr.startswith("pyctr-tui: cannot write the output: no space left on device\n")


def test_what_a_terminal_can_t_show_is_a_question_mark() -> None:
    """The help has an ellipsis; bytes that were no text stay what they were."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run([*PROGRAM, "run", "--help"], env=environment, capture_output=True, check=True).stdout
    assert b"[ARGUMENT?]" in shown

    from pyctr_tui.cli.main import _encode_anyway

    assert _encode_anyway(UnicodeEncodeError("ascii", "a\udcff", 1, 2, "")) == (b"\xff", 2)
