"""Registries on loopback: Debian's docker-registry; a proxy that does it wrong; one that wants tokens."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATIENCE = 20.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def docker_registry(directory: Path, htpasswd: str = "", certificate: str = "", key: str = "") -> Iterator[str]:
    """A docker-registry with its files in ``directory``; yields ``127.0.0.1:port``."""
    port = free_port()
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "blobs")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "tests"},
    }
    if htpasswd:
        config["auth"] = {"htpasswd": {"realm": "tests", "path": htpasswd}}
    if certificate:
        config["http"]["tls"] = {"certificate": certificate, "key": key}
    file = directory / "config.yml"
    file.write_text(json.dumps(config))
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(file)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < deadline, "the registry does not listen"
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def htpasswd(directory: Path, username: str, password: str) -> str:
    """A file that lets one user in."""
    file = directory / "htpasswd"
    line = subprocess.run(["htpasswd", "-Bbn", username, password], capture_output=True, check=True).stdout
    file.write_bytes(line)
    return str(file)


def authority(directory: Path) -> tuple[str, str]:
    """A certificate authority of the test's own: its certificate and key."""
    openssl = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run(
        [*openssl, "-subj", "/CN=tests", "-keyout", directory / "ca.key", "-out", directory / "ca.crt"],
        check=True,
        capture_output=True,
    )
    return str(directory / "ca.crt"), str(directory / "ca.key")


def certified(directory: Path, ca: tuple[str, str], name: str, usage: str = "serverAuth") -> tuple[str, str]:
    """A certificate for 127.0.0.1, signed by the authority, and its key."""
    request, certificate, key = (str(directory / f"{name}.{end}") for end in ("csr", "cert", "key"))
    openssl = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(
        [*openssl, "-subj", f"/CN={name}", "-keyout", key, "-out", request], check=True, capture_output=True
    )
    extensions = directory / f"{name}.ext"
    extensions.write_text(f"subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage={usage}\n")
    sign = ["openssl", "x509", "-req", "-days", "2", "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial"]
    subprocess.run(
        [*sign, "-in", request, "-out", certificate, "-extfile", str(extensions)], check=True, capture_output=True
    )
    return certificate, key


@dataclass
class Fault:
    """What a proxy does wrong, ``times`` times, with requests whose method and path match.

    ``act`` gets the handler and does it; it returns True when the request is done with, False to let it pass.
    """

    method: str
    path: str
    act: Callable[[Handler], bool]
    times: int = 1_000_000


