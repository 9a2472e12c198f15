"""What a script tells the scripted model to do, as values.

Owns the steps and the order of responses. How they are written down is `script_file`'s, how
they are played is `scripted`'s.
"""

from __future__ import annotations

from typing import Any

from codex_rpc.protocol.errors import (
    ContextFull,
    ModelError,
    ModelRejected,
    ModelUnreachable,
    RateLimited,
    ServerFailed,
    StreamInterrupted,
)
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.model import Usage

ERRORS: dict[str, type[ModelError]] = {
    "unreachable": ModelUnreachable,
    "interrupted": StreamInterrupted,
    "rate_limited": RateLimited,
    "server_failed": ServerFailed,
    "rejected": ModelRejected,
    "context_full": ContextFull,
}
"""What a script can make happen, by the name that it has there."""


@frozen
class Text:
    """A message; `pieces` are its deltas."""

    pieces: tuple[str, ...]
    pace_ms: int


@frozen
class Reasoning:
    """A summary; `parts` are the deltas of each of its parts."""

    parts: tuple[tuple[str, ...], ...]
    pace_ms: int


@frozen
class Output:
    """An item that comes in one piece: a call, or whatever the script gives."""

    value: dict[str, Any]


@frozen
class Pause:
    """Nothing, for a while."""

    ms: int


@frozen
class Failure:
    """The response ends here, `times` times."""

    kind: str
    message: str
    retry_after_ms: int | None
    times: int

    def error(self) -> ModelError:
        """A new exception of the scripted kind."""
        error = ERRORS[self.kind](self.message)
        if self.retry_after_ms is not None:
            error.retry_after_s = self.retry_after_ms / 1000
        return error


Step = Text | Reasoning | Output | Pause | Failure

GIVES_ITEM = (Text, Reasoning, Output)
"""The steps that complete an item."""


@frozen
class Response:
    """One answer of the model."""

    steps: tuple[Step, ...]
    usage: Usage | None = None


_ENDED = Response((Text(("The script has ended.",), 0),))


@frozen
class Script:
    """What the model will say."""

    responses: tuple[Response, ...]
    loop: bool = False

    def response(self, number: int) -> Response:
        """The `number`-th response, counted from 1; there is one for every number."""
        if number <= len(self.responses):
            return self.responses[number - 1]
        if self.loop and self.responses:
            return self.responses[(number - 1) % len(self.responses)]
        return _ENDED
