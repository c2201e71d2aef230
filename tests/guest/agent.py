"""Inside the guest: does what the machine outside asks for, one thing after the other (see `tests.guest.machine`).

Each message is a line of JSON. From outside::

    {"run": [program, argument…], "user": "root", "env": {…}, "cwd": "/opt/pyctr"}
    {"write": path, "text": text}

To outside::

    {"ready": boot id}      at the beginning, also after a reboot
    {"out": text}           a line of what a program writes, to either stream
    {"exit": code}          it has ended; also the answer to ``write``, 0
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

SYSTEMD = os.path.isdir("/run/systemd/system")


def main() -> None:
    """Serve until the machine goes down."""
    with open(port(), "r+b", buffering=0) as channel:
        tell(channel, ready=Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        rest = b""
        while True:
            piece = os.read(channel.fileno(), 65536)
            if not piece:
                sys.exit("the machine outside has gone")
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                serve(channel, json.loads(line))


def port() -> str:
    """The device of the channel: without udev there are no names in /dev/virtio-ports."""
    for directory in Path("/sys/class/virtio-ports").iterdir():
        if (directory / "name").read_text().strip() == "agent":
            return f"/dev/{directory.name}"
    raise SystemExit("no channel to the machine outside")


def serve(channel: BinaryIO, message: dict[str, Any]) -> None:
    """Do one thing, and tell how it ended."""
    if "write" in message:
        path = Path(message["write"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(message["text"])
        path.chmod(0o644)
        tell(channel, exit=0)
        return
    child = subprocess.Popen(
        command(message["run"], message["user"], message["env"], message["cwd"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=message["cwd"],
        env={**os.environ, **message["env"]},
    )
    assert child.stdout is not None
    for line in child.stdout:
        tell(channel, out=line)
    tell(channel, exit=child.wait())


def command(argv: list[str], user: str, env: dict[str, str], cwd: str) -> list[str]:
    """The program as it has to be started here.

    Under systemd as a service, which ends with all it has started; an ordinary user has a session, as after a login.
    """
    if not SYSTEMD:
        assert user == "root", "without systemd there is no session for an ordinary user"
        return argv
    how = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--working-directory={cwd}"]
    how += ["--property=LimitNOFILE=524288", "--property=TasksMax=infinity"]
    if user != "root":
        how += [f"--uid={user}", "--property=PAMName=login"]
    return [*how, *(f"--setenv={name}={value}" for name, value in env.items()), "--", *argv]


def tell(channel: BinaryIO, **message: Any) -> None:
    """Send one message."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[channel.write(data) :]


if __name__ == "__main__":
    main()
