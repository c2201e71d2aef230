"""Where the frames of a zstd stream end: its decoder does not tell an early end from a good one.

Source: RFC 8878, section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50  # and the 15 that follow


class Frames:
    """Follows a stream as it passes; it neither decodes nor judges it otherwise."""

    def __init__(self) -> None:
        self._step = self._after_magic
        self._wanted = 4
        self._held = b""
        self._passing = 0
        self._has_checksum = False

    @property
    def at_end(self) -> bool:
        """Whether what has passed is whole frames, or nothing."""
        return self._step == self._after_magic and not self._held and not self._passing

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same stream."""
        for chunk in chunks:
            at = 0
            while at < len(chunk):
                if self._passing:
                    passed = min(self._passing, len(chunk) - at)
                    self._passing -= passed
                    at += passed
                    continue
                piece = chunk[at : at + self._wanted - len(self._held)]
                self._held += piece
                at += len(piece)
                if len(self._held) == self._wanted:
                    held, self._held = self._held, b""
                    self._step(held)
            yield chunk

    def _after_magic(self, data: bytes) -> None:
        magic = int.from_bytes(data, "little")
        if magic == _MAGIC:
            self._step, self._wanted = self._after_descriptor, 1
        elif magic & ~0xF == _SKIPPABLE:
            self._step, self._wanted = self._after_length, 4
        # else the decoder refuses it

    def _after_length(self, data: bytes) -> None:
        self._passing = int.from_bytes(data, "little")
        self._step, self._wanted = self._after_magic, 4

    def _after_descriptor(self, data: bytes) -> None:
        single = data[0] >> 5 & 1
        self._has_checksum = bool(data[0] >> 2 & 1)
        self._passing = 1 - single + (0, 1, 2, 4)[data[0] & 3] + (single, 2, 4, 8)[data[0] >> 6]
        self._step, self._wanted = self._after_block_header, 3

    def _after_block_header(self, data: bytes) -> None:
        header = int.from_bytes(data, "little")
        is_repeated = header >> 1 & 3 == 1
        self._passing = 1 if is_repeated else header >> 3
        if header & 1:  # the last one
            self._passing += 4 * self._has_checksum
            self._step, self._wanted = self._after_magic, 4
