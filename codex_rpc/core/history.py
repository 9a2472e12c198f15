"""The conversation as one list of items, and the prompt derived from it.

Owns which items the model server has already seen (`previous_response_id`), which calls
still wait for an output, and the uniqueness of call ids. Records nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from codex_rpc.protocol.ids import CallId
from codex_rpc.protocol.items import CALL_OUTPUT_KINDS, Item, summary_message
from codex_rpc.protocol.records import CompactedRecord, StateRecord

BYTES_PER_TOKEN = 4
"""A guess, where no server has counted."""


class History:
    """Items in the order in which they happened."""

    def __init__(
        self,
        items: list[Item] | None = None,
        *,
        previous_response_id: str | None = None,
        seen_item_count: int = 0,
        items_before: int = 0,
        call_id_suffix: str = "",
    ) -> None:
        self._items = items if items is not None else []
        self._before = items_before
        self._is_summarised = items_before > 0
        self._call_ids: set[str] = set()
        self._call_id_suffix = call_id_suffix
        self._open: dict[CallId, Item] = {}
        for item in self._items:
            if item.call_id is not None:
                self._track(item, item.call_id)
        self._previous_response_id = previous_response_id
        self._seen_count = seen_item_count if previous_response_id else 0
        self._late: list[Item] = []
        self._request_start = len(self._items)
        self._counted_tokens = 0
        self._measured_items = 0
        self._uncounted_bytes = 0
        """Of the items that are measured, those that no server has counted."""

    def __len__(self) -> int:
        """How many items the session has, those that a summary stands for included."""
        return self._before + len(self._items) - self._is_summarised

    @property
    def items(self) -> Sequence[Item]:
        """What the model is sent, a summary in front if there is one; not to be changed."""
        return self._items

    def open_calls(self) -> list[Item]:
        """The calls that have no output yet, in order."""
        return list(self._open.values())

    def with_unique_call_id(self, call: Item) -> Item:
        """`call`, under another id if the model may have used its id before.

        `#` is for questions about a call: an id of the model's own must not look like one.
        """
        if call.call_id is None:
            return call
        call_id = base = call.call_id.replace("#", "-") + self._call_id_suffix
        n = 1
        while call_id in self._call_ids:
            n += 1
            call_id = f"{base}-{n}"
        return call if call_id == call.call_id else call.with_call_id(CallId(call_id))

    def add(self, item: Item) -> None:
        """Append what has just happened."""
        self._items.append(item)
        if item.call_id is not None:
            self._track(item, item.call_id)

    def _track(self, item: Item, call_id: CallId) -> None:
        if item.kind in CALL_OUTPUT_KINDS:
            self._call_ids.add(call_id)
            self._open[call_id] = item
        elif item.is_output:
            self._open.pop(call_id, None)

    # What the server has seen.

    def prompt(
        self,
        injected: Sequence[Item],
        *,
        continues: bool,
        note: tuple[int, Item] | None = None,
    ) -> tuple[str | None, Sequence[Item]]:
        """The next request's `previous_response_id` and input.

        `injected` goes before everything, or is left out where the server has it already.
        `continues` says whether the provider can continue a stored response. A `note` goes
        before the item of its index.
        """
        self._request_start = len(self._items)
        if continues and self._previous_response_id is not None:
            unseen = self._from(self._seen_count, note)
            return self._previous_response_id, [*self._late, *unseen]
        return None, [*injected, *self._from(0, note)]

    def _from(self, start: int, note: tuple[int, Item] | None) -> Sequence[Item]:
        if note is None or note[0] < start:
            return self._items[start:]
        index, item = note
        return [*self._items[start:index], item, *self._items[index:]]

    def response_completed(self, response_id: str | None) -> StateRecord | None:
        """The server has seen this request's input and made what was added since.

        Outputs of calls that ran while the response streamed are ours, not the server's: they
        are still to be sent. A state record could not say so, since it stands after them in
        the file; so there is none then, and a resume sends from the state before.
        """
        if response_id is None:
            return None
        self._late = [i for i in self._items[self._request_start :] if i.is_output]
        self._seen_count = len(self._items)
        self._previous_response_id = response_id
        return None if self._late else StateRecord(response_id)

    def count(self, tokens: int) -> None:
        """The last request and its response have so many tokens, as the server counted them."""
        self._counted_tokens = tokens
        self._measured_items = len(self._items)
        # These were made while the response streamed, and are no part of it.
        outputs = (i for i in self._items[self._request_start :] if i.is_output)
        self._uncounted_bytes = sum(len(item.raw) for item in outputs)

    @property
    def tokens(self) -> int:
        """How many tokens the next request has, about: counted as far as a server has counted,
        guessed from there on."""
        new = self._items[self._measured_items :]
        self._measured_items += len(new)
        self._uncounted_bytes += sum([len(item.raw) for item in new])
        return self._counted_tokens + self._uncounted_bytes // BYTES_PER_TOKEN

    def compact(self, summary: str) -> CompactedRecord:
        """Have `summary` stand for everything so far; the record that says so."""
        record = CompactedRecord(summary, replaces=len(self))
        self._before = record.replaces
        self._is_summarised = True
        # A new list: a request that is under way looks at the old one.
        self._items = [summary_message(summary)]
        self._previous_response_id = None
        self._seen_count = 0
        self._late = []
        self._request_start = len(self._items)
        self._counted_tokens = self._measured_items = self._uncounted_bytes = 0
        return record

    def forget_response(self) -> StateRecord | None:
        """From now on everything is sent; the record that says so, if anything changed."""
        if self._previous_response_id is None:
            return None
        self._previous_response_id = None
        self._seen_count = 0
        self._late = []
        return StateRecord(None)
