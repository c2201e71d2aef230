"""``python -m tests.bench``: how fast it is, against the bare kernel. See `tests.bench`."""

from __future__ import annotations

import argparse
import compileall
import os
import signal
import sys
import time
import traceback

import pyctr_engine
import pyctr_tui
from tests.bench import measures
from tests.bench.figures import Figure, table
from tests.bench.place import place


def main() -> None:
    """Measure and print; ends with 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions: a glance, not a measurement")
    parser.add_argument(
        "--only", action="append", choices=measures.MEASURES, metavar="NAME", help=" ".join(measures.MEASURES)
    )
    asked = parser.parse_args()
    if os.geteuid() != 0:
        print("The bench starts containers on the real kernel and needs root: sudo make bench")
        return
    for package in (pyctr_engine, pyctr_tui):  # PYTHONDONTWRITEBYTECODE may be set: nobody should time the compiler
        compileall.compile_dir(package.__path__[0], quiet=2)
    effort = measures.QUICK if asked.quick else measures.FULL
    found: list[Figure] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is removed
    with place() as here:
        print(machine(here.engine._context.cgroups.mode), flush=True)
        for name in asked.only or measures.MEASURES:
            try:
                for figure in measures.MEASURES[name](here, effort):
                    found.append(figure)
                    if sys.stderr.isatty():
                        print(f"  {'  '.join(figure.cells())}", file=sys.stderr, flush=True)
            except Exception:  # noqa: BLE001 - one measure that can't be taken must not take the others along
                print(f"\n{name} could not be measured:\n{traceback.format_exc()}", flush=True)
    print(f"\n{table(found)}")
    missed = [figure for figure in found if figure.verdict.startswith("MISSED")]
    print(f"\n{len(missed)} of {sum(f.target is not None for f in found)} targets missed. Load now: {load()}.")


def machine(cgroups: str) -> str:
    """What it was measured on."""
    system = os.uname()
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"{os.cpu_count()} cores ({processor()}), Linux {system.release}, cgroups {cgroups}, Python {python}, "
        f"load {load()}, {time.strftime('%Y-%m-%d %H:%M')}"
    )


def load() -> str:
    """The load average over the last minute: what else the machine was doing."""
    return f"{os.getloadavg()[0]:.2f}"


def processor() -> str:
    """The processor's name. Source: proc_cpuinfo(5)."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else os.uname().machine


if __name__ == "__main__":
    main()
