"""Which proxy stands between us and a model server.

Owns how it is found out and shown. It sends nothing.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from codex_rpc.model.advice import Asked
from codex_rpc.protocol.frozen import frozen


@frozen(kw_only=True)
class ProxyUse:
    """The proxy that the environment names for an address."""

    variable: str
    host: str
    """With the port, without user and password."""


def proxy_of(asked: Asked) -> ProxyUse | None:
    """Who is asked instead of the provider; None: the provider itself."""
    # The functions that the HTTP client asks too, so that all systems' settings count.
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(asked.provider.base_url or "")
    proxies = getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    named = proxies.get(scheme)
    if not named or proxy_bypass(parts.hostname or ""):
        return None
    host = named.rpartition("@")[2].rpartition("://")[2].partition("/")[0]
    return ProxyUse(variable=f"{scheme.upper()}_PROXY", host=host)
