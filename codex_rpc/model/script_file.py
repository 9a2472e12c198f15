"""The file that the scripted model plays: its format, read and checked as a whole.

Owns the format and what is said of a file that has another. What comes out is a `script.Script`.

A script is a TOML file, or a JSON file of the same shape: a list of the model's responses, in
the order in which they are asked for. One user input takes one response, and one more after
each response that calls a tool.

    chunk = 12        # characters in a delta; 0: the whole text in one (default 12)
    pace_ms = 20      # pause before each delta (default 0)
    loop = false      # true: begin again at the end (default false)

    [[response]]
    usage = { input_tokens = 100, output_tokens = 20 }
    steps = [
      { reasoning = "They want to know what is here." },
      { text = "I will look." },
      { shell = ["ls", "-l"], workdir = "src" },
    ]

    [[response]]
    steps = [{ delay_ms = 500 }, { error = "rate_limited", retry_after_ms = 200 }]

    [[response]]
    text = "Two files."          # a response of one step needs no `steps`

A step is one of:

- `text`: a message of the assistant. Also `chunk`, `pace_ms`, and `repeat`: how many times the
  text is said.
- `reasoning`: a summary, a text or a list of texts. Also `chunk`, `pace_ms`.
- `shell`: a command, an argv list, or a string for `bash -lc`. Also the tool's own `workdir`,
  `timeout` (ms), `justification`, `with_escalated_permissions`.
- `call`: any function, by name. Also `arguments`: a table, or a string that is sent as it is.
- `item`: any response item, sent as it is; an `id`, and a `call_id` for a call, are filled in if
  they are missing.
- `delay_ms`: a pause.
- `error`: `unreachable`, `interrupted`, `rate_limited`, `server_failed` (these are retried),
  `rejected` or `context_full` (these are not). Also `message`, `retry_after_ms`, and `times`: how
  often it happens before the script goes on behind it (default 1).
- `disconnect = true`: the same as `error = "interrupted"`.

`usage` has `input_tokens`, `output_tokens`, and if wanted `total_tokens`, `cached_input_tokens`,
`reasoning_output_tokens`. Without it the response tells no token counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from codex_rpc.config.keys import COUNT, FLAG, POSITIVE, TEXT
from codex_rpc.config.schema import Key, Leaf, Node, Source, Table, check
from codex_rpc.model.script import (
    ERRORS,
    Failure,
    Output,
    Pause,
    Reasoning,
    Response,
    Script,
    Step,
    Text,
)
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.model import Usage

DEFAULT_CHUNK = 12


def read_script(path: Path) -> Script:
    """The script in a .toml or .json file.

    Raises:
        ConfigError: it cannot be read, or is no script; says where, and what is accepted.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise ConfigError(f"cannot read the script {path}: {reason}", file=str(path)) from exc
    return _script(_parse(path, text), _Place(Source(label=str(path), file=str(path))))


