"""``system df``: docker's table, with what only this engine has: layers, blobs and logs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyctr_engine.model.tidy import ContainerUsage, DiskUsage, ImageUsage, LayerUsage, Usage, VolumeUsage
from pyctr_tui.cli import output, text, views
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Grammar, Option

_GRAMMAR = Grammar(
    "system df",
    "",
    "Show what takes room on the disk.",
    Option("-v, --verbose", "Every image, layer, container and volume"),
    output.LIST_FORMAT,
    note="Sizes are bytes allocated on the disk, each inode once. Images are their layers (unpacked) and their blobs "
    "(as they came): these two lines are parts of the first. Containers are without their logs.",
)
_COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_VERBOSE = {
    "Images": ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"),
    "Containers": ("ID", "Image", "Command", "LocalVolumes", "Size", "Logs", "RunningFor", "Status", "Names"),
    "Volumes": ("Name", "Links", "Size"),
    "Layers": ("ChainID", "Entries", "Size", "Images"),
}
_TITLES = {"Volumes": "Local Volumes"}


def df(call: Call, words: Sequence[str]) -> int:
    """``system df``."""
    parsed = _GRAMMAR.parse(words)
    usage, format = call.engine.disk_usage(), parsed.value("format")
    if not parsed.flag("verbose"):
        output.rows(map(_total, usage.totals), format, _COLUMNS)
        return 0
    tables = _tables(usage, call.ascii, full=format not in ("", "table"))
    if format == "json":
        output.json_value(tables)
    elif format not in ("", "table"):
        output.rows([tables], format, ())
    else:
        for name, rows in tables.items():
            output.lines([f"{_TITLES.get(name, name)} space usage:", ""])
            output.rows(rows, "", _VERBOSE[name], "IMAGE ID" if name == "Images" else "CONTAINER ID")
            output.line("")
        output.line(f"Blobs and layers that nothing refers to: {text.size(usage.unreferenced)}")
    return 0


def _total(usage: Usage) -> output.Row:
    share = f" ({usage.reclaimable * 100 // usage.size}%)" if usage.size else ""
    return {
        "Type": usage.type,
        "TotalCount": usage.total,
        "Active": usage.active,
        "Size": text.size(usage.size),
        "Reclaimable": text.size(usage.reclaimable) + share,
        "SizeBytes": usage.size,
        "ReclaimableBytes": usage.reclaimable,
    }


def _tables(usage: DiskUsage, ascii: bool, full: bool) -> dict[str, list[output.Row]]:
    now = time.time()
    return {
        "Images": [row for image in usage.images for row in _image_rows(image, now, full)],
        "Containers": [_container(container, now, ascii, full) for container in usage.containers],
        "Volumes": [_volume(volume) for volume in usage.volumes],
        "Layers": [_layer(layer, full) for layer in usage.layers],
    }


def _image_rows(image: ImageUsage, now: float, full: bool) -> list[output.Row]:
    """A row for each of its names, or one without."""
    return [
        {
            "Repository": name.rpartition(":")[0] or "<none>",
            "Tag": name.rpartition(":")[2] or "<none>",
            "ID": image.id if full else views.short(image.id),
            "CreatedSince": text.ago(image.created, now),
            "Size": text.size(image.size),
            "SharedSize": text.size(image.shared),
            "UniqueSize": text.size(image.unique),
            "Containers": image.containers,
            "SizeBytes": image.size,
            "SharedBytes": image.shared,
            "UniqueBytes": image.unique,
            "LayersBytes": image.layers,
            "BlobsBytes": image.blobs,
        }
        for name in image.names or ("",)
    ]


def _container(container: ContainerUsage, now: float, ascii: bool, full: bool) -> output.Row:
    command = container.command if full else views.cut(container.command, views.COMMAND_WIDTH, ascii)
    return {
        "ID": container.id if full else views.short(container.id),
        "Image": container.image,
        "Command": f'"{command}"',
        "LocalVolumes": container.volumes,
        "Size": text.size(container.size),
        "Logs": text.size(container.logs),
        "RunningFor": text.ago(container.created, now),
        "Status": "Up" if container.is_alive else "Not running",
        "Names": container.name,
        "SizeBytes": container.size,
        "LogsBytes": container.logs,
    }


def _volume(volume: VolumeUsage) -> output.Row:
    return {
        "Name": volume.name,
        "Links": len(volume.containers),
        "Size": text.size(volume.size),
        "SizeBytes": volume.size,
        "UsedBy": list(volume.containers),
    }


def _layer(layer: LayerUsage, full: bool) -> output.Row:
    return {
        "ChainID": layer.chain_id if full else views.short(layer.chain_id),
        "Entries": layer.entries,
        "Size": text.size(layer.size),
        "Images": list(layer.images) if full else len(layer.images),
        "SizeBytes": layer.size,
    }
