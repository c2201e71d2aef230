"""What stands for a container, or for another host: a process in a network namespace of its own, on a bridge.

It answers on TCP port 80 and UDP port 53 with its name and the address that called, and calls others when told to.
"""

from __future__ import annotations

import os
import subprocess
import sys

from pyctr_engine.linux import rtnetlink

PROGRAM = """
import socket, sys, threading
from pyctr_engine.linux import namespaces, rtnetlink

name, address, gateway = sys.argv[1:]

def serve_tcp(server):
    while True:
        connection, peer = server.accept()
        connection.sendall(f"{name} {peer[0]}".encode())
        connection.close()

def serve_udp(server):
    while True:
        _, peer = server.recvfrom(100)
        server.sendto(f"{name} {peer[0]}".encode(), peer)

def call(protocol, host, port):
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(1.0)
        sock.connect((host, int(port)))
        if protocol == "udp":
            sock.send(b"?")
        return sock.recv(100).decode()

namespaces.unshare(namespaces.CLONE_NEWNET)
print("born", flush=True)
sys.stdin.readline()
with rtnetlink.Socket() as netlink:
    netlink.set_up_member(rtnetlink.link_index("eth0"), address, gateway)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 53))
for serve, server in ((serve_tcp, socket.create_server(("", 80))), (serve_udp, udp)):
    threading.Thread(target=serve, args=(server,), daemon=True).start()
print("up", flush=True)
for line in sys.stdin:
    try:
        print(call(*line.split()), flush=True)
    except OSError as error:
        print(f"failed: {error}", flush=True)
"""


class Member:
    """One such process, on a bridge. ``address`` has a prefix length."""

    def __init__(self, name: str, bridge: str, address: str, gateway: str) -> None:
        self.address = address.partition("/")[0]
        self.link = rtnetlink.unique_name(f"t{os.getpid()}")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name, address, gateway],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._expect("born")
            namespace = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
            try:
                with rtnetlink.Socket() as netlink:
                    master = rtnetlink.link_index(bridge)
                    netlink.create_veth(self.link, "eth0", master, namespace, hairpin=True)
            finally:
                os.close(namespace)
            self._tell("go")
            self._expect("up")
        except BaseException:
            self.end()
            raise

    def call(self, host: str, port: int, protocol: str = "tcp") -> str:
        """What ``host`` answers: its name and the address that it was called from; or ``failed: …``."""
        self._tell(f"{protocol} {host} {port}")
        return self._line()

    def end(self) -> None:
        """End it, and with it its namespace and its link."""
        self.process.kill()
        self.process.communicate()

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _expect(self, word: str) -> None:
        line = self._line()
        assert line == word, f"expected {word!r}, got {line!r}"
