"""The layer explorer: trees per layer and whole, live changes, files, versions, comparisons, extraction."""

from __future__ import annotations

import threading

import pytest

from pyctr_engine.model.explore import Directory, DirectoryEntry, TreeEntry
from pyctr_engine.model.image import Change
from pyctr_tui.explorer import tree
from pyctr_tui.pages.explorer import ExplorerPage
from pyctr_tui.panes.viewer import is_text
from tests.tui.fake import FakeEngine
from tests.tui.fake_explorer import FakeExplorer, FakeState, state
from tests.tui.harness import Running, running
from tests.tui.hostile import CORPUS
from tests.tui.snapshot import check


def page(it: Running) -> ExplorerPage:
    found = it.app.home.page
    assert isinstance(found, ExplorerPage)
    return found


def page_of(it: Running) -> ExplorerPage:
    """The same when it has been left."""
    found = it.app.home._pages["explorer"]
    assert isinstance(found, ExplorerPage)
    return found


def explorer(it: Running) -> FakeExplorer:
    found = it.engine.explore
    assert isinstance(found, FakeExplorer)
    return found


async def shown(it: Running, *texts: str) -> None:
    await it.until(lambda: all(text in it.text() for text in texts))


def node(found: tree.Tree, path: str) -> tree.Node:
    known = found.find(path)
    assert known is not None
    return known


# -- the tree -------------------------------------------------------------------------------------------------------


def test_directories_add_up_what_is_below_them() -> None:
    found = tree.Tree(FakeExplorer().state("x", marked=False))
    assert node(found, "/usr/lib").size == 7 << 20
    assert found.root.size == sum(one.size for one in found.root.children.values())
    assert [row.node.path for row in tree.rows(found, set())] == ["/app", "/etc", "/usr", "/var", "/bin"]


def test_what_a_layer_did_is_marked_up_to_the_root() -> None:
    found = tree.Tree(FakeExplorer().state("x@3"))
    assert (node(found, "/usr/lib/libssl.so").kind, node(found, "/usr").kind) == ("A", "c")
    assert node(found, "/usr/share/doc").kind == "D"
    assert node(found, "/app").kind == ""
    assert (found.changes, found.changed) == (2, 5 << 20)
    rows = tree.rows(found, {"/usr", "/usr/lib"}, changed_only=True)
    assert [row.node.name for row in rows] == ["usr", "lib", "libssl.so", "share"]


def test_what_a_container_deleted_is_gone_with_all_below_it() -> None:
    changes = [Change("/usr", "D", 0, "directory"), Change("/new", "A", 7)]
    found = tree.with_live(FakeExplorer().state("x", marked=False), changes, 5)
    assert node(found, "/usr/bin/bash").kind == "D"
    assert node(found, "/new").layer == 5
    assert found.root.size == sum(one.size for one in found.root.children.values() if one.kind != "D")
    assert (found.changes, found.changed) == (2, 7)


def test_what_takes_the_place_of_something_else() -> None:
    base = FakeExplorer().state("x", marked=False)
    found = tree.with_live(base, [Change("/usr/bin/bash", "C", 0, "directory"), Change("/usr/bin/bash/x", "A", 5)], 5)
    assert (node(found, "/usr/bin/bash").size, node(found, "/usr/bin").size) == (5, 5 + (6 << 20))
    found = tree.with_live(base, [Change("/usr", "C", 7), Change("/bin", "C", 3)], 5)
    assert (node(found, "/usr").size, node(found, "/usr").holds, found.find("/usr/bin")) == (7, False, None)
    assert (node(found, "/bin").target, node(found, "/bin").type) == ("", "file")
    assert found.root.size == sum(one.size for one in found.root.children.values())


def test_growth_goes_up_to_the_root() -> None:
    before = tree.sizes(tree.with_live(None, [Change("/a/log", "C", 10)], 5))
    now = tree.with_live(None, [Change("/a/log", "C", 25), Change("/a/b", "A", 4)], 5)
    tree.grown(now, before)
    assert [now.by_path[path].growth for path in ("/a/log", "/a/b", "/a", "/")] == [15, 4, 19, 19]
    assert [row.node.name for row in tree.rows(now, {"/a"}, "growth")] == ["a", "log", "b"]


