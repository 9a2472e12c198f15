"""The file of the scripted model: what is read from it, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_rpc.model.script import (
    Failure,
    Output,
    Pause,
    Reasoning,
    Response,
    Script,
    Text,
)
from codex_rpc.model.script_file import read_script
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.model import Usage


def read(tmp_path: Path, content: str, name: str = "script.toml") -> Script:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read_script(path)


def steps(tmp_path: Path, toml: str) -> tuple[Any, ...]:
    (response,) = read(tmp_path, f"[[response]]\nsteps = [{toml}]").responses
    return response.steps


WHOLE = """
    chunk = 4
    pace_ms = 5

    [[response]]
    usage = { input_tokens = 100, output_tokens = 20 }
    steps = [
      { reasoning = ["one", "two"] },
      { text = "I will look." },
      { shell = ["ls", "-l"], workdir = "src" },
    ]

    [[response]]
    steps = [{ delay_ms = 500 }, { error = "rate_limited", retry_after_ms = 200 }]

    [[response]]
    text = "Two files."
    chunk = 0
    pace_ms = 0
"""


def test_a_toml_script_is_read(tmp_path: Path) -> None:
    call = {
        "type": "function_call",
        "name": "shell",
        "arguments": '{"command":["ls","-l"],"workdir":"src"}',
    }
    assert read(tmp_path, WHOLE) == Script(
        (
            Response(
                (
                    Reasoning((("one",), ("two",)), 5),
                    Text(("I wi", "ll l", "ook."), 5),
                    Output(call),
                ),
                Usage(100, 20, 120),
            ),
            Response(
                (
                    Pause(500),
                    Failure("rate_limited", "the script says: rate limited", 200, 1),
                )
            ),
            Response((Text(("Two files.",), 0),)),
        )
    )


def test_a_json_script_has_the_same_shape(tmp_path: Path) -> None:
    import tomllib

    as_json = json.dumps(tomllib.loads(WHOLE))
    assert read(tmp_path, as_json, "script.json") == read(tmp_path, WHOLE)


def test_steps_can_be_tables_of_their_own(tmp_path: Path) -> None:
    script = read(tmp_path, '[[response]]\n[[response.steps]]\ntext = "a"\n')
    assert script.responses == (Response((Text(("a",), 0),)),)


@pytest.mark.parametrize(
    ("toml", "arguments"),
    [
        ('{ shell = "ls | wc" }', {"command": ["bash", "-lc", "ls | wc"]}),
        (
            '{ shell = ["x"], timeout = 5, justification = "", with_escalated_permissions = true }',
            {
                "command": ["x"],
                "timeout": 5,
                "justification": "",
                "with_escalated_permissions": True,
            },
        ),
        ('{ call = "update_plan", arguments = { plan = [] } }', {"plan": []}),
        ('{ call = "f" }', {}),
    ],
)
def test_a_call_has_its_arguments_as_json(tmp_path: Path, toml: str, arguments: Any) -> None:
    (step,) = steps(tmp_path, toml)
    assert json.loads(step.value["arguments"]) == arguments


def test_arguments_that_are_no_json_are_sent_as_they_are(tmp_path: Path) -> None:
    (step,) = steps(tmp_path, '{ call = "f", arguments = "{broken" }')
    assert step.value["arguments"] == "{broken"


def test_any_item_can_be_given(tmp_path: Path) -> None:
    toml = '{ item = { type = "mystery", n = 1.5 } }'
    assert steps(tmp_path, toml) == (Output({"type": "mystery", "n": 1.5}),)


def test_a_text_can_be_said_many_times(tmp_path: Path) -> None:
    (step,) = steps(tmp_path, '{ text = "tok ", repeat = 3, chunk = 4 }')
    assert step == Text(("tok ",) * 3, 0)


def test_a_disconnect_is_an_interruption(tmp_path: Path) -> None:
    (step,) = steps(tmp_path, '{ disconnect = true, message = "gone", times = 2 }')
    assert step == Failure("interrupted", "gone", None, 2)


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        ("unreachable", True),
        ("interrupted", True),
        ("rate_limited", True),
        ("server_failed", True),
        ("rejected", False),
        ("context_full", False),
    ],
)
def test_each_kind_of_error_is_retryable_or_not(kind: str, retryable: bool) -> None:
    error = Failure(kind, "so", 1500, 1).error()
    assert (error.message, error.retryable, error.retry_after_s) == ("so", retryable, 1.5)


def test_a_script_may_be_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "response = []\nloop = true") == Script((), loop=True)


WRONG = [
    ("", "", "the script must have an array of tables, `response`"),
    ("response = 1", "response", "must be an array of tables, not an integer"),
    ("response = [1]", "response[0]", "must be a table"),
    ("response = []\nloops = true", "loops", "known are response, loop, chunk, pace_ms"),
    ("response = []\nloop = 1", "loop", "must be true or false"),
    ("response = []\nchunk = -1", "chunk", "must be an integer, 0 or more"),
    ("response = []\npace_ms = true", "pace_ms", "must be an integer, 0 or more"),
    ("[[response]]", "response[0]", "one of text, reasoning, shell, call, item, delay_ms"),
    ("[[response]]\nsteps = 1", "response[0].steps", "must be an array of tables"),
    ("[[response]]\nsteps = [1]", "response[0].steps[0]", "must be a step: a table"),
    ("[[response]]\nsteps = []\ntext = 'a'", "response[0].text", "known are steps, usage"),
    ("[[response]]\ntext = 1", "response[0].text", "must be a string"),
    ("[[response]]\nusage = 1\ntext = ''", "response[0].usage", "must be a table"),
    ("[[response]]\nusage = 1\nsteps = []", "response[0].usage", "must be a table"),
    (
        "[[response]]\nusage = {input = 1}\ntext = ''",
        "response[0].usage.input",
        "known are input_tokens",
    ),
    ("[[response]]\nsteps = [{shel = []}]", "response[0].steps[0]", "must be a step"),
    (
        "[[response]]\nsteps = [{text = 'a'}, {text = 'b', shell = ['c']}]",
        "response[0].steps[1]",
        "must be a step",
    ),
    (
        "[[response]]\nsteps = [{text = 'a', pace = 1}]",
        "response[0].steps[0].pace",
        "known are text, repeat, chunk, pace_ms",
    ),
    ("[[response]]\nreasoning = [1]", "response[0].reasoning", "an array of strings"),
    ("[[response]]\nshell = [1]", "response[0].shell", "a string, or an array of strings"),
    ("[[response]]\nshell = []", "response[0].shell", "a string, or an array of strings"),
    ("[[response]]\nshell = ['a']\ntimeout = '1'", "response[0].timeout", "an integer"),
    ("[[response]]\ncall = 1", "response[0].call", "must be a string"),
    ("[[response]]\ncall = 'f'\narguments = 1", "response[0].arguments", "a table or a string"),
    ("[[response]]\nitem = {}", "response[0].item", "a table with a string `type`"),
    ("[[response]]\nitem = {type = ''}", "response[0].item", "a table with a string `type`"),
    ("[[response]]\nitem = 1", "response[0].item", "a table with a string `type`"),
    ("[[response]]\ndelay_ms = 1.5", "response[0].delay_ms", "an integer, 0 or more"),
    ("[[response]]\nerror = 'boom'", "response[0].error", "one of unreachable, interrupted"),
    ("[[response]]\nerror = []", "response[0].error", "one of unreachable, interrupted"),
    ("[[response]]\nerror = 'rejected'\ntimes = 0", "response[0].times", "1 or more"),
    ("[[response]]\ndisconnect = false", "response[0].disconnect", "must be true"),
]


@pytest.mark.parametrize(("toml", "key", "accepted"), WRONG)
def test_a_wrong_script_says_file_place_and_what_is_accepted(
    tmp_path: Path, toml: str, key: str, accepted: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, toml)
    file = str(tmp_path / "script.toml")
    assert raised.value.message.startswith(f"{file}: {key}")
    assert accepted in raised.value.message
    assert (raised.value.file, raised.value.key or "") == (file, key)


@pytest.mark.parametrize(
    ("name", "content"),
    [("s.toml", "response = ["), ("s.json", "{"), ("s.yaml", "response: []"), ("s.json", "[]")],
)
def test_a_file_that_is_no_script_is_named(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read(tmp_path, content, name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        read_script(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml: not UTF-8"):
        read_script(path)
