"""The pages of events, disk usage and prune, start trace and doctor."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from pyctr_engine.engine import ProgressSink
from pyctr_engine.errors import StoreError
from pyctr_engine.model.event import Event
from pyctr_engine.model.tidy import Pruned, PruneRequest
from pyctr_tui.pages.disk import command_lines, request
from pyctr_tui.pages.doctor import DoctorPane
from pyctr_tui.store import Store
from tests.tui.fake import START, FakeEngine
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS
from tests.tui.snapshot import check

SIZES = ((80, 24), (120, 36), (200, 60))


async def shown(it: Running, *texts: str) -> None:
    await it.until(lambda: all(text in it.text() for text in texts))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    ("key", "name", "text"),
    [("v", "events", "crawler-index-1"), ("P", "disk", "CAN GO"), ("F", "trace", "exec"), ("H", "doctor", "kernel")],
)
async def test_pictures(key: str, name: str, text: str, width: int, height: int) -> None:
    async with running(width, height) as it:
        await it.press(key)
        await shown(it, text)
        await it.until(lambda: key != "P" or "gives back" in it.text() or (width < 100 and "342M" not in it.text()))
        await it.settle()
        check(it.picture(), f"{name}-{width}x{height}")


# -- events ---------------------------------------------------------------------------------------------------------


async def test_events_come_from_the_log_and_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with running() as it:
        await it.press("v")
        await shown(it, "brave-otter", "killed by the kernel: out of memory")
        event = Event(START + 1, "container", "pause", it.engine._find("brave-otter").id, "brave-otter")
        from pyctr_tui.feed import Happened
        from pyctr_tui.view import event_view

        it.app.home.deliver([Happened((event_view(event),))])
        await shown(it, "Events · 8", "paused")
        await it.press("slash", *"oom", "enter")
        await shown(it, "Events · 8 · 1 shown · /oom")
        assert any(re.search(r"day, \d\d \w+ 20\d\d ─", line) for line in it.lines())
        await it.press("w", "enter")
        await shown(it, "1 events written to events.txt")
        assert "container oom crawler-index-1" in (tmp_path / "events.txt").read_text()
        await it.press("w", "enter")
        await shown(it, "can't write events.txt: file exists")
        monkeypatch.setenv("HOME", str(tmp_path))
        await it.press("w", "ctrl+u", "tilde", "slash", *"mine", "enter")
        await shown(it, "1 events written to ~/mine")
        assert (tmp_path / "mine").exists()
        await it.press("i")
        await shown(it, "limit   536870912")
        await it.press("escape", "enter")
        assert it.app.home.page is None
        assert it.app.home.containers.container is not None
        assert it.app.home.containers.container.name == "crawler-index-1"


async def test_what_an_event_was_about_may_be_gone() -> None:
    engine = FakeEngine()
    engine._past.append(Event(START - 1, "container", "destroy", "f" * 64, "\x1b[2Jgone"))
    async with running(engine=engine) as it:
        await it.press("v")
        await shown(it, "␛[2Jgone")
        await it.press("enter")
        await shown(it, "␛[2Jgone is gone")


# -- disk -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        ({"images"}, "image prune -f"),
        ({"images", "all_images", "containers"}, "system prune -f -a"),
        ({"images", "containers", "volumes"}, "system prune -f --volumes"),
        ({"volumes", "all_volumes"}, "volume prune -f -a"),
        ({"containers", "volumes"}, "container prune -f && pyctr-tui volume prune -f"),
    ],
)
def test_the_command_line_does_the_same(chosen: set[str], line: str) -> None:
    assert command_lines(chosen) == line


def test_nothing_that_is_named_goes_unasked() -> None:
    from pyctr_tui.pages.disk import UnusedPane

    assert request(UnusedPane(Store(lambda: START)).chosen, dry_run=False) == PruneRequest(images=True)


async def test_pruning_says_what_goes_and_how_many_bytes_come_back() -> None:
    async with running() as it:
        await it.press("P")
        await it.press("tab", "space")
        await shown(it, "gives back 31 MiB", "container shop-migrate-1")
        await it.press("P")
        await shown(
            it, "Prune 31 MiB?", "Lost: their changed files and logs.", "31 MiB come back.", "system prune -f"
        )
        dialog = "\n".join(line[36:84] for line in it.lines())
        assert "container shop-migrate-1" in dialog
        assert "container crawler-index-1" in dialog
        await it.press("n")
        assert not it.engine.calls
        await it.press("j", "j", "space")
        await shown(it, "gives back 372 MiB")
        await it.press("P", "y")
        await it.until(lambda: bool(it.engine.calls))
        assert it.engine.calls[0] == ("prune", PruneRequest(containers=True, images=True, all_images=True))
        await shown(it, "372 MiB came back")


class Held(FakeEngine):
    """Counts what would go only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[PruneRequest, threading.Event] = {}
        self.waiting: list[PruneRequest] = []
        self.broken = False

    def prune(
        self,
        request: PruneRequest,
        progress: ProgressSink | None = None,
        cancel: threading.Event | None = None,
    ) -> Pruned:
        if self.broken and request.dry_run:
            raise StoreError("the store is damaged")
        if request in self.held:
            self.waiting.append(request)
            self.held[request].wait(10)
        return super().prune(request, progress, cancel)


