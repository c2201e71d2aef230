"""Run the engine tests of cgroups on cgroup layouts that this machine doesn't have, in a virtual machine.

    python -m tests.guest.cgroups [v2|hybrid|v1 …]

Not part of ``make test``: it needs packages and takes a minute for each layout without hardware virtualisation.

    apt-get install qemu-system-x86 busybox-static
    apt-get download linux-image-6.1.0-NN-cloud-amd64        # give its path with --kernel

The guest is Debian's kernel and an initramfs made of this machine's Python, pytest and our sources; its ``/init``
mounts the cgroups in the layout asked for and runs ``tests/engine/cgroups``.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = "/usr/bin/python3.11"
LIBRARY = "/usr/lib/python3.11"
PACKAGES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")
TESTS = "tests/engine/cgroups"
PASSED = "GUEST TESTS PASSED"

CGROUPS = {
    "v2": "mount -t cgroup2 none /sys/fs/cgroup",
    # As systemd mounts them: cpu and cpuacct share a hierarchy.
    "v1": """mount -t tmpfs none /sys/fs/cgroup
for names in cpu,cpuacct memory pids blkio freezer cpuset devices; do
    mkdir /sys/fs/cgroup/$names && mount -t cgroup -o $names none /sys/fs/cgroup/$names
done""",
}
CGROUPS["hybrid"] = f"{CGROUPS['v1']}\nmkdir /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"

INIT = """#!/bin/sh
export PATH=/bin HOME=/root PYTHONPATH=/opt/packages:/opt/source/engine PYTHONDONTWRITEBYTECODE=1
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev; mount -t tmpfs none /tmp
{cgroups}
cd /opt/source
{python} -m pytest -c /opt/pytest.ini --rootdir=/opt/source -q -p no:cacheprovider {tests} && echo {passed}
poweroff -f
"""


def main() -> int:
    """Run the layouts that were named, all by default; 0 when all tests passed in all of them."""
    parser = argparse.ArgumentParser(description="cgroup tests in a virtual machine")
    parser.add_argument("layouts", nargs="*", default=list(CGROUPS), help="v2, hybrid, v1")
    parser.add_argument("--kernel", default="", help="a vmlinuz, or a linux-image package (.deb)")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory(prefix="pyctr-guest-") as work:
        kernel = find_kernel(arguments.kernel, work)
        root = f"{work}/root"
        build_root(root)
        for layout in arguments.layouts:
            print(f"== {layout}", flush=True)
            results[layout] = run(kernel, root, layout, work)
    print(results)
    return 0 if all(results.values()) else 1


def find_kernel(given: str, work: str) -> str:
    """The kernel image, out of its package if need be."""
    found = given or next(iter(sorted(glob.glob("/boot/vmlinuz-*"))), "")
    if not found:
        sys.exit("no kernel: apt-get download linux-image-6.1.0-NN-cloud-amd64, then --kernel FILE.deb")
    if found.endswith(".deb"):
        subprocess.run(["dpkg-deb", "-x", found, f"{work}/package"], check=True)
        found = glob.glob(f"{work}/package/boot/vmlinuz-*")[0]
    return found


def build_root(root: str) -> None:
    """The guest's files, but for /init."""
    for name in ("bin", "proc", "sys", "dev", "tmp", "root", "opt/packages", "opt/source", "usr/lib"):
        os.makedirs(f"{root}/{name}")
    shutil.copy("/usr/bin/busybox" if os.path.exists("/usr/bin/busybox") else "/bin/busybox", f"{root}/bin/busybox")
    for applet in ("sh", "mount", "mkdir", "poweroff"):
        os.symlink("busybox", f"{root}/bin/{applet}")
    copy_python(root)
    import pytest

    packages = os.path.dirname(os.path.dirname(pytest.__file__))
    no_caches = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        shutil.copytree(f"{packages}/{name}", f"{root}/opt/packages/{name}", ignore=no_caches)
    for name in ("engine", "tests"):
        shutil.copytree(f"{REPOSITORY}/{name}", f"{root}/opt/source/{name}", ignore=no_caches)
    shutil.copy(f"{packages}/py.py", f"{root}/opt/packages/py.py")
    with open(f"{root}/opt/pytest.ini", "w") as file:
        file.write("[pytest]\nmarkers = root: needs root\n")


def copy_python(root: str) -> None:
    """Debian's interpreter, its library, and what they are linked with."""
    unneeded = shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "lib2to3", "config-*")
    shutil.copytree(LIBRARY, root + LIBRARY, ignore=unneeded, symlinks=True)
    binaries = [PYTHON, *glob.glob(f"{LIBRARY}/lib-dynload/*.so")]
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=True).stdout
    needed = {word for word in listed.split() if word.startswith("/") and ".so" in word and not word.endswith(":")}
    for path in (PYTHON, *sorted(needed)):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        shutil.copy(path, root + path)


def run(kernel: str, root: str, layout: str, work: str) -> bool:
    """Boot the guest with one layout; whether all tests passed."""
    with open(f"{root}/init", "w") as file:
        file.write(INIT.format(cgroups=CGROUPS[layout], python=PYTHON, tests=TESTS, passed=PASSED))
    os.chmod(f"{root}/init", 0o755)
    archive = f"{work}/initramfs"
    with open(archive, "wb") as file:
        packing = "find . | busybox cpio -o -H newc 2>/dev/null | gzip -1"
        subprocess.run(["sh", "-c", packing], cwd=root, stdout=file, check=True)
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "2048", "-smp", "2", "-nographic"]
    command += ["-no-reboot", "-kernel", kernel, "-initrd", archive]
    command += ["-append", "console=ttyS0 quiet panic=-1 psi=1 swapaccount=1"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=900, check=False)
    output = ran.stdout.decode(errors="replace")
    print(output[-6000:], flush=True)
    return PASSED in output


if __name__ == "__main__":
    sys.exit(main())
