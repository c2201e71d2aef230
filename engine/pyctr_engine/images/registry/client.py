"""One repository on one registry (distribution-spec): its manifests, tags and blobs.

A registry's address is found by asking for ``/v2/``; without TLS only on loopback, and where that is allowed. Headers
with credentials go to the registry's own origin and nowhere else, whatever a redirect says.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import BinaryIO
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from pyctr_engine.errors import EngineError, NotFound, NotPermitted, RegistryError
from pyctr_engine.images.registry import credentials
from pyctr_engine.images.registry.auth import Authenticator
from pyctr_engine.images.registry.manifests import ACCEPTED, MAX_MANIFEST
from pyctr_engine.images.registry.transport import (
    Answer,
    Body,
    Interrupted,
    NotTls,
    Transport,
    is_loopback,
    place,
    retry_after,
    status,
    target,
)
from pyctr_engine.model.oci import Descriptor
from pyctr_engine.model.reference import DEFAULT_DOMAIN
from pyctr_engine.record import dataclass

_HUB_ADDRESS = "registry-1.docker.io"
_MAX_REDIRECTS = 10
_GREETINGS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_ERROR = 64 << 10
_MAX_TAGS = 8 << 20
_PAGES = 1000
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest as it came. ``digest`` is what the registry says it is; empty when it says nothing."""

    data: bytes
    media_type: str
    digest: str


class Registry:
    """One registry or mirror: where it is, and how it lets us in.

    Args:
        name: ``host[:port]`` as in references: whose settings, certificates and credentials hold.
        address: A URL, of a mirror; empty for where the name says.
        who: Credentials to use instead of the kept ones.
    """

    def __init__(
        self, transport: Transport, name: str, address: str = "", who: credentials.Credentials | None = None
    ) -> None:
        self.transport = transport
        self.name = name
        self._address = address.rstrip("/")
        self._who = who
        self._lock = threading.Lock()
        self._base = ""
        self._auths: dict[str, Authenticator] = {}
        self._greeting = ""

    def base(self) -> str:
        """Its URL, found at the first call. Raises RegistryError."""
        with self._lock:
            if not self._base:
                self._base = self._find()
            return self._base

    def _find(self) -> str:
        host = self._address.partition("://")[2] or (_HUB_ADDRESS if self.name == DEFAULT_DOMAIN else self.name)
        local = is_loopback(urlsplit(f"//{host}").hostname or "")
        plain = local or self.transport.settings.host(self.name).insecure
        if self._address:
            scheme = self._address.partition("://")[0]
            if scheme not in ("http", "https") or (scheme == "http" and not plain):
                raise RegistryError(
                    f"cannot use the mirror {self._address}: it has no TLS",
                    f'plain HTTP is for loopback; or say `[registry."{self.name}"] insecure = true`',
                )
            self._greet(self._address)
            return self._address
        # What is asked here is no secret. On loopback, where TLS is rare, making ready for it would cost 25 ms.
        if local:
            scheme = "http" if self._speaks("http", host) else "https"
        else:
            scheme = "https" if not plain or self._speaks("https", host) else "http"
        self._greet(f"{scheme}://{host}")
        return f"{scheme}://{host}"

    def _speaks(self, scheme: str, host: str) -> bool:
        """One look; certificates that can't be trusted are an error all the same."""
        try:
            answer = self.transport.exchange("GET", f"{scheme}://{host}/v2/", {}, registry=self.name)
        except (NotTls, Interrupted):
            return False
        answer.release()
        return answer.status != 400  # which servers for TLS say to who speaks without

    def _greet(self, base: str) -> None:
        """See whether it is a registry, and what it wants for credentials."""
        answer = self.transport.again(
            f"reach {self.name}",
            lambda: self.transport.exchange("GET", f"{base}/v2/", {}, registry=self.name),
            attempts=_GREETINGS,
        )
        answer.release()
        if answer.status not in (200, 401, 403) and answer.status not in _REDIRECTS:
            raise RegistryError(f"{self.name} is no registry: /v2/ answers {status(answer.status)}")
        self._greeting = answer.headers.get("WWW-Authenticate", "") if answer.status == 401 else ""

    def authenticator(self, path: str) -> Authenticator:
        """Who answers challenges for a repository: credentials may be kept for one alone."""
        base = self.base()
        with self._lock:
            if path not in self._auths:
                who = self._who or credentials.find(self.name, path)
                secure = base.startswith("https://") and not is_loopback(urlsplit(base).hostname or "")
                self._auths[path] = Authenticator(self.transport, self.name, who, secure)
                if self._greeting:
                    self._auths[path].learn(self._greeting)
            return self._auths[path]

    def login(self) -> None:
        """Raise NotPermitted unless the credentials are good."""
        auth = self.authenticator("")
        url = f"{self.base()}/v2/"
        for _ in range(2):
            answer = self.transport.again(
                f"log in to {self.name}",
                lambda: self.transport.exchange("GET", url, auth.header(""), registry=self.name),
            )
            answer.release()
            if answer.status == 200:
                return
            if answer.status != 401 or not auth.learn(answer.headers.get("WWW-Authenticate", "")):
                break
        if answer.status in (401, 403):
            raise auth.denied()
        raise RegistryError(f"cannot log in to {self.name}: it answers {status(answer.status)}")


