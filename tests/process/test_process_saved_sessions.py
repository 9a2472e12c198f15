"""Saved sessions through the real server: forked, named, put away, thrown away, carried off,
and those of other programs continued."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.client import Client, RpcError, running
from support.conversation import (
    call_events,
    conversation_of,
    text_events,
    text_of,
    write_config,
)
from support.golden import GOLDEN
from support.model_server import ModelServer
from support.saved import items_of, kinds_of, records_of

FOREIGN = sorted(path.name for path in (GOLDEN / "rollouts").glob("codex-0.1[0-9][0-9]-*.jsonl"))
OLD = sorted(path.name for path in (GOLDEN / "rollouts").glob("codex-0.[0-9]*-*.jsonl"))
OLD = [name for name in OLD if name not in FOREIGN]


def told(items: list[dict[str, Any]]) -> list[str]:
    """Items in short: the texts of messages, the kinds of the rest."""
    return [text_of(i) if i["type"] == "message" else i["type"] for i in items]


async def refused(client: Client, method: str, params: dict[str, Any]) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await client.request(method, params)
    return caught.value


async def saved_session(client: Client, cwd: Path) -> dict[str, Any]:
    """A closed session: a text; a call and a text."""
    session: dict[str, Any] = await client.request("session/configure", {"cwd": str(cwd)})
    await client.turn(session["sessionId"], "hello there")
    await client.turn(session["sessionId"], "run something")
    await client.request("session/close", {"sessionId": session["sessionId"]})
    return session


def responses(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of `saved_session`, and `more`."""
    said = [text_events(1, "Hello."), call_events(2, ["echo", "needle"]), text_events(3, "Ran.")]
    return [*said, *more]


ITEMS = [
    "hello there",
    "Hello.",
    "run something",
    "function_call",
    "function_call_output",
    "Ran.",
]


