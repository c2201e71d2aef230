"""``volumes:``, ``tmpfs:``, ``devices:`` and ``shm_size:``."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import replace

from pyctr_engine.model.spec import PROPAGATIONS, Device, Mount
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node, Scalar, nearest
from pyctr_engine.stacks.draft import Draft

_HARMLESS = ("rw", "z", "Z", "cached", "delegated", "consistent")
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def volumes(draft: Draft, node: Node) -> None:
    """``volumes:``, a list of short forms and mappings."""
    for item in values.items(node, "volumes"):
        add_mount(draft, _long(draft, item) if isinstance(item, Mapping) else _short(draft, item), item)


def tmpfs(draft: Draft, node: Node) -> None:
    """``tmpfs:``, one or more ``path[:options]``."""
    for item in values.one_or_more(node, "tmpfs"):
        path, _, options = values.word(item, "tmpfs").partition(":")
        mount = Mount("tmpfs", "", _target(item, path))
        for option in filter(None, options.split(",")):
            name, _, value = option.partition("=")
            if name == "size":
                mount = replace(mount, size=values.size(_part(item, value), "size"))
            elif name == "mode":
                mount = replace(mount, mode=_mode(item, value))
            elif name == "ro":
                mount = replace(mount, read_only=True)
            elif name == "exec":
                mount = replace(mount, executable=True)
            elif name not in ("rw", "nosuid", "nodev", "noexec"):
                raise item.error(f"the tmpfs option {name} is not supported", "size=, mode=, ro, rw and exec are")
        add_mount(draft, mount, item)


def devices(draft: Draft, node: Node) -> None:
    """``devices:``, ``source[:target[:rwm]]`` or mappings of source, target and permissions."""
    found: list[Device] = []
    for item in values.items(node, "devices"):
        if isinstance(item, Mapping):
            values.known_keys(item, "a device", ("source", "target", "permissions"))
            parts = [values.word(n, "a device") if (n := item.get(key)) else "" for key in _DEVICE_KEYS]
        else:
            parts = values.word(item, "a device").split(":")
        source, target, permissions, *rest = [*parts, "", "", ""][: max(3, len(parts))]
        if "=" in source:
            raise item.error("CDI devices are not supported yet", "name a device file")
        if rest or not source.startswith("/"):
            raise item.error("a device is source[:target[:permissions]]", "for example /dev/fuse")
        if set(permissions) - set("rwm"):
            raise item.error(f"a device's permissions can't be \"{permissions}\"", "letters out of rwm")
        found.append(Device(source, _target(item, target or source), permissions or "rwm"))
    draft.request = replace(draft.request, devices=tuple(found))


_DEVICE_KEYS = ("source", "target", "permissions")


def shm_size(draft: Draft, node: Node) -> None:
    """``shm_size:``, bytes of /dev/shm; 0 leaves it as it is."""
    if size := values.size(node, "shm_size"):
        draft.request = replace(draft.request, shm_size=size)


def add_mount(draft: Draft, mount: Mount, node: Node) -> None:
    """Add a mount; each target takes one only."""
    if any(known.target == mount.target for known in draft.request.mounts):
        raise node.error(f"something is mounted on {mount.target} already", "give it a target of its own")
    draft.request = replace(draft.request, mounts=(*draft.request.mounts, mount))


def _part(node: Node, text: str) -> Node:
    """A part of a node's text, standing where the node does."""
    return Scalar(node.mark, text)


def _short(draft: Draft, node: Node) -> Mount:
    text = values.word(node, "a volume")
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise node.error(f'"{text}" is not a volume', "for example ./data:/data or cache:/var/cache:ro")
    if len(parts) == 1:
        return Mount("volume", "", _target(node, text))
    read_only, propagation = False, ""
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if option == "ro":
            read_only = True
        elif option in PROPAGATIONS:
            propagation = option
        elif option not in _HARMLESS:
            raise node.error(f"the volume option {option} is not supported yet", "ro, rw and rslave are, for example")
    mount = _mount(draft, node, parts[0], parts[1], read_only)
    if propagation and mount.type != "bind":
        raise node.error(f"{propagation} is for directories of the host", "leave it out")
    return replace(mount, propagation=propagation) if propagation else mount


def _mount(draft: Draft, node: Node, source: str, target: str, read_only: bool) -> Mount:
    if source.startswith(("/", ".", "~")):
        return Mount("bind", _host_path(draft, source), _target(node, target), read_only, create=True)
    return Mount("volume", _volume(draft, node, source), _target(node, target), read_only)


