"""A model server over HTTP: one request, one stream of server-sent events.

Owns the connection and the task that reads ahead. What is said and what is understood is the
dialect's, what failures mean is `errors`', and what is known of a model's size `windows`'.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio
import orjson
from anyio import to_thread
from anyio.lowlevel import checkpoint

from codex_rpc.config.settings import Config
from codex_rpc.model.advice import Asked
from codex_rpc.model.complaints import Complaint
from codex_rpc.model.connections import map_exceptions
from codex_rpc.model.dialect import Body, Dialect, Reader
from codex_rpc.model.errors import http_error
from codex_rpc.model.http_request import endpoint, headers
from codex_rpc.model.limits import ask_models
from codex_rpc.model.opening import close, open_http
from codex_rpc.model.preload import preload
from codex_rpc.model.read_ahead import EVENTS_PER_CHECKPOINT, ReadAhead
from codex_rpc.model.windows import Windows
from codex_rpc.protocol.errors import ModelError, ModelRejected, StreamInterrupted
from codex_rpc.protocol.model import ModelEvent, Prompt

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 20.0
KEEP_ALIVE_S = 30.0
"""How long an idle connection is kept for the next request."""
MAX_ERROR_BYTES = 64 * 1024
ERROR_BODY_S = 5.0
"""How long the text of an error may take to come; what is there by then is used."""
DRAIN_S = 0.05
"""How long a complete response may take to end formally, so that its connection can be reused."""
CLOSE_S = 1.0
MAX_EVENT_CHARS = 64 * 1024 * 1024
"""Of what comes before an event is whole; a line without an end must not fill the memory."""
MAX_ANSWER_CHARS = 512 * 1024 * 1024
"""Of all events of one answer, which may be gathered before anything is said of them."""
FINISHED_S = 5.0
"""How long the cost of an answer that is whole may take to come."""

LONG_BYTES = 256 * 1024
"""A longer conversation is not made into a request between two events of the loop."""


class HttpModel:
    """A provider that is asked over HTTP. To be used from one event loop."""

    def __init__(
        self,
        config: Config,
        dialect: Dialect,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connects to nothing and imports nothing. `transport` replaces the network."""
        self._config = config
        self._provider = config.provider
        self._dialect = dialect
        self._url = endpoint(config.provider, dialect.path)
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._opening = anyio.Lock()
        self._windows = Windows(config)

    def context_window(self, model: str) -> int:
        """Of `model`, in tokens: configured, else told, else known, else assumed."""
        return self._windows.of(model)

    @property
    def stores_responses(self) -> bool:
        """Whether `previous_response_id` may be used instead of sending everything."""
        return (
            self._dialect.stores_responses
            and self._provider.id == "openai"
            and not self._config.disable_response_storage
        )

    @property
    def max_retries(self) -> int:
        """How many times the turn may try again after retryable errors."""
        return self._provider.max_retries

    async def prepare(self) -> None:
        """Do now what the first request would have to wait for. Idempotent; does not raise."""
        model = self._config.model
        try:
            await self._windows.ask_ahead(await self._client(self._asked(model)), model)
        except ModelRejected:
            # The first request meets the same error, and whoever makes it can tell the user.
            return

    async def models(self) -> Sequence[str]:
        """The names of what the server offers to talk to; (): it does not tell."""
        try:
            http = await self._client(self._asked(self._config.model))
        except ModelRejected:
            return ()
        return await ask_models(http, self._provider)

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncGenerator[AsyncIterator[ModelEvent]]:
        """Ask the model once; see the port for what is promised.

        Raises (from entering or from iterating):
            ModelError: `retryable` says whether the same prompt may be tried again.
        """
        asked = self._asked(prompt.model, continues=prompt.previous_response_id is not None)
        http = await self._client(asked)
        await self._windows.ask(http, prompt.model)
        response = await self._send(http, prompt, asked)
        try:
            await _refuse_all_but_events(response, asked)
            self._windows.answered(prompt.model)
            async with _read_ahead(response, self._dialect.reader(asked), asked) as events:
                if (notice := self._windows.notice(prompt.model)) is not None:
                    events.put((notice,), 0)
                yield events
        finally:
            with anyio.move_on_after(CLOSE_S, shield=True):
                await close(response)

    async def aclose(self) -> None:
        """Close idle connections. Idempotent; streams must have ended."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def _asked(self, model: str, *, continues: bool = False) -> Asked:
        return Asked(
            provider=self._provider,
            model=model,
            path=self._dialect.path,
            codex_home=self._config.codex_home,
            continues=continues,
        )

    async def _send(self, http: httpx.AsyncClient, prompt: Prompt, asked: Asked) -> httpx.Response:
        body = await self._body(prompt)
        said = headers(self._provider, self._dialect.headers, prompt.session_id, body.length)
        with map_exceptions(asked):
            request = http.build_request("POST", self._url, headers=said, content=body)
            return await http.send(request, stream=True)

    async def _body(self, prompt: Prompt) -> Body:
        size = 0
        for item in prompt.input:
            size += len(item.raw)
            if size > LONG_BYTES:
                make = self._dialect.body
                return await to_thread.run_sync(make, self._config, prompt, abandon_on_cancel=True)
        return self._dialect.body(self._config, prompt)

    async def _client(self, asked: Asked) -> httpx.AsyncClient:
        async with self._opening:
            if self._http is None:
                # In a thread: imports and certificates take some 0.1 s.
                self._http = await to_thread.run_sync(self._open, asked, abandon_on_cancel=True)
            return self._http

    def _open(self, asked: Asked) -> httpx.AsyncClient:
        preload()
        import httpx

        idle_s = self._provider.stream_idle_timeout_ms / 1000
        return open_http(
            asked,
            timeout=httpx.Timeout(idle_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            transport=self._transport,
        )


async def _refuse_all_but_events(response: httpx.Response, asked: Asked) -> None:
    """Raise a ModelError unless `response` is a stream of server-sent events."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code == 200 and kind in ("", "text/event-stream"):
        response.headers["content-type"] = "text/event-stream"
        return
    body = await _beginning(response)
    if response.status_code != 200:
        raise http_error(response.status_code, response.headers, body, asked)
    try:
        complaint = Complaint.from_value(orjson.loads(body))
    except orjson.JSONDecodeError:
        complaint = None
    if complaint is not None:
        raise http_error(complaint.status or 400, response.headers, body, asked)
    raise ModelRejected(
        f"{asked.url}{asked.path} answered with {kind}, not with a stream of events;"
        f" check base_url of [model_providers.{asked.provider.id}]",
        status=response.status_code,
    )


