"""What passes between the session loop and a model: a prompt in, a stream of events out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SessionId
from codex_rpc.protocol.items import Item

UNNAMED = "item_"
"""How the ids of items begin that the server has not named."""

StopReason = Literal["max_tokens", "refusal", "max_turn_requests"]
"""Why a model that was not interrupted said less than it might have."""


@frozen
class Prompt:
    """One request to a model; the client turns it into its provider's dialect."""

    instructions: str
    """The system prompt."""
    input: Sequence[Item]
    """The conversation, injected messages included, in order; not to be changed."""
    tools: Sequence[dict[str, Any]]
    """Tool definitions in the Responses API's form."""
    model: str
    session_id: SessionId
    effort: str | None = None
    """Reasoning effort; None leaves it to the server."""
    summary: str | None = None
    """Reasoning summary; None or "none" asks for none."""
    previous_response_id: str | None = None
    """The response that `input` continues; None: `input` is everything."""
    store: bool = False
    """Whether the server is to keep the response, so that a later one may continue it."""


@frozen
class Usage:
    """Tokens that one response cost, as the server counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


@frozen
class TextDelta:
    """A piece of an answer's text."""

    item_id: str
    delta: str


@frozen
class ReasoningDelta:
    """A piece of part `part` (counted from 0) of a reasoning summary."""

    item_id: str
    part: int
    delta: str


@frozen
class ItemDone:
    """An output item is final."""

    item: Item
    item_id: str = ""
    """What its deltas were called; `""`: by the item's own id, if it has one."""


@frozen
class ResponseCompleted:
    """The response is complete; nothing follows."""

    response_id: str | None
    usage: Usage | None
    is_cut_off: bool = False
    """It reached the largest number of output tokens."""


@frozen
class ModelNotice:
    """Something the user may want to know, such as a model without known limits."""

    message: str


ModelEvent = TextDelta | ReasoningDelta | ItemDone | ResponseCompleted | ModelNotice
