"""What tells one way of speaking to a model server from another.

Owns the shapes that a dialect fits. A new one is a module with a `Dialect` in it, and a line in
`registry`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

from attrs import field

from codex_rpc.config.settings import Config
from codex_rpc.model.advice import Asked
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.model import ModelEvent, Prompt


class Body(Protocol):
    """A request's body; iterating gives its bytes in chunks, any number of times."""

    @property
    def length(self) -> int:
        """In bytes."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Reader(Protocol):
    """Reads one response. Does no I/O: it is fed the `data` of one server-sent event after the
    other."""

    @property
    def completed(self) -> bool:
        """Whether `ResponseCompleted` was among the events; nothing counts after it."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the answer is whole, and what may still come, such as its cost, is no part of
        it: then `end` says the rest, however the input ends."""
        ...

    def read(self, data: str) -> Sequence[ModelEvent]:
        """What `data` says, mostly one event or none.

        Raises:
            ModelError: the server says that the response has failed.
        """
        ...

    def end(self) -> Sequence[ModelEvent]:
        """What is left to say when the input has ended.

        Raises:
            ModelError: the response is not complete.
        """
        ...


@frozen(kw_only=True)
class Dialect:
    """One way of speaking."""

    path: str
    """Behind the provider's `base_url`."""
    body: Callable[[Config, Prompt], Body]
    reader: Callable[[Asked], Reader]
    headers: Mapping[str, str] = field(factory=dict)
    """What each request says besides; names in lower case."""
    stores_responses: bool = False
    """Whether `previous_response_id` exists."""
