"""Registries and networks that do it wrong: what passes is waited for; the rest is one sentence, nothing kept."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_engine.errors import Cancelled, EngineError, ImageFormatError, RegistryError
from pyctr_engine.images import partial
from pyctr_engine.images.store import ImageStore
from pyctr_engine.model.progress import Progress
from pyctr_engine.paths import Paths
from tests.engine.registry.conftest import Configure
from tests.engine.registry.publisher import Publisher, config_of, digest, files, manifest_of
from tests.engine.registry.servers import (
    Handler,
    Proxy,
    cuts,
    drips,
    ignores_ranges,
    proxy,
    redirects,
    resets,
    says,
    sends,
    stalls,
)

pytestmark = pytest.mark.root

BIG = files(a=os.urandom(6 << 20))
"""A layer that takes several reads; it doesn't compress."""

LAYER = rf"/blobs/{digest(BIG)}"


@pytest.fixture
def name(publisher: Publisher, faulty: Proxy) -> str:
    """An image with one big uncompressed layer, behind the proxy."""
    publisher.image("1", [BIG], compression="none")
    return f"{faulty.address}/{publisher.path}:1"


def left(store: ImageStore) -> dict[str, list[str]]:
    """What there is of images, layers and parts of blobs; nothing may lie half-done."""
    found = {
        "blobs": os.listdir(store.layout.blobs) if os.path.isdir(store.layout.blobs) else [],
        "layers": store.layers_on_disk.chains() + store.layers_on_disk.leftovers(),
        "partial": os.listdir(partial.directory(store.layout.directory))
        if os.path.isdir(partial.directory(store.layout.directory))
        else [],
        "images": [stored.id for stored in store.all()],
    }
    return {kind: names for kind, names in found.items() if names}


def whole(store: ImageStore, name: str) -> None:
    """The image is there and right, and nothing else is."""
    image = store.resolve(name)
    path = Path(store.layers_on_disk.directory, image.chain[0], "a")
    assert digest(BIG).startswith("sha256:")
    assert path.stat().st_size == 6 << 20
    assert [finding.level for finding in store.verify()] == ["ok"]
    assert "partial" not in left(store)


@pytest.mark.parametrize(
    "fault",
    [says(500), says(502), says(503, Retry_After="0"), says(429, Retry_After="0"), says(429), resets, cuts(200),
     cuts(0), stalls(200)],
    ids=["500", "502", "503", "429 now", "429", "reset", "cut", "cut at once", "stall"],
)  # fmt: skip
@pytest.mark.parametrize("what", ["/manifests/", LAYER])
def test_what_passes_is_tried_again(
    store: ImageStore, name: str, faulty: Proxy, what: str, fault: Callable[[Handler], bool]
) -> None:
    faulty.wrong("GET", what, fault, times=2)
    store.pull(name)
    whole(store, name)
    assert faulty.count("GET", what) >= 2


