"""What keys do to the list of containers: marks, order, folding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyctr_tui.actions.actions import Actions
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.grouping import COLUMNS, SORTS, StackRow
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.query import parse

if TYPE_CHECKING:
    from pyctr_tui.query import Query


class ListActions(Actions):
    """On what the list shows."""

    def action_mark(self) -> None:
        """Mark or unmark, and go on to the next; on a stack's row all of it."""
        home = self._home
        if home.focus_name == "images":
            if home.images.selected is not None:
                home.store.image_marks ^= {home.images.selected.id}
            home.images.move(1)
            home.images.repaint()
            return
        container, stack = home.containers.container, home.containers.stack
        if container is not None:
            home.store.marks ^= {container.id}
        elif stack is not None:
            name = stack.key.removeprefix("stack:")
            members = {one.id for one in home.store.containers if one.stack == name}
            home.store.marks = (
                home.store.marks - members if members <= home.store.marks else home.store.marks | members
            )
        home.containers.move(1)
        home.containers.repaint()

    def action_mark_all(self) -> None:
        """Mark all that are shown; when they are, none."""
        shown = self._shown()
        self._set_marks(set() if shown <= self._marks() else self._marks() | shown)

    def action_mark_others(self) -> None:
        """Mark what isn't marked of what is shown, and the other way round."""
        self._set_marks(self._marks() ^ self._shown())

    def action_mark_none(self) -> None:
        """Mark nothing."""
        self._set_marks(set())

    def _marks(self) -> set[str]:
        store = self._home.store
        return store.image_marks if self._home.focus_name == "images" else store.marks

    def _shown(self) -> set[str]:
        """Ids of what the list shows; of a closed stack, all of its containers."""
        home = self._home
        if home.focus_name == "images":
            return {image.id for image in home.images.items}
        found: set[str] = set()
        for row in home.containers.items:
            if isinstance(row, StackRow):
                name = row.key.removeprefix("stack:")
                found |= set() if row.open else {one.id for one in home.store.containers if one.stack == name}
            else:
                found.add(row.container.id)
        return found

    def _set_marks(self, marks: set[str]) -> None:
        home = self._home
        if home.focus_name == "images":
            home.store.image_marks = marks
            home.images.repaint()
        else:
            home.store.marks = marks
            home.containers.repaint()

    def action_sort(self) -> None:
        """Sort by the next column."""
        if (pane := self._sorted()) is not None:
            pane.sort_by_next()
            return
        store = self._home.store
        store.sort = SORTS[(SORTS.index(store.sort) + 1) % len(SORTS)]
        self._home.containers.update_rows()

    def action_sort_reverse(self) -> None:
        """Sort the other way round."""
        if (pane := self._sorted()) is not None:
            pane.sort_by(pane.order, not pane.turned)
            return
        self._home.store.reverse = not self._home.store.reverse
        self._home.containers.update_rows()

    def _sorted(self) -> ListPane[Any] | None:
        """The focused list, if it has orders of its own: the containers' are the store's."""
        pane = self._home.pane_of(self._home.focus_name)
        return pane if isinstance(pane, ListPane) and pane.orders else None

    def action_columns(self) -> None:
        """Choose the columns; all are as none: what there is room for."""
        chosen = self._home.store.columns or COLUMNS
        fields = [Field(name, name, "yes" * (name in chosen), switch=True) for name in COLUMNS]

        def answered(found: Answers | None) -> None:
            if found is not None:
                picked = tuple(name for name in COLUMNS if found[name])
                said = self._home.application.configured.choose("columns", picked if picked != COLUMNS else ())
                self._home.notify_line(said, "warn")

        notes = ("As many of these as there is room for; none ticked is all.",)
        form = FormDialog("Columns of the list of containers", fields, "takes them", notes)
        self._home.app.push_screen(form, answered)

    def action_running(self) -> None:
        """All containers, or the running ones."""
        self._home.store.running_only = not self._home.store.running_only
        self._home.containers.update_rows()

    def fold(self, is_open: bool) -> None:
        """Expand or collapse the selected stack."""
        containers, store = self._home.containers, self._home.store
        row = containers.stack
        name = row.key.removeprefix("stack:") if row else containers.container.stack if containers.container else None
        if name is None:
            return
        store.closed = store.closed - {name} if is_open else store.closed | {name}
        containers.update_rows()
        containers.select(f"stack:{name}") if not is_open else None
        self._home.rearrange()

    def reveal(self, key: str) -> bool:
        """Put the cursor on a container, or on ``stack:NAME``; what hides it is cleared, and that is said.

        ``False``, and nothing is changed, when there is none.
        """
        home, store = self._home, self._home.store
        one = store.by_id.get(key)
        if one is None and not key.startswith("stack:"):
            return False
        kept, closed = (store.query, store.running_only), store.closed
        if one is not None:
            store.closed = store.closed - {one.stack}
        for query, running_only in (kept, (kept[0], False), (parse(""), kept[1]), (parse(""), False)):
            if self._reveals(key, query, running_only):
                break
        else:
            store.closed = closed
            self._reveals(key, *kept)
            return False
        cleared = ["the filter"] * (query is not kept[0] and bool(kept[0].text))
        cleared += ["“running only”"] * (running_only != kept[1])
        if cleared:
            name = one.name if one is not None else key.removeprefix("stack:")
            home.notify_line(f"cleared {' and '.join(cleared)}: {name} was hidden", "warn")
        home.rearrange()
        return True

    def _reveals(self, key: str, query: Query, running_only: bool) -> bool:
        store, containers = self._home.store, self._home.containers
        store.query, store.running_only = query, running_only
        containers.update_rows()
        return containers.select(key)

    def action_collapse(self) -> None:
        """Collapse the stack the cursor is in."""
        self.fold(False)

    def action_expand(self) -> None:
        """Expand it."""
        self.fold(True)
