"""The keys that detach from a container: Ctrl+P Ctrl+Q unless ``--detach-keys`` says otherwise."""

from __future__ import annotations

from pyctr_tui.cli.options import Option, UsageError

DEFAULT = "ctrl-p,ctrl-q"

OPTION = Option("--detach-keys", f"Keys that detach, {DEFAULT} by default", "KEYS")


def parse_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or ``a,b`` as the bytes that a terminal sends. Raises UsageError."""
    keys = bytearray()
    for name in (text or DEFAULT).split(","):
        key = name.removeprefix("ctrl-")
        if len(key) != 1 or not key.isascii() or not ("@" <= key.upper() <= "_" or key == name):
            raise UsageError(f"--detach-keys: {name!r} is not a key", "keys are single letters or ctrl- and a letter")
        keys.append(ord(key.upper()) & 0x1F if key != name else ord(key))
    return bytes(keys)


class KeyFilter:
    """Looks for the detach keys in what is typed; a beginning of them is held back until the next key."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the keys are complete."""
        out = bytearray()
        for byte in typed:
            if byte == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    return bytes(out), True
                continue
            out += self._keys[: self._held]
            self._held = int(byte == self._keys[0])
            if not self._held:
                out.append(byte)
        return bytes(out), False
