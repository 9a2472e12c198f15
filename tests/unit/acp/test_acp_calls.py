"""Tool calls as a client is shown them: what each is called, where it is, and how it came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.acp_schema import check

from codex_rpc.acp import calls, content, outcomes
from codex_rpc.acp.calls import Looks, ShownCall, looks_of
from codex_rpc.acp.content import fenced
from codex_rpc.acp.reading import Reading, reading_of
from codex_rpc.protocol.shapes import Call, Outcome, Plan, shape_of

CWD = Path("/w")
PLAIN = Looks()
TERMINALS = Looks(terminals=True)
PIXEL = "data:image/png;base64,iVBORw0KGgo="

Item = dict[str, Any]


def function_call(name: str, arguments: Any) -> Item:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function_call", "name": name, "call_id": "c1", "arguments": text}


def command(*argv: str, **more: Any) -> Item:
    return function_call("shell", {"command": list(argv), **more})


def script(text: str) -> Item:
    return command("bash", "-lc", text)


def patch(*lines: str) -> Item:
    text = "\n".join(("*** Begin Patch", *lines, "*** End Patch"))
    return {"type": "custom_tool_call", "name": "apply_patch", "call_id": "c1", "input": text}


def came_back(text: str, exit_code: int | None = 0) -> Item:
    told: Any = text
    if exit_code is not None:
        metadata = {"exit_code": exit_code, "duration_seconds": 1.5}
        told = json.dumps({"output": text, "metadata": metadata})
    return {"type": "function_call_output", "call_id": "c1", "output": told}


def shown(item: Item, looks: Looks = PLAIN) -> ShownCall:
    shape = shape_of(item)
    assert isinstance(shape, Call)
    call = calls.shown(shape, item, CWD, looks)
    check("SessionUpdate", call.update)
    return call


def ended(item: Item, output: Item, looks: Looks = PLAIN) -> dict[str, Any]:
    shape = shape_of(output)
    assert isinstance(shape, Outcome)
    update = outcomes.ended(shown(item, looks), shape)
    check("SessionUpdate", update)
    return update


def texts(update: dict[str, Any]) -> list[str]:
    return [b["content"]["text"] for b in update["content"] if b["type"] == "content"]


# Commands.


def test_a_command_is_its_own_title_and_tells_its_arguments() -> None:
    update = shown(command("npm", "run", "a b", workdir="sub")).update
    assert update == {
        "sessionUpdate": "tool_call",
        "toolCallId": "c1",
        "title": "npm run 'a b'",
        "kind": "execute",
        "locations": [],
        "status": "pending",
        "rawInput": {"command": ["npm", "run", "a b"], "workdir": "sub"},
    }


def test_a_long_command_is_shown_whole_below_its_title() -> None:
    long = "echo one\n" + "echo more ``` of it\n" * 20
    update = shown(script(long)).update
    assert len(update["title"]) <= calls.MAX_TITLE
    assert "\n" not in update["title"]
    (text,) = texts(update)
    assert long in text
    assert text.startswith("````sh\n")
    assert text.endswith("\n````")


def test_no_title_plays_tricks_on_a_terminal() -> None:
    for item in (
        script("printf '\x1b[31m\x07'"),
        function_call("\x1b]0;me\x07", {}),
        patch("*** Delete File: \x1b[2J\x9b1m"),
    ):
        update = shown(item).update
        assert not {"\x1b", "\x07", "\x9b"} & set(update["title"])


def test_a_command_in_a_terminal_of_the_client() -> None:
    item = command("ls", "-l", workdir="sub")
    update = shown(item, TERMINALS).update
    assert update["content"] == [{"type": "terminal", "terminalId": "c1"}]
    assert update["_meta"] == {"terminal_info": {"terminal_id": "c1", "cwd": "/w/sub"}}
    end = ended(item, came_back("all of it", 3), TERMINALS)
    assert end["status"] == "failed"
    assert end["_meta"] == {"terminal_exit": {"terminal_id": "c1", "exit_code": 3, "signal": None}}
    assert end["content"] == update["content"]
    killed = ended(item, came_back("", -1), TERMINALS)
    assert killed["_meta"]["terminal_exit"]["exit_code"] is None


def test_what_never_ran_is_told_outside_of_the_terminal() -> None:
    end = ended(command("rm", "x"), came_back("exec command rejected by user", None), TERMINALS)
    assert end["status"] == "failed"
    assert texts(end) == ["```\nexec command rejected by user\n```"]
    assert "_meta" not in end
    assert all(block["type"] != "terminal" for block in end["content"])


def test_an_output_is_fenced_and_without_colours() -> None:
    end = ended(command("x"), came_back("\x1b[31mred\x1b[0m\r\n```\n", 0))
    assert texts(end) == ["````\nred\n```\n````"]
    assert end["status"] == "completed"
    assert end["rawOutput"] == {"exit_code": 0, "duration_seconds": 1.5}


def test_a_huge_output_loses_its_middle_and_says_so() -> None:
    (text,) = texts(ended(command("x"), came_back("a" * 50_000 + "b" * 50_000)))
    left_out = 100_000 - content.MAX_TEXT
    assert f"\n[… {left_out:,} characters left out …]\n" in text
    assert text.startswith("```\naaa")
    assert text.endswith("bbb\n```")
    assert len(text) < content.MAX_TEXT + 100


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        ("cat src/a.py", Reading("read", "src/a.py")),
        ("cat 'a b.py'", Reading("read", "a b.py")),
        ("head -n 20 a", Reading("read", "a")),
        ("tail -c +10 a", Reading("read", "a")),
        ("nl -ba a", Reading("read", "a")),
        ("sed -n 10,25p a", Reading("read", "a", 10)),
        ("sed -n '7p' a", Reading("read", "a", 7)),
        ("sed -n '1,$p' a", Reading("read", "a", 1)),
        ("rg -n 'def (foo|bar)' src", Reading("search")),
        ('grep -r "a.*b" .', Reading("search")),
        ("git grep x", Reading("search")),
        ("find . -name '*.py'", Reading("search")),
        (r"find . \( -name a -o -name b \)", Reading("search")),
        ("ls *.py", Reading("search")),
        ("fd x", Reading("search")),
        ("", None),
        ("cat", None),
        ("cat a b", None),
        ("cat *.py", None),
        ("cat 'a", None),
        ("cat a > b", None),
        ("cat a; rm a", None),
        ("cat $(rm a)", None),
        ('cat "$(rm a)"', None),
        ('rg "`rm a`"', None),
        ("cat a\nrm a", None),
        ("rg x | xargs rm", None),
        ("find . -delete", None),
        ("find . -exec rm {} +", None),
        ("find . -fprint out", None),
        ("fd x -x rm", None),
        ("rg --pre=rm x", None),
        ("sed -n 1,2w a", None),
        ("sed -i s/a/b/ a", None),
        ("make", None),
    ],
)
def test_which_commands_only_look(line: str, reading: Reading | None) -> None:
    assert reading_of(line) == reading


def test_a_command_that_reads_one_file_says_where() -> None:
    update = shown(script("sed -n 10,25p a.py")).update
    assert update["kind"] == "read"
    assert update["locations"] == [{"path": "/w/a.py", "line": 10}]
    update = shown(command("cat", "/etc/hosts", workdir="sub")).update
    assert update["locations"] == [{"path": "/etc/hosts"}]
    update = shown(command("cat", "a", workdir="sub")).update
    assert update["locations"] == [{"path": "/w/sub/a"}]
    assert shown(script("rg x")).update["kind"] == "search"


# Patches.


def test_a_patch_is_shown_as_one_diff_for_each_hunk() -> None:
    item = patch(
        "*** Update File: a.py",
        "@@ class A:",
        " same",
        "-old",
        "+new",
        "",
        " end",
        "@@",
        "+last",
        "*** End of File",
    )
    update = shown(item).update
    assert update["title"] == "Edit a.py"
    assert update["kind"] == "edit"
    assert update["locations"] == [{"path": "/w/a.py"}]
    assert update["content"] == [
        {
            "type": "diff",
            "path": "/w/a.py",
            "oldText": "same\nold\n\nend\n",
            "newText": "same\nnew\n\nend\n",
        },
        {"type": "diff", "path": "/w/a.py", "oldText": "", "newText": "last\n"},
    ]
    assert "rawInput" not in update


@pytest.mark.parametrize(
    ("lines", "title", "kind", "paths", "diffs"),
    [
        (
            ["*** Add File: n.txt", "+one", "+", "+three", ""],
            "Create n.txt",
            "edit",
            ["/w/n.txt"],
            [("/w/n.txt", None, "one\n\nthree\n")],
        ),
        (
            ["*** Add File: empty"],
            "Create empty",
            "edit",
            ["/w/empty"],
            [("/w/empty", None, "")],
        ),
        (
            ["*** Delete File: /abs/gone"],
            "Delete /abs/gone",
            "delete",
            ["/abs/gone"],
            [("/abs/gone", None, "")],
        ),
        (
            ["*** Update File: a", "*** Move to: b"],
            "Move a to b",
            "move",
            ["/w/a", "/w/b"],
            [],
        ),
        (
            ["*** Update File: a", "*** Move to: b", "@@", "-x", "+y"],
            "Edit and move a to b",
            "edit",
            ["/w/a", "/w/b"],
            [("/w/b", "x\n", "y\n")],
        ),
        (
            ["*** Delete File: a", "*** Update File: b", "@@", "-x", ""],
            "Edit 2 files: a, b",
            "edit",
            ["/w/a", "/w/b"],
            [("/w/a", None, ""), ("/w/b", "x\n", "")],
        ),
    ],
)
def test_what_a_patch_does_to_files(
    lines: list[str], title: str, kind: str, paths: list[str], diffs: list[tuple[str, Any, str]]
) -> None:
    update = shown(patch(*lines)).update
    assert (update["title"], update["kind"]) == (title, kind)
    assert [place["path"] for place in update["locations"]] == paths
    assert [(d["path"], d["oldText"], d["newText"]) for d in update["content"]] == diffs


def test_a_patch_in_a_shell_is_a_patch_too() -> None:
    text = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"
    wanted = shown(patch("*** Add File: a", "+x")).update
    for item in (
        command("apply_patch", text),
        script(f"apply_patch <<'EOF'\n{text}\nEOF\n"),
        function_call("apply_patch", {"input": text + "\n\n"}),
    ):
        assert shown(item, TERMINALS).update == wanted


def test_a_line_of_a_file_that_looks_like_the_end_of_the_patch_is_shown() -> None:
    lines = ("*** Update File: a", " *** End Patch", "-x", "+y", "", "")
    (diff,) = shown(patch(*lines)).content
    assert (diff["oldText"], diff["newText"]) == ("*** End Patch\nx\n", "*** End Patch\ny\n")


def test_a_patch_that_failed_keeps_its_diff_and_says_why() -> None:
    item = patch("*** Add File: a", "+x")
    assert "content" not in ended(item, came_back("Success.", 0))
    for output in (came_back("no such lines", 1), came_back("patch rejected by user", None)):
        end = ended(item, output)
        assert end["status"] == "failed"
        assert [block["type"] for block in end["content"]] == ["diff", "content"]


# Other calls.


def test_an_image_that_was_looked_at() -> None:
    item = function_call("view_image", {"path": "a.png"})
    update = shown(item).update
    assert (update["title"], update["kind"]) == ("View a.png", "read")
    assert update["locations"] == [{"path": "/w/a.png"}]
    output = came_back("", None) | {"output": [{"type": "input_image", "image_url": PIXEL}]}
    end = ended(item, output)
    assert end["status"] == "completed"
    image = {"type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo="}
    assert end["content"] == [{"type": "content", "content": image}]
    assert ended(item, came_back("cannot attach a.png: no", None))["status"] == "failed"
    elsewhere = came_back("", None) | {"output": [{"image_url": "https://x.org/a.png"}]}
    assert texts(ended(item, elsewhere)) == ["[an image](https://x.org/a.png)"]


def test_a_search_of_the_web_is_over_when_it_is_told() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "a"}}
    update = shown(item).update
    assert update["toolCallId"] == "ws_1"
    assert (update["title"], update["kind"]) == ("Search the web: a", "fetch")
    assert update["status"] == "completed"
    assert update["rawInput"] == {"type": "search", "query": "a"}
    opened = shown(item | {"action": {"type": "open_page", "url": "https://x.org"}}).update
    assert opened["title"] == "Open https://x.org"
    assert shown(item | {"action": None}).update["title"] == "Search the web"


def test_a_tool_of_a_server() -> None:
    item = function_call("files__list", {"path": "x"})
    update = shown(item).update
    assert (update["title"], update["kind"]) == ("files__list", "other")
    assert update["rawInput"] == {"path": "x"}
    end = ended(item, came_back('[{"type":"text","text":"a"}]', None))
    assert end["status"] == "completed"
    assert texts(end) == ["a"]
    assert texts(ended(item, came_back('{"rows":[1]}', None))) == ['```json\n{"rows":[1]}\n```']


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (function_call("files__list", {}), "err: no such folder"),
        (function_call("files__list", {}), "mcp tool call rejected by user"),
        (function_call("files__list", {}), "[interrupted by the user after 0.1 s; what was done"),
        (function_call("files__list", {}), "aborted"),
        (function_call("files__list", {}), "aborted by the user"),
        (function_call("files__list", {}), '{"content":[],"isError":true}'),
        (function_call("files__list", "{"), "not run: your answer reached the limit"),
        (function_call("nothing", {}), "unsupported call: nothing"),
        (function_call("nothing", {}), "the tool failed because of an error in codex-rpc itself"),
        (function_call("shell", "no JSON"), "failed to parse function arguments: x"),
        (function_call("shell", {"command": 1}), "anything"),
        (function_call("update_plan", "{"), "failed to parse function arguments: x"),
        (
            {"type": "custom_tool_call", "name": "apply_patch", "call_id": "c1", "input": "x"},
            "error: invalid patch",
        ),
        (command("x"), "execution error: No such file or directory"),
        (command("x"), "exec command rejected by user"),
        (command("x"), "aborted"),
    ],
)
def test_what_came_to_nothing_has_failed(item: Item, output: str) -> None:
    end = ended(item, came_back(output, None))
    assert end["status"] == "failed"
    assert output in texts(end)[-1]


def test_a_command_that_another_program_left_running_has_not_failed() -> None:
    item = function_call("exec_command", {"cmd": "serve"})
    output = "Chunk ID: a\nWall time: 1.0 seconds\nProcess running with session ID 3\nOutput:\nup\n"
    assert ended(item, came_back(output, None))["status"] == "completed"


def test_a_call_that_nobody_answered_was_interrupted() -> None:
    for item in (command("make"), patch("*** Add File: a", "+x"), function_call("t", {})):
        for looks in (PLAIN, TERMINALS):
            update = outcomes.left_open(shown(item, looks))
            check("SessionUpdate", update)
            assert update["status"] == "failed"
            assert texts(update)[-1] == "interrupted"


def test_a_plan_whose_statuses_make_no_sense() -> None:
    steps = [{"step": "a", "status": "done"}, {"step": "b"}, {"step": "c", "status": "completed"}]
    shape = shape_of(function_call("update_plan", {"plan": steps}))
    assert isinstance(shape, Call)
    assert isinstance(shape.action, Plan)
    update = calls.plan_update(shape.action)
    check("SessionUpdate", update)
    assert [(e["content"], e["status"]) for e in update["entries"]] == [
        ("a", "pending"),
        ("b", "pending"),
        ("c", "completed"),
    ]


# Any.


@pytest.mark.parametrize(
    ("capabilities", "looks"),
    [
        ({}, Looks()),
        ({"_meta": {"terminal_output": True}}, Looks(terminals=True)),
        ({"session": {"notices": {}}}, Looks(notices=True)),
        ({"_meta": {"terminal_output": "yes"}, "session": {"notices": None}}, Looks()),
        ({"_meta": [], "session": 1}, Looks()),
        ({"_meta": None, "session": None}, Looks()),
    ],
)
def test_how_a_client_shows_things(capabilities: Any, looks: Looks) -> None:
    assert looks_of(capabilities) == looks


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["command", "path", "plan", "step", "query", "output", "metadata", "x"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
anything = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["function_call", "custom_tool_call", "local_shell_call", "web_search_call"]
        )
    },
    optional={
        "name": st.sampled_from(["shell", "apply_patch", "view_image", "update_plan", "t"]),
        "call_id": st.text(min_size=1, max_size=3),
        "id": json_values,
        "arguments": json_values | json_values.map(json.dumps),
        "input": json_values
        | st.text(alphabet="*+-@ \nabFile:", max_size=40).map(
            lambda text: f"*** Begin Patch\n*** Update File: x\n{text}"
        ),
        "action": json_values,
    },
)


@settings(deadline=None, max_examples=200)
@given(anything, json_values, st.booleans())
def test_whatever_a_call_and_its_output_hold_can_be_shown(
    item: Item, output: Any, in_terminals: bool
) -> None:
    shape = shape_of(item)
    assert isinstance(shape, Call)
    if isinstance(shape.action, Plan):
        check("SessionUpdate", calls.plan_update(shape.action))
        return
    call = calls.shown(shape, item, CWD, Looks(terminals=in_terminals))
    outcome = shape_of({"type": "function_call_output", "call_id": "c1", "output": output})
    assert isinstance(outcome, Outcome)
    for update in (call.update, outcomes.ended(call, outcome), outcomes.left_open(call)):
        check("SessionUpdate", update)


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="`a\n~", max_size=30))
def test_no_text_ends_its_fence(text: str) -> None:
    lines = fenced(text)["content"]["text"].split("\n")
    assert lines[0] == lines[-1]
    assert set(lines[0]) == {"`"}
    assert all(line != lines[0] for line in lines[1:-1])
