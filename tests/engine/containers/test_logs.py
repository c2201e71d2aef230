"""What a container writes is kept, bounded, and read while it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyctr_engine.containers import logs as reading
from pyctr_engine.runtime import logs
from tests.engine.containers.conftest import Bench

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
