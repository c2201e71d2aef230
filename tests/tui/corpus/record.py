"""Record the corpus anew: ``python -m tests.tui.corpus.record [NAME…]``, as root, with vim, less, htop, top and tmux.

Each program runs in a window of a tmux server of its own, in PID and UTS namespaces, so that nothing of the machine
is in the recording. Its raw output goes to ``NAME.bin``; what tmux shows in the end, with the cursor, to
``NAME.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent
COLUMNS, ROWS = 80, 24
PROMPT = "PS1='$ '"

# Writing on one half of a wide character is left out: there every terminal does as it likes, tmux differs from xterm.
WIDE = r"""
printf '日本語のコンテナ|한국어|中文\n'
printf 'e\314\201 a\314\210 n\314\203 combined\n'
printf '👍 🐳 🚀 emoji ✓ ✗ → ─│┌┐└┘\n'
printf '%78s日\n' x
printf '%79s本\n' x
printf '%80s語\n' x
printf 'ab\b\b日\rX\n'
printf '\033[7m反転\033[0m \033[38;5;208m色\033[48;2;20;60;90m真\033[0m\n'
printf '日本語\033[1G\033[2@\n'
"""
REGIONS = r"""
seq 1 60
printf '\033[5;15r\033[15;1H'; seq 100 120
printf '\033[5;1H\033M\033Mreverse'
printf '\033[8;1H\033[2L\033[10;1H\033[3M'
printf '\033[r\033[24;1H\033[3S\033[2;1H\033[1T'
printf '\033[12;10H\033[1K\033[13;10H\033[K\033[14;5H\033[4X'
printf '\033[?6h\033[6;18r\033[1;1Horigin\033[?6l\033[r'
printf '\033(0lqqqk\033(B\033[20;1H\033[4hins\033[4l\033[22;1H\033[?7l%s\033[?7h' \
    0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890
printf '\033[23;40Hsaved\0337\033[1;1Htop\0338!\n'
printf '\ttab\ttab\033[3g\ttab'
"""

SCENARIOS: dict[str, tuple[str, tuple[str, ...]]] = {
    "vim": (
        "vim -u NONE -i NONE -n -c 'syntax on' -c 'set number hlsearch ruler' program.py",
        ("G", "gg", "o# 日本語 e\u0301", "Escape", ":split", "Enter", "C-d", ":set list", "Enter", "/def", "Enter",
         "n", "dd", "u", "yyp", ":vsplit", "Enter"),
    ),
    "vim-mouse": ("vim -u NONE -i NONE -n -c 'set mouse=a ttymouse=sgr' program.py", ("jjj", "v", "ll")),
    "vim-left": ("vim -u NONE -i NONE -n program.py; echo left", ("G", ":q!", "Enter")),
    "less": ("less -N text.txt", ("Space", "Space", "/lorem 40", "Enter", "k", "k")),
    "less-left": ("less text.txt; echo left", ("Space", "q")),
    "htop": ("htop -d 50", ("Down", "Down", "F5")),
    "top": ("top -d 5", ("1", "c")),
    "tmux": (
        "tmux -f /dev/null -L inner -u new-session sh",
        (f"{PROMPT}; seq 1 50", "Enter", "C-b", "%", f"{PROMPT}; seq 1 9", "Enter", "C-b", '"',
         f"{PROMPT}; printf '日本\\n'", "Enter", "C-b", "o"),
    ),
    "wide": ("sh wide.sh", ()),
    "regions": ("sh regions.sh", ()),
    "shell": (
        f"env {PROMPT} bash --norc --noprofile",
        ("echo hello world", "Left", "Left", "Left", "C-w", "C-a", "C-e", "Enter", "ls --color=always", "Enter",
         "echo " + "x" * 100, "C-a", "yy ", "Enter", "clear", "Enter", "printf 'no newline'", "Enter"),
    ),
}  # fmt: skip


def files(folder: Path) -> None:
    """What the programs look at."""
    lines = [f"def function_{number}(one, two):\n    return one + {number}  # lorem\n\n" for number in range(60)]
    (folder / "program.py").write_text("".join(lines))
    (folder / "text.txt").write_text("".join(f"lorem {number} ipsum dolor sit amet\n" for number in range(200)))
    (folder / "wide.sh").write_text(WIDE)
    (folder / "regions.sh").write_text(REGIONS)


def record(name: str, folder: Path) -> None:
    """Record one scenario."""
    command, keys = SCENARIOS[name]
    socket = f"pyctr-corpus-{os.getpid()}"
    environment = {
        "HOME": str(folder), "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "TERM": "xterm-256color",
        "SHELL": "/bin/sh", "TMUX_TMPDIR": str(folder),
    }  # fmt: skip

    def tmux(*words: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", socket, "-f", "/dev/null", *words],
            env=environment, cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    alone = "unset TMUX; hostname web01; mount -t proc proc /proc; sleep 1000 &"
    inside = f"{alone} stty -echo; read x; stty echo; {command}; sleep 1000"
    target = folder / f"{name}.bin"
    tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "sleep 1000")
    try:
        tmux("set-option", "-g", "default-terminal", "xterm-256color")
        tmux("set-option", "-g", "status", "off")
        tmux("set-option", "-g", "escape-time", "0")
        (folder / "inside.sh").write_text(inside)
        tmux("new-window", f"exec unshare --pid --uts --mount --fork sh {folder}/inside.sh")
        time.sleep(0.5)
        tmux("pipe-pane", "-O", f"cat > {target}")
        time.sleep(0.3)
        tmux("send-keys", "Enter")
        time.sleep(1.5)
        for key in keys:
            tmux("send-keys", *(["-l"] if len(key) > 6 else []), "--", key)
            time.sleep(0.25)
        time.sleep(1.0)
        tmux("pipe-pane")
        time.sleep(0.3)
        lines = tmux("capture-pane", "-p").split("\n")[:ROWS]
        where = tmux("display-message", "-p", "#{cursor_x} #{cursor_y} #{alternate_on} #{cursor_flag}").split()
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], env=environment, check=False, capture_output=True)
    (FOLDER / f"{name}.bin").write_bytes(target.read_bytes())
    about = {
        "columns": COLUMNS, "rows": ROWS, "cursor": [int(where[0]), int(where[1])],
        "alternate": where[2] == "1", "cursor_shown": where[3] == "1", "lines": [line.rstrip(" ") for line in lines],
    }  # fmt: skip
    (FOLDER / f"{name}.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n")


def main() -> int:
    for name in sys.argv[1:] or SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
            files(Path(folder))
            record(name, Path(folder))
        print(name, (FOLDER / f"{name}.bin").stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
