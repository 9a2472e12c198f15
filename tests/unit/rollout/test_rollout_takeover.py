"""One process takes a session over from another one: real processes, sockets and locks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, to_thread
from support.rollout_files import SESSION_ID, by_path, header, texts, user, write_session

from codex_rpc.protocol.errors import RolloutInUse
from codex_rpc.protocol.events import TakenOverBy
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.records import SessionRef
from codex_rpc.rollout import store as store_module
from codex_rpc.rollout.live import holder_of
from codex_rpc.rollout.store import RolloutStore
from codex_rpc.rollout.takeover import (
    MAX_QUESTION_BYTES,
    ControlSocket,
    Takeover,
    ask_to_let_go,
)

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX") or sys.platform == "win32", reason="needs sockets with a path"
)

HOLDER = """
import os, sys, time, anyio
from pathlib import Path
from codex_rpc.protocol.items import text_message
from codex_rpc.protocol.records import SessionRef
from codex_rpc.rollout.store import RolloutStore

async def main(home, path, manner):
    store = RolloutStore(Path(home), version="1")
    async with anyio.create_task_group() as group:
        if manner != "deaf":
            group.start_soon(store.serve)
        # Each append says anew where it can be asked, which is known soon.
        _, log = await store.open(SessionRef(path=path), fsync="turn")
        note = Path(home) / "sessions/.live" / f"{sys.argv[4]}.json"
        while True:
            await log.append([text_message("held")])
            if manner == "deaf" or b"control" in note.read_bytes():
                break
            await anyio.sleep(0.01)
        print("held", flush=True)
        if manner == "frozen":
            time.sleep(60)
        by = await log.wanted()
        print(by.pid, by.host, flush=True)
        if manner == "stubborn":
            await anyio.sleep_forever()
        await log.append([text_message("saved first")])
        await log.close()
        print("closed", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
        group.cancel_scope.cancel()

anyio.run(main, *sys.argv[1:4])
"""


@pytest.fixture
def path(home: Path) -> Path:
    return write_session(home / f"sessions/rollout-x-{SESSION_ID}.jsonl", user("one").value())


@contextmanager
def holder(home: Path, path: Path, manner: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds `path` and, asked to let go, does so, or not (`manner`)."""
    argv = [sys.executable, "-c", HOLDER, str(home), str(path), manner, SESSION_ID]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    with fail_after(10):
        return (await to_thread.run_sync(process.stdout.readline)).strip()


async def take_over(home: Path, path: Path) -> Any:
    with fail_after(15):
        return await RolloutStore(home, version="1").open(
            by_path(path), fsync="turn", takeover=True
        )


class TestTwoProcesses:
    async def test_a_holder_that_is_asked_saves_lets_go_and_knows_who_asked(
        self, home: Path, path: Path
    ) -> None:
        with holder(home, path, "willing") as process:
            assert await line(process) == "held"
            with pytest.raises(RolloutInUse) as caught:
                await RolloutStore(home, version="1").open(by_path(path), fsync="turn")
            assert caught.value.data["pid"] == process.pid
            with fail_after(store_module.TAKEOVER_S):
                saved, log = await take_over(home, path)
            said = texts(saved.items)
            assert (said[0], said[1], said[-1]) == ("one", "held", "saved first")
            assert await line(process) == f"{os.getpid()} {socket.gethostname()}"
            assert await line(process) == "closed"
            await log.append([user("mine")])
            await log.close()

    async def test_only_who_says_so_takes_over(self, home: Path, path: Path) -> None:
        with holder(home, path, "willing") as process:
            assert await line(process) == "held"
            for ref in (by_path(path), SessionRef(session_id=SESSION_ID)):
                with pytest.raises(RolloutInUse):
                    await RolloutStore(home, version="1").open(ref, fsync="turn")
            _, log = await take_over(home, path)
            await log.close()

    @pytest.mark.parametrize(
        ("manner", "reason"),
        [
            ("deaf", "cannot be asked to let go"),
            ("stubborn", "was asked and did not let go"),
            ("frozen", "was asked and did not let go"),
        ],
    )
    async def test_a_holder_that_does_not_let_go_is_named(
        self, home: Path, path: Path, manner: str, reason: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "TAKEOVER_S", 0.3)
        with holder(home, path, manner) as process:
            assert await line(process) == "held"
            before = path.read_bytes()
            with pytest.raises(RolloutInUse) as caught:
                await take_over(home, path)
            assert caught.value.data["pid"] == process.pid
            assert reason in caught.value.data["reason"]
            assert path.read_bytes() == before
            # Nothing stays behind: when it is dead, the session is free.
            process.send_signal(signal.SIGKILL)
            process.wait(5)
            _, log = await take_over(home, path)
            await log.close()

    async def test_a_note_of_a_process_that_was_killed_means_nothing(
        self, home: Path, path: Path
    ) -> None:
        with holder(home, path, "willing") as process:
            assert await line(process) == "held"
            process.send_signal(signal.SIGKILL)
            process.wait(5)
        assert (home / f"sessions/.live/{SESSION_ID}.json").is_file()
        saved, log = await take_over(home, path)
        assert texts(saved.items)[0] == "one"
        await log.append([user("mine")])
        assert holder_of(home, SessionId(SESSION_ID)).pid == os.getpid()
        await log.close()

    @pytest.mark.parametrize(
        "control", [None, "/nowhere/control", "x" * 300, "\0abstract", 7, ["x"]]
    )
    async def test_an_address_where_nobody_answers_is_an_answer(
        self, home: Path, path: Path, control: Any
    ) -> None:
        store = RolloutStore(home, version="1")
        _, log = await store.open(by_path(path), fsync="turn")
        note = home / f"sessions/.live/{SESSION_ID}.json"
        note.parent.mkdir()
        host = socket.gethostname()
        note.write_text(json.dumps({"pid": os.getpid(), "host": host, "control": control}))
        with pytest.raises(RolloutInUse) as caught:
            await take_over(home, path)
        assert caught.value.data["pid"] == os.getpid()
        await log.close()

    async def test_an_address_on_another_host_is_not_asked(self, home: Path, path: Path) -> None:
        _, log = await RolloutStore(home, version="1").open(by_path(path), fsync="turn")
        note = home / f"sessions/.live/{SESSION_ID}.json"
        note.parent.mkdir()
        note.write_text(json.dumps({"pid": 1, "host": "elsewhere", "control": "/x"}))
        with pytest.raises(RolloutInUse) as caught:
            await take_over(home, path)
        assert caught.value.data["host"] == "elsewhere"
        assert "cannot be asked" in caught.value.data["reason"]
        await log.close()

    async def test_what_is_open_in_this_process_is_not_taken_from_it(
        self, home: Path, path: Path
    ) -> None:
        store = RolloutStore(home, version="1")
        asked: list[TakenOverBy] = []

        async def listen() -> None:
            asked.append(await log.wanted())

        with fail_after(10):
            _, log = await store.open(by_path(path), fsync="turn")
            async with create_task_group() as group:
                group.start_soon(store.serve)
                group.start_soon(listen)
                while holder_of(home, SessionId(SESSION_ID)).control is None:
                    await log.append([user("x")])
                with pytest.raises(RolloutInUse) as caught:
                    await store.open(by_path(path), fsync="turn", takeover=True)
                group.cancel_scope.cancel()
        assert caught.value.data["reason"] == "it is open in this process"
        assert asked == []
        await log.close()

    async def test_the_last_session_can_be_taken_over_by_its_id_only(
        self, home: Path, path: Path
    ) -> None:
        with holder(home, path, "willing") as process:
            assert await line(process) == "held"
            store = RolloutStore(home, version="1")
            with fail_after(10):
                _, log = await store.open(
                    SessionRef(session_id=SESSION_ID), fsync="turn", takeover=True
                )
            await log.close()


RACER = """
import sys, anyio
from pathlib import Path
from codex_rpc.protocol.errors import RolloutInUse
from codex_rpc.protocol.items import text_message
from codex_rpc.protocol.records import SessionRef
from codex_rpc.rollout.store import RolloutStore

async def main(home, path, name):
    store = RolloutStore(Path(home), version="1")
    print("ready", flush=True)
    while number := sys.stdin.readline().strip():
        try:
            saved, log = await store.open(SessionRef(path=path), fsync="never")
        except RolloutInUse:
            print("in use", flush=True)
            sys.stdin.readline()
            continue
        await log.append([text_message(f"{number} {name} begins")])
        print("held", flush=True)
        sys.stdin.readline()
        await log.append([text_message(f"{number} {name} ends")])
        await log.close()
        print("closed", flush=True)

anyio.run(main, *sys.argv[1:])
"""


async def test_of_two_processes_that_race_a_hundred_times_one_writes_at_a_time(
    home: Path, path: Path
) -> None:
    def start(name: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", RACER, str(home), str(path), name]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def race() -> list[str]:
        winners = []
        for process in racers:
            assert process.stdout.readline() == "ready\n"
        for number in range(1, 101):
            # Neither is always the first to be told.
            for process in racers[:: 1 if number % 2 else -1]:
                process.stdin.write(f"{number}\n")
            answers = [process.stdout.readline().strip() for process in racers]
            assert sorted(answers) == ["held", "in use"]
            for process in racers:
                process.stdin.write("go on\n")
            winner = answers.index("held")
            assert racers[winner].stdout.readline() == "closed\n"
            winners.append("ab"[winner])
        return winners

    racers: list[Any] = [start("a"), start("b")]
    try:
        with fail_after(15):
            winners = await to_thread.run_sync(race, abandon_on_cancel=True)
    finally:
        for process in racers:
            process.kill()
            process.communicate()
    saved = await RolloutStore(home, version="1").load(by_path(path))
    assert texts(saved.items)[1:] == [
        f"{number} {name} {what}"
        for number, name in enumerate(winners, start=1)
        for what in ("begins", "ends")
    ]
    assert saved.damage == ()
    assert set(winners) == {"a", "b"}


@asynccontextmanager
async def listening(*, in_folder: bool) -> AsyncIterator[ControlSocket]:
    control = ControlSocket(in_folder=in_folder)
    ready = anyio.Event()
    async with create_task_group() as group:
        group.start_soon(control.serve, ready.set)
        with fail_after(5):
            await ready.wait()
        yield control
        group.cancel_scope.cancel()


BY_NAME = pytest.param(
    False,
    id="name",
    marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names without files"),
)


@pytest.fixture(params=[BY_NAME, pytest.param(True, id="folder")])
async def control(request: pytest.FixtureRequest) -> AsyncIterator[ControlSocket]:
    async with listening(in_folder=request.param) as control:
        yield control


def address(control: ControlSocket) -> str:
    assert control.address is not None
    return control.address


async def ask(control: ControlSocket, session_id: str = SESSION_ID) -> bool:
    with fail_after(5):
        return await to_thread.run_sync(ask_to_let_go, address(control), SessionId(session_id))


async def said(control: ControlSocket, question: bytes) -> bytes:
    """What is answered to any bytes."""
    with fail_after(5):
        async with await anyio.connect_unix(address(control)) as stream:
            await stream.send(question)
            try:
                return await stream.receive()
            except anyio.EndOfStream:
                return b""


class TestControlSocket:
    async def test_only_the_owner_may_enter_its_folder(self) -> None:
        async with listening(in_folder=True) as control:
            path = Path(address(control))
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names without files")
    async def test_on_linux_it_leaves_nothing_on_disk(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        async with listening(in_folder=False) as control:
            assert address(control).startswith("\0")
            assert list(tmp_path.iterdir()) == []

    async def test_it_is_removed_at_the_end(self) -> None:
        control = ControlSocket(in_folder=True)
        ready = anyio.Event()
        with fail_after(5):
            async with create_task_group() as group:
                group.start_soon(control.serve, ready.set)
                await ready.wait()
                folder = Path(address(control)).parent
                group.cancel_scope.cancel()
        assert control.address is None
        assert not folder.exists()

    async def test_where_no_socket_can_be_made_sessions_work_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 200)))
        control = ControlSocket(in_folder=True)
        ready = anyio.Event()
        with fail_after(5):
            async with create_task_group() as group:
                group.start_soon(control.serve, ready.set)
                await ready.wait()
                assert control.address is None
                group.cancel_scope.cancel()

    async def test_a_question_reaches_the_session_that_is_meant(
        self, control: ControlSocket
    ) -> None:
        other = control.register(SessionId("11111111-2222-4333-8444-555555555555"))
        asked = control.register(SessionId(SESSION_ID))
        by = TakenOverBy(pid=os.getpid(), host=socket.gethostname())
        for _ in range(2):
            assert await ask(control)
            with fail_after(5):
                assert await asked.wanted() == by
        ended: list[Any] = []

        async def wait(takeover: Takeover) -> None:
            ended.append(await takeover.wanted())

        async with create_task_group() as group:
            group.start_soon(wait, other)
            group.start_soon(wait, asked)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert ended == []

    async def test_what_is_not_held_is_refused(self, control: ControlSocket) -> None:
        assert not await ask(control)
        control.register(SessionId(SESSION_ID))
        control.forget(SessionId(SESSION_ID))
        control.forget(SessionId(SESSION_ID))
        assert not await ask(control)

    @pytest.mark.parametrize(
        "question",
        [
            b"\n",
            b"x\n",
            b"[]\n",
            b"{}\n",
            b'{"take_over": "%s"}\n',
            b'{"take_over": "%s", "pid": "1", "host": "h"}\n',
            b'{"take_over": "%s", "pid": 1, "host": null}\n',
            b'{"take_over": ["%s"], "pid": 1, "host": "h"}\n',
            b'{"take_over": {}, "pid": 1, "host": "h"}\n',
            b'{"take_over": "../x", "pid": 1, "host": "h"}\n',
            b"y" * MAX_QUESTION_BYTES,
        ],
    )
    async def test_whatever_is_asked_it_goes_on(
        self, control: ControlSocket, question: bytes
    ) -> None:
        asked = control.register(SessionId(SESSION_ID))
        answer = await said(control, question.replace(b"%s", SESSION_ID.encode()))
        assert answer == b'{"accepted":false}\n'
        assert await ask(control)
        with fail_after(5):
            await asked.wanted()

    async def test_who_says_nothing_or_leaves_keeps_nobody_waiting(
        self, control: ControlSocket
    ) -> None:
        control.register(SessionId(SESSION_ID))
        with fail_after(5):
            async with await anyio.connect_unix(address(control)):
                assert await ask(control)
            stream = await anyio.connect_unix(address(control))
            await stream.send(b'{"take_over"')
            await stream.aclose()
            assert await ask(control)

    @pytest.mark.skipif(sys.platform != "linux", reason="only there it is told who asks")
    async def test_the_process_that_asks_is_named_by_the_system_not_by_itself(
        self, control: ControlSocket
    ) -> None:
        asked = control.register(SessionId(SESSION_ID))
        question = {"take_over": SESSION_ID, "pid": 1, "host": "h"}
        assert await said(control, json.dumps(question).encode() + b"\n") == b'{"accepted":true}\n'
        with fail_after(5):
            assert (await asked.wanted()).pid == os.getpid()

    @pytest.mark.skipif(sys.platform != "linux", reason="only there it is told who asks")
    @pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
    )
    async def test_another_user_is_refused(self, control: ControlSocket) -> None:
        asker = (
            "import sys, socket, json\n"
            "with socket.socket(socket.AF_UNIX) as sock:\n"
            "    sock.settimeout(5)\n"
            "    try:\n"
            "        sock.connect(bytes.fromhex(sys.argv[1]))\n"
            "    except PermissionError:\n"
            "        sys.exit('not let in')\n"
            "    sock.sendall(json.dumps({'take_over': sys.argv[2], 'pid': 1, 'host': 'h'})"
            ".encode() + b'\\n')\n"
            "    print(sock.recv(99).decode(), end='')\n"
        )

        def ask_as_another() -> subprocess.CompletedProcess[str]:
            # The user's own Python may be where nobody else can reach it.
            python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
            argv = [python, "-S", "-c", asker, address(control).encode().hex(), SESSION_ID]
            return subprocess.run(
                argv, user=65534, group=65534, cwd="/", capture_output=True, text=True, timeout=10
            )

        control.register(SessionId(SESSION_ID))
        try:
            refused = await to_thread.run_sync(ask_as_another)
        except PermissionError:
            pytest.skip("another user may not run this Python")
        if not address(control).startswith("\0"):
            assert "not let in" in refused.stderr
            # Also where the folder would let them in.
            path = Path(address(control))
            path.parent.chmod(0o755)
            path.chmod(0o666)
            refused = await to_thread.run_sync(ask_as_another)
        assert refused.stdout == '{"accepted":false}\n'
        assert await ask(control)


class TestNote:
    async def test_it_says_where_the_holder_can_be_asked_once_that_is_known(
        self, home: Path
    ) -> None:
        store = RolloutStore(home, version="1")
        log = await store.create(header(Path("/w")), [], fsync="turn")
        assert holder_of(home, SessionId(SESSION_ID)).control is None
        with fail_after(5):
            async with create_task_group() as group:
                group.start_soon(store.serve)
                deadline = time.monotonic() + 5
                while holder_of(home, SessionId(SESSION_ID)).control is None:
                    assert time.monotonic() < deadline
                    await log.append([user("x")])
                group.cancel_scope.cancel()
        await log.close()
        assert holder_of(home, SessionId(SESSION_ID)).pid is None
