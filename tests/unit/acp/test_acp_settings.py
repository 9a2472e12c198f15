"""Modes and options: what they choose, and that they say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from acp_parts import configured_world, opened
from anyio import fail_after
from support.driving import says, until_closing
from support.fakes import call, calling

from codex_rpc.acp.settings import MAX_MODELS, MODES, SessionSettings
from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import InvalidParams, SessionClosed
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.tools import ToolHost, ToolOutcome, TurnContext

FURNISHED = """
[sandbox_workspace_write]
writable_roots = ["/var/tmp"]
network_access = true
"""


def value_of(settings: SessionSettings, id_: str) -> str:
    value = next(o["currentValue"] for o in settings.options() if o["id"] == id_)
    assert isinstance(value, str)
    return value


def mode_of(settings: SessionSettings) -> str:
    """The present mode, which modes and options agree about."""
    modes = settings.modes()
    known = {mode["id"] for mode in modes["availableModes"]}
    option = next(o for o in settings.options() if o["id"] == "mode")
    assert {choice["value"] for choice in option["options"]} == known
    assert modes["currentModeId"] == option["currentValue"]
    assert modes["currentModeId"] in known
    current = modes["currentModeId"]
    assert isinstance(current, str)
    return current


async def turn_of(session: Session, world: Any) -> TurnContext:
    """What the next turn runs under."""
    seen: list[TurnContext] = []

    async def look(_item: Item, host: ToolHost) -> ToolOutcome:
        seen.append(host.context)
        return ToolOutcome("ok")

    world.tools.handler = look
    world.model.responses = [calling(call("c"))]
    await session.submit(says("go"))
    await until_closing(session)
    return seen[0]


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ("", "read-only"),
        ('sandbox_mode = "workspace-write"', "auto"),
        ('sandbox_mode = "workspace-write"\napproval_policy = "untrusted"', "ask"),
        ('sandbox_mode = "danger-full-access"\napproval_policy = "never"', "full"),
        ('sandbox_mode = "danger-full-access"', "configured"),
        ('approval_policy = "never"', "configured"),
    ],
)
async def test_a_session_begins_in_the_mode_that_is_configured(
    config: str, mode: str, tmp_path: Path
) -> None:
    world = configured_world(tmp_path / "home", config)
    async with opened(world, tmp_path) as (_, session):
        assert mode_of(SessionSettings(session)) == mode


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.id)
async def test_a_mode_holds_for_the_turns_after(mode: Any, tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home", 'approval_policy = "on-failure"')
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        updates = await settings.set_mode(mode.id)
        assert updates[0] == {"sessionUpdate": "current_mode_update", "currentModeId": mode.id}
        assert updates[1]["sessionUpdate"] == "config_option_update"
        assert mode_of(settings) == mode.id
        context = await turn_of(session, world)
        assert context.approval_policy == mode.approval
        assert context.sandbox_policy == SandboxPolicy(mode.sandbox)
        assert context == settings.chosen


async def test_a_mode_keeps_the_sandbox_as_the_user_has_furnished_it(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home", FURNISHED)
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        await settings.set_mode("auto")
        assert (await turn_of(session, world)).sandbox_policy == SandboxPolicy(
            "workspace-write", ("/var/tmp",), network_access=True
        )
        await settings.set_mode("read-only")
        assert (await turn_of(session, world)).sandbox_policy == SandboxPolicy("read-only")


async def test_what_is_configured_can_be_chosen_again(tmp_path: Path) -> None:
    config = 'sandbox_mode = "workspace-write"\napproval_policy = "never"\n' + FURNISHED
    world = configured_world(tmp_path / "home", config)
    async with opened(world, tmp_path) as (_, session):
        settings, before = SessionSettings(session), session.env.context
        await settings.set_mode("read-only")
        assert mode_of(settings) == "read-only"
        await settings.set_mode("configured")
        assert mode_of(settings) == "configured"
        assert await turn_of(session, world) == before


async def test_a_mode_that_is_not_there_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home")
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        for mode in ("configured", "plan", ""):
            with pytest.raises(InvalidParams) as caught:
                await settings.set_mode(mode)
            assert caught.value.path == "modeId"
        with pytest.raises(InvalidParams) as caught:
            await settings.set_option("mode", "plan")
        assert caught.value.path == "value"
        assert mode_of(settings) == "read-only"


async def test_the_mode_can_be_chosen_as_an_option(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home")
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        updates = await settings.set_option("mode", "full")
        kinds = [update["sessionUpdate"] for update in updates]
        assert kinds == ["current_mode_update", "config_option_update"]
        assert mode_of(settings) == "full"


async def test_model_and_effort_hold_for_the_turns_after(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home", 'model = "one"')
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        assert value_of(settings, "model") == "one"
        assert value_of(settings, "reasoning_effort") == "medium"
        (update,) = await settings.set_option("model", "two")
        await settings.set_option("reasoning_effort", "high")
        assert update["configOptions"][1]["currentValue"] == "two"
        choices = [choice["value"] for choice in update["configOptions"][1]["options"]]
        assert choices == ["one", "two"]
        context = await turn_of(session, world)
        assert (context.model, context.effort) == ("two", "high")


async def test_no_effort_asks_the_model_for_none(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home")
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        await settings.set_option("reasoning_effort", "none")
        assert value_of(settings, "reasoning_effort") == "none"
        assert (await turn_of(session, world)).effort is None


@pytest.mark.parametrize(
    ("option", "value", "path"),
    [
        ("model", "", "value"),
        ("model", "a\nb", "value"),
        ("model", True, "value"),
        ("reasoning_effort", "huge", "value"),
        ("reasoning_effort", None, "value"),
        ("mode", 1, "value"),
        ("colour", "red", "configId"),
    ],
)
async def test_what_is_no_option_or_no_value_is_refused(
    option: str, value: Any, path: str, tmp_path: Path
) -> None:
    world = configured_world(tmp_path / "home")
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        before = settings.options()
        with pytest.raises(InvalidParams) as caught:
            await settings.set_option(option, value)
        assert caught.value.path == path
        assert settings.options() == before


async def test_every_option_has_its_present_value_among_its_choices(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home", 'model_reasoning_effort = "none"')
    async with opened(world, tmp_path) as (_, session):
        for option in SessionSettings(session).options():
            assert option["currentValue"] in [c["value"] for c in option["options"]]


async def test_what_a_closed_session_does_not_take_is_not_shown_as_chosen(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home")
    async with opened(world, tmp_path) as (manager, session):
        settings = SessionSettings(session)
        with fail_after(5):
            await manager.close(session.id)
        with pytest.raises(SessionClosed):
            await settings.set_mode("full")
        assert mode_of(settings) == "read-only"


async def test_the_models_of_the_provider_are_offered_once_they_are_known(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home", 'model = "one"')
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        assert await settings.learn() is None
        world.model.offered = ["two", "one", "three"]
        update = await settings.learn()
        assert update is not None
        choices = [choice["value"] for choice in update["configOptions"][1]["options"]]
        assert choices == ["one", "two", "three"]
        assert value_of(settings, "model") == "one"
        assert await settings.learn() is None


async def test_not_more_models_are_offered_than_anyone_would_look_at(tmp_path: Path) -> None:
    world = configured_world(tmp_path / "home", 'model = "one"')
    world.model.offered = [f"m{i}" for i in range(1000)]
    async with opened(world, tmp_path) as (_, session):
        settings = SessionSettings(session)
        await settings.learn()
        (option,) = [o for o in settings.options() if o["id"] == "model"]
        assert len(option["options"]) == MAX_MODELS
        assert option["options"][0]["value"] == "one"
