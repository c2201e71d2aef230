"""What network interfaces have carried: all of them from one file. Source: proc_net_dev(5).

An ordinary user's bridges are in another network namespace than whoever asks: that one's sysfs is what is mounted.
"""

from __future__ import annotations

import os

from pyctr_engine.linux import kept
from pyctr_engine.paths import in_house

NONE = (0, 0, 0, 0)
_COUNTERS = ("tx_bytes", "rx_bytes", "tx_packets", "rx_packets")


class Traffic:
    """Their counters as seen from the other end of each: what the host's end receives, a container has sent."""

    def __init__(self) -> None:
        self._file = kept.File("/proc/self/net/dev", kept.Descriptors(1), 1 << 20)
        self._lines: dict[bytes, bytes] = {}
        self._is_elsewhere = in_house()
        self._parsed: dict[str, tuple[bytes, tuple[int, int, int, int]]] = {}

    def look(self) -> None:
        """Read them."""
        if not self._is_elsewhere and self._file.changed():
            parts = (line.partition(b":") for line in self._file.data.split(b"\n"))
            self._lines = {name.strip(): counters for name, _, counters in parts}
            if len(self._parsed) > 2 * len(self._lines):
                self._parsed.clear()  # of interfaces that have gone

    def of(self, interface: str) -> tuple[int, int, int, int]:
        """Bytes received, bytes sent, packets received, packets sent."""
        if self._is_elsewhere:
            received, sent, packets, more = (_counter(interface, name) for name in _COUNTERS)
            return received, sent, packets, more
        if not self._lines:
            self.look()
        line = self._lines.get(interface.encode(), b"")
        known = self._parsed.get(interface)
        if known is not None and known[0] == line:
            return known[1]
        counters = line.split()
        if len(counters) < 10:  # it has just gone
            return NONE
        found = int(counters[8]), int(counters[0]), int(counters[9]), int(counters[1])
        self._parsed[interface] = line, found
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _counter(interface: str, name: str) -> int:
    try:
        fd = os.open(f"/sys/class/net/{interface}/statistics/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(fd, 32))
    except OSError:
        return 0
    finally:
        os.close(fd)
