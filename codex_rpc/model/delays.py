"""How long a server asks to wait before it is asked again: in headers, or in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_HINT = r"(?i)(?:try again|retry)(?: again)? (?:in|after) ((?:[\d.]+ ?[a-z]+[ ,]*)+)"
_AMOUNT = r"(?i)(\d+(?:\.\d+)?) ?([a-z]+)"

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


def delay_s(headers: Mapping[str, str], message: str) -> float | None:
    """How long the server asks to wait, in seconds; headers count before words.

    `headers` has its keys in lower case, or does not care.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value is not None:
        seconds = _seconds_until(value, headers.get("date"))
    return seconds if seconds is not None else hinted_delay_s(message)


def hinted_delay_s(message: str) -> float | None:
    """The delay in a text such as "try again in 1m2.5s", in seconds; None without one."""
    hint = re.search(_HINT, message)
    if hint is None:
        return None
    total_s, found = 0.0, False
    for amount, unit in re.findall(_AMOUNT, hint[1]):
        unit_s = _UNIT_S.get(unit.lower()) or _UNIT_S.get(unit.lower()[:3])
        if unit_s is None:
            break
        total_s += float(amount) * unit_s
        found = True
    return total_s if found else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds_until(date: str, now: str | None) -> float | None:
    # Both by the server's clock, where it says what that shows.
    end, start = _date(date), _date(now or "") or datetime.now(UTC)
    return None if end is None else max(0.0, (end - start).total_seconds())


def _date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
