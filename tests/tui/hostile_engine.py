"""An engine in which everything that has a name, a text or a reason was named by a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pyctr_engine.errors import InvalidStack
from pyctr_engine.model.checkpoint import Checkpoint, Since
from pyctr_engine.model.explore import Directory, DirectoryEntry, Efficiency, FileDifference, LayerChange, TreeEntry
from pyctr_engine.model.explore import Waste as Wasted
from pyctr_engine.model.host import Finding, HostInfo
from pyctr_engine.model.network import Member, Network, NetworkUse
from pyctr_engine.model.past import PastProcess, PostMortem
from pyctr_engine.model.stack import Action, Stack, StackSummary
from pyctr_engine.model.tidy import ContainerUsage, DiskUsage, ImageUsage, Removal, RemovedVolume, Usage, VolumeUsage
from tests.tui.fake import START
from tests.tui.fake_explorer import FakeExplorer, state
from tests.tui.test_safe_text import HostileEngine


class HostileExplorer(FakeExplorer):
    """Layers whose paths, targets and contents are the stranger's."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text.replace("/", "_").replace("\0", "") or "x"

    def tree(self, ref: str, path: str = "/") -> Iterator[TreeEntry]:
        yield TreeEntry("/" + self.text, 1, state(0, "directory"))
        yield TreeEntry(f"/{self.text}/{self.text}", 1, state(5, "symlink", self.text))
        yield TreeEntry("/z" + self.text, 1, state(5, "file"))

    def changes(self, ref: str, number: int, path: str = "/") -> Iterator[LayerChange]:
        yield LayerChange("/" + self.text, number, "A", state(5, "symlink", self.text), 0)

    def versions(self, ref: str, path: str) -> list[LayerChange]:
        return [LayerChange("/" + self.text, 1, "A", state(5, "symlink", self.text), 0)]

    def efficiency(self, ref: str) -> Efficiency:
        return Efficiency(0.5, 10, 0.1, (Wasted("/" + self.text, 2, 1739),))

    def read(self, ref: str, path: str) -> Iterator[bytes]:
        yield self.text.encode(errors="surrogateescape" if not _wild(self.text) else "replace")

    def directory(self, ref: str, path: str = "/", most: int = 10_000) -> Directory:
        kinds = ("directory", "file", "symlink")
        entries = [
            DirectoryEntry(f"{at}{self.text}", state(1, kind, self.text))  # type: ignore[arg-type]
            for at, kind in enumerate(kinds)
        ]
        return Directory(path, tuple(entries), more=True)

    def compare(self, one: str, other: str, path: str = "/") -> Iterator[FileDifference]:
        yield FileDifference("/" + self.text, "C", ("contents",), state(10, "file"), state(12, "file"))

    def text_difference(self, one: str, other: str, path: str) -> list[str]:
        return [f"--- {self.text}", f"+{self.text}", f" {self.text}"]


def _wild(text: str) -> bool:
    return any("\ud800" <= character < "\udc80" or "\udcff" < character <= "\udfff" for character in text)


class AllHostile(HostileEngine):
    """As its base, for what the pages ask for too."""

    def __init__(self, text: str, logs: str) -> None:
        super().__init__(text, logs)
        self.explore = HostileExplorer(text)  # type: ignore[assignment]
        self._points[self.only] = [Checkpoint(text or "1", START, text, 5, "", True)]

    def host(self) -> HostInfo:
        return HostInfo(self.text, self.text, self.text)

    def volumes(self) -> list[dict[str, Any]]:
        return [
            {
                "name": self.text,
                "mountpoint": "/" + self.text,
                "created": START,
                "size": 5,
                "used_by": [self.text] * 2,
            }
        ]

    def networks(self) -> list[NetworkUse]:
        member = Member(self.only, self.text, "10.88.0.2", (self.text, self.text), (), True)
        return [NetworkUse(Network(self.text, self.text, "10.88.0.0/16", self.text), (member,))]

    def stacks(self) -> list[StackSummary]:
        return [StackSummary(self.text, f"/srv/{self.text}/compose.yaml", 1, 2)]

    def load_stack(self, path: str, name: str = "") -> Stack:
        return Stack(self.text, path, (), warnings=(self.text,))

    def check_stack(self, path: str, text: str, name: str = "") -> Stack:
        raise InvalidStack(f"{self.text}: {self.text}", self.text)

    def plan(self, stack: Stack) -> list[Action]:
        return [Action(kind, self.text, self.text, self.text) for kind in ("keep", "recreate", "create")]

    def doctor(self) -> list[Finding]:
        return [Finding(state, self.text, self.text, self.text) for state in ("ok", "warn", "fail")]

    check = doctor

    def start_trace(self, ref: str) -> tuple[tuple[str, float, float], ...]:
        return ((self.text, 0.0, 0.4), (self.text, 0.4, 1.1))

    def since(self, ref: str, checkpoint: str) -> Since:
        return Since(1, 0, 0, 5, (self.text, "/" + self.text))

    def removal(self, containers: Any = (), images: Any = ()) -> Removal:
        usage = ContainerUsage(self.only, self.text, self.text, self.text, START, True, 1, 5, 5)
        return Removal((usage,), (RemovedVolume(self.text, 5, False, (self.text,)),), (), 10)

    def disk_usage(self) -> DiskUsage:
        image = ImageUsage(self._images[0].id, (self.text,), START, 5, 1, 4, 5, 1, 0)
        container = ContainerUsage(self.only, self.text, self.text, self.text, START, False, 1, 5, 5)
        volume = VolumeUsage(self.text, 5, (self.text,))
        return DiskUsage((Usage("Images", 1, 0, 5, 5),), (image,), (), (container,), (volume,), 5)

    def why(self, ref: str) -> PostMortem:
        found = super().why(ref)
        process = PastProcess(1, 0, 1.0, 5, self.text)
        line = replace(found.logs[0], text=self.text) if hasattr(found.logs[0], "text") else found.logs[0]
        return replace(found, verdict=self.text, details=(self.text,), logs=(line,), processes=(process,))
