"""Containers, checkpoints, images and their layers side by side, by API and by the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import Conflict, InvalidValue, NotFound
from pyctr_engine.model.spec import CommitRequest, ContainerRequest, Mount, Port
from pyctr_tui.cli.main import main
from tests.engine.containers.conftest import Bench, collect

pytestmark = pytest.mark.root

FIRST = """
mkdir /d; seq 1 20 > /d/text; printf 'a\\0b' > /d/binary; echo gone > /d/gone; ln -s text /d/link; echo k > /kept
"""
SECOND = """
sed -i 's/^10$/ten/' /d/text; printf 'a\\0c' > /d/binary; rm /d/gone; ln -sf other /d/link; chmod 700 /d; touch /kept
"""


@pytest.fixture
def two(bench: Bench) -> tuple[str, str]:
    """An image, and a container of it that went on, with a checkpoint ``p`` of where it began."""
    container = bench.start("sh", "-c", f"{FIRST} sleep 1000")
    while bench.exec(container, "test", "-e", "/kept").code:
        pass
    bench.engine.commit(container.id, CommitRequest("two:1"))
    bench.engine.checkpoint(container.id, "p")
    assert bench.exec(container, "sh", "-ec", SECOND).code == 0
    yield "two:1", container.name  # type: ignore[misc]
    bench.engine.remove(container.id, force=True)
    bench.engine.remove_image("two:1", force=True)


def told(bench: Bench, one: str, other: str, path: str = "/") -> dict[str, tuple[str, tuple[str, ...]]]:
    return {found.path: (found.kind, found.what) for found in bench.engine.explore.compare(one, other, path)}


def test_an_image_a_checkpoint_and_a_container(bench: Bench, two: tuple[str, str]) -> None:
    image, container = two
    changed = {
        "/d": ("C", ("mode",)),
        "/d/binary": ("C", ("contents",)),
        "/d/gone": ("D", ()),
        "/d/link": ("C", ("target",)),
        "/d/text": ("C", ("contents",)),
    }
    assert told(bench, image, container) == changed
    assert told(bench, f"{container}@p", container) == changed
    assert told(bench, image, f"{container}@p") == {}
    assert told(bench, container, container) == {}
    assert told(bench, container, image)["/d/gone"] == ("A", ())
    assert told(bench, image, container, "/d/text") == {"/d/text": ("C", ("contents",))}
    assert told(bench, "pyctr/base", f"{image}@1") == {}
    assert told(bench, f"{image}@1", image).keys() == {
        "/d", "/d/binary", "/d/gone", "/d/link", "/d/text", "/kept"
    }  # fmt: skip
    for ref in ("nothing", f"{container}@none", "nothing@1"):
        with pytest.raises(NotFound):
            told(bench, image, ref)
    with pytest.raises(InvalidValue):
        told(bench, image, f"{image}@9")


def test_texts_line_by_line(bench: Bench, two: tuple[str, str]) -> None:
    image, container = two
    lines = bench.engine.explore.text_difference(image, container, "/d/text")
    assert lines[:2] == [f"--- {image}:/d/text", f"+++ {container}:/d/text"]
    assert lines[2] == "@@ -7,7 +7,7 @@"
    assert [line for line in lines[3:] if line[0] != " "] == ["-10", "+ten"]
    assert bench.engine.explore.text_difference(image, container, "/d/binary")[0].startswith("Binary files")
    assert bench.engine.explore.text_difference(image, container, "/d/gone")[-1] == "-gone"
    assert bench.engine.explore.text_difference(image, container, "/kept") == []


def test_files_of_each_are_read(bench: Bench, two: tuple[str, str]) -> None:
    image, name = two
    explore = bench.engine.explore
    texts = [b"".join(explore.read(ref, "/d/text")).splitlines()[9] for ref in (name, f"{name}@p", image)]
    assert texts == [b"ten", b"10", b"10"]
    for ref, path in ((name, "/d/gone"), (f"{name}@none", "/d/text"), ("none", "/d/text")):
        with pytest.raises(NotFound):
            explore.read(ref, path)
    for path in ("/d", "/dev"):
        with pytest.raises(InvalidValue):
            explore.read(name, path)
    container = bench.engine.container(name)
    assert bench.exec(container, "ln", "-sf", "../../../../../etc/machine", "/d/link").code == 0
    with pytest.raises(NotFound):
        explore.read(name, "/d/link")
    assert bench.exec(container, "sh", "-c", "echo inside > /etc/machine").code == 0
    assert b"".join(explore.read(name, "/d/link")) == b"inside\n"


def test_files_of_each_are_taken_out(bench: Bench, two: tuple[str, str], tmp_path: Path) -> None:
    image, name = two
    explore = bench.engine.explore
    for number, ref in enumerate((f"{name}@p", image)):
        place = Path(explore.extract(ref, "/d", str(tmp_path / f"d{number}")))
        assert (place / "text").read_bytes().splitlines()[9] == b"10"
        assert (place / "gone").exists()
        assert place.stat().st_uid == 0
    with pytest.raises(InvalidValue, match="may change"):
        explore.extract(name, "/d", str(tmp_path / "own"))
    assert sorted(found for found in os.listdir(tmp_path) if found.startswith("d")) == ["d0", "d1"]


def test_directories_of_each_are_listed(bench: Bench, two: tuple[str, str]) -> None:
    image, name = two
    explore = bench.engine.explore
    seen = {ref: {one.name: one.state for one in explore.directory(ref, "/d").entries} for ref in (name, image)}
    assert set(seen[name]) == {"text", "binary", "link"}
    assert set(seen[image]) == {"text", "binary", "link", "gone"}
    assert (seen[name]["link"].target, seen[name]["binary"].size) == ("other", 3)
    some = explore.directory(name, "/etc", 3)
    assert (len(some.entries), some.more) == (3, True)
    with pytest.raises(InvalidValue):
        explore.directory(name, "/d/text")
    with pytest.raises(NotFound):
        explore.directory(name, "/nowhere")


def test_files_of_a_volume_and_no_way_out_of_it(bench: Bench) -> None:
    engine = bench.engine
    engine.create_volume("browsed")
    with pytest.raises(Conflict):
        engine.create_volume("browsed")
    script = "mkdir /v/in; echo text > /v/in/file; ln -s ../../../../../etc /v/out; ln -s in /v/there; mkfifo /v/fifo"
    assert bench.run("sh", "-c", script, mounts=(Mount("volume", "browsed", "/v"),)).code == 0
    explore = engine.explore
    root = {one.name: one.state.type for one in explore.directory("volume://browsed").entries}
    assert root == {"fifo": "fifo", "in": "directory", "out": "symlink", "there": "symlink"}
    assert b"".join(explore.read("volume://browsed", "/there/file")) == b"text\n"
    for path in ("/out", "/out/passwd", "/none"):
        with pytest.raises((NotFound, InvalidValue)):
            explore.directory("volume://browsed", path)
    with pytest.raises(InvalidValue):
        explore.read("volume://browsed", "/fifo")
    with pytest.raises(NotFound):
        explore.directory("volume://none")
    engine.remove_volume("browsed")


def test_who_is_on_which_network(bench: Bench) -> None:
    on = bench.start("sleep", "1000", aliases=("www",), ports=(Port(80, 0, "127.0.0.1"),))
    off = bench.start("sleep", "1000", network="none")
    found = {use.network.name: use for use in bench.engine.networks()}
    member = next(one for one in found["bridge"].members if one.id == on.id)
    assert found["bridge"].network.bridge.startswith("pyctr")
    assert member.address == bench.engine.container(on.id).spec.address.partition("/")[0]
    assert (member.names, member.is_up) == ((on.name, "www"), True)
    assert [(port.container_port, port.host_ip) for port in member.ports] == [(80, "127.0.0.1")]
    assert member.ports[0].host_port > 0
    assert off.id in {one.id for one in found["none"].members}
    for one in (on, off):
        bench.engine.remove(one.id, force=True)


def test_a_symlink_swapped_in_leads_nowhere(bench: Bench, two: tuple[str, str], tmp_path: Path) -> None:
    """A live container may put a link to the host's directories where one was: it is compared as a link."""
    image, container = two
    (tmp_path / "text").write_text("secret")
    bench.exec(bench.engine.container(container), "sh", "-c", f"rm -r /d; ln -s {tmp_path} /d")
    found = told(bench, image, container)
    assert found["/d"] == ("C", ("type",))
    assert found["/d/text"] == ("D", ())
    with pytest.raises(NotFound):
        bench.engine.explore.text_difference("pyctr/base", container, "/d/text")


