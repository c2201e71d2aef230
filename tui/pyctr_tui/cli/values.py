"""Docker's ways to write sizes, durations, moments, ports, devices and limits, as the model's types."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from pyctr_engine.model.spec import Device, DeviceRule, Logging, Port, Protocol, RestartName, RestartPolicy
from pyctr_tui.cli.options import UsageError

_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_MOST_SECONDS = 1e10
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def size(text: str, what: str) -> int:
    """Bytes of ``512m``, ``1.5GiB``, ``1024``; units are powers of 1024, as in docker."""
    number = text.strip().lower().rstrip("bi")
    if number.startswith("-"):
        raise UsageError(f"{what}: {text!r} is less than nothing", "sizes are like 512m, 2g or 1048576")
    unit = number[-1:] if number[-1:].isalpha() else ""
    try:
        return int(float(number.removesuffix(unit)) * _BYTES[unit])
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{what}: {text!r} is not a size", "sizes are like 512m, 2g or 1048576") from None


def swap_size(text: str) -> int:
    """As `size`; -1 is unlimited."""
    return -1 if text.strip() == "-1" else size(text, "--memory-swap")


def integer(text: str, what: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{what}: {text!r} is not a whole number") from None


def octal(text: str, what: str) -> int:
    """Permission bits, ``0022``."""
    try:
        return int(text, 8)
    except ValueError:
        raise UsageError(f"{what}: {text!r} is not an octal number", "for example 0027") from None


def device_rule(text: str) -> DeviceRule:
    """``c 188:* rwm``, as docker writes it."""
    words = text.split()
    numbers = words[1].split(":") if len(words) == 3 else []
    if len(numbers) != 2 or words[0] not in "abc" or not set(words[2]) <= set("rwm"):
        raise UsageError(f"--device-cgroup-rule: {text!r} is not a rule", "for example 'c 188:* rwm'")
    major, minor = (-1 if part == "*" else integer(part, "--device-cgroup-rule") for part in numbers)
    return DeviceRule(words[0], major, minor, words[2])


def time_namespace(text: str) -> tuple[str, dict[str, int]]:
    """``host``, or ``private[,boottime=SECONDS][,monotonic=SECONDS]``."""
    mode, *rest = text.split(",")
    offsets = {}
    for item in rest:
        name, _, value = item.partition("=")
        if name not in ("boottime", "monotonic"):
            raise UsageError(f"--timens: there is no clock {name!r}", "clocks: boottime, monotonic")
        offsets[name] = integer(value, f"--timens: {name}")
    return mode, offsets


def number(text: str, what: str) -> float:
    """A number, finite and not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise UsageError(f"{what}: {text!r} is not a number from 0 on")
    return value


def seconds(text: str, what: str) -> float:
    """Seconds of Go's durations, ``1h30m``, ``10s``, ``1.5h``; a bare number is seconds."""
    rest, total = text.strip(), 0.0
    with contextlib.suppress(ValueError):
        return _sensible(float(rest), text, what)
    while rest or not text.strip():
        digits = len(rest) - len(rest.lstrip("0123456789."))
        letters = len(rest) - digits - len(rest[digits:].lstrip("hmsnuµ"))
        try:
            total += float(rest[:digits]) * _SECONDS[rest[digits : digits + letters]]
        except (KeyError, ValueError):
            raise UsageError(f"{what}: {text!r} is not a duration", "durations are like 10s, 5m or 1h30m") from None
        rest = rest[digits + letters :]
    return _sensible(total, text, what)


def _sensible(seconds: float, text: str, what: str) -> float:
    """Neither nan nor endless."""
    if not 0 <= seconds < _MOST_SECONDS:
        raise UsageError(f"{what}: {text!r} is not a duration", "durations are like 10s, 5m or 1h30m")
    return seconds


def moment(text: str, what: str) -> float:
    """Seconds since the epoch: of an RFC 3339 date or time, of a UNIX time, or of so long ago (``10m``)."""
    plain = text.strip()
    if plain == "now":
        return time.time()
    if plain.replace(".", "", 1).isdigit():
        return float(plain)
    if "-" in plain:
        from datetime import datetime

        try:
            return datetime.fromisoformat(plain).timestamp()
        except ValueError:
            raise UsageError(f"{what}: {text!r} is not a time", "times are like 2026-01-31T13:05:00Z") from None
    return time.time() - seconds(plain, what)


