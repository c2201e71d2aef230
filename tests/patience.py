"""How much longer than usual to wait for what happens by itself, on a machine that is slower than usual."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("PYCTR_TEST_PATIENCE", "1"))
