"""Driving a session through its public door: submit, and the events that come out."""

from __future__ import annotations

from typing import Any, TypeVar

import anyio

from codex_rpc.core.session import Session
from codex_rpc.protocol.events import Error as ErrorEvent
from codex_rpc.protocol.events import Event, TaskComplete, TurnAborted
from codex_rpc.protocol.ops import TextInput, UserInput

T = TypeVar("T")


def says(text: str) -> UserInput:
    """The op of a user who writes `text`."""
    return UserInput([TextInput(text)])


async def next_of(session: Session, kind: type[T], seen: list[Event] | None = None) -> T:
    """The next event of a kind; what comes before it is added to `seen`."""
    with anyio.fail_after(5):
        while True:
            event = await session.events.next()
            if seen is not None:
                seen.append(event)
            if isinstance(event.msg, kind):
                return event.msg


async def until_closing(session: Session) -> list[Event]:
    """Events up to and with the next turn's closing."""
    events: list[Event] = []
    with anyio.fail_after(5):
        while True:
            event = await session.events.next()
            events.append(event)
            if isinstance(event.msg, TaskComplete | TurnAborted | ErrorEvent):
                return events


def types(events: list[Event]) -> list[str]:
    """The events' types, in order."""
    return [event.msg.type for event in events]


def messages(events: list[Event], kind: type[T]) -> list[T]:
    """The bodies of a kind."""
    return [event.msg for event in events if isinstance(event.msg, kind)]


def as_text(value: Any) -> str:
    """All text of a message item."""
    return "".join(part.get("text", "") for part in value["content"])
