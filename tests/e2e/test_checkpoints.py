"""A container is taken back to what it was: a checkpoint, damage, and undoing it, all by keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.tmux import Tmux

pytestmark = pytest.mark.root


def test_damage_is_undone_by_going_back_to_a_checkpoint(terminal: Callable[..., Tmux], cli: Cli) -> None:
    cli(
        "run",
        "-d",
        "--stop-timeout",
        "0",
        "--name",
        "box",
        "pyctr/base",
        "sh",
        "-c",
        "[ -e /data ] || echo good > /data; sleep 1000",
    )
    tmux = terminal(120, 36)
    tmux.run("pyctr-tui")
    tmux.wait_for("Containers", "box")
    tmux.press("U")
    tmux.wait_for("Checkpoints of box")
    tmux.press("n")
    tmux.type("before\n")
    tmux.wait_for("checkpoint before of box taken")
    cli("exec", "box", "sh", "-c", "echo bad > /data; rm -r /opt; head -c 1000000 /dev/zero > /junk")
    tmux.press("g", "r")
    tmux.wait_for("Take box back to before?", "Lost:")
    tmux.press("t")
    tmux.wait_for("Nothing is lost: what is now becomes a checkpoint first.")
    tmux.press("y")
    tmux.wait_for("is back at before")
    tmux.press("Escape")
    tmux.wait_for("1 Containers", "box")
    told = cli("exec", "box", "sh", "-c", "cat /data; ls -d /opt; [ ! -e /junk ]").stdout
    assert told == "good\n/opt\n", "it runs, with the files of then"
    tmux.press("U")  # and forwards again: what was damaged was kept
    tmux.wait_for("Checkpoints of box · 2")
    tmux.press("q")
    tmux.wait_for_prompt()
    kept = cli("checkpoint", "ls", "-q", "box").stdout.split()
    assert len(kept) == 2
