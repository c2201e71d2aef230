"""Reading ELF files: what readelf says of them is what we read."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from pyctr_engine.images import elf


def made(needed: list[bytes], runpath: bytes = b"", interpreter: bytes = b"", wide: bool = True) -> bytes:
    """A tiny little-endian ELF file: one segment maps all of it at 0x10000; a dynamic section, an interpreter."""
    strings, offsets = b"\0", []
    for text in [*needed, runpath]:
        offsets.append(len(strings))
        strings += text + b"\0"
    word, header, program = ("Q", 64, 56) if wide else ("I", 52, 32)
    base = header + 3 * program
    tags = [(1, offset) for offset in offsets[:-1]] + ([(29, offsets[-1])] if runpath else [])
    tags += [(5, 0x10000 + base), (0, 0)]
    dynamic = b"".join(struct.pack(f"<{word}{word}", *tag) for tag in tags)
    body = strings + dynamic + interpreter + b"\0"
    segments = [
        (1, 0, 0x10000, base + len(body)),
        (2, base + len(strings), 0x10000 + base + len(strings), len(dynamic)),
        (3, base + len(strings) + len(dynamic), 0, len(interpreter) + 1 if interpreter else 0),
    ]
    if wide:
        head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, header, 0, 0, header, program, 3, 0, 0, 0)
        table = b"".join(struct.pack("<IIQQQQQQ", k, 0, o, a, a, s, s, 1) for k, o, a, s in segments)
    else:
        head = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
        head += struct.pack("<HHIIIIIHHHHHH", 3, 3, 1, 0, header, 0, 0, header, program, 3, 0, 0, 0)
        table = b"".join(struct.pack("<IIIIIIII", k, o, a, a, s, s, 0, 1) for k, o, a, s in segments)
    return head + table + body


def read(path: Path, data: bytes) -> elf.Elf | None:
    path.write_bytes(data)
    return elf.read(str(path))


def test_both_classes_are_read(tmp_path: Path) -> None:
    for wide, machine in ((True, (62, 2)), (False, (3, 1))):
        data = made([b"libc.so.6", b"libx.so"], b"$ORIGIN/../lib:/opt", b"/lib/ld.so", wide)
        assert read(tmp_path / "x", data) == elf.Elf(
            "/lib/ld.so", ("libc.so.6", "libx.so"), ("$ORIGIN/../lib", "/opt"), machine
        )


def test_damage_is_no_elf_file(tmp_path: Path) -> None:
    data = made([b"libc.so.6"])
    assert read(tmp_path / "a", b"#!/bin/sh\n") is None
    assert read(tmp_path / "b", b"") is None
    for cut in (10, 60, 70, 130):
        assert read(tmp_path / "c", data[:cut]) is None


def test_libraries_of_libraries_are_found_by_runpath(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libone.so").write_bytes(made([b"libtwo.so"], b"$ORIGIN"))
    (tmp_path / "lib" / "libtwo.so").write_bytes(made([b"libone.so", b"libnowhere.so"]))
    (tmp_path / "program").write_bytes(made([b"libone.so"], b"$ORIGIN/lib"))
    closure = elf.Closure()
    closure.add(str(tmp_path / "program"))
    assert closure.files == {
        f"{tmp_path}/lib/{name}": f"{tmp_path}/lib/{name}" for name in ("libone.so", "libtwo.so")
    }


def test_a_library_of_another_machine_is_passed_over(tmp_path: Path) -> None:
    for directory, wide in (("32", False), ("64", True)):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "libx.so").write_bytes(made([], wide=wide))
    (tmp_path / "program").write_bytes(made([b"libx.so"], b"$ORIGIN/32:$ORIGIN/64"))
    closure = elf.Closure()
    closure.add(str(tmp_path / "program"))
    assert list(closure.files) == [f"{tmp_path}/64/libx.so"]


def test_the_running_interpreter_needs_a_c_library() -> None:
    closure = elf.Closure()
    closure.add(os.path.realpath(sys.executable))
    assert any(os.path.basename(path).startswith("libc.") for path in closure.files)
    assert all(os.path.isfile(source) for source in closure.files.values())
