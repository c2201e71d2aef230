"""libc and raw system calls by ctypes: the few declarations that the other modules here share.

The library is opened as ``PyDLL``, so a call keeps the interpreter's lock: after ``clone3`` both parent and child
hold it, as after ``os.fork``. Nothing here may therefore block for long.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

_MACHINE = os.uname().machine
_NUMBERS = {
    # name: (x86_64, aarch64); from 424 on all architectures share their numbers
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "syncfs": (306, 267),
    "setns": (308, 268),
    "unshare": (272, 97),
    "capget": (125, 90),
    "capset": (126, 91),
    "prctl": (157, 167),
    "seccomp": (317, 277),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "pidfd_send_signal": (424, 424),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "mount_setattr": (442, 442),
}
_COLUMN = 1 if _MACHINE == "aarch64" else 0

_Argument = int | bytes | None | ctypes.Structure | ctypes.Array[ctypes.c_char]


def syscall(name: str, *arguments: _Argument, path: str | bytes | None = None) -> int:
    """Make a system call; integers are passed as longs, bytes and structures by address.

    Raises:
        OSError: with the call's errno, and ``path`` as its file name.
    """
    result: int = _syscall(*_converted(name, arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path if path is not None else name)
    return result


def prepared(name: str, *arguments: _Argument) -> Callable[[], int]:
    """The same call, ready to be made any number of times; raises OSError."""
    converted = tuple(_converted(name, arguments))

    def call() -> int:
        result: int = _syscall(*converted)
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
        return result

    return call


def _converted(name: str, arguments: tuple[_Argument, ...]) -> list[object]:
    converted: list[object] = [ctypes.c_long(_NUMBERS[name][_COLUMN])]
    for argument in arguments:
        if isinstance(argument, int):
            converted.append(ctypes.c_long(argument))
        elif isinstance(argument, ctypes.Structure):
            converted.append(ctypes.byref(argument))
        else:
            converted.append(argument)
    return converted
