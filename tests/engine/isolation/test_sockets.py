"""CVE-2020-15257: what the engine listens on, looked for from a container that shares the host's network."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pyctr_engine.model.spec import Mount, Security
from pyctr_engine.runtime import protocol
from tests import leaks
from tests.engine.containers.conftest import Bench
from tests.engine.isolation.attacks import attack
from tests.engine.isolation.conftest import Weaken

pytestmark = pytest.mark.root

LISTENING = """
told["abstract"] = [line.split()[-1] for line in read("/proc/net/unix").splitlines()[1:] if " @" in line]
told["inodes"] = {line.split()[6]: line.split()[7:] for line in read("/proc/net/unix").splitlines()[1:]}
def reach(address):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
for name in told["abstract"]:
    if "pyctr" in name:
        attempt(name, reach, "\\0" + name[1:])
"""


def our_sockets(bench: Bench) -> set[str]:
    """Inodes of the sockets that spawner and monitors hold, seen from the host."""
    found = set()
    for pid in leaks.processes(bench.engine.paths):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            found.update(re.findall(r"^socket:\[(\d+)\]$", link))
    return found


def test_nothing_of_ours_has_an_abstract_name(bench: Bench) -> None:
    """Abstract names belong to the network namespace: with the host's, anybody inside could connect to them."""
    bench.start()
    mine = our_sockets(bench)
    told = attack(bench, LISTENING, network="host")
    names = [told["inodes"][inode] for inode in mine if inode in told["inodes"]]
    assert names, "the monitor's socket is there"
    assert [name for name in names if name and name[0].startswith("@")] == []
    assert [name for name in told["abstract"] if "pyctr" in name] == []


def test_one_with_an_abstract_name_would_be_reached(bench: Bench) -> None:
    """What such a socket would be: found by name in /proc/net/unix, and it answers."""
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0pyctr-test-abstract")
        server.listen()
        assert attack(bench, LISTENING, network="host")["@pyctr-test-abstract"] == "done"
        assert "@pyctr-test-abstract" not in attack(bench, LISTENING)


REACH = """
def reach(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
for directory, _, names in os.walk("/engine"):
    for name in names:
        if name.endswith(".sock"):
            attempt(name, reach, f"{directory}/{name}")
attempt("the directory", os.listdir, "/engine")
"""


def test_even_bound_into_it_they_refuse(bench: Bench) -> None:
    """0700 and 0600, and an owner that is nobody's inside. As the host's root it is like binding docker.sock."""
    bench.start()
    run = bench.engine.paths.run
    assert Path(run).stat().st_mode & 0o077 == 0
    modes = [path.stat().st_mode & 0o077 for path in Path(run).rglob("*.sock")]
    assert len(modes) >= 2
    assert not any(modes)
    mounts = (Mount("bind", run, "/engine", read_only=True),)
    told = attack(bench, REACH, mounts=mounts, security=Security(userns="host", cap_drop=("ALL",)))
    assert told["spawner.sock"] == "done", "root of the host, which the engine serves"
    told = attack(bench, REACH, mounts=mounts, user="1000")
    assert told == {"the directory": "EACCES"}


ASK = f"""
QUESTIONS = {{"spawner.sock": {protocol.frame(protocol.HELLO)!r}, "monitor.sock": {protocol.frame(protocol.LIST)!r}}}
told["owners"] = []
def ask(path, question):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        told["reached"] += 1
        client.sendall(question)
        if not client.recv(1):
            raise OSError(errno.ECONNRESET, "closed without an answer")
told["reached"] = 0
for directory, _, names in os.walk("/engine"):
    for name in names:
        if name in QUESTIONS:
            path = f"{{directory}}/{{name}}"
            told["owners"].append(os.stat(path).st_uid)
            attempt(path.removeprefix("/engine/"), ask, path, QUESTIONS[name])
"""
"""Connect to each socket, and ask what anybody may who is served at all."""
ANYBODY = """
import struct
real = struct.unpack
struct.unpack = lambda form, data: (0, 0, 0) if form == "3i" else real(form, data)
"""
"""Peer credentials are those of the host's root, whoever it is."""


def asked(bench: Bench, security: Security) -> dict[str, str]:
    """What root inside is answered by spawner and monitors whose sockets were bound into its container."""
    other = bench.start()
    told = attack(bench, ASK, mounts=(Mount("bind", bench.engine.paths.run, "/engine"),), security=security)
    answers = {name: answer for name, answer in told.items() if name.endswith(".sock")}
    assert {"spawner.sock", f"containers/{other.id}/monitor.sock"} <= set(answers)
    if 0 not in told["owners"]:
        pytest.skip("the run directory's file system can't be idmapped here: its mode holds them already")
    assert told["reached"] == len(answers), "neither the directory nor its mode holds it"
    return answers


def test_bound_into_a_container_with_ids_of_its_own_they_answer_nobody(bench: Bench, weaken: Weaken) -> None:
    """The bind is idmapped, so its root may connect: what refuses it are the credentials that the kernel tells."""
    assert set(asked(bench, Security()).values()) <= {"ECONNRESET", "EPIPE"}
    assert set(asked(bench, Security(userns="host")).values()) == {"done"}, "the same questions of the host's root"
    assert set(asked(weaken(ANYBODY), Security()).values()) == {"done"}, "without that check anybody is answered"
