"""docker's ``--change``: Dockerfile instructions applied to an image's configuration.

As docker commit and docker import accept them: `NAMES`, in their JSON and their shell forms.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.oci import ImageConfig

NAMES = tuple("CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR".split())

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9+-]*|\d{1,2}")
_FLAG = re.compile(r"--([a-z-]+)=(\S+)\s*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def apply(config: ImageConfig, changes: Sequence[str]) -> ImageConfig:
    """The configuration after ``changes``, in order; raises InvalidValue that quotes the one at fault."""
    command_set = False
    for change in changes:
        name, _, rest = change.strip().partition(" ")
        name, rest = name.upper(), rest.strip()
        if name not in NAMES:
            raise InvalidValue(f"unknown instruction in change {change!r}", f"one of {' '.join(NAMES)}")
        if not rest:
            raise InvalidValue(f"change {change!r} says nothing", f"{name} needs an argument")
        try:
            config = _apply(config, name, rest)
        except ValueError as error:
            raise InvalidValue(f"cannot read change {change!r}: {error}") from error
        if name == "ENTRYPOINT" and not command_set:
            config = replace(config, cmd=())  # as docker: the old command was the old entrypoint's
        command_set = command_set or name == "CMD"
    return config


def _apply(config: ImageConfig, name: str, rest: str) -> ImageConfig:
    env = dict(pair.split("=", 1) for pair in config.env if "=" in pair)
    if name == "CMD":
        return replace(config, cmd=_command(rest, config))
    if name == "ENTRYPOINT":
        return replace(config, entrypoint=_command(rest, config))
    if name == "HEALTHCHECK":
        return _with_extra(config, "Healthcheck", _health_check(rest))
    if name == "SHELL":
        shell = _list(rest)
        if not shell:
            raise ValueError('a list is wanted: SHELL ["/bin/bash", "-c"]')
        return _with_extra(config, "Shell", shell)
    if name == "ENV":
        return replace(config, env=tuple(f"{key}={value}" for key, value in {**env, **_pairs(rest, env)}.items()))
    if name == "LABEL":
        return replace(config, labels={**config.labels, **_pairs(rest, env)})
    if name == "ONBUILD":
        return replace(config, on_build=(*config.on_build, rest))
    if name == "EXPOSE":
        ports = [port for word in words(rest, env) for port in _ports(word)]
        return replace(config, exposed_ports=tuple(dict.fromkeys((*config.exposed_ports, *ports))))
    if name == "VOLUME":
        volumes = _list(rest) or words(rest, env)
        return replace(config, volumes=tuple(dict.fromkeys((*config.volumes, *volumes))))
    (word,) = _only(words(rest, env))
    if name == "USER":
        return replace(config, user=word)
    if name == "STOPSIGNAL":
        if not _SIGNAL.fullmatch(word):
            raise ValueError(f"{word!r} is not a signal")
        return replace(config, stop_signal=word)
    return replace(config, working_dir=posixpath.normpath(posixpath.join("/", config.working_dir, word)))


def _only(found: list[str]) -> list[str]:
    if len(found) != 1:
        raise ValueError("exactly one argument is wanted")
    return found


def _with_extra(config: ImageConfig, field: str, value: object) -> ImageConfig:
    """Docker's own fields, which the specification reserves and doesn't describe."""
    return replace(config, config_extra={**config.config_extra, field: value})


def _command(rest: str, config: ImageConfig) -> tuple[str, ...]:
    """The exec form as it is; the shell form for a shell to read."""
    listed = _list(rest)
    if listed is not None:
        return tuple(listed)
    shell = config.config_extra.get("Shell")
    return (*(map(str, shell) if isinstance(shell, list) and shell else ("/bin/sh", "-c")), rest)


def _health_check(rest: str) -> dict[str, object]:
    """``[--interval=30s …] CMD command`` or ``NONE``, as docker keeps it: times in nanoseconds."""
    found: dict[str, object] = {}
    while match := _FLAG.match(rest):
        name, value, rest = match[1], match[2], rest[match.end() :]
        if name == "retries" and value.isdecimal():
            found["Retries"] = int(value)
        elif name in _HEALTH_TIMES:
            found[_HEALTH_TIMES[name]] = _duration(value)
        else:
            raise ValueError(f"--{name}={value} is unknown")
    kind, _, command = rest.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE" and not command and not found:
        return {"Test": ["NONE"]}
    if kind.upper() != "CMD" or not command:
        raise ValueError("CMD and a command are wanted, or NONE")
    listed = _list(command)
    return {"Test": ["CMD-SHELL", command] if listed is None else ["CMD", *listed], **found}


def _duration(text: str) -> int:
    """Go's ``1m30s``, in nanoseconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 1m30s")
    return int(sum(float(number) * _NANOSECONDS[unit] for number, unit in parts))


def _list(rest: str) -> list[str] | None:
    """A JSON list of strings; ``None`` for anything else, as docker takes it."""
    try:
        value = json.loads(rest)
    except ValueError:
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _pairs(rest: str, env: Mapping[str, str]) -> dict[str, str]:
    """``K=V K2="V 2"``, or the old ``K all the rest``."""
    first = rest.split(None, 1)
    if "=" not in first[0]:
        if len(first) == 1:
            raise ValueError(f"{first[0]!r} has no value")
        return {first[0]: _expand(first[1], env)}
    found: dict[str, str] = {}
    for word in words(rest, env):
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ValueError(f"{word!r} is not of the form name=value")
        found[key] = value
    return found


def _ports(word: str) -> list[str]:
    match = _PORT.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} is not a port")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 < first <= last <= 65535:
        raise ValueError(f"{word!r} is not a port")
    return [f"{port}/{match[3] or 'tcp'}" for port in range(first, last + 1)]


def _expand(text: str, env: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: env.get(match[1] or match[2], ""), text)


def words(text: str, env: Mapping[str, str]) -> list[str]:
    """Split as a shell would: quotes and backslashes undone, ``$name`` replaced but in single quotes.

    Raises:
        ValueError: a quote that doesn't end.
    """
    found: list[str] = []
    current: list[str] | None = None
    quote = ""
    plain = ""  # text in which variables count, not expanded yet
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if quote != "'" and character == "\\" and at < len(text):
            current = [*(current or []), _expand(plain, env), text[at]]
            plain, at = "", at + 1
        elif character == quote:
            current = [*(current or []), plain if quote == "'" else _expand(plain, env)]
            plain, quote = "", ""
        elif not quote and character in "'\"":
            current = [*(current or []), _expand(plain, env)]
            plain, quote = "", character
        elif not quote and character.isspace():
            if current is not None or plain:
                found.append("".join([*(current or []), _expand(plain, env)]))
            current, plain = None, ""
        else:
            plain += character
    if quote:
        raise ValueError(f"a {quote} that doesn't end")
    if current is not None or plain:
        found.append("".join([*(current or []), _expand(plain, env)]))
    return found
