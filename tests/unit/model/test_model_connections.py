"""Connections that cannot be made: real sockets, real certificates, real proxies.

The HTTP client reads its settings from the environment when it is made, so that each case asks in
a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field
from support.model_server import encoded

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

ASK = """
import anyio, json, sys
from pathlib import Path
from codex_rpc.config.providers import known_providers
from codex_rpc.config.settings import Config
from codex_rpc.model.registry import make_model
from codex_rpc.protocol.errors import ModelError
from codex_rpc.protocol.items import text_message
from codex_rpc.protocol.model import Prompt, TextDelta

entry = {"base_url": sys.argv[2], "wire_api": "responses"}
provider = known_providers({sys.argv[1]: entry}, {})[sys.argv[1]]
config = Config(codex_home=Path("/h"), cwd=Path("/"), model="m", provider=provider,
                model_context_window=9999)

async def main():
    model = make_model(config)
    prompt = Prompt(instructions="", input=[text_message("hi")], tools=[], model="m",
                    session_id="11111111-1111-4111-8111-111111111111")
    try:
        async with model.stream(prompt) as events:
            text = "".join([e.delta async for e in events if isinstance(e, TextDelta)])
        return {"text": text}
    except ModelError as exc:
        return {"kind": type(exc).__name__, "retryable": exc.retryable, "message": exc.message}
    finally:
        await model.aclose()

print(json.dumps(anyio.run(main)))
"""
PASSWORD = "pass-word-0123"


async def ask(url: str, *, provider: str = "mine", **environ: str) -> dict[str, Any]:
    """What a process with this environment, and no other settings, gets from the server at `url`.

    `{"text"}`, or `{"kind", "retryable", "message"}` of the error.
    """
    kept = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY")}
    kept = {k: v for k, v in kept.items() if not k.startswith("SSL_CERT")}
    with anyio.fail_after(15):
        done = await anyio.run_process(
            [sys.executable, "-c", ASK, provider, url], env={**kept, **environ}, check=False
        )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stdout)
    message = told.get("message", "")
    assert len(message.splitlines()) <= 1
    assert PASSWORD not in message
    return told


@asynccontextmanager
async def serving(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server; what is still open when it ends is cut off."""
    writers: list[asyncio.StreamWriter] = []

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client has gone.
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One Responses stream that says "ok"."""
    await read_request(reader)
    events = (
        {"type": "response.output_text.delta", "delta": "ok"},
        {"type": "response.completed", "response": {"id": "resp_1"}},
    )
    body = b"".join(map(encoded, events))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
    await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> list[str]:
    """The lines of a request's head; its body is read too."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    lengths = [line for line in head if line.lower().startswith("content-length:")]
    if lengths:
        await reader.readexactly(int(lengths[0].partition(":")[2]))
    return head


@define
class Proxy:
    """Passes requests on, by CONNECT or as they are, to `to` whatever host they name."""

    to: int = 0
    refusal: str = ""
    """A status line to answer with instead."""
    heads: list[list[str]] = field(factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_request(reader)
        self.heads.append(head)
        if self.refusal:
            page = "<html><head><title>Access Denied</title></head></html>"
            length = f"Content-Type: text/html\r\nContent-Length: {len(page)}"
            writer.write(f"HTTP/1.1 {self.refusal}\r\n{length}\r\n\r\n{page}".encode())
            await writer.drain()
            return
        upstream, out = await asyncio.open_connection("127.0.0.1", self.to)
        if head[0].startswith("CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            # The body has been read; the server here does not look at it.
            kept = [line for line in head if not line.lower().startswith("content-length:")]
            out.write("\r\n".join(kept).encode())
        await asyncio.gather(pump(reader, out), pump(upstream, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


# Certificates.


@define
class Authority:
    """Makes certificates with the `openssl` program."""

    folder: Path

    @property
    def file(self) -> str:
        return str(self.folder / "ca.pem")

    @classmethod
    def made(cls, folder: Path) -> Authority:
        authority = cls(folder)
        authority._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority"),
        )
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nnew_certs_dir = .\n"
            "rand_serial = yes\ndefault_md = sha256\npolicy = p\ncopy_extensions = copy\n"
            "unique_subject = no\n[p]\ncommonName = supplied\n"
        )
        return authority

    def server(self, names: str, *, first: str = "20200101", last: str = "20491231") -> Any:
        """What a server with such a certificate speaks; days are YYYYMMDD."""
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=server"),
            *("-addext", f"subjectAltName={names}"),
        )
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem"),
            *("-keyfile", "ca.key", "-in", "request.pem", "-out", "server.pem"),
            *("-startdate", f"{first}000000Z", "-enddate", f"{last}000000Z"),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "key.pem")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=10
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("there is no `openssl` program to make certificates with")
    try:
        return Authority.made(tmp_path_factory.mktemp("authority"))
    except subprocess.CalledProcessError as exc:
        pytest.skip(f"this `openssl` program makes no certificates: {exc.stderr.decode()[-200:]}")


