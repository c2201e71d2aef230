"""Single exchanges with registries: connections, proxies, certificates; repeated if that may help; cancelled at once.

Redirects and authentication are the callers' business: nothing here carries a header from one host to another.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import random
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProxyError
from urllib3.exceptions import SSLError as PoolSSLError

from pyctr_engine.errors import Cancelled, RegistryError
from pyctr_engine.images.registry.settings import Settings
from pyctr_engine.record import dataclass

Body = bytes | Callable[[], BinaryIO]
"""A request's body; a file is opened anew for each attempt."""

CHUNK = 1 << 20
"""Bytes read from a connection at a time, at most: what has come is not kept waiting for more."""

_CONNECT_SECONDS = 15.0
_DRAINED = 16 << 10
_MAX_DELAY = 30.0
_MAX_RETRY_AFTER = 120.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_USER_AGENT = "pyctr-tui"


class Interrupted(Exception):
    """An exchange that failed in a way that may pass: the message says how."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class NotTls(RegistryError):
    """The other end doesn't speak TLS."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's head, and its body to be read by `chunks` or `small`."""

    url: str
    status: int
    headers: Mapping[str, str]
    raw: urllib3.BaseHTTPResponse

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes; raises Interrupted when it is cut."""
        try:
            while data := self.raw.read1(CHUNK, decode_content=False):
                yield data
        except (HTTPError, OSError) as error:
            raise Interrupted(_reason(error)) from error

    def small(self, limit: int, what: str) -> bytes:
        """The whole body; raises RegistryError when it is larger than ``limit`` bytes, Interrupted."""
        found = bytearray()
        length = self.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > limit:
            self.raw.close()
            raise RegistryError(f"{what} from {place(self.url)} is larger than {limit >> 10} KiB")
        for data in self.chunks():
            found += data
            if len(found) > limit:
                self.raw.close()
                raise RegistryError(f"{what} from {place(self.url)} is larger than {limit >> 10} KiB")
        self.release()
        return bytes(found)

    def release(self) -> None:
        """Give the connection back, with what little of the body was not read out of the way; else close it."""
        rest = self.raw.length_remaining
        if self.raw.closed or (rest is not None and rest <= _DRAINED):
            self.raw.drain_conn()
            self.raw.release_conn()
        else:
            self.raw.close()


