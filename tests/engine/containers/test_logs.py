"""What a container writes is kept, bounded, and read while it is written."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from pyctr_engine.containers import logs as reading
from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import ContainerRequest, HealthCheck, Logging
from pyctr_engine.runtime import logs
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root


def test_lines_are_kept_with_stream_and_time(bench: Bench) -> None:
    container = bench.start("sh", "-c", "echo a; echo b >&2; printf c")
    bench.engine.wait(container.id)
    lines = list(bench.engine.logs(container.id, follow=True))
    assert sorted((line.stream, line.text) for line in lines) == [("stderr", "b"), ("stdout", "a"), ("stdout", "c")]
    assert all(line.time >= container.status.started_at - 1 for line in lines)


def test_following_ends_with_the_container(bench: Bench) -> None:
    container = bench.start("sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.05; done")
    assert [line.text for line in bench.engine.logs(container.id, follow=True)] == ["1", "2", "3", "4", "5"]


def test_the_last_lines_and_those_since(bench: Bench) -> None:
    container = bench.start("sh", "-c", "for i in $(seq 100); do echo $i; done")
    bench.engine.wait(container.id)
    lines = list(bench.engine.logs(container.id, follow=True))
    assert [line.text for line in bench.engine.logs(container.id, tail=3)] == ["98", "99", "100"]
    assert list(bench.engine.logs(container.id, tail=0)) == []
    assert list(bench.engine.logs(container.id, since=lines[-1].time + 1)) == []


def test_a_flood_is_kept_whole_and_in_order(bench: Bench) -> None:
    container = bench.start("seq", "200000")
    bench.engine.wait(container.id)
    texts = [line.text for line in bench.engine.logs(container.id, follow=True)]
    assert texts == [str(number) for number in range(200_001 - len(texts), 200_001)]
    assert len(texts) == 200_000


def test_the_log_is_rotated_and_bounded(tmp_path: Path) -> None:
    writer = logs.LogWriter(str(tmp_path), logs.Rotation(10_000, 3))
    for number in range(2000):
        writer.write("stdout", b"line %d\n" % number, 1.0)
    writer.close()
    files = sorted(os.listdir(tmp_path / "logs"))
    assert files == ["container.jsonl", "container.jsonl.1", "container.jsonl.2"]
    assert all((tmp_path / "logs" / name).stat().st_size <= 10_000 for name in files)
    texts = [line.text for line in reading.read(str(tmp_path), False, None, None, lambda: False)]
    assert texts == [f"line {number}" for number in range(2000 - len(texts), 2000)]


def test_long_lines_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    writer = logs.LogWriter(str(tmp_path), logs.Rotation(1 << 20, 2))
    writer.write("stdout", b"x" * 40_000, 1.0)
    writer.write("stdout", b"\n\xff\x00\x1b[31m\n", 1.0)
    writer.close()
    texts = [line.text for line in reading.read(str(tmp_path), False, None, None, lambda: False)]
    assert "".join(texts[:-1]) == "x" * 40_000
    assert max(len(text) for text in texts) == logs.MAX_LINE
    assert texts[-1] == "\ufffd\x00\x1b[31m"


def test_a_log_that_cannot_be_written_loses_lines_not_the_container(tmp_path: Path) -> None:
    writer = logs.LogWriter(str(tmp_path), logs.Rotation(1 << 20, 2))
    writer.write("stdout", b"first\n", 1.0)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._fd)
    os.close(full)
    writer.write("stdout", b"a\nb\n", 1.0)
    os.dup2(os.open(writer.path, os.O_WRONLY | os.O_APPEND), writer._fd)  # there is room again
    writer.write("stdout", b"c\n", 1.0)
    writer.close()
    texts = [line.text for line in reading.read(str(tmp_path), False, None, None, lambda: False)]
    assert texts == ["first", "[2 lines dropped: the log could not be written: No space left on device]", "c"]


def test_the_last_lines_of_many_files_are_read_from_their_ends(tmp_path: Path) -> None:
    writer = logs.LogWriter(str(tmp_path), logs.Rotation(1 << 20, 5))
    for number in range(60_000):
        writer.write("stdout", b"line %d\n" % number, float(number))
    writer.close()

    def texts(**options: float) -> list[str]:
        tail = int(options.pop("tail", -1))
        found = reading.read(
            str(tmp_path),
            False,
            None if tail < 0 else tail,
            options.get("since"),
            lambda: False,
            options.get("until"),
        )
        return [line.text for line in found]

    everything = texts()
    for tail in (0, 1, 7, 20_000, 10**6):
        assert texts(tail=tail) == everything[len(everything) - min(tail, len(everything)) :]
    assert texts(tail=2, until=50_000) == ["line 49999", "line 50000"]
    assert texts(since=59_998) == ["line 59998", "line 59999"]
    assert texts(tail=5, since=59_998) == ["line 59998", "line 59999"]
    assert texts(since=50_000, until=50_001) == ["line 50000", "line 50001"]


def test_lines_over_the_rate_are_dropped_and_counted(bench: Bench) -> None:
    script = "seq 1000; sleep 0.2; echo later; sleep 1000"
    container = bench.start("sh", "-c", script, logging=Logging(rate=100))
    until(lambda: any(line.dropped for line in bench.engine.logs(container.id)), 6)
    lines = list(bench.engine.logs(container.id))
    kept = [line for line in lines if not line.dropped]
    assert [line.text for line in kept[:100]] == [str(number) for number in range(1, 101)]
    assert len(kept) + sum(line.dropped for line in lines) == 1001
    assert "more than 100 a second" in next(line.text for line in lines if line.dropped)


def test_a_log_can_be_kept_smaller_or_not_at_all(bench: Bench) -> None:
    small = bench.start("sh", "-c", "seq 100000", logging=Logging(max_size=64 << 10, max_files=2))
    none = bench.start("sh", "-c", "seq 1000; sleep 0.1", logging=Logging(max_size=0))
    bench.engine.wait(small.id)
    bench.engine.wait(none.id)
    directory = Path(bench.engine.log_file(small.id)).parent
    assert sum(file.stat().st_size for file in directory.iterdir()) <= 128 << 10
    assert list(bench.engine.logs(small.id))[-1].text == "100000"
    assert list(bench.engine.logs(none.id)) == []
    with pytest.raises(InvalidValue, match="too small"):
        bench.engine.create(ContainerRequest(IMAGE, logging=Logging(max_size=1)))


def test_a_line_of_megabytes_is_kept_in_pieces_that_say_so(bench: Bench) -> None:
    container = bench.start("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after")
    bench.engine.wait(container.id)
    lines = list(bench.engine.logs(container.id))
    assert "".join(line.text for line in lines[:-1]) == "x" * 3_000_000
    assert [line.partial for line in lines[:-2]] == [True] * (len(lines) - 2)
    assert (lines[-2].partial, lines[-1].text) == (False, "after")


def test_a_stalled_disk_delays_neither_names_nor_health_nor_exec(bench: Bench) -> None:
    """Its log is a pipe that nobody reads: opening it waits, as a write to a disk does that is gone."""
    container = bench.engine.create(
        ContainerRequest(
            IMAGE,
            command=("sh", "-c", "while :; do seq 100000; done"),
            health=HealthCheck(("CMD", "true"), interval=0.1),
            stop_grace=0.0,
        )
    )
    log = Path(bench.engine.log_file(container.id))
    log.parent.mkdir(mode=0o700)
    os.mkfifo(log)
    bench.engine.start(container.id)
    time.sleep(0.5)
    began = time.monotonic()
    assert bench.exec(container, "echo", "here").out == "here\n"
    bench.engine.rename(container.id, "stalled")
    until(lambda: bench.engine.container(container.id).status.health == "healthy")
    assert time.monotonic() - began < 5
    with subprocess.Popen(["cat", str(log)], stdout=subprocess.DEVNULL):  # the disk is back
        bench.engine.stop(container.id)


def test_who_follows_loses_nothing_to_rotation(bench: Bench) -> None:
    container = bench.start("sh", "-c", "seq 60000", logging=Logging(max_size=512 << 10, max_files=9))
    texts = [line.text for line in bench.engine.logs(container.id, follow=True)]
    assert texts == [str(number) for number in range(1, 60_001)]
