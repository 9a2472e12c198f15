"""Edits that the editor makes: minimal, versioned, and what is said about them is true."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after, wait_all_tasks_blocked
from hypothesis import given, settings
from hypothesis import strategies as st
from rpc_support import Client, FakeManager, connected, request
from support.lsp_client import Editor

from codex_rpc.protocol.workspace import DocumentChange, EditResult, Workspace

Answer = Callable[[dict[str, Any]], tuple[Any, list[tuple[str, Any]], list[tuple[str, Any]]]]
"""From the parameters of a request: the answer, what is told before it, and what after it."""


class Peer:
    """An editor on a connection, which answers as the test says."""

    def __init__(self, client: Client, manager: FakeManager, editor: Editor) -> None:
        self.client = client
        self.editor = editor
        self._manager = manager
        self.asked: list[dict[str, Any]] = []
        self.heard = anyio.Event()
        """Set and replaced with each message."""
        self.answers: dict[str, Answer | None] = {"workspace/applyEdit": self.apply}
        """None: never."""
        self._round = 100
        self.again: Any = None
        """The id of a request that is to be answered once more."""

    @property
    def workspace(self) -> Workspace:
        workspace: Workspace = self._manager.workspace
        return workspace

    def apply(
        self, params: dict[str, Any]
    ) -> tuple[Any, list[tuple[str, Any]], list[tuple[str, Any]]]:
        answer, told = self.editor.apply(params)
        return answer, told, []

    async def tell(self, method: str, params: Any) -> None:
        await self.client.send({"method": method, "params": params})

    async def round_trip(self) -> None:
        """Wait until everything that was told is known."""
        self._round += 1
        await self.client.send(request(self._round, "session/list"))
        with fail_after(5):
            while not any(m.get("id") == self._round for m in self.asked):
                await self.heard.wait()
            await self.workspace.ready()

    async def open(self, path: Path, text: str) -> str:
        await self.tell("textDocument/didOpen", self.editor.open(path.as_uri(), text))
        await self.round_trip()
        return path.as_uri()

    async def type(self, path: Path, text: str, at: int = 0) -> None:
        await self.tell("textDocument/didChange", self.editor.type(path.as_uri(), at, at, text))
        await self.round_trip()

    async def serve(self) -> None:
        """Answer what is asked, until the server ends."""
        while (message := await self.client.next()) is not None:
            self.asked.append(message)
            answer = self.answers.get(message.get("method", ""))
            if answer is not None and "id" in message:
                result, before, after = answer(message["params"])
                for method, params in before:
                    await self.tell(method, params)
                body = result if "error" in (result or {}) else {"result": result}
                await self.client.send({"id": message["id"], **body})
                if after:
                    # The server has dealt with the answer when it deals with what follows.
                    await self.client.call("session/list")
                    await wait_all_tasks_blocked()
                for method, params in after:
                    await self.tell(method, params)
            self.heard.set()
            self.heard = anyio.Event()

    async def wait_for(self, method: str) -> dict[str, Any]:
        with fail_after(5):
            while True:
                for message in self.asked:
                    if message.get("method") == method:
                        return message
                await self.heard.wait()

    def change(self, path: Path, after: str | None, **members: Any) -> DocumentChange:
        """A change of what is open now."""
        document = self.workspace.document(path)
        before = document.text if document is not None else None
        version = document.version if document is not None else None
        given = {"before": before, "version": version, "after": after, **members}
        return DocumentChange(path=path, **given)

    async def edit(self, *changes: DocumentChange) -> EditResult:
        with fail_after(8):
            return await self.workspace.edit(changes, label="A patch")

    def text(self, path: Path) -> str | None:
        document = self.workspace.document(path)
        return document.text if document is not None else None


@asynccontextmanager
async def an_editor(
    encoding: str = "utf-16", name: str = "an editor", **workspace_edit: Any
) -> AsyncIterator[Peer]:
    manager = FakeManager()
    capabilities = {
        "general": {"positionEncodings": [encoding]},
        "workspace": {
            "applyEdit": True,
            "workspaceEdit": {
                "documentChanges": True,
                "resourceOperations": ["create", "rename", "delete"],
                **workspace_edit,
            },
        },
        "window": {"showDocument": {"support": True}},
    }
    options = {"codex": {"saveDocuments": True, "showDocument": True}}
    async with connected(manager) as client, anyio.create_task_group() as tg:
        params = {"capabilities": capabilities, "initializationOptions": options}
        await client.call("initialize", {"clientInfo": {"name": name}, **params})
        peer = Peer(client, manager, Editor(encoding))
        tg.start_soon(peer.serve)
        yield peer
        client.hang_up()
        tg.cancel_scope.cancel()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_an_open_document_is_changed_in_the_editor(encoding: str, tmp_path: Path) -> None:
    async with an_editor(encoding) as peer:
        path = tmp_path / "a.txt"
        uri = await peer.open(path, "one\n😀 two three\nfour\n")
        result = await peer.edit(peer.change(path, "one\n😀 2 three\nfour\nfive\n"))
        assert result == EditResult("applied")
        assert peer.text(path) == "one\n😀 2 three\nfour\nfive\n"
        assert peer.editor.buffers[uri].text == "one\n😀 2 three\nfour\nfive\n"
    [edit] = peer.editor.edits
    assert edit["label"] == "A patch"
    [change] = edit["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 1}
    assert [e["newText"] for e in change["edits"]] == ["2", "\nfive"]
    assert not path.exists()


LINES = st.lists(st.sampled_from(["a\n", "b\r\n", "é\n", "😀 c\n", "\n", "\u2028\n"]), max_size=8)


@settings(deadline=None, max_examples=15)
@given(st.lists(LINES.map("".join), min_size=2, max_size=5), st.sampled_from(["utf-8", "utf-16"]))
async def test_any_row_of_edits_leaves_the_editor_and_us_with_the_same_text(
    texts: list[str], encoding: str
) -> None:
    path = Path("/folder/a.txt")
    async with an_editor(encoding) as peer:
        uri = await peer.open(path, texts[0])
        for text in texts[1:]:
            assert await peer.edit(peer.change(path, text)) == EditResult("applied")
            assert peer.text(path) == peer.editor.buffers[uri].text == text


async def test_each_document_has_its_own_edit_where_only_the_first_version_counts(
    tmp_path: Path,
) -> None:
    """Neovim does not look at the versions of the other documents of an edit."""
    async with an_editor() as peer:
        a, b = tmp_path / "a", tmp_path / "b"
        await peer.open(a, "a\n")
        await peer.open(b, "b\n")
        unchanged = peer.change(b, "b\n")
        assert await peer.edit(peer.change(a, "A\n"), unchanged) == EditResult("applied")
        assert await peer.edit(peer.change(a, "1\n"), peer.change(b, "2\n")) == EditResult(
            "applied"
        )
        assert (peer.text(a), peer.text(b)) == ("1\n", "2\n")
    assert [len(e["edit"]["documentChanges"]) for e in peer.editor.edits] == [1, 1, 1]


async def test_what_changes_nothing_is_not_sent(tmp_path: Path) -> None:
    async with an_editor() as peer:
        await peer.open(tmp_path / "a", "a\n")
        assert await peer.edit(peer.change(tmp_path / "a", "a\n")) == EditResult("applied")
    assert peer.editor.edits == []


async def test_when_it_is_said_to_be_applied_the_new_text_is_known(tmp_path: Path) -> None:
    """Also if the editor tells of the change only after its answer."""
    async with an_editor() as peer:

        def answer_first(params: dict[str, Any]) -> Any:
            answer, told = peer.editor.apply(params)
            return answer, [], told

        peer.answers["workspace/applyEdit"] = answer_first
        await peer.open(tmp_path / "a", "a\n")
        assert await peer.edit(peer.change(tmp_path / "a", "b\n")) == EditResult("applied")
        assert peer.text(tmp_path / "a") == "b\n"


async def test_a_document_that_has_changed_meanwhile_is_not_edited(tmp_path: Path) -> None:
    async with an_editor() as peer:
        a, b = tmp_path / "a", tmp_path / "b"
        await peer.open(a, "a\n")
        change = peer.change(a, "A\n")
        await peer.type(a, "typed ")
        closed = peer.change(a, "A\n")
        opened = DocumentChange(path=b, version=None, before="", after="B\n")
        await peer.open(b, "b\n")
        assert (await peer.edit(change)).outcome == "changed"
        assert (await peer.edit(opened)).outcome == "changed"
        params = {"textDocument": {"uri": a.as_uri()}}
        await peer.tell("textDocument/didClose", params)
        await peer.round_trip()
        assert (await peer.edit(closed)).outcome == "changed"
    assert peer.editor.edits == []


async def test_a_document_that_changes_while_the_edit_is_on_its_way_is_told_of(
    tmp_path: Path,
) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"

        def typed_before(params: dict[str, Any]) -> Any:
            told = peer.editor.type(path.as_uri(), 0, 0, "typed ")
            answer, _ = peer.editor.apply(params)
            return answer, [("textDocument/didChange", told)], []

        peer.answers["workspace/applyEdit"] = typed_before
        await peer.open(path, "a\n")
        result = await peer.edit(peer.change(path, "b\n"))
        assert result == EditResult("changed", "a changed in the editor meanwhile")
        assert peer.text(path) == "typed a\n"


async def test_an_editor_that_claims_what_it_has_not_done_is_not_believed(tmp_path: Path) -> None:
    """Neovim leaves out edits for old versions, and says that it has applied them."""
    async with an_editor() as peer:
        path = tmp_path / "a"
        typing = "one\ntwo\nthree\nfour\n"

        def left_out(params: dict[str, Any]) -> Any:
            told = peer.editor.type(path.as_uri(), 0, 0, "typed ")
            return {"applied": True}, [("textDocument/didChange", told)], []

        peer.answers["workspace/applyEdit"] = left_out
        await peer.open(path, typing)
        result = await peer.edit(peer.change(path, typing.replace("three\nfour", "3\n4")))
        assert result.outcome == "changed"
        peer.answers["workspace/applyEdit"] = lambda _params: ({"applied": True}, [], [])
        assert (await peer.edit(peer.change(path, "new\n"))).outcome == "refused"


@pytest.mark.parametrize("together", [True, False])
async def test_typing_right_after_the_edit_does_not_hide_it(together: bool, tmp_path: Path) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"

        def then_typed(params: dict[str, Any]) -> Any:
            answer, [(method, changed)] = peer.editor.apply(params)
            typed = peer.editor.type(path.as_uri(), 0, 0, "typed ")
            if not together:
                return answer, [(method, changed), (method, typed)], []
            typed["contentChanges"] = changed["contentChanges"] + typed["contentChanges"]
            return answer, [(method, typed)], []

        peer.answers["workspace/applyEdit"] = then_typed
        await peer.open(path, "one\ntwo\nthree\n")
        result = await peer.edit(peer.change(path, "one\n2\n2.5\nthree\n"))
        assert result == EditResult("applied")
        assert peer.text(path) == "typed one\n2\n2.5\nthree\n"


NUMBERED = "".join(f"{number}\n" for number in range(1, 9))


def whatever_the_version(
    peer: Peer, *before: tuple[int, str], after: tuple[int, str] = (0, "")
) -> Answer:
    """An answer that types, applies the edit to what there is then, and types again."""

    def answer(params: dict[str, Any]) -> Any:
        peer.answers["workspace/applyEdit"] = peer.apply
        [operation] = params["edit"]["documentChanges"]
        uri = operation["textDocument"]["uri"]
        told = [
            ("textDocument/didChange", peer.editor.type(uri, at, at, text)) for at, text in before
        ]
        operation["textDocument"]["version"] = peer.editor.buffers[uri].version
        result, changed = peer.editor.apply(params)
        told += changed
        at, text = after
        if text:
            told.append(("textDocument/didChange", peer.editor.type(uri, at, at, text)))
        return result, told, []

    return answer


def as_one(told: list[tuple[str, Any]], *, whole: str | None = None) -> list[tuple[str, Any]]:
    """Several changes of one document as one message, perhaps of the text as a whole."""
    changes = [change for _, params in told for change in params["contentChanges"]]
    document = told[-1][1]["textDocument"]
    if whole is not None:
        changes = [{"text": whole}]
    return [("textDocument/didChange", {"textDocument": document, "contentChanges": changes})]


@pytest.mark.parametrize("together", [True, False])
async def test_an_edit_that_lands_in_other_lines_is_taken_back(
    together: bool, tmp_path: Path
) -> None:
    """Some editors look at no version, and tell of what was typed before only afterwards."""
    async with an_editor() as peer:
        path = tmp_path / "a"
        land = whatever_the_version(peer, (0, "typed\n"))

        def answer(params: dict[str, Any]) -> Any:
            result, told, _ = land(params)
            landed = peer.editor.buffers[path.as_uri()].text
            assert landed == "typed\nB\n2\n3\n4\n5\nG\n7\n8\n"
            return result, as_one(told) if together else told, []

        peer.answers["workspace/applyEdit"] = answer
        await peer.open(path, NUMBERED)
        # With only one of the two done, doing both comes to the same.
        wanted = NUMBERED.replace("2", "B").replace("7", "G")
        result = await peer.edit(peer.change(path, wanted))
        assert result == EditResult("changed", "a changed in the editor meanwhile")
        assert peer.text(path) == "typed\n" + NUMBERED
        assert peer.editor.buffers[path.as_uri()].text == "typed\n" + NUMBERED


async def test_an_edit_above_what_was_typed_meanwhile_has_landed_where_it_should(
    tmp_path: Path,
) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"
        land = whatever_the_version(peer, (len(NUMBERED), "typed\n"))
        peer.answers["workspace/applyEdit"] = land
        await peer.open(path, NUMBERED)
        wanted = NUMBERED.replace("2", "two").replace("7", "seven")
        assert await peer.edit(peer.change(path, wanted)) == EditResult("applied")
        assert peer.text(path) == wanted + "typed\n"


async def test_what_is_typed_after_an_edit_that_went_astray_stays(tmp_path: Path) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"
        later = len("typed\n" + NUMBERED) + len("wo")
        land = whatever_the_version(peer, (0, "typed\n"), after=(later, "more\n"))
        peer.answers["workspace/applyEdit"] = land
        await peer.open(path, NUMBERED)
        result = await peer.edit(peer.change(path, NUMBERED.replace("2", "two")))
        assert result == EditResult("changed", "a changed in the editor meanwhile")
        assert peer.text(path) == f"typed\n{NUMBERED}more\n"


async def test_it_is_said_if_an_edit_that_went_astray_cannot_be_taken_back(tmp_path: Path) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"
        at = len("typed\n")
        peer.answers["workspace/applyEdit"] = whatever_the_version(
            peer, (0, "typed\n"), after=(at, "!")
        )
        await peer.open(path, NUMBERED)
        result = await peer.edit(peer.change(path, NUMBERED.replace("2", "two")))
        assert result.outcome == "refused"
        assert "still there in a, perhaps in other lines" in result.reason
        assert peer.text(path) == "typed\n!two\n2\n3\n4\n5\n6\n7\n8\n"
    assert len(peer.editor.edits) == 1


async def test_what_cannot_be_told_apart_is_not_said_to_be_applied(tmp_path: Path) -> None:
    """An editor that tells of its whole text at once may have put the edit anywhere."""
    async with an_editor() as peer:
        path = tmp_path / "a"
        land = whatever_the_version(peer, (0, "typed\n"))

        def answer(params: dict[str, Any]) -> Any:
            result, told, _ = land(params)
            return result, as_one(told, whole=peer.editor.buffers[path.as_uri()].text), []

        peer.answers["workspace/applyEdit"] = answer
        await peer.open(path, "a\nb\nc\n")
        inserted = "".join(f"new {number}\n" for number in range(20))
        result = await peer.edit(peer.change(path, f"a\n{inserted}b\nc\n"))
        assert result.outcome == "refused"
        assert "still there in a, perhaps in other lines" in result.reason


async def test_an_edit_that_is_told_together_with_typing_elsewhere_is_recognised(
    tmp_path: Path,
) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"
        land = whatever_the_version(peer, (len(NUMBERED), "typed\n"))

        def answer(params: dict[str, Any]) -> Any:
            result, told, _ = land(params)
            return result, as_one(told, whole=peer.editor.buffers[path.as_uri()].text), []

        peer.answers["workspace/applyEdit"] = answer
        await peer.open(path, NUMBERED)
        change = peer.change(path, NUMBERED.replace("2", "two"))
        assert await peer.edit(change) == EditResult("applied")


class TestTakingBack:
    """Two documents, of which the second is not edited as wanted."""

    @staticmethod
    async def edit(peer: Peer, folder: Path, *, types: list[str]) -> EditResult:
        """While the first is taken back its user types, so often."""
        a, b = folder / "a", folder / "b"

        def answer(params: dict[str, Any]) -> Any:
            uri = params["edit"]["documentChanges"][0]["textDocument"]["uri"]
            if uri == b.as_uri():
                return {"applied": False, "failureReason": "no"}, [], []
            if params["label"] == "A patch" or not types:
                return peer.apply(params)
            # As Neovim does: the edit is left out, and said to be applied.
            typed = peer.editor.type(uri, 0, 0, types.pop(0))
            return {"applied": True}, [("textDocument/didChange", typed)], []

        peer.answers["workspace/applyEdit"] = answer
        await peer.open(a, NUMBERED)
        await peer.open(b, "b\n")
        with fail_after(15):
            changes = peer.change(a, NUMBERED.replace("5", "five")), peer.change(b, "B\n")
            return await peer.workspace.edit(changes, label="A patch")

    async def test_is_tried_again_while_the_user_types(self, tmp_path: Path) -> None:
        async with an_editor() as peer:
            result = await self.edit(peer, tmp_path, types=["typed\n"])
            assert result == EditResult("refused", "no")
            assert peer.text(tmp_path / "a") == f"typed\n{NUMBERED}"

    async def test_is_not_said_to_be_done_if_it_is_not(self, tmp_path: Path) -> None:
        async with an_editor() as peer:
            result = await self.edit(peer, tmp_path, types=["x\n", "y\n", "z\n", "!\n"])
            assert result == EditResult("refused", "no; what it has changed is still there in a")
            assert "five" in (peer.text(tmp_path / "a") or "")


async def test_a_document_that_changes_while_another_is_edited_is_not_edited(
    tmp_path: Path,
) -> None:
    async with an_editor() as peer:
        a, b = tmp_path / "a", tmp_path / "b"

        def answer(params: dict[str, Any]) -> Any:
            peer.answers["workspace/applyEdit"] = peer.apply
            result, told = peer.editor.apply(params)
            typed = peer.editor.type(b.as_uri(), 0, 0, "typed ")
            return result, [*told, ("textDocument/didChange", typed)], []

        peer.answers["workspace/applyEdit"] = answer
        await peer.open(a, "a\n")
        await peer.open(b, "b\n")
        result = await peer.edit(peer.change(a, "A\n"), peer.change(b, "B\n"))
        assert result == EditResult("changed", "b changed in the editor meanwhile")
        assert (peer.text(a), peer.text(b)) == ("a\n", "typed b\n")
    assert [edit["label"] for edit in peer.editor.edits] == ["A patch", "Take back: A patch"]


@pytest.mark.parametrize(
    "change",
    [
        {"range": {"start": {"line": -1, "character": 0}}, "text": "x"},
        {
            "range": {
                "start": {"line": 9, "character": 0},
                "end": {"line": 9, "character": 0},
            },
            "text": "x",
        },
        None,
    ],
)
async def test_what_is_not_known_any_more_is_not_edited(change: Any, tmp_path: Path) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"
        uri = await peer.open(path, "a\n")
        document = {"uri": uri, "version": 2}
        wrong = {"textDocument": document, "contentChanges": [change]}
        await peer.tell("textDocument/didChange", wrong)
        await peer.round_trip()
        result = await peer.edit(peer.change(path, "b\n"))
        assert result.outcome == "refused"
        assert "not known any more" in result.reason
        assert peer.editor.edits == []
        whole = {"textDocument": {"uri": uri, "version": 1}, "contentChanges": [{"text": "a\n"}]}
        await peer.tell("textDocument/didChange", whole)
        await peer.round_trip()
        assert await peer.edit(peer.change(path, "b\n")) == EditResult("applied")


async def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    async with an_editor() as peer:
        reason = {"applied": False, "failureReason": "no\n" * 100_000}
        peer.answers["workspace/applyEdit"] = lambda _params: (reason, [], [])
        await peer.open(tmp_path / "a", "a\n")
        result = await peer.edit(peer.change(tmp_path / "a", "b\n"))
        assert len(result.reason) == 300
        assert result.reason.startswith("no no no")


async def test_only_the_first_answer_counts(tmp_path: Path) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"

        def twice(params: dict[str, Any]) -> Any:
            request_id = peer.asked[-1]["id"]
            answer, told = peer.editor.apply(params)
            peer.again = request_id
            return answer, told, []

        peer.answers["workspace/applyEdit"] = twice
        await peer.open(path, "a\n")
        assert await peer.edit(peer.change(path, "b\n")) == EditResult("applied")
        for body in ({"result": {"applied": False}}, {"error": 3}, {"result": "b"}):
            await peer.client.send({"id": peer.again, **body})
        await peer.round_trip()
        assert await peer.edit(peer.change(path, "c\n")) == EditResult("applied")


async def test_an_edit_of_neovims_untouched_buffer_names_a_version_that_is_compared(
    tmp_path: Path,
) -> None:
    async with an_editor(name="Neovim") as peer:
        params = peer.editor.open((tmp_path / "a").as_uri(), "a\n", version=0)
        await peer.tell("textDocument/didOpen", params)
        await peer.round_trip()
        peer.answers["workspace/applyEdit"] = lambda _params: ({"applied": False}, [], [])
        await peer.edit(peer.change(tmp_path / "a", "b\n"))
        asked = await peer.wait_for("workspace/applyEdit")
    [operation] = asked["params"]["edit"]["documentChanges"]
    assert operation["textDocument"]["version"] == 1


async def test_an_editor_may_keep_its_own_line_ends(tmp_path: Path) -> None:
    async with an_editor() as peer:
        path = tmp_path / "a"

        def with_its_own(params: dict[str, Any]) -> Any:
            edits = params["edit"]["documentChanges"][0]["edits"]
            for edit in edits:
                edit["newText"] = edit["newText"].replace("\n", "\r\n")
            return peer.apply(params)

        peer.answers["workspace/applyEdit"] = with_its_own
        await peer.open(path, "a\r\n")
        assert await peer.edit(peer.change(path, "a\r\nb\nc\n")) == EditResult("applied")
        assert peer.text(path) == "a\r\nb\r\nc\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"applied": False, "failureReason": "the user said no"}, "the user said no"),
        ({"applied": False}, "the editor has not applied it and does not say why"),
        ({"error": {"code": -32603, "message": "broken"}}, "broken"),
        ({"error": "?"}, "the editor answered with an error"),
        (None, "its answer makes no sense"),
        ({"failureReason": 3}, "its answer makes no sense"),
        ([], "its answer makes no sense"),
    ],
)
async def test_an_edit_that_is_refused_changes_nothing(
    answer: Any, reason: str, tmp_path: Path
) -> None:
    async with an_editor() as peer:
        peer.answers["workspace/applyEdit"] = lambda _params: (answer, [], [])
        await peer.open(tmp_path / "a", "a\n")
        result = await peer.edit(peer.change(tmp_path / "a", "b\n"))
        assert result == EditResult("refused", reason)
        assert peer.text(tmp_path / "a") == "a\n"


async def test_what_was_done_of_an_edit_that_failed_is_taken_back(tmp_path: Path) -> None:
    async with an_editor() as peer:
        a, b = tmp_path / "a", tmp_path / "b"

        def half(params: dict[str, Any]) -> Any:
            peer.answers["workspace/applyEdit"] = peer.apply
            first = {**params, "edit": {"documentChanges": params["edit"]["documentChanges"][:1]}}
            _, told = peer.editor.apply(first)
            typed = peer.editor.type(b.as_uri(), 0, 0, "typed ")
            told = [*told, ("textDocument/didChange", typed)]
            return {"applied": False, "failureReason": "b is newer", "failedChange": 1}, told, []

        peer.answers["workspace/applyEdit"] = half
        await peer.open(a, "one\ntwo\n")
        await peer.open(b, "b\n")
        result = await peer.edit(peer.change(a, "one\n2\n"), peer.change(b, "B\n"))
        assert result == EditResult("changed", "b changed in the editor meanwhile")
        assert (peer.text(a), peer.text(b)) == ("one\ntwo\n", "typed b\n")
    assert peer.editor.edits[-1]["label"] == "Take back: A patch"


async def test_files_are_created_renamed_and_deleted_by_the_editor(tmp_path: Path) -> None:
    async with an_editor() as peer:
        a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
        await peer.open(a, "a\n")
        new = DocumentChange(path=b, version=None, before=None, after="new\n")
        moved = peer.change(a, "A\n", moved_to=c)
        assert await peer.edit(new, moved) == EditResult("applied")
        assert (peer.text(a), peer.text(b), peer.text(c)) == (None, "new\n", "A\n")
        assert await peer.edit(peer.change(c, None)) == EditResult("applied")
        assert peer.text(c) is None
    first, second = (edit["edit"]["documentChanges"] for edit in peer.editor.edits)
    assert [operation.get("kind") for operation in first] == [None, "rename", "create", None]
    assert first[1]["options"] == {"overwrite": False, "ignoreIfExists": False}
    assert first[2]["options"] == {"overwrite": False, "ignoreIfExists": False}
    assert first[3]["textDocument"] == {"uri": b.as_uri(), "version": None}
    assert second[0]["kind"] == "delete"
    assert second[0]["options"] == {"recursive": False, "ignoreIfNotExists": False}


async def test_a_text_that_is_told_only_under_its_new_name_is_enough(tmp_path: Path) -> None:
    """Neovim tells of a change a while after it, and of a new name at once."""
    async with an_editor() as peer:
        a, b = tmp_path / "a", tmp_path / "b"

        def name_only(params: dict[str, Any]) -> Any:
            answer, told = peer.editor.apply(params)
            return answer, told[1:], []

        peer.answers["workspace/applyEdit"] = name_only
        await peer.open(a, "one\ntwo\n")
        moved = peer.change(a, "one\n2\n", moved_to=b)
        assert await peer.edit(moved) == EditResult("applied")
        assert peer.text(b) == "one\n2\n"


@pytest.mark.parametrize("kind", ["create", "rename", "delete"])
async def test_a_file_operation_that_is_refused_is_said_to_be(kind: str, tmp_path: Path) -> None:
    async with an_editor() as peer:
        a, b = tmp_path / "a", tmp_path / "b"
        refusal = {"applied": False, "failureReason": "no"}
        peer.answers["workspace/applyEdit"] = lambda _params: (refusal, [], [])
        await peer.open(a, "a\n")
        change = {
            "create": DocumentChange(path=b, version=None, before=None, after="b\n"),
            "rename": peer.change(a, "A\n", moved_to=b),
            "delete": peer.change(a, None),
        }[kind]
        assert await peer.edit(change) == EditResult("refused", "no")
        assert peer.text(a) == "a\n"


async def test_what_the_editor_cannot_do_is_not_asked_of_it(tmp_path: Path) -> None:
    async with an_editor(resourceOperations=["create"]) as peer:
        await peer.open(tmp_path / "a", "a\n")
        assert peer.workspace.resource_operations == {"create"}
        result = await peer.edit(peer.change(tmp_path / "a", None))
        assert result == EditResult("refused", "the editor cannot delete files")
    async with an_editor(documentChanges=False, resourceOperations=None) as peer:
        assert not peer.workspace.can_edit
        assert peer.workspace.resource_operations == frozenset()
        assert (await peer.edit(peer.change(tmp_path / "a", "b"))).outcome == "refused"
    assert peer.editor.edits == []


async def test_an_edit_that_is_cancelled_is_taken_from_the_editor(tmp_path: Path) -> None:
    async with an_editor() as peer:
        peer.answers["workspace/applyEdit"] = None
        await peer.open(tmp_path / "a", "a\n")
        async with anyio.create_task_group() as tg:
            tg.start_soon(peer.edit, peer.change(tmp_path / "a", "b\n"))
            asked = await peer.wait_for("workspace/applyEdit")
            tg.cancel_scope.cancel()
        cancelled = await peer.wait_for("$/cancelRequest")
        assert cancelled["params"] == {"id": asked["id"]}


async def test_an_editor_that_never_answers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    results: list[EditResult] = []
    async with an_editor() as peer:
        peer.answers["workspace/applyEdit"] = None
        await peer.open(tmp_path / "a", "a\n")

        async def edit() -> None:
            results.append(await peer.edit(peer.change(tmp_path / "a", "b\n")))

        async with anyio.create_task_group() as tg:
            tg.start_soon(edit)
            await peer.wait_for("workspace/applyEdit")
            peer.client.hang_up()
            with fail_after(5):
                await peer.client.ended.wait()
    assert results == [EditResult("refused", "the editor is gone")]
    assert peer.client.exit_code == 0


async def test_the_editor_saves_what_it_is_asked_to_save(tmp_path: Path) -> None:
    async with an_editor() as peer:
        a, b, link = tmp_path / "a", tmp_path / "b", tmp_path / "link"
        link.symlink_to("a")
        uri = await peer.open(link, "x")
        peer.answers["codex/saveDocuments"] = lambda params: (
            {"saved": [params["uris"][0], "file:///other", 3]},
            [],
            [],
        )
        assert await peer.workspace.save([a, b], ask=True) == [a]
        asked = await peer.wait_for("codex/saveDocuments")
        assert asked["params"] == {"uris": [uri, b.as_uri()], "ask": True}


@pytest.mark.parametrize("answer", [None, {}, {"saved": None}, [], {"error": {"code": 1}}])
async def test_an_editor_that_does_not_save_has_saved_nothing(answer: Any) -> None:
    async with an_editor() as peer:
        peer.answers["codex/saveDocuments"] = lambda _params: (answer, [], [])
        assert await peer.workspace.save([Path("/a")], ask=False) == ()


async def test_a_file_is_shown_without_taking_the_focus(tmp_path: Path) -> None:
    async with an_editor() as peer:
        peer.answers["window/showDocument"] = lambda _params: ({"success": False}, [], [])
        with fail_after(5):
            await peer.workspace.show(tmp_path / "a")
        asked = await peer.wait_for("window/showDocument")
        assert asked["params"] == {
            "uri": (tmp_path / "a").as_uri(),
            "external": False,
            "takeFocus": False,
        }
