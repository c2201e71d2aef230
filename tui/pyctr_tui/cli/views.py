"""Containers and images as rows under docker's field names; their keys are what programs may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_tui.cli import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyctr_engine.model.image import ImageSummary, LayerInfo
    from pyctr_engine.model.spec import Mount, Port
    from pyctr_engine.model.status import Container
    from pyctr_tui.cli.output import Row

COMMAND_WIDTH = 20
CREATED_BY_WIDTH = 45


def short(id: str) -> str:
    """The first twelve digits of an id or digest."""
    return id.removeprefix("sha256:")[:12]


def container_row(container: Container, now: float, *, full: bool = False, ascii: bool = False) -> Row:
    """A container for `ps`. ``now`` in seconds since the epoch; ``full``: nothing is shortened."""
    spec, status = container.spec, container.status
    command = " ".join(spec.argv)
    return {
        "ID": container.id if full else short(container.id),
        "Names": container.name,
        "Image": spec.image,
        "Command": f'"{command if full else cut(command, COMMAND_WIDTH, ascii)}"',
        "CreatedAt": text.date(spec.created),
        "RunningFor": text.ago(spec.created, now),
        "Ports": ", ".join(map(port, container.ports)),
        "State": str(status.state),
        "Status": status_text(container, now),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(spec.labels.items())),
        "Mounts": ",".join(_mount_name(mount) for mount in spec.mounts),
        "Networks": spec.request.network,
        "Pid": status.pid,
        "ExitCode": status.exit_code,
        "Health": status.health,
        "RestartCount": status.restart_count,
        "Stack": container.stack,
        "Service": container.service,
    }


def status_text(container: Container, now: float) -> str:
    """``Up 3 hours``, ``Exited (137) 5 minutes ago``: docker's words."""
    status = container.status
    since_start = text.duration(now - status.started_at)
    code = status.exit_code or 0
    match status.state.value:
        case "running":
            return f"Up {since_start}{_health_text(status.health)}"
        case "paused":
            return f"Up {since_start} (Paused)"
        case "restarting":
            return f"Restarting ({code}) {text.ago(status.finished_at, now)}"
        case "exited":
            why = ", out of memory" if status.oom_killed else ""
            return f"Exited ({code}{why}) {text.ago(status.finished_at, now)}"
        case other:
            return other.capitalize()


def _health_text(health: str) -> str:
    """docker's words in brackets; nothing without checks."""
    return f" ({'health: starting' if health == 'starting' else health})" if health else ""


def port(port: Port) -> str:
    """``0.0.0.0:8080->80/tcp``, or ``80/tcp`` when it is not published."""
    inside = f"{port.container_port}/{port.protocol}"
    return f"{address(port)}->{inside}" if port.host_port else inside


def address(port: Port) -> str:
    """Where a published port is on the host: ``127.0.0.1:8080``."""
    host = port.host_ip or "0.0.0.0"
    return f"[{host}]:{port.host_port}" if ":" in host else f"{host}:{port.host_port}"


def image_rows(image: ImageSummary, now: float, *, full: bool = False) -> Iterator[Row]:
    """An image for `images`: a row for each of its names, or one without."""
    for name in image.names or ("",):
        bare = name.partition("@")[0]
        repository, _, tag = bare.rpartition(":")
        if not repository or "/" in tag:  # pulled by its digest: what looked like a tag is the host's port
            repository, tag = bare, ""
        yield {
            "Repository": repository or "<none>",
            "Tag": tag or "<none>",
            "ID": image.id if full else short(image.id),
            "CreatedSince": text.ago(image.created, now),
            "CreatedAt": text.date(image.created),
            "Size": text.size(image.size),
            "Digest": image.digest,
            "Containers": len(image.used_by),
            "Layers": image.layers,
        }


def layer_row(layer: LayerInfo, now: float, *, full: bool = False, ascii: bool = False) -> Row:
    """A step of an image's history, for `history` and `layers`."""
    identity = layer.chain_id or "<missing>"
    return {
        "ID": identity if full else (short(identity) if layer.chain_id else identity),
        "CreatedAt": text.date(layer.created),
        "CreatedSince": text.ago(layer.created, now),
        "CreatedBy": layer.created_by if full else cut(layer.created_by, CREATED_BY_WIDTH, ascii),
        "Size": text.size(layer.size),
        "BlobSize": text.size(layer.blob_size),
        "Comment": layer.comment,
        "Author": layer.author,
        "DiffID": layer.diff_id,
        "Digest": layer.digest,
        "ChainID": layer.chain_id,
        "Empty": layer.empty,
        "Layer": layer.number or "",
        "Files": layer.files or "",
        "SharedWith": list(layer.shared_with),
    }


def cut(long: str, width: int, ascii: bool = False) -> str:
    """At most ``width`` characters, the last of them a sign that there is more."""
    if len(long) <= width:
        return long
    return long[: width - 2] + ".." if ascii else long[: width - 1] + "…"


def select(containers: Sequence[Container], filters: Sequence[str]) -> list[Container]:
    """The containers that docker's ``--filter`` keeps: of each key one value, of all keys, has to fit."""
    wanted: dict[str, list[str]] = {}
    for given in filters:
        key, equals, value = given.partition("=")
        if not equals or key not in _FILTERS:
            from pyctr_tui.cli.options import UsageError

            raise UsageError(f"--filter: {given!r} is unknown", "filters: " + ", ".join(f"{k}=…" for k in _FILTERS))
        wanted.setdefault(key, []).append(value)
    return [c for c in containers if all(any(_FILTERS[key](c, v) for v in values) for key, values in wanted.items())]


def _has_label(container: Container, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    labels = container.spec.labels
    return key in labels and (not equals or labels[key] == wanted)


def _has_image(container: Container, value: str) -> bool:
    spec = container.spec
    return value in (spec.image, spec.image.rpartition(":")[0], spec.image_id, short(spec.image_id))


_FILTERS: dict[str, Callable[[Container, str], bool]] = {
    "id": lambda c, v: c.id.startswith(v),
    "name": lambda c, v: v in c.name,
    "status": lambda c, v: str(c.state) == v,
    "exited": lambda c, v: not c.state.is_alive and str(c.status.exit_code) == v,
    "label": _has_label,
    "health": lambda c, v: (c.status.health or "none") == v,
    "ancestor": _has_image,
    "network": lambda c, v: c.spec.request.network == v,
    "volume": lambda c, v: any(v in (m.source, m.target) for m in c.spec.mounts),
    "stack": lambda c, v: c.stack == v,
}


def _mount_name(mount: Mount) -> str:
    return mount.source or mount.target
