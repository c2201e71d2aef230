"""How much memory the processes of a pull have."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import glob, sys, threading, time
from pyctr_engine.engine import Engine
from pyctr_engine.paths import Paths
peaks, over = {}, threading.Event()
def look():
    while not over.wait(0.005):
        pids = {"self"}
        for file in glob.glob("/proc/self/task/*/children"):
            try:
                pids |= set(open(file).read().split())
            except OSError:
                pass
        for pid in pids:
            try:
                text = open(f"/proc/{pid}/status").read()
            except OSError:
                continue
            if "VmHWM:" in text:
                peaks[pid] = int(text.partition("VmHWM:")[2].split()[0])
watcher = threading.Thread(target=look)
watcher.start()
Engine(Paths(sys.argv[1], sys.argv[2])).pull(sys.argv[3])
over.set()
watcher.join()
print(sum(peaks.values()))
"""


def memory_peak(state: str, run: str, image: str) -> int:
    """The most that each process of a pull had, in bytes, added up as if it had been at once.

    What getrusage(2) tells of a process would count what its parent had when it forked.
    """
    command = [sys.executable, "-c", _PROGRAM, state, run, image]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024
