"""The guest's kernel and its disk, made from Debian's packages and kept between runs in .cache/.

    python -m tests.guest.image        # make it, and say where it is

What is in them changes rarely: Debian, the kernel, and what the program and its tests import. The
sources are not among it, nor is what starts the tests: these come with each run (`tests.guest.machine`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / ".cache"
SUITE = "bookworm"
PYTHON = "3.11"  # the suite's
USER = "tester"  # the ordinary user, with a range of subordinate ids
PACKAGES = (
    # an init, sessions, and what asks it
    *("systemd", "systemd-sysv", "udev", "dbus", "dbus-user-session", "libpam-systemd"),
    # what the program loads or runs
    *("python3", "kmod", "libnftables1", "libseccomp2", "apparmor", "uidmap", "passt", "slirp4netns"),
    # what the tests look with
    *("busybox-static", "iproute2", "nftables", "procps", "e2fsprogs"),
)
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
LIBRARIES = ("pytest", "pytest-asyncio", "hypothesis")  # beside those of pyproject.toml
KERNEL = "linux-image-cloud-amd64"
DISK_SIZE = "4G"  # sparse
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk")
UNUSED = ("gpu", "hid", "infiniband", "input", "iommu", "mmc", "nvdimm", "pci", "usb", "xen")  # of drivers/
MASKED = (
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
    ),
    *(
        "fstrim.timer",
        "motd-news.timer",
        "getty@tty1.service",
        "serial-getty@ttyS0.service",
        "systemd-timesyncd.service",
    ),
    *("systemd-update-utmp.service", "systemd-hwdb-update.service", "ldconfig.service", "systemd-pcrphase.service"),
)


@dataclass(frozen=True)
class Image:
    """What a machine is started from; none of these files is written to."""

    kernel: Path
    first: Path  # a directory: busybox and the modules without which there is no disk
    disk: Path


def image(cache: Path = CACHE) -> Image:
    """The image; the first call takes a minute or two, later ones no time.

    Its directory's name says everything that went into it. Of two runs at once one makes it and the other waits; it
    is there completely or not at all. Raises RuntimeError with the failed program's last words.
    """
    cache.mkdir(exist_ok=True)
    content = repr((Path(__file__).read_text(), libraries()))
    directory = cache / f"guest-{SUITE}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    found = Image(directory / "vmlinuz", directory / "first", directory / "disk")
    if found.disk.exists():
        return found
    with open(cache / "guest.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found.disk.exists():
            return found
        for old in cache.glob(f"guest-{SUITE}-*"):
            shutil.rmtree(old)
        aside = Path(tempfile.mkdtemp(prefix="guest-", dir=cache))
        try:
            _make(aside)
            aside.rename(directory)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return found


def libraries() -> list[str]:
    """What the program and the tests in the guest import, as requirements."""
    with open(REPOSITORY / "pyproject.toml", "rb") as file:
        return [*tomllib.load(file)["project"]["dependencies"], *LIBRARIES]


def _make(directory: Path) -> None:
    root = directory / "root"
    _debian(root)
    _kernel(root, directory)
    _own_files(root)
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", f"{root}/opt/site"),
        *("--python-version", PYTHON, "--implementation", "cp", "--only-binary", ":all:", *libraries()),
    )
    _run("chroot", str(root), "python3", "-m", "compileall", "-q", "/opt/site", f"/usr/lib/python{PYTHON}")
    _base_image(root)
    disk = directory / "disk.part"
    _run("truncate", "-s", DISK_SIZE, str(disk))
    _run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1", "-d", str(root), str(disk))
    shutil.rmtree(root)
    disk.rename(directory / "disk")


def _debian(root: Path) -> None:
    """Debian with systemd; its kernel's files in /var/tmp/kernel."""
    fetch = (
        "cd /var/tmp && apt-get download -qq"
        f" $(apt-cache depends {KERNEL} | awk '/Depends: linux-image/ {{ print $2 }}')"
        " && dpkg-deb -x linux-image-*.deb kernel && rm linux-image-*.deb"
    )
    _run(
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        f'--customize-hook=chroot "$1" sh -c {_quoted(fetch)}',
        *(SUITE, str(root)),
    )


def _kernel(root: Path, directory: Path) -> None:
    """The kernel, its modules in their place; busybox and the modules that lead to the disk."""
    unpacked = root / "var/tmp/kernel"
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), directory / "vmlinuz")
    modules = next(unpacked.glob("lib/modules/*"))
    for name in UNUSED:
        shutil.rmtree(modules / "kernel/drivers" / name, ignore_errors=True)
    (root / "usr/lib/modules").mkdir(exist_ok=True)
    release = root / "usr/lib/modules" / modules.name
    modules.rename(release)
    shutil.rmtree(unpacked)
    _run("chroot", str(root), "depmod", release.name)
    first = directory / "first"
    first.mkdir()
    shutil.copy(root / "bin/busybox", first)
    for name in MODULES:
        shutil.copy(next(release.rglob(f"{name}.ko")), first)


def _own_files(root: Path) -> None:
    """A host name, a user, and nothing that takes time at a boot for nobody."""
    _write(root / "etc/hostname", "guest\n")
    _write(root / "etc/hosts", "127.0.0.1 localhost guest\n")
    _write(root / "etc/machine-id", hashlib.md5(b"pyctr guest", usedforsecurity=False).hexdigest() + "\n")
    _write(root / "etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
    _run("chroot", str(root), "useradd", "--create-home", "--shell", "/bin/bash", USER)
    for unit in MASKED:
        _link(root / "etc/systemd/system" / unit, "/dev/null")
    _link(root / "etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target")


def _base_image(root: Path) -> None:
    """The built-in image of the guest's own files, as an archive: to make it there would take minutes."""
    from pyctr_engine.engine import Engine
    from pyctr_engine.images import base
    from pyctr_engine.images.ingest import ingest
    from pyctr_engine.images.store import BASE, ImageStore
    from pyctr_engine.paths import Paths

    shutil.copytree(REPOSITORY / "engine", root / "tmp/engine", ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys; sys.path[:0] = ['/tmp/engine', '/opt/site']\n"
        "from pyctr_engine.images.base import collect, tar_of\n"
        "with open('/tmp/layer', 'wb') as file: file.writelines(tar_of(collect()))"
    )
    _run("chroot", str(root), "python3", "-c", program)
    with tempfile.TemporaryDirectory(prefix="pyctr-guest-") as scratch, open(root / "tmp/layer", "rb") as tar:
        paths = Paths(state=f"{scratch}/state", run=f"{scratch}/run")
        store = ImageStore(paths, list)
        store.layout.ensure()
        with store.layout.adding():
            done = ingest(store.layout, store.layers_on_disk, iter(lambda: tar.read(1 << 20), b""), ())
            base.store_image(store, base.configuration(done.layer.diff_id), (done.descriptor,), BASE)
        (root / "opt/guest").mkdir(exist_ok=True)
        Engine(paths).save([BASE], str(root / "opt/guest/base.tar"))
    shutil.rmtree(root / "tmp/engine")
    (root / "tmp/layer").unlink()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.write_text(text)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.symlink_to(target)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _run(*command: str) -> None:
    """Run a program; RuntimeError with its last words when it fails."""
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if ran.returncode:
        raise RuntimeError(f"{command[0]} failed ({ran.returncode}):\n{(ran.stderr or ran.stdout)[-3000:]}")


if __name__ == "__main__":
    print(image())
