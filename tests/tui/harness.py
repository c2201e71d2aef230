"""Running the interface on the made-up engine, without a terminal and without waiting for clocks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from textual.pilot import Pilot

from pyctr_engine.model.event import Event
from pyctr_tui.application import Application
from pyctr_tui.feed import Feed, Happened, Known
from pyctr_tui.palette import Depth
from pyctr_tui.screenshot import svg
from pyctr_tui.view import event_view
from tests.tui.fake import START, FakeEngine, prefill

PATIENCE = 10.0
"""Seconds until something that has to come is given up: no test waits so long unless it fails."""


class StillFeed(Feed):
    """A feed that reads when it is told to, so that a test sees the same thing every time."""

    def refresh(self, images: bool = False, then: Callable[[], object] | None = None) -> None:
        if images:
            self._images_due = True
        if then is not None:
            then()

    def start(self) -> None:
        pass


@dataclass
class Running:
    """An interface under test."""

    app: Application
    engine: FakeEngine
    pilot: Pilot[int | None]

    async def press(self, *keys: str) -> None:
        """Press keys and let what follows from them happen."""
        await self.pilot.press(*keys)
        await self.settle()

    async def read(self, images: bool = True) -> None:
        """Have the feed read the engine once and show it."""
        self.app.feed.refresh(images=images)
        self.app.home.deliver([self.app.feed.read()])
        await self.settle()

    async def settle(self) -> None:
        """Until the cursor rests and no question is unanswered."""
        await self.until(lambda: self.app.home.selection._timer is None and self.idle)
        for _ in range(3):  # an answer goes from its thread to the loop, to the screen, to the pane
            await self.pilot.pause()

    @property
    def idle(self) -> bool:
        """Whether no question is unanswered and no log waits to be shown."""
        details = self.app.details
        return not details._wanted and not details._busy and self.app.log_reader.is_idle

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that has to come."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"never came; on the screen:\n{self.text()}"
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    def lines(self) -> list[str]:
        """The screen as text."""
        strips = self.app.screen._compositor.render_strips()
        return [strip.text for strip in strips]

    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines())

    def picture(self) -> str:
        """The screen as SVG, dialogs over what is under them."""
        return svg(self.composed(), self.app.size.width)

    def screen_picture(self) -> str:
        """The uppermost screen alone as SVG, for those that cover all."""
        return svg([list(strip) for strip in self.app.screen._compositor.render_strips()], self.app.size.width)

    def composed(self) -> list[list[object]]:
        """The lines of the screen with the dialog in front."""
        app = self.app
        lines = [list(strip) for strip in app.home._compositor.render_strips()]
        if app.screen is app.home:
            return lines  # type: ignore[return-value]
        from textual.strip import Strip

        region = app.screen.pane.region  # type: ignore[attr-defined]
        over = app.screen._compositor.render_strips()
        for y in range(region.y, region.bottom):
            under, pane = Strip(lines[y]), over[y].crop(region.x, region.right)
            lines[y] = list(Strip.join([under.crop(0, region.x), pane, under.crop(region.right)]))
        return lines  # type: ignore[return-value]


@asynccontextmanager
async def running(
    width: int = 120,
    height: int = 36,
    depth: Depth = "true",
    ascii_only: bool = False,
    engine: FakeEngine | None = None,
    past: bool = True,
) -> AsyncIterator[Running]:
    """An interface that has read the engine twice (so that there are rates) and its past."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    engine = engine if engine is not None else FakeEngine()
    feed = StillFeed(engine, lambda: START)
    app = Application(engine, depth=depth, ascii_only=ascii_only, clock=lambda: START, feed=feed)
    async with app.run_test(size=(width, height)) as pilot:
        under_test = Running(app, engine, pilot)
        if past:
            prefill(app.store, engine)
            app.home.deliver([Known(engine.host()), Happened(tuple(event_view(event) for event in engine._past))])
        app.home.deliver([feed.read(), feed.read()])
        await under_test.settle()
        await asyncio.sleep(0)
        try:
            yield under_test
        finally:
            app.leave()


def happened(engine: FakeEngine, action: str, name: str) -> Event:
    """An event of a container, as the engine would tell it."""
    container = engine._find(name)
    return Event(START, "container", action, container.id, container.name)