@dataclass
class Seen:
    """A request that a proxy saw."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Proxy:
    """In front of a registry; ``address`` is its own ``127.0.0.1:port``."""

    upstream: str
    address: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    tokens: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    realm: str = ""
    pass_credentials: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    connections: int = 0

    def settle(self) -> None:
        """Wait until all that was asked before is seen, also by processes that were killed since."""
        last = http.client.HTTPConnection(self.address)  # accepted after theirs
        last.request("GET", "/v2/")
        last.getresponse().read()
        last.close()
        deadline = time.monotonic() + PATIENCE
        while self.connections:
            assert time.monotonic() < deadline, "a connection stays open"
            time.sleep(0.001)

    def wrong(self, method: str, path: str, act: Callable[[Handler], bool], times: int = 1_000_000) -> None:
        """Do something wrong from now on."""
        self.faults.append(Fault(method, path, act, times))

    def count(self, method: str, path: str) -> int:
        """How many such requests came."""
        return sum(seen.method == method and bool(re.search(path, seen.path)) for seen in self.seen)

    def requests(self, method: str, path: str) -> list[Seen]:
        """Those that came."""
        return [seen for seen in self.seen if seen.method == method and re.search(path, seen.path)]

    def want_tokens(self, users: dict[str, str]) -> None:
        """Let nobody in without a token; ``/token`` sells them to ``users``; to anybody for pulls of ``free/``."""
        self.users = users
        self.realm = f"http://{self.address}/token"

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that holds for a request."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection to a proxy."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().handle()

    def _any(self) -> None:
        self.proxy.seen.append(Seen(self.command, self.path, dict(self.headers)))
        if self.proxy.realm and not self._let_in():
            return
        fault = self.proxy.take(self.command, self.path)
        if fault is None or not fault.act(self):
            self.forward()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    # -- doing it right -----------------------------------------------------------------------------------------

    def ask(self) -> tuple[int, dict[str, str], bytes]:
        """What the registry answers."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            raise AssertionError("uploads say their length")
        connection = http.client.HTTPConnection(self.proxy.upstream)
        kept_back = ("connection",) if self.proxy.pass_credentials else ("connection", "authorization")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in kept_back}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        data = response.read()
        found = {name: value for name, value in response.getheaders() if name.lower() not in ("connection", "date")}
        connection.close()
        return response.status, found, data

    def answer(self, status: int, headers: Mapping[str, str], data: bytes = b"", send: int | None = None) -> None:
        """Send a response; of its body only ``send`` bytes."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", headers.get("Content-Length", str(len(data))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:send])
            self.wfile.flush()

    def forward(self) -> None:
        """Pass a request on, and its answer back."""
        status, headers, data = self.ask()
        self.answer(status, headers, data)

    # -- tokens -------------------------------------------------------------------------------------------------

    def _let_in(self) -> bool:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._sell(parse_qs(parts.query))
            return False
        repository = parts.path.removeprefix("/v2/").partition("/blobs/")[0].partition("/manifests/")[0]
        action = "pull" if self.command in ("GET", "HEAD") else "push"
        granted = self.proxy.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "), "")
        if granted and (parts.path == "/v2/" or f"{repository}:{action}" in granted.split()):
            return True
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        challenge = f'Bearer realm="{self.proxy.realm}",service="tests"'
        if parts.path != "/v2/":
            challenge += f',scope="repository:{repository}:{"pull" if action == "pull" else "pull,push"}"'
        self.answer(401, {"WWW-Authenticate": challenge}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        return False

    def _sell(self, query: dict[str, list[str]]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.command == "POST":  # oauth2: an identity token instead of a password
            form = parse_qs(body)
            known = form.get("grant_type") == ["refresh_token"] and form["refresh_token"][0] in self.proxy.users
            self._grant(form.get("scope", [""])[0].split(), known=known)
            return
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        username, _, password = base64.b64decode(given).decode().partition(":")
        known = bool(username) and self.proxy.users.get(username) == password
        if username and not known:
            self.answer(401, {}, b"no")
            return
        self._grant(query.get("scope", []), known=known)

    def _grant(self, scopes: list[str], *, known: bool) -> None:
        granted = []
        for scope in scopes:
            _, name, actions = scope.split(":")
            for action in actions.split(","):
                if known or (name.startswith("free/") and action == "pull"):
                    granted.append(f"{name}:{action}")
        token = secrets.token_urlsafe(16)
        self.proxy.tokens[token] = " ".join(granted) or "nothing"
        self.answer(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())


# -- what a proxy can do wrong: makers of acts ----------------------------------------------------------------------


def says(status: int, **headers: str) -> Callable[[Handler], bool]:
    """Answer with a status."""

    def act(handler: Handler) -> bool:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")
        return True

    return act


def cuts(after: int) -> Callable[[Handler], bool]:
    """Close the connection after so many bytes of the body."""

    def act(handler: Handler) -> bool:
        status, headers, data = handler.ask()
        handler.answer(status, headers, data, after)
        handler.close_connection = True
        return True

    return act


def resets(handler: Handler) -> bool:
    """Break the connection before any answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
    return True


def stalls(after: int) -> Callable[[Handler], bool]:
    """Say nothing more after so many bytes of the body, for as long as the test lasts."""

    def act(handler: Handler) -> bool:
        status, headers, data = handler.ask()
        handler.answer(status, headers, data, after)
        handler.proxy.over.wait(PATIENCE)
        handler.close_connection = True
        return True

    return act


def sends(data: bytes, **headers: str) -> Callable[[Handler], bool]:
    """Answer with other bytes, under the headers of the true answer."""

    def act(handler: Handler) -> bool:
        status, true, _ = handler.ask()
        true.pop("Content-Length", None)
        handler.answer(status, {**true, **{name.replace("_", "-"): value for name, value in headers.items()}}, data)
        return True

    return act


def drips(data: bytes) -> Callable[[Handler], bool]:
    """Send the same bytes for ever, in chunks of unknown total."""

    def act(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not handler.proxy.over.is_set():
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        handler.close_connection = True
        return True

    return act


def ignores_ranges(handler: Handler) -> bool:
    """Send all, whatever part was asked for."""
    del handler.headers["Range"]
    return False


def redirects(where: Callable[[Handler], str]) -> Callable[[Handler], bool]:
    """Send elsewhere."""

    def act(handler: Handler) -> bool:
        handler.answer(307, {"Location": where(handler)})
        return True

    return act


@contextlib.contextmanager
def proxy(upstream: str, context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy in front of ``upstream``, over TLS when ``context`` says so."""
    made = Proxy(upstream)
    handler = type("Handler", (Handler,), {"proxy": made})

    class Server(ThreadingHTTPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            with made.lock:
                made.connections += 1
            super().process_request(request, client_address)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            super().process_request_thread(request, client_address)
            with made.lock:
                made.connections -= 1

    server = Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    made.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def environment(**changes: str) -> dict[str, str]:
    """This process's, with changes."""
    return {**os.environ, **changes}