def test_a_container_in_the_state_after_a_layer(bench: Bench, two: tuple[str, str]) -> None:
    image, _ = two
    request = ContainerRequest(f"{image}@1", command=("sh", "-c", "ls -d /d; echo own > /own"))
    container, session = bench.engine.run(request)
    assert collect(session).code == 0
    assert {change.path for change in bench.engine.changes(container.id)} == {"/own"}
    made = bench.engine.commit(container.id, CommitRequest("own:1"))
    assert made.layers == 2
    assert told(bench, "pyctr/base", "own:1") == {"/own": ("A", ())}
    assert container.id in bench.engine.image(image).used_by
    bench.engine.remove_image("own:1")
    with pytest.raises(Conflict):
        bench.engine.remove_image(image)


def test_the_command_line(
    bench: Bench, two: tuple[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    image, container = two

    def cli(*words: str) -> str:
        assert main(words, Engine(bench.engine.paths)) == 0
        return capfd.readouterr().out

    assert cli("compare", image, container).splitlines() == [
        "C /d (mode 755 to 700)",
        "C /d/binary (contents, 3 to 3 bytes)",
        "D /d/gone",
        "C /d/link (target text to other)",
        "C /d/text (contents, 51 to 52 bytes)",
    ]
    assert "+ten" in cli("compare", "-u", image, container, "/d").splitlines()
    assert main(["compare", "-q", image, container], Engine(bench.engine.paths)) == 1
    assert main(["compare", "-q", image, f"{container}@p"], Engine(bench.engine.paths)) == 0
    rows = json.loads(cli("compare", "--format", "json", image, container))
    assert rows[0]["After"]["Mode"] == "drwx------"
    assert cli("layers", "cat", image, "/d/link").startswith("1\n2\n")
    assert cli("layers", "--changes", "2", image, "/d").split("\n")[0].split() == [
        "2", "A", "drwxr-xr-x", "0:0", "0", "/d"
    ]  # fmt: skip
    assert cli("layers", "--versions", image, "/kept").count("\n") == 1
    assert cli("layers", "--tree", image, "/d").count("\n") == 5
    assert cli("layers", "--waste", image).startswith("Efficiency: ")
    listed = json.loads(cli("layers", image, "--format", "json"))
    assert [row["Layer"] for row in listed] == [1, 2]
    assert "pyctr/base:latest" in listed[0]["SharedWith"]
    cli("layers", "extract", image, "/d", str(tmp_path / "out"))
    assert (tmp_path / "out" / "gone").read_text() == "gone\n"
    assert cli("run", "--rm", "--layer", "1", image, "sh", "-c", "ls -d /d /etc 2>/dev/null; true") == "/etc\n"
    assert cli("checkpoint", "ls", "-q", container) == "p\n"
    assert cli("checkpoint", "create", "-m", "later", container) == "1\n"
    assert cli("checkpoint", "restore", container, "p") == f"{container} (stopped, and started again)\n"
    branch = cli("checkpoint", "branch", container, "p", "other").strip()
    assert cli("checkpoint", "rm", container, "p", "1") == "p\n1\n"
    assert cli("rm", branch)
    table = cli("diff", "--size", container).splitlines()
    assert table[0].split() == ["KIND", "TYPE", "SIZE", "PATH"]
    assert ["A", "file", "51", "/d/text"] in [line.split() for line in table]
