"""Trying what containers need, in a process that is thrown away: run by `pyctr_engine.host.doctor` as a program.

Whether a kernel, its configuration, a security module and a file system together allow something is known only by
doing it. Each attempt runs in a child of its own, in namespaces of its own, and prints one line: its name, then
``ok`` or the errno's name, then a detail. Nothing outlives it but an empty directory if it is killed.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable

from pyctr_engine.errors import EngineError
from pyctr_engine.linux import libc, mount, namespaces
from pyctr_engine.paths import HOUSE_VARIABLE

SYSCALLS = ("clone3", "pidfd_open", "close_range", "openat2", "open_tree", "move_mount", "mount_setattr")
IDS = (524288, 65536)  # the host ids that the attempts use; nothing of them stays


def main(state: str) -> None:
    """Make all attempts; ``state`` is a directory on the file system to try idmapped mounts on."""
    for name in SYSCALLS:
        _attempt(name, lambda name=name: _exists(name))  # type: ignore[misc]
    _attempt("userns", lambda: namespaces.unshare(namespaces.CLONE_NEWUSER))
    directory = ""
    try:
        directory = tempfile.mkdtemp(prefix=".pyctr-doctor-", dir=state)
        if HOUSE_VARIABLE in os.environ:
            _attempt("overlay", lambda: _plain_overlay(directory))
        else:
            _attempt("idmap", lambda: os.close(_idmapped(directory)))
            _attempt("overlay", lambda: _overlay(directory))
    except OSError as error:
        _print("idmap", error)
        _print("overlay", error)
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
    _attempt("veth", lambda: _links("veth"))
    _attempt("bridge", lambda: _links("bridge"))
    _attempt("nftables", _nftables)


def _attempt(name: str, action: Callable[[], object]) -> None:
    """Run ``action`` in a child; it prints the outcome itself."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            print(name, "failed", f"ended with status {status}")  # noqa: T201
        return
    try:
        action()
    except OSError as error:
        _print(name, error)
    except (EngineError, ImportError) as error:
        print(name, "failed", str(error).replace("\n", " "))  # noqa: T201
    else:
        print(name, "ok")  # noqa: T201
    sys.stdout.flush()
    os._exit(0)


def _print(name: str, error: OSError) -> None:
    code = errno.errorcode.get(error.errno or 0, "failed")
    print(name, code, (error.strerror or str(error)).lower())  # noqa: T201


def _exists(name: str) -> None:
    """Call with arguments that every kernel refuses, for another reason than not having the call."""
    try:
        libc.syscall(name, -1, None, -1, -1, 0)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise


def _namespace() -> int:
    """A user namespace with `IDS` mapped, as a descriptor."""
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done_write)
        try:
            namespaces.unshare(namespaces.CLONE_NEWUSER)
            os.write(ready_write, b"\0")
        except OSError as error:
            os.write(ready_write, bytes([min(error.errno or 255, 255)]))
        os.read(done_read, 1)
        os._exit(0)
    os.close(done_read)
    try:
        code = os.read(ready_read, 1)[0]
        if code:
            raise OSError(code, os.strerror(code))
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "wb", buffering=0) as file:
                file.write(f"0 {IDS[0]} {IDS[1]}".encode())
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(done_write)
        os.waitpid(child, 0)
        os.close(ready_read)
        os.close(ready_write)


def _idmapped(directory: str, userns: int = -1) -> int:
    tree = mount.open_tree(directory)
    mount.set_attributes(tree, userns=userns if userns >= 0 else _namespace())
    return tree


def _overlay(directory: str) -> None:
    """What a start does: an overlay of directories on an idmapped mount, mounted inside the user namespace."""
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{directory}/{name}")
    userns = _namespace()
    tree = _idmapped(directory, userns)
    namespaces.setns(userns, namespaces.CLONE_NEWUSER)
    namespaces.unshare(namespaces.CLONE_NEWNS)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
    # The way to the state directory may be closed to this user; a file system of its own is always in reach.
    mount.mount("tmpfs", "/tmp", "tmpfs")
    os.mkdir("/tmp/probe")
    mount.attach_tree(tree, "/tmp/probe")
    os.chdir("/tmp/probe")
    mount.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr")
    with open("merged/file", "w") as file:
        file.write("x")


def _plain_overlay(directory: str) -> None:
    """The same as an ordinary user's start does: nothing is idmapped, ids are what they are."""
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{directory}/{name}")
    namespaces.unshare(namespaces.CLONE_NEWNS)
    os.chdir(directory)
    mount.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr")
    with open("merged/file", "w") as file:
        file.write("x")


def _own_network() -> None:
    flags = namespaces.CLONE_NEWNET | (namespaces.CLONE_NEWUSER if os.geteuid() else 0)
    namespaces.unshare(flags)


def _links(kind: str) -> None:
    from pyctr_engine.linux import rtnetlink

    _own_network()
    with rtnetlink.Socket() as socket:
        socket.create_bridge("probe0")
        if kind == "veth":
            namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            socket.create_veth("probe1", "probe2", rtnetlink.link_index("probe0"), namespace)


def _nftables() -> None:
    from pyctr_engine.linux import nftables

    _own_network()
    nftables.run("add table ip probe; add chain ip probe out { type nat hook postrouting priority 100; };")
