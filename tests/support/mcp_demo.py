"""A small MCP server made with the official package, for the tests.

    python tests/support/mcp_demo.py                       on stdin and stdout
    python tests/support/mcp_demo.py --http --port-file F [--port N] [--token T] [--log F]

The second form is a streamable-HTTP server at http://127.0.0.1:PORT/mcp; the port is written to
the port file when it listens. With a token, it refuses whoever does not bear it. The log gets a
line with method and status for each answered request.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)

server = MCPServer("demo", log_level="ERROR")


def tool(**options: Any) -> Any:
    return server.tool(structured_output=False, **options)


@tool()
def echo(text: str) -> str:
    """Echo text back"""
    return f"echo: {text}"


@tool()
def fail() -> str:
    """Always an error"""
    raise ToolError("it failed")


@tool(annotations=ToolAnnotations(read_only_hint=True))
def peek() -> str:
    """Say that nothing is changed"""
    return "peeked"


@tool()
async def slow(trace: str, seconds: float = 3600) -> str:
    """Take long, and write to the file `trace` what happens"""
    path = Path(trace)
    path.write_text("began\n")
    try:
        await anyio.sleep(seconds)
    except anyio.get_cancelled_exc_class():
        path.write_text("cancelled\n")
        raise
    return "at last"


@tool()
def environment() -> str:
    """The names of all variables, and the value of SECRET"""
    return " ".join([*sorted(os.environ), os.environ.get("SECRET", "-"), str(Path.cwd())])


@tool()
def crash() -> str:
    """End the server in the middle of the call"""
    print("crashing now", file=sys.stderr, flush=True)
    os._exit(3)


@tool()
def picture() -> list[Any]:
    """A text and an image"""
    return ["a dot", Image(data=PNG, format="png")]


@tool()
def spawn(trace: str) -> str:
    """Leave a process behind that has a session of its own and ignores SIGTERM"""
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()}\\n')\n"
        "time.sleep(3600)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, trace], start_new_session=True)
    return str(child.pid)


@tool()
def repeat(text: str, times: int) -> str:
    """A text many times over"""
    return text * times


@tool()
async def grow(name: str, ctx: Context[Any]) -> str:
    """Offer one tool more, and say so"""
    server.add_tool(lambda: "grown", name=name, description="New", structured_output=False)
    await ctx.session.send_tool_list_changed()
    return "offered"


def serve_http(port_file: Path, port: int, token: str | None, log: Path | None) -> None:
    app = server.streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def logged(message: Any) -> None:
            if message["type"] == "http.response.start" and log is not None:
                with log.open("a") as file:
                    file.write(f"{scope['method']} {message['status']}\n")
            await send(message)

        bearer = dict(scope["headers"]).get(b"authorization", b"").decode()
        if token is not None and bearer != f"Bearer {token}":
            await logged({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, logged)

    listener = socket.create_server(("127.0.0.1", port))
    port_file.with_suffix(".new").write_text(str(listener.getsockname()[1]))
    port_file.with_suffix(".new").rename(port_file)
    config = uvicorn.Config(guarded, log_level="error", timeout_graceful_shutdown=0)
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--port-file", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token")
    parser.add_argument("--log", type=Path)
    arguments = parser.parse_args()
    if arguments.http:
        serve_http(arguments.port_file, arguments.port, arguments.token, arguments.log)
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
