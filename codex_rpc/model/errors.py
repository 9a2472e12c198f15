"""What a model server's refusals mean, told as `ModelError`s.

Owns the meaning of status codes, error codes and words, and with `advice` the text that the user
reads. It knows neither the request's content nor how it was sent. A server's own message is
quoted, one line of at most 500 characters, without our key should it be in there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codex_rpc.model import advice, wordings
from codex_rpc.model.advice import Asked, told
from codex_rpc.model.complaints import Complaint
from codex_rpc.model.delays import delay_s, hinted_delay_s, spoken
from codex_rpc.model.http_request import shown
from codex_rpc.model.proxies import proxy_of
from codex_rpc.protocol.errors import (
    AnswerFiltered,
    ContextFull,
    ModelError,
    ModelRejected,
    PreviousResponseUnknown,
    RateLimited,
    ServerFailed,
    StreamInterrupted,
)

LONGEST_WAIT_S = 900.0
"""A turn does not wait longer: whoever asked wants to hear of it, and may have other models."""
LOADING_PAUSE_S = 5.0
"""Before a server that loads its model is asked again, if it does not say when."""

_RETRYABLE_4XX = frozenset((408, 409, 425))
_REFUSED = (None, 400, 401, 402, 403, 404, 410, 413, 422, 429)
"""With these statuses, and within a stream, a server's words say what it means."""
_OUTDATED = (*_REFUSED, 501)


