"""``--volume``, ``--mount`` and ``--tmpfs``, as the model's mounts."""

from __future__ import annotations

import os

from pyctr_engine.model.spec import PROPAGATIONS, Mount, MountType
from pyctr_tui.cli.options import UsageError
from pyctr_tui.cli.values import size

_PLAIN = frozenset(("", "rw", "z", "Z", "cached", "delegated", "consistent"))
"""Volume options that change nothing here: labels of SELinux, and hints for other hosts."""

_TMPFS_DEFAULTS = frozenset(("", "rw", "noexec", "nosuid", "nodev"))
"""What a tmpfs is mounted with anyway."""


def volume(text: str) -> Mount:
    """``[source:]target[:options]``; a source with a slash is a host path, else a volume's name."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[-1]:
        raise _bad_volume(text)
    if len(parts) == 1:
        return Mount("volume", "", _target(parts[0], text))
    source, target = parts[:2]
    options = parts[2].split(",") if len(parts) == 3 else []
    for option in options:
        if option != "ro" and option not in _PLAIN and option not in PROPAGATIONS:
            known = f"options: ro, rw, z, Z, {', '.join(PROPAGATIONS)}"
            raise UsageError(f"--volume: {text!r} has the unknown option {option!r}", known)
    if not source:
        raise _bad_volume(text)
    is_path = source.startswith(("/", ".", "~"))
    kind: MountType = "bind" if is_path else "volume"
    path = os.path.abspath(os.path.expanduser(source)) if is_path else source
    propagation = next((option for option in options if option in PROPAGATIONS), "")
    if propagation and not is_path:
        raise UsageError(f"--volume: {text!r}: {propagation} is for directories of the host", "leave it out")
    return Mount(
        kind, path, _target(target, text), read_only="ro" in options, create=is_path, propagation=propagation
    )


def mount(text: str) -> Mount:
    """``type=bind,source=/a,target=/b,readonly``: docker's longer form."""
    keys: dict[str, str] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        keys[_MOUNT_KEYS.get(key.strip().lower(), key)] = value if equals else "true"
    unknown = keys.keys() - set(_MOUNT_KEYS.values())
    if unknown:
        raise UsageError(f"--mount: {text!r} has the unknown key {min(unknown)!r}", "keys: " + ", ".join(_MOUNT_KEYS))
    target = _target(keys.get("target", ""), text)
    read_only = keys.get("readonly", "false").lower() in ("true", "1")
    source = keys.get("source", "")
    match keys.get("type", "volume"):
        case "bind" if source.startswith("/"):
            propagation = keys.get("bind-propagation", "")
            if propagation and propagation not in PROPAGATIONS:
                raise UsageError(f"--mount: {text!r} has an unknown propagation", ", ".join(PROPAGATIONS))
            return Mount("bind", source, target, read_only, propagation=propagation)
        case "bind":
            raise UsageError(f"--mount: {text!r} needs an absolute source", "like type=bind,source=/srv,target=/data")
        case "volume":
            return Mount("volume", source, target, read_only)
        case "tmpfs":
            bytes_ = size(keys["tmpfs-size"], "--mount tmpfs-size") if "tmpfs-size" in keys else 0
            return Mount("tmpfs", "", target, read_only, bytes_, _mode(keys.get("tmpfs-mode", "1777"), text))
    raise UsageError(f"--mount: {text!r} is of an unknown type", "types: bind, volume, tmpfs")


_MOUNT_KEYS = {
    "type": "type", "source": "source", "src": "source", "target": "target", "dst": "target",
    "destination": "target", "readonly": "readonly", "ro": "readonly", "tmpfs-size": "tmpfs-size",
    "tmpfs-mode": "tmpfs-mode", "bind-propagation": "bind-propagation",
}  # fmt: skip


def tmpfs(text: str) -> Mount:
    """``/path[:size=64m,mode=1777,ro,exec]``."""
    target, _, options = text.partition(":")
    read_only, executable, bytes_, mode = False, False, 0, 0o1777
    for option in options.split(","):
        key, _, value = option.partition("=")
        if key == "size":
            bytes_ = size(value, "--tmpfs size")
        elif key == "mode":
            mode = _mode(value, text)
        elif key == "ro":
            read_only = True
        elif key == "exec":
            executable = True
        elif key not in _TMPFS_DEFAULTS:
            raise UsageError(f"--tmpfs: {text!r} has the unknown option {key!r}", "options: size, mode, ro, exec")
    return Mount("tmpfs", "", _target(target, text), read_only, bytes_, mode, executable=executable)


def _target(target: str, whole: str) -> str:
    if not target.startswith("/"):
        raise UsageError(f"{whole!r} names no absolute path in the container", "like /srv/data:/data:ro")
    return os.path.normpath(target)


def _mode(text: str, whole: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise UsageError(f"{whole!r} has a mode that is not octal") from None


def _bad_volume(text: str) -> UsageError:
    return UsageError(f"--volume: {text!r} is not a mount", "mounts are like /srv/data:/data:ro or name:/data")
