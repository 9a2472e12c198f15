"""The patch tool's calls: who is asked, what is announced, what the model is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import anyio
import orjson
import pytest
from anyio import fail_after
from patch_support import (
    CALL,
    Host,
    a_host,
    a_tool,
    apply,
    diff_of,
    end_of,
    patch,
    told,
    tree,
)

from codex_rpc.protocol.errors import BadArguments, ToolError
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    BackgroundEvent,
    EventMsg,
    PatchApplyBegin,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxMode
from codex_rpc.protocol.tools import ToolOutcome
from codex_rpc.tools.patch.permission import OUTSIDE
from codex_rpc.tools.specs import APPLY_PATCH

EXAMPLE = """\
class App:
    def other(self):
        ready = True
    def run(self):
        ready = True
        old_line()
        finish()
"""


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path.resolve() / "project"
    (cwd / ".git").mkdir(parents=True)
    (cwd / "a.txt").write_text("a\n")
    (tmp_path / "outside.txt").write_text("a\n")
    (cwd / "link").symlink_to(tmp_path / "outside.txt")
    (cwd / "folder").symlink_to(tmp_path)
    return cwd


INSIDE = ("*** Update File: a.txt", "@@", "-a", "+A")
ESCAPES: dict[str, tuple[str, ...]] = {
    "absolute": ("*** Update File: {outside}", "@@", "-a", "+A"),
    "dots": ("*** Add File: ../new.txt", "+x"),
    "link to a file": ("*** Update File: link", "@@", "-a", "+A"),
    "replaced through a link": ("*** Add File: link", "+x"),
    "link to a folder": ("*** Add File: folder/new.txt", "+x"),
    "folders made outside": ("*** Add File: folder/x/y/new.txt", "+x"),
    "moved out": ("*** Update File: a.txt", "*** Move to: ../a.txt"),
    "moved in": ("*** Update File: ../outside.txt", "*** Move to: in.txt"),
    "removed": ("*** Delete File: ../outside.txt",),
    "removed behind a link": ("*** Delete File: folder/outside.txt",),
    "link in": ("*** Delete File: ../link-in",),
    "one of two": (*INSIDE, "*** Add File: ../new.txt", "+x"),
}
PROTECTED = ("*** Add File: .git/hooks/pre-commit", "+x")


async def decided(
    cwd: Path, lines: tuple[str, ...], approval: ApprovalPolicy, mode: SandboxMode
) -> tuple[str, Host, ToolOutcome]:
    """What was done with a patch: written, asked about (and denied), or refused."""
    host = a_host(cwd, approval=approval, mode=mode, decision="denied")
    before = tree(cwd.parent)
    outcome = await apply(patch(*lines), cwd, host=host)
    if outcome.events:
        return "written", host, outcome
    assert tree(cwd.parent) == before
    return ("asked" if host.asked else "refused"), host, outcome


TABLE: list[tuple[ApprovalPolicy, SandboxMode, str, str]] = [
    # policy, mode, what becomes of an edit inside, and of one outside or protected
    ("untrusted", "read-only", "asked", "asked"),
    ("untrusted", "workspace-write", "asked", "asked"),
    ("untrusted", "danger-full-access", "asked", "asked"),
    ("on-failure", "read-only", "asked", "asked"),
    ("on-failure", "workspace-write", "written", "asked"),
    ("on-failure", "danger-full-access", "written", "asked"),
    ("on-request", "read-only", "asked", "asked"),
    ("on-request", "workspace-write", "written", "asked"),
    ("on-request", "danger-full-access", "written", "asked"),
    ("never", "read-only", "refused", "refused"),
    ("never", "workspace-write", "written", "refused"),
    ("never", "danger-full-access", "written", "refused"),
]


def test_the_table_is_complete() -> None:
    pairs = {(approval, mode) for approval, mode, _, _ in TABLE}
    assert pairs == {(a, m) for a in get_args(ApprovalPolicy) for m in get_args(SandboxMode)}


@pytest.mark.parametrize(("approval", "mode", "inside", "beyond"), TABLE)
async def test_who_is_asked(
    cwd: Path, approval: ApprovalPolicy, mode: SandboxMode, inside: str, beyond: str
) -> None:
    (cwd.parent / "link-in").symlink_to(cwd / "a.txt")
    for name, lines in ESCAPES.items():
        spelled = tuple(line.format(outside=cwd.parent / "outside.txt") for line in lines)
        verdict, host, outcome = await decided(cwd, spelled, approval, mode)
        assert verdict == beyond, name
        if beyond == "asked":
            (request,) = host.asked
            assert isinstance(request, ApplyPatchApprovalRequest)
            assert request.reason, name
        elif mode != "read-only":
            assert outcome.output == OUTSIDE, name
    assert (await decided(cwd, PROTECTED, approval, mode))[0] == beyond
    assert (await decided(cwd, INSIDE, approval, mode))[0] == inside


async def test_a_refusal_says_why_and_is_announced(cwd: Path) -> None:
    host = a_host(cwd, mode="read-only")
    outcome = await apply(patch(*INSIDE), cwd, host=host)
    assert outcome.output == (
        "patch rejected: the sandbox is read-only; rejected by user approval settings"
    )
    assert host.announced == [BackgroundEvent(outcome.output)]

    outcome = await apply(patch(*PROTECTED), cwd)
    assert outcome.output == (
        f"patch rejected: {cwd}/.git/hooks/pre-commit is protected; "
        "rejected by user approval settings"
    )


async def test_a_question_says_what_is_wrong_and_no_answer_is_kept(cwd: Path) -> None:
    host = a_host(cwd, approval="on-request", decision="approved_for_session")
    tool = a_tool()
    for content in ("1", "2"):
        text = patch("*** Add File: ../new.txt", f"+{content}")
        outcome = await apply(text, cwd, host=host, tool=tool)
        assert end_of(outcome).success
    outside = f"{cwd.parent}/new.txt is outside of the writable folders"
    assert [request.reason for request in host.asked] == [
        outside,
        f'{outside}; replaces the existing file "{cwd.parent}/new.txt"',
    ]
    assert host.scopes == [None, None]
    begins = [msg for msg in host.announced if isinstance(msg, PatchApplyBegin)]
    assert [begin.auto_approved for begin in begins] == [False, False]


@pytest.mark.parametrize(
    ("lines", "replaced"),
    [
        (["*** Add File: keep", "+new"], ["keep"]),
        (["*** Add File: linked", "+new"], ["keep"]),
        (["*** Update File: x", "*** Move to: keep"], ["keep"]),
        (["*** Update File: x", "*** Move to: keep", "@@", "-x", "+y"], ["keep"]),
        (["*** Delete File: keep", "*** Add File: keep", "+new"], ["keep"]),
        (["*** Add File: keep", "+new", "*** Update File: keep", "@@", "-new", "+n"], ["keep"]),
        (["*** Add File: keep", "+new", "*** Add File: x", "+new"], ["keep", "x"]),
        # What is shown as it is.
        (["*** Add File: new", "+new"], []),
        (["*** Add File: keep", "+old"], []),
        (["*** Update File: keep", "@@", "-old", "+new"], []),
        (["*** Update File: x", "*** Move to: new"], []),
        (["*** Delete File: keep"], []),
        (["*** Add File: keep", "+new", "*** Delete File: keep"], []),
    ],
)
async def test_a_question_says_which_files_are_lost_to_others(
    cwd: Path, lines: list[str], replaced: list[str]
) -> None:
    (cwd / "keep").write_text("old\n")
    (cwd / "x").write_text("x\n")
    (cwd / "linked").symlink_to("keep")
    host = a_host(cwd, approval="untrusted", decision="denied")
    await apply(patch(*lines), cwd, host=host)
    (request,) = host.asked
    said = [f'replaces the existing file "{cwd}/{name}"' for name in replaced]
    assert request.reason == ("; ".join(said) or None)


async def test_a_name_cannot_pretend_to_be_our_words(cwd: Path) -> None:
    name = 'a"; it was checked; \x1b[2K'
    (cwd / name).write_text("")
    host = a_host(cwd, approval="untrusted", decision="denied")
    await apply(patch(f"*** Add File: {name}", "+new"), cwd, host=host)
    (request,) = host.asked
    assert request.reason == (
        f'replaces the existing file "{cwd}/a\\"; it was checked; \\u001b[2K"'
    )


async def test_a_writable_root_needs_no_question(cwd: Path) -> None:
    host = a_host(cwd, roots=(str(cwd.parent),))
    outcome = await apply(patch("*** Add File: ../new.txt", "+x"), cwd, host=host)
    assert end_of(outcome).success


async def test_paths_begin_where_the_call_is_made(cwd: Path) -> None:
    (cwd / "sub").mkdir()
    host = a_host(cwd)
    await a_tool().apply(patch("*** Add File: x", "+x"), cwd / "sub", CALL, host)
    assert (cwd / "sub/x").read_text() == "x\n"
    # What may be written is the session's matter all the same.
    await a_tool().apply(patch("*** Add File: ../x", "+x"), cwd / "sub", CALL, host)
    assert (cwd / "x").exists()


async def test_a_removal_of_nothing_takes_the_rest_with_it(cwd: Path) -> None:
    before = tree(cwd)
    host = a_host(cwd, approval="untrusted")
    outcome = await apply(patch(*INSIDE, "*** Delete File: nope"), cwd, host=host)
    assert end_of(outcome).stderr == "Failed to delete file nope\nNothing was changed.\n"
    assert told(outcome)["metadata"]["exit_code"] == 1
    # Nobody needs to be asked about what is not going to happen.
    assert host.asked == []
    assert tree(cwd) == before


async def test_a_file_that_changes_while_the_user_thinks_is_left_alone(cwd: Path) -> None:
    async def someone_writes() -> None:
        (cwd / "a.txt").write_text("theirs\n")

    host = a_host(cwd, approval="untrusted", before_answering=someone_writes)
    outcome = await apply(patch(*INSIDE, "*** Add File: new", "+x"), cwd, host=host)
    message = (
        f"{cwd}/a.txt was changed by someone else since the patch was prepared. "
        "Look at it again before the next patch.\nNothing was changed.\n"
    )
    assert end_of(outcome).stderr == message
    assert told(outcome)["output"] == message
    assert len(outcome.events) == 1
    assert (cwd / "a.txt").read_text() == "theirs\n"
    assert not (cwd / "new").exists()


async def test_a_folder_swapped_while_the_user_thinks_leads_nowhere(cwd: Path) -> None:
    (cwd / "sub").mkdir()

    async def someone_swaps() -> None:
        (cwd / "sub").rmdir()
        (cwd / "sub").symlink_to(cwd.parent)

    host = a_host(cwd, approval="untrusted", before_answering=someone_swaps)
    outcome = await apply(patch("*** Add File: sub/new", "+x"), cwd, host=host)
    assert not end_of(outcome).success
    assert not (cwd.parent / "new").exists()


async def test_the_diff_is_sent_when_it_changed(cwd: Path) -> None:
    tool, host = a_tool(), a_host(cwd)
    add = patch("*** Add File: b.txt", "+b")
    assert diff_of(await apply(add, cwd, host=host, tool=tool)) is not None
    assert diff_of(await apply(add, cwd, host=host, tool=tool)) is None
    host.turn_id = SubmissionId("another")
    assert diff_of(await apply(patch(*INSIDE), cwd, host=host, tool=tool)) is not None


async def test_bytes_that_are_not_utf_8_can_be_told(cwd: Path) -> None:
    (cwd / "latin").write_bytes(b"caf\xe9\nb\n")
    host = a_host(cwd)
    outcome = await apply(patch("*** Update File: latin", "@@", "-b", "+c"), cwd, host=host)
    assert "caf\ufffd" in (diff_of(outcome) or "")
    assert (cwd / "latin").read_bytes() == b"caf\xe9\nc\n"
    for msg in (*host.announced, *outcome.events):
        orjson.dumps(str(msg))


# Interruption


async def test_an_interrupt_before_writing_writes_nothing(cwd: Path) -> None:
    before = tree(cwd)
    with anyio.CancelScope() as scope:

        async def interrupted(msg: EventMsg) -> None:
            scope.cancel()

        host = a_host(cwd, before_announcing=interrupted)
        await apply(patch(*INSIDE), cwd, host=host)
    assert scope.cancelled_caught
    (outcome,) = host.abandoned
    assert end_of(outcome).stderr == "Interrupted by the user before anything was written.\n"
    assert not end_of(outcome).success
    assert tree(cwd) == before


async def test_an_interrupt_while_the_user_is_asked_leaves_no_end(cwd: Path) -> None:
    with anyio.CancelScope() as scope:

        async def interrupted() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        host = a_host(cwd, approval="untrusted", before_answering=interrupted)
        await apply(patch(*INSIDE), cwd, host=host)
    assert (host.abandoned, host.announced) == ([], [])


async def test_a_patch_that_is_being_written_is_finished(cwd: Path) -> None:
    lines = [line for n in range(300) for line in (f"*** Add File: many/{n}", f"+{n}")]
    with anyio.CancelScope() as scope:
        host = a_host(cwd)
        async with anyio.create_task_group() as tasks:

            async def interrupt_when_writing() -> None:
                with fail_after(5):
                    while not (cwd / "many").exists():
                        await anyio.sleep(0.001)
                scope.cancel()

            tasks.start_soon(interrupt_when_writing)
            await apply(patch(*lines), cwd, host=host)
    assert scope.cancelled_caught
    (outcome,) = host.abandoned
    assert end_of(outcome).success
    assert diff_of(outcome) is not None
    assert sorted(int(path.name) for path in (cwd / "many").iterdir()) == list(range(300))


# The call's two forms


def function_call(arguments: Any) -> Item:
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    call = {"type": "function_call", "name": "apply_patch", "call_id": CALL, "arguments": text}
    return Item.from_value(call)


async def test_the_two_forms_of_a_call_do_the_same(cwd: Path) -> None:
    tool, host = a_tool(), a_host(cwd)
    text = patch("*** Add File: one", "+1")
    await tool.call_function(function_call({"input": text}), host)
    text = patch("*** Add File: two", "+2")
    custom = {"type": "custom_tool_call", "name": "apply_patch", "call_id": CALL, "input": text}
    await tool.call_custom(Item.from_value(custom), host)
    assert (cwd / "one").read_text() + (cwd / "two").read_text() == "1\n2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{", "failed to parse function arguments: "),
        ({}, "failed to parse function arguments: input: expected string"),
        ({"input": 1}, "failed to parse function arguments: input: expected string"),
        ([], "failed to parse function arguments: arguments: expected object"),
    ],
)
async def test_arguments_that_do_not_fit_are_said(cwd: Path, arguments: Any, message: str) -> None:
    with pytest.raises(BadArguments) as raised:
        await a_tool().call_function(function_call(arguments), a_host(cwd))
    assert raised.value.message.startswith(message)


async def test_a_custom_call_without_a_text_is_said(cwd: Path) -> None:
    call = Item.from_value({"type": "custom_tool_call", "name": "apply_patch", "call_id": CALL})
    with pytest.raises(BadArguments):
        await a_tool().call_custom(call, a_host(cwd))


async def test_the_example_in_the_definition_works(cwd: Path) -> None:
    description = APPLY_PATCH["description"]
    start, end = description.index("*** Begin Patch"), description.index("*** End Patch")
    example = description[start : end + len("*** End Patch")]
    (cwd / "src").mkdir()
    (cwd / "src/app.py").write_text(EXAMPLE)
    (cwd / "docs").mkdir()
    (cwd / "docs/old.txt").write_text("old\n")
    outcome = await apply(example, cwd)
    assert told(outcome)["output"] == (
        "Success. Updated the following files:\nA docs/new.txt\nM src/main.py\nD docs/old.txt\n"
    )
    assert (cwd / "src/main.py").read_text() == EXAMPLE.replace("old_line", "new_line")


async def test_what_does_not_fit_is_an_error_without_a_question(cwd: Path) -> None:
    host = a_host(cwd, approval="untrusted")
    with pytest.raises(ToolError):
        await apply(patch("*** Update File: a.txt", "@@", "-zzz"), cwd, host=host)
    assert (host.asked, host.announced) == ([], [])
