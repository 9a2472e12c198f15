"""The `notify` program is started apart from the server."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import anyio
import orjson
import pytest
from anyio import fail_after
from support.processes import gone, pid_from

from codex_rpc.config.settings import ShellEnvironment
from codex_rpc.tools.notify import Notifier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")


@pytest.fixture
def notifier() -> Notifier:
    return Notifier(environ={**os.environ, "OPENAI_API_KEY": "k"})


async def content(path: Path) -> str:
    file = anyio.Path(path)
    while not (await file.exists() and (await file.read_text()).endswith("\n")):
        await anyio.sleep(0.005)
    return await file.read_text()


def writing(path: Path, script: str) -> list[str]:
    """A program that writes what `script` prints to `path`, all at once."""
    return ["bash", "-c", f'{{ {script}; }} > "{path}.new" && mv "{path}.new" "{path}"', "notify"]


async def test_the_payload_is_the_last_argument(tmp_path: Path, notifier: Notifier) -> None:
    payload = {"type": "agent-turn-complete", "text": 'a"\u00e9\0', "n": [1]}
    program = [*writing(tmp_path / "seen", 'printf "%s\\n" "$@"'), "first"]
    with fail_after(5):
        await notifier.turn_ended(program, payload)
        first, last, _ = (await content(tmp_path / "seen")).split("\n")
    assert first == "first"
    assert orjson.loads(last) == payload


async def test_nobody_waits_for_its_end_and_it_leaves_no_zombie(
    tmp_path: Path, notifier: Notifier
) -> None:
    os.mkfifo(tmp_path / "go-on")
    script = 'echo $$ > "$0/pid"; read < "$0/go-on"'
    with fail_after(5):
        await notifier.turn_ended(["bash", "-c", script, str(tmp_path)], {})
        pid = await pid_from(tmp_path / "pid")
        assert os.getsid(pid) == pid
        waiters = [thread for thread in threading.enumerate() if thread.name == "notify"]
        await anyio.Path(tmp_path / "go-on").write_text("\n")
        await gone(pid)
        for thread in waiters:
            await anyio.to_thread.run_sync(thread.join)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_it_has_neither_our_streams_nor_our_keys(tmp_path: Path, notifier: Notifier) -> None:
    script = 'readlink -f /proc/self/fd/0 /proc/self/fd/2; echo "key=$OPENAI_API_KEY"'
    if sys.platform != "linux":
        script = 'echo /dev/null; echo /dev/null; echo "key=$OPENAI_API_KEY"'
    with fail_after(5):
        await notifier.turn_ended(writing(tmp_path / "seen", script), {})
        assert await content(tmp_path / "seen") == "/dev/null\n/dev/null\nkey=\n"


async def test_the_policy_holds_for_it(tmp_path: Path) -> None:
    policy = ShellEnvironment(inherit="core", set={"A": "1"})
    notifier = Notifier(environ={**os.environ, "B": "2"}, policy=policy)
    with fail_after(5):
        await notifier.turn_ended(writing(tmp_path / "seen", 'echo "$A$B"'), {})
        assert await content(tmp_path / "seen") == "1\n"


@pytest.mark.parametrize("program", [["no-such-program"], ["/etc/passwd"], ["a\0b"]])
async def test_what_cannot_be_started_is_an_os_error(
    notifier: Notifier, program: list[str]
) -> None:
    with fail_after(5), pytest.raises(OSError, match=r"No such|denied|null byte"):
        await notifier.turn_ended(program, {})


async def test_an_empty_program_is_none(notifier: Notifier) -> None:
    await notifier.turn_ended([], {})
