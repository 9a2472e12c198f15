"""Moments, sizes and counts, as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def relative(moment: datetime, now: datetime) -> str:
    """`moment` as seen from `now`, both aware: "3 min ago"; after two weeks, its date.

    Days are counted as those who look at a calendar do it, in the zone of `now`.
    """
    ago = now - moment
    days = (now.date() - moment.astimezone(now.tzinfo).date()).days
    if ago < timedelta(seconds=-5):
        # A clock was wrong, then or now.
        return moment.astimezone(now.tzinfo).strftime("%Y-%m-%d %H:%M")
    if ago < MINUTE:
        return "just now"
    if ago < HOUR:
        return f"{ago // MINUTE} min ago"
    if days == 0 or ago < 8 * HOUR:
        return f"{ago // HOUR} h ago"
    if days == 1:
        return "yesterday"
    if days <= 14:
        return f"{days} days ago"
    return moment.astimezone(now.tzinfo).strftime("%Y-%m-%d")


def size(byte_count: int) -> str:
    """A size as people say it."""
    value = float(byte_count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{byte_count} B" if unit == "B" else f"{value:.{1 if value < 10 else 0}f} {unit}"


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
