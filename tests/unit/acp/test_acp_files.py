"""Files that the client reads and writes for a session, alone and under our tools."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from acp_parts import Client
from anyio import fail_after
from attrs import define, field

from codex_rpc.acp import files
from codex_rpc.acp.files import ClientFiles
from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.events import (
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    EventMsg,
    PatchApplyBegin,
)
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import ApprovalPolicy, Decision, SandboxPolicy
from codex_rpc.protocol.tools import Review, ToolOutcome, TurnContext
from codex_rpc.protocol.workspace import DocumentChange
from codex_rpc.rpc.outgoing import PeerRefused
from codex_rpc.tools.box import ToolBox

UPDATE_A = ("*** Update File: a.txt", "@@", "-one", "+ONE")
UPDATE_B = ("*** Update File: b.txt", "@@", "-bee", "+BEE")


async def nothing() -> None:
    """The user does nothing meanwhile."""


@define
class Editor:
    """A client with buffers over the files below `root`."""

    root: Path
    buffers: dict[str, str] = field(factory=dict)
    """What is open and not saved, or not read anew."""
    refused: set[str] = field(factory=set)
    """Names of files that it does not write."""
    hidden: set[str] = field(factory=set)
    """Names of files that it does not read."""
    keeps: bool = False
    """Says that it has written, and has not."""
    makes: Callable[[str], str] = lambda text: text
    """What it makes of a text that it writes."""
    before_write: Callable[[], Awaitable[None]] = nothing
    asked: int = 0
    written: list[tuple[str, str]] = field(factory=list)

    async def answer(self, method: str, params: Any) -> Any:
        assert params["sessionId"] == "s"
        path = Path(params["path"])
        assert path.is_absolute()
        self.asked += 1
        if path.name in self.hidden or not path.is_relative_to(self.root):
            raise PeerRefused(method, {"code": -32603, "message": "not in the project"})
        if method == "fs/read_text_file":
            return {"content": self._read(method, path)}
        assert method == "fs/write_text_file"
        await self.before_write()
        if path.name in self.refused:
            raise PeerRefused(method, {"code": -32603, "message": "the user said no"})
        self.written.append((path.name, params["content"]))
        if not self.keeps:
            text = self.makes(params["content"])
            self.buffers.pop(str(path), None)
            path.write_bytes(text.encode())
        return {}

    def _read(self, method: str, path: Path) -> str:
        if str(path) in self.buffers:
            return self.buffers[str(path)]
        if not path.exists():
            raise PeerRefused(method, {"code": -32002, "message": "no such file"})
        return path.read_bytes().decode().replace("\r\n", "\n")


@define
class Host:
    """A turn that says yes, after the user has done something."""

    context: TurnContext
    decision: Decision = "approved"
    meanwhile: Callable[[], None] = lambda: None
    asked: list[ApprovalRequest] = field(factory=list)
    announced: list[EventMsg] = field(factory=list)
    abandoned: list[ToolOutcome] = field(factory=list)
    turn_id: SubmissionId = field(default=SubmissionId("1"))

    async def announce(self, msg: EventMsg) -> None:
        self.announced.append(msg)

    async def ask(self, request: ApprovalRequest, *, scope: Hashable | None = None) -> Decision:
        self.asked.append(request)
        self.meanwhile()
        return self.decision

    async def review(self, request: ApplyPatchApprovalRequest) -> Review:
        return Review(await self.ask(request))

    def abandon(self, outcome: ToolOutcome) -> None:
        self.abandoned.append(outcome)


@define
class Desk:
    """A session's tools on a client's files."""

    root: Path
    editor: Editor
    files: ClientFiles
    tools: ToolBox

    def host(self, approval: ApprovalPolicy = "on-request") -> Host:
        policy = SandboxPolicy("workspace-write")
        return Host(
            TurnContext(cwd=self.root, approval_policy=approval, sandbox_policy=policy, model="m")
        )

    async def patch(self, *lines: str, host: Host | None = None) -> str:
        """What the model is told."""
        text = "\n".join(("*** Begin Patch", *lines, "*** End Patch"))
        arguments = orjson.dumps({"input": text}).decode()
        item = {"type": "function_call", "name": "apply_patch", "call_id": "c"}
        call = Item.from_value({**item, "arguments": arguments})
        with fail_after(10):
            outcome = await self.tools.call(call, host or self.host())
        assert isinstance(outcome.output, str)
        if not outcome.output.startswith("{"):
            return outcome.output
        told = orjson.loads(outcome.output)["output"]
        assert isinstance(told, str)
        return told

    def open(self, name: str, text: str) -> None:
        """Have the user open a file and type `text`."""
        self.editor.buffers[str(self.root / name)] = text

    def age(self, name: str) -> None:
        """Let it be a while since a file was changed."""
        os.utime(self.root / name, (1, 1))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    root = tmp_path.resolve() / "project"
    root.mkdir()
    editor = Editor(root)
    (root / "a.txt").write_text("one\n")
    (root / "b.txt").write_text("bee\n")
    config = Config(
        codex_home=tmp_path / "home",
        cwd=root,
        model="m",
        provider=Provider(id="fake", name="Fake"),
    )
    client_files = ClientFiles(Client(editor.answer).request, "s")
    tools = ToolBox(config, environ=dict(os.environ), workspace=client_files)
    desk = Desk(root, editor, client_files, tools)
    desk.age("a.txt")
    desk.age("b.txt")
    return desk


# Reading


async def test_what_the_user_points_at_is_read_as_it_is_in_the_editor(desk: Desk) -> None:
    desk.open("a.txt", "typed\n")
    assert await desk.tools.read_text(desk.root / "a.txt", None, desk.root) == "typed\n"
    assert await desk.tools.read_text(desk.root / "b.txt", None, desk.root) == "bee\n"


async def test_what_the_client_does_not_give_is_read_from_disk(desk: Desk) -> None:
    desk.editor.hidden = {"a.txt"}
    assert await desk.tools.read_text(desk.root / "a.txt", None, desk.root) == "one\n"


async def test_a_file_that_may_not_be_read_is_not_asked_for(desk: Desk, tmp_path: Path) -> None:
    auth = tmp_path / "home" / "auth.json"
    auth.parent.mkdir()
    auth.write_text("secret")
    with pytest.raises(Exception, match="denies"):
        await desk.tools.read_text(auth, None, desk.root)
    assert desk.editor.asked == 0


async def test_a_client_that_does_not_answer_is_not_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_method: str, _params: Any) -> Any:
        await anyio.sleep_forever()

    monkeypatch.setattr(files, "READ_S", 0.01)
    client = Client(never)
    client_files = ClientFiles(client.request, "s")
    with fail_after(5):
        await client_files.look([desk.root / "a.txt"])
    assert client_files.document(desk.root / "a.txt") is None
    assert client.given_up == ["fs/read_text_file"]


@pytest.mark.parametrize("answer", [None, {}, {"content": None}, {"content": 1}, "text", []])
async def test_an_answer_that_is_no_text_is_none(desk: Desk, answer: Any) -> None:
    async def garbage(_method: str, _params: Any) -> Any:
        return answer

    client_files = ClientFiles(Client(garbage).request, "s")
    await client_files.look([desk.root / "a.txt"])
    assert client_files.document(desk.root / "a.txt") is None


async def test_only_what_is_not_saved_is_known_in_the_next_call(desk: Desk) -> None:
    a, b = desk.root / "a.txt", desk.root / "b.txt"
    desk.open("a.txt", "typed\n")
    await desk.files.look([a, b])
    assert desk.files.unsaved() == [a]
    await desk.files.ready()
    assert desk.files.document(b) is None
    assert desk.files.document(a) is not None
    # The user saves.
    desk.editor.buffers.clear()
    await desk.files.ready()
    assert desk.files.has_documents
    assert desk.files.unsaved() == []
    await desk.files.ready()
    assert not desk.files.has_documents


async def test_line_ends_that_a_client_does_not_show_make_no_difference(desk: Desk) -> None:
    a = desk.root / "a.txt"
    a.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    desk.open("a.txt", "one\ntwo\n")
    await desk.files.look([a])
    assert desk.files.unsaved() == []


async def test_a_version_grows_when_the_text_changes_and_only_then(desk: Desk) -> None:
    versions = []
    for text in ("x\n", "x\n", "y\n"):
        desk.open("a.txt", text)
        await desk.files.look([desk.root / "a.txt"])
        document = desk.files.document(desk.root / "a.txt")
        assert document is not None
        versions.append(document.version)
    assert versions == [1, 1, 2]


async def test_a_file_is_found_under_another_name(desk: Desk) -> None:
    (desk.root / "link").symlink_to(desk.root)
    desk.open("a.txt", "typed\n")
    await desk.files.look([desk.root / "a.txt"])
    assert desk.files.document(desk.root / "link" / "a.txt") is not None


async def test_a_client_that_has_not_noticed_a_change_on_disk_does_not_hide_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SETTLE_S", 0.1)
    a = desk.root / "a.txt"
    desk.open("a.txt", "one\n")
    await desk.files.look([a])
    # A command changes the file; the buffer stays what it was.
    a.write_text("one\nby a command\n")
    await desk.files.look([a])
    assert desk.files.document(a) is None
    # But what the user types on top of it is the user's.
    desk.open("a.txt", "one\ntyped\n")
    desk.age("a.txt")
    await desk.files.look([a])
    document = desk.files.document(a)
    assert document is not None
    assert document.text == "one\ntyped\n"


async def test_a_client_has_a_moment_to_notice_a_change_on_disk(desk: Desk) -> None:
    a = desk.root / "a.txt"
    desk.open("a.txt", "one\n")
    a.write_text("one\nby a command\n")
    answer = desk.editor.answer

    async def noticing(method: str, params: Any) -> Any:
        result = await answer(method, params)
        desk.editor.buffers.clear()
        return result

    client_files = ClientFiles(Client(noticing).request, "s")
    await client_files.look([a])
    document = client_files.document(a)
    assert document is not None
    assert document.text == "one\nby a command\n"


async def test_an_empty_answer_about_no_file_is_no_document(desk: Desk) -> None:
    desk.open("new.txt", "")
    await desk.files.look([desk.root / "new.txt"])
    assert desk.files.document(desk.root / "new.txt") is None
    desk.open("new.txt", "not saved yet")
    await desk.files.look([desk.root / "new.txt"])
    assert desk.files.document(desk.root / "new.txt") is not None


# Writing


async def test_a_patch_is_worked_out_on_what_the_user_sees_and_written_by_the_client(
    desk: Desk,
) -> None:
    desk.open("a.txt", "typed\none\n")
    host = desk.host()
    assert await desk.patch(*UPDATE_A, host=host) == (
        "Success. Updated the following files:\nM a.txt\n"
    )
    assert desk.editor.written == [("a.txt", "typed\nONE\n")]
    assert (desk.root / "a.txt").read_text() == "typed\nONE\n"
    (begin,) = [msg for msg in host.announced if isinstance(msg, PatchApplyBegin)]
    assert begin.auto_approved


async def test_what_the_client_does_not_read_is_written_on_disk(desk: Desk) -> None:
    desk.editor.hidden = {"a.txt"}
    assert "Success" in await desk.patch(*UPDATE_A)
    assert desk.editor.written == []
    assert (desk.root / "a.txt").read_text() == "ONE\n"


async def test_new_and_deleted_files_are_made_and_removed_on_disk(desk: Desk) -> None:
    told = await desk.patch("*** Add File: new.txt", "+new", "*** Delete File: b.txt", *UPDATE_A)
    assert "Success" in told
    assert desk.editor.written == [("a.txt", "ONE\n")]
    assert (desk.root / "new.txt").read_text() == "new\n"
    assert not (desk.root / "b.txt").exists()


async def test_what_the_client_refuses_is_told_and_nothing_is_changed(desk: Desk) -> None:
    desk.editor.refused = {"a.txt"}
    told = await desk.patch(*UPDATE_A, "*** Add File: new.txt", "+new")
    assert "the user said no" in told
    assert "Nothing was changed." in told
    assert not (desk.root / "new.txt").exists()


async def test_what_is_written_is_taken_back_when_the_rest_is_refused(desk: Desk) -> None:
    desk.editor.refused = {"b.txt"}
    told = await desk.patch(*UPDATE_A, *UPDATE_B)
    assert "Nothing was changed." in told
    assert desk.editor.written == [("a.txt", "ONE\n"), ("a.txt", "one\n")]
    assert (desk.root / "a.txt").read_text() == "one\n"


async def test_what_the_user_has_typed_on_is_not_taken_back_and_is_named(desk: Desk) -> None:
    desk.editor.refused = {"b.txt"}
    writes = 0

    async def typing() -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            (desk.root / "a.txt").write_text("ONE\ntyped\n")

    desk.editor.before_write = typing
    told = await desk.patch(*UPDATE_A, *UPDATE_B)
    assert "Nothing was changed." not in told
    assert "a.txt keeps what the patch changed in the editor" in told
    assert (desk.root / "a.txt").read_text() == "ONE\ntyped\n"


async def test_what_the_editor_makes_of_a_text_is_told_to_the_model(desk: Desk) -> None:
    desk.editor.makes = lambda text: text.replace("ONE", "One")
    told = await desk.patch(*UPDATE_A)
    assert told.startswith("Success. Updated the following files:\nM a.txt\nNote: ")
    assert "-ONE\n+One" in told


async def test_a_client_that_says_it_has_written_and_has_not_is_not_believed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SETTLE_S", 0.1)
    desk.editor.keeps = True
    told = await desk.patch(*UPDATE_A)
    assert "the editor has kept a.txt as it was" in told
    assert "Nothing was changed." in told


async def test_what_the_user_types_while_they_are_asked_is_asked_about_again(desk: Desk) -> None:
    host = desk.host("untrusted")
    desk.open("a.txt", "one\n")
    times = iter(range(10))

    def meanwhile() -> None:
        if next(times) == 0:
            desk.open("a.txt", "typed\none\n")

    host.meanwhile = meanwhile
    assert "Success" in await desk.patch(*UPDATE_A, host=host)
    assert len(host.asked) == 2
    assert desk.editor.written == [("a.txt", "typed\nONE\n")]


async def test_a_change_in_the_last_moment_is_not_overwritten(desk: Desk) -> None:
    a = desk.root / "a.txt"
    desk.open("a.txt", "one\n")
    await desk.files.look([a])
    document = desk.files.document(a)
    assert document is not None
    desk.open("a.txt", "typed\none\n")
    change = DocumentChange(path=a, version=document.version, before="one\n", after="ONE\n")
    result = await desk.files.edit([change], label="l")
    assert result.outcome == "changed"
    assert desk.editor.written == []


async def test_other_edits_than_of_texts_are_refused(desk: Desk) -> None:
    a = desk.root / "a.txt"
    await desk.files.look([a])
    for change in (
        DocumentChange(path=a, version=1, before="one\n", after=None),
        DocumentChange(path=a, version=1, before=None, after="x"),
        DocumentChange(path=a, version=1, before="one\n", after="x", moved_to=a.with_name("z")),
    ):
        assert (await desk.files.edit([change], label="l")).outcome == "refused"
    assert desk.editor.written == []


async def test_a_patch_after_a_command_is_worked_out_on_what_the_command_wrote(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SETTLE_S", 0.1)
    desk.open("a.txt", "one\n")
    await desk.patch("*** Update File: a.txt", "@@", "-one", "+two")
    # The editor keeps its buffer although a command writes the file.
    desk.open("a.txt", "two\n")
    (desk.root / "a.txt").write_text("two\nby a command\n")
    told = await desk.patch("*** Update File: a.txt", "@@", "-two", "+three")
    assert "Success" in told
    assert (desk.root / "a.txt").read_text() == "three\nby a command\n"


async def test_a_large_difference_is_not_told_in_full(desk: Desk) -> None:
    desk.editor.makes = lambda text: text + "x\n" * 10_000
    assert len(await desk.patch(*UPDATE_A)) < 5_000


async def test_what_the_user_types_while_a_change_on_disk_is_awaited_is_seen(desk: Desk) -> None:
    a = desk.root / "a.txt"
    desk.open("a.txt", "one\n")
    a.write_text("by a command\n")
    answer = desk.editor.answer

    async def typing(method: str, params: Any) -> Any:
        result = await answer(method, params)
        desk.open("a.txt", "one\ntyped\n")
        return result

    client_files = ClientFiles(Client(typing).request, "s")
    await client_files.look([a])
    document = client_files.document(a)
    assert document is not None
    assert document.text == "one\ntyped\n"


@pytest.mark.parametrize("keeps", [False, True])
async def test_what_cannot_be_read_again_is_written_if_the_disk_shows_it(
    keeps: bool, desk: Desk
) -> None:
    desk.editor.keeps = keeps

    async def hide() -> None:
        desk.editor.hidden = {"a.txt"}

    answer = desk.editor.answer

    async def hiding(method: str, params: Any) -> Any:
        result = await answer(method, params)
        if method == "fs/write_text_file":
            await hide()
        return result

    client_files = ClientFiles(Client(hiding).request, "s")
    a = desk.root / "a.txt"
    await client_files.look([a])
    change = DocumentChange(path=a, version=1, before="one\n", after="ONE\n")
    result = await client_files.edit([change], label="l")
    assert result.outcome == ("refused" if keeps else "applied")
