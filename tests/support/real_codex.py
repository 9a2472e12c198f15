"""The real Codex programs, where they are installed: finding, configuring and driving them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.client import Client, environment, running

API_KEY = "sk-fake"
VERSION = re.compile(r"codex-cli (\d+)\.(\d+)\.")
FIRST_OF_TODAY = (0, 32)
"""The first version whose session files are of today's format."""


def find(config: pytest.Config, option: str, fits: Callable[[tuple[int, int]], bool]) -> str:
    """The path given by `option`, else `codex` on the PATH if its version fits; else skips."""
    given: str | None = config.getoption(option)
    path = given or shutil.which("codex")
    if path is None:
        pytest.skip(f"the real program is not here: give its path with {option}")
    version = version_of(path)
    if version is None or not fits(version):
        pytest.skip(f"{path} is another version: give the path of the right one with {option}")
    return path


def version_of(path: str) -> tuple[int, int] | None:
    """Major and minor; None: it does not say so."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = VERSION.match(done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def write_config(home: Path, url: str) -> None:
    """A configuration that these programs and ours understand."""
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(
        'model_provider = "fake"\n'
        'approval_policy = "never"\n'
        'sandbox_mode = "danger-full-access"\n'
        "[model_providers.fake]\n"
        'name = "fake"\n'
        f'base_url = "{url}"\n'
        'wire_api = "responses"\n'
        'env_key = "OPENAI_API_KEY"\n'
        "requires_openai_auth = false\n"
        "supports_websockets = false\n"
    )


@asynccontextmanager
async def ours(home: Path) -> AsyncIterator[Client]:
    """Our server."""
    async with running(home, OPENAI_API_KEY=API_KEY, timeout_s=20) as client:
        yield client


class Proto:
    """`codex proto`, the line protocol of 2025."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._count = 0

    async def configured(self) -> dict[str, Any]:
        """Its first event."""
        _, event = await self._wait("0", "session_configured")
        msg: dict[str, Any] = event["msg"]
        return msg

    async def turn(self, text: str) -> dict[str, Any]:
        """Say `text`; the closing of its turn."""
        self._count += 1
        id_ = str(self._count)
        op = {"type": "user_input", "items": [{"type": "text", "text": text}]}
        await self._client.send({"id": id_, "op": op})
        _, event = await self._wait(id_, "task_complete", "error")
        msg: dict[str, Any] = event["msg"]
        return msg

    async def _wait(self, id_: str, *types: str) -> tuple[int, dict[str, Any]]:
        return await self._client.wait_for(
            lambda m: m.get("id") == id_ and m["msg"]["type"] in types
        )


@asynccontextmanager
async def proto(
    program: str, home: Path, cwd: Path, *, resume: Path | None = None
) -> AsyncIterator[Proto]:
    """Version 0.20 in `cwd`, which goes on with the session file `resume`."""
    arguments = ["proto", "-c", f'cwd="{cwd}"']
    if resume is not None:
        arguments += ["-c", f'experimental_resume="{resume}"']
    async with running(
        home,
        *arguments,
        command=[program],
        stderr=subprocess.DEVNULL,
        timeout_s=20,
        OPENAI_API_KEY=API_KEY,
    ) as client:
        yield Proto(client)


async def execute(program: str, home: Path, cwd: Path, *arguments: str) -> str:
    """Today's `codex exec`; what it printed on stdout."""
    with anyio.fail_after(40):
        done = await anyio.run_process(
            [program, "exec", *arguments],
            cwd=cwd,
            env=environment(home, OPENAI_API_KEY=API_KEY),
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode()