def test_a_needle_shows_what_has_it_under_its_parents() -> None:
    found = tree.Tree(FakeExplorer().state("x", marked=False))
    assert [row.node.path for row in tree.rows(found, set(), needle="LIBSSL")] == [
        "/usr", "/usr/lib", "/usr/lib/libssl.so",
    ]  # fmt: skip


def test_a_hundred_thousand_paths() -> None:
    entries = (TreeEntry(f"/d{n // 1000}/f{n}", 1, state(n, "file")) for n in range(100_000))
    found = tree.Tree(FakeState(1, entries))
    assert found.root.size == sum(range(100_000))
    assert len(tree.rows(found, set(), "size")) == 100
    assert len(found.by_path) == 101
    assert len(tree.rows(found, {"/d7"})) == 1_100
    assert len(tree.rows(found, set(), needle="/f99")) > 1_100
    assert len(found.by_path) == 100_101


# -- the page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 60)])
async def test_pictures(width: int, height: int) -> None:
    async with running(width, height) as it:
        await it.press("f")
        await shown(it, "usr")
        await it.press("j", "enter")
        check(it.picture(), f"explorer-{width}x{height}")


async def test_a_container_shows_what_it_changes_now() -> None:
    async with running() as it:
        await it.press("f")
        await shown(it, "crawler-fetch-1, now", "Layers of crawler-fetch-1", "87.0% efficient")
        await it.press("m")
        await shown(it, "What crawler-fetch-1 changed", "7 changes")
        before = page(it).tree.items
        it.engine.changes = lambda ref: [Change("/app/cache/pages.db", "A", 41 << 20)]  # type: ignore[method-assign,assignment,misc]
        page(it)._live_due = 0.0
        await it.read()
        await it.until(lambda: page(it).tree.items != before)
        await shown(it, "GROWTH", "+5.0M")


async def test_what_one_that_had_changed_nothing_writes_is_growth() -> None:
    async with running() as it:
        it.engine.changes = lambda ref: []  # type: ignore[method-assign,assignment,misc]
        await it.press("f", "m")
        await shown(it, "What crawler-fetch-1 changed", "nothing here")
        it.engine.changes = lambda ref: [Change("/app/cache/pages.db", "A", 5 << 20)]  # type: ignore[method-assign,assignment,misc]
        page(it)._live_due = 0.0
        await it.read()
        await shown(it, "app/", "+5.0M")
        it.engine.changes = lambda ref: [Change("/app/cache/pages.db", "C", 7 << 20)]  # type: ignore[method-assign,assignment,misc]
        page(it)._live_due = 0.0
        await it.read()
        await it.until(lambda: page(it).tree.items[0].node.size == 7 << 20)
        assert page(it).tree.items[0].node.growth == 7 << 20


async def test_going_back_to_one_tells_its_waste_again() -> None:
    async with running() as it:
        for keys in (("2",), ("2", "j"), ("2", "k")):
            await it.press(*keys, "f")
            await shown(it, "usr", "87.0% efficient")
            await it.press("escape")
        subjects = {ref for ref, _, _ in page_of(it)._trees}
        assert len(subjects) == 2


async def test_a_wide_directory_opens_and_is_sorted_in_a_thread() -> None:
    async with running(height=24) as it:
        explorer(it).extra = [TreeEntry(f"/wide/f{n:05}", 1, state(n, "file")) for n in range(6000)]
        await it.press("f")
        await shown(it, "wide/")
        page(it).tree.select("/wide")
        await it.press("enter")
        await it.until(lambda: len(page(it).tree.items) > 6000)
        await it.press("o")
        await it.until(lambda: "f05998" in it.text())
        page(it).reveal("/wide/f05999")
        explorer(it).extra.clear()
        await it.until(lambda: page(it).tree.selected is not None and page(it).tree.selected.node.size == 5999)


