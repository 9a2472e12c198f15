"""How much of what grows has been told, so that at its end the rest is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from codex_rpc.acp.content import shortened
from codex_rpc.protocol.model import UNNAMED

TAIL = 64
"""Characters of what was streamed that are compared with what was recorded."""


Kind = Literal["message", "reasoning"]


def item_name(index: int) -> str:
    """The message id of an item that brings none: its place in the session, counted from 0."""
    return f"item-{index}"


class Names:
    """The message ids of what grows: those of the items that it becomes.

    Chat Completions knows no items, so there they go by their place, which is known beforehand:
    items are recorded in the order in which they began to grow.
    """

    def __init__(self, count: int, have_ids: Callable[[], bool]) -> None:
        """`count`: how many items the session has; `have_ids`: whether the server names items."""
        self._count = count
        self._have_ids = have_ids
        self._growing: dict[tuple[Kind, str], str] = {}
        """By kind and by what the session calls it; the first to begin comes first."""
        self._whole: set[tuple[Kind, str]] = set()
        """Those of them that are recorded."""
        self._last: dict[Kind, int] = {}
        """The place of the item that was recorded last, if nothing of it had been told."""
        self._believed: set[str] = set()
        """Names of the server's that have been told since the last item was recorded."""
        self._believed_before: set[str] = set()
        """Those that were told before it: one of them may be its own."""
        self._void: Counter[int] = Counter()
        """How often something began to grow in a place and came to nothing."""

    def of(self, kind: Kind, item_id: str) -> str:
        """For what the session calls `item_id`."""
        is_believed = item_id in self._believed or item_id in self._believed_before
        is_name = item_id and not item_id.startswith(UNNAMED) and self._have_ids()
        if is_believed or (is_name and kind not in self._last):
            self._believed.add(item_id)
            return item_id
        key = kind, item_id
        name = self._growing.get(key)
        if name is None:
            place = self._last.pop(kind, None)
            if place is None:
                place = self._count + len(self._growing) - len(self._whole)
            else:
                self._whole.add(key)
            before = self._void[place]
            name = item_name(place) if not before else f"{item_name(place)}~{before}"
            self._growing[key] = name
        return name

    def recorded(self, kind: Kind | None, *, has_id: bool = False) -> None:
        """An item has been recorded, None: one that never grew; `has_id`: it brings a name. What is
        said of it comes before the next one."""
        for key in self._whole:
            del self._growing[key]
        self._whole.clear()
        self._last.clear()
        self._believed, self._believed_before = set(), self._believed
        if kind is not None and not has_id:
            first = next((key for key in self._growing if key[0] == kind), None)
            if first is None:
                self._last[kind] = self._count
            else:
                self._whole.add(first)
        self._count += 1

    def forget(self) -> None:
        """What has grown and is not recorded came to nothing."""
        for place in range(len(self._growing) - len(self._whole)):
            self._void[self._count + place] += 1
        self._growing.clear()
        self._whole.clear()
        self._last.clear()


class Growing:
    """Messages of which some has been told: how many characters of each."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def more(self, message_id: str, text: str) -> None:
        """`text` is told."""
        self._told[message_id] = self._told.get(message_id, 0) + len(text)

    def rest(self, message_id: str, whole: str) -> str:
        """What of the whole message was not told."""
        return whole[self._told.pop(message_id, 0) :]

    def forget(self) -> None:
        """What was told of messages that are not whole is void."""
        self._told.clear()


class Output:
    """The output of a running command, as far as it was told: how much, and its end."""

    def __init__(self) -> None:
        self._told = 0
        self._tail = ""

    def more(self, text: str) -> None:
        """`text` is told."""
        self._told += len(text)
        self._tail = (self._tail + text)[-TAIL:]

    def rest(self, recorded: str) -> str:
        """What is recorded behind what was told; "" if that is not found."""
        if not self._told:
            return shortened(recorded)
        end = self._told
        if recorded[max(0, end - len(self._tail)) : end] != self._tail:
            # Of a long output the middle is not recorded, and of two runs only the second.
            end = recorded.rfind(self._tail) + len(self._tail)
            if end < len(self._tail):
                return ""
        return recorded[end:]
