"""Made-up cgroup file systems: the mount table and the files as real kernels show them."""

from __future__ import annotations

from pathlib import Path

from pyctr_engine.cgroups.layout import Layout, detect

ID = "f" * 64

MEMORY_STAT_V1 = """\
cache 1000
rss 2000
swap 10
hierarchical_memory_limit 9223372036854771712
total_cache 4096
total_rss 8192
total_rss_huge 0
total_swap 512
total_inactive_anon 0
total_inactive_file 1024
"""

MEMORY_STAT_V2 = """\
anon 8192
file 4096
kernel 2048
kernel_stack 100
pagetables 200
sock 0
file_mapped 77
inactive_file 1024
anon_thp 99
"""

CPU_STAT_UNIFIED = """\
usage_usec 5000
user_usec 3000
system_usec 2000
nice_usec 0
"""

CPU_STAT_V2 = """\
usage_usec 5000
user_usec 3000
system_usec 2000
nr_periods 10
nr_throttled 4
throttled_usec 700
nr_bursts 0
burst_usec 0
"""

CPU_STAT_V1 = """\
nr_periods 10
nr_throttled 4
throttled_time 700000
nr_bursts 0
burst_time 0
"""

PRESSURE = """\
some avg10=1.50 avg60=0.70 avg300=0.20 total=12345
full avg10=0.25 avg60=0.10 avg300=0.00 total=2345
"""

BLKIO_BYTES = """\
4094:0 Read 4096
4094:0 Write 8192
4094:0 Sync 12288
4094:0 Async 0
4094:0 Discard 0
4094:0 Total 12288
4095:0 Read 1
4095:0 Write 2
4095:0 Total 3
Total 12291
"""

BLKIO_OPS = """\
4094:0 Read 1
4094:0 Write 2
4094:0 Total 3
Total 3
"""

IO_STAT = """\
4093:0
4094:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0
4095:0 rbytes=1 wbytes=2 rios=0 wios=0 dbytes=5 dios=5
"""


def fill(directory: Path, **contents: str) -> None:
    """Write control files; in their names ``__`` stands for a dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (directory / name.replace("__", ".")).write_text(text)


def _detect(root: Path, mounts: list[str]) -> Layout:
    """The layout of a root whose mount table has these lines among those of an ordinary machine."""
    table = root.parent / "mountinfo"
    others = [
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
        "23 22 0:21 / /proc rw,nosuid shared:5 - proc proc rw",
        # A container's own view of cgroups elsewhere on the host says nothing about this root.
        "99 22 0:40 / /elsewhere/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    ]
    table.write_text("\n".join([*others, *mounts]) + "\n")
    return detect(str(root), str(table))


def v2(tmp_path: Path, controllers: str = "cpuset cpu io memory hugetlb pids rdma") -> Layout:
    """A pure v2 host, as current distributions have it."""
    root = tmp_path / "cgroup"
    fill(root, cgroup__controllers=f"{controllers}\n", cgroup__subtree_control="memory pids\n")
    return _detect(
        root, [f"31 23 0:28 / {root} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"]
    )


def v1_mounts(root: Path, comounted: bool) -> list[str]:
    """The mount lines of v1's hierarchies, with cpu and cpuacct together as systemd has them, or each alone."""
    sets = ["cpuset", "memory", "devices", "freezer", "blkio", "pids"]
    sets += ["cpu,cpuacct"] if comounted else ["cpu", "cpuacct"]
    lines = [f"31 23 0:28 / {root} ro,nosuid shared:4 - tmpfs tmpfs ro,mode=755"]
    for number, names in enumerate(sets, 32):
        fill(root / names)
        lines.append(f"{number} 31 0:{number} / {root}/{names} rw,nosuid shared:9 - cgroup cgroup rw,{names}")
    fill(root / "cpuset", cpuset__cpus="0-3\n", cpuset__mems="0\n")
    lines.append(f"60 31 0:60 / {root}/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd")
    return lines


def hybrid(tmp_path: Path, comounted: bool = False) -> Layout:
    """v1 controllers and a unified tree that has none of ours."""
    root = tmp_path / "cgroup"
    mounts = v1_mounts(root, comounted)
    fill(root / "unified", cgroup__controllers="hugetlb\n")
    return _detect(root, [*mounts, f"61 31 0:61 / {root}/unified rw shared:9 - cgroup2 cgroup2 rw"])


def v1(tmp_path: Path, comounted: bool = True) -> Layout:
    """v1 alone."""
    root = tmp_path / "cgroup"
    return _detect(root, v1_mounts(root, comounted))