async def test_a_late_answer_is_not_shown_for_another_view() -> None:
    async with running() as it:
        await it.press("2", "f")
        await shown(it, "usr")
        gate, state_of = threading.Event(), explorer(it).state

        def slow(ref: str, marked: bool = True) -> FakeState:
            gate.wait(10)
            return state_of(ref, marked)

        explorer(it).state = slow  # type: ignore[method-assign]
        await it.pilot.press("m", "m")
        gate.set()
        await it.settle()
        await shown(it, "after layer 4", "usr/")


async def test_layers_and_whole_states() -> None:
    async with running() as it:
        await it.press("f")
        await shown(it, "usr")
        it.app.home.pane_of("strata").focus()
        await it.press("G")
        await shown(it, "crawler-fetch-1 after layer 1")
        assert "/app" not in [row.node.path for row in page(it).tree.items]
        await it.press("k", "m")
        await shown(it, "Layer 2 of crawler-fetch-1")
        assert "etc/" in it.text()
        await it.press("enter", "g", "j", "right", "j")
        row = page(it).tree.selected
        assert row is not None
        assert (row.node.path, row.node.kind) == ("/etc/passwd", "C")


async def test_a_file_is_shown_as_text_and_as_hex_and_harmless() -> None:
    async with running() as it:
        await it.press("f")
        await shown(it, "usr")
        page(it).reveal("/app/main.py")
        await it.press("enter")
        await shown(it, "def main():", "line 1–8 of 8")
        await it.press("escape")
        page(it).reveal("/usr/bin/bash")
        await it.press("enter")
        await shown(it, "7f 45 4c 46")
        await it.press("escape")
        page(it).reveal("/etc/hosts")
        await it.press("enter")
        await shown(it, "␛]0;owned")
        await it.press("escape")
        page(it).reveal("/etc/passwd")
        await it.press("enter")
        await shown(it, "/etc/passwd is gone")
        await it.press("escape", "escape")
        assert it.app.home.page is None


async def test_versions_differences_and_waste() -> None:
    async with running() as it:
        await it.press("f")
        await shown(it, "usr")
        page(it).reveal("/etc/passwd")
        await it.press("b")
        await shown(it, "layer   1  added", "layer   2  changed")
        await it.press("escape", "D")
        await shown(it, "+new", "-old")
        await it.press("escape")
        it.app.home.pane_of("waste").focus()
        await it.press("j")
        assert page(it).tree.selected is not None
        assert page(it).tree.selected.node.path == "/app/main.py"


async def test_a_containers_own_version_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as it:
        own = [Change("/etc/passwd", "C", 950), Change("/new", "A", 5), Change("/usr/bin/bash", "D")]
        it.engine.changes = lambda ref: own  # type: ignore[method-assign,assignment,misc]
        inside = {"/etc": DirectoryEntry("passwd", state(950, "file")), "/": DirectoryEntry("new", state(5, "file"))}
        monkeypatch.setattr(
            explorer(it), "directory", lambda ref, path, most: Directory(path, (inside[path],), False)
        )
        await it.press("f")
        await shown(it, "usr")
        for path, told in (
            ("/etc/passwd", ("layer   1  added", "layer   2  changed", "now        changed   950 bytes")),
            ("/new", ("now        added       5 bytes",)),
            ("/usr/bin/bash", ("now        deleted",)),
        ):
            page(it).reveal(path)
            await it.press("b")
            await shown(it, f"Versions of {path}", *told)
            await it.press("escape")


async def test_the_first_layer_differs_from_nothing() -> None:
    async with running() as it:
        await it.press("2", "f")
        await shown(it, "usr")
        page(it).strata.select("1")
        await shown(it, "after layer 1")
        page(it).reveal("/etc/hosts")
        await it.press("D")
        await shown(it, "127.0.0.1 localhost", "nothing lies under this layer")


