"""Errors: each exception of the project has its code, and its message tells nothing it must not."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator

import pytest

import codex_rpc
from codex_rpc.protocol import errors
from codex_rpc.rpc import mapping
from codex_rpc.rpc.mapping import code_of, error_answer

EXPECTED = {
    "CodexError": -32603,
    "ProtocolError": -32603,
    "InvalidParams": -32602,
    "UnknownMethod": -32601,
    "DuplicateRequest": -32600,
    "RequestRefused": -32600,
    "ServerNotInitialized": -32002,
    "Overloaded": 1008,
    "InvalidState": 1007,
    "SessionNotFound": 1001,
    "SessionClosed": 1005,
    "ModelError": -32603,
    "ModelUnreachable": -32603,
    "StreamInterrupted": -32603,
    "RateLimited": -32603,
    "ServerFailed": -32603,
    "ModelRejected": -32603,
    "AnswerFiltered": -32603,
    "ContextFull": -32603,
    "PreviousResponseUnknown": -32603,
    "ToolError": -32603,
    "BadArguments": -32603,
    "UnknownTool": -32603,
    "Lost": -32603,
    "SandboxError": -32603,
    "SandboxUnavailable": -32603,
    "RolloutError": -32603,
    "RolloutNotFound": 1001,
    "RolloutCorrupt": 1003,
    "RolloutNewer": 1003,
    "RolloutInUse": 1002,
    "RolloutWriteFailed": 1006,
    "ConfigError": 1004,
    "CredentialsMissing": 1004,
    "TurnFailed": -32603,
}


def tree(cls: type[errors.CodexError]) -> Iterator[type[errors.CodexError]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from tree(sub)


def test_every_exception_of_the_project_has_the_code_that_was_chosen_for_it() -> None:
    for module in pkgutil.walk_packages(codex_rpc.__path__, "codex_rpc."):
        if not module.name.startswith(("codex_rpc.cli", "codex_rpc.__main__")):
            importlib.import_module(module.name)
    ours = {cls for cls in tree(errors.CodexError) if cls.__module__.startswith("codex_rpc.")}
    assert {cls.__name__: code_of(cls.__new__(cls)) for cls in ours} == EXPECTED


def test_an_answer_carries_what_the_exception_says() -> None:
    exc = errors.RolloutInUse("abc", "locked", pid=7)
    assert json.loads(error_answer("id", exc)) == {
        "jsonrpc": "2.0",
        "id": "id",
        "error": {
            "code": 1002,
            "message": exc.message,
            "data": {"sessionId": "abc", "reason": "locked", "pid": 7},
        },
    }


def test_invalid_params_say_where_and_what() -> None:
    answer = json.loads(error_answer(1, errors.InvalidParams("op.items[0].text", "string")))
    assert answer["error"]["data"] == {"path": "op.items[0].text", "expected": "string"}


def test_of_an_unforeseen_exception_only_the_type_is_told() -> None:
    answer = error_answer(1, ValueError("the user's prompt"))
    assert json.loads(answer)["error"] == {"code": -32603, "message": "internal error (ValueError)"}


def test_data_that_cannot_be_written_does_not_cost_the_answer() -> None:
    answer = error_answer(1, errors.InvalidState("not now", data={"waiting": {1, 2}}))
    assert json.loads(answer)["error"] == {"code": 1007, "message": "not now"}


@pytest.mark.parametrize("name", ["SessionNotFound", "RolloutNotFound"])
def test_a_session_that_is_nowhere_is_1001_whoever_looked(name: str) -> None:
    assert mapping.CODES[getattr(errors, name)] == 1001