def http_error(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> ModelError:
    """What an answer with an error status means; `headers` has lower-case or any-case keys."""
    answer = _Answer(Complaint.from_body(body), asked, headers, status)
    return answer.by_code() or answer.by_status(status)


def stream_error(error: dict[str, Any], asked: Asked) -> ModelError:
    """What the error object of `response.failed` or of an `error` event means."""
    complaint = Complaint.from_error(error)
    answer = _Answer(complaint, asked, {}, complaint.status)
    known = answer.by_code()
    if known is not None:
        return known
    if complaint.status is not None:
        return answer.by_status(complaint.status)
    said = asked.quoted(complaint.message)
    said = said or f"the server gave up ({asked.quoted(complaint.code) or 'error'})"
    if complaint.names & wordings.OVERLOADED:
        return ServerFailed(told(f"{asked.provider.name} is overloaded: {said}"))
    if complaint.code.startswith("invalid_") or "image" in complaint.code:
        # The request itself is at fault, so that another attempt would end the same way.
        return ModelRejected(told(f"{asked.provider.name} rejected the request: {said}"))
    return StreamInterrupted(told(f"stream failed: {said}"))


def interrupted(reason: str) -> StreamInterrupted:
    """A stream that ended for `reason` before its response was complete."""
    return StreamInterrupted(f"stream disconnected before completion: {reason}")


def content_filtered(asked: Asked) -> AnswerFiltered:
    """An answer that a content filter has stopped."""
    happened = f"{asked.provider.name} stopped the answer: its content filter objected"
    return AnswerFiltered(told(happened, advice.on_filter()))


class _Answer:
    """One refusal, and what it means."""

    def __init__(
        self,
        complaint: Complaint,
        asked: Asked,
        headers: Mapping[str, str],
        status: int | None,
    ) -> None:
        self._complaint = complaint
        self._asked = asked
        self._status = status
        self._name = asked.provider.name
        self._said = asked.quoted(complaint.message) or _phrase(status)
        self._delay_s = delay_s(headers, complaint.message)
        if self._delay_s is None:
            told_inside = {"date": headers.get("date", ""), **complaint.headers}
            self._delay_s = delay_s(told_inside, "")
        self._location = headers.get("location", "")

    # From the codes and the words, wherever the complaint was found.

    def by_code(self) -> ModelError | None:
        """What can be said without the status' own meaning; None: nothing."""
        status, url = self._status, self._asked.url
        if status == 400 and self._says(wordings.WANTS_TLS_WORDS):
            return self._rejected(
                f"{url} does not speak plain HTTP", advice.on_wrong_scheme(self._asked, "https")
            )
        if not self._complaint.is_page and status in _REFUSED:
            known = self._by_limits() or self._by_request() or self._by_names()
            if known is not None:
                return known
        if self._is(wordings.TOO_FAST):
            return self._too_fast()
        if self._continues_unknown():
            return PreviousResponseUnknown(
                told(f"{self._name} does not know the previous response: {self._said}")
            )
        if status is None or status >= 500:
            return self._by_failure()
        return None

    def _by_limits(self) -> ModelError | None:
        # Who says when to come back does not mean money.
        is_broke = self._delay_s is None and self._says(wordings.NO_QUOTA_WORDS)
        if self._status == 402 or self._is(wordings.NO_QUOTA) or is_broke:
            asks_for_less = "max_tokens" in self._complaint.message
            return self._rejected(
                f"{self._name} says that the quota is used up",
                advice.on_no_quota(self._asked, asks_for_less=asks_for_less),
            )
        if self._says(wordings.TOO_LARGE_FOR_A_MINUTE):
            return self._too_long()
        return None

    def _by_request(self) -> ModelError | None:
        if self._status == 429 or self._is(wordings.TOO_FAST):
            return None
        if (
            self._is(wordings.CONTEXT_FULL)
            or self._says(wordings.CONTEXT_WORDS)
            or self._says(wordings.TOO_LONG)
        ):
            return self._too_long()
        if self._is(wordings.FILTERED) or self._says(wordings.FILTERED_WORDS):
            happened = f"{self._name}'s content filter refused the request: {self._said}"
            return AnswerFiltered(told(happened, advice.on_filter()), status=self._status)
        return None

    def _by_names(self) -> ModelError | None:
        """Keys, models and addresses that do not exist."""
        if self._status == 429 or self._is(wordings.TOO_FAST) or self._continues_unknown():
            return None
        asked = self._asked
        if self._is(wordings.NO_MODEL) or self._is_no_model():
            return self._rejected(
                f"{self._name} has no model {asked.model}{self._number()}",
                advice.on_no_model(asked),
            )
        if self._is(wordings.WRONG_KEY) or self._says(wordings.WRONG_KEY_WORDS):
            return self._no_access(advice.on_wrong_key(asked))
        if self._says(wordings.NO_TOOLS_WORDS):
            hint = advice.on_no_tools(asked, is_switched_off="--" in self._complaint.message)
            return self._rejected(f"{self._name} cannot let {asked.model} call tools", hint)
        if self._says(wordings.WRONG_PATH_WORDS):
            return self._nothing_there()
        return None

    def _is_no_model(self) -> bool:
        return self._says(wordings.NO_MODEL_WORDS) and not self._says(wordings.NO_TOOLS_WORDS)

    def _continues_unknown(self) -> bool:
        if not self._asked.continues or self._status not in _OUTDATED:
            return False
        is_param = self._complaint.param == "previous_response_id"
        return is_param or self._is(wordings.PREVIOUS) or self._says(wordings.PREVIOUS_WORDS)

    def _by_failure(self) -> ModelError | None:
        """What is called a failure of the server, and would fail each time."""
        if self._is(wordings.CONTEXT_FULL) or self._says(wordings.TOO_LONG):
            return self._too_long()
        if self._says(wordings.NO_MEMORY_WORDS):
            return self._rejected(
                f"{self._name} has too little memory for {self._asked.model}",
                advice.on_small_memory(),
            )
        if self._says(wordings.MISUNDERSTOOD_WORDS):
            return self._rejected(
                f"{self._name} cannot make use of the request{self._number()}",
                advice.on_bad_history(),
            )
        return None

    # From the status.

    def by_status(self, status: int) -> ModelError:
        """What a status means where nothing more is known."""
        name, said, asked = self._name, self._said, self._asked
        if status == 407:
            return self._rejected(
                f"a proxy wants a password before it connects to {asked.url} (407)",
                advice.on_proxy_password(self._proxy() or "HTTP_PROXY"),
            )
        if status == 429:
            return self._too_fast()
        if status == 413:
            return self._rejected(f"{name} rejected the request (413)", advice.on_too_large())
        if status in (404, 405, 501):
            return self._nothing_there()
        if status >= 500 or status in _RETRYABLE_4XX:
            return self._failed(status)
        if status in (401, 403):
            return self._no_access(self._on_no_access(status))
        if 300 <= status < 400:
            to = _address(self._location)
            where = advice.address(asked)
            hint = f"If that is right, set {where} to where the API is" if where and to else ""
            return self._rejected(f"{asked.url} leads to {to or 'nowhere'} ({status})", hint)
        return ModelRejected(told(f"{name} rejected the request ({status}): {said}"), status=status)

    def _on_no_access(self, status: int) -> str:
        asked = self._asked
        if self._complaint.is_page:
            if (variable := self._proxy()) is not None:
                return advice.on_proxy(asked, variable)
            return "Something before the server answered: check the network, and its firewalls"
        if status == 401:
            return advice.on_wrong_key(asked)
        if "unsupported_country_region_territory" in self._complaint.names:
            return "It is not served where this computer, or its proxy, is"
        return advice.on_forbidden(asked)

    def _failed(self, status: int) -> ModelError:
        if self._says(wordings.LOADING_WORDS):
            delay = LOADING_PAUSE_S if self._delay_s is None else self._delay_s
            text = told(f"{self._name} is still loading its model ({status}): {self._said}")
            return ServerFailed(text, retry_after_s=delay)
        hint = ""
        if self._complaint.is_page and (variable := self._proxy()) is not None:
            hint = advice.on_proxy(self._asked, variable)
        is_overloaded = status == 529 or bool(self._complaint.names & wordings.OVERLOADED)
        happened = f"is overloaded ({status})" if is_overloaded else f"answered {status}"
        happened = f"{self._name} {happened}: {self._said}"
        if (late := self._too_late(happened)) is not None:
            return late
        return ServerFailed(told(happened, hint), retry_after_s=self._delay_s)

    def _proxy(self) -> str | None:
        """The variable of the proxy whose own answer this may be.

        Only of plain HTTP: what is said through TLS is the server's.
        """
        if not self._asked.url.startswith("http:"):
            return None
        proxy = proxy_of(self._asked)
        return proxy.variable if proxy else None

    # What several of them mean.

    def _too_long(self) -> ContextFull:
        # Others go on with this text, so that it does not end like a sentence.
        said = self._said.rstrip(". ")
        return ContextFull(
            told(f"the conversation is too long for {self._asked.model}: {said}").rstrip(".")
        )

    def _too_fast(self) -> ModelError:
        happened = f"{self._name} says to slow down: {self._said}"
        if (late := self._too_late(happened)) is not None:
            return late
        hint = ""
        delay = self._delay_s
        if delay is not None and delay >= 1 and hinted_delay_s(self._complaint.message) is None:
            hint = f"Try again in {spoken(delay)}"
        return RateLimited(told(happened, hint), retry_after_s=delay)

    def _too_late(self, happened: str) -> ModelRejected | None:
        """For a wait that is too long to wait for."""
        if self._delay_s is None or self._delay_s <= LONGEST_WAIT_S:
            return None
        return ModelRejected(
            told(happened, advice.on_later(spoken(self._delay_s))), status=self._status
        )

    def _no_access(self, hint: str) -> ModelRejected:
        return self._rejected(f"{self._name} refused access{self._number()}", hint)

    def _nothing_there(self) -> ModelRejected:
        asked = self._asked
        return self._rejected(
            f"there is nothing for {asked.model} at {asked.url}{asked.path}{self._number()}",
            advice.on_wrong_path(asked),
        )

    def _rejected(self, happened: str, hint: str) -> ModelRejected:
        return ModelRejected(told(f"{happened}: {self._said}", hint), status=self._status)

    def _number(self) -> str:
        return "" if self._status is None else f" ({self._status})"

    def _is(self, codes: frozenset[str]) -> bool:
        return bool(self._complaint.names & codes)

    def _says(self, pattern: str) -> bool:
        return re.search(pattern, self._complaint.message) is not None


def _phrase(status: int | None) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return "no reason given"


def _address(location: str) -> str:
    """Where a redirect leads, without what may be secret."""
    try:
        return shown(location)
    except ValueError:
        return ""
