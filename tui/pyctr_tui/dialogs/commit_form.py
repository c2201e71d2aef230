"""What is filled in for a commit, and what it asks of the engine."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from pyctr_engine.model.spec import CommitRequest
from pyctr_tui.safe_text import safe
from pyctr_tui.widgets.line_edit import LineEdit

MOST_CHANGES = 32
"""Lines of changes to the config."""
_FIRST = 'CMD ["nginx"]  ENV A=b  EXPOSE 80  USER app …'
_SPECIAL = re.compile(r"([*?\[])")


@dataclass(slots=True)
class CommitForm:
    """What has been filled in.

    Attributes:
        only, patterns: What to take alone, and what to leave out, as typed: paths and globs with blanks between.
        changes: Instructions for the config, one a line; the last line is empty and waits to be typed in.
        excluded: Raw paths that were picked from the list, to leave out with all below them.
    """

    name: LineEdit
    author: LineEdit = field(default_factory=lambda: LineEdit(placeholder="who made it"))
    message: LineEdit = field(default_factory=lambda: LineEdit(placeholder="what was changed, and why"))
    pause: bool = True
    changes: list[LineEdit] = field(default_factory=lambda: [LineEdit(placeholder=_FIRST)])
    only: LineEdit = field(default_factory=lambda: LineEdit(placeholder="everything; or patterns: /srv /etc/*.conf"))
    patterns: LineEdit = field(default_factory=lambda: LineEdit(placeholder="patterns: *.log /var/cache **/tmp"))
    excluded: set[str] = field(default_factory=set)

    def settle(self) -> None:
        """Keep one empty line at the end of the changes, and none before."""
        kept = [edit for edit in self.changes[:-1] if edit.value.strip()] + self.changes[-1:]
        if kept[-1].value.strip() and len(kept) < MOST_CHANGES:
            kept.append(LineEdit(placeholder="one more"))
        self.changes = kept

    def picked(self, raw: str) -> bool:
        """Whether a path, or one it lies under, was picked to be left out."""
        return any(raw == path or raw.startswith(path.rstrip("/") + "/") for path in self.excluded)

    def request(self) -> CommitRequest:
        """What to ask the engine. Picked paths mean themselves, whatever characters they have."""
        picked = (_SPECIAL.sub(r"[\1]", path) for path in sorted(self.excluded))
        return CommitRequest(
            name=self.name.value.strip(),
            author=self.author.value.strip(),
            message=self.message.value.strip(),
            changes=tuple(text for edit in self.changes if (text := edit.value.strip())),
            pause=self.pause,
            exclude=(*self.patterns.value.split(), *picked),
            include=tuple(self.only.value.split()),
        )

    def line(self, container: str) -> str:
        """The command line that does the same, without the program's name."""
        request = self.request()
        words = ["commit"]
        words += ["-a", request.author] if request.author else []
        words += ["-m", request.message] if request.message else []
        words += [word for change in request.changes for word in ("-c", change)]
        words += [] if request.pause else ["--no-pause"]
        words += [word for pattern in request.include for word in ("--include", pattern)]
        words += [word for pattern in request.exclude for word in ("--exclude", pattern)]
        return safe(shlex.join([*words, container, *filter(None, (request.name,))]))
