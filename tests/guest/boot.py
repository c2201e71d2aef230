"""What a machine begins with: an initramfs, made anew for each, that finds the disk and adds the agent's files."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.guest.image import MODULES

INITRAMFS = """#!/first/busybox sh
/first/busybox mount -t proc none /proc
/first/busybox mount -t devtmpfs none /dev
for module in {modules}; do /first/busybox insmod /first/$module.ko; done
until [ -b /dev/vda ]; do /first/busybox usleep 10000; done
/first/busybox mount -t ext4 /dev/vda /root || exec /first/busybox sh
init=/sbin/init
for word in $(/first/busybox cat /proc/cmdline); do
    case $word in guest.init=*) init=${{word#guest.init=}} ;; esac
done
/first/busybox cp -a /files/. /root/
/first/busybox mount --move /dev /root/dev
/first/busybox umount /proc
exec /first/busybox switch_root /root "$init"
"""

SERVICE = """[Unit]
Description=Runs what the machine outside asks for
After=multi-user.target dbus.service systemd-logind.service
[Service]
Type=exec
ExecStart=/opt/guest/start
StandardOutput=journal+console
OOMScoreAdjust=-900
TimeoutStopSec=5
"""

START = """#!/bin/sh
# The sources of this run are on the second disk.
[ -d /opt/pyctr ] || { mkdir /opt/pyctr && tar -xf /dev/vdb -C /opt/pyctr; }
modprobe -a virtio_console overlay bridge veth nf_tables virtio_rng tun
export PYTHONPATH=/opt/pyctr:/opt/pyctr/engine:/opt/pyctr/tui:/opt/site
exec python3 -m tests.guest.agent
"""

# Without systemd: the layout of control groups that the kernel's command line asks for, by hand.
PLAIN = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc none /proc; mount -t sysfs none /sys; mount -t tmpfs none /tmp; mount -t tmpfs none /run
mkdir /dev/pts /dev/shm; mount -t devpts none /dev/pts; mount -t tmpfs none /dev/shm
mount -o remount,rw /
ip link set lo up
for word in $(cat /proc/cmdline); do case $word in guest.cgroups=*) layout=${word#guest.cgroups=} ;; esac; done
if [ "$layout" = v2 ]; then
    mount -t cgroup2 none /sys/fs/cgroup
else
    mount -t tmpfs none /sys/fs/cgroup
    # As systemd mounts them: cpu and cpuacct share a hierarchy.
    for names in cpu,cpuacct memory pids blkio freezer cpuset devices hugetlb; do
        mkdir /sys/fs/cgroup/$names && mount -t cgroup -o $names none /sys/fs/cgroup/$names
    done
    if [ "$layout" = hybrid ]; then
        mkdir /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified
    fi
fi
/opt/guest/start
poweroff -f
"""

# As if it were installed: a unit's command line has no PYTHONPATH.
PLACES = "/opt/pyctr/engine\n/opt/pyctr/tui\n/opt/site\n"

PROGRAM = """#!/usr/bin/python3
import sys
from pyctr_tui.cli.main import main
sys.exit(main())
"""

FILES = {
    "etc/systemd/system/guest.service": SERVICE,
    "opt/guest/start": START,
    "opt/guest/plain": PLAIN,
    "usr/lib/python3/dist-packages/pyctr-tui.pth": PLACES,
    "usr/local/bin/pyctr-tui": PROGRAM,
}


def initramfs(first: Path) -> bytes:
    """The packed archive; ``first`` has busybox and the modules."""
    with tempfile.TemporaryDirectory(prefix="pyctr-guest-") as tree:
        root = Path(tree)
        for name in ("proc", "dev", "root"):
            (root / name).mkdir()
        shutil.copytree(first, root / "first")
        (root / "init").write_text(INITRAMFS.format(modules=" ".join(MODULES)))
        (root / "init").chmod(0o755)
        for name, text in FILES.items():
            path = root / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o644 if name.startswith("etc/") else 0o755)
        wanted = root / "files/etc/systemd/system/multi-user.target.wants"
        wanted.mkdir()
        (wanted / "guest.service").symlink_to("../guest.service")
        packing = ["sh", "-c", "find . | busybox cpio -o -H newc 2>/dev/null"]
        return gzip.compress(subprocess.run(packing, cwd=tree, capture_output=True, check=True).stdout, 1)
