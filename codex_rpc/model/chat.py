"""The Chat Completions API, which nearly every server speaks."""

from __future__ import annotations

from codex_rpc.model.chat_events import ChatEvents
from codex_rpc.model.chat_request import ChatBody
from codex_rpc.model.dialect import Dialect

CHAT = Dialect(path="/chat/completions", body=ChatBody, reader=ChatEvents)
