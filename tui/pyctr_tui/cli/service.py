"""``resume``, ``service install`` and ``service uninstall``: containers that come back after a boot."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from pyctr_engine.errors import EngineError, Unsupported, from_os_error
from pyctr_engine.paths import Paths
from pyctr_tui.cli import output
from pyctr_tui.cli.call import Call, report
from pyctr_tui.cli.options import Grammar, Option

_RESUME = Grammar(
    "resume",
    "",
    "Start the containers whose restart policy says so: always, unless-stopped unless somebody stopped them,\n"
    "on-failure if they had failed. For after a boot; `pyctr-tui service install` has systemd call it.",
)
_USER = Option("--user", "As a user's unit (the default without root)")
_PRINT = Option("--print", "Only print the unit")
_INSTALL = Grammar(
    "service install", "", "Write a systemd unit that calls `resume` at each boot, and enable it.", _USER, _PRINT
)
_UNINSTALL = Grammar("service uninstall", "", "Disable the unit and remove it.", _USER)

UNIT = "pyctr-tui.service"


def resume(call: Call, words: Sequence[str]) -> int:
    """``resume``: 1 when one could not be started."""
    _RESUME.parse(words)
    failed = False
    for container, error in call.engine.resume():
        if error is None:
            output.line(f"{container.name}  started")
        else:
            failed = True
            report(error.message, error.hint)
    return int(failed)


def install(call: Call, words: Sequence[str]) -> int:
    """``service install``."""
    parsed = _INSTALL.parse(words)
    user = parsed.flag("user", default=os.geteuid() != 0)
    text = unit(call.paths, user)
    if parsed.flag("print"):
        print(text, end="")
        return 0
    path = unit_path(user)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)
    except OSError as error:
        raise from_os_error(error, f"write {path}") from error
    output.line(f"wrote {path}")
    _systemctl(user, "daemon-reload")
    _systemctl(user, "enable", UNIT)
    output.line(f"enabled {UNIT}: containers come back at the next boot")
    if user:
        output.line("hint: `loginctl enable-linger` makes that the boot, and not your next login")
    return 0


def uninstall(call: Call, words: Sequence[str]) -> int:
    """``service uninstall``."""
    parsed = _UNINSTALL.parse(words)
    user = parsed.flag("user", default=os.geteuid() != 0)
    path = unit_path(user)
    if not os.path.exists(path):
        output.line(f"{path} is not there")
        return 0
    _systemctl(user, "disable", UNIT)
    try:
        os.unlink(path)
    except OSError as error:
        raise from_os_error(error, f"remove {path}") from error
    _systemctl(user, "daemon-reload")
    output.line(f"removed {path}")
    return 0


def unit_path(user: bool) -> str:
    """Where the unit belongs. Source: systemd.unit(5)."""
    if not user:
        return f"/etc/systemd/system/{UNIT}"
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{base}/systemd/user/{UNIT}"


def unit(paths: Paths, user: bool) -> str:
    """The unit's text.

    ``KillMode=process``: the monitors are nobody's to kill when the unit is stopped or restarted; at a shutdown
    systemd ends them with all that is left.
    """
    words = [sys.executable, "-m", "pyctr_tui.cli.main"]
    if user:
        after, target = "", "default.target"
    else:
        after, target = (
            "After=network-online.target local-fs.target\nWants=network-online.target\n",
            "multi-user.target",
        )
    with usual_environment():
        own = Paths()
    if paths.state != own.state:
        words += ["--state-dir", paths.state]
    if paths.run != own.run:
        words += ["--run-dir", paths.run]
    program = " ".join(map(_quoted, words))
    return (
        "# Written by `pyctr-tui service install`; `pyctr-tui service uninstall` removes it.\n"
        "[Unit]\n"
        "Description=Containers of pyctr-tui that their restart policy brings back\n"
        f"{after}"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        "KillMode=process\n"
        f"ExecStart={program} resume\n"
        "\n"
        "[Install]\n"
        f"WantedBy={target}\n"
    )


@contextlib.contextmanager
def usual_environment() -> Iterator[None]:
    """Without the variables that say other directories: whatever starts the unit has none of them."""
    kept = {name: os.environ.pop(name) for name in ("PYCTR_STATE_DIR", "PYCTR_RUN_DIR") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _quoted(word: str) -> str:
    """A word of a unit's command line. Source: systemd.service(5), "COMMAND LINES"; systemd.unit(5), specifiers."""
    plain = word.replace("%", "%%").replace("$", "$$")
    if plain and all(letter.isalnum() or letter in "/._-%$:+@" for letter in plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _systemctl(user: bool, *words: str) -> None:
    if shutil.which("systemctl") is None:
        raise Unsupported(
            "there is no systemd here (no systemctl)",
            "the unit is written; have whatever starts your host call `pyctr-tui resume`",
        )
    command = ["systemctl", *(["--user"] if user else []), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it did not say why"])[-1]
        raise EngineError(f"`{' '.join(command)}` failed: {said}")
