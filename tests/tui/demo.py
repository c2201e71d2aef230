"""The interface on the made-up engine: ``python -m tests.tui.demo [copies]`` (from the repository's root)."""

from __future__ import annotations

import sys
import threading
import time

from pyctr_tui.app import run_app
from tests.tui.fake import FakeEngine, writer


def main() -> int:
    engine = FakeEngine(time.time, copies=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 2
    stop = threading.Event()
    threading.Thread(target=writer, args=(engine, ["crawler-fetch-1", "shop-web-1"], rate, stop), daemon=True).start()
    try:
        return run_app(engine)
    finally:
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