async def test_a_wasted_path_is_gone_to() -> None:
    async with running() as it:
        await it.press("2", "f")
        await shown(it, "usr", "87.0% efficient")
        it.app.home.pane_of("waste").focus()
        await it.press("b")
        await shown(it, "Versions of /etc/passwd", "layer   1  added")
        await it.press("escape")
        it.app.home.pane_of("waste").focus()
        await it.press("enter")
        assert it.app.home.focus_name == "tree"
        assert page(it).tree.selected is not None
        assert page(it).tree.selected.node.path == "/etc/passwd"
        page(it).strata.select("1")
        await shown(it, "after layer 1")
        page(it).reveal("/app/main.py")
        await shown(it, "/app/main.py is not in what is shown here")


async def test_what_is_compared_is_taken_out_of_what_is_shown() -> None:
    async with running() as it:
        await it.press("f")
        await shown(it, "usr")
        page(it).compare("crawler-fetch-1", "nginx:1.27")
        await shown(it, "→ nginx:1.27", "contents, mode")
        page(it).reveal("/tmp/new")
        await it.press("X", "ctrl+u", "slash", *"srv")
        await shown(it, "$ pyctr-tui layers extract nginx:1.27 /tmp/new /srv")
        await it.press("enter")
        await it.until(lambda: ("extract", "nginx:1.27", "/tmp/new", "/srv") in explorer(it).calls)
        page(it).compare("nginx:1.27", "crawler-fetch-1")
        await shown(it, "→ crawler-fetch-1", "contents, mode")
        page(it).reveal("/tmp/new")
        await it.press("X", "ctrl+u", "slash", *"srv")
        await shown(it, "$ pyctr-tui cp crawler-fetch-1:/tmp/new /srv")
        await it.press("escape", "e")
        await shown(it, "Esc leaves the comparison")
        await it.press("escape", "m")
        it.app.home.pane_of("strata").focus()
        await it.press("j", "e")
        await shown(it, "the shell needs a real terminal")
        assert not [call for call in it.engine.calls if call[0] == "run"]


async def test_the_image_of_a_container_whose_name_has_moved_is_called_by_its_id() -> None:
    async with running() as it:
        for view in it.app.store.images:
            object.__setattr__(view, "id", "sha256:" + "f" * 64)
        await it.press("f")
        await shown(it, "usr")
        subject = page(it).subject
        assert subject is not None
        assert subject.image_name == subject.image.removeprefix("sha256:")[:12]


async def test_any_two_states_are_compared() -> None:
    async with running() as it:
        await it.press("f")
        await shown(it, "usr")
        await it.press("C", "tab", *"nginx", "colon", *"1", "full_stop", *"27", "enter")
        await shown(it, "→ nginx:1.27", "contents, mode 644 to 644")
        await it.press("escape", "C", "tab", *"nothing", "enter")
        await shown(it, "there is no container or image nothing")


async def test_extracting_is_a_job_with_its_command_line() -> None:
    async with running() as it:
        await it.press("2", "f")
        await shown(it, "usr")
        page(it).reveal("/app/main.py")
        await it.press("X", "ctrl+u", "slash", *"srv", "enter")
        await it.until(lambda: bool(explorer(it).calls))
        image = it.app.home.images.selected
        assert image is not None
        assert explorer(it).calls[-1][1:] == (f"{image.id}@4", "/app/main.py", "/srv")
        await it.press("J")
        await shown(it, "layers extract")


async def test_no_selection_is_told() -> None:
    engine = FakeEngine()
    engine._containers.clear()
    async with running(engine=engine) as it:
        await it.press("f")
        assert "select a container or an image first" in it.text()


async def test_hostile_names_stay_names() -> None:
    async with running() as it:
        explorer(it).extra = [TreeEntry(f"/x{n}{text}", 1, state(1, "file", text)) for n, text in enumerate(CORPUS)]
        await it.press("f")
        await shown(it, "usr")
        await it.press("G")
        assert all(character.isprintable() for character in it.text().replace("\n", ""))


def test_what_is_text() -> None:
    assert is_text("größer\n".encode())
    assert not is_text(b"\x00\x01")
    assert not is_text(bytes(range(128, 256)) * 4)
