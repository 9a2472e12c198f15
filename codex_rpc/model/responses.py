"""The Responses API."""

from __future__ import annotations

from codex_rpc.model.dialect import Dialect
from codex_rpc.model.responses_events import ResponseEvents
from codex_rpc.model.responses_request import ResponsesBody

RESPONSES = Dialect(
    path="/responses",
    body=ResponsesBody,
    reader=ResponseEvents,
    headers={"openai-beta": "responses=experimental"},
    stores_responses=True,
)
