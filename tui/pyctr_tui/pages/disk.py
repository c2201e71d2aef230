"""What takes room on the disk, and what can go: exact bytes, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Region

from pyctr_engine.model.tidy import DiskUsage, Pruned, PruneRequest
from pyctr_engine.record import dataclass, replace
from pyctr_tui import glyphs
from pyctr_tui.dialogs.confirm import ConfirmDialog
from pyctr_tui.figures import age, count, exact_size, size
from pyctr_tui.pages.page import SIDE_BY_SIDE, Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.safe_text import safe
from pyctr_tui.view import short_image
from pyctr_tui.widgets.braille import bar
from pyctr_tui.widgets.draw import Line, cells, gap, width_of

if TYPE_CHECKING:
    from pyctr_tui.details import Answer
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.store import Store
    from pyctr_tui.view import ContainerView


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the left pane: a kind's total, an object, a heading, or a blank."""

    kind: str
    name: str
    size: int = 0
    reclaimable: int = 0
    detail: str = ""
    used: bool = True


class DiskPane(ListPane[Row]):
    """Totals, and the biggest things below."""

    def __init__(self) -> None:
        super().__init__(id="disk")
        self.total = 0
        self.read_at = 0.0
        self.error = ""
        self.now = 0.0

    def key(self, item: Row) -> str:
        """Its kind and name."""
        return f"{item.kind}/{item.name}"

    def title(self) -> Line:
        """How much in all, and how old the figures are."""
        palette = self.palette
        line = [Segment("Disk", palette.strong if self.has_focus else palette.dim)]
        if self.read_at:
            line.append(Segment(f" {glyphs.DOT} {exact_size(self.total)}", palette.strong))
            line.append(Segment(f" {glyphs.DOT} {age(self.now - self.read_at)} ago", palette.faint))
        return line

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        return [gap(1), cells("WHAT", max(width - 29, 8), dim), cells("SIZE", 7, dim, right=True), gap(1),
                cells("", 10, dim), cells("CAN GO", 8, dim, right=True), gap(2)]  # fmt: skip

    def draw(self, item: Row, width: int) -> Line:
        """One kind, one thing, or a heading."""
        palette = self.palette
        room = max(width - 29, 8)
        if item.kind == "heading":
            return [gap(1), Segment(item.name, palette.accent)]
        if item.kind == "blank":
            return []
        share = item.size / self.total if self.total else 0.0
        lead = 0 if item.kind == "total" else 2
        detail = f"  {item.detail} " if item.detail else ""
        if width_of(item.name) + width_of(detail) > room - lead:
            detail = ""
        return [
            gap(1 + lead),
            cells(
                item.name, room - lead - width_of(detail), palette.strong if item.kind == "total" else palette.text
            ),
            Segment(detail, palette.dim),
            cells(size(item.size), 7, palette.edge["memory"] if item.size else palette.faint, right=True),
            gap(1),
            *bar(share, 9, palette.edge["memory"], palette.frame),
            gap(1),
            cells(
                size(item.reclaimable) if item.reclaimable else glyphs.DASH,
                8,
                palette.warn if item.reclaimable else palette.faint,
                right=True,
            ),
            gap(2),
        ]

    def empty(self, width: int) -> list[Line]:
        """Looking, or why not."""
        if self.error:
            return [[gap(1), Segment(self.error, self.palette.bad)]]
        return [[gap(1), Segment(f"looking at every file {glyphs.ELLIPSIS}", self.palette.dim)]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that may be pruned.

    Attributes:
        name: Of the request's field.
        flag: What stands for it on the command line, where that is one.
        harm: What is lost with it.
    """

    name: str
    label: str
    harm: str


CHOICES = (
    Choice("containers", "containers that don't run", "their changed files and logs"),
    Choice("images", "unnamed images, loose layers and blobs", "nothing that has a name"),
    Choice("all_images", "and all others that no container uses", "they have to be pulled or built again"),
    Choice("volumes", "unnamed volumes nobody mounts", "what is in them"),
    Choice("all_volumes", "and volumes that have a name", "what is in them, for good"),
)
PARENTS = {"all_images": "images", "all_volumes": "volumes"}


@dataclass(frozen=True, slots=True)
class UnusedRow:
    """A line of the right pane: a choice, or what would go with what is chosen."""

    number: int
    choice: Choice | None
    text: str = ""


class UnusedPane(ListPane[UnusedRow]):
    """What may go, to be ticked; below, what would."""

    has_header = False

    def __init__(self, store: Store) -> None:
        super().__init__(id="unused")
        self.store = store
        self.chosen: set[str] = {"images"}
        self.bytes: dict[str, int] = {}
        self.would: Pruned | None = None
        self.error = ""
        self.reading = True
        self.update_rows()

    def key(self, item: UnusedRow) -> str:
        """Its place."""
        return item.choice.name if item.choice else str(item.number)

    def update_rows(self) -> None:
        """Choices, and the objects that would go, or why that isn't known."""
        rows = [UnusedRow(at, choice) for at, choice in enumerate(CHOICES)]
        lines = ["", self.error] if self.error else []
        if self.would is not None:
            lines = ["", *going(self.would, self.store.by_id), *(f"stays: {safe(note)}" for note in self.would.notes)]
        rows += [UnusedRow(len(CHOICES) + at, None, line) for at, line in enumerate(lines)]
        if self.is_mounted:
            self.show(rows)
        else:
            self.items = rows

    def title(self) -> Line:
        """How much would come back."""
        palette = self.palette
        line = [Segment("Prune", palette.strong if self.has_focus else palette.dim)]
        if self.would is not None and not self.reading:
            tone = palette.warn if self.would.reclaimed else palette.dim
            line.append(Segment(f" {glyphs.DOT} gives back {exact_size(self.would.reclaimed)}", tone))
        return line

    def subtitle(self) -> Line:
        """The keys."""
        return [Segment(f"Space ticks {glyphs.DOT} P prunes", self.palette.dim)]

    def draw(self, item: UnusedRow, width: int) -> Line:
        """One choice with its bytes, or one thing that would go."""
        palette = self.palette
        if item.choice is None:
            return [gap(1), cells(item.text, max(width - 2, 4), palette.bad if self.error else palette.dim)]
        choice = item.choice
        ticked = choice.name in self.chosen
        lead = 2 if choice.name in PARENTS else 0
        known = self.bytes.get(choice.name)
        figure = glyphs.ELLIPSIS if known is None else size(known) if known else "0"
        return [
            gap(1 + lead),
            Segment(f"[{glyphs.MARK if ticked else ' '}] ", palette.warn if ticked else palette.dim),
            cells(choice.label, max(width - 15 - lead, 8), palette.strong if ticked else palette.text),
            cells(figure, 8, palette.edge["memory"] if known else palette.faint, right=True),
            gap(1),
        ]


def going(pruned: Pruned, by_id: Mapping[str, ContainerView]) -> list[str]:
    """What goes, a line each."""
    lines = [f"container {by_id[id].name if id in by_id else safe(id)[:12]}" for id in pruned.containers]
    lines += [safe(line) for line in pruned.images]
    lines += [f"volume {safe(name)}" for name in pruned.volumes]
    if pruned.layers:
        lines.append(f"{count(len(pruned.layers), 'layer')} that nothing refers to")
    if pruned.blobs:
        lines.append(f"{count(len(pruned.blobs), 'blob')} that nothing refers to")
    return lines or ["nothing would go"]


def request(chosen: set[str], dry_run: bool) -> PruneRequest:
    """What to ask of the engine."""
    return PruneRequest(
        containers="containers" in chosen,
        images="images" in chosen,
        all_images="all_images" in chosen,
        volumes="volumes" in chosen,
        all_volumes="all_volumes" in chosen,
        dry_run=dry_run,
    )


def command_lines(chosen: set[str]) -> str:
    """The command line that does the same: one, or one for each kind."""
    kinds = chosen & {"containers", "images", "volumes"}
    every_image = " -a" if "all_images" in chosen else ""
    if {"containers", "images"} <= kinds and "all_volumes" not in chosen:
        return f"system prune -f{every_image}" + (" --volumes" if "volumes" in kinds else "")
    lines = ["container prune -f"] if "containers" in kinds else []
    lines += [f"image prune -f{every_image}"] if "images" in kinds else []
    lines += ["volume prune -f" + (" -a" if "all_volumes" in chosen else "")] if "volumes" in kinds else []
    return " && pyctr-tui ".join(lines)


class DiskPage(Page):
    """Usage at the left, what can go at the right."""

    cli = "system df -v"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.disk, self.unused = DiskPane(), UnusedPane(home.store)
        self.panes = (self.disk, self.unused)
        self._asked = 0

    def arrange(self, width: int, height: int) -> dict[str, Region]:
        """The things get more room than the choices."""
        if width < SIDE_BY_SIDE:
            return super().arrange(width, height)
        left = max(width * 54 // 100, width - 80)
        return {"disk": Region(0, 0, left, height), "unused": Region(left, 0, width - left, height)}

    def opened(self) -> None:
        """Look at every file, and what could go."""
        self.application.details.call("disk", self.application.engine.disk_usage, self._used)
        self._dry_run()

    def refreshed(self) -> None:
        """The figures grow older."""
        self.disk.now = self.store.clock()
        self.disk.repaint()

    def action_refresh(self) -> None:
        """Look again."""
        self.opened()

    def _used(self, answer: Answer) -> None:
        if answer.error:
            self.disk.error = answer.error
            self.disk.show(())
            return
        found: DiskUsage = answer.value
        self.disk.error = ""
        self.disk.read_at = self.disk.now = self.store.clock()
        self.disk.total = sum(one.size for one in found.totals if one.type not in ("Layers", "Blobs"))
        self.disk.show(usage_rows(found))

    # -- what can go --------------------------------------------------------------------------------------------

    def _dry_run(self) -> None:
        engine, pane, chosen = self.application.engine, self.unused, set(self.unused.chosen)
        self._asked = asked = self._asked + 1

        def ask() -> tuple[dict[str, int], Pruned]:
            each = {}
            for choice in CHOICES:
                alone = {choice.name} | ({PARENTS[choice.name]} if choice.name in PARENTS else set())
                each[choice.name] = engine.prune(request(alone, True)).reclaimed
            for name, parent in PARENTS.items():
                each[name] -= each[parent]
            return each, engine.prune(request(chosen, True))

        def then(answer: Answer) -> None:
            if asked != self._asked:  # something else is ticked by now, or something has gone
                return
            pane.reading, pane.error = False, answer.error
            if answer.error:
                pane.bytes, pane.would = {}, None
                self.home.notify_line(answer.error, "bad", 12.0)
            else:
                pane.bytes, pane.would = answer.value
            pane.update_rows()

        pane.reading = True
        self.application.details.call("unused", ask, then)

    def action_tick(self) -> None:
        """Tick or untick the selected choice; one that includes another goes with it."""
        row = self.unused.selected
        if row is None or row.choice is None:
            return
        name, chosen = row.choice.name, self.unused.chosen
        chosen ^= {name}
        if name in chosen and name in PARENTS:
            chosen.add(PARENTS[name])
        for child, parent in PARENTS.items():
            if parent not in chosen:
                chosen.discard(child)
        self.unused.repaint()
        self._dry_run()

    def action_open(self) -> None:
        """As Space, in the choices."""
        if self.home.focus_name == "unused":
            self.action_tick()

    def action_prune(self) -> None:
        """Remove what is ticked, after saying what goes and how many bytes come back."""
        pane = self.unused
        would, chosen = pane.would, set(pane.chosen)
        if pane.reading or would is None:
            said = ("still counting: a moment", "dim") if pane.reading else (pane.error, "bad")
            self.home.notify_line(*said)
            return
        if not chosen or not (would.containers or would.images or would.volumes or would.layers or would.blobs):
            self.home.notify_line("nothing would go", "good")
            return
        lines = going(would, self.store.by_id)
        lines += [""] + [f"Lost: {choice.harm}." for choice in CHOICES if choice.name in chosen]
        lines += [f"{exact_size(would.reclaimed)} come back.", "", f"$ pyctr-tui {command_lines(chosen)}"]
        engine = self.application.engine

        def work(job: Job) -> str:
            done = engine.prune(request(chosen, dry_run=False), job.report, job.cancel)
            return f"{exact_size(done.reclaimed)} came back"

        def answered(yes: bool | None) -> None:
            if yes:
                self.application.jobs.run(
                    "pruning", work, "pruned", command_lines(chosen), lambda _: self.opened(),
                    lambda _: self.opened(), cancellable=True, images=True,
                )  # fmt: skip

        self.home.app.push_screen(ConfirmDialog(f"Prune {exact_size(would.reclaimed)}?", lines, "prune"), answered)


def usage_rows(found: DiskUsage) -> list[Row]:
    """Totals first, then the biggest things of each kind."""
    rows = [
        Row("total", one.type.lower(), one.size, one.reclaimable, f"{one.total}, {one.active} in use")
        for one in found.totals
    ]
    rows = [replace(row, kind="part") if row.name in ("layers", "blobs") else row for row in rows]
    if found.unreferenced:
        rows.append(Row("part", "of nobody", found.unreferenced, found.unreferenced))
    images = sorted(found.images, key=lambda one: -one.size)
    volumes = sorted(found.volumes, key=lambda one: -one.size)
    containers = sorted(found.containers, key=lambda one: -(one.size + one.logs))
    rows += _group(
        "Images",
        [
            Row(
                "image",
                short_image(safe(one.names[0])) if one.names else safe(one.id)[7:19],
                one.size,
                0 if one.containers else one.unique,
                f"{size(one.shared)} shared" if one.shared else "",
            )
            for one in images
        ],
    )
    rows += _group(
        "Containers",
        [
            Row("container", safe(one.name), one.size + one.logs, 0 if one.is_alive else one.size + one.logs,
                f"{size(one.logs)} of logs" if one.logs else "")
            for one in containers
        ],
    )  # fmt: skip
    rows += _group(
        "Volumes",
        [
            Row("volume", safe(one.name), one.size, 0 if one.containers else one.size,
                ", ".join(map(safe, one.containers)) or "not used")
            for one in volumes
        ],
    )  # fmt: skip
    return rows


def _group(name: str, rows: Sequence[Row]) -> list[Row]:
    return [Row("blank", name), Row("heading", name), *rows] if rows else []
