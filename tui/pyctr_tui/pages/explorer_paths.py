"""What the explorer tells of one path: what is in it, how a layer changed it, its versions; and taking it out."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.explorer import look
from pyctr_tui.figures import exact_size
from pyctr_tui.safe_text import safe

if TYPE_CHECKING:
    from pyctr_tui.details import Answer
    from pyctr_tui.explorer.tree import Node
    from pyctr_tui.jobs import Job
    from pyctr_tui.pages.explorer import ExplorerPage

DONE = {"A": "added", "C": "changed", "D": "deleted"}


class Paths:
    """Shows paths of what a page explores in its viewer."""

    def __init__(self, page: ExplorerPage) -> None:
        self._page = page

    def contents(self, node: Node) -> None:
        """Show a file; one that differs between two states as the difference, a deleted one as it was before."""
        page, path, engine = self._page, node.path, self._page.application.engine
        if page.compared is not None and node.kind:
            self.difference(node)
            return
        ref, _ = page.state(before=node.kind == "D")

        def then(answer: Answer) -> None:
            if answer.error:
                page.viewer.show_waiting(page.viewer.heading, answer.error)
            else:
                page.viewer.show_bytes(page.viewer.heading, *answer.value)

        page.viewer.show_waiting(safe(path) + (" before it was deleted" if node.kind == "D" else ""))
        page.ask("file", lambda: look.contents(engine, ref, path), then)
        page.view(True)

    def difference(self, node: Node) -> None:
        """Show how the selected layer changed a file, or how it differs between the states that are compared."""
        page, path, engine = self._page, node.path, self._page.application.engine
        (one, its_name), (other, other_name) = page.state(before=True), page.state()
        if not one:
            self.contents(node)
            page.home.notify_line("nothing lies under this layer: all of it is new", "warn")
            return
        compared = page.compared is not None

        def then(answer: Answer) -> None:
            if answer.error:
                page.viewer.show_waiting(page.viewer.heading, answer.error)
            else:
                page.viewer.show_difference(page.viewer.heading, answer.value)

        how = f"{its_name} → {other_name}" if compared else "what this layer did to it"
        page.viewer.show_waiting(f"{safe(path)}, {how}")
        page.ask("file", lambda: engine.explore.text_difference(one, other, path), then)
        page.view(True)

    def versions(self, path: str) -> None:
        """Show every version of a path: which layer, what it did, how big."""
        page, engine, subject, layers = (
            self._page,
            self._page.application.engine,
            self._page.subject,
            self._page.layers,
        )
        if subject is None:
            return

        def then(answer: Answer) -> None:
            if answer.error:
                page.viewer.show_waiting(page.viewer.heading, answer.error)
                return
            page.viewer.show_lines(
                [
                    f"{f'layer {one.number:>3}' if one.number <= layers else 'now':<9}  {DONE[one.kind]:<8} "
                    f"{exact_size(one.size):>10}  {one.mode:04o} {one.owner}"
                    + (f" → {one.target}" if one.target else "")
                    for one in answer.value
                ]
            )

        page.viewer.show_waiting(f"Versions of {safe(path)}")
        page.ask("file", lambda: look.versions(engine, subject, path, layers), then)
        page.view(True)

    def extract(self, node: Node) -> None:
        """Ask where to, and take a file or a directory out to the host."""
        page, path, engine, subject = self._page, node.path, self._page.application.engine, self._page.subject
        if subject is None:
            return
        ref, name = page.state(before=node.kind == "D")
        jobs = page.application.jobs
        own = (ref == subject.ref and subject.container) or page.is_container(ref)
        words = ("cp", f"{name}:{path}") if own else ("layers", "extract", name, path)

        def cli(to: str) -> str:
            return shlex.join((*map(safe, words), to))

        form = FormDialog(
            f"Extract {safe(path)}",
            (Field("to", "to", "./", "a directory, or a new name", needed=True),),
            "extracts",
            cli=lambda found: cli(found["to"]),
        )

        def answered(found: Answers | None) -> None:
            if found is None:
                return
            to = os.path.expanduser(found["to"])

            def work(job: Job) -> str:
                if own:
                    engine.copy_out(ref, path, to, progress=job.report)
                    return f"copied to {to}"
                return f"extracted to {engine.explore.extract(ref, path, to, job.report)}"

            jobs.run(f"extracting {safe(path)}", work, "extracted", cli(to), cancellable=True)

        page.home.app.push_screen(form, answered)
