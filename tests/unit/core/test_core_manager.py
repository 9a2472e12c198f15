"""Opening, finding and closing sessions."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve
from support.driving import as_text, next_of, says, until_closing
from support.fakes import World, call, message

from codex_rpc.core.manager import SessionManager
from codex_rpc.protocol import events as ev
from codex_rpc.protocol.errors import (
    InvalidParams,
    InvalidState,
    RolloutNotFound,
    RolloutWriteFailed,
    SessionClosed,
    SessionNotFound,
)
from codex_rpc.protocol.items import text_message
from codex_rpc.protocol.params import ConfigureParams, ResumeParams, ResumeResult
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.records import ContextRecord, Damage, SavedContext


def resumed(result: object) -> ResumeResult:
    assert isinstance(result, ResumeResult)
    return result


@pytest.mark.parametrize("cwd", ["relative", "/no/such/folder"])
async def test_cwd_is_absolute_and_exists(manager: SessionManager, cwd: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        await manager.configure(ConfigureParams(cwd=cwd))
    assert caught.value.path == "cwd"


async def test_a_new_session_is_in_its_file_before_it_is_announced(
    world: World, manager: SessionManager
) -> None:
    opened = await manager.configure(ConfigureParams(cwd="/"))
    log = world.store.logs[opened.session.id]
    assert [type(r) for r in log.records] == [ContextRecord]
    assert (opened.result.resumed, opened.result.item_count) == (False, 0)
    configured = await next_of(opened.session, ev.SessionConfigured)
    assert configured.rollout_path == opened.result.rollout_path


async def test_a_file_that_cannot_be_created_is_an_error_and_leaves_no_session(
    world: World, manager: SessionManager
) -> None:
    world.store.refuse = RolloutWriteFailed("/sessions", "read-only file system")
    with pytest.raises(RolloutWriteFailed):
        await manager.configure(ConfigureParams(cwd="/"))
    with pytest.raises(SessionNotFound):
        manager.session("session-0")


async def test_resume_restores_the_history_and_goes_on_in_the_same_file(
    world: World, manager: SessionManager
) -> None:
    world.store.keep("s1", [text_message("first"), message("one")])
    opened = await manager.resume(ResumeParams(session_id="s1"))
    assert resumed(opened.result).resumed
    assert opened.result.item_count == 2
    assert opened.session.id == "s1"
    await opened.session.submit(says("second"))
    await until_closing(opened.session)
    assert [as_text(i) for i in world.model.sent()] == ["first", "one", "second"]


async def test_calls_that_a_crash_left_open_are_answered_in_memory_and_in_the_file(
    world: World, manager: SessionManager
) -> None:
    world.store.keep("s1", [text_message("first"), call("c1"), call("c2")], interrupted=True)
    opened = await manager.resume(ResumeParams(session_id="s1"))
    await opened.session.submit(says("go on"))
    await until_closing(opened.session)
    outputs = [i for i in world.model.sent() if i["type"] == "function_call_output"]
    assert [(o["call_id"], o["output"]) for o in outputs] == [("c1", "aborted"), ("c2", "aborted")]
    note, last = [as_text(i.value()) for i in world.model.prompts[0].input[-2:]]
    assert "interrupted" in note
    assert last == "go on"
    assert world.store.logs["s1"].items()[:2] == outputs


async def test_a_stored_response_is_continued_after_resume(
    world: World, manager: SessionManager
) -> None:
    world.model.stores_responses = True
    world.store.keep(
        "s1",
        [text_message("first"), message("one"), text_message("unseen")],
        previous_response_id="r1",
        seen_item_count=2,
    )
    opened = await manager.resume(ResumeParams(session_id="s1"))
    await opened.session.submit(says("second"))
    await until_closing(opened.session)
    assert world.model.prompts[0].previous_response_id == "r1"
    assert [as_text(i) for i in world.model.sent()] == ["unseen", "second"]


async def test_absent_policies_become_the_stricter_of_saved_and_configured(
    world: World, manager: SessionManager
) -> None:
    loose = SavedContext(
        cwd="/",
        approval_policy="never",
        sandbox_policy=SandboxPolicy(mode="danger-full-access"),
    )
    world.store.keep("s1", [text_message("x")], context=loose)
    opened = await manager.resume(ResumeParams(session_id="s1"))
    assert opened.result.approval_policy == "on-request"
    assert opened.result.sandbox_policy.mode == "read-only"
    assert len(resumed(opened.result).warnings) == 2


async def test_a_stricter_saved_policy_holds_and_an_explicit_one_wins(
    world: World, manager: SessionManager
) -> None:
    world.config = evolve(world.config, approval_policy="never")
    strict = SavedContext(cwd="/", approval_policy="untrusted")
    world.store.keep("s1", [text_message("x")], context=strict)
    world.store.keep("s2", [text_message("x")], context=strict)
    first = await manager.resume(ResumeParams(session_id="s1"))
    assert first.result.approval_policy == "untrusted"
    second = await manager.resume(ResumeParams(session_id="s2", approval_policy="never"))
    assert second.result.approval_policy == "never"


async def test_the_saved_model_counts_and_an_unknown_saved_provider_is_a_warning(
    world: World, manager: SessionManager
) -> None:
    context = SavedContext(cwd="/", model="model-9", model_provider="elsewhere")
    world.store.keep("s1", [text_message("x")], context=context)
    opened = await manager.resume(ResumeParams(session_id="s1"))
    assert (opened.result.model, opened.result.model_provider) == ("model-9", "fake")
    assert "elsewhere" in resumed(opened.result).warnings[0]


async def test_damage_is_said_with_its_line(world: World, manager: SessionManager) -> None:
    world.store.keep("s1", [text_message("x")], damage=[Damage(7, 30, "not JSON")])
    opened = await manager.resume(ResumeParams(session_id="s1"))
    assert resumed(opened.result).warnings == ["line 7 was left out: not JSON"]


@pytest.mark.parametrize("saved_cwd", [None, "/no/such/folder"])
async def test_a_saved_cwd_that_is_gone_needs_another_one_and_releases_the_file(
    world: World, manager: SessionManager, saved_cwd: str | None
) -> None:
    world.store.keep("s1", [text_message("x")], context=SavedContext(cwd=saved_cwd))
    with pytest.raises(InvalidParams) as caught:
        await manager.resume(ResumeParams(session_id="s1"))
    assert caught.value.path == "cwd"
    assert not world.store.logs["s1"].open
    assert world.store.logs["s1"].records == []
    opened = await manager.resume(ResumeParams(session_id="s1", cwd="/"))
    assert opened.result.cwd == "/"


async def test_last_is_the_newest_and_none_is_an_error(
    world: World, manager: SessionManager
) -> None:
    with pytest.raises(RolloutNotFound):
        await manager.resume(ResumeParams(last=True))
    world.store.keep("s1", [text_message("x")])
    assert (await manager.resume(ResumeParams(last=True))).session.id == "s1"
    again = await manager.resume(ResumeParams(last=True))
    assert resumed(again.result).already_live


async def test_resuming_what_is_live_returns_it_and_asks_again(
    world: World, manager: SessionManager
) -> None:
    opened = await manager.configure(ConfigureParams(cwd="/"))
    await next_of(opened.session, ev.SessionConfigured)
    again = await manager.resume(ResumeParams(session_id=opened.session.id))
    assert again.session is opened.session
    assert resumed(again.result).already_live
    await next_of(opened.session, ev.SessionConfigured)
    with pytest.raises(InvalidState):
        await manager.resume(ResumeParams(session_id=opened.session.id, model="other"))


async def test_experimental_resume_applies_to_the_first_configure_only(
    world: World, manager: SessionManager
) -> None:
    saved = world.store.keep("s1", [text_message("x")])
    world.config = evolve(world.config, experimental_resume=Path(saved.path))
    first = await manager.configure(ConfigureParams(cwd="/"))
    assert (first.session.id, first.result.resumed) == ("s1", True)
    second = await manager.configure(ConfigureParams(cwd="/"))
    assert second.result.resumed is False


async def test_experimental_resume_that_fails_starts_nothing(
    world: World, manager: SessionManager
) -> None:
    world.config = evolve(world.config, experimental_resume=Path("/sessions/missing.jsonl"))
    with pytest.raises(RolloutNotFound):
        await manager.configure(ConfigureParams(cwd="/"))
    assert world.store.logs == {}


async def test_a_closed_session_is_known_as_closed_until_it_is_resumed(
    world: World, manager: SessionManager
) -> None:
    opened = await manager.configure(ConfigureParams(cwd="/"))
    session_id = opened.session.id
    await manager.close(session_id)
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(SessionClosed):
        manager.session(session_id)
    with pytest.raises(SessionNotFound):
        manager.session("never")
    world.store.keep(session_id, [text_message("x")])
    await manager.resume(ResumeParams(session_id=session_id))
    assert manager.session(session_id).id == session_id


async def test_resuming_a_session_that_is_closing_waits_for_its_end(
    world: World, manager: SessionManager
) -> None:
    opened = await manager.configure(ConfigureParams(cwd="/"))
    session_id = opened.session.id
    world.store.keep(session_id, [text_message("x")])
    async with anyio.create_task_group() as tg:
        tg.start_soon(manager.close, session_id)
        while opened.session.closing is None:
            await anyio.lowlevel.checkpoint()
        again = await manager.resume(ResumeParams(session_id=session_id))
    assert again.session is not opened.session
    assert not resumed(again.result).already_live


async def test_sessions_run_side_by_side(world: World, manager: SessionManager) -> None:
    sessions = [(await manager.configure(ConfigureParams(cwd="/"))).session for _ in range(5)]
    for session in sessions:
        await session.submit(says("hi"))
    for session in sessions:
        assert (await until_closing(session))[-1].msg == ev.TaskComplete("ok")


async def test_a_relative_path_is_refused(manager: SessionManager) -> None:
    with pytest.raises(InvalidParams) as caught:
        await manager.resume(ResumeParams(path="rollout.jsonl"))
    assert caught.value.path == "path"
    with pytest.raises(InvalidParams) as caught:
        await manager.configure(ConfigureParams(cwd="/", resume_path="rollout.jsonl"))
    assert caught.value.path == "resumePath"


async def test_of_two_configures_that_come_together_only_one_resumes(
    world: World, manager: SessionManager
) -> None:
    saved = world.store.keep("s1", [text_message("x")])
    world.config = evolve(world.config, experimental_resume=Path(saved.path))
    opened: list[str] = []

    async def configure() -> None:
        opened.append((await manager.configure(ConfigureParams(cwd="/"))).session.id)

    async with anyio.create_task_group() as tg:
        for _ in range(3):
            tg.start_soon(configure)
    assert opened.count("s1") == 1
    assert len(set(opened)) == 3


async def test_a_directory_is_kept_in_one_spelling(manager: SessionManager, tmp_path: Path) -> None:
    opened = await manager.configure(ConfigureParams(cwd=f"{tmp_path}/x/../"))
    assert opened.result.cwd == str(tmp_path)
