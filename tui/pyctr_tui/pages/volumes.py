"""Volumes, and what is in them: a file browser that no symlink leads out of."""

from __future__ import annotations

import os
import posixpath
import stat
import time
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.geometry import Region

from pyctr_engine.model.explore import VOLUME, Directory, DirectoryEntry
from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.dialogs.confirm import ConfirmDialog
from pyctr_tui.dialogs.form import Answers, Field, FormDialog
from pyctr_tui.explorer import look
from pyctr_tui.figures import age, exact_size, size
from pyctr_tui.pages.page import SIDE_BY_SIDE, Page
from pyctr_tui.panes.details import TYPES
from pyctr_tui.panes.listing import ListPane, Orders
from pyctr_tui.panes.viewer import ViewerPane
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, fit_tail, gap

if TYPE_CHECKING:
    from typing import Any

    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.settings.table import Object
    from pyctr_tui.widgets.pane import Pane


@dataclass(frozen=True, slots=True)
class VolumeView:
    """One volume; ``ref`` as the engine takes it."""

    ref: str
    name: str
    size: int
    created: float
    used_by: tuple[str, ...]
    mountpoint: str


def volume_view(found: dict[str, Any]) -> VolumeView:
    """A volume as the list shows it; one that was never named by the start of its id."""
    name = str(found["name"])
    unnamed = len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)
    return VolumeView(
        name,
        name[:12] if unnamed else safe(name),
        int(found["size"]),
        float(found["created"]),
        tuple(map(safe, found["used_by"])),
        safe(found["mountpoint"]),
    )


