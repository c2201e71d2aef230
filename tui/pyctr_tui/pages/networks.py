"""Networks: who is on them, by which names and addresses, and what is published to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment

from pyctr_engine.model.network import Member, NetworkUse
from pyctr_tui import glyphs
from pyctr_tui.figures import count
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane, Orders
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.draw import Line, cells, gap, width_of

if TYPE_CHECKING:
    from pyctr_engine.model.spec import Port
    from pyctr_tui.details import Answer
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.widgets.pane import Pane

LOOPBACK = ("127.", "::1")
EVERY = 3
"""Snapshots between two looks."""


def exposed(port: Port) -> tuple[str, str]:
    """To whom a published port is exposed, and its tone."""
    if not port.host_port:
        return "not published", "faint"
    if port.host_ip.startswith(LOOPBACK):
        return "this host only", "dim"
    if port.host_ip in ("", "0.0.0.0", "::"):
        return "everybody who reaches this host", "warn"
    return f"who reaches {safe(port.host_ip)}", "text"


class NetworksPane(ListPane[NetworkUse]):
    """All networks."""

    orders: ClassVar[Orders] = {
        "name": None,
        "members": lambda use: -len(use.members),
        "subnet": lambda use: use.network.subnet,
    }

    def __init__(self) -> None:
        super().__init__(id="networks")
        self.loaded = False

    def key(self, item: NetworkUse) -> str:
        """Its name."""
        return item.network.name

    def title(self) -> Line:
        """How many there are."""
        style = self.palette.strong if self.has_focus else self.palette.dim
        return [Segment(f"Networks {glyphs.DOT} {len(self.whole)}", style)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        return [gap(1), cells("NAME", max(width - 47, 8), dim), cells("SUBNET", 19, dim), cells("BRIDGE", 16, dim),
                cells("MEMBERS", 8, dim, right=True), gap(2)]  # fmt: skip

    def draw(self, item: NetworkUse, width: int) -> Line:
        """One network."""
        palette, network = self.palette, item.network
        return [
            gap(1),
            cells(safe(network.name), max(width - 47, 8), palette.strong if item.members else palette.text),
            cells(safe(network.subnet) or glyphs.DASH, 19, palette.dim),
            cells(safe(network.bridge) or glyphs.DASH, 16, palette.dim),
            cells(str(len(item.members)), 8, palette.text if item.members else palette.faint, right=True),
            gap(2),
        ]

    def empty(self, width: int) -> list[Line]:
        """Loading, or when there will be one."""
        text = (
            f"reading {glyphs.ELLIPSIS}"
            if not self.loaded
            else "the default network is made with the first container"
        )
        return [[gap(1), Segment(text, self.palette.dim)]]


class MembersPane(ListPane["Member | tuple[Member, Port]"]):
    """Who is on a network; a line for each published port below."""

    def __init__(self) -> None:
        super().__init__(id="members")
        self.network: NetworkUse | None = None

    def key(self, item: Member | tuple[Member, Port]) -> str:
        """The container's id, and the port's number."""
        if isinstance(item, Member):
            return item.id
        return f"{item[0].id}/{item[1].container_port}/{item[1].protocol}/{item[1].host_port}"

    def show_network(self, network: NetworkUse | None) -> None:
        """Show who is on this one."""
        self.network = network
        rows: list[Member | tuple[Member, Port]] = []
        for member in network.members if network else ():
            rows.append(member)
            rows += [(member, port) for port in member.ports]
        self.show(rows)

    def title(self) -> Line:
        """Of which network."""
        style = self.palette.strong if self.has_focus else self.palette.dim
        if self.network is None:
            return [Segment("Members", style)]
        name = safe(self.network.network.name)
        return [Segment(f"On {name} {glyphs.DOT} {count(len(self.network.members), 'container')}", style)]

    def subtitle(self) -> Line:
        """The gateway."""
        if self.network is None or not self.network.network.gateway:
            return []
        return [Segment(f"gateway {safe(self.network.network.gateway)}", self.palette.dim)]

    def header(self, width: int) -> Line:
        """Column titles."""
        dim = self.palette.dim
        name = max(width // 3, 12)
        return [gap(3), cells("CONTAINER", name, dim), cells("ADDRESS", 17, dim),
                cells("ANSWERS TO", max(width - name - 21, 4), dim)]  # fmt: skip

    def draw(self, item: Member | tuple[Member, Port], width: int) -> Line:
        """A member, or one of its ports and whom it is exposed to."""
        palette = self.palette
        if not isinstance(item, Member):
            port = item[1]
            protocol = "" if port.protocol == "tcp" else f"/{safe(port.protocol)}"
            host = f"{safe(port.host_ip) or '0.0.0.0'}:{port.host_port} → " if port.host_port else ""
            text = f"{host}{port.container_port}{protocol}"
            whom, tone = exposed(port)
            wide = max(24, width_of(text) + 2)
            return [gap(5), cells(text, wide, palette.text),
                    cells(whom, max(width - wide - 6, 4), getattr(palette, tone))]  # fmt: skip
        name = max(width // 3, 12)
        style = palette.strong if item.is_up else palette.dim
        return [
            gap(1),
            Segment(
                f"{glyphs.RUNNING if item.is_up else glyphs.EXITED} ", palette.good if item.is_up else palette.dim
            ),
            cells(safe(item.name), name, style),
            cells(item.address or glyphs.DASH, 17, palette.text if item.address else palette.faint),
            cells(", ".join(map(safe, item.names)), max(width - name - 21, 4), palette.dim),
        ]

    def empty(self, width: int) -> list[Line]:
        """Nobody."""
        return [[gap(1), Segment("nobody is on it" if self.network else "", self.palette.dim)]]

    @property
    def member(self) -> Member | None:
        """The one under the cursor."""
        item = self.selected
        return item if isinstance(item, Member) or item is None else item[0]


class NetworksPage(Page):
    """Networks at the left, members at the right."""

    cli = "network ls"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.networks, self.members = NetworksPane(), MembersPane()
        self.panes = (self.networks, self.members)
        self._looks = 0

    def opened(self) -> None:
        """Ask which there are."""
        self.application.details.call("networks", self.application.engine.networks, self._listed)

    def refreshed(self) -> None:
        """Containers come and go."""
        self._looks += 1
        if self._looks % EVERY == 0:
            self.opened()

    def _listed(self, answer: Answer) -> None:
        self.networks.loaded = True
        if answer.error:
            self.home.notify_line(answer.error, "bad", 12.0)
            return
        self.networks.show(answer.value)
        self.members.show_network(self.networks.selected)

    def moved(self, pane: Pane) -> None:
        """Another network: its members."""
        if pane is self.networks:
            self.members.show_network(self.networks.selected)

    def action_open(self) -> None:
        """To the members; then to the container on home."""
        member = self.members.member
        if self.home.focus_name == "networks":
            self.home.go_to(self.members)
        elif member is not None and self.home.lists.reveal(member.id):
            self.home.action_pane("containers")
        elif member is not None:
            self.home.notify_line(f"{safe(member.name)} is gone", "warn")

    def action_copy(self) -> None:
        """Copy the address, or the subnet."""
        member, network = self.members.member, self.networks.selected
        if self.home.focus_name == "members" and member is not None and member.address:
            self.home.copy_text(member.address)
        elif network is not None and network.network.subnet:
            self.home.copy_text(network.network.subnet)
