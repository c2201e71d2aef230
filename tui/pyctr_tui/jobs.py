"""What the engine is doing for the user: each call a job in a thread, with its command line, progress and end.

Jobs are the command log: the newest hundreds stay, with what came of them. One that can be cancelled is told so by
its `threading.Event` (for calls that take one) and by `Cancelled` out of its progress sink (for those that don't).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pyctr_engine.errors import Cancelled, EngineError
from pyctr_tui.figures import left, percent, size
from pyctr_tui.glyphs import ELLIPSIS
from pyctr_tui.safe_text import safe, safe_error
from pyctr_tui.trouble import told

if TYPE_CHECKING:
    from pyctr_engine.model.progress import Progress
    from pyctr_tui.application import Application

JobState = Literal["running", "done", "failed", "cancelled"]
KEPT = 500
"""Jobs in the log."""
TOLD_EVERY = 0.1
"""Seconds between two looks at a job's progress: engines tell it thousands of times a second."""
WINDOW = 5.0
"""Seconds over which a rate is taken."""
ELSEWHERE = "! "
"""What a job's command line begins with when it is the host's, and not this program's."""
SETTLED = 0.5
"""Seconds after which a rate means something."""


class Job:
    """One call. All but `cancel` and `report` is read and changed on the interface's thread.

    Attributes:
        title: What is being done, for people: ``pulling nginx:1.27``.
        cli: The command line that does the same, without the program's name; empty where there is none.
        state: How it stands.
        began, ended: Seconds since the epoch; ``ended`` is 0 while it runs.
        said: What came of it: the word for success, or the error with its hint.
        progress: The last step of each subject.
        cancellable: Whether cancelling it means anything.
        expected: Bytes in all, where the engine can't tell but somebody else could; 0 when unknown.
        again: Does the same once more; ``None`` where that makes no sense.
    """

    def __init__(self, title: str, cli: str, began: float, cancellable: bool, expected: int = 0) -> None:
        self.title = title
        self.cli = cli
        self.state: JobState = "running"
        self.began = began
        self.ended = 0.0
        self.said = ""
        self.progress: dict[str, Progress] = {}
        self.cancellable = cancellable
        self.expected = expected
        self.again: Callable[[], Job] | None = None
        self.cancel = threading.Event()
        self._furthest: dict[str, int] = {}
        self._samples: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()
        self._waiting: dict[str, Progress] = {}
        self._wake: Callable[[], None] = lambda: None

    def report(self, step: Progress) -> None:
        """The job's progress sink, for any thread.

        Raises Cancelled when the job has been cancelled, unless the step says that its subject is finished: what is
        done is done.
        """
        if self.cancel.is_set() and not step.finished:
            raise Cancelled("cancelled")
        with self._lock:
            first = not self._waiting
            self._waiting[step.subject] = step
        if first:
            self._wake()

    def take_steps(self, now: float) -> None:
        """Take what has been reported since; ``now`` is on a clock that only goes forward."""
        with self._lock:
            steps, self._waiting = self._waiting, {}
        for subject, step in steps.items():
            self.progress.pop(subject, None)  # the newest is the last
            self.progress[subject] = step
            done = step.total if step.finished and step.total else step.done
            self._furthest[subject] = max(done, self._furthest.get(subject, 0))
        self._samples.append((now, self.done))
        while len(self._samples) > 2 and self._samples[1][0] < now - WINDOW:
            self._samples.popleft()

    @property
    def command(self) -> str:
        """The command line in full; one of the host's (``! ls``) as it is, ours with the program's name."""
        if self.cli.startswith(ELSEWHERE):
            return self.cli.removeprefix(ELSEWHERE)
        return f"pyctr-tui {self.cli}" if self.cli else ""

    @property
    def done(self) -> int:
        """Bytes done, over all subjects; what is gone through twice (fetched, then unpacked) counts once."""
        return sum(self._furthest.values())

    @property
    def total(self) -> int:
        """Bytes to do, as far as is known; 0 when it isn't."""
        return sum(step.total for step in self.progress.values()) or self.expected

    @property
    def share(self) -> float | None:
        """How much of it is done, 0 to 1; ``None`` when the whole isn't known."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def rate(self) -> float:
        """Bytes a second lately; 0 when it can't be said."""
        if not self._samples:
            return 0.0
        (began, before), (now, done) = self._samples[0], self._samples[-1]
        return (done - before) / (now - began) if now - began >= SETTLED else 0.0

    @property
    def newest(self) -> Progress | None:
        """The step that was reported last, of those that aren't over if there is one."""
        steps = list(self.progress.values())
        return next((step for step in reversed(steps) if not step.finished), steps[-1] if steps else None)

    def figures(self) -> str:
        """How far it is: ``34% · 12M/s · 3 s left``; what it does where bytes say nothing; empty at the beginning."""
        step = self.newest
        if step is None:
            return ""
        share, rate = self.share, self.rate
        if not self.done or (share is not None and share >= 1.0):
            return safe(step.text)
        parts = [percent(share * 100) if share is not None else size(self.done)]
        if rate > 0:
            parts.append(f"{size(rate)}/s")
            if share is not None:
                parts.append(left((self.total - self.done) / rate))
        return " · ".join(parts)


