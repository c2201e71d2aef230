"""What the explorer tells of one path: what is in it, how a layer changed it, its versions; and taking it out."""

from __future__ import annotations

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
        ref = page.state_ref if node.kind != "D" else page.state_before

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
        if page.compared is not None:
            one, other = page.compared.one, page.compared.other
            heading = f"{safe(path)}, {one} → {other}"
        else:
            one, other = page.state_before, page.state_ref
            heading = f"{safe(path)}, what this layer did to it"

        def then(answer: Answer) -> None:
            if answer.error:
                page.viewer.show_waiting(page.viewer.heading, answer.error)
            else:
                page.viewer.show_difference(page.viewer.heading, answer.value)

        page.viewer.show_waiting(heading)
        page.ask("file", lambda: engine.explore.text_difference(one, other, path), then)
        page.view(True)

    def versions(self, node: Node) -> None:
        """Show every version of a path: which layer, what it did, how big."""
        page, path, engine, subject = self._page, node.path, self._page.application.engine, self._page.subject
        if subject is None:
            return

        def then(answer: Answer) -> None:
            if answer.error:
                page.viewer.show_waiting(page.viewer.heading, answer.error)
                return
            page.viewer.show_lines(
                [
                    f"layer {one.number:>3}  {DONE[one.kind]:<8} {exact_size(one.size):>10}  "
                    f"{one.mode:04o} {one.owner}" + (f" → {one.target}" if one.target else "")
                    for one in answer.value
                ]
            )

        page.viewer.show_waiting(f"Versions of {safe(path)}")
        page.ask("file", lambda: look.versions(engine, subject, path), then)
        page.view(True)

    def extract(self, node: Node) -> None:
        """Ask where to, and take a file or a directory out to the host."""
        page, path, engine, subject = self._page, node.path, self._page.application.engine, self._page.subject
        if subject is None:
            return
        ref, jobs = page.state_ref, page.application.jobs
        own = ref == subject.ref and subject.container
        verb = f"cp {safe(subject.name)}:{safe(path)}" if own else f"layers extract {page.state_name} {safe(path)}"
        form = FormDialog(
            f"Extract {safe(path)}",
            (Field("to", "to", "./", "a directory, or a new name", needed=True),),
            "extracts",
            cli=lambda found: f"{verb} {found['to']}",
        )

        def answered(found: Answers | None) -> None:
            if found is None:
                return
            to = found["to"]

            def work(job: Job) -> str:
                if own:
                    engine.copy_out(ref, path, to, progress=job.report)
                    return f"copied to {to}"
                return f"extracted to {engine.explore.extract(ref, path, to, job.report)}"

            jobs.run(f"extracting {safe(path)}", work, "extracted", f"{verb} {to}", cancellable=True)

        page.home.app.push_screen(form, answered)
