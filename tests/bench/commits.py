"""Commits and checkpoints of much in one file, and of many small files; what changed, asked for by API."""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Protocol

from pyctr_engine.model.spec import CommitRequest, ContainerRequest, ExecRequest
from tests.bench.figures import Figure, ratio
from tests.bench.peers import Peer, peers
from tests.bench.place import IMAGE, Place, to_the_end


class Effort(Protocol):
    """See `measures.Effort`."""

    @property
    def commits(self) -> int: ...


CASES = {
    "1 GB in one file": "dd if=/dev/urandom of=/big bs=1M count=1024 2>/dev/null",
    "20,000 small files": "for d in $(seq 200); do mkdir -p /many/$d; for f in $(seq 100); do "
    'echo "file $f of many in directory $d" > /many/$d/$f; done; done',
}
_TREE = "for d in $(seq 94); do mkdir -p /tree/$d; for f in $(seq 100); do echo $f > /tree/$d/$f; done; done"
_TARGET = 0.333
_LAZY = (
    "A commit writes the layer's blob; docker and podman unpack it too. Here the first start does, and what it then "
    "takes more is shown."
)


def commit(place: Place, effort: Effort) -> Iterator[Figure]:
    """``commit`` of running containers by all of us in turns, so that what disturbs one disturbs the others."""
    with tempfile.TemporaryDirectory(prefix="pyctr-peers-") as directory, peers(directory) as others:
        for case, script in CASES.items():
            ours = _written(place, script)
            theirs = {peer: _theirs(peer, script) for peer in others}
            os.sync()
            taken: dict[str, list[float]] = defaultdict(list)
            for _ in range(effort.commits):
                taken["pyctr-tui"].append(_commit(place, ours))
                taken["first start"].append(_timed(lambda: _run(place, "bench:1")))
                place.engine.remove_image("bench:1", force=True)
                for peer, id in theirs.items():
                    os.sync()
                    taken[peer.name].append(peer.time("commit", id, "bench:1"))
                    peer.call("rmi", "bench:1")
            mine = Figure(f"commit, {case}", tuple(taken["pyctr-tui"]))
            yield mine
            yield Figure("  and its first start", tuple(taken["first start"]), note=_LAZY)
            for peer, id in theirs.items():
                figure = Figure(f"  {peer.name} commit", tuple(taken[peer.name]))
                yield figure
                yield ratio(f"  to {peer.name}", mine, figure, _TARGET)
                peer.call("rm", "-f", id)
            yield from _checkpoints(place, ours)
            place.engine.remove(ours, force=True)


def _commit(place: Place, id: str) -> float:
    """Milliseconds of one commit, after what was written before is on the disk."""
    os.sync()
    return _timed(lambda: place.engine.commit(id, CommitRequest("bench:1")))


def _checkpoints(place: Place, id: str) -> Iterator[Figure]:
    """One of everything, one of nothing new, one of a container that doesn't run, and the way back; once each."""
    engine = place.engine
    yield Figure("  checkpoint, running, the first", (_timed(lambda: engine.checkpoint(id, "a")),))
    yield Figure("  checkpoint, running, nothing new", (_timed(lambda: engine.checkpoint(id, "b")),))
    engine.stop(id)
    yield Figure("  checkpoint, stopped", (_timed(lambda: engine.checkpoint(id, "c")),))
    yield Figure("  checkpoint restore, stopped", (_timed(lambda: engine.restore(id, "a")),))


def diff(place: Place, effort: Effort) -> Iterator[Figure]:
    """``diff`` of ten changes, by API, over the built-in image and a layer of 9,400 files."""
    base = _written(place, _TREE)
    place.engine.commit(base, CommitRequest("bench:diff"))
    place.engine.remove(base, force=True)
    id = _written(place, "for f in $(seq 5); do echo x > /tree/$f/$f; echo y > /tree/$f/new; done", "bench:diff")
    taken = [_timed(lambda: place.engine.changes(id)) for _ in range(effort.commits * 10)]
    yield Figure("diff by API, 10 changes over 9,400 files", tuple(taken), target=10)
    place.engine.remove(id, force=True)
    place.engine.remove_image("bench:diff")


def _written(place: Place, script: str, image: str = IMAGE) -> str:
    """A running container of ours that has done it; its id."""
    request = ContainerRequest(image, command=("sleep", "100000"), network="none", stop_grace=0.2)
    id = place.engine.start(place.engine.create(request).id).id
    to_the_end(place.engine.exec(id, ExecRequest(("sh", "-c", script))))
    return id


def _theirs(peer: Peer, script: str) -> str:
    id = peer.call("run", "-d", "--network", "none", "bb", "sleep", "100000").strip()
    peer.call("exec", id, "sh", "-c", script)
    return id


def _run(place: Place, image: str) -> None:
    request = ContainerRequest(image, command=("true",), network="none", auto_remove=True)
    _, session = place.engine.run(request)
    to_the_end(session)


def _timed(call: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
