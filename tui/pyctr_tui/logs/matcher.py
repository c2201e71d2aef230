"""The child that looks through logs: a regular expression may take for ever, and holds the interpreter meanwhile.

It reads blocks of whole lines (a length, then the bytes) from its standard input and answers each with where the
wanted lines begin and end. Who reads the logs, and from where, is its parent's business; it opens no file. It ends
with its parent, or by an alarm when a block takes too long.
"""

from __future__ import annotations

import array
import os
import signal
import struct
import sys
from collections.abc import Callable

from pyctr_tui.logs.query import Finder, Query

LIMIT = 5
"""Seconds a block may take."""
NICENESS = 5
"""It may take a while; keys may not."""
LENGTH = struct.Struct("=I")


def main() -> None:
    """Serve until the input ends; the arguments are the fields of a query as JSON."""
    import json

    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Finder(Query(**json.loads(sys.argv[1]))), sys.stdin.buffer.read, sys.stdout.buffer.write)


def serve(finder: Finder, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """Answer each block."""
    while len(head := read(LENGTH.size)) == LENGTH.size:
        block = read(LENGTH.unpack(head)[0])
        signal.alarm(LIMIT)
        spans = finder.spans(block)
        signal.alarm(0)
        places = array.array("I", (place for span in spans for place in span)).tobytes()
        write(LENGTH.pack(len(places)) + places)
        sys.stdout.buffer.flush()
