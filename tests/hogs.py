"""Containers that take all they can get, each within its limits, and one beside them that serves."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

from pyctr_engine.cgroups import files, io
from pyctr_engine.model.spec import Resources

MIB = 1 << 20
PORT = 8000

SERVER = f"""
import hashlib, socket
page = bytes(range(256)) * 256
open('/page', 'wb').write(page)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('', {PORT}))
listener.listen(64)
print('ready', flush=True)
while True:
    connection, _ = listener.accept()
    connection.recv(64)
    connection.sendall(hashlib.sha256(open('/page', 'rb').read()).hexdigest().encode())
    connection.close()
"""
ANSWER_BYTES = 64

BOMB = """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
MEMORY = """
import os
while True:
    if os.fork() == 0:
        open('/proc/self/oom_score_adj', 'w').write('1000')
        held = []
        while True:
            held.append(bytearray(b'x') * (4 << 20))
    os.wait()
"""
WRITER = """
import mmap, os
page = mmap.mmap(-1, 1 << 20)
page.write(os.urandom(1 << 20))
fd = os.open('/spilt', os.O_RDWR | os.O_CREAT | os.O_DIRECT)
while True:
    for at in range(32):
        os.pwrite(fd, page, at << 20)
"""
SPINNERS = """
import os
for _ in range(5):
    os.fork()
while True:
    pass
"""


@dataclass(frozen=True)
class Hog:
    """What it runs (Python), and what holds it."""

    script: str
    resources: Resources


def disk() -> str:
    """The path of a disk of this machine; empty without one."""
    numbers = {value.split()[0] for _, value in io.counting()}
    for name in sorted(os.listdir("/sys/block")):
        if files.read(f"/sys/block/{name}/dev").strip() in numbers and os.path.exists(f"/dev/{name}"):
            return f"/dev/{name}"
    return ""


WRITE_BPS = 8 * MIB


def hogs() -> dict[str, Hog]:
    """All there are on this machine: without a disk none that writes."""
    found = {
        "fork bomb": Hog(BOMB, Resources(pids=64, cpus=0.5, memory=256 * MIB)),
        "memory hog": Hog(MEMORY, Resources(memory=64 * MIB, memory_swap=64 * MIB, cpus=0.5, pids=32)),
        "cpu hog": Hog(SPINNERS, Resources(cpus=0.5, pids=64, memory=256 * MIB)),
    }
    if where := disk():
        limits = Resources(device_write_bps=((where, WRITE_BPS),), cpus=0.5, memory=64 * MIB, pids=32)
        found["io hog"] = Hog(WRITER, limits)
    return found


def ask(address: str) -> float:
    """Ask the server once; milliseconds until it has answered in full."""
    began = time.perf_counter()
    with socket.create_connection((address, PORT), timeout=30) as connection:
        connection.sendall(b"page")
        answer = b""
        while piece := connection.recv(256):
            answer += piece
    took = (time.perf_counter() - began) * 1000
    assert len(answer) == ANSWER_BYTES
    return took