async def test_a_fork_begins_with_the_items_up_to_one_and_leaves_the_other_file_alone(
    tmp_path: Path,
) -> None:
    more = [text_events(4, "Differently."), text_events(5, "Aborted call.")]
    async with ModelServer({"responses": responses(*more)}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await saved_session(client, tmp_path)
            before = Path(session["rolloutPath"]).read_bytes()
            params = {"sessionId": session["sessionId"], "upTo": 1}
            fork = await client.request("session/fork", params)
            assert (fork["forkedFrom"], fork["itemCount"]) == (session["sessionId"], 2)
            await client.turn(fork["sessionId"], "what if")
            assert told(conversation_of(model.requests[3])) == [*ITEMS[:2], "what if"]

            # In the middle of a call: it is answered, as it would be after a crash.
            params = {"path": session["rolloutPath"], "upTo": 3}
            fork = await client.request("session/fork", params)
            await client.turn(fork["sessionId"], "and now")
            assert told(conversation_of(model.requests[4])) == [*ITEMS[:5], "and now"]

            params = {"sessionId": session["sessionId"], "upTo": 6}
            assert (await refused(client, "session/fork", params)).code == -32602
            assert Path(session["rolloutPath"]).read_bytes() == before
        header = records_of(fork["rolloutPath"])[0]
        assert header["forked_from"]["id"] == session["sessionId"]
        assert header["forked_from"]["item"] == 3
        async with running(tmp_path) as client:
            await client.request("session/resume", {"sessionId": fork["sessionId"]})
            assert told(await items_of(client, fork["sessionId"]))[:6] == [*ITEMS[:5], "and now"]


async def test_a_session_is_named_found_put_away_taken_out_and_thrown_away(
    tmp_path: Path,
) -> None:
    async with ModelServer({"responses": responses()}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await saved_session(client, tmp_path)
        this = {"sessionId": session["sessionId"]}
        path = Path(session["rolloutPath"])
        before = path.read_bytes()
        async with running(tmp_path) as client:
            (row,) = (await client.request("session/list", {}))["sessions"]
            assert row["title"] == row["preview"] == "hello there"
            assert await client.request("session/rename", {**this, "title": "A  trip"}) == {}
            assert path.read_bytes().startswith(before)
            assert kinds_of(records_of(path))[-1] == "title"
            (row,) = (await client.request("session/list", {}))["sessions"]
            assert (row["title"], row["status"], row["live"]) == ("A trip", "clean", False)
            for query in ("trip", "needle", "hello"):
                page = await client.request("session/list", {"query": query})
                assert [r["sessionId"] for r in page["sessions"]] == [session["sessionId"]], query
            page = await client.request("session/list", {"query": "no such word"})
            assert page["sessions"] == []
            assert sum(page["filteredOut"].values()) == 1

            named = path.read_bytes()
            assert await client.request("session/archive", this) == {}
            archived = tmp_path / ".codex" / "archived_sessions" / path.name
            assert archived.read_bytes() == named
            assert not path.exists()
            assert (await client.request("session/list", {}))["sessions"] == []
            (row,) = (await client.request("session/list", {"archived": True}))["sessions"]
            assert (row["archived"], row["title"]) == (True, "A trip")
            assert told(await items_of(client, session["sessionId"])) == ITEMS
            assert (await refused(client, "session/resume", this)).code == 1001
            assert (await refused(client, "session/resume", {"last": True})).code == 1001

            assert await client.request("session/unarchive", this) == {}
            assert path.read_bytes() == named
            resumed = await client.request("session/resume", this)
            assert resumed["itemCount"] == len(ITEMS)
            for method in ("session/archive", "session/delete"):
                assert (await refused(client, method, this)).code == 1007
            await client.request("session/rename", {**this, "title": "While it is open"})
            await client.request("session/close", this)
            (row,) = (await client.request("session/list", {}))["sessions"]
            assert row["title"] == "While it is open"

            assert await client.request("session/delete", this) == {}
            assert (await client.request("session/list", {}))["sessions"] == []
            assert not path.exists()
            assert (await refused(client, "session/read", this)).code == 1001
            assert (await refused(client, "session/delete", this)).code == 1001


async def test_a_session_is_exported_as_text_and_to_a_new_file(tmp_path: Path) -> None:
    async with ModelServer({"responses": responses()}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await saved_session(client, tmp_path)
            before = Path(session["rolloutPath"]).read_bytes()
            this = {"sessionId": session["sessionId"]}
            for kind in ("markdown", "html", "json"):
                result = await client.request("session/export", {**this, "format": kind})
                for said in ("hello there", "Hello.", "needle", "Ran."):
                    assert said in result["text"], kind
                target = tmp_path / f"export.{kind}"
                params = {**this, "format": kind, "path": str(target)}
                assert await client.request("session/export", params) == {"path": str(target)}
                assert target.read_text("utf-8") == result["text"]
                # What is there already is not overwritten.
                assert (await refused(client, "session/export", params)).code == 1006
                assert target.read_text("utf-8") == result["text"]
            json.loads((tmp_path / "export.json").read_text("utf-8"))
            html = (tmp_path / "export.html").read_text("utf-8")
            assert not re.search(r"<script[^>]*\bsrc=|<link|\bsrc=\"?https?:|url\(http", html)
            assert "<details" in html
            params = {**this, "format": "json", "path": "relative.json"}
            assert (await refused(client, "session/export", params)).code == -32602
            assert Path(session["rolloutPath"]).read_bytes() == before


def put_into(home: Path, name: str, work: Path) -> tuple[Path, str]:
    """A recorded session file of another program in its place; its path, and its session's id."""
    text = (GOLDEN / "rollouts" / name).read_text("utf-8").replace("{CWD}", str(work))
    first = json.loads(text.partition("\n")[0])
    session_id: str = first["payload"]["id"] if "payload" in first else first["id"]
    folder = home / ".codex" / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True)
    path = folder / f"rollout-2026-11-22T16-42-06-{session_id}.jsonl"
    path.write_text(text, "utf-8")
    return path, session_id


@pytest.mark.parametrize("name", FOREIGN)
async def test_a_recorded_session_of_todays_codex_goes_on_in_a_file_of_its_own(
    tmp_path: Path, name: str
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    async with ModelServer({"default": text_events(1, "Ours.")}) as model:
        write_config(tmp_path, model.url)
        path, session_id = put_into(tmp_path, name, work)
        before = path.read_bytes()
        async with running(tmp_path) as client:
            (row,) = (await client.request("session/list", {}))["sessions"]
            assert (row["origin"], row["sessionId"]) == ("codex", session_id)
            shown = await items_of(client, session_id)
            error = await refused(
                client, "session/rename", {"sessionId": session_id, "title": "mine"}
            )
            assert error.code == 1007
            params = {"sessionId": session_id, "cwd": str(work)}
            resumed = await client.request("session/resume", params)
            assert resumed["forkedFrom"] == session_id
            ours = resumed["sessionId"]
            await client.turn(ours, "on with it")
            assert told(conversation_of(model.requests[0])) == [*told(shown), "on with it"]
            header = records_of(resumed["rolloutPath"])[0]
            assert header["forked_from"]["id"] == session_id
            assert header["forked_from"]["size"] == len(before)
        async with running(tmp_path) as client:
            again = await client.request("session/resume", {"sessionId": session_id})
            assert again["sessionId"] == ours
            await client.request("session/close", {"sessionId": ours})
            # Grown since, it is what its own program has made of it that counts.
            with path.open("ab") as file:
                item = {"type": "message", "role": "user"}
                item["content"] = [{"type": "input_text", "text": "meanwhile"}]
                line = {"timestamp": "2026-11-22T16:50:00.000Z", "type": "response_item"}
                file.write(json.dumps({**line, "payload": item}).encode() + b"\n")
            grown = path.read_bytes()
            anew = await client.request("session/resume", params)
            assert anew["sessionId"] not in (ours, session_id)
            assert anew["itemCount"] == len(shown) + 1
            archive = {"sessionId": session_id}
            await client.request("session/archive", archive)
            archived = tmp_path / ".codex" / "archived_sessions" / path.name
            assert archived.read_bytes() == grown
            await client.request("session/unarchive", archive)
            assert path.read_bytes() == grown


@pytest.mark.parametrize("name", OLD)
async def test_a_recorded_session_of_2025_goes_on_in_its_own_file(
    tmp_path: Path, name: str
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    async with ModelServer({"default": text_events(1, "Ours.")}) as model:
        write_config(tmp_path, model.url)
        path, session_id = put_into(tmp_path, name, work)
        before = path.read_bytes()
        async with running(tmp_path) as client:
            shown = await items_of(client, session_id)
            params = {"sessionId": session_id, "cwd": str(work)}
            resumed = await client.request("session/resume", params)
            assert (resumed["sessionId"], resumed["rolloutPath"]) == (session_id, str(path))
            await client.turn(session_id, "on with it")
        sent = told(conversation_of(model.requests[0]))
        assert sent[: len(shown)] == told(shown)
        assert sent[-1] == "on with it"
        assert path.read_bytes().startswith(before)


async def test_a_folder_that_is_gone_is_a_warning_and_an_error_only_without_another(
    tmp_path: Path,
) -> None:
    work, other = tmp_path / "work", tmp_path / "other"
    work.mkdir()
    other.mkdir()
    async with ModelServer({"responses": responses(text_events(4, "There."))}) as model:
        write_config(tmp_path, model.url)
        async with running(tmp_path) as client:
            session = await saved_session(client, work)
            this = {"sessionId": session["sessionId"]}
            shutil.rmtree(work)
            error = await refused(client, "session/resume", this)
            assert error.code == -32602
            resumed = await client.request("session/resume", {**this, "cwd": str(other)})
            assert resumed["cwd"] == str(other)
            assert any(str(work) in warning for warning in resumed["warnings"])
            await client.turn(session["sessionId"], "where are we?")
        async with running(tmp_path) as client:
            resumed = await client.request("session/resume", this)
            assert resumed["cwd"] == str(other)
