"""The plan that the model shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from hypothesis import given, settings
from hypothesis import strategies as st
from tools_support import Host, context, function_call, toolbox

from codex_rpc.protocol.converter import unstructure
from codex_rpc.protocol.events import PlanStep, PlanUpdate
from codex_rpc.protocol.tools import ToolOutcome
from codex_rpc.tools.specs import UPDATE_PLAN


async def update(cwd: Path, arguments: Any) -> tuple[ToolOutcome, Host]:
    host = Host(context(cwd, approval="untrusted", mode="read-only"))
    with fail_after(5):
        return await toolbox(cwd).call(function_call("update_plan", arguments), host), host


async def test_a_plan_is_shown_once_its_call_is_answered(tmp_path: Path) -> None:
    plan = [
        {"step": "look", "status": "completed"},
        {"step": "change", "status": "in_progress"},
        {"step": "check", "status": "pending"},
    ]
    outcome, host = await update(tmp_path, {"explanation": "as you asked", "plan": plan})
    steps = [
        PlanStep("look", "completed"),
        PlanStep("change", "in_progress"),
        PlanStep("check", "pending"),
    ]
    assert outcome == ToolOutcome("Plan updated", (PlanUpdate(steps, "as you asked"),))
    # Neither asked about, nor announced before it is recorded.
    assert (host.asked, host.announced) == ([], [])


async def test_an_explanation_is_not_needed(tmp_path: Path) -> None:
    outcome, _ = await update(tmp_path, {"plan": []})
    (event,) = outcome.events
    assert unstructure(event) == {"type": "plan_update", "plan": []}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("{bad", "unexpected character"),
        ("[]", "arguments: expected object"),
        ({}, "plan: expected "),
        ({"plan": "look"}, "plan: expected array of object"),
        ({"plan": [{"status": "pending"}]}, "plan[0].step: expected "),
        (
            {"plan": [{"step": "a", "status": "pending"}, {"step": "b", "status": "weird"}]},
            'plan[1].status: expected "pending" | "in_progress" | "completed"',
        ),
        ({"plan": [], "explanation": 5}, "explanation: expected string"),
    ],
)
async def test_what_is_no_plan_says_why_and_shows_nothing(
    tmp_path: Path, arguments: Any, problem: str
) -> None:
    outcome, host = await update(tmp_path, arguments)
    assert isinstance(outcome.output, str)
    assert outcome.output.startswith(f"failed to parse function arguments: {problem}")
    assert outcome.events == ()
    assert host.announced == []


STEPS = st.fixed_dictionaries(
    {"step": st.text(), "status": st.sampled_from(["pending", "in_progress", "completed"])}
)


@settings(deadline=None, max_examples=30)
@given(st.lists(STEPS, max_size=6), st.none() | st.text())
def test_any_plan_arrives_as_it_is(plan: list[dict[str, str]], explanation: str | None) -> None:
    outcome, _ = anyio.run(update, Path("/"), {"plan": plan, "explanation": explanation})
    (event,) = outcome.events
    assert isinstance(event, PlanUpdate)
    assert unstructure(event)["plan"] == plan
    assert event.explanation == explanation


def test_its_definition_names_what_it_takes() -> None:
    members = UPDATE_PLAN["parameters"]["properties"]
    assert list(members) == ["explanation", "plan"]
    assert list(members["plan"]["items"]["properties"]) == ["step", "status"]