class Transport:
    """Exchanges for one piece of work; safe to use from several threads, and cancelled as one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}

    # -- cancelling ---------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise Cancelled if it is."""
        if self._stop.is_set():
            raise Cancelled("cancelled")

    def wait(self, seconds: float) -> None:
        """Sleep; raises Cancelled."""
        self._stop.wait(seconds)
        self.check()

    def cancel(self) -> None:
        """End all exchanges, also those that other threads wait in."""
        self._stop.set()
        with self._lock:
            open_now = list(self._connections)
        for connection in open_now:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # TLS's own shutdown would wait for an answer
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close idle connections."""
        for pool in self._pools.values():
            pool.clear()

    def _track(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._connections.add(connection)
        self.check()

    # -- exchanging ---------------------------------------------------------------------------------------------

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = b"", registry: str = ""
    ) -> Answer:
        """One request and the head of its response, whatever it is. Credentials are what ``headers`` say.

        ``registry`` names whose settings and certificates hold; that of the URL otherwise.

        Raises:
            Interrupted: it may help to try again.
            RegistryError: it can't be reached. Cancelled.
        """
        self.check()
        sent: Any = body if isinstance(body, bytes) else body()
        try:
            raw = self._pool(url, registry or urlsplit(url).netloc).urlopen(
                method,
                url,
                body=sent or None,
                headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=self.settings.timeout),
            )
        except (HTTPError, OSError, ValueError) as error:
            self.check()
            raise self._failure(error, url) from error
        finally:
            if not isinstance(sent, bytes):
                sent.close()
        return Answer(url, raw.status, raw.headers, raw)

    def again(self, what: str, once: Callable[[], Answer], attempts: int = 0) -> Answer:
        """Repeat ``once`` while it is interrupted or answered by a status that may pass.

        ``what`` begins the sentence of the error: ``cannot get …``; ``attempts`` 0 means as many as the settings say.
        """
        attempts = min(attempts or self.settings.attempts, self.settings.attempts)
        for attempt in range(1, attempts + 1):
            try:
                answer = once()
            except Interrupted as interruption:
                reason, after = str(interruption), interruption.after
            else:
                if answer.status not in _TRANSIENT:
                    return answer
                reason, after = f"{place(answer.url)} answers {status(answer.status)}", retry_after(answer.headers)
                answer.raw.close()
            if attempt < attempts:
                self.pause(attempt, after, what)
        raise RegistryError(f"cannot {what}: {reason} ({attempts} attempts)", "try again later")

    def pause(self, attempt: int, after: float | None, what: str) -> None:
        """Wait before the next attempt: as long as the other end asks for, or longer each time."""
        if after is not None and after > _MAX_RETRY_AFTER:
            raise RegistryError(
                f"cannot {what}: the registry wants no requests for {after:.0f} seconds", "try again later"
            )
        delay = min(self.settings.delay * 2 ** (attempt - 1), _MAX_DELAY)
        self.wait(after if after is not None else delay * random.uniform(0.8, 1.2))  # noqa: S311  no secret

    def _failure(self, error: Exception, url: str) -> Exception:
        """What it means that no response came."""
        cause = _cause(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RegistryError(
                f"the certificate of {place(url)} can't be trusted: {cause.verify_message}",
                f"put its authority's into {self.settings.certificates[0]}/{urlsplit(url).netloc}/ca.crt",
            )
        if isinstance(cause, ssl.SSLError):
            if cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
                return NotTls(
                    f"{urlsplit(url).netloc} does not speak TLS",
                    "plain HTTP is for loopback; `insecure = true` in registries.toml allows it elsewhere",
                )
            if "ALERT" in (cause.reason or ""):
                return RegistryError(
                    f"{urlsplit(url).netloc} refuses the TLS connection: {(cause.reason or '').lower()}",
                    "it may want a client certificate: *.cert and *.key beside its ca.crt",
                )
        if isinstance(error, ProxyError):
            return RegistryError(f"the proxy for {place(url)} does not work: {_reason(error)}", "see https_proxy")
        if isinstance(error, NameResolutionError):
            return RegistryError(f"there is no host {urlsplit(url).hostname}", "mend the name, or see to the network")
        return Interrupted(f"{urlsplit(url).netloc}: {_reason(error)}")

    # -- connections --------------------------------------------------------------------------------------------

    def _pool(self, url: str, registry: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        key = (f"{parts.scheme}://{parts.netloc}", registry)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(parts.scheme, parts.hostname or "", registry)
            return pool

    def _new_pool(self, scheme: str, host: str, registry: str) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": self.settings.parallel + 2, "num_pools": 4, "blocksize": CHUNK}
        if scheme == "https":
            options["ssl_context"] = self._tls(registry)
        proxy = proxy_for(scheme, host)
        pool: urllib3.PoolManager
        if proxy:
            secret = urlsplit(proxy)
            headers = None
            if secret.username:
                headers = urllib3.make_headers(proxy_basic_auth=f"{secret.username}:{secret.password or ''}")
            pool = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
        else:
            pool = urllib3.PoolManager(**options)
        track = self._track

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                track(self)

        class Tls(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                track(self)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Tls

        pool.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
        return pool

    def _tls(self, registry: str) -> ssl.SSLContext:
        host = self.settings.host(registry)
        context = ssl.create_default_context()
        if host.insecure:  # as the administrator wishes: no warning with each request
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        try:
            if host.ca:
                context.load_verify_locations(host.ca)
            if host.certificate:
                context.load_cert_chain(host.certificate, host.key or None)
            for directory in self.settings.certificates:
                for path in sorted(glob.glob(f"{glob.escape(directory)}/{glob.escape(registry)}/*.crt")):
                    context.load_verify_locations(path)
                for path in sorted(glob.glob(f"{glob.escape(directory)}/{glob.escape(registry)}/*.cert")):
                    context.load_cert_chain(path, path.removesuffix(".cert") + ".key")
        except OSError as error:
            raise RegistryError(f"cannot use the certificates for {registry}: {error}") from error
        return context


def proxy_for(scheme: str, host: str) -> str:
    """The proxy that the environment asks for (``https_proxy``, ``no_proxy`` …); none for loopback, as in Go."""
    if is_loopback(host):
        return ""
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass_environment(host, proxies):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


@functools.cache
def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by its very form."""
    if host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def target(base: str, location: str) -> str:
    """Where a header of a response for ``base`` leads; empty for nowhere that could be asked."""
    try:
        found = urljoin(base, location)
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    return found if usable and location else ""


def place(url: str) -> str:
    """A URL to show: without what may be secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "nowhere"
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def status(code: int) -> str:
    """``503 Service Unavailable``."""
    from http import HTTPStatus

    with contextlib.suppress(ValueError):
        return f"{code} {HTTPStatus(code).phrase}"
    return str(code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait. Source: RFC 9110, 10.2.3."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _cause(error: BaseException) -> BaseException:
    """The deepest error inside of an error of the pool's."""
    while True:
        inner = error.__cause__ or error.__context__
        if isinstance(error, PoolSSLError) and error.args and isinstance(error.args[0], BaseException):
            inner = error.args[0]
        if inner is None or inner is error:
            return error
        error = inner


def _reason(error: BaseException) -> str:
    """An error in a few words, without addresses of objects or URLs, which the pool's errors are full of."""
    cause = _cause(error)
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    if isinstance(error, NewConnectionError):
        return "no connection"
    return {"IncompleteRead": "the connection was cut", "RemoteDisconnected": "the connection was closed"}.get(
        type(cause).__name__, "the connection broke"
    )
