"""A real Debian root file system, made once by mmdebstrap and kept between test runs in .cache/."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).parents[3] / ".cache"
SUITE = "bookworm"
PACKAGES = (
    "apt",
    "iputils-ping",
    "libc6-dev",
    "libcap2-bin",
    "nginx-light",
    "postgresql",
    "python3",
    "python3-flask",
    "redis-server",
    "sudo",
    "tcc",
)
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    # PostgreSQL's compiler of queries: 130 MB that nothing here asks for.
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libz3*",
)
# The package makes a database cluster at once; the tests make their own.
HOOKS = ('rm -rf "$1/var/lib/postgresql/15"',)

Maker = Callable[[str], None]


def rootfs(cache: Path = CACHE, make: Maker | None = None) -> Path:
    """The root file system's tar; the first call takes a minute or two, later ones no time.

    Its name says everything that went into it. Of two runs at once one makes it and the other waits; it is there
    completely or not at all. Raises RuntimeError with mmdebstrap's last words.
    """
    cache.mkdir(exist_ok=True)
    content = repr((SUITE, PACKAGES, LEFT_OUT, HOOKS, platform.machine()))
    kept = cache / f"debian-{SUITE}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.tar"
    with open(cache / f"{kept.stem}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            part = str(kept) + ".part"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)  # of a run that was killed
            (make or _mmdebstrap)(part)
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.rename(part, kept)
    return kept


def _mmdebstrap(path: str) -> None:
    command = ["mmdebstrap", "--format=tar", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += ['--aptopt=APT::Install-Recommends "false"']
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    command += [f"--customize-hook={hook}" for hook in HOOKS]
    done = subprocess.run([*command, SUITE, path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("mmdebstrap cannot make a Debian root file system:\n" + done.stderr[-2000:])