async def _beginning(response: httpx.Response) -> bytes:
    """What an error's body says, as far as it can be had."""
    import httpx

    body = b""
    try:
        with anyio.move_on_after(ERROR_BODY_S):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= MAX_ERROR_BYTES:
                    break
    except httpx.RequestError:
        # The status has been told; a text that breaks off is quoted as far as it goes.
        pass
    return body[:MAX_ERROR_BYTES]


@asynccontextmanager
async def _read_ahead(
    response: httpx.Response, reader: Reader, asked: Asked
) -> AsyncGenerator[ReadAhead]:
    """The events of `response`, read by a task of their own while the caller is busy."""
    events = ReadAhead()
    reader_done = anyio.Event()
    # Ended by this scope, and by no other one: a cancellation that a task ends with is kept by its
    # own traceback, and with it all that was sent, until garbage happens to be looked for.
    reading = anyio.CancelScope(shield=True)

    async def read() -> None:
        with reading:
            await _read(response, reader, asked, events)
        reader_done.set()

    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            try:
                yield events
                if events.completed:
                    with anyio.move_on_after(DRAIN_S):
                        await reader_done.wait()
            finally:
                reading.cancel()
    except BaseExceptionGroup as raised:
        # The reader hands its errors to the caller, so this is the caller's own exception,
        # wrapped by the group. It is raised below, where it gets no context.
        if len(raised.exceptions) > 1:
            raise
        failure = raised.exceptions[0]
    if failure is not None:
        try:
            raise failure
        finally:
            # It would hold itself, through this frame in its traceback.
            failure = None


class _Bounded:
    """What `EventSource` uses of a response, up to a limit."""

    def __init__(self, response: httpx.Response) -> None:
        self.headers = response.headers
        self.pending = 0
        """Characters since the last event."""
        self._response = response

    async def aiter_text(self) -> AsyncIterator[str]:
        """The body.

        Raises:
            ModelRejected: it does not seem to end.
        """
        total = 0
        async for text in self._response.aiter_text():
            self.pending += len(text)
            total += len(text)
            if self.pending > MAX_EVENT_CHARS or total > MAX_ANSWER_CHARS:
                raise ModelRejected("the answer of the server is too long to be one")
            yield text


async def _read(response: httpx.Response, reader: Reader, asked: Asked, events: ReadAhead) -> None:
    from httpx_sse import EventSource

    response.encoding = "utf-8"
    read = 0
    try:
        try:
            with map_exceptions(asked), anyio.CancelScope() as patience:
                bounded = _Bounded(response)
                source = EventSource(cast("httpx.Response", bounded))
                async with aclosing(source.aiter_sse()) as messages:
                    async for message in messages:
                        bounded.pending = 0
                        read += 1
                        if read % EVENTS_PER_CHECKPOINT == 0:
                            await checkpoint()
                        # Whatever follows a complete response is read only to be rid of it.
                        if events.completed:
                            continue
                        events.put(reader.read(message.data), len(message.data))
                        if reader.completed:
                            events.end()
                        elif events.full:
                            patience.deadline = math.inf
                            await events.room()
                        if reader.finished:
                            patience.deadline = anyio.current_time() + FINISHED_S
        except StreamInterrupted as exc:
            # To ask again for an answer that is whole would only bring another one. What has a
            # cause comes from the connection; what the server says of its answer counts.
            if exc.__cause__ is None or not reader.finished:
                raise
        if not events.completed:
            events.put(reader.end(), 0)
            events.end()
    except ModelError as exc:
        events.end(exc)
