"""What went wrong in a thread, told whatever it is: were it to die of it, what waits for it would wait for good."""

from __future__ import annotations

import os
import traceback

from pyctr_engine.errors import EngineError


def told(error: Exception) -> EngineError:
    """The error itself if it is the engine's; else the system's words, or that it was unexpected, and where."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return EngineError(": ".join((*([str(error.filename)] if error.filename else []), error.strerror.lower())))
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({os.path.basename(frame.filename)}, line {frame.lineno})" for frame in place)
    return EngineError(f"something unexpected went wrong: {type(error).__name__}: {error}{where}", "please report it")
