"""How long it takes to open the layer explorer on images of 100,000 files, loaded into a store of the bench's."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator

from pyctr_engine.engine import Engine
from pyctr_engine.paths import Paths
from tests import leaks
from tests.bench.figures import Figure
from tests.bench.tui.terminal import Terminal

FILES = 100_000
TARGET = 1000


def explorer(quick: bool) -> Iterator[Figure]:
    """From the key to the first directory on the screen: at first, and again in other sessions."""
    count = FILES // 10 if quick else FILES
    # All in one layer; spread over ten, in the same directories; and all held once more by a layer on top.
    images = {"one": [range(count)], "ten": [range(at, count, 10) for at in range(10)], "twice": [range(count)] * 2}
    with tempfile.TemporaryDirectory(prefix="pyctr-bench-") as directory:
        paths = Paths(f"{directory}/state", f"{directory}/run")
        try:
            engine = Engine(paths)
            for name, layers in images.items():
                _write(f"{directory}/image.tar", name, layers)
                engine.load(f"{directory}/image.tar")
            engine.close()
            taken = {name: [_open(paths, name) for _ in range(2 if quick else 4)] for name in images}
        finally:
            leaks.settled(paths, leaks.held(paths))
    yield Figure(f"an image of {count:,} files opened, the first time", tuple(taken["one"][:1]), target=TARGET)
    yield Figure("and again, in new sessions", tuple(taken["one"][1:]), target=TARGET)
    yield Figure("with its files in ten layers, directories in all", tuple(taken["ten"]), target=TARGET)
    yield Figure("with a layer on top that holds them all again", tuple(taken["twice"]), target=TARGET)


def _write(path: str, name: str, layers: Iterable[Iterable[int]]) -> None:
    """An image as `docker save` writes it."""
    made = [_layer(files, str(number)) for number, files in enumerate(layers)]
    config = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in made]}}
    layer_names = [f"{number}/layer.tar" for number in range(len(made))]
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": layer_names}]
    files = {"config.json": json.dumps({"os": "linux", "architecture": "amd64", **config}).encode()}
    files |= {"manifest.json": json.dumps(manifest).encode(), **dict(zip(layer_names, made, strict=True))}
    with tarfile.open(path, "w") as tar:
        for file, data in files.items():
            _add(tar, file, data)


def _layer(files: Iterable[int], mark: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for number in files:
            _add(tar, f"srv/d{number // 1000:03d}/f{number}", f"{mark:>8}".encode())
    return data.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _open(paths: Paths, name: str) -> float:
    program = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")
    terminal = Terminal(("/usr/bin/env", f"PYCTR_STATE_DIR={paths.state}", f"PYCTR_RUN_DIR={paths.run}", program))
    try:
        terminal.wait(lambda: name in terminal.text())
        terminal.press(f"2/{name}")
        terminal.press("\r")
        time.sleep(1.0)
        began = terminal.press("f")
        return (
            terminal.wait(lambda: f"Layers of {name}" in terminal.text() and "srv" in terminal.text()) - began
        ) * 1e3
    finally:
        terminal.close()
