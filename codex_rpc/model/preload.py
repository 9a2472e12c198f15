"""The imports that the first request to a model needs, to be made while nobody waits for them."""

from __future__ import annotations

import sys

_COMMAND_LINE = "httpx._main"


def preload() -> None:
    """Import the HTTP client. Takes about 0.1 s the first time; safe in any thread."""
    # httpx and httpcore import their own heavy parts when first used; these are those.
    import email.utils
    import ssl

    # Where click and rich can be had, httpx loads a command line of its own, which takes as long
    # as all the rest of it. It does without one that Python says is not there.
    sys.modules.setdefault(_COMMAND_LINE, None)  # type: ignore[arg-type]
    import httpcore._backends.anyio
    import httpx
    import httpx_sse

    assert all((email.utils, ssl, httpcore, httpx, httpx_sse))
