"""seccomp: installing a compiled filter, and compiling one with libseccomp. Source: seccomp(2)."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from pyctr_engine.linux.libc import syscall

_SET_MODE_FILTER = 1
ENOSYS = 38

_ARM_PRIVATE = 0x0F0000
_I386, _I386_SOCKETCALL, _SOCKETCALL_SOCKET = 0x40000003, 102, 1
_ERRNO_ENOSYS = 0x00050000 | ENOSYS
_LOAD, _JUMP_EQ, _JUMP_GT, _JUMP_GE, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x06  # of linux/bpf_common.h


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class Condition(NamedTuple):
    """On one argument; ``comparison`` is ``EQ NE LT LE GE GT`` or ``MASKED_EQ`` (mask ``value``, then ``second``)."""

    argument: int
    comparison: str
    value: int
    second: int = 0


class Action(NamedTuple):
    """``ALLOW ERRNO KILL_PROCESS KILL_THREAD LOG TRAP`` or ``TRACE``; ``number`` is ERRNO's or TRACE's."""

    name: str
    number: int = 0


class Rule(NamedTuple):
    """What happens to a call for which all ``conditions`` hold."""

    call: str
    action: Action
    conditions: tuple[Condition, ...] = ()


def install(program: bytes) -> None:
    """Install a filter on this thread: ``struct sock_filter`` items of 8 bytes each.

    Needs no_new_privs or CAP_SYS_ADMIN.
    """
    syscall("seccomp", _SET_MODE_FILTER, 0, _Program(len(program) // 8, program))


def compile_filter(rules: Sequence[Rule], default: Action, architectures: Sequence[str] = (), own: str = "") -> bytes:
    """Compile a filter; ``architectures`` (libseccomp's names) are understood beside ``own``, or else this machine's.

    Calls that libseccomp doesn't know are passed over. Where the default refuses, those newer than all that the rules
    name are answered with ENOSYS, as from an old kernel: whoever tries them then falls back to what it did before.

    Raises:
        ImportError, OSError: libseccomp or its binding is not installed.
        ValueError: rules that it can't make into a filter.
    """
    import tempfile

    import pyseccomp

    def action_of(action: Action) -> Any:
        made = getattr(pyseccomp, action.name)
        return made(action.number) if action.name in ("ERRNO", "TRACE") else made

    fallback = action_of(default)
    policy = pyseccomp.SyscallFilter(fallback)
    # A binary tree, not a list: the kernel walks it for every call there is when it is installed (0.3 ms, not 0.5).
    policy.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
    policy.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ERRNO(ENOSYS))
    if own:
        policy.add_arch(getattr(pyseccomp.Arch, own))
        policy.remove_arch(pyseccomp.Arch.NATIVE)
    for name in architectures:
        policy.add_arch(getattr(pyseccomp.Arch, name))
    newest = 0
    for rule in rules:
        number = _number(pyseccomp, rule.call)
        newest = max(newest, _number(pyseccomp, rule.call, own) if own else number)
        action = action_of(rule.action)
        # libseccomp refuses to be told what it does anyway
        if number == -1 or (action == fallback and not rule.conditions):
            continue
        arguments = [
            pyseccomp.Arg(one.argument, getattr(pyseccomp, one.comparison), one.value, one.second)
            for one in rule.conditions
        ]
        try:
            policy.add_rule(action, number, *arguments)
        except OSError as error:
            raise ValueError(f"{rule.call}: {error.strerror}") from error
    with tempfile.TemporaryFile() as file:
        policy.export_bpf(file)
        file.seek(0)
        program = file.read()
    if default.name in ("ALLOW", "LOG"):
        return program
    by_argument = any(rule.call == "socket" and rule.conditions for rule in rules) and not any(
        rule.call == "socketcall" and rule.action.name == "ALLOW" for rule in rules
    )
    return _refusing_newer(newest) + (_NO_SOCKET_BY_SOCKETCALL if by_argument else b"") + program


def library() -> str:
    """The file of the libseccomp that `compile_filter` has used; empty when there is none to be told from others."""
    with open("/proc/self/maps") as file:
        paths = (line.split(maxsplit=5)[5:] for line in file)
        return next((path[0].rstrip("\n") for path in paths if path and "/libseccomp" in path[0]), "")


def _number(pyseccomp: Any, name: str, architecture: str = "NATIVE") -> int:
    """A call's number, -1 when it is unknown; less for one that only another architecture has."""
    try:
        return int(pyseccomp.resolve_syscall(getattr(pyseccomp.Arch, architecture), name))
    except (ValueError, OSError):
        return -1


def _refusing_newer(newest: int) -> bytes:
    """What goes before a filter: ENOSYS for numbers above ``newest``, but for those that 32-bit ARM has of its own.

    All architectures number what is new alike. Numbers of x32, with their bit 30, are among the large ones.
    """
    return _assembled(
        (_LOAD, 0, 0, 0),
        (_JUMP_GT, 0, 3, newest),
        (_JUMP_GE, 0, 1, _ARM_PRIVATE),
        (_JUMP_GE, 0, 1, _ARM_PRIVATE + 0x10000),
        (_RETURN, 0, 0, _ERRNO_ENOSYS),
    )


def _assembled(*instructions: tuple[int, int, int, int]) -> bytes:
    """Instructions (code, jump if true, jump if false, value) as the kernel takes them."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


_NO_SOCKET_BY_SOCKETCALL = _assembled(
    (_LOAD, 0, 0, 4),  # the architecture
    (_JUMP_EQ, 0, 5, _I386),
    (_LOAD, 0, 0, 0),  # the number
    (_JUMP_EQ, 0, 3, _I386_SOCKETCALL),
    (_LOAD, 0, 0, 16),  # the first argument
    (_JUMP_EQ, 0, 1, _SOCKETCALL_SOCKET),
    (_RETURN, 0, 0, _ERRNO_ENOSYS),
)
"""The old call of 32-bit x86 for all that is done with sockets has its arguments in memory, out of a filter's sight:
where it depends on them which sockets can be made, none is made by it. libc has a call of its own for that since 2016
(glibc 2.23)."""
