"""Id ranges and the record of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctr_engine.containers import idranges, store
from pyctr_engine.database import Database
from pyctr_engine.errors import Conflict, InvalidValue, NotFound, StoreError
from pyctr_engine.model.spec import ContainerRequest, ContainerSpec, Device, IdExtent, Mount, Port, Resources


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(str(tmp_path / "db"))


def spec(id: str, name: str) -> ContainerSpec:
    request = ContainerRequest(
        "i", command=("a",), entrypoint=(), env=("A=1",), mounts=(Mount("tmpfs", "", "/t"),), ports=(Port(80),),
        devices=(Device("/dev/null", "/dev/x"),), resources=Resources(memory=1 << 30, cpus=0.5),
        ulimits={"nofile": (1, 2)}, extra_hosts=(("h", "1.2.3.4"),), labels={"l": "v"},
    )  # fmt: skip
    return ContainerSpec(
        id=id, name=name, image="i", image_id="sha256:0", argv=("a",), request=request, env=("A=1",), working_dir="/",
        user="", hostname="h", stop_signal="SIGTERM", mounts=request.mounts, labels={"l": "v"}, chain=("l/A",),
        ids=(IdExtent(0, 524288, 65536),), address="10.0.0.2/16", created=1.5,
    )  # fmt: skip


def test_a_spec_is_read_back_as_it_was_written() -> None:
    one = spec("ab" * 32, "one")
    assert store.decode(store.encode(one)) == one


def test_a_container_is_found_by_name_id_and_prefix(database: Database) -> None:
    first, second = spec("ab" * 32, "one"), spec("ac" * 32, "two")
    with database.transaction() as connection:
        store.insert(connection, first)
        store.insert(connection, second)
    assert store.find(database, "one") == first
    assert store.find(database, "ab") == first
    assert store.find(database, second.id) == second
    with pytest.raises(InvalidValue, match="several"):
        store.find(database, "a")
    with pytest.raises(NotFound):
        store.find(database, "zz")
    with pytest.raises(Conflict), database.transaction() as connection:
        store.insert(connection, spec("ad" * 32, "one"))
    assert [item.name for item in store.all_specs(database)] == ["one", "two"]


def test_ranges_never_overlap_and_are_used_again(database: Database) -> None:
    with database.transaction() as connection:
        maps = [idranges.lease(connection, str(number), ()) for number in range(5)]
        starts = [extents[0].host for extents in maps]
        assert len({start // 65536 for start in starts}) == 5
        idranges.release(connection, "2")
        assert idranges.lease(connection, "new", ())[0].host == starts[2]


def test_large_ids_get_extents_of_their_own(database: Database) -> None:
    with database.transaction() as connection:
        extents = idranges.lease(connection, "a", ((70000, 3), (1_000_000_000, 1)))
        following = idranges.lease(connection, "b", ())
    first = extents[0].host
    assert extents == (
        IdExtent(0, first, 65536),
        IdExtent(70000, first + 65536, 3),
        IdExtent(1_000_000_000, first + 65539, 1),
    )
    assert following[0].host == first + 2 * 65536


def test_too_many_runs_are_refused_with_the_way_out(database: Database) -> None:
    runs = [(70000 + 2 * number, 1) for number in range(400)]
    with pytest.raises(StoreError) as caught, database.transaction() as connection:
        idranges.lease(connection, "a", runs)
    assert "--userns=host" in caught.value.hint


def test_what_subuid_gives_to_root_is_used(tmp_path: Path) -> None:
    (tmp_path / "uid").write_text("root:100000:131072\nother:300000:65536\n")
    (tmp_path / "gid").write_text("root:100000:131072\n")
    found = idranges.configured_ranges(str(tmp_path / "uid"), str(tmp_path / "gid"))
    assert found == [(100000, 131072)]
    assert idranges.configured_ranges(str(tmp_path / "none"), str(tmp_path / "none")) == [(524288, 1878523904)]


def test_what_is_given_to_other_users_is_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uid").write_text("a:100000:65536\nb:558752:65536\nc:624288:65536\n# d\ne:x:1\n")
    (tmp_path / "gid").write_text("a:100000:65536\nf:600000:10\ng:1879048000:65536\nroot:2000000:65536\n")
    found = idranges.configured_ranges(str(tmp_path / "uid"), str(tmp_path / "gid"))
    assert found == [(524288, 558752 - 524288), (689824, 1879048000 - 689824)]
    monkeypatch.setattr(idranges, "configured_ranges", lambda: found)
    with Database(str(tmp_path / "db")).transaction() as connection:
        (extent,) = idranges.lease(connection, "1", ())
    assert extent.host == 11 * 65536, "the first whole range after those of the others"


def test_a_chosen_range_of_users_may_overlap_with_its_own_of_groups(database: Database) -> None:
    with database.transaction() as connection:
        found = idranges.lease_fixed(connection, "a", 3_000_000, 3_000_500, 1000)
        idranges.lease_fixed(connection, "b", 3_001_500, 5_000_000, 500)
    assert found == ((IdExtent(0, 3_000_000, 1000),), (IdExtent(0, 3_000_500, 1000),))
    for first in (2_999_500, 3_001_499, 5_000_499):
        with pytest.raises(Conflict, match="overlap"), database.transaction() as connection:
            idranges.lease_fixed(connection, "c", first, first, 501)
