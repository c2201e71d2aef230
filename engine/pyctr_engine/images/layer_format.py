"""What a layer's tar may hold, for those who write one and those who unpack one (image-spec, layer.md)."""

from __future__ import annotations

WHITEOUT = b".wh."
"""How the name of a file that means a deletion begins."""

OPAQUE = b".wh..wh..opq"
"""A file of this name hides all that lower layers have in its directory."""

SPEC_DEVICES = frozenset({(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)})
"""null zero full random urandom tty console ptmx: what the runtime-spec gives every container. No others pass."""

_XATTRS = ("user.", "security.capability", "system.posix_acl_access", "system.posix_acl_default")
_OVERLAY = "user.overlay."


def keeps_xattr(name: str) -> bool:
    """Whether an extended attribute belongs in a layer: what means something in a container.

    Overlay's own would let a layer lie about its neighbours.
    """
    return name.startswith(_XATTRS) and not name.startswith(_OVERLAY)