class Repository:
    """What can be done with one repository. All methods raise RegistryError, NotFound, NotPermitted, Cancelled."""

    def __init__(self, registry: Registry, path: str) -> None:
        self.registry = registry
        self.transport = registry.transport
        self.path = path
        self.title = f"{registry.name}/{path}"

    # -- manifests ----------------------------------------------------------------------------------------------

    def _named(self, reference: str) -> str:
        return f"{self.title}{'@' if ':' in reference else ':'}{reference}"

    def manifest(self, reference: str) -> Document:
        """A manifest or an index, by tag or digest, unchecked."""
        what, headers = f"get {self._named(reference)}", {"Accept": ", ".join(ACCEPTED)}
        answer, data = self._small(what, f"manifests/{reference}", MAX_MANIFEST, "the manifest", headers)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Document(data, media_type, answer.headers.get("Docker-Content-Digest", ""))

    def put_manifest(self, reference: str, data: bytes, media_type: str) -> None:
        """Store a manifest under a tag or its digest."""
        what, headers = f"push {self.title}:{reference}", {"Content-Type": media_type}
        self._call(what, "PUT", f"manifests/{reference}", headers, data, accepted=(200, 201, 202)).release()

    def tags(self) -> list[str]:
        """All tags, sorted."""
        found: list[str] = []
        where = "tags/list"
        for _ in range(_PAGES):
            answer, data = self._small(f"list the tags of {self.title}", where, _MAX_TAGS, "the list of tags")
            try:
                tags = json.loads(data)["tags"] or []
                found += [tag for tag in tags if isinstance(tag, str)]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise RegistryError(f"{self.registry.name} answers something else than a list of tags") from error
            following = _NEXT.search(answer.headers.get("Link", ""))
            if following is None:
                return sorted(set(found))
            where = target(answer.url, following[1])
        raise RegistryError(f"{self.title} has too many tags")

    # -- blobs --------------------------------------------------------------------------------------------------

    def blob(self, digest: str, start: int = 0) -> Answer:
        """A blob's bytes from ``start`` on: status 206, or 200 and all of them. One attempt: raises Interrupted."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        what = f"get blob {digest[:19]} of {self.title}"
        return self._attempt(what, "GET", f"blobs/{digest}", headers, b"", (200, 206, 416), "pull")

    def small_blob(self, descriptor: Descriptor, limit: int) -> bytes:
        """A small blob whole, unchecked."""
        title = f"blob {descriptor.digest[:19]}"
        return self._small(f"get {title} of {self.title}", f"blobs/{descriptor.digest}", limit, title)[1]

    def has_blob(self, digest: str) -> bool:
        """Whether a blob is there."""
        answer = self._call(
            f"look for blob {digest[:19]} in {self.title}", "HEAD", f"blobs/{digest}", accepted=(200, 404), push=True
        )
        answer.release()
        return answer.status == 200

    def mount(self, digest: str, source: str) -> str:
        """Take a blob over from another repository of the registry; where to upload it if that fails, else empty."""
        query = urlencode({"mount": digest, "from": source})
        return self._upload_place(f"blobs/uploads/?{query}", f"{self._scope(True)} repository:{source}:pull")

    def begin_upload(self) -> str:
        """Where to upload a blob to."""
        return self._upload_place("blobs/uploads/", self._scope(True))

    def _upload_place(self, where: str, scope: str) -> str:
        what = f"push to {self.title}"
        answer = self.transport.again(
            what,
            lambda: self._attempt(what, "POST", where, {"Content-Length": "0"}, b"", (201, 202), "push", scope),
        )
        answer.release()
        if answer.status == 201:
            return ""
        found = target(answer.url, answer.headers.get("Location", ""))
        if not found:
            raise RegistryError(f"{self.registry.name} doesn't say where to upload to")
        return found

    def upload(self, where: str, descriptor: Descriptor, content: Callable[[], BinaryIO]) -> None:
        """Send a whole blob. One attempt: raises Interrupted, after which a new place has to be asked for."""
        parts = urlsplit(where)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", descriptor.digest)])
        headers = {"Content-Length": str(descriptor.size), "Content-Type": "application/octet-stream"}
        what = f"push blob {descriptor.digest[:19]} to {self.title}"
        url = parts._replace(query=query).geturl()
        answer = self._attempt(what, "PUT", url, headers, content, (200, 201, 202, 204), "push")
        answer.release()
        if answer.status >= 400:
            raise Interrupted(f"{self.registry.name} answers {status(answer.status)}", retry_after(answer.headers))

    # -- calls --------------------------------------------------------------------------------------------------

    def _call(
        self,
        what: str,
        method: str,
        where: str,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
        accepted: tuple[int, ...] = (200,),
        push: bool = False,
    ) -> Answer:
        actions = "push" if push or method in ("PUT", "POST", "PATCH") else "pull"
        return self.transport.again(
            what, lambda: self._attempt(what, method, where, headers or {}, body, accepted, actions)
        )

    def _small(
        self, what: str, where: str, limit: int, title: str, headers: Mapping[str, str] | None = None
    ) -> tuple[Answer, bytes]:
        """Get something small whole, from the beginning after each interruption."""
        kept: list[bytes] = []

        def once() -> Answer:
            answer = self._attempt(what, "GET", where, headers or {}, b"", (200,), "pull")
            if answer.status == 200:
                kept[:] = [answer.small(limit, title)]
            return answer

        answer = self.transport.again(what, once)
        return answer, kept[0]

    def _scope(self, push: bool) -> str:
        return f"repository:{self.path}:{'pull,push' if push else 'pull'}"

    def _attempt(
        self,
        what: str,
        method: str,
        where: str,
        headers: Mapping[str, str],
        body: Body,
        accepted: tuple[int, ...],
        actions: str,
        scope: str = "",
    ) -> Answer:
        """One call, authenticated and redirected. Statuses that may pass are returned as they are."""
        base = self.registry.base()
        auth = self.registry.authenticator(self.path)
        scope = scope or self._scope(actions == "push")
        first = urljoin(f"{base}/v2/{self.path}/", where)
        url, tries, hops = first, 0, 0
        while True:
            own = urlsplit(url)[:2] == urlsplit(base)[:2]
            sent = {**headers, **(auth.header(scope) if own else {})}
            name = self.registry.name if own else ""
            answer = self.transport.exchange(method, url, sent, body, name)
            if answer.status in accepted or answer.status in (408, 425, 429) or answer.status >= 500:
                return answer
            if answer.status == 401 and own and tries < 2:
                challenge = answer.headers.get("WWW-Authenticate", "")
                answer.release()
                tries += 1
                if auth.learn(challenge, scope):
                    continue
                raise self._refused(what, auth)
            if answer.status in _REDIRECTS:
                hops += 1
                answer.release()
                url = self._redirected(what, base, url, answer, hops)
                continue
            raise self._error(what, answer, auth)

    def _redirected(self, what: str, base: str, url: str, answer: Answer, hops: int) -> str:
        found = target(url, answer.headers.get("Location", ""))
        if hops > _MAX_REDIRECTS:
            raise RegistryError(f"cannot {what}: {self.registry.name} redirects in a circle")
        if not found:
            raise RegistryError(f"cannot {what}: {self.registry.name} redirects to nowhere")
        if (
            found.startswith("http://")
            and base.startswith("https://")
            and not is_loopback(urlsplit(base).hostname or "")
        ):
            raise RegistryError(f"cannot {what}: {self.registry.name} redirects to {place(found)}, without TLS")
        return found

    def _refused(self, what: str, auth: Authenticator) -> EngineError:
        error = auth.denied()
        return NotPermitted(f"cannot {what}: it does not exist, or {error.message}", error.hint)

    def _error(self, what: str, answer: Answer, auth: Authenticator) -> EngineError:
        """What a refusal means."""
        try:
            code, message = _said(answer.small(_MAX_ERROR, "the error"))
        except (Interrupted, RegistryError):
            code, message = "", ""
        said = f": {message}" if message else ""
        if answer.status == 404:
            missing = {"NAME_UNKNOWN": f"there is no repository {self.title}"}.get(code, "it is not there")
            return NotFound(f"cannot {what}: {missing}", "mend the name; a private one needs `pyctr-tui login`")
        if answer.status == 401:
            return self._refused(what, auth)
        if answer.status == 403:
            return NotPermitted(f"cannot {what}: {self.registry.name} denies it{said}", "ask its owner")
        return RegistryError(f"cannot {what}: {place(answer.url)} answers {status(answer.status)}{said}")


def _said(data: bytes) -> tuple[str, str]:
    """Code and message of a registry's error. Source: distribution-spec, Error codes."""
    try:
        first = json.loads(data)["errors"][0]
        code, message = str(first.get("code", "")), str(first.get("message", ""))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return "", ""
    return code, " ".join("".join(filter(str.isprintable, message)).split())[:200]
