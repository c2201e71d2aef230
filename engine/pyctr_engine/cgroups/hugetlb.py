"""The hugetlb controller: how much a container may have of huge pages, for each of their sizes.

Joined only when asked for. Sources: admin-guide/cgroup-v2.rst ("HugeTLB"), admin-guide/cgroup-v1/hugetlb.rst.
"""

from __future__ import annotations

import os

from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue, Unsupported
from pyctr_engine.model.spec import Resources

NAME = "hugetlb"
ALWAYS = False

_PAGES = "/sys/kernel/mm/hugepages"


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    return "hugetlb" if resources.hugetlb else ""


def settings(resources: Resources, version: int, pages: str = _PAGES) -> list[Setting]:
    """Limits as writes; raises InvalidValue, Unsupported."""
    there = sizes(pages) if resources.hugetlb else ()
    found: dict[str, Setting] = {}
    for size, limit in resources.hugetlb:
        if size not in there:
            raise Unsupported(
                f"this machine has no huge pages of {size}",
                f"sizes here: {', '.join(there)}" if there else "leave the limit out",
            )
        if limit < 0:
            raise InvalidValue(f"a limit of {limit} bytes of huge pages can't be", "0 allows none, 64m 32 of 2MB")
        if size in found:
            raise InvalidValue(f"huge pages of {size} are limited twice", "give each size once")
        found[size] = Setting(_file(size, version), str(limit))
    return list(found.values())


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has."""
    gone = dict(before.hugetlb).keys() - dict(after.hugetlb).keys()
    return [Setting(_file(size, version), "max" if version == 2 else "-1") for size in sorted(gone)]


def sizes(pages: str = _PAGES) -> tuple[str, ...]:
    """The page sizes of this machine as the control files name them, smallest first: ``2MB``, ``1GB``."""
    try:
        names = os.listdir(pages)
    except OSError:
        return ()
    kilobytes = [int(name[10:-2]) for name in names if name.startswith("hugepages-") and name.endswith("kB")]
    return tuple(map(_name, sorted(kilobytes)))


def _name(kilobytes: int) -> str:
    for unit in ("KB", "MB"):
        if kilobytes < 1024:
            return f"{kilobytes}{unit}"
        kilobytes >>= 10
    return f"{kilobytes}GB"


def _file(size: str, version: int) -> str:
    return f"hugetlb.{size}.{'max' if version == 2 else 'limit_in_bytes'}"
