"""``events``, ``doctor``, ``system check`` and ``version``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError
from pyctr_engine.model.host import Finding
from pyctr_tui.cli import output, text, values
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.event import Event
    from pyctr_engine.model.tidy import Repair

_EVENTS = Grammar(
    "events",
    "",
    "Show what happens to containers, images, volumes and stacks, as it happens.",
    Option("--since", "Begin with what happened from this time on: 10m, or 2026-01-31T13:05:00Z", "TIME"),
    Option("--until", "End at this time, which may be now", "TIME"),
    Option("-f, --filter", "type=, event=, container=, image=, volume=, stack=", "KEY=VALUE", many=True),
    Option("--format", "json (one object a line), or a template such as '{{.Action}} {{.Name}}'", "FORMAT"),
)
_DOCTOR = Grammar("doctor", "", "Examine this host: what works, and what each lack costs.", output.LIST_FORMAT)
_CHECK = Grammar(
    "system check",
    "",
    "Examine the store, the database and what the kernel holds for us.",
    Option("--repair", "Mend what can be mended, remove what belongs to nobody, and examine again"),
    output.LIST_FORMAT,
    note="An unpacked layer is compared with its blob: names, types, modes, owners, times, sizes and link targets. "
    "What files hold is not read again.",
)
_VERSION = Grammar("version", "", "Show the version.", output.FORMAT)


def events(call: Call, words: Sequence[str]) -> int:
    """``events``: follows until interrupted, or until ``--until``."""
    parsed = _EVENTS.parse(words)
    since = values.moment(parsed.value("since"), "--since") if "since" in parsed else None
    until = values.moment(parsed.value("until"), "--until") if "until" in parsed else None
    render = _event_renderer(parsed.value("format"))
    wanted = _event_filter(call, parsed.values("filter"))
    follow = until is None or until > time.time()
    for event in call.engine.events(since, follow, until):
        if wanted(event):
            output.line(render(event))
            sys.stdout.flush()
    return 0


_EVENT_KEYS = ("type", "event", "container", "image", "volume", "stack")


def _event_filter(call: Call, filters: Sequence[str]) -> Callable[[Event], bool]:
    """docker's: of each key one value, of all keys, has to fit. Raises UsageError."""
    wanted: dict[str, list[str]] = {}
    for given in filters:
        key, equals, value = given.partition("=")
        if not equals or key not in _EVENT_KEYS:
            raise _EVENTS.error(
                f"--filter: {given!r} is unknown", f"filters: {', '.join(f'{k}=…' for k in _EVENT_KEYS)}"
            )
        wanted.setdefault(key, []).append(value)
    members: dict[str, str] = {}

    def stack_of(event: Event) -> str:
        if event.id not in members:
            members.update({container.id: container.stack for container in call.engine.containers()})
        return members.setdefault(event.id, "")

    def fits(event: Event, key: str, value: str) -> bool:
        if key == "type":
            return event.type == value
        if key == "event":  # health_status takes "health_status: healthy" too
            return event.action == value or event.action.partition(":")[0] == value
        if key == "stack":
            return event.id == value if event.type == "stack" else stack_of(event) == value
        if event.type == "container" and key == "image":
            return event.attributes.get("image", "") == value
        return event.type == key and (event.name == value or (len(value) > 3 and event.id.startswith(value)))

    return lambda event: all(any(fits(event, key, value) for value in values) for key, values in wanted.items())


def _event_renderer(format: str) -> Callable[[Event], str]:
    if not format:
        return _event_line
    from pyctr_tui.cli.template import compile_template

    render = compile_template("{{json .}}" if format == "json" else format)
    return lambda event: render(_event_row(event))


def _event_line(event: Event) -> str:
    attributes = dict(event.attributes)
    if event.name:
        attributes["name"] = event.name
    inside = ", ".join(f"{key}={value}" for key, value in sorted(attributes.items()))
    return f"{text.timestamp(event.time)} {event.type} {event.action} {event.id}{f' ({inside})' if inside else ''}"


def _event_row(event: Event) -> output.Row:
    """An event under docker's field names."""
    return {
        "Type": event.type,
        "Action": event.action,
        "ID": event.id,
        "Name": event.name,
        "Time": int(event.time),
        "TimeNano": int(event.time * 1e9),
        "Actor": {"ID": event.id, "Attributes": {**event.attributes, "name": event.name}},
    }


def doctor(call: Call, words: Sequence[str]) -> int:
    """``doctor``: 1 when something does not work."""
    format = _DOCTOR.parse(words).value("format")
    try:
        found = call.engine.doctor()
    except EngineError as error:  # an ordinary user whom this host doesn't let: that is what we are here for
        found = call.outside().doctor()
        found.insert(0, Finding("fail", "containers", error.message, error.hint))
    return _findings(found, format)


def check(call: Call, words: Sequence[str]) -> int:
    """``system check``: 1 when something is damaged; with ``--repair``, still damaged."""
    parsed = _CHECK.parse(words)
    repairs = call.engine.repair() if parsed.flag("repair") else []
    return _findings(call.engine.check(), parsed.value("format"), repairs)


def _findings(findings: Sequence[Finding], format: str, repairs: Sequence[Repair] = ()) -> int:
    """What was done (``done``) or could not be (``left``) comes first, then what was found."""
    mended = [("done" if repair.done else "left", repair) for repair in repairs]
    if format:
        rows = [{"Level": level, "Subject": r.subject, "Detail": r.detail, "Cost": ""} for level, r in mended]
        rows += [{"Level": f.level, "Subject": f.subject, "Detail": f.detail, "Cost": f.cost} for f in findings]
        output.rows(rows, format, ("Level", "Subject", "Detail", "Cost"))
    else:
        subjects = [finding.subject for finding in findings] + [repair.subject for repair in repairs]
        width = max(map(len, subjects), default=0)
        for level, repair in mended:
            output.line(f"{level:<4}  {repair.subject:<{width}}  {repair.detail}")
        for finding in findings:
            output.line(f"{finding.level:<4}  {finding.subject:<{width}}  {finding.detail}")
            if finding.cost:
                output.line(f"{'':<{width + 8}}{finding.cost}")
    return int(any(finding.level == "fail" for finding in findings))


def version(call: Call, words: Sequence[str]) -> int:
    """``version``, and ``--version``."""
    from importlib.metadata import version as version_of

    parsed = _VERSION.parse(words)
    found = version_of("pyctr-tui")
    if parsed.value("format"):
        output.rows(
            [{"Version": found, "Python": sys.version.split()[0]}], parsed.value("format"), ("Version", "Python")
        )
    else:
        print(f"pyctr-tui {found}")
    return 0
