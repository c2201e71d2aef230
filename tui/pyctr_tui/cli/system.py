"""``events``, ``doctor``, ``system check`` and ``version``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyctr_tui.cli import output, text, values
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from pyctr_engine.model.event import Event
    from pyctr_engine.model.host import Finding
    from pyctr_engine.model.tidy import Repair

_EVENTS = Grammar(
    "events",
    "",
    "Show what happens to containers, images, volumes and stacks, as it happens.",
    Option("--since", "Begin with what happened from this time on: 10m, or 2026-01-31T13:05:00Z", "TIME"),
    Option("--until", "End at this time, which may be now", "TIME"),
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
    follow = until is None or until > time.time()
    for event in call.engine.events(since, follow):
        if until is not None and event.time > until:
            break
        output.line(render(event))
        sys.stdout.flush()
    return 0


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
    return _findings(call.engine.doctor(), _DOCTOR.parse(words).value("format"))


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
