"""A conversation as the Chat Completions API has it: items in, messages out, in order.

Owns the mapping. Nothing that was said or done is lost on the way but reasoning, which belongs
to the server that made it. What this API is strict about holds for every history: each call is
followed by one message with its output, and nothing stands between the two. A history that
grows changes nothing in the messages before the last one, so a server can use what it has
already worked out for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from attrs import define, field

from codex_rpc.protocol.items import CALL_OUTPUT_KINDS, INTERRUPTED_OUTPUT, Item

Message = dict[str, Any]
Part = dict[str, Any]

MAX_CALL_ID = 40
MAX_NAME = 64
"""What OpenAI accepts in a conversation, in characters."""

ORPHAN = "[output of an earlier tool call]"
"""What goes before an output whose call is not in the conversation any more."""


def messages_of(instructions: str, items: Sequence[Item]) -> Iterator[Message]:
    """The messages that `instructions` and `items` become.

    Neighbours of one role are joined, since some models' templates insist on turns that
    alternate; so a message is given when the next one begins.
    """
    pending = _Message("system", [instructions] if instructions else [])
    for message in _messages(items):
        if not pending.join(message):
            if not pending.is_empty:
                yield pending.value()
            pending = message
    if not pending.is_empty:
        yield pending.value()


@define
class _Message:
    """A message that may still grow."""

    role: str
    content: list[str | Part]
    """Texts, and parts that are none, in order."""
    more: Message = field(factory=dict)
    """Its other members."""

    @property
    def is_empty(self) -> bool:
        return not (self.content or self.more)

    def join(self, after: _Message) -> bool:
        """Take what `after` says into this message, if the two can be one."""
        # What has other members is never followed by its like: between calls are their outputs.
        if self.role != after.role:
            return False
        self.content += after.content
        self.more = after.more
        return True

    def value(self) -> Message:
        """What is sent."""
        return {"role": self.role, "content": self._content(), **self.more}

    def _content(self) -> str | list[Part] | None:
        texts = [part for part in self.content if isinstance(part, str)]
        if len(texts) < len(self.content):
            return [
                {"type": "text", "text": part} if isinstance(part, str) else part
                for part in self.content
            ]
        # An assistant that only calls says nothing, which is not the same as an empty text.
        return "\n\n".join(texts) if texts or "tool_calls" not in self.more else None


def _messages(items: Sequence[Item]) -> Iterator[_Message]:
    """One message for each item that has a place, calls with their outputs."""
    answers = _answers(items)
    answering = set(answers.values())
    is_first = True
    for n, item in enumerate(items):
        if item.kind == "message":
            message = _message(item.value(), is_first=is_first)
            is_first = message.role == "system"
            if not message.is_empty:
                yield message
        elif item.kind in CALL_OUTPUT_KINDS:
            answer = answers.get(n)
            yield from _call(item, n, None if answer is None else items[answer])
            is_first = False
        elif item.is_output and n not in answering:
            yield _Message("user", [ORPHAN, *_contents(_output_of(item), "\n")])
            is_first = False


def _answers(items: Sequence[Item]) -> dict[int, int]:
    """Which item answers which call, by their places: the first behind it that names it."""
    waiting: dict[str, list[int]] = {}
    answers: dict[int, int] = {}
    for n, item in enumerate(items):
        if item.is_call:
            assert item.call_id is not None
            waiting.setdefault(item.call_id, []).append(n)
        elif item.is_output and item.call_id is not None and (calls := waiting.get(item.call_id)):
            answers[calls.pop(0)] = n
    return answers


def _message(value: dict[str, Any], *, is_first: bool) -> _Message:
    role, content = value.get("role"), value.get("content")
    if role == "assistant":
        texts = "".join(part for part in _contents(content, "") if isinstance(part, str))
        return _Message("assistant", [texts] if texts else [])
    said = _contents(content, "\n\n")
    is_text = all(isinstance(part, str) for part in said)
    if role in ("developer", "system") and is_first and is_text:
        return _Message("system", said)
    # Many a template allows the system to speak only before all others.
    return _Message("user", said)


def _contents(content: Any, between: str) -> list[str | Part]:
    """The texts and the images of a list of parts, or of a plain text, without empty texts.

    Texts that nothing else separates become one, with `between` in between.
    """
    contents: list[str | Part] = []
    parts = [content] if isinstance(content, str) else content
    for part in parts if isinstance(parts, list) else ():
        said = part
        if isinstance(part, dict):
            said = part.get("text", part.get("refusal"))
            if isinstance(url := part.get("image_url"), str):
                contents.append({"type": "image_url", "image_url": {"url": url}})
        if not isinstance(said, str) or not said:
            continue
        if contents and isinstance(contents[-1], str):
            contents[-1] += between + said
        else:
            contents.append(said)
    return contents


# Calls.


def _call(call: Item, n: int, answer: Item | None) -> Iterator[_Message]:
    """The messages of the n-th item, a call, and of what answers it."""
    call_id = _short(call.call_id or f"call_{n}")
    name, arguments = _function(call.kind, call.value())
    function = {"name": name, "arguments": arguments}
    tool_call = {"id": call_id, "type": "function", "function": function}
    yield _Message("assistant", [], {"tool_calls": [tool_call]})
    said: list[str | Part] = [INTERRUPTED_OUTPUT]
    if answer is not None:
        said = _contents(_output_of(answer), "\n")
    images = [part for part in said if not isinstance(part, str)]
    text = "\n".join(part for part in said if isinstance(part, str))
    if images and not text:
        text = IMAGES_FOLLOW
    yield _Message("tool", [text], {"tool_call_id": call_id})
    if images:
        yield _Message("user", [IMAGES, *images])


IMAGES_FOLLOW = "[the image follows]"
"""A tool's message holds text only."""
IMAGES = "[image from the tool]"


def _short(call_id: str) -> str:
    """`call_id`, or what stands for it where OpenAI would refuse it.

    Other servers make longer ones, and a session can go on with another provider.
    """
    if len(call_id) <= MAX_CALL_ID:
        return call_id
    import hashlib

    return hashlib.sha256(call_id.encode()).hexdigest()[:MAX_CALL_ID]


def _function(kind: str, value: dict[str, Any]) -> tuple[str, str]:
    """A call's name and arguments, whatever kind of call it was."""
    if kind == "local_shell_call":
        action = value.get("action")
        given = action if isinstance(action, dict) else {}
        named = {_SHELL.get(key, key): said for key, said in given.items() if said is not None}
        named.pop("type", None)
        return "shell", orjson.dumps(named).decode()
    name = value.get("name")
    name = name if isinstance(name, str) and name else kind
    # A model can make up a name that OpenAI does not take back, in this request or any later one.
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:MAX_NAME]
    if kind == "custom_tool_call":
        return name, orjson.dumps({"input": value.get("input")}).decode()
    arguments = value.get("arguments")
    return name, whole_arguments(arguments if isinstance(arguments, str) else "")


_SHELL = {"working_directory": "workdir", "timeout_ms": "timeout"}
"""What the model's own shell tool calls what ours calls otherwise."""


def whole_arguments(text: str) -> str:
    """`text` if it is a JSON object. Some servers take it apart, and fail with anything else."""
    if is_object(text):
        return text
    return orjson.dumps({"arguments": text}).decode() if text.strip() else "{}"


def is_object(text: str) -> bool:
    """Whether `text` is a whole JSON object."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _output_of(item: Item) -> str | list[Any]:
    output = item.value().get("output")
    return output if isinstance(output, str | list) else orjson.dumps(output).decode()
