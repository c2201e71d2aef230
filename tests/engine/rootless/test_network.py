"""An ordinary user's containers on the network: out, in, and to each other."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.linux import rtnetlink
from tests.engine.network.members import Member
from tests.engine.rootless.user import User

pytestmark = pytest.mark.root
IMAGE = "pyctr/base"

SERVER = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""
CONNECT = "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).recv(100).decode())"
CALL = "import urllib.request, sys; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


@pytest.fixture
def peer() -> Iterator[tuple[Member, str]]:
    """Another host, on a link of this one: a process that calls and answers; and this host's address there."""
    number = os.getpid() % 200
    name, here, there = f"ptr{os.getpid() % 100000}", f"10.213.{number}.1", f"10.213.{number}.2"
    with rtnetlink.Socket() as netlink:
        netlink.create_bridge(name)
        try:
            index = rtnetlink.link_index(name)
            netlink.add_address(index, f"{here}/24")
            netlink.set_up(index)
            member = Member("peer", name, f"{there}/24", here)
            try:
                yield member, here
            finally:
                member.end()
        finally:
            netlink.delete_link(name)


def serve(user: User, *ports: str, name: str = "web") -> None:
    published = [word for port in ports for word in ("-p", port)]
    user("run", "-d", "--name", name, *published, IMAGE, "python3", "-u", "-c", SERVER)


def get(url: str) -> str:
    """Ask until the server in the container has begun."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def ask(member: Member, host: str, port: int) -> str:
    """An HTTP request by another host; `Member` only listens to what is said first."""
    script = f"import urllib.request as u; print(u.urlopen('http://{host}:{port}', timeout=5).read().decode())"
    command = ["nsenter", f"--net=/proc/{member.process.pid}/ns/net", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().split("\n")[-1]


def test_a_published_port_sees_who_calls(user: User, peer: tuple[Member, str]) -> None:
    member, here = peer
    port = free_port()
    serve(user, f"{port}:80")
    assert get(f"http://127.0.0.1:{port}")
    assert ask(member, here, port) == member.address
    assert user.out("port", "web") == f"80/tcp -> 0.0.0.0:{port}"


def test_a_port_of_the_loopback_is_for_this_host_alone(user: User, peer: tuple[Member, str]) -> None:
    member, here = peer
    port = free_port()
    serve(user, f"127.0.0.1:{port}:80")
    assert get(f"http://127.0.0.1:{port}")
    answer = ask(member, here, port)  # pasta may take the call before it finds nobody behind the port
    assert any(word in answer for word in ("refused", "reset", "Disconnected")), answer


def test_a_port_is_there_when_a_start_returns_and_can_be_had_again_at_once(user: User) -> None:
    port = free_port()
    for name in ("one", "two"):
        serve(user, f"{port}:80", name=name)
        socket.create_connection(("127.0.0.1", port), 5).close()
        assert get(f"http://127.0.0.1:{port}")
        user("restart", "-t", "1", name)
        assert get(f"http://127.0.0.1:{port}")
        user("rm", "-f", name)


def test_a_port_that_is_taken_is_an_error_at_the_start(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = user("run", "--rm", "-p", f"{port}:80", IMAGE, "true", code=125)
    assert f"port {port}/tcp is in use by a program on this host" in refused.stderr
    port = free_port()
    serve(user, f"{port}:80")
    refused = user("run", "--rm", "-p", f"{port}:80", IMAGE, "true", code=125)
    assert "already published by container" in refused.stderr


def test_an_address_that_the_house_has_not_is_refused(user: User, peer: tuple[Member, str]) -> None:
    refused = user("run", "--rm", "-p", f"{peer[1]}:{free_port()}:80", IMAGE, "true", code=125)
    assert f"an ordinary user can't publish on {peer[1]}" in refused.stderr


def test_a_port_below_the_users_first_is_refused_with_what_to_set(user: User) -> None:
    """The setting is the network namespace's: the call is made in one of its own, where the first is 1024."""
    command = user.command([sys.executable, "-c", _BIND], environment={"PYTHONPATH": _path()})
    done = subprocess.run(["unshare", "--net", *command], capture_output=True, text=True, check=False)
    assert done.stdout.split("|")[0] == "an ordinary user can't publish port 81/tcp"
    assert "sysctl net.ipv4.ip_unprivileged_port_start=81" in done.stdout


_BIND = """
from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import Port
from pyctr_engine.network import ports
try:
    ports.bind_port(Port(80, 81, "", "tcp"))
except EngineError as error:
    print(error.message, error.hint, sep="|")
"""


def _path() -> str:
    import pyctr_engine

    return os.path.dirname(os.path.dirname(pyctr_engine.__file__))


UDP = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 53))
while True:
    who = sock.recvfrom(9)[1]
    sock.sendto(f"udp {who[0]}".encode(), who)
