"""The tests that run in guests: each of them is one here, with the outcome and the text it had there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.guest.conftest import Machines
from tests.guest.image import USER
from tests.guest.reporter import MARK
from tests.guest.selection import RUNS, Run, node_ids

pytestmark = pytest.mark.root
_SECONDS = 600
"""For one test in the guest."""


class Progress:
    """One call of pytest in a guest, read as far as it was asked for."""

    def __init__(self, machines: Machines, run: Run, nodes: list[str]) -> None:
        machine = machines.get(run.kind)
        machine.write("/run/guest-tests", "\n".join(nodes) + "\n")
        words = ["python3", "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.guest.reporter", "-q"]
        user = "root" if run.user == "root" else USER
        # Not /tmp: without systemd it is in memory, and this kernel idmaps no tmpfs (Linux 6.3 does).
        environment = {"PYCTR_INSIDE": "1", "PYCTR_TEST_PATIENCE": "20", "TMPDIR": "/var/tmp"}
        self._lines = machine.stream([*words, "@/run/guest-tests"], user, environment, _SECONDS * len(nodes))
        self._said: list[str] = []
        self._reports: dict[str, list[dict[str, str]]] = {}

    def reports(self, node: str) -> list[dict[str, str]]:
        """Those of one test, once it has ended; they come in order."""
        while not any(report["when"] == "teardown" for report in self._reports.get(node, ())):
            try:
                self._take(next(self._lines))
            except StopIteration:
                pytest.fail(
                    f"it was not run. pytest in the guest wrote:\n{''.join(self._said)[-6000:]}", pytrace=False
                )
        return self._reports[node]

    def finish(self) -> None:
        """Read what is left."""
        for line in self._lines:
            self._take(line)

    def _take(self, line: str) -> None:
        before, mark, text = line.partition(MARK)
        self._said.append(before)
        if mark:
            report = json.loads(text)
            self._reports.setdefault(report["node"], []).append(report)


@pytest.fixture(scope="module")
def progresses(request: pytest.FixtureRequest, machines: Machines) -> Iterator[dict[Run, Progress]]:
    """Begun when the first test of a run asks for it; the one before is ended then."""
    found: dict[Run, Progress] = {}
    yield found
    if request.session.shouldfail or request.session.shouldstop:
        machines.close()  # the others that it was to run are not waited for
        return
    for progress in found.values():
        progress.finish()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    pairs = [(run, node) for run in RUNS for node in node_ids(run)]
    metafunc.parametrize(("run", "node"), pairs, ids=[f"{run}:{node}" for run, node in pairs])


def test_inside(
    run: Run, node: str, machines: Machines, progresses: dict[Run, Progress], request: pytest.FixtureRequest
) -> None:
    if run not in progresses:
        for progress in progresses.values():
            progress.finish()
        wanted = [
            item.callspec.params
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.originalname == "test_inside"
        ]
        progresses[run] = Progress(machines, run, [one["node"] for one in wanted if one["run"] == run])
    for report in progresses[run].reports(node):
        if report["outcome"] == "failed":
            pytest.fail(f"in the guest, at its {report['when']}:\n{report['text']}", pytrace=False)
        if report["outcome"] == "skipped":
            pytest.skip(report["reason"])
