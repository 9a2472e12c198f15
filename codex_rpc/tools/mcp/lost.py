"""The one exception by which a connection, or the program behind it, ends."""

from __future__ import annotations

from codex_rpc.protocol.errors import ToolError


class Lost(ToolError):
    """Raised when a server cannot be reached, or not any more.

    The message says why, in words for the user; it may have several lines.
    """
