"""An ordinary user made for these tests, and calls of the program as that user."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOGIN = str(Path(__file__).with_name("login.py"))
PROGRAM = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")
Done = subprocess.CompletedProcess[str]

_SUBIDS = 65536


class User:
    """One user, with ids in /etc/subuid; `remove` takes all away: processes, files, entries."""

    def __init__(self, ids: bool = True) -> None:
        self.name = f"pyctr-t{uuid.uuid4().hex[:8]}"
        options = ["--create-home", "--shell", "/bin/sh", "--no-log-init", "--comment", "tests of pyctr-tui"]
        # none of its own accord: which ids there are is what the tests are about
        _root("useradd", *options, "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0", self.name)
        found = pwd.getpwnam(self.name)
        self.uid, self.gid, self.home = found.pw_uid, found.pw_gid, Path(found.pw_dir)
        self.home.chmod(0o755)
        self.run_dir = Path(f"/tmp/pyctr-tui-{self.uid}/pyctr-tui")
        self.state_dir = self.home / ".local/share/pyctr-tui"
        self.first = 0
        settings = self.home / ".config/pyctr-tui"
        settings.mkdir(parents=True)
        (settings / "registries.toml").write_text('[registry."docker.io"]\nblocked = true\n')
        if ids:
            self.give_ids()

    def give_ids(self) -> None:
        """What an administrator does for a user, as the program's own hint says it."""
        from pyctr_engine.house.ids import remedy

        words = shlex.split(remedy(self.name).split("`")[1])
        assert words[0] == "usermod"
        self.first = int(words[2].partition("-")[0])
        _root(*words)

    def __call__(self, *words: str, code: int | None = 0, input: str | None = None, **options: Any) -> Done:
        """Call the program; fail unless it ends with ``code`` (``None``: whatever it ends with)."""
        done = self.spawn(PROGRAM, *words, **options)
        out, err = done.communicate(input, timeout=120)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{out}{err}")
        return subprocess.CompletedProcess(words, done.returncode, out, err)

    def out(self, *words: str, **options: Any) -> str:
        """What it prints, without the last newline."""
        return self(*words, **options).stdout.rstrip("\n")

    def spawn(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Run any program as the user."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(command, **options), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def command(self, command: Sequence[str], **options: Any) -> list[str]:
        """The command line by which root runs a program as the user; ``options`` are those of `login`."""
        return [sys.executable, "-S", LOGIN, json.dumps({"user": self.name, **options}), *command]

    def processes(self) -> dict[int, str]:
        """The user's processes, those with the user's further ids too: pid and name."""
        found = {}
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                owner = os.stat(f"/proc/{name}").st_uid if name.isdigit() else -1
                if owner == self.uid or (self.first and self.first <= owner < self.first + _SUBIDS):
                    state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
                    if state not in "ZX":
                        found[int(name)] = Path(f"/proc/{name}/comm").read_text().strip()
        return found

    def pid(self, name: str) -> int:
        """The pid of the user's process of that name; 0 without one."""
        return next((pid for pid, comm in self.processes().items() if comm.startswith(name)), 0)

    def write(self, name: str, text: str) -> Path:
        """A file in the user's home."""
        path = self.home / name
        path.write_text(text)
        os.chown(path, self.uid, self.gid)
        return path

    def end_processes(self) -> None:
        """End all of the user's processes."""
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        assert not left, left

    def remove(self) -> None:
        """Take the user away, and all that is the user's."""
        self.end_processes()
        _root("userdel", "--remove", self.name, check=False)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(f"/tmp/pyctr-tui-{self.uid}", ignore_errors=True)
        for path in ("/etc/subuid", "/etc/subgid", "/etc/passwd"):
            assert self.name not in Path(path).read_text(), path


def _root(*command: str, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
