"""Inside the guest, a plugin of pytest: writes each report as a line for the machine outside.

A line is ``\\x1e`` and JSON: node (its id), when (setup, call, teardown), outcome, text (of a failure), reason (of a
skip).
"""

from __future__ import annotations

import json
import os

import pytest

MARK = "\x1e"
_stdout = os.dup(1)  # before pytest captures it


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    text = ""
    if report.failed:
        text = "\n\n".join([report.longreprtext, *(f"{title}:\n{content}" for title, content in report.sections)])
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    line = {"node": report.nodeid, "when": report.when, "outcome": report.outcome, "text": text, "reason": reason}
    data = f"{MARK}{json.dumps(line)}\n".encode()
    while data:
        data = data[os.write(_stdout, data) :]
