"""A model that plays a file: for demonstrations, for tests of editors, for users' own tests.

Owns where in the script a conversation stands, and the playing. What a script is, is
`script`'s; how it is written down, `script_file`'s.

Everything that is played carries its place: the item of step k of response n has the id
`msg_<n>_<k>` (`rs_` for reasoning, `fc_` for calls, `item_` for others) and a call the call id
`call_<n>_<k>`, both counted from 1; with `loop` the n goes on counting. So the conversation
itself says where the script stands, and after the process was killed and the session resumed
the script goes on where it was:

- The next step is the one after the last played item in the prompt; without any, the first.
- So a response of which no item was completed is played again from its beginning, and one that
  was stopped between two of its items is continued with the second.
- A response of which no further item is left is over, whatever pauses or errors follow the last.
- An error happens `times` times in a process, then the script goes on behind it. A client also
  remembers how far a session has come, for responses without items, and for conversations
  from which played items have been compacted away.
- An item of the script that brings its own `id` marks no place.
- Behind the last response every answer is the text "The script has ended.".
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint

from codex_rpc.config.settings import Config
from codex_rpc.model.script import (
    GIVES_ITEM,
    Failure,
    Output,
    Pause,
    Reasoning,
    Script,
    Text,
)
from codex_rpc.model.script_file import read_script
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import CALL_OUTPUT_KINDS, Item
from codex_rpc.protocol.model import (
    ItemDone,
    ModelEvent,
    Prompt,
    ReasoningDelta,
    ResponseCompleted,
    TextDelta,
)

Place = tuple[int, int]
"""A response and a step of it, counted from 1."""

START: Place = (1, 1)

_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}
_PLACE = re.compile(rb'"id":"(?:msg|rs|fc|item)_(\d+)_(\d+)"')
_DELTAS_PER_CHECKPOINT = 64


class ScriptedModel:
    """Plays one script, for any number of sessions."""

    def __init__(self, config: Config, script: Script) -> None:
        self._config = config
        self._script = script
        self._reached: dict[SessionId, Place] = {}
        self._failures: dict[tuple[SessionId, Place], int] = {}

    @classmethod
    def from_config(cls, config: Config) -> ScriptedModel:
        """The model of `[model_providers.scripted]`.

        Raises:
            ConfigError: there is no script, or none that can be played.
        """
        path = config.provider.script
        if path is None:
            file, key = str(config.codex_home / "config.toml"), "model_providers.scripted.script"
            raise ConfigError(
                f"{file}: {key}: expected the absolute path of a .toml or .json script",
                file=file,
                key=key,
            )
        return cls(config, read_script(path))

    def context_window(self, model: str) -> int | None:  # noqa: ARG002 - a script has no limits
        """As configured, in tokens."""
        return self._config.model_context_window

    @property
    def stores_responses(self) -> bool:
        """False: the conversation is what says where the script stands."""
        return False

    @property
    def max_retries(self) -> int:
        """How many times the turn may try again after retryable errors."""
        return self._config.provider.max_retries

    async def prepare(self) -> None:
        """Nothing has to be loaded."""

    async def models(self) -> Sequence[str]:
        """A script asks nobody which model it plays."""
        return ()

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncGenerator[AsyncIterator[ModelEvent]]:
        """Play what comes next.

        Raises (from iterating):
            ModelError: the script says so.
        """
        async with aclosing(self._play(prompt)) as events:
            yield events

    async def aclose(self) -> None:
        """Nothing is held open."""

    async def _play(self, prompt: Prompt) -> AsyncGenerator[ModelEvent]:
        session_id = prompt.session_id
        number, first = self._next(prompt)
        response = self._script.response(number)
        for k, step in enumerate(response.steps[first - 1 :], first):
            await checkpoint()
            place = (number, k)
            match step:
                case Pause():
                    await anyio.sleep(step.ms / 1000)
                case Failure():
                    self._count_failure(session_id, place, step)
                    raise step.error()
                case Text():
                    for i, delta in enumerate(step.pieces):
                        await _pace(i, step.pace_ms)
                        yield TextDelta(_id("message", place), delta)
                    yield ItemDone(_message("".join(step.pieces), place))
                case Reasoning():
                    for part, pieces in enumerate(step.parts):
                        for i, delta in enumerate(pieces):
                            await _pace(i, step.pace_ms)
                            yield ReasoningDelta(_id("reasoning", place), part, delta)
                    yield ItemDone(_summary(["".join(pieces) for pieces in step.parts], place))
                case Output():
                    yield ItemDone(_item(step, place))
        self._reached[session_id] = (number + 1, 1)
        yield ResponseCompleted(f"resp_{number}", response.usage)

    def _next(self, prompt: Prompt) -> Place:
        """Where to go on; see the module's docstring."""
        played = _last_played(prompt.input)
        place = START if played is None else (played[0], played[1] + 1)
        number, first = max(place, self._reached.get(prompt.session_id, START))
        left = self._script.response(number).steps[first - 1 :]
        if first > 1 and not any(isinstance(step, GIVES_ITEM) for step in left):
            return (number + 1, 1)
        return (number, first)

    def _count_failure(self, session_id: SessionId, place: Place, step: Failure) -> None:
        key = (session_id, place)
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] >= step.times:
            self._reached[session_id] = (place[0], place[1] + 1)


def _last_played(items: Sequence[Item]) -> Place | None:
    for item in reversed(items):
        # Outputs and users' texts can quote an id, but not as a member of theirs; a string's
        # quotation marks are escaped.
        found = None if item.is_output else _PLACE.search(item.raw)
        if found is not None:
            return int(found[1]), int(found[2])
    return None


def _id(kind: str, place: Place) -> str:
    return f"{_PREFIXES.get(kind, 'item')}_{place[0]}_{place[1]}"


async def _pace(i: int, pace_ms: int) -> None:
    if pace_ms:
        await anyio.sleep(pace_ms / 1000)
    elif i % _DELTAS_PER_CHECKPOINT == 0:
        await checkpoint()


def _message(text: str, place: Place) -> Item:
    content = [{"type": "output_text", "text": text}]
    return Item.from_value(
        {"type": "message", "id": _id("message", place), "role": "assistant", "content": content}
    )


def _summary(parts: Sequence[str], place: Place) -> Item:
    summary = [{"type": "summary_text", "text": part} for part in parts]
    return Item.from_value({"type": "reasoning", "id": _id("reasoning", place), "summary": summary})


def _item(step: Output, place: Place) -> Item:
    kind = step.value["type"]
    value = {"type": kind, "id": _id(kind, place)}
    if kind in CALL_OUTPUT_KINDS:
        value["call_id"] = "call_{}_{}".format(*place)
    return Item.from_value(value | step.value)