def _volume(draft: Draft, node: Node, name: str) -> str:
    """The engine's name of a declared volume."""
    declared = draft.context.volumes
    if name in declared:
        return declared[name]
    if not _VOLUME_NAME.fullmatch(name):
        raise node.error(f"{name} can't be a volume's name", f"a path relative to the file begins with ./ : ./{name}")
    hint = nearest(name, declared) or f"declare it under the top-level volumes:, or write ./{name} for a directory"
    raise node.error(f"no volume {name} is declared", hint)


def _host_path(draft: Draft, text: str) -> str:
    """An absolute host path; relative ones start at the file's directory."""
    return os.path.normpath(os.path.join(draft.context.directory, os.path.expanduser(text)))


def _target(node: Node, text: str) -> str:
    if not text.startswith("/"):
        raise node.error(f"the path inside the container must be absolute, not {text or 'empty'}")
    # two leading slashes are kept by normpath, for POSIX's sake
    path = "/" + posixpath.normpath(text).lstrip("/")
    if path == "/":
        raise node.error("nothing can be mounted on the container's root")
    return path


def _mode(node: Node, text: str) -> int:
    digits = text.removeprefix("0o")
    if not digits or len(digits) > 5 or set(digits) - set("01234567"):
        raise node.error(f'a mode is octal, not "{text}"', "for example 1777")
    return int(digits, 8)


def _long(draft: Draft, node: Mapping) -> Mount:
    known = ("type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs")
    values.known_keys(node, "a volume", known)
    kind_node, source_node, target_node = node.get("type"), node.get("source"), node.get("target")
    if target_node is None:
        raise node.error("a volume needs a target", "the path inside the container")
    kind = "volume"
    if kind_node is not None:
        kind = values.string(kind_node, "type")
        if kind in ("npipe", "cluster", "image"):
            raise kind_node.error(f"volumes of type {kind} are not supported yet", "bind, volume and tmpfs are")
        values.choice(kind_node, "type", ("bind", "volume", "tmpfs"))
    given = node.get("read_only")
    read_only = given is not None and values.boolean(given, "read_only", draft.context.warn_node)
    target = _target(target_node, values.word(target_node, "target"))
    _options(draft, node, kind)
    if kind == "tmpfs":
        return _long_tmpfs(node, target, read_only)
    source = "" if source_node is None else values.word(source_node, "source")
    if kind == "bind":
        if source_node is None:
            raise node.error("a bind needs a source", "a path on the host")
        return Mount(
            "bind",
            _host_path(draft, source),
            target,
            read_only,
            create=_creates(draft, node),
            propagation=_propagation(node),
        )
    name = _volume(draft, source_node, source) if source_node is not None else ""
    return Mount("volume", name, target, read_only)


def _creates(draft: Draft, node: Mapping) -> bool:
    """``bind.create_host_path``, true where nothing is said."""
    bind = node.get("bind")
    given = bind.get("create_host_path") if isinstance(bind, Mapping) else None
    return given is None or values.boolean(given, "create_host_path", draft.context.warn_node)


def _propagation(node: Mapping) -> str:
    """``bind.propagation``."""
    bind = node.get("bind")
    given = bind.get("propagation") if isinstance(bind, Mapping) else None
    if given is None:
        return ""
    word = values.string(given, "propagation")
    if word not in PROPAGATIONS:
        raise given.error(f'"{word}" is no propagation', ", ".join(PROPAGATIONS))
    return word


def _options(draft: Draft, node: Mapping, kind: str) -> None:
    """Check the options of each type."""
    bind, volume = node.get("bind"), node.get("volume")
    for name in ("bind", "volume", "tmpfs"):
        given = node.get(name)
        if given is not None and name != kind:
            raise given.error(f"{name} options on a volume of type {kind}", "they belong to their own type")
    if bind is not None:
        options = values.mapping(bind, "bind")
        values.known_keys(options, "bind", ("create_host_path", "selinux", "propagation"), ("recursive",))
    if volume is not None:
        options = values.mapping(volume, "volume")
        values.known_keys(options, "volume", ("nocopy",), ("subpath", "labels"))
        nocopy = options.get("nocopy")
        if nocopy is not None and values.boolean(nocopy, "nocopy", draft.context.warn_node):
            raise nocopy.error("nocopy is not supported yet", "leave it out")


def _long_tmpfs(node: Mapping, target: str, read_only: bool) -> Mount:
    mount = Mount("tmpfs", "", target, read_only)
    given = node.get("tmpfs")
    if given is None:
        return mount
    options = values.mapping(given, "tmpfs")
    values.known_keys(options, "tmpfs", ("size", "mode"))
    if (size := options.get("size")) is not None:
        mount = replace(mount, size=values.size(size, "size"))
    if (mode := options.get("mode")) is not None:
        mount = replace(mount, mode=_mode(mode, values.string(mode, "mode")))
    return mount