Work = Callable[[Job], Any]


class Jobs:
    """Runs jobs and keeps what became of them. ``changed`` is called on the interface's thread.

    Attributes:
        ticks: A clock for rates, in seconds, that only goes forward.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.all: deque[Job] = deque(maxlen=KEPT)
        self.changed: Callable[[Job], None] = lambda job: None
        self.ticks: Callable[[], float] = time.monotonic

    @property
    def running(self) -> Iterator[Job]:
        """Those that are not over, the newest first."""
        return (job for job in reversed(self.all) if job.state == "running")

    def run(
        self,
        title: str,
        work: Work,
        done: str = "done",
        cli: str = "",
        then: Callable[[Any], object] | None = None,
        failed: Callable[[EngineError], object] | None = None,
        cancellable: bool = False,
        images: bool = False,
        again: bool = False,
        expected: int = 0,
    ) -> Job:
        """Do ``work`` in a thread.

        Args:
            work: Gets the job: its ``report`` is a progress sink, its ``cancel`` an event.
            done: The sentence for success; a string that ``work`` returns replaces it.
            then, failed: Called on the interface's thread with what came of it; ``failed`` also with Cancelled.
            images: Whether images may have changed.
            again: Whether the same can be done once more, without asking, when it is over.
            expected: See `Job`.
        """
        application = self._application
        job = Job(title, cli, application.clock(), cancellable, expected)
        job._wake = lambda: application.from_thread(self._reported, job)
        if again:
            job.again = lambda: self.run(title, work, done, cli, None, None, cancellable, images, True, expected)

        def body() -> None:
            end: tuple[JobState, str, Callable[[Any], object] | None, Any]
            try:
                value = work(job)
            except Cancelled as error:
                end = "cancelled", f"cancelled: {title}", failed, error
            except Exception as error:  # noqa: BLE001 - it is told
                trouble = told(error)
                end = "failed", safe_error(trouble), failed, trouble
            else:
                end = "done", safe(value) if isinstance(value, str) else done, then, value
            # Told when the lists show what came of it: the next key is for what is seen then.
            application.feed.refresh(images, lambda: application.from_thread(self._ended, job, *end))

        self.all.append(job)
        self.changed(job)
        threading.Thread(target=body, name=f"job {title}"[:60], daemon=True).start()
        return job

    def note(self, cli: str, said: str) -> None:
        """Keep a command line of something that was done at once."""
        now = self._application.clock()
        job = Job(said, cli, now, cancellable=False)
        job.state, job.ended, job.said = "done", now, said
        self.all.append(job)
        self.changed(job)

    def cancel(self, job: Job) -> str:
        """Cancel a job; what to say about it."""
        if job.state != "running":
            return "it is over"
        if not job.cancellable:
            return f"{job.title} can't be cancelled: it goes on until it is done"
        job.cancel.set()
        return f"cancelling: {job.title} {ELLIPSIS}"

    def _reported(self, job: Job) -> None:
        """Show the first step at once, and what follows after a while, together."""
        self._progressed(job)
        job._wake = lambda: self._application.from_thread(self._later, job)

    def _later(self, job: Job) -> None:
        self._application.home.set_timer(TOLD_EVERY, lambda: self._progressed(job))

    def _progressed(self, job: Job) -> None:
        if job.state == "running":
            job.take_steps(self.ticks())
            self.changed(job)

    def _ended(self, job: Job, state: JobState, said: str, after: Callable[[Any], object] | None, value: Any) -> None:
        self._application.catch_up()
        job.take_steps(self.ticks())
        job.state, job.said, job.ended = state, said, self._application.clock()
        self.changed(job)
        if after is not None:
            after(value)