"""


def test_a_published_udp_port_sees_who_calls(user: User, peer: tuple[Member, str]) -> None:
    member, here = peer
    port = free_port()
    for _ in range(2):  # again at once, though pasta may hold it still
        user("run", "-d", "--name", "udp", "-p", f"{port}:53/udp", IMAGE, "python3", "-c", UDP)
        deadline = time.monotonic() + 10
        while (answer := member.call(here, port, "udp")) != f"udp {member.address}":
            assert time.monotonic() < deadline, answer
        user("rm", "-f", "udp")


def test_a_udp_port_beside_others_is_led_or_refused_plainly(user: User) -> None:
    """Older pasta (Debian 12's) sees UDP ports only when it begins, and to begin anew would cut the others off."""
    port = free_port()
    user("run", "-d", "--name", "other", IMAGE, "sleep", "1000")
    command = ("run", "-d", "--name", "udp", "-p", f"{port}:53/udp", IMAGE, "python3", "-c", UDP)
    done = user(*command, code=None)
    if done.returncode:
        assert f"UDP port {port} could not be led to udp" in done.stderr
        assert "stop the others" in done.stderr
        assert user.out("ps", "-a", "--format", "{{.Names}}") == "other"


def test_out_into_the_world(user: User, peer: tuple[Member, str]) -> None:
    """Containers are seen as this host."""
    member, here = peer
    assert user.out("run", "--rm", IMAGE, "python3", "-c", CONNECT, member.address, "80") == f"peer {here}"


def test_the_hosts_loopback_is_out_of_reach(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        gateway = user.out("run", "--rm", IMAGE, "python3", "-c", _GATEWAY)
        for address in (gateway, "127.0.0.1"):
            user("run", "--rm", IMAGE, "python3", "-c", CONNECT, address, port, code=1)
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


_GATEWAY = (
    "import socket, struct; rows = [line.split() for line in open('/proc/net/route')][1:];"
    "print(next(socket.inet_ntoa(struct.pack('=I', int(r[2], 16))) for r in rows if int(r[3], 16) & 2))"
)


def test_containers_reach_each_other_by_name(user: User) -> None:
    serve(user)
    own = user.out("run", "--rm", IMAGE, "python3", "-c", CALL + "; print(open('/etc/hosts').read())", "http://web")
    seen, *hosts = own.split("\n")
    assert any(line.startswith(f"{seen}\t") or "web" in line for line in hosts)
    assert seen.startswith("10.")


PING_GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")


@pytest.fixture
def ping_for_all() -> Iterator[None]:
    """As systemd sets it; the kernel's own word is that nobody may."""
    before = PING_GROUPS.read_text()
    PING_GROUPS.write_text("0 2147483647")
    yield
    PING_GROUPS.write_text(before)


def test_ping_needs_no_capability(user: User, peer: tuple[Member, str], ping_for_all: None) -> None:
    script = (
        "import socket; s = socket.socket(2, 2, 1); s.settimeout(5);"
        f"s.sendto(b'\\x08' + bytes(15), ('{peer[0].address}', 0)); print(s.recv(99)[0])"
    )
    assert user.out("run", "--rm", "--cap-drop", "ALL", IMAGE, "python3", "-c", script) == "0"


@contextlib.contextmanager
def name_server(address: str) -> Iterator[None]:
    """Answers every question for an address with 10.77.0.1."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                asked, who = sock.recvfrom(512)
                question = asked[12 : asked.index(b"\0", 12) + 5]
                head = asked[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
                sock.sendto(head + question + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\x4d\0\1", who)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield
    finally:
        sock.close()


def test_a_name_server_on_the_hosts_loopback(user: User, tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.77\nsearch example.org\n")
    resolv.chmod(0o644)
    directories = ("--run-dir", str(user.home / "r"), "--state-dir", str(user.home / "s"))  # a house of its own
    script = "import socket; print(socket.gethostbyname('some.name'))"
    brief = {"PYCTR_HOUSE_IDLE": "1", "PYCTR_SPAWNER_IDLE": "0.5"}
    with name_server("127.0.0.77"):
        done = user(
            *directories, "run", "--rm", IMAGE, "python3", "-c", script, resolv=str(resolv), environment=brief
        )
    assert done.stdout.strip() == "10.77.0.1"
    deadline = time.monotonic() + 20
    while list(user.processes().values()).count("pyctr-house") > 1 and time.monotonic() < deadline:
        time.sleep(0.1)


def test_without_a_network_program_only_what_needs_none_runs(user: User) -> None:
    """pasta and slirp4netns are hidden: a house of its own finds none."""
    directories = ("--run-dir", str(user.home / "r2"), "--state-dir", str(user.home / "s2"))
    options = {
        "environment": {"PYCTR_HOUSE_IDLE": "1", "PYCTR_SPAWNER_IDLE": "0.5"},
        "hide": ["/usr/bin/pasta", "/usr/bin/passt.avx2", "/usr/bin/slirp4netns"],
    }
    assert user(*directories, "run", "--rm", "--network", "none", IMAGE, "echo", "ok", **options).stdout == "ok\n"
    refused = user(*directories, "run", "--rm", IMAGE, "true", code=125, **options)
    assert "need pasta or slirp4netns" in refused.stderr
    assert "apt-get install passt" in refused.stderr


def test_slirp4netns_leads_out_where_there_is_no_pasta(user: User, peer: tuple[Member, str]) -> None:
    member, here = peer
    directories = ("--run-dir", str(user.home / "r3"), "--state-dir", str(user.home / "s3"))
    options = {
        "environment": {"PYCTR_HOUSE_IDLE": "1", "PYCTR_SPAWNER_IDLE": "0.5"},
        "hide": ["/usr/bin/pasta", "/usr/bin/passt.avx2"],
    }
    done = user(*directories, "run", "--rm", IMAGE, "python3", "-c", CONNECT, member.address, "80", **options)
    assert done.stdout.strip() == f"peer {here}"
    refused = user(*directories, "run", "--rm", "-p", f"{free_port()}:80", IMAGE, "true", code=125, **options)
    assert "published ports need pasta" in refused.stderr
