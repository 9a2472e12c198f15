"""How long a server asks to wait before it is asked again: in headers, or in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_HINT = (
    r"(?i)(?:(?:try again|retry)(?: again)? (?:in|after)|wait(?: for)?) "
    r"((?:[\d.]+ ?[a-z]+[ ,]*)+)"
)
_AMOUNT = r"(?i)(\d+(?:\.\d+)?) ?([a-z]+)"
_DURATION = r"(?i)(?:\d+(?:\.\d+)? ?[a-z]+ ?)+"

_UNIT_S = {
    "ms": 0.001,
    "mil": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hou": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
"""By the unit, or by its first three letters."""

_LIMITED = ("-requests", "-tokens", "")
"""What `x-ratelimit-…` headers count: requests, tokens, or whatever there is."""

LONGEST_S = 366 * 86400.0
"""What is longer is a mistake, and as good as nothing."""

_EPOCH_S = 1e9
_EPOCH_MS = 1e12
"""A number this large is no delay but a time: in seconds, or in milliseconds."""


def delay_s(headers: Mapping[str, str], message: str) -> float | None:
    """How long the server asks to wait, in seconds; None: it does not say.

    The headers that are made for it count before words, and words before the times at which
    limits are reset. `headers` has its keys in lower case, or does not care.
    """
    told = _told(headers, message)
    return told if told is not None and told <= LONGEST_S else None


def _told(headers: Mapping[str, str], message: str) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    now = headers.get("date")
    if (value := headers.get("retry-after")) is not None:
        span = _span(value, now)
        if span is None:
            span = _seconds_until(value, now)
        if span is not None:
            return span
    hinted = hinted_delay_s(message)
    return hinted if hinted is not None else _reset_s(headers, now)


def hinted_delay_s(message: str) -> float | None:
    """The delay in a text such as "try again in 1m2.5s", in seconds; None without one."""
    hint = re.search(_HINT, message)
    return None if hint is None else _total(hint[1])


def spoken(seconds: float) -> str:
    """A time to wait as people say it, rounded up: "20 s", "1 min 30 s", "10 h"."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = math.ceil(whole / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{math.ceil(minutes / (24 * 60))} days"


def _total(text: str) -> float | None:
    total_s, found = 0.0, False
    for amount, unit in re.findall(_AMOUNT, text):
        unit_s = _UNIT_S.get(unit.lower()) or _UNIT_S.get(unit.lower()[:3])
        if unit_s is None:
            break
        total_s += float(amount) * unit_s
        found = True
    return total_s if found and math.isfinite(total_s) else None


def _reset_s(headers: Mapping[str, str], now: str | None) -> float | None:
    """How long until every limit that is used up is reset.

    Where it is not told what is left, the only limit that there is must be the one.
    """
    resets: dict[str, float] = {}
    for what in _LIMITED:
        value = headers.get(f"x-ratelimit-reset{what}")
        span = None if value is None else _span(value, now)
        if span is not None:
            resets[what] = span
    left = {what: _number(headers.get(f"x-ratelimit-remaining{what}")) for what in resets}
    used_up = [span for what, span in resets.items() if left[what] == 0]
    if used_up:
        return max(used_up)
    return next(iter(resets.values())) if [*left.values()] == [None] else None


def _span(text: str, now: str | None) -> float | None:
    """`text` in seconds from now: a number, a time since 1970, or like "6m30s"."""
    number = _number(text)
    if number is None:
        return _total(text) if re.fullmatch(_DURATION, text.strip()) else None
    if number < _EPOCH_S:
        return number
    end_s = number / 1000 if number >= _EPOCH_MS else number
    return max(0.0, end_s - _by_server(now).timestamp())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(date: str, now: str | None) -> float | None:
    end = _date(date)
    return None if end is None else max(0.0, (end - _by_server(now)).total_seconds())


def _by_server(now: str | None) -> datetime:
    """The time by the server's clock, where it says what that shows."""
    return _date(now or "") or datetime.now(UTC)


def _date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
