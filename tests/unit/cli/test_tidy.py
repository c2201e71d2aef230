"""`prune` and its kin, `system df`, `system check --repair`: what is asked of the engine, and what is shown of it."""

from __future__ import annotations

import io
import json

import pytest

from pyctr_engine.model.host import Finding
from pyctr_engine.model.tidy import (
    ContainerUsage,
    DiskUsage,
    ImageUsage,
    LayerUsage,
    Pruned,
    PruneRequest,
    Repair,
    Usage,
    VolumeUsage,
)
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake import ID, FakeEngine

SYSTEM = PruneRequest(containers=True, images=True)


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ("prune -f", SYSTEM),
        ("system prune --force", SYSTEM),
        ("system prune -af", PruneRequest(containers=True, images=True, all_images=True)),
        ("system prune -f --volumes", PruneRequest(containers=True, images=True, volumes=True)),
        ("prune --dry-run", PruneRequest(containers=True, images=True, dry_run=True)),
        ("container prune -f", PruneRequest(containers=True)),
        ("image prune -f", PruneRequest(images=True)),
        ("image prune -f -a", PruneRequest(images=True, all_images=True)),
        ("image prune -f --filter dangling=false", PruneRequest(images=True, all_images=True)),
        ("image prune -f --filter dangling=true", PruneRequest(images=True)),
        ("volume prune -f", PruneRequest(volumes=True)),
        ("volume prune -fa", PruneRequest(volumes=True, all_volumes=True)),
        ("volume prune -f --filter all=1", PruneRequest(volumes=True, all_volumes=True)),
        ("container prune -f --filter until=1700000000", PruneRequest(containers=True, until=1.7e9)),
        (
            "container prune -f --filter label=a --filter label=b=c --filter label!=d",
            PruneRequest(containers=True, labels=("a", "b=c"), not_labels=("d",)),
        ),
    ],
)
def test_what_is_asked(cli: Cli, engine: FakeEngine, words: str, request_: PruneRequest) -> None:
    assert cli(*words.split())[0] == 0
    assert engine.calls == [("prune", request_)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("volume prune -f --filter until=1h", "volumes can't be chosen by until"),
        ("system prune -f --volumes --filter until=1h", "volumes can't be chosen by until"),
        ("container prune -f --filter dangling=true", "is unknown"),
        ("container prune -f --filter label", "is not KEY=VALUE"),
        ("image prune -f --filter dangling=perhaps", "neither true nor false"),
        ("container prune -f --filter until=yesterday", "is not a duration"),
    ],
)
def test_filters_that_cannot_be(cli: Cli, engine: FakeEngine, words: str, told: str) -> None:
    code, _, err = cli(*words.split())
    assert code == 125
    assert told in err
    assert engine.calls == []


@pytest.mark.parametrize(("answer", "goes"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_it_asks_first(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, answer: str, goes: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, _, err = cli("prune", "-a", "--volumes")
    for line in ("all stopped containers", "all unnamed volumes", "all images without at least one container"):
        assert line in err
    assert [call[0] for call in engine.calls] == (["prune"] if goes else [])
    assert code == (0 if goes else 1)
    assert ("nothing was removed" in err) is not goes


def test_what_went_is_shown_as_docker_does(cli: Cli, engine: FakeEngine) -> None:
    engine.pruned_ = Pruned(
        (ID,), ("untagged: a:1", "deleted: sha256:ab"), ("data",), ("cd",), ("sha256:ef",), 1234567, 2000000, 765433
    )
    out = cli("prune", "-f")[1]
    assert f"Deleted Containers:\n{ID}\n\nDeleted Volumes:\ndata\n\nDeleted Images:\nuntagged: a:1\n" in out
    assert out.endswith(
        "Total reclaimed space: 1.23MB (1234567 bytes)\nOn disk: 2000000 bytes before, 765433 after\n"
    )
    assert "Containers that would be deleted:" in cli("prune", "--dry-run")[1]
    shown = json.loads(cli("prune", "-f", "--format", "json")[1])
    assert shown["ImagesDeleted"] == [{"Untagged": "a:1"}, {"Deleted": "sha256:ab"}]
    assert shown["SpaceReclaimed"] == 1234567
    assert cli("prune", "-f", "--format", "{{.SpaceReclaimed}}")[1] == "1234567\n"


def test_what_was_left_is_said(cli: Cli, engine: FakeEngine) -> None:
    engine.pruned_ = Pruned(notes=("an image is being made",))
    code, out, err = cli("prune", "-f")
    assert code == 0
    assert "Total reclaimed space: 0B (0 bytes)" in out
    assert "an image is being made" in err


@pytest.fixture
def usage(engine: FakeEngine) -> None:
    engine.usage_ = DiskUsage(
        (Usage("Images", 2, 1, 3000, 1000), Usage("Local Volumes", 0, 0, 0, 0)),
        (ImageUsage("sha256:" + ID, ("a:1", "b:2"), None, 3000, 1000, 2000, 1500, 1500, 1),),
        (LayerUsage(ID, 1500, 7, ("sha256:" + ID,)),),
        (ContainerUsage(ID, "web", "a:1", "sleep 1", 0.0, True, 1, 400, 50),),
        (VolumeUsage("data", 700, ("web",)),),
        12,
    )


@pytest.mark.usefixtures("usage")
def test_df_looks_like_docker_s(cli: Cli) -> None:
    header, images, volumes = cli("system", "df")[1].splitlines()
    assert header.split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert images.split() == ["Images", "2", "1", "3kB", "1kB", "(33%)"]
    assert volumes.split() == ["Local", "Volumes", "0", "0", "0B", "0B"]
    rows = json.loads(cli("system", "df", "--format", "json")[1])
    assert rows[0]["SizeBytes"] == 3000
    assert cli("system", "df", "--format", "{{.Type}}: {{.Reclaimable}}")[1].startswith("Images: 1kB (33%)\n")


@pytest.mark.usefixtures("usage")
def test_df_in_full(cli: Cli) -> None:
    out = cli("system", "df", "-v")[1]
    for text in ("Images space usage:", "SHARED SIZE", "UNIQUE SIZE", "Local Volumes space usage:", "CHAIN ID"):
        assert text in out
    assert out.endswith("Blobs and layers that nothing refers to: 12B\n")
    tables = json.loads(cli("system", "df", "-v", "--format", "json")[1])
    assert [(row["Repository"], row["Tag"], row["UniqueBytes"]) for row in tables["Images"]] == [
        ("a", "1", 2000),
        ("b", "2", 2000),
    ]
    assert tables["Containers"][0]["LogsBytes"] == 50
    assert tables["Volumes"][0]["UsedBy"] == ["web"]
    assert tables["Layers"][0]["Images"] == ["sha256:" + ID]


def test_a_repair_is_told_then_checked(cli: Cli, engine: FakeEngine) -> None:
    engine.repairs_ = [Repair("leases", "released"), Repair("layer ab", "left: a container runs on it", done=False)]
    engine.findings_ = [Finding("fail", "layer ab", "is damaged", "stop it")]
    code, out, _ = cli("system", "check", "--repair")
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["done", "left", "fail", "stop"]
    assert engine.calls == [("repair",)]
    rows = json.loads(cli("system", "check", "--repair", "--format", "json")[1])
    assert [row["Level"] for row in rows] == ["done", "left", "fail"]
    engine.calls.clear()
    cli("system", "check")
    assert engine.calls == [], "a check alone changes nothing"