def ports(text: str) -> list[Port]:
    """``[address:][host:]container[/protocol]``; ranges of the same length on both sides."""
    plain, _, protocol = text.partition("/")
    host, _, container = plain.rpartition(":")
    host_ip, _, host_port = host.rpartition(":") if ":" in host else ("", "", host)
    inside = _port_range(container, text)
    outside = _port_range(host_port, text) if host_port else [0] * len(inside)
    if len(inside) != len(outside):
        raise _bad_port(text, "both ranges must be of the same length")
    return [
        Port(port, published, host_ip.strip("[]"), _protocol(protocol, text))
        for port, published in zip(inside, outside, strict=True)
    ]


def _port_range(text: str, whole: str) -> list[int]:
    first, dash, last = text.partition("-")
    try:
        low, high = int(first), int(last if dash else first)
    except ValueError:
        raise _bad_port(whole) from None
    if not 1 <= low <= high <= 65535:
        raise _bad_port(whole, "ports go from 1 to 65535")
    return list(range(low, high + 1))


def _protocol(text: str, whole: str) -> Protocol:
    match text.lower():
        case "" | "tcp":
            return "tcp"
        case "udp":
            return "udp"
    raise _bad_port(whole, "protocols are tcp and udp")


def _bad_port(text: str, hint: str = "") -> UsageError:
    return UsageError(
        f"--publish: {text!r} is not a port to publish", hint or "ports are like 8080:80 or 127.0.0.1:53:53/udp"
    )


def device(text: str) -> Device:
    """``/dev/x[:/dev/y][:rwm]``."""
    source, *rest = text.split(":")
    permissions = rest.pop() if rest and rest[-1] and not rest[-1].strip("rwm") else "rwm"
    if not source.startswith("/") or len(rest) > 1:
        raise UsageError(f"--device: {text!r} is not a device", "devices are like /dev/fuse or /dev/sda:/dev/xvda:r")
    return Device(source, rest[0] if rest else source, permissions)


def ulimit(text: str) -> tuple[str, tuple[int, int]]:
    """``nofile=1024:2048`` or ``nofile=1024``; -1 is no limit."""
    name, equals, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    if not equals:
        raise UsageError(f"--ulimit: {text!r} is not a limit", "limits are like nofile=1024:2048")
    return name, (integer(soft, "--ulimit"), integer(hard or soft, "--ulimit"))


def restart(text: str) -> RestartPolicy:
    """``no``, ``on-failure[:retries]``, ``always``, ``unless-stopped``."""
    name, _, retries = text.partition(":")
    names: dict[str, RestartName] = {
        "": "no", "no": "no", "on-failure": "on-failure", "always": "always", "unless-stopped": "unless-stopped",
    }  # fmt: skip
    if name not in names or (retries and name != "on-failure"):
        raise UsageError(
            f"--restart: {text!r} is not a policy", "policies: no, on-failure[:retries], always, unless-stopped"
        )
    return RestartPolicy(names[name], integer(retries, "--restart") if retries else 0)


def logging(driver: str, options: Mapping[str, str]) -> Logging:
    """A log's driver and options: ``max-size=10m``, ``max-file=3``, ``rate-limit=1000`` (lines a second)."""
    if driver not in ("", "json-file", "local", "none"):
        raise UsageError(f"--log-driver: there is no driver {driver}", "drivers: json-file (the default), none")
    unknown = sorted(set(options) - {"max-size", "max-file", "rate-limit", "compress", "mode"})
    if unknown:
        raise UsageError(f"--log-opt: {unknown[0]!r} is unknown", "options: max-size, max-file, rate-limit")
    usual = Logging()
    if driver == "none":
        return Logging(max_size=0)
    return Logging(
        max_size=size(options["max-size"], "--log-opt max-size") if "max-size" in options else usual.max_size,
        max_files=integer(options["max-file"], "--log-opt max-file") if "max-file" in options else usual.max_files,
        rate=integer(options["rate-limit"], "--log-opt rate-limit") if "rate-limit" in options else usual.rate,
    )


def pair(text: str, what: str, separator: str = "=") -> tuple[str, str]:
    """``key=value``, as labels and sysctls are; no separator is an empty value."""
    key, _, value = text.partition(separator)
    if not key:
        raise UsageError(f"{what}: {text!r} has no name before the {separator}")
    return key, value


def extra_host(text: str) -> tuple[str, str]:
    """``name:address`` or ``name=address``; the address may be IPv6."""
    name, separator, address = text.partition("=" if "=" in text else ":")
    if not separator or not name or not address:
        raise UsageError(f"--add-host: {text!r} is not a name and an address", "like db:10.0.0.7")
    return name, address.strip("[]")