def _parse(path: Path, text: str) -> object:
    if path.suffix == ".toml":
        import tomllib

        parse: Callable[[str], object] = tomllib.loads
    elif path.suffix == ".json":
        parse = orjson.loads
    else:
        raise ConfigError(f"the script {path} has to be a .toml or a .json file", file=str(path))
    try:
        return parse(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(
            f"the script {path} is no {path.suffix[1:]}: {exc}", file=str(path)
        ) from exc


# The format. Objects of any shape are leaves: what is in them is the model's affair.

_TEXTS = Leaf(
    "a string, or an array of strings that is not empty",
    (str, list),
    valid=lambda v: bool(v) and all(isinstance(text, str) for text in v),
)
_ITEM = Leaf(
    "a table with a string `type`",
    (dict,),
    valid=lambda v: isinstance(v.get("type"), str) and bool(v["type"]),
)
_LIST = Leaf("an array of tables", (list,))
_PACE: dict[str, Node] = {"chunk": COUNT, "pace_ms": COUNT}
_ENDING: dict[str, Node] = {"message": TEXT, "retry_after_ms": COUNT, "times": POSITIVE}
_KIND = Leaf("one of " + ", ".join(ERRORS), (str,), valid=lambda v: v in ERRORS)

_SCRIPT = Table({"response": _LIST, "loop": FLAG, **_PACE})
_RESPONSE = Table({"steps": _LIST, "usage": Leaf("a table", (dict,))})
_USAGE = Table(
    {
        "input_tokens": COUNT,
        "output_tokens": COUNT,
        "total_tokens": COUNT,
        "cached_input_tokens": COUNT,
        "reasoning_output_tokens": COUNT,
    }
)
_STEPS = {
    "text": Table({"text": TEXT, "repeat": COUNT, **_PACE}),
    "reasoning": Table({"reasoning": _TEXTS, **_PACE}),
    "shell": Table(
        {
            "shell": _TEXTS,
            "workdir": TEXT,
            "timeout": COUNT,
            "justification": TEXT,
            "with_escalated_permissions": FLAG,
        }
    ),
    "call": Table({"call": TEXT, "arguments": Leaf("a table or a string", (dict, str))}),
    "item": Table({"item": _ITEM}),
    "delay_ms": Table({"delay_ms": COUNT}),
    "error": Table({"error": _KIND, **_ENDING}),
    "disconnect": Table({"disconnect": Leaf("true", (bool,), valid=bool), **_ENDING}),
}
"""What goes with each kind of step."""


@frozen
class _Place:
    """Where in which file something stands, for complaints."""

    source: Source
    key: Key = ()

    def at(self, *parts: str | int) -> _Place:
        return _Place(self.source, (*self.key, *parts))

    def wrong(self, message: str) -> ConfigError:
        if not self.key:
            return ConfigError(f"{self.source.label}: the script {message}", file=self.source.file)
        return self.source.error(self.key, message)

    def checked(self, table: Table, value: object) -> dict[str, Any]:
        """`value`, which fits `table`. Unlike a configuration, a script has no unknown keys."""
        if not isinstance(value, dict):
            raise self.wrong("must be a table")
        for unknown in check(table, value, self.source, self.key):
            accepted = ", ".join(table.keys)
            raise self.source.error(unknown.key, f"is not known here; known are {accepted}")
        return value


@frozen
class _Pace:
    """How texts are cut, and how fast they come, where a step says nothing."""

    chunk: int = DEFAULT_CHUNK
    pace_ms: int = 0

    def of(self, value: dict[str, Any]) -> _Pace:
        return _Pace(value.get("chunk", self.chunk), value.get("pace_ms", self.pace_ms))

    def cut(self, text: str) -> tuple[str, ...]:
        size = self.chunk or len(text) or 1
        return tuple(text[i : i + size] for i in range(0, len(text), size))


def _script(document: object, place: _Place) -> Script:
    value = place.checked(_SCRIPT, document)
    if "response" not in value:
        raise place.wrong("must have an array of tables, `response`")
    pace = _Pace().of(value)
    responses = (
        _response(response, place.at("response", i), pace)
        for i, response in enumerate(value["response"])
    )
    return Script(tuple(responses), value.get("loop", False))


def _response(value: object, place: _Place, pace: _Pace) -> Response:
    if isinstance(value, dict) and "steps" not in value:
        # A response of one step is that step.
        alone = {key: member for key, member in value.items() if key != "usage"}
        return Response((_step(alone, place, pace),), _usage(value, place))
    value = place.checked(_RESPONSE, value)
    steps = tuple(_step(step, place.at("steps", i), pace) for i, step in enumerate(value["steps"]))
    return Response(steps, _usage(value, place))


def _usage(response: dict[str, Any], place: _Place) -> Usage | None:
    if "usage" not in response:
        return None
    value = place.at("usage").checked(_USAGE, response["usage"])
    tokens_in, tokens_out = value.get("input_tokens", 0), value.get("output_tokens", 0)
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        total_tokens=value.get("total_tokens", tokens_in + tokens_out),
        cached_input_tokens=value.get("cached_input_tokens"),
        reasoning_output_tokens=value.get("reasoning_output_tokens"),
    )


def _step(value: object, place: _Place, pace: _Pace) -> Step:
    kinds = [kind for kind in _STEPS if isinstance(value, dict) and kind in value]
    if len(kinds) != 1:
        raise place.wrong(f"must be a step: a table with one of {', '.join(_STEPS)}")
    (kind,) = kinds
    step = place.checked(_STEPS[kind], value)
    pace = pace.of(step)
    match kind:
        case "text":
            return Text(pace.cut(step["text"] * step.get("repeat", 1)), pace.pace_ms)
        case "reasoning":
            parts = [step[kind]] if isinstance(step[kind], str) else step[kind]
            return Reasoning(tuple(map(pace.cut, parts)), pace.pace_ms)
        case "shell":
            command = step["shell"]
            argv = ["bash", "-lc", command] if isinstance(command, str) else command
            others = {key: member for key, member in step.items() if key != "shell"}
            return _function_call("shell", {"command": argv, **others})
        case "call":
            return _function_call(step["call"], step.get("arguments", {}))
        case "item":
            return Output(step["item"])
        case "delay_ms":
            return Pause(step["delay_ms"])
        case _:
            return _failure(step.get("error", "interrupted"), step)


def _function_call(name: str, arguments: str | dict[str, Any]) -> Step:
    if not isinstance(arguments, str):
        arguments = orjson.dumps(arguments).decode()
    return Output({"type": "function_call", "name": name, "arguments": arguments})


def _failure(kind: str, step: dict[str, Any]) -> Step:
    return Failure(
        kind,
        step.get("message", f"the script says: {kind.replace('_', ' ')}"),
        step.get("retry_after_ms"),
        step.get("times", 1),
    )
