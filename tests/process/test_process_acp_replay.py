"""Loading a session tells, update by update, what was streamed, whatever the model did."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.acp_client import AcpClient, agent, conversation
from support.conversation import (
    call_events,
    completed,
    message,
    shell_call,
    text_events,
    write_config,
)
from support.model_server import ModelServer

Responses = list[dict[str, Any]]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

NOTES = "*** Update File: notes.txt\n"
FITTING = "@@\n one\n-two\n+2\n three\n"


def items(n: int, *given: dict[str, Any]) -> dict[str, Any]:
    """The n-th response: these items."""
    done = [{"type": "response.output_item.done", "item": item} for item in given]
    return {"events": [*done, completed(n)]}


def function(n: int, name: str, arguments: Any) -> dict[str, Any]:
    """The n-th response: one call of a function."""
    given = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": name}
    return items(n, {**call, "arguments": given})


def patch_of(*sections: str) -> str:
    return "".join(("*** Begin Patch\n", *sections, "*** End Patch\n"))


def patch(n: int, *sections: str) -> dict[str, Any]:
    """The n-th response: a patch."""
    call = {"type": "custom_tool_call", "id": f"ct_{n}", "call_id": f"call_{n}"}
    return items(n, {**call, "name": "apply_patch", "input": patch_of(*sections)})


def shell(*scripts: str) -> Responses:
    """Commands, and a last word."""
    calls = call_events(1, *(["bash", "-c", script] for script in scripts))
    return [calls, text_events(2, "Done.")]


COMMANDS: dict[str, Responses] = {
    "colours and control characters": shell(
        r"printf '\033[31mred\033[0m\r\nplain\rover\n\x01\n'; printf '\033]0;title\a'"
    ),
    "a character in two pieces": shell(r"printf 'a\303'; sleep 0.1; printf '\251\n'"),
    "no UTF-8": shell(r"printf '\377\376abc\n'"),
    "fences": shell(r"printf '```\nx\n````\n'"),
    "no output": shell("true", "false"),
    "both streams": shell("echo out; echo err >&2; echo out again"),
    "a progress bar": shell(r"for i in 1 2 3; do printf '\r%s' $i; sleep 0.05; done; echo"),
    "many in one response": shell("sleep 0.1; echo a", "echo b", "echo c; exit 3"),
    "killed": shell("echo a; kill -9 $$"),
    "out of time": [
        call_events(1, ["bash", "-c", "echo begun; sleep 50"], timeout=200),
        text_events(2, "Done."),
    ],
    "no such program": [call_events(1, ["no-such-program"]), text_events(2, "Done.")],
    "another folder": [call_events(1, ["cat", "x"], workdir="sub"), text_events(2, "Done.")],
    "lines of a file": [call_events(1, ["sed", "-n", "2,3p", "notes.txt"]), text_events(2, "x")],
    "one id again": [
        items(1, shell_call("again", ["echo", "1"])),
        items(2, shell_call("again", ["echo", "2"])),
        text_events(3, "Done."),
    ],
    "a local shell": [
        items(
            1,
            {
                "type": "local_shell_call",
                "id": "ls_1",
                "call_id": "call_1",
                "status": "completed",
                "action": {"type": "exec", "command": ["echo", "local"]},
            },
        ),
        text_events(2, "Done."),
    ],
}

PATCHES: dict[str, Responses] = {
    "fits": [patch(1, NOTES, FITTING), text_events(2, "x")],
    "does not fit": [
        patch(1, "*** Update File: notes.txt\n@@\n-nowhere\n+2\n"),
        text_events(2, "x"),
    ],
    "moves, deletes and adds": [
        patch(
            1,
            "*** Update File: notes.txt\n*** Move to: sub/moved.txt\n@@\n-two\n+2\n",
            "*** Delete File: old.txt\n",
            "*** Add File: new/empty.txt\n",
            "*** Add File: new/full.txt\n+a\n+\n+b\n",
        ),
        text_events(2, "x"),
    ],
    "in a shell": [
        call_events(1, ["bash", "-lc", f"apply_patch <<'EOF'\n{patch_of(NOTES, FITTING)}EOF\n"]),
        text_events(2, "x"),
    ],
    "as a function": [
        function(1, "apply_patch", {"input": patch_of(NOTES, FITTING)}),
        text_events(2, "x"),
    ],
    "garbage": [function(1, "apply_patch", {"input": "garbage"}), text_events(2, "x")],
}

TOOLS: dict[str, Responses] = {
    "unknown": [function(1, "nothing_here", {"a": 1}), text_events(2, "x")],
    "arguments that are no JSON": [function(1, "shell", "{not json"), text_events(2, "x")],
    "arguments that are no command": [function(1, "shell", {"command": 5}), text_events(2, "x")],
    "a plan": [
        function(1, "update_plan", {"plan": [{"step": "A", "status": "odd"}], "explanation": "b"}),
        text_events(2, "x"),
    ],
    "no plan": [function(1, "update_plan", {"plan": 3}), text_events(2, "x")],
    "an image": [function(1, "view_image", {"path": "pixel.png"}), text_events(2, "x")],
    "no image": [function(1, "view_image", {"path": "nothing.png"}), text_events(2, "x")],
    "the web": [
        items(
            1,
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "cats"},
            },
            message("msg_1", "Cats."),
        )
    ],
}

MESSAGES: dict[str, Responses] = {
    "two in one response": [
        {"events": [*text_events(1, "A")["events"][:-1], *text_events(2, "B", "C")["events"][1:]]}
    ],
    "not what was streamed": [
        {
            "events": [
                *text_events(1, "Hel", "lo")["events"][:-2],
                {"type": "response.output_item.done", "item": message("msg_1", "Hello there")},
                completed(1),
            ]
        }
    ],
    "empty": [items(1, message("msg_1", ""))],
    "line ends of Unicode": [text_events(1, "a\u2028b", "\U0001f600", "\x85c")],
    "a refusal": [
        items(
            1,
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": "No."}],
            },
        )
    ],
    "a thought in two parts": [
        items(
            1,
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [
                    {"type": "summary_text", "text": "First."},
                    {"type": "summary_text", "text": "Second."},
                ],
            },
            message("msg_1", "x"),
        )
    ],
    "a thought that is sealed": [
        items(
            1,
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zz"},
            message("msg_1", "x"),
        )
    ],
    "a thought in full": [
        items(
            1,
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "Let me see."}],
            },
            message("msg_1", "x"),
        )
    ],
}


def furnish(folder: Path) -> Path:
    """A folder with what the scripts are about."""
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/x").write_text("in sub\n")
    (folder / "notes.txt").write_text("one\ntwo\nthree\n")
    (folder / "old.txt").write_text("old\n")
    (folder / "pixel.png").write_bytes(PIXEL)
    return folder


async def differing(
    home: Path, cases: dict[str, Responses], **capabilities: Any
) -> dict[str, dict[str, Any]]:
    """The cases in which this process, or another one, tells something else than was streamed."""
    sessions: dict[str, str] = {}
    live: dict[str, list[dict[str, Any]]] = {}
    found: dict[str, dict[str, Any]] = {}

    async def compare(client: AcpClient, case: str, where: str) -> None:
        loaded = conversation(await client.load(sessions[case], home / case))
        if loaded != live[case]:
            found.setdefault(case, {"live": live[case]})[where] = loaded

    script = [response for responses in cases.values() for response in responses]
    async with ModelServer({"responses": script}) as model:
        write_config(home, model.url)
        async with agent(home) as client:
            await client.initialize(**capabilities)
            for case in cases:
                sessions[case] = await client.new(furnish(home / case))
                turn = await client.prompt(sessions[case], "go")
                assert turn.stop_reason in ("end_turn", "refusal"), case
                live[case] = conversation(turn.updates)
                await compare(client, case, "in the same process")
        async with agent(home) as client:
            await client.initialize(**capabilities)
            for case in cases:
                await compare(client, case, "in another process")
    return found


@pytest.mark.parametrize("terminals", [False, True], ids=["texts", "terminals"])
@pytest.mark.parametrize(
    "cases", [COMMANDS, PATCHES, TOOLS, MESSAGES], ids=["commands", "patches", "tools", "messages"]
)
async def test_what_is_loaded_is_what_was_streamed(
    tmp_path: Path, cases: dict[str, Responses], terminals: bool
) -> None:
    capabilities = {"_meta": {"terminal_output": True}} if terminals else {}
    assert await differing(tmp_path, cases, **capabilities) == {}
