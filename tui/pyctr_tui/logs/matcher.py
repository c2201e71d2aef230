"""The child that looks through logs: a regular expression may take for ever, and holds the interpreter meanwhile.

It reads blocks of whole lines from its standard input (two lengths, the lines before the block as far as they matter,
the block) and answers each with where the wanted lines begin and end. Who reads the logs, and from where, is its
parent's business; it opens no file. It ends with its parent, or by an alarm when a block takes too long.
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
LENGTHS = struct.Struct("=II")
LENGTH = struct.Struct("=I")


def main() -> None:
    """Serve until the input ends; the arguments are the fields of a query as JSON."""
    import json

    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Finder(Query(**json.loads(sys.argv[1]))), sys.stdin.buffer.read, sys.stdout.buffer.write)


def serve(finder: Finder, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """Answer each block."""
    while len(lengths := read(LENGTHS.size)) == LENGTHS.size:
        head, block = (read(length) for length in LENGTHS.unpack(lengths))
        signal.alarm(LIMIT)
        spans = finder.spans(block, head)
        signal.alarm(0)
        places = array.array("I", (place for span in spans for place in span)).tobytes()
        write(LENGTH.pack(len(places)) + places)
        sys.stdout.buffer.flush()
