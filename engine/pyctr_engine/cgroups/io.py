"""Block I/O: the io controller of v2, blkio of v1: weights, limits of rate for each disk, and counting.

v1 counts what processes read and write themselves (direct and synchronous I/O, cache misses); what is written back
later from the page cache is charged to the root, and its limits don't hold that back. v2 charges it to who dirtied
the page. Weights are heeded by disks whose scheduler is bfq (or, on v2, that io.cost governs).
Sources: admin-guide/cgroup-v2.rst ("IO"), admin-guide/cgroup-v1/blkio-controller.rst, block/bfq-iosched.rst.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cache

from pyctr_engine.cgroups import files
from pyctr_engine.cgroups.setting import Setting
from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux.kept import Opener
from pyctr_engine.model.spec import DeviceLimits, Resources
from pyctr_engine.model.stats import DeviceIo

NAME = "io"

# Also joined without a limit: nothing else says how much a container reads and writes.
ALWAYS = True

_UNLIMITED = 2**64 - 1
_LEAST_WEIGHT, _MOST_WEIGHT = 10, 1000
_RATES = {
    "device_read_bps": ("rbps", "blkio.throttle.read_bps_device"),
    "device_write_bps": ("wbps", "blkio.throttle.write_bps_device"),
    "device_read_iops": ("riops", "blkio.throttle.read_iops_device"),
    "device_write_iops": ("wiops", "blkio.throttle.write_iops_device"),
}
"""The key in v2's ``io.max``, and v1's file."""


def asked(resources: Resources) -> str:
    """The name of a limit that needs this controller; empty when there is none."""
    if resources.blkio_weight is not None:
        return "blkio_weight"
    return next((name for name in ("blkio_weight_device", *_RATES) if getattr(resources, name)), "")


def settings(resources: Resources, version: int) -> list[Setting]:
    """Limits as writes; raises InvalidValue."""
    found = []
    if resources.blkio_weight is not None:
        found += _weight(_checked(resources.blkio_weight), version)
    for number, weight in _devices("blkio_weight_device", resources.blkio_weight_device):
        found += _device_weight(number, _checked(weight), version)
    for name, (key, file) in _RATES.items():
        for number, rate in _devices(name, getattr(resources, name)):
            if rate < 1:
                raise InvalidValue(f"a rate of {rate} can't be: the least is 1 a second", "leave it out for no limit")
            found.append(_rate(key, file, number, str(rate), version))
    return found


def lifted(before: Resources, after: Resources, version: int) -> list[Setting]:
    """Writes that take back the limits which only ``before`` has."""
    found = []
    if before.blkio_weight is not None and after.blkio_weight is None:
        found += _weight(100, version)
    for number in _gone(before.blkio_weight_device, after.blkio_weight_device):
        found += _device_weight(number, None, version)
    for name, (key, file) in _RATES.items():
        for number in _gone(getattr(before, name), getattr(after, name)):
            found.append(_rate(key, file, number, "max" if version == 2 else "0", version))
    return found


def _weight(weight: int, version: int) -> list[Setting]:
    if version == 1:
        return [Setting(name, str(weight), either="weight") for name in ("blkio.bfq.weight", "blkio.weight")]
    return [
        Setting("io.bfq.weight", str(weight), either="weight"),
        Setting("io.weight", str(iocost_weight(weight)), either="weight"),
    ]


def _device_weight(number: str, weight: int | None, version: int) -> list[Setting]:
    """``None`` takes it back."""
    plain, cost = ("default", "default") if weight is None else (str(weight), str(iocost_weight(weight)))
    if version == 2:
        names = (("io.bfq.weight", plain), ("io.weight", cost))
    else:
        names = (("blkio.bfq.weight_device", plain), ("blkio.weight_device", "0" if weight is None else plain))
    return [Setting(name, f"{number} {value}", either=f"weight of {number}") for name, value in names]


def iocost_weight(weight: int) -> int:
    """docker's weight (10 to 1000, usually 100) on the scale of ``io.weight`` (1 to 10000, usually 100).

    Straight lines on both sides of the usual value, so that asking for it changes nothing.
    """
    if weight <= 100:
        return max(1, round(1 + (weight - 10) * 99 / 90))
    return round(100 + (weight - 100) * 9900 / 900)


def _rate(key: str, file: str, number: str, rate: str, version: int) -> Setting:
    return Setting("io.max", f"{number} {key}={rate}") if version == 2 else Setting(file, f"{number} {rate}")


def _checked(weight: int) -> int:
    if not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT:
        raise InvalidValue(f"a weight of {weight} can't be: weights go from 10 to 1000", "100 is usual")
    return weight


def _devices(name: str, limits: DeviceLimits) -> Iterator[tuple[str, int]]:
    """Each device's number with what holds for it. Raises InvalidValue."""
    seen: dict[str, str] = {}
    for path, value in limits:
        number = device_number(path)
        if number in seen:
            raise InvalidValue(f"{name}: {seen[number]} and {path} are the same device", "name each device once")
        seen[number] = path
        yield number, value


