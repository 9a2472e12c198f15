"""What keeps a request from its server, told as `ModelError`s: names, networks, TLS and proxies.

Owns what the HTTP client's exceptions mean. It knows nothing of answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codex_rpc.model import advice
from codex_rpc.model.advice import Asked, told
from codex_rpc.model.errors import interrupted
from codex_rpc.model.proxies import proxy_of
from codex_rpc.protocol.errors import (
    ModelError,
    ModelRejected,
    ModelUnreachable,
)

if TYPE_CHECKING:
    import ssl

_EXPIRED = (9, 10)
_OTHER_NAME = (62, 64)
"""What OpenSSL's `X509_V_ERR_…` numbers say: not valid yet or any more; another host, another
address."""

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
"""How OpenSSL calls it when what answers does not speak TLS."""

_HUNG_UP = "Server disconnected without sending a response"
"""What the HTTP client says of a server that closes the connection instead of answering."""


@contextmanager
def map_exceptions(asked: Asked) -> Iterator[None]:
    """Let `ModelError`s out where httpx raises its own."""
    import httpx

    try:
        yield
    except httpx.ProxyError as exc:
        raise _proxy_error(exc, asked) from exc
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise _no_connection(exc, asked) from exc
    except httpx.TimeoutException as exc:
        idle_s = asked.provider.stream_idle_timeout_ms / 1000
        raise interrupted(f"nothing came for {idle_s:g} s") from exc
    except (
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
        httpx.TooManyRedirects,
        httpx.InvalidURL,
        UnicodeError,
    ) as exc:
        raise _no_request(asked) from exc
    except httpx.RequestError as exc:
        raise _broken(exc, asked) from exc
    except ExceptionGroup as exc:
        # A port that no system takes is found out by each of the attempts to connect.
        if exc.split(OverflowError)[1] is not None:
            raise
        raise _no_request(asked) from exc


def cannot_set_up(asked: Asked, exc: Exception) -> ModelRejected:
    """What it means that the HTTP client cannot be made: the environment holds something that is
    of no use.

    `exc` is what was raised instead; it is not quoted, for the address of a proxy can contain a
    password.
    """
    import ssl

    happened = f"cannot set up the connection to {asked.url}"
    if isinstance(exc, ImportError):
        return ModelRejected(
            told(
                f"{happened}: a SOCKS proxy is configured, and the package socksio is not there",
                "Install it, or check ALL_PROXY, HTTPS_PROXY and HTTP_PROXY",
            )
        )
    if isinstance(exc, (ssl.SSLError, OSError)):
        return ModelRejected(
            told(
                f"{happened}: the certificates to trust cannot be read ({_words(exc)})",
                "Check SSL_CERT_FILE and SSL_CERT_DIR",
            )
        )
    return ModelRejected(
        told(
            f"{happened}: the address of a proxy is not valid",
            "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY",
        )
    )


def _no_request(asked: Asked) -> ModelRejected:
    # What is raised is not quoted: it can contain headers.
    proxy = proxy_of(asked)
    hint = advice.on_proxy(asked, proxy.variable) if proxy else ""
    return ModelRejected(told(f"no valid request can be made to {asked.url}", hint))


def _no_connection(exc: Exception, asked: Asked) -> ModelError:
    import ssl

    import httpx

    below = [*_chain(exc)]
    waits = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
    tls = next((e for e in below if isinstance(e, ssl.SSLError) and not isinstance(e, waits)), None)
    is_late = isinstance(exc, httpx.TimeoutException)
    if tls is not None and not is_late:
        return _tls_error(tls, asked)
    reason = "timed out" if is_late else _reason(exc)
    proxy = proxy_of(asked)
    if proxy is None:
        happened = f"cannot connect to {asked.url}: {asked.quoted(reason)}"
        return ModelUnreachable(told(happened, advice.on_unreachable(asked)))
    happened = (
        f"cannot connect to {asked.url} through the proxy {proxy.host}: {asked.quoted(reason)}"
    )
    return ModelUnreachable(told(happened, advice.on_proxy(asked, proxy.variable)))


def _tls_error(exc: ssl.SSLError, asked: Asked) -> ModelError:
    """Certificates stay as they are, so that only an interrupted handshake is tried again."""
    import ssl

    happened = f"cannot connect to {asked.url}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        happened += f": its certificate is not accepted ({asked.quoted(exc.verify_message)})"
        if exc.verify_code in _EXPIRED:
            return ModelRejected(told(happened, advice.on_expired_certificate()))
        if exc.verify_code in _OTHER_NAME:
            return ModelRejected(told(happened, advice.on_other_name(asked)))
        return ModelRejected(told(happened, advice.on_untrusted_certificate()))
    if exc.reason in _NOT_TLS:
        happened += ": it does not speak TLS"
        return ModelRejected(told(happened, advice.on_wrong_scheme(asked, "http")))
    said = (exc.reason or "TLS failed").replace("_", " ").lower()
    happened += f": the TLS handshake failed ({asked.quoted(said)})"
    return ModelUnreachable(told(happened, advice.on_unreachable(asked)))


def _proxy_error(exc: Exception, asked: Asked) -> ModelError:
    proxy = proxy_of(asked)
    variable = proxy.variable if proxy else "HTTPS_PROXY"
    said = asked.quoted(str(exc)) or "no reason given"
    name = f"the proxy {proxy.host}" if proxy else "the proxy"
    if said.startswith("407"):
        happened = f"{name} wants a password before it connects to {asked.url}: {said}"
        return ModelRejected(told(happened, advice.on_proxy_password(variable)))
    happened = f"{name} does not connect to {asked.url}: {said}"
    # What it forbids stays forbidden; what it cannot reach may be there in a moment.
    kind = ModelRejected if said.startswith("4") else ModelUnreachable
    return kind(told(happened, advice.on_proxy(asked, variable)))


def _broken(exc: Exception, asked: Asked) -> ModelError:
    reason = asked.quoted(_reason(exc))
    is_ours = asked.provider.local is not None
    if reason.startswith(_HUNG_UP) and asked.url.startswith("http:") and not is_ours:
        return interrupted(told(reason, advice.on_hanging_up(asked)))
    return interrupted(reason)


def _reason(exc: BaseException) -> str:
    """The system's own words deepest below `exc`, else those of `exc`."""
    reason = str(exc) or type(exc).__name__
    for below in _chain(exc):
        if isinstance(below, OSError) and below.strerror:
            reason = _words(below)
    return reason


def _words(exc: Exception) -> str:
    """What the system calls an error; asyncio puts an address in the place of its words."""
    if not isinstance(exc, OSError) or not exc.strerror:
        return type(exc).__name__
    if exc.errno is not None and exc.strerror.startswith("Connect call failed"):
        return os.strerror(exc.errno)
    return exc.strerror


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """`exc` and what it was raised from, down to the first."""
    seen: set[int] = set()
    below: BaseException | None = exc
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        if isinstance(below, BaseExceptionGroup):
            below = below.exceptions[0]
        yield below
        below = below.__cause__ or below.__context__
