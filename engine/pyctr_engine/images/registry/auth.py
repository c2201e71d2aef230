"""Challenges of registries, and what answers them: a password (RFC 7617), or a token that a password buys.

Source: distribution, spec/auth (token, oauth2, scope).
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from pyctr_engine.errors import NotPermitted, RegistryError
from pyctr_engine.images.registry.credentials import Credentials
from pyctr_engine.images.registry.transport import Transport, place, status, target
from pyctr_engine.record import dataclass

_MAX_TOKEN = 1 << 20
_LEAST_SECONDS = 60
_MARGIN_SECONDS = 10
_CLIENT = "pyctr-tui"

_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)\s*,?')
_SCHEME = re.compile(r"[\s,]*([A-Za-z0-9_-]+)(?=[\s,]|$)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate: ``bearer`` or ``basic``, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> list[Challenge]:
    """What a WWW-Authenticate header offers; what can't be read is left out. Source: RFC 9110, 11.6.1."""
    found: list[Challenge] = []
    position = 0
    while match := _SCHEME.match(header, position):
        position = match.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            value = parameter[2]
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            parameters[parameter[1].lower()] = value
        found.append(Challenge(match[1].lower(), parameters))
    return found


class Authenticator:
    """Answers the challenges of one registry; tokens are kept for as long as they are good.

    ``secure``: it is reached over TLS, so no password may go anywhere without.
    """

    def __init__(self, transport: Transport, registry: str, credentials: Credentials | None, secure: bool) -> None:
        self._transport = transport
        self._registry = registry
        self._credentials = credentials
        self._secure = secure
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[str, tuple[str, float]] = {}

    def header(self, scope: str) -> dict[str, str]:
        """What to send with a request; nothing before the registry has asked for something."""
        with self._lock:
            challenge = self._challenge
            if challenge is None:
                return {}
            if challenge.scheme == "basic":
                return self._basic()
            token, until = self._tokens.get(scope, ("", 0.0))
            if time.monotonic() >= until:
                token = self._fetch(challenge, scope)
            return {"Authorization": f"Bearer {token}"}

    def learn(self, header: str, scope: str = "") -> bool:
        """Take note of a challenge, and of a token for ``scope`` being no good; whether trying again makes sense."""
        offered = {challenge.scheme: challenge for challenge in challenges(header)}
        challenge = offered.get("bearer") or offered.get("basic")
        if challenge is None or (challenge.scheme == "basic" and self._credentials is None):
            return False
        with self._lock:
            self._challenge = challenge
            self._tokens.pop(scope, None)
        return True

    def _basic(self) -> dict[str, str]:
        if self._credentials is None:
            return {}
        text = f"{self._credentials.username}:{self._credentials.password}"
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    def _fetch(self, challenge: Challenge, scope: str) -> str:
        """Buy a token. One thread does, others wait for it."""
        realm = challenge.parameters.get("realm", "")
        self._check_realm(realm)
        fields = [("service", challenge.parameters.get("service", ""))]
        fields += [("scope", part) for part in scope.split(" ") if part]
        fields = [(name, value) for name, value in fields if value]
        credentials = self._credentials

        if credentials is not None and credentials.identity_token:
            form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", credentials.identity_token),
                ("client_id", _CLIENT),
                *[(name, value) for name, value in fields if name != "scope"],
                ("scope", scope),
            ]
            body, headers = urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._transport.again(
                f"log in to {self._registry}", lambda: self._transport.exchange("POST", realm, headers, body)
            )
        else:
            if credentials is not None:
                fields.append(("account", credentials.username))
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}"
            answer = self._transport.again(
                f"log in to {self._registry}", lambda: self._transport.exchange("GET", url, self._basic())
            )
        if answer.status in (401, 403):
            answer.release()
            raise self.denied()
        if answer.status != 200:
            answer.release()
            raise RegistryError(f"cannot log in to {self._registry}: {place(realm)} answers {status(answer.status)}")
        token, seconds = _token(answer.small(_MAX_TOKEN, "the token"), place(realm))
        self._tokens[scope] = token, time.monotonic() + max(seconds, _LEAST_SECONDS) - _MARGIN_SECONDS
        return token

    def denied(self) -> NotPermitted:
        """The error for a registry that doesn't let us in."""
        if self._credentials is None:
            return NotPermitted(
                f"{self._registry} wants a user name and password", f"`pyctr-tui login {self._registry}`"
            )
        return NotPermitted(
            f"{self._registry} does not accept the user name or password",
            f"`pyctr-tui login {self._registry}` takes others",
        )

    def _check_realm(self, realm: str) -> None:
        """A password leaves this machine over TLS only, unless the registry itself is reached without."""
        if not target(realm, realm) or urlsplit(realm).username:
            raise RegistryError(f"{self._registry} names an impossible token server: {place(realm) or 'none'}")
        if realm.startswith("http://") and self._secure:
            raise RegistryError(
                f"{self._registry} names a token server without TLS: {place(realm)}",
                "no password is sent there; its administrator has to mend that",
            )


def _token(data: bytes, where: str) -> tuple[str, float]:
    """A token and how many seconds it is good for."""
    try:
        document = json.loads(data)
        token = document.get("token") or document.get("access_token")
        seconds = document.get("expires_in") or _LEAST_SECONDS
    except (ValueError, AttributeError, RecursionError):
        token = seconds = None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not isinstance(seconds, int):
        raise RegistryError(f"{where} answers something else than a token")
    return token, float(seconds)
