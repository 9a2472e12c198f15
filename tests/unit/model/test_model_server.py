"""The scripted server that other tests talk to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from support import model_server
from support.model_server import ModelServer, completed, message_events

SCRIPT = {
    "responses": [
        {"events": [*message_events("hi"), {"sleep": 0.001}, completed()]},
        {"status": 429, "headers": {"Retry-After": "1"}, "events": []},
        {"status": 200, "body": {"plain": True}},
        {"events": [{"raw": ": hi\n\n"}, {"end": True}, {"raw": "never"}]},
    ]
}


def post(url: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url + "/responses", data, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


@contextmanager
def running(port: Path, *args: str) -> Iterator[str]:
    """The address of a server in a process of its own, which is ended politely."""
    command = [sys.executable, model_server.__file__, *args, "--port-file", str(port)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 5
        while not port.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port.read_text()}/v1"
    finally:
        process.terminate()
        assert process.wait(5) == 0


def test_a_server_of_its_own_process_plays_its_script_and_logs(tmp_path: Path) -> None:
    script, log = tmp_path / "script.json", tmp_path / "log"
    script.write_text(json.dumps(SCRIPT))
    with running(tmp_path / "port", str(script), "--log", str(log)) as url:
        answers = [post(url, {"n": n}) for n in range(5)]
    assert [status for status, _, _ in answers] == [200, 429, 200, 200, 500]
    assert answers[0][2].endswith(model_server.encoded(completed()))
    assert answers[1][1]["Retry-After"] == "1"
    assert json.loads(answers[2][2]) == {"plain": True}
    assert answers[3][2] == b": hi\n\n"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["body"]["n"] for line in lines if "body" in line] == [0, 1, 2, 3, 4]
    done = [line for line in lines if "done" in line]
    assert [line["sent_events"] for line in done] == [4, 0, 0, 1, 0]
    assert not any(line["peer_closed"] for line in done)


def test_a_benchmark_streams_so_many_deltas(tmp_path: Path) -> None:
    with running(tmp_path / "port", "--deltas", "1000", "--per-write", "300") as url:
        _, _, body = post(url, {})
    assert body.count(b"event: response.output_text.delta\n") == 1000
    assert body.endswith(b"\n\n")


async def test_a_chunked_request_is_read() -> None:
    async with ModelServer(SCRIPT) as server:
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        async with stream:
            await stream.send(
                b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b'4\r\n{"a"\r\n5;x=y\r\n: 1 }\r\n0\r\n\r\n'
            )
            with anyio.fail_after(5):
                request = await server.request(1)
    assert request["body"] == {"a": 1}


async def test_questions_about_the_server_are_no_part_of_the_script() -> None:
    script = {"responses": [{"body": "one"}], "get": {"/v1/models": {"data": []}}}
    async with ModelServer(script) as server, httpx.AsyncClient() as client:
        root = server.url.removesuffix("/v1")
        told = [
            await client.get(f"{server.url}/models"),
            await client.get(f"{root}/props"),
            await client.post(f"{root}/api/show", json={}),
            await client.post(f"{server.url}/responses", json={}),
        ]
    assert [answer.status_code for answer in told] == [200, 404, 404, 200]
    assert told[0].json() == {"data": []}
    assert told[3].text == "one"
    assert [asked["path"] for asked in server.gets] == ["/v1/models", "/props", "/api/show"]
    assert [request["path"] for request in server.requests] == ["/v1/responses"]


async def test_a_client_that_leaves_in_mid_stream_is_noticed() -> None:
    script = {"responses": [{"events": [*message_events("hi"), {"hold": "for ever"}]}]}
    async with ModelServer(script) as server:
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        await stream.send(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        await stream.receive()
        await stream.aclose()
        with anyio.fail_after(5):
            answer = await server.answer(1)
    assert (answer["peer_closed"], answer["done"]) == (True, False)


def test_what_cannot_be_served_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        model_server.main([])
    assert "a script or --deltas is needed" in capsys.readouterr().err