GOOD = "DNS:localhost,IP:127.0.0.1"


async def test_a_certificate_of_an_unknown_authority_is_refused_until_it_is_named(
    authority: Authority,
) -> None:
    async with serving(answer, authority.server(GOOD)) as port:
        url = f"https://localhost:{port}/v1"
        told = await ask(url)
        assert told["kind"] == "ModelRejected"
        assert f"cannot connect to {url}: its certificate is not accepted" in told["message"]
        assert "SSL_CERT_FILE" in told["message"]
        assert await ask(url, SSL_CERT_FILE=authority.file) == {"text": "ok"}


async def test_an_expired_certificate_is_called_expired(authority: Authority) -> None:
    async with serving(answer, authority.server(GOOD, last="20200202")) as port:
        told = await ask(f"https://localhost:{port}/v1", SSL_CERT_FILE=authority.file)
    assert told["kind"] == "ModelRejected"
    assert "certificate has expired" in told["message"]
    assert "clock" in told["message"]
    assert "SSL_CERT_FILE" not in told["message"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_called_that(
    authority: Authority, host: str
) -> None:
    async with serving(answer, authority.server("DNS:other.test")) as port:
        told = await ask(f"https://{host}:{port}/v1", SSL_CERT_FILE=authority.file)
    assert told["kind"] == "ModelRejected"
    assert "mismatch" in told["message"]
    assert (
        "for other names: check the host in base_url of [model_providers.mine]" in told["message"]
    )


async def test_a_server_that_speaks_plain_http_is_found_out() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(plain) as port:
        told = await ask(f"https://127.0.0.1:{port}/v1")
    assert told["kind"] == "ModelRejected"
    assert "does not speak TLS" in told["message"]
    assert "http://" in told["message"]
    assert "base_url of [model_providers.mine]" in told["message"]


async def test_a_server_that_hangs_up_is_suspected_to_want_tls() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with serving(hang_up) as port:
        told = await ask(f"http://127.0.0.1:{port}/v1")
    assert told["kind"] == "StreamInterrupted"
    assert "A server that wants https:// does so: check base_url" in told["message"]


async def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = await ask("https://127.0.0.1:1/v1", SSL_CERT_FILE=str(tmp_path / "none.pem"))
    assert told["kind"] == "ModelRejected"
    assert "SSL_CERT_FILE" in told["message"]


# Nobody there.


@pytest.fixture
def closed() -> Iterator[int]:
    """A port of which it is certain that nobody listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_a_refused_connection_says_which_setting_to_check(closed: int) -> None:
    told = await ask(f"http://user:{PASSWORD}@127.0.0.1:{closed}/v1")
    assert told == {
        "kind": "ModelUnreachable",
        "retryable": True,
        "message": f"cannot connect to http://127.0.0.1:{closed}/v1: Connection refused. Check"
        " base_url of [model_providers.mine], and the network.",
    }


async def test_a_local_server_that_does_not_run_is_said_how_to_start(closed: int) -> None:
    told = await ask(f"http://127.0.0.1:{closed}/v1", provider="oss")
    assert told["kind"] == "ModelUnreachable"
    assert "start it: `ollama serve` (to be had at https://ollama.com/download)" in told["message"]
    told = await ask(f"http://127.0.0.1:{closed}/v1", provider="lmstudio")
    assert "`lms server start`" in told["message"]
    assert "ollama" not in told["message"]


async def test_a_name_that_nobody_knows_is_called_that() -> None:
    told = await ask("http://no-such-host.invalid/v1")
    assert told["kind"] == "ModelUnreachable"
    assert "cannot connect to http://no-such-host.invalid/v1: " in told["message"]
    assert "base_url of [model_providers.mine]" in told["message"]


# Proxies.


async def test_plain_http_goes_through_the_proxy_of_the_environment() -> None:
    async with serving(answer) as port:
        proxy = Proxy(to=port)
        async with serving(proxy.handle) as proxy_port:
            told = await ask("http://model.test/v1", HTTP_PROXY=f"http://127.0.0.1:{proxy_port}")
    assert told == {"text": "ok"}
    assert proxy.heads[0][0] == "POST http://model.test/v1/responses HTTP/1.1"


async def test_tls_goes_through_a_tunnel_with_user_and_password(authority: Authority) -> None:
    async with serving(answer, authority.server("DNS:model.test")) as port:
        proxy = Proxy(to=port)
        async with serving(proxy.handle) as proxy_port:
            told = await ask(
                "https://model.test/v1",
                HTTPS_PROXY=f"http://user:{PASSWORD}@127.0.0.1:{proxy_port}",
                SSL_CERT_FILE=authority.file,
            )
    assert told == {"text": "ok"}
    assert proxy.heads[0][0] == "CONNECT model.test:443 HTTP/1.1"
    assert any(line.startswith("Proxy-Authorization: Basic ") for line in proxy.heads[0])


async def test_hosts_of_no_proxy_are_asked_directly() -> None:
    async with serving(answer) as port:
        proxy = Proxy(to=port)
        async with serving(proxy.handle) as proxy_port:
            told = await ask(
                f"http://127.0.0.1:{port}/v1",
                HTTP_PROXY=f"http://127.0.0.1:{proxy_port}",
                NO_PROXY="localhost,127.0.0.1",
            )
    assert told == {"text": "ok"}
    assert proxy.heads == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_told_apart(scheme: str) -> None:
    proxy = Proxy(refusal="407 Proxy Authentication Required")
    variable = f"{scheme.upper()}_PROXY"
    async with serving(proxy.handle) as port:
        told = await ask(
            f"{scheme}://model.test/v1", **{variable: f"http://user:{PASSWORD}@127.0.0.1:{port}"}
        )
    assert told["kind"] == "ModelRejected"
    assert "wants a password" in told["message"]
    assert f"Write user and password into {variable}" in told["message"]


@pytest.mark.parametrize(("refusal", "retryable"), [("403 Forbidden", False), ("502 Bad", True)])
async def test_a_proxy_that_does_not_let_us_through_is_named(refusal: str, retryable: bool) -> None:
    proxy = Proxy(refusal=refusal)
    async with serving(proxy.handle) as port:
        told = await ask("https://model.test/v1", ALL_PROXY=f"http://u:{PASSWORD}@127.0.0.1:{port}")
    assert told["retryable"] is retryable
    assert (
        f"the proxy 127.0.0.1:{port} does not connect to https://model.test/v1" in told["message"]
    )
    assert "Check ALL_PROXY, or add model.test to NO_PROXY" in told["message"]


async def test_a_page_of_the_proxy_is_not_taken_for_the_server_s() -> None:
    proxy = Proxy(refusal="503 Service Unavailable")
    async with serving(proxy.handle) as port:
        told = await ask("http://model.test/v1", HTTP_PROXY=f"http://127.0.0.1:{port}")
    assert told["kind"] == "ServerFailed"
    assert "Access Denied. Check HTTP_PROXY, or add model.test to NO_PROXY" in told["message"]
    assert "<" not in told["message"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_not_there_is_named_without_its_password(
    closed: int, scheme: str
) -> None:
    address = f"http://user:{PASSWORD}@127.0.0.1:{closed}"
    told = await ask(f"{scheme}://model.test/v1", **{f"{scheme}_proxy": address})
    assert told == {
        "kind": "ModelUnreachable",
        "retryable": True,
        "message": f"cannot connect to {scheme}://model.test/v1 through the proxy"
        f" 127.0.0.1:{closed}: Connection refused. Check {scheme.upper()}_PROXY, or add model.test"
        " to NO_PROXY if it can be reached without the proxy.",
    }


@pytest.mark.parametrize(
    "address",
    [
        f"ftp://user:{PASSWORD}@h",
        f"http://user:{PASSWORD}@h:port",
        f"http://u:{PASSWORD}@127.0.0.1:99999",
    ],
)
async def test_an_address_that_is_none_is_not_shown(address: str) -> None:
    told = await ask("https://model.test/v1", HTTPS_PROXY=address)
    assert told["kind"] == "ModelRejected"
    assert "https://model.test/v1" in told["message"]
    assert "HTTPS_PROXY" in told["message"]