def test_a_cut_is_gone_on_with_by_range(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", LAYER, cuts(2_000_000), times=2)
    store.pull(name)
    ranges = [seen.headers.get("Range", "") for seen in faulty.requests("GET", LAYER)]
    assert ranges == ["", "bytes=2000000-", "bytes=4000000-"]
    whole(store, name)


def test_the_next_pull_takes_up_what_has_come(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", LAYER, cuts(3_000_000), times=1)
    faulty.wrong("GET", LAYER, says(500))
    with pytest.raises(RegistryError, match="500 Internal Server Error") as caught:
        store.pull(name)
    assert caught.value.hint == "try again: what has come is kept"
    assert [
        os.stat(f"{partial.directory(store.layout.directory)}/{part}").st_size for part in left(store)["partial"]
    ] == [3_000_000]
    assert "layers" not in left(store)
    faulty.faults.clear()
    faulty.seen.clear()
    store.pull(name)
    (again,) = faulty.requests("GET", LAYER)
    assert again.headers["Range"] == "bytes=3000000-"
    whole(store, name)


def test_a_part_that_was_damaged_since_is_fetched_anew(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", LAYER, cuts(3_000_000), times=1)
    faulty.wrong("GET", LAYER, says(500), times=3)
    with pytest.raises(RegistryError):
        store.pull(name)
    (part,) = left(store)["partial"]
    with open(f"{partial.directory(store.layout.directory)}/{part}", "r+b") as file:
        file.seek(1_000_000)
        file.write(bytes(100))
    store.pull(name)
    whole(store, name)


def test_a_registry_without_ranges(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", LAYER, cuts(3_000_000), times=1)
    faulty.wrong("GET", LAYER, ignores_ranges)
    store.pull(name)
    whole(store, name)


def test_parts_are_thrown_away_in_time(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", LAYER, cuts(1000), times=1)
    faulty.wrong("GET", LAYER, says(500))
    with pytest.raises(RegistryError):
        store.pull(name)
    partial.remove_idle(store.layout.directory)
    assert "partial" in left(store)
    (part,) = partial.paths(store.layout.directory)
    os.utime(part, (0, 0))
    with pytest.raises(RegistryError):
        store.pull(name)  # which fetches nothing, but looks
    assert "partial" not in left(store)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (sends(BIG[:-1] + b"?"), "sent other bytes, with the digest sha256:"),
        (sends(BIG[:-512]), f"sent {len(BIG) - 512} bytes instead of {len(BIG)}"),
        (sends(BIG + bytes(512)), f"sent {len(BIG) + 512} bytes instead of {len(BIG)}"),
        (drips(bytes(65536)), f"sent more than {len(BIG)} bytes|other bytes|the tar ends early|empty|is damaged"),
        (sends(gzip.compress(b"x")[:12] + b"garbage" * 1000), "instead of"),
        (says(404), "it is not there"),
        (says(416), f"sent less than {len(BIG)} bytes"),
        (says(400), "answers 400 Bad Request"),
        (redirects(lambda handler: handler.path), "redirects in a circle"),
        (redirects(lambda _handler: "ftp://127.0.0.1/x"), "redirects to nowhere"),
        (redirects(lambda _handler: ""), "redirects to nowhere"),
        (redirects(lambda _handler: "http://[x/"), "redirects to nowhere"),
        (redirects(lambda _handler: "http://127.0.0.1:99999/"), "redirects to nowhere"),
        (says(429, Retry_After="86400"), "wants no requests for 86400 seconds"),
    ],
)
def test_a_layer_that_is_wrong(
    store: ImageStore, name: str, faulty: Proxy, fault: Callable[[Handler], bool], message: str
) -> None:
    faulty.wrong("GET", LAYER, fault)
    with pytest.raises(EngineError, match=message):
        store.pull(name)
    assert not left(store).keys() - {"blobs"}, left(store)
    assert digest(BIG)[7:] not in left(store).get("blobs", [])
    faulty.faults.clear()
    store.pull(name)
    whole(store, name)


def test_a_registry_that_only_fails_is_given_up(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", "/manifests/", says(503))
    with pytest.raises(RegistryError, match=r"answers 503 Service Unavailable \(4 attempts\)"):
        store.pull(name)
    assert faulty.count("GET", "/manifests/") == 4


GARBAGE = {
    "nothing": b"",
    "noise": os.urandom(4096),
    "half a line": b"HTTP/1.1 200",
    "no headers' end": b"HTTP/1.1 200 OK\r\nX: y\r\n",
    "a long line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "a bad status": b"HTTP/1.1 999999 OK\r\n\r\n",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an endless chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 60 + b"\r\n",
    "a bad challenge": b'HTTP/1.1 401 No\r\nWWW-Authenticate: \xff\xfe=,,"\r\nContent-Length: 0\r\n\r\n',
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("which", GARBAGE)
def test_a_server_that_sends_garbage(store: ImageStore, which: str) -> None:
    """Whatever is asked, these bytes are the answer: one sentence, and no waiting for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    connection.recv(65536)
                    connection.sendall(GARBAGE[which])

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(EngineError) as caught:
            store.pull(f"127.0.0.1:{server.getsockname()[1]}/x:1")
        server.shutdown(socket.SHUT_RDWR)
    assert caught.value.message.isprintable()
    assert not left(store)


MANIFESTS = {
    "no JSON": (b"<html>", ImageFormatError, "is not JSON"),
    "a list": (b"[]", ImageFormatError, "is not a JSON object"),
    "deep": (b"[" * 100_000, ImageFormatError, "is not JSON"),
    "empty": (b"{}", ImageFormatError, "is no image|unsupported"),
    "huge": (b" " * ((4 << 20) + 1), RegistryError, "larger than 4096 KiB"),
    "both": (b'{"schemaVersion":2,"manifests":[],"layers":[]}', ImageFormatError, "both an index and an image's"),
    "schema 1": (b'{"schemaVersion":1,"fsLayers":[]}', ImageFormatError, "Docker's schema 1"),
    "no layers": (
        json.dumps(manifest_of(config_of([]), [])).encode(), ImageFormatError, "has no layers"),
    "no platform": (b'{"schemaVersion":2,"manifests":[]}', EngineError, "is not there for linux/"),
    "not a list": (b'{"schemaVersion":2,"manifests":5}', EngineError, "names no manifests|must be a list"),
    "traversal": (
        json.dumps(manifest_of(b"x", [b"y"])).replace("sha256:", "sha256:../").encode(), ImageFormatError,
        "unsupported digest"),
    "negative": (
        json.dumps(manifest_of(b"x", [b"y"])).replace('"size": 1', '"size": -1').encode(), ImageFormatError,
        "not negative"),
}  # fmt: skip


@pytest.mark.parametrize("which", MANIFESTS)
def test_a_manifest_that_is_wrong(store: ImageStore, name: str, faulty: Proxy, which: str) -> None:
    data, error, message = MANIFESTS[which]
    kind = "application/octet-stream"
    faulty.wrong("GET", "/manifests/", sends(data, Docker_Content_Digest=digest(data), Content_Type=kind))
    with pytest.raises(error, match=message):
        store.pull(name)
    assert not left(store)


def test_a_manifest_with_another_digest(store: ImageStore, name: str, faulty: Proxy, publisher: Publisher) -> None:
    other = json.dumps(manifest_of(b"x", [b"y"])).encode()
    faulty.wrong("GET", "/manifests/1$", sends(other))
    faulty.wrong("GET", "/manifests/sha256:", lambda handler: handler.answer(200, {}, other) or True)
    with pytest.raises(RegistryError, match="sent a wrong manifest"):
        store.pull(name)
    with pytest.raises(RegistryError, match="sent a wrong manifest"):
        store.pull(f"{faulty.address}/{publisher.path}@{digest(b'z')}")
    assert not left(store)


def test_a_configuration_that_is_wrong(store: ImageStore, name: str, faulty: Proxy) -> None:
    faulty.wrong("GET", f"/blobs/{digest(config_of([BIG]))}", sends(config_of([b"another layer"])))
    with pytest.raises(RegistryError, match="sent a wrong configuration"):
        store.pull(name)
    assert not left(store)


def test_a_layer_that_is_not_what_the_configuration_says(store: ImageStore, publisher: Publisher) -> None:
    config, blob = publisher.blob(config_of([files(a=b"x")])), publisher.blob(gzip.compress(files(a=b"y"), mtime=0))
    publisher.manifest("1", manifest_of(config, [blob]))
    with pytest.raises(ImageFormatError, match="a layer is not what its image says"):
        store.pull(f"{publisher.address}/{publisher.path}:1")
    assert not left(store)


def test_gzip_garbage(store: ImageStore, publisher: Publisher) -> None:
    blob = bytearray(gzip.compress(BIG, 1, mtime=0))
    blob[3_000_000:3_000_100] = bytes(100)
    publisher.image("1", [BIG], blobs=[bytes(blob)])
    with pytest.raises(ImageFormatError):
        store.pull(f"{publisher.address}/{publisher.path}:1")
    assert not left(store)


def test_the_first_fault_of_several_layers_is_told(store: ImageStore, publisher: Publisher, faulty: Proxy) -> None:
    layers = [files(a=os.urandom(1 << 20)) for _ in range(6)]
    publisher.image("1", layers, compression="none")
    faulty.wrong("GET", f"/blobs/{digest(layers[3])}", sends(layers[2][:-1] + b"?"))
    with pytest.raises(RegistryError, match=f"blob {digest(layers[3])[:19]} .*sent other bytes"):
        store.pull(f"{faulty.address}/{publisher.path}:1")
    assert "images" not in left(store)
    faulty.faults.clear()
    store.pull(f"{faulty.address}/{publisher.path}:1")
    assert [finding.level for finding in store.verify()] == ["ok"]


@pytest.mark.parametrize("where", ["/v2/$", "/manifests/", LAYER])
def test_a_pull_can_be_cancelled_anywhere(
    store: ImageStore, name: str, faulty: Proxy, configure: Configure, where: str
) -> None:
    configure("")
    Path(os.environ["PYCTR_REGISTRIES"]).write_text("timeout = 60\n")
    faulty.wrong("GET", where, stalls(2_000_000))
    cancel = threading.Event()
    waiting = threading.Thread(target=_cancel_when, args=(faulty, where, cancel))
    waiting.start()
    with pytest.raises(Cancelled, match=f"the pull of {name} was cancelled"):
        store.pull(name, cancel=cancel)
    waiting.join()
    assert not left(store).keys() & {"images", "layers"}
    faulty.over.set()
    faulty.faults.clear()
    store.pull(name)
    whole(store, name)


def _cancel_when(faulty: Proxy, where: str, cancel: threading.Event) -> None:
    while not faulty.count("GET", where):
        time.sleep(0.01)
    time.sleep(0.05)
    cancel.set()


def test_an_interrupt_ends_a_pull(store: ImageStore, name: str, faulty: Proxy) -> None:
    def interrupt(step: Progress) -> None:
        if step.text == "downloading" and step.done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(name, progress=interrupt)
    assert not left(store).keys() & {"images", "layers"}
    store.pull(name)
    whole(store, name)


def test_who_reads_of_progress_may_go(paths: Paths, name: str) -> None:
    """`pyctr-tui pull … | head -1` is no error to tell of."""
    program = [sys.executable, "-m", "pyctr_tui.cli.main", "--state-dir", paths.state, "--run-dir", paths.run]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = subprocess.run([*program, "pull", name], stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_program_that_is_ended_leaves_nothing_half_done(
    paths: Paths, store: ImageStore, name: str, faulty: Proxy, number: signal.Signals
) -> None:
    """Ctrl-C goes to all of a terminal's processes; it ends a pull that waits for the network at once."""
    Path(os.environ["PYCTR_REGISTRIES"]).write_text("timeout = 60\n")
    faulty.wrong("GET", LAYER, stalls(3_000_000), times=1)
    program = [sys.executable, "-m", "pyctr_tui.cli.main", "--state-dir", paths.state, "--run-dir", paths.run]
    process = subprocess.Popen(
        [*program, "pull", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's `&` ignores it
    )
    while not os.path.isdir(partial.directory(store.layout.directory)) or not any(
        entry.stat().st_size == 3_000_000 for entry in os.scandir(partial.directory(store.layout.directory))
    ):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, err = process.communicate()
    assert err == ""
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "images" not in left(store)
    if number == signal.SIGINT:
        assert "layers" not in left(store)
    faulty.seen.clear()
    store.pull(name)
    assert [seen.headers["Range"] for seen in faulty.requests("GET", LAYER)] == ["bytes=3000000-"]
    store.remove(name)  # which sweeps what a killed process left
    assert not left(store)
    store.pull(name)
    whole(store, name)


def test_two_pulls_at_once_fetch_once(paths: Paths, name: str, faulty: Proxy) -> None:
    stores = [ImageStore(paths) for _ in range(3)]
    threads = [threading.Thread(target=store.pull, args=(name,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faulty.count("GET", LAYER) == 1
    whole(stores[0], name)


def test_a_mirror_that_breaks_off_is_replaced(
    store: ImageStore, name: str, faulty: Proxy, publisher: Publisher, configure: Configure
) -> None:
    with proxy(publisher.address) as second:
        first, other = f"http://{faulty.address}", f"http://{second.address}"
        configure(f'[registry."registry.example"]\nmirrors = ["{first}", "{other}"]\nblocked = true')
        faulty.wrong("GET", LAYER, cuts(2_500_000), times=1)
        faulty.wrong("GET", LAYER, says(404))
        pulled = f"registry.example/{publisher.path}:1"
        store.pull(pulled)
        assert [seen.headers["Range"] for seen in second.requests("GET", LAYER)] == ["bytes=2500000-"]
        whole(store, pulled)