async def test_what_is_ticked_is_pruned_only_when_its_own_list_was_shown() -> None:
    first = PruneRequest(containers=True, images=True, dry_run=True)
    second = PruneRequest(containers=True, images=True, all_images=True, dry_run=True)
    engine = Held()
    async with running(engine=engine) as it:
        await it.press("P", "tab")
        await shown(it, "gives back")
        engine.held = {first: threading.Event(), second: threading.Event()}
        await it.pilot.press("space")
        await it.until(lambda: first in engine.waiting)
        await it.pilot.press("j", "j", "space")
        engine.held[first].set()
        await it.until(lambda: second in engine.waiting)
        await it.pilot.pause(0.1)
        await it.pilot.press("P")
        await shown(it, "still counting")
        assert it.app.screen is it.app.home
        engine.held[second].set()
        await shown(it, "gives back 372 MiB", "untagged: app:dev")


async def test_pruning_shows_what_goes_and_is_cancelled() -> None:
    async with running() as it:
        await it.press("P")
        await shown(it, "gives back")
        it.engine.hold.clear()
        await it.pilot.press("P", "y")
        await shown(it, "pruning", "removing images")
        await it.pilot.press("ctrl+x")
        await shown(it, "cancelled: pruning")


async def test_nothing_is_pruned_when_what_would_go_is_not_known() -> None:
    engine = Held()
    async with running(engine=engine) as it:
        await it.press("P", "tab")
        await shown(it, "gives back")
        engine.broken = True
        await it.press("space", "P")
        await shown(it, "the store is damaged")
        assert "gives back" not in it.text()
        assert it.app.screen is it.app.home


async def test_disk_that_cannot_be_read_is_told() -> None:
    engine = FakeEngine()
    engine.disk_usage = lambda: (_ for _ in ()).throw(StoreError("the store is damaged"))  # type: ignore[method-assign]
    async with running(engine=engine) as it:
        await it.press("P")
        await shown(it, "the store is damaged")


# -- trace and doctor -----------------------------------------------------------------------------------------------


def figures(it: Running, step: str) -> list[str]:
    """What stands in the columns of a step of the trace, without the bar."""
    line = next(line for line in it.lines() if line.startswith(f"│ {step} "))
    return re.findall(r"[\d.]+", line.removeprefix(f"│ {step} "))


async def test_a_trace_compares_with_other_starts_of_the_image() -> None:
    async with running() as it:
        await it.press("F")
        await shown(it, "Start of crawler-fetch-1", "clone into namespaces", "USUAL")
        assert figures(it, "clone into namespaces") == ["1.97", "1.99", "1.1"]
        assert figures(it, "exec") == ["0.40", "0.40", "6.3"]
        await it.press("escape", "G", "F")
        await shown(it, "Start of sleepy-finch", "clone into namespaces")
        assert figures(it, "exec")[0] == "0.40", "and of no other there is a start of its image"
        assert len(figures(it, "exec")) == 2


async def test_the_doctor_tells_the_worst_first_and_copies_the_remedy() -> None:
    async with running() as it:
        copied: list[str] = []
        it.app.copy_to_clipboard = copied.append  # type: ignore[method-assign,assignment]
        await it.press("H")
        await shown(it, "nftables", "1 missing", "1 with less", "2 well")
        text = it.text()
        assert text.index("nftables") < text.index("swap accounting") < text.index("kernel")
        await it.press("j", "y")
        assert copied == ["apt-get install nftables"]


async def test_a_filter_keeps_all_lines_of_a_finding() -> None:
    async with running(60, 40) as it:
        await it.press("H")
        await shown(it, "nftables", "swap accounting")
        pane = it.app.home.pane_of("doctor")
        assert isinstance(pane, DoctorPane)
        whole = [row for row in pane.items if row.finding is not None and "apt-get" in row.finding.cost]
        assert len(whole) > 1
        await it.press("slash", *"apt-get", "enter")
        assert pane.items == whole
        assert "swap accounting" not in it.text()
        await it.press("escape")
        await shown(it, "swap accounting")


async def test_a_host_that_cannot_be_examined_is_told() -> None:
    engine = FakeEngine()
    engine.doctor = lambda: (_ for _ in ()).throw(StoreError("/proc can't be read"))  # type: ignore[method-assign]
    async with running(engine=engine) as it:
        await it.press("H")
        await shown(it, "/proc can't be read")
        assert "examining" not in it.text()


async def test_the_store_is_checked_and_mended_after_asking() -> None:
    async with running() as it:
        await it.press("H", "s")
        await shown(it, "a file differs from its blob")
        await it.press("m")
        await shown(it, "Mend the store?", "layer 3f2a")
        await it.press("y")
        await shown(it, "1 thing mended")
        await it.until(lambda: "a file differs" not in it.text())
        await it.press("m")
        await shown(it, "there is nothing to mend")


async def test_hostile_events_stay_one_line_each() -> None:
    engine = FakeEngine()
    engine._past += [
        Event(START - 1 + n / 100, "container", "start", "f" * 64, text, {"image": text, "detail": text})
        for n, text in enumerate(CORPUS)
    ]
    async with running(engine=engine) as it:
        await it.press("v")
        await it.until(lambda: f"Events · {7 + len(CORPUS)}" in it.text())
        assert all(character.isprintable() for character in it.text().replace("\n", ""))