def _gone(before: DeviceLimits, after: DeviceLimits) -> list[str]:
    """The numbers of devices that had a limit; one that was pulled out took its own along."""
    found = []
    for path, _ in before:
        if path not in dict(after):
            try:
                found.append(device_number(path))
            except InvalidValue:
                continue
    kept = {number for number, _ in _devices("", after)}
    return [number for number in found if number not in kept]


def device_number(path: str, devices: str = "/sys/dev/block") -> str:
    """``8:0`` of ``/dev/sda``. Raises InvalidValue for what is no whole disk: the kernel limits nothing smaller."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or "no such file"
        raise InvalidValue(f"there is no device {path}: {reason.lower()}", "`lsblk` lists disks") from None
    if not stat.S_ISBLK(status.st_mode):
        raise InvalidValue(f"{path} is not a block device", "`lsblk` lists disks")
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if os.path.exists(f"{devices}/{number}/partition"):
        disk = os.path.basename(os.path.dirname(os.path.realpath(f"{devices}/{number}")))
        raise InvalidValue(f"{path} is a partition: limits hold for whole disks", f"name /dev/{disk}")
    return number


def counting(sys_block: str = "/sys/block") -> tuple[tuple[str, str], ...]:
    """The writes into a v1 parent that make the kernel count: a limit of "unlimited" for each disk.

    Since Linux 6.10 blkio counts nothing on a disk until some cgroup has been given a rule for it. The
    largest number is no rule (it reads back as nothing), yet it starts the counting.
    Only disks with a device behind them: stacked ones (dm, md, loop) would count each byte twice.
    """
    try:
        names = sorted(os.listdir(sys_block))
    except OSError:
        return ()
    disks = []
    for name in names:
        if os.path.exists(f"{sys_block}/{name}/device"):
            try:
                number = files.read(f"{sys_block}/{name}/dev").strip()
            except OSError:
                continue
            disks.append(("blkio.throttle.read_bps_device", f"{number} {_UNLIMITED}"))
    return tuple(disks)


class Meter:
    """Reads what was read and written. On v1 some kernels (6.1) count only where a limit of ours throttles.

    Attributes:
        values: Bytes read and written, operations of reading and writing, of all disks together; ``None`` without a
            controller.
        devices: The same of each device.
    """

    __slots__ = ("_bytes", "_devices", "_ops", "devices", "files", "values")

    def __init__(self, file: Opener, directory: str, version: int, devices: str = "/sys/dev/block") -> None:
        self.values: list[int | None] = [None] * 4
        self.devices: tuple[DeviceIo, ...] = ()
        self._devices = devices
        if version == 2:
            self._ops, self._bytes = file(f"{directory}/io.stat"), None
        else:
            self._ops = file(f"{directory}/blkio.throttle.io_serviced_recursive")
            self._bytes = file(f"{directory}/blkio.throttle.io_service_bytes_recursive")
        self.files = [self._ops, *([self._bytes] if self._bytes else [])]

    def read(self) -> None:
        """Read it; bytes only when there were operations."""
        changed = self._ops.changed()
        if self._bytes is not None and (changed or self.values[0] is None):
            changed = self._bytes.changed() or changed
        if changed:
            self._parse()

    def _parse(self) -> None:
        found: dict[bytes, list[int]] = {}
        if self._bytes is None:
            _parse_v2(self._ops.data, found)
        else:
            _parse_v1(self._bytes.data, found, 0)
            _parse_v1(self._ops.data, found, 2)
        totals = [0, 0, 0, 0]
        devices = []
        for number, counts in found.items():
            name, is_disk = _device(self._devices, number.decode())
            devices.append(DeviceIo(number.decode(), name, *counts))
            if is_disk:
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
        self.values = [*totals]
        self.devices = tuple(devices)


_V2_KEYS = {b"rbytes": 0, b"wbytes": 1, b"rios": 2, b"wios": 3}


def _parse_v2(data: bytes, found: dict[bytes, list[int]]) -> None:
    """Lines like ``8:0 rbytes=90112 wbytes=0 rios=7 wios=0 dbytes=0 dios=0``; a device without I/O has no pairs."""
    for line in data.split(b"\n"):
        number, *pairs = line.split() or [b""]
        for pair in pairs:
            key, _, count = pair.partition(b"=")
            place = _V2_KEYS.get(key)
            if place is not None and count.isdigit():
                found.setdefault(number, [0, 0, 0, 0])[place] += int(count)


def _parse_v1(data: bytes, found: dict[bytes, list[int]], first: int) -> None:
    """Lines like ``254:0 Read 4096``; reads go to the place ``first``, writes to the next."""
    for line in data.split(b"\n"):
        words = line.split()
        if len(words) == 3 and words[1] in (b"Read", b"Write"):
            place = first if words[1] == b"Read" else first + 1
            found.setdefault(words[0], [0, 0, 0, 0])[place] += int(words[2])


@cache
def _device(devices: str, number: str) -> tuple[str, bool]:
    """A device's name, and whether it has hardware behind it (or is unknown).

    What dm, md and loop devices pass on is counted again below them.
    """
    path = f"{devices}/{number}"
    if not os.path.exists(path):
        return "", True
    return os.path.basename(os.path.realpath(path)), os.path.exists(f"{path}/device")
