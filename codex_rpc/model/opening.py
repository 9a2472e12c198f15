"""The HTTP client that model servers are asked with.

Owns what holds for every connection to them: certificates, proxies, what is logged, and what is
left of an answer that was read.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from codex_rpc.model.advice import Asked
from codex_rpc.model.connections import cannot_set_up
from codex_rpc.model.preload import preload

if TYPE_CHECKING:
    import httpx

_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


def open_http(asked: Asked, **settings: Any) -> httpx.AsyncClient:
    """A client for the server of `asked`; connects to nothing.

    `settings` are those of the client. Slow the first time: imports and certificates take some
    0.1 s. The environment's proxies are used, but not to reach this machine.

    Raises:
        ModelRejected: the environment names proxies or certificates that cannot be used.
    """
    preload()
    import httpx

    # Its lines show the address with its query, where some providers want a key.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return httpx.AsyncClient(
            # Loading certificates is slow, and plain HTTP has no use for them.
            verify=asked.url.startswith("https:"),
            mounts={f"all://{host}": None for host in _THIS_MACHINE},
            **settings,
        )
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as exc:
        raise cannot_set_up(asked, exc) from exc


async def close(response: httpx.Response) -> None:
    """Close `response`, and let go of what was sent and received with it."""
    import httpx

    try:
        await response.aclose()
    finally:
        # A response and its stream hold each other, and with them the whole conversation that was
        # sent and the connections with their certificates: they would stay, also after the end of
        # the session, until garbage happens to be looked for.
        response.stream = httpx.ByteStream(b"")
