"""The confined child: a layer's tar on standard input becomes files below its root.

Runs as ``python -I -S`` with nothing but this, started by `unpack`. An entry that is refused ends it with an error
that names the entry; the parent then removes what was made.
"""

from __future__ import annotations

import json
import os
import sys

from pyctr_engine.images import confinement
from pyctr_engine.images.extractor import Extractor, OverLimit, Unmapped
from pyctr_engine.images.tar_format import Refused
from pyctr_engine.images.tar_reader import Stream, TarReader


def extract(reader: TarReader, extractor: Extractor) -> dict[str, object]:
    """Unpack a whole tar; what there is, or which entry was refused and why."""
    where: dict[str, object] = {}
    try:
        while entry := reader.next():
            extractor.add(entry, reader)
        reader.name = b""
        reader.drain()
        return extractor.finish()
    except Unmapped as error:
        where = {"error": str(error), "owner": error.owner}
    except Refused as error:
        where = {"error": str(error), "limit": isinstance(error, OverLimit)}
    except OSError as error:
        where = {"error": os.strerror(error.errno or 0).lower(), "errno": error.errno or 0}
    except MemoryError:
        where = {"error": "it needs more memory than unpacking may have", "limit": True}
    name = os.fsdecode(reader.name[:4096].rstrip(b"/")) or None
    return {**where, "entry": name, "position": reader.position}


def main() -> None:
    """``argv[1]``: JSON of the target directory and the limits. Ends the process."""
    options = json.loads(sys.argv[1])
    try:
        confinement.enter(options.pop("directory"))
        report = extract(TarReader(Stream(0)), Extractor(**options))
    except OSError as error:
        report = {"error": f"cannot confine the unpacking process: {error}", "errno": error.errno, "entry": None}
    os.close(0)  # whoever still writes learns it now, before this waits for the report to be read
    sys.stdout.write(json.dumps(report))
    sys.stdout.flush()
    os._exit(1 if "error" in report else 0)