class VolumesPane(ListPane[VolumeView]):
    """All volumes."""

    orders: ClassVar[Orders] = {
        "name": None,
        "size": lambda volume: -volume.size,
        "age": lambda volume: -volume.created,
        "used by": lambda volume: (not volume.used_by, volume.used_by),
    }

    def __init__(self) -> None:
        super().__init__(id="volumes")
        self.loaded = False
        self.now = 0.0

    def key(self, item: VolumeView) -> str:
        """Its name."""
        return item.ref

    def title(self) -> Line:
        """How many, and how big together."""
        palette = self.palette
        line = [Segment(f"Volumes {glyphs.DOT} {len(self.whole)}", palette.strong if self.has_focus else palette.dim)]
        if self.items:
            line.append(Segment(f" {glyphs.DOT} {exact_size(sum(one.size for one in self.whole))}", palette.dim))
        return line

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        users = max(width // 3, 8)
        return [gap(3), cells("NAME", max(width - 17 - users, 8), dim), cells("USED BY", users, dim),
                cells("AGE", 5, dim, right=True), cells("SIZE", 7, dim, right=True), gap(2)]  # fmt: skip

    def draw(self, item: VolumeView, width: int) -> Line:
        """One volume."""
        palette = self.palette
        users = max(width // 3, 8)
        used = bool(item.used_by)
        return [
            gap(1),
            Segment(f"{glyphs.NAMED if used else glyphs.UNUSED} ", palette.accent if used else palette.dim),
            cells(item.name, max(width - 18 - users, 7), palette.strong if used else palette.text),
            gap(1),
            cells(", ".join(item.used_by) or glyphs.DASH, users - 1, palette.dim),
            gap(1),
            cells(age(self.now - item.created), 5, palette.dim, right=True),
            cells(size(item.size), 7, palette.edge["memory"] if item.size else palette.faint, right=True),
            gap(2),
        ]

    def empty(self, width: int) -> list[Line]:
        """Loading, or how to get one."""
        if not self.loaded:
            return [[gap(3), Segment(f"reading {glyphs.ELLIPSIS}", self.palette.faint)]]
        return [[gap(3), Segment("no volumes yet", self.palette.text)], [],
                [gap(3), Segment("N", self.palette.accent), Segment(" makes one", self.palette.dim)]]  # fmt: skip


class FilesPane(ListPane[DirectoryEntry]):
    """One directory of a volume."""

    orders: ClassVar[Orders] = {
        "name": lambda entry: (entry.state.type != "directory", entry.name),
        "size": lambda entry: (-entry.state.size, entry.name),
        "age": lambda entry: (-entry.state.mtime, entry.name),
    }

    def __init__(self) -> None:
        super().__init__(id="files")
        self.subject = ""
        self.path = "/"
        self.more = False
        self.error = ""
        self.waiting = True

    def key(self, item: DirectoryEntry) -> str:
        """Its name."""
        return item.name

    def show_waiting(self, subject: str, path: str, error: str = "") -> None:
        """Say that it is being read, or why it can't be."""
        self.subject, self.path, self.error, self.waiting, self.more = subject, path, error, not error, False
        self.cursor = self.top = 0
        self.show(())

    def show_directory(self, found: Directory) -> None:
        """Show this."""
        self.waiting, self.error, self.more = False, "", found.more
        self.show(found.entries)

    def title(self) -> Line:
        """Where this is."""
        palette = self.palette
        style = palette.strong if self.has_focus else palette.dim
        if not self.subject:
            return [Segment("Files", style)]
        where = safe(self.path)
        return [Segment(f"{self.subject}:", palette.dim), Segment(fit_tail(where, min(len(where), 60)), style)]

    def subtitle(self) -> Line:
        """How many."""
        if not self.items:
            return []
        many = f"the first {len(self.items):,}" if self.more else f"{len(self.items):,}"
        return [Segment(many, self.palette.dim)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        line = [gap(1), cells("NAME", max(width - 39, 8), dim), cells("MODE", 11, dim), cells("OWNER", 11, dim)]
        return [*line, cells("AGE", 5, dim, right=True), cells("SIZE", 8, dim, right=True), gap(2)]

    def draw(self, item: DirectoryEntry, width: int) -> Line:
        """One file."""
        palette, state = self.palette, item.state
        name = safe(item.name) + TYPES.get(state.type, "")
        if state.target:
            name += f" → {safe(state.target)}"
        kinds = {"directory": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}
        mode = stat.filemode(state.mode | kinds.get(state.type, stat.S_IFREG))
        return [
            gap(1),
            cells(name, max(width - 40, 7), palette.accent if state.type == "directory" else palette.text),
            gap(1),
            cells(mode, 11, palette.dim),
            cells(f"{state.uid}:{state.gid}", 11, palette.dim),
            cells(age(time.time() - state.mtime / 1e9), 5, palette.dim, right=True),
            cells(
                size(state.size) if state.type == "file" else glyphs.DASH,
                8,
                palette.edge["memory"] if state.size else palette.faint,
                right=True,
            ),
            gap(2),
        ]

    def empty(self, width: int) -> list[Line]:
        """Loading, an error, or nothing."""
        if self.error:
            return [[gap(1), Segment(self.error, self.palette.bad)]]
        text = f"reading {glyphs.ELLIPSIS}" if self.waiting and self.subject else "empty" if self.subject else ""
        return [[gap(1), Segment(text, self.palette.dim)]]


class VolumesPage(Page):
    """Volumes at the left; files, or one file, at the right."""

    cli = "volume ls"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.volumes, self.files, self.viewer = VolumesPane(), FilesPane(), ViewerPane("fileview")
        self.panes = (self.volumes, self.files, self.viewer)
        self.viewing = False
        self._viewed = ("", "")

    def custom_object(self) -> tuple[str, Object]:
        """The selected volume."""
        return (self.volumes.selected.ref if self.volumes.selected else "", "volume")

    def ring(self) -> tuple[str, ...]:
        """What Tab goes through."""
        return ("volumes", "fileview" if self.viewing else "files")

    def arrange(self, width: int, height: int) -> dict[str, Region]:
        """Beside each other, or stacked; a file takes the place of its directory."""
        right = "fileview" if self.viewing else "files"
        if width >= SIDE_BY_SIDE:
            left = width * 44 // 100
            return {"volumes": Region(0, 0, left, height), right: Region(left, 0, width - left, height)}
        if height < 14 or self.viewing:
            shown = "volumes" if self.home.focus_name == "volumes" else right
            return {shown: Region(0, 0, width, height)}
        upper = height * 4 // 10
        return {"volumes": Region(0, 0, width, upper), right: Region(0, upper, width, height - upper)}

    def opened(self) -> None:
        """Ask which there are, and how big."""
        self.application.details.call("volumes", self.application.engine.volumes, self._listed)

    def _listed(self, answer: Answer) -> None:
        self.volumes.loaded = True
        if answer.error:
            self.home.notify_line(answer.error, "bad", 12.0)
            return
        self.volumes.now = self.store.clock()
        self.volumes.show([volume_view(found) for found in answer.value])
        if self.volumes.selected is None:
            self._close_file()
            self.files.subject = ""
            self.files.show(())
        elif self.files.subject != self.volumes.selected.name:
            self._read("/")

    def moved(self, pane: Pane) -> None:
        """Another volume: its root."""
        if pane is self.volumes:
            self._close_file()
            self._read("/")

    def job_changed(self, job: Job) -> None:
        """Volumes may have come or gone."""
        if job.state != "running":
            self.opened()

    def action_refresh(self) -> None:
        """Read volumes and directory again."""
        self.opened()
        self._read(self.files.path)

    # -- files --------------------------------------------------------------------------------------------------

    def _read(self, path: str, select: str = "") -> None:
        volume = self.volumes.selected
        if volume is None:
            return
        if (volume.name, path) != (self.files.subject, self.files.path):
            self.files.show_waiting(volume.name, path)
        explore = self.application.engine.explore

        def then(answer: Answer) -> None:
            if answer.ref != f"{volume.ref}{path}" or self.volumes.selected != volume:
                return
            if answer.error:
                self.files.show_waiting(volume.name, path, answer.error)
                return
            self.files.show_directory(answer.value)
            if select:
                self.files.select(select)

        self.application.details.call(
            "files", lambda: explore.directory(VOLUME + volume.ref, path), then, f"{volume.ref}{path}"
        )

    def action_open(self) -> None:
        """A volume's files get the focus, a directory is entered, a file is shown."""
        if self.home.focus_name == "volumes":
            self.home.go_to(self.files)
            return
        entry, volume = self.files.selected, self.volumes.selected
        if entry is None or volume is None or self.viewing:
            return
        path = posixpath.join(self.files.path, entry.name)
        if entry.state.type == "directory":
            self._read(path)
            return
        if entry.state.type not in ("file", "symlink"):
            self.home.notify_line(f"a {entry.state.type} has nothing to show", "warn")
            return
        engine = self.application.engine
        self._viewed = viewed = (volume.ref, path)
        self.viewer.show_waiting(f"{volume.name}:{safe(path)}")

        def then(answer: Answer) -> None:
            if self._viewed != viewed:
                return
            if answer.error:
                self.viewer.show_waiting(self.viewer.heading, answer.error)
            else:
                self.viewer.show_bytes(self.viewer.heading, *answer.value)

        self.application.details.call("volume file", lambda: look.contents(engine, VOLUME + volume.ref, path), then)
        self._view(True)

    def _view(self, viewing: bool) -> None:
        self.viewing = viewing
        if not viewing:
            self._viewed = ("", "")
        self.home.go_to(self.viewer if viewing else self.files)

    def _close_file(self) -> None:
        """Show a directory again, where a file of another volume is shown."""
        if self.viewing:
            self.viewing, self._viewed = False, ("", "")
            self.home.go_to(self.files) if self.home.focus_name == "fileview" else self.home.rearrange()

    def back(self) -> bool:
        """From a file to its directory, then up, then to the volumes."""
        if self.viewing:
            self._view(False)
        elif self.home.focus_name == "files" and self.files.path != "/":
            self.action_up_directory()
        elif self.home.focus_name == "files":
            self.home.go_to(self.volumes)
        else:
            return False
        return True

    def action_up_directory(self) -> None:
        """To the directory above."""
        path = self.files.path
        if path != "/":
            self._read(posixpath.dirname(path), posixpath.basename(path))

    def action_expand(self) -> None:
        """In a file, columns further right; else as Enter."""
        self.viewer.shift(8) if self.viewing else self.action_open()

    def action_collapse(self) -> None:
        """In a file, columns further left; else up."""
        self.viewer.shift(-8) if self.viewing else self.action_up_directory()

    def action_extract(self) -> None:
        """Copy the selected file to the host."""
        entry, volume = self.files.selected, self.volumes.selected
        if entry is None or volume is None:
            return
        if entry.state.type != "file":
            self.home.notify_line("only files · `pyctr-tui cp` of a container that mounts it takes all", "warn")
            return
        path = posixpath.join(self.files.path, entry.name)
        if self.viewing and self._viewed != (volume.ref, path):
            self.home.notify_line("the file is no longer there", "warn")
            return
        field = Field("to", "to", f"./{safe(entry.name)}", "a new file", needed=True)
        explore = self.application.engine.explore

        def answered(found: Answers | None) -> None:
            if found is None:
                return
            to = os.path.expanduser(found["to"])

            def work(job: Job) -> str:
                return f"{exact_size(copy_out(explore.read(VOLUME + volume.ref, path), to, job))} copied to {to}"

            self.application.jobs.run(f"copying {safe(path)}", work, cancellable=True)

        self.home.app.push_screen(FormDialog(f"Copy {safe(path)} out", (field,), "copies"), answered)

    # -- volumes ------------------------------------------------------------------------------------------------

    def action_remove(self) -> None:
        """Remove it, after saying how much is lost."""
        volume = self.volumes.selected
        if volume is None:
            return
        if volume.used_by:
            self.home.notify_line(f"{volume.name} is used by {', '.join(volume.used_by)}: remove these first", "warn")
            return
        lines = [volume.mountpoint, "", f"Lost for good: {exact_size(volume.size)}, which come back.",
                 "", f"$ pyctr-tui volume rm {volume.name}"]  # fmt: skip
        engine = self.application.engine

        def answered(yes: bool | None) -> None:
            if yes:
                self.application.jobs.run(
                    f"removing {volume.name}",
                    lambda job: engine.remove_volume(volume.ref),
                    f"{volume.name} removed",
                    f"volume rm {volume.name}",
                )

        self.home.app.push_screen(ConfirmDialog(f"Remove volume {volume.name}?", lines, "remove"), answered)

    def action_new_volume(self) -> None:
        """Make one."""
        engine = self.application.engine
        field = Field("name", "name", "", "letters, digits, dots, dashes, underscores", needed=True)

        def answered(found: Answers | None) -> None:
            if found is not None:
                name = found["name"]
                self.application.jobs.run(
                    f"making {safe(name)}",
                    lambda job: engine.create_volume(name),
                    f"{safe(name)} is there",
                    f"volume create {safe(name)}",
                )

        form = FormDialog("New volume", (field,), "makes it", cli=lambda found: f"volume create {found['name']}")
        self.home.app.push_screen(form, answered)

    def action_copy(self) -> None:
        """Copy the volume's path on the host, or the file's."""
        volume, entry = self.volumes.selected, self.files.selected
        if volume is None:
            return
        inside = self.home.focus_name == "files" and entry is not None
        path = posixpath.join(self.files.path, entry.name) if inside and entry else ""
        self.home.copy_text(volume.mountpoint + safe(path))


def copy_out(pieces: Any, to: str, job: Job) -> int:
    """Write a new file, complete or not at all; how many bytes. Raises EngineError."""
    from pyctr_engine.errors import from_os_error
    from pyctr_engine.model.progress import Progress

    done = 0
    try:
        with open(to, "xb") as file:
            try:
                for piece in pieces:
                    file.write(piece)
                    done += len(piece)
                    job.report(Progress(to, "copying", done))
            except BaseException:
                os.unlink(to)
                raise
    except OSError as error:
        raise from_os_error(error, f"write {to}") from error
    return done
