"""The endpoint over pipes: malformed input, errors, requests in flight, and their order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import anyio
import pytest
from anyio import fail_after, wait_all_tasks_blocked
from rpc_support import (
    INTERRUPT,
    FakeManager,
    connected,
    pipes,
    request,
    sockets,
    submit,
    user_input,
)

from codex_rpc.protocol.errors import ConfigError, InvalidState, RolloutWriteFailed
from codex_rpc.protocol.events import EventMsg, TaskStarted
from codex_rpc.protocol.ops import Interrupt, Op
from codex_rpc.protocol.params import METHODS, ConfigureParams
from codex_rpc.rpc.framing import Framing

SESSION = "0198c7a2-5b7e-7d31-9f0e-3c8a1b2d4e5f"
LIST = {"jsonrpc": "2.0", "id": "after", "method": "session/list"}

both_framings = pytest.mark.parametrize("framing", Framing)


def code(error: Any) -> int:
    assert isinstance(error["message"], str)
    assert error["message"]
    found: int = error["code"]
    return found


@pytest.mark.parametrize("make", [pipes, sockets])
@both_framings
async def test_a_session_from_configure_to_close(framing: Framing, make: Callable[[], Any]) -> None:
    manager = FakeManager()
    async with connected(manager, framing=framing, make=make) as client:
        result = await client.call("session/configure", {"cwd": "/", "approvalPolicy": "never"})
        assert result["sandboxPolicy"] == {"mode": "read-only"}
        session_id = result["sessionId"]
        event = await client.next()
        assert event == {
            "jsonrpc": "2.0",
            "method": "session/event",
            "params": {
                "sessionId": session_id,
                "seq": 1,
                "id": "0",
                "msg": {
                    "type": "session_configured",
                    "session_id": session_id,
                    "model": "m",
                    "history_log_id": 0,
                    "history_entry_count": 0,
                    "rollout_path": "/r.jsonl",
                },
            },
        }
        params = {"sessionId": session_id, "op": user_input("hi"), "id": "s1"}
        assert await client.call("session/submit", params) == {"id": "s1"}
        await client.send(request("bye", "session/close", {"sessionId": session_id}))
        last, answer = await client.some(2)
        assert last["params"]["msg"] == {"type": "shutdown_complete"}
        assert last["params"]["seq"] == 2
        assert answer == {"jsonrpc": "2.0", "id": "bye", "result": {}}
        assert code(await client.call("session/submit", params)) == 1005
    assert client.exit_code == 0


MALFORMED: dict[str, tuple[bytes, list[tuple[Any, int]]]] = {
    "not JSON": (b"nonsense", [(None, -32700)]),
    "half an object": (b'{"jsonrpc":"2.0","id":1,', [(None, -32700)]),
    "not UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', [(None, -32700)]),
    "nested too deep": (b"[" * 100_000 + b"]" * 100_000, [(None, -32700)]),
    "a number": (b"5", [(None, -32600)]),
    "null": (b"null", [(None, -32600)]),
    "an empty batch": (b"[]", [(None, -32600)]),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"session/list"}]', [(None, -32600)]),
    "no jsonrpc": (b'{"id":1,"method":"session/list"}', [(1, -32600)]),
    "another jsonrpc": (b'{"jsonrpc":"1.0","id":1,"method":"session/list"}', [(1, -32600)]),
    "no method": (b'{"jsonrpc":"2.0","id":1}', [(1, -32600)]),
    "an empty object": (b"{}", [(None, -32600)]),
    "a fractional id": (b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', [(None, -32600)]),
    "a boolean id": (b'{"jsonrpc":"2.0","id":true,"method":"x"}', [(None, -32600)]),
    "a null id": (b'{"jsonrpc":"2.0","id":null,"method":"x"}', [(None, -32600)]),
    "an answer": (b'{"jsonrpc":"2.0","id":1,"result":{}}', []),
    "an error": (b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}', []),
    "an answer without anything": (b'{"error":null}', []),
    "an unknown method": (b'{"jsonrpc":"2.0","id":1,"method":"session/dance"}', [(1, -32601)]),
    "an unknown notification": (b'{"jsonrpc":"2.0","method":"session/dance"}', []),
    "a request as notification": (b'{"jsonrpc":"2.0","method":"session/list","params":[]}', []),
    "a $/ notification": (b'{"jsonrpc":"2.0","method":"$/setTrace","params":[1]}', []),
    "params an array": (
        b'{"jsonrpc":"2.0","id":1,"method":"session/list","params":[]}',
        [(1, -32602)],
    ),
    "params a string": (
        b'{"jsonrpc":"2.0","id":1,"method":"session/list","params":"x"}',
        [(1, -32602)],
    ),
    "too large": (b'{"a":"' + b"x" * 300_000 + b'"}', [(None, -32600)]),
    "a message in params": (
        b'{"jsonrpc":"2.0","id":1,"method":"session/list","params":{"jsonrpc":"2.0","id":2}}',
        [(1, -32602)],
    ),
}


@both_framings
@pytest.mark.parametrize("name", MALFORMED)
async def test_whatever_arrives_is_answered_and_serving_goes_on(
    name: str, framing: Framing
) -> None:
    payload, expected = MALFORMED[name]
    async with connected(FakeManager(), framing=framing, max_message_bytes=250_000) as client:
        # The framing is decided by a first good message, so that only the payload is at fault.
        assert "sessions" in await client.call("session/list")
        if framing is Framing.HEADERS:
            await client.raw(b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload))
        else:
            await client.raw(payload + b"\r\n\r\n")
        await client.send(LIST)
        answers = [await client.next() for _ in range(len(expected) + 1)]
    assert [(a["id"], code(a["error"])) for a in answers[:-1] if a] == expected
    assert answers[-1] == {
        "jsonrpc": "2.0",
        "id": "after",
        "result": {"sessions": [], "filteredOut": {}},
    }


async def test_a_header_block_without_a_length_is_answered_and_skipped() -> None:
    async with connected(FakeManager(), framing=Framing.HEADERS) as client:
        await client.raw(b"Content-Length: many\r\nContent-Type: x\r\n\r\n")
        await client.send(LIST)
        first, second = await client.some(2)
    assert (first["id"], code(first["error"])) == (None, -32700)
    assert second["id"] == "after"


async def test_a_last_line_without_its_end_is_answered() -> None:
    async with connected(FakeManager()) as client:
        await client.raw(json.dumps(LIST).encode())
        client.hang_up()
        assert [answer["id"] for answer in await client.rest()] == ["after"]
    assert client.exit_code == 0


# Parameters.


@pytest.mark.parametrize(
    ("method", "params", "path"),
    [
        ("session/configure", {}, "cwd"),
        ("session/configure", {"cwd": 5}, "cwd"),
        ("session/configure", {"cwd": "/", "mode": "x"}, "mode"),
        ("session/configure", {"cwd": "/", "approvalPolicy": "always"}, "approvalPolicy"),
        ("session/configure", {"cwd": "/", "sandboxPolicy": {"mode": 1}}, "sandboxPolicy.mode"),
        ("session/resume", {}, ""),
        ("session/resume", {"last": False}, ""),
        ("session/resume", {"sessionId": SESSION, "path": "/x"}, "path"),
        ("session/resume", {"path": "/x", "last": True}, "last"),
        ("session/resume", {"sessionId": "../../etc/passwd"}, "sessionId"),
        ("session/resume", {"sessionId": SESSION + "\n"}, "sessionId"),
        ("session/read", {}, ""),
        ("session/read", {"sessionId": SESSION, "path": "/x"}, "path"),
        ("session/read", {"sessionId": SESSION, "limit": 0}, "limit"),
        ("session/read", {"sessionId": SESSION, "direction": "up"}, "direction"),
        ("session/list", {"limit": -1}, "limit"),
        ("session/list", {"limit": "5"}, "limit"),
        ("session/list", {"sort": "size"}, "sort"),
        ("session/close", {}, "sessionId"),
        ("session/submit", {"sessionId": SESSION}, "op"),
        ("session/submit", {"sessionId": SESSION, "op": {"type": "dance"}}, "op.type"),
        (
            "session/submit",
            {"sessionId": SESSION, "op": {"type": "user_input", "items": []}},
            "op.items",
        ),
        (
            "session/submit",
            {"sessionId": SESSION, "op": {"type": "user_input", "items": [{"type": "text"}]}},
            "op.items[0].text",
        ),
        (
            "session/submit",
            {"sessionId": SESSION, "op": {"type": "override_turn_context", "modell": "x"}},
            "op.modell",
        ),
        ("session/submit", {"sessionId": SESSION, "op": INTERRUPT, "id": 5}, "id"),
    ],
)
async def test_params_that_do_not_fit_say_where(
    method: str, params: dict[str, Any], path: str
) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        error = await client.call(method, params)
    assert code(error) == -32602
    assert error["data"]["path"] == path
    assert error["data"]["expected"]
    assert manager.calls == [("close_all", None)]


async def test_unknown_members_of_other_ops_are_ignored() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        op = {"type": "interrupt", "reason": "impatience"}
        assert "id" in await client.call("session/submit", {"sessionId": session_id, "op": op})
        assert [op for _, op in manager.live[session_id].submitted] == [Interrupt()]


async def test_params_that_are_absent_or_null_are_empty() -> None:
    async with connected(FakeManager()) as client:
        await client.send(request(1, "session/list"), {"id": 2, **LIST, "params": None})
        assert ["result" in answer for answer in await client.some(2)] == [True, True]


async def test_errors_of_core_come_with_their_code_and_data() -> None:
    manager = FakeManager()

    def failing(exc: Exception) -> Callable[[], Any]:
        async def fail() -> None:
            raise exc

        return fail

    async with connected(manager) as client:
        manager.before["configure"] = failing(ConfigError("set OPENAI_API_KEY", key="env_key"))
        error = await client.call("session/configure", {"cwd": "/"})
        assert error == {"code": 1004, "message": "set OPENAI_API_KEY", "data": {"key": "env_key"}}
        manager.before["list"] = failing(RuntimeError("a secret"))
        error = await client.call("session/list")
        assert error == {"code": -32603, "message": "internal error (RuntimeError)"}
        manager.before["close"] = failing(RolloutWriteFailed("/f", "disk full"))
        session_id = await client.opened() if manager.before.pop("configure") else ""
        error = await client.call("session/close", {"sessionId": session_id})
        assert (error["code"], error["data"]) == (1006, {"path": "/f", "reason": "disk full"})
        missing = {"sessionId": SESSION, "op": INTERRUPT}
        assert code(await client.call("session/submit", missing)) == 1001


async def test_of_an_unforeseen_error_the_log_says_where_but_not_what(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = FakeManager()

    async def fail() -> None:
        raise RuntimeError("the user's prompt")

    manager.before["list"] = fail
    async with connected(manager) as client:
        await client.call("session/list")
    assert "internal error in session/list: RuntimeError" in caplog.text
    assert "in fail" in caplog.text
    # The source line that raised it is shown, and nothing that came from the values.
    assert caplog.text.count("the user's prompt") == caplog.text.count("raise RuntimeError(")


async def test_what_approvals_may_be_answered_is_said() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()

        def refuse(_id: str, _op: Op) -> None:
            raise InvalidState("no such request", data={"waiting": ["call_1"]})

        manager.live[session_id].on_op = refuse
        op = {"type": "exec_approval", "id": "x", "decision": "approved"}
        error = await client.call("session/submit", {"sessionId": session_id, "op": op})
        assert (error["code"], error["data"]) == (1007, {"waiting": ["call_1"]})


# Order.


async def test_pipelined_operations_are_taken_in_their_order() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        ops = [user_input(str(i)) if i % 3 else INTERRUPT for i in range(300)]
        await client.send(*(submit(i, session_id, op, f"s{i}") for i, op in enumerate(ops)))
        answers = await client.some(300)
        assert [a["result"]["id"] for a in answers] == [f"s{i}" for i in range(300)]
        assert [id_ for id_, _ in manager.live[session_id].submitted] == [
            f"s{i}" for i in range(300)
        ]


async def test_the_answer_comes_before_what_it_leads_to() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        session = manager.live[session_id]
        session.on_op = lambda id_, _op: session.say(TaskStarted(), id_)
        for name in ("s1", "s2"):
            await client.send(submit(name, session_id, user_input("hi"), name))
            answer, event = await client.some(2)
            assert answer["id"] == name
            assert event["params"]["id"] == name


async def test_an_input_that_waits_for_room_holds_up_nothing_else() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        session = manager.live[session_id]
        session.room = anyio.Event()
        await client.send(
            submit("waits", session_id, user_input("hi")), submit("passes", session_id, INTERRUPT)
        )
        [answer] = await client.some(1)
        assert answer["id"] == "passes"
        session.room.set()
        [answer] = await client.some(1)
        assert answer["id"] == "waits"


async def test_a_live_session_that_is_resumed_is_answered_before_it_is_announced_again() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        await client.send(request("again", "session/resume", {"sessionId": session_id}))
        answer, event = await client.some(2)
        assert answer["result"]["alreadyLive"] is True
        assert event["params"]["msg"]["type"] == "session_configured"
        assert event["params"]["seq"] == 2


async def test_numbers_go_on_when_a_closed_session_is_resumed() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        await client.send(request("close", "session/close", {"sessionId": session_id}))
        await client.some(2)
        await client.send(request("resume", "session/resume", {"sessionId": session_id}))
        answer, event = await client.some(2)
        assert "alreadyLive" not in answer["result"]
        assert event["params"]["seq"] == 3


# Requests in flight.


async def blocked_list(manager: FakeManager) -> anyio.Event:
    released = anyio.Event()
    manager.before["list"] = released.wait
    return released


async def test_an_id_in_flight_cannot_be_used_again_until_it_is_answered() -> None:
    manager = FakeManager()
    released = await blocked_list(manager)
    async with connected(manager) as client:
        await client.send(request(1, "session/list"), request(1, "session/list"))
        [refusal] = await client.some(1)
        assert (refusal["id"], code(refusal["error"])) == (1, -32600)
        # The same digits as a string are another id.
        await client.send(request("1", "session/read", {"sessionId": SESSION}))
        [answer] = await client.some(1)
        assert answer["id"] == "1"
        released.set()
        [answer] = await client.some(1)
        assert answer["id"] == 1
        await client.send(request(1, "session/list"))
        [answer] = await client.some(1)
        assert "result" in answer


async def test_a_request_can_be_cancelled() -> None:
    manager = FakeManager()
    await blocked_list(manager)
    async with connected(manager) as client:
        await client.send(
            request(1, "session/list"),
            request("1", "session/list"),
            {"method": "$/cancelRequest", "params": {"id": 1}},
        )
        [answer] = await client.some(1)
        assert (answer["id"], code(answer["error"])) == (1, -32800)
        await client.send({"method": "$/cancelRequest", "params": {"id": "1"}})
        [answer] = await client.some(1)
        assert answer["id"] == "1"


async def test_a_request_that_is_cancelled_before_it_was_begun_does_nothing() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        cancellation = {"method": "$/cancelRequest", "params": {"id": 1}}
        await client.send(submit(1, session_id, user_input("never mind")), cancellation)
        [answer] = await client.some(1)
        assert answer["error"]["code"] == -32800
        assert manager.live[session_id].submitted == []


async def test_a_cancelled_configure_is_undone_and_opens_nothing() -> None:
    manager = FakeManager()
    manager.before["configure"] = anyio.sleep_forever
    async with connected(manager) as client:
        await client.send(request(1, "session/configure", {"cwd": "/"}))
        await wait_all_tasks_blocked()
        assert manager.calls == [("configure", ConfigureParams(cwd="/"))]
        await client.send({"method": "$/cancelRequest", "params": {"id": 1}})
        [answer] = await client.some(1)
        assert code(answer["error"]) == -32800
        assert (manager.undone, manager.live) == (["configure"], {})


@pytest.mark.parametrize("params", [{}, {"id": 99}, {"id": None}, {"id": [1]}, {"id": True}, []])
async def test_a_cancellation_of_nothing_is_ignored(params: Any) -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        await client.call("session/list")
        await client.send({"method": "$/cancelRequest", "params": params})
        assert "sessions" in await client.call("session/list")


async def test_more_than_1024_requests_in_flight_are_refused_and_none_is_lost() -> None:
    manager = FakeManager()
    released = await blocked_list(manager)
    async with connected(manager) as client:
        await client.send(*(request(i, "session/list") for i in range(1025)))
        [refusal] = await client.some(1)
        assert (refusal["id"], code(refusal["error"])) == (1024, 1008)
        released.set()
        answers = await client.some(1024)
        assert sorted(answer["id"] for answer in answers) == list(range(1024))
        assert all("result" in answer for answer in answers)


async def test_any_number_of_quick_requests_can_be_pipelined() -> None:
    async with connected(FakeManager()) as client:
        async with anyio.create_task_group() as tg:
            tg.start_soon(lambda: client.send(*(request(i, "session/list") for i in range(5000))))
            answers = await client.some(5000)
        assert [answer["id"] for answer in answers if "result" in answer] == list(range(5000))


# Lifecycle.


async def test_initialize_says_what_there_is() -> None:
    async with connected(FakeManager()) as client:
        result = await client.call("initialize", {"processId": None})
    assert result == {
        "capabilities": {
            "experimental": {
                "codex": {
                    "protocolVersion": 1,
                    "methods": list(METHODS),
                    "ops": [op.type for op in get_args(Op)],
                    "events": [msg.type for msg in get_args(EventMsg)],
                    "providers": ["openai", "scripted"],
                }
            }
        },
        "serverInfo": {"name": "codex-rpc", "version": "1.2.3"},
    }


async def test_lsp_requests_need_initialize_and_sessions_do_not() -> None:
    async with connected(FakeManager()) as client:
        lsp = ("textDocument/hover", "workspace/symbol", "window/x", "$/made/up")
        assert [code(await client.call(method)) for method in lsp] == [-32002] * 4
        assert code(await client.call("dance")) == -32601
        assert "sessions" in await client.call("session/list")
        await client.send(
            {"method": "textDocument/didOpen", "params": {}},
            request("i", "initialize"),
            {"method": "initialized", "params": {}},
            request("h", "textDocument/hover"),
        )
        answers = {answer["id"]: answer for answer in await client.some(2)}
        assert "capabilities" in answers["i"]["result"]
        assert code(answers["h"]["error"]) == -32601
        assert code(await client.call("initialize")) == -32600


async def test_shutdown_closes_the_sessions_and_then_only_exit_is_left() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        await client.call("initialize")
        session_id = await client.opened()
        await client.send(request("bye", "shutdown"), request("late", "session/list"))
        late, last, bye = await client.some(3)
        assert (late["id"], code(late["error"])) == ("late", -32600)
        assert last["params"]["msg"]["type"] == "shutdown_complete"
        assert bye == {"jsonrpc": "2.0", "id": "bye", "result": None}
        assert session_id in manager.closed
        for method in ("shutdown", "initialize", "textDocument/hover", "dance"):
            assert code(await client.call(method)) == -32600
        await client.send({"method": "exit"})
        assert await client.rest() == []
        with fail_after(5):
            await client.ended.wait()
    assert client.exit_code == 0


async def test_exit_without_shutdown_ends_with_1_and_closes_the_sessions() -> None:
    manager = FakeManager()
    async with connected(manager) as client:
        session_id = await client.opened()
        await client.send({"method": "exit"}, request("never", "session/list"))
        assert [m["params"]["msg"]["type"] for m in await client.rest()] == ["shutdown_complete"]
        assert session_id in manager.closed
    assert client.exit_code == 1


async def test_exit_right_behind_shutdown_ends_with_0_and_an_answer() -> None:
    async with connected(FakeManager()) as client:
        await client.send(request(1, "shutdown"), {"method": "exit"})
        assert await client.rest() == [{"jsonrpc": "2.0", "id": 1, "result": None}]
    assert client.exit_code == 0
