"""BPF: loading a device program and attaching it to a cgroup.

Sources: bpf(2), admin-guide/cgroup-v2.rst ("Device controller"), linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from pyctr_engine.linux.libc import syscall

_PROG_LOAD, _PROG_ATTACH = 5, 8
_TYPE_CGROUP_DEVICE, _ATTACH_CGROUP_DEVICE = 15, 6
_ALLOW_MULTI = 2
"""A cgroup above may have a program of its own (systemd's, a container's): all must allow."""

_LOAD_WORD, _MOVE, _MOVE_FROM, _AND, _SHIFT_RIGHT = 0x61, 0xB7, 0xBF, 0x57, 0x77
_JUMP_NOT_EQUAL, _EXIT = 0x55, 0x95
_CONTEXT, _KIND, _ACCESS, _MAJOR, _MINOR, _REST, _ANSWER = 1, 2, 3, 4, 5, 6, 0  # registers
_KINDS = {"b": 1, "c": 2}
_LETTERS = {"m": 1, "r": 2, "w": 4}


class _Load(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("instructions", ctypes.c_char_p),
        ("license", ctypes.c_char_p),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log", ctypes.c_uint64),
        ("kernel_version", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]


class _Attach(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("target", "program", "type", "flags", "replaced")]


def device_program(rules: Iterable[tuple[str, int, int, str]]) -> bytes:
    """A program that allows what one of the rules allows, and nothing else.

    A rule is (``c``, ``b`` or ``a`` for both, major, minor, letters of ``rwm``); -1 is any number.
    """
    code = [
        _instruction(_LOAD_WORD, _KIND, _CONTEXT, 0),  # access << 16 | kind
        _instruction(_MOVE_FROM, _ACCESS, _KIND),
        _instruction(_AND, _KIND, immediate=0xFFFF),
        _instruction(_SHIFT_RIGHT, _ACCESS, immediate=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in rules:
        code += _rule(*rule)
    code += [_instruction(_MOVE, _ANSWER, immediate=0), _instruction(_EXIT)]
    return b"".join(code)


def _rule(kind: str, major: int, minor: int, access: str) -> list[bytes]:
    """Its checks, each of which leads past its end when it fails; then "yes"."""
    refused = ~sum(_LETTERS[letter] for letter in set(access)) & 7
    checks = [(_KIND, _KINDS[kind])] if kind in _KINDS else []
    checks += [(register, number) for register, number in ((_MAJOR, major), (_MINOR, minor)) if number >= 0]
    length = len(checks) + 5
    code = [_instruction(_MOVE_FROM, _REST, _ACCESS), _instruction(_AND, _REST, immediate=refused)]
    for position, (register, number) in enumerate([(_REST, 0), *checks], start=2):
        code.append(_instruction(_JUMP_NOT_EQUAL, register, offset=length - position - 1, immediate=number))
    return [*code, _instruction(_MOVE, _ANSWER, immediate=1), _instruction(_EXIT)]


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("=BBhi", code, source << 4 | target, offset, immediate)


def attach_device_program(cgroup: str, program: bytes) -> None:
    """Attach it to a cgroup of the unified tree; it goes with that. Needs CAP_BPF and CAP_NET_ADMIN, or SYS_ADMIN.

    Raises OSError: EINVAL where the kernel has no such programs.
    """
    load = _Load(_TYPE_CGROUP_DEVICE, len(program) // 8, program, b"GPL")
    loaded = syscall("bpf", _PROG_LOAD, load, ctypes.sizeof(load), path=cgroup)
    try:
        directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            attach = _Attach(directory, loaded, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI)
            syscall("bpf", _PROG_ATTACH, attach, ctypes.sizeof(attach), path=cgroup)
        finally:
            os.close(directory)
    finally:
        os.close(loaded)
