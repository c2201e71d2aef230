"""Forms, confirmations and jobs as they were looked at."""

from __future__ import annotations

import pytest

from pyctr_engine.errors import RegistryError
from pyctr_engine.model.progress import Progress
from pyctr_tui.jobs import Job
from tests.tui.harness import Running, running
from tests.tui.snapshot import check

SIZES = ((80, 24), (120, 36), (200, 60))


async def busy(it: Running) -> None:
    """Jobs in all states, one of them half way at a known rate."""
    await it.press("s")
    await it.until(lambda: "stopped" in it.text())
    it.engine.fail["pull"] = RegistryError("registry.example answers 503 Service Unavailable", "try again later")
    await it.press("2", "p", "enter")
    await it.until(lambda: "503" in it.text())
    await it.press("1")
    at = [0.0]
    it.app.jobs.ticks = lambda: at[0]

    def work(job: Job) -> None:
        job.report(Progress("a1b2c3d4e5f6", "pulled", 12 << 20, 12 << 20, True))
        for second, done in enumerate((0, 30, 60)):
            at[0] = second * 3.0
            job.report(Progress("6f2a91c0d3e4", "downloading", done << 20, 90 << 20))
            while "6f2a91c0d3e4" not in job.progress or job.done != (12 + done) << 20:
                assert not job.cancel.wait(0.01)
        job.cancel.wait(20)

    name = "registry.example:5000/shop/api:1.4"
    it.app.jobs.run(f"pulling {name}", work, "pulled", f"pull {name}", cancellable=True)
    await it.until(lambda: "71% · 10M/s" in it.text())


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_jobs(width: int, height: int) -> None:
    async with running(width, height) as it:
        await busy(it)
        check(it.picture(), f"footer-job-{width}x{height}")
        await it.press("J")
        check(it.picture(), f"jobs-{width}x{height}")
        if width == 120:
            await it.press("enter")
            check(it.picture(), "dialog-job")
            await it.press("escape", "q")
            check(it.picture(), "dialog-leaving")
        for job in it.app.jobs.running:
            job.cancel.set()


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("run", ("ctrl+n",)),
        ("pull", ("2", "p")),
        ("kill", ("K",)),
        ("remove-many", ("space", "space", "space", "d")),
        ("remove-images", ("2", "space", "space", "d")),
        ("copy-out", ("O",)),
    ],
)
async def test_dialogs(name: str, keys: tuple[str, ...]) -> None:
    async with running() as it:
        await it.press(*keys)
        check(it.picture(), f"dialog-{name}")


async def test_the_run_form_fits_a_small_terminal() -> None:
    async with running(80, 24) as it:
        await it.press("ctrl+n", *["tab"] * 11)
        assert "it is removed when it ends" in it.text()
        check(it.picture(), "dialog-run-80x24")


async def test_paper() -> None:
    async with running() as it:
        await it.press("t")
        await busy(it)
        await it.press("J")
        check(it.picture(), "jobs-paper")
        for job in it.app.jobs.running:
            job.cancel.set()


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_commit(width: int, height: int) -> None:
    async with running(width, height) as it:
        await it.press("C")
        await it.until(lambda: "38 MiB in 7 paths" in it.text())
        check(it.picture(), f"commit-{width}x{height}")
