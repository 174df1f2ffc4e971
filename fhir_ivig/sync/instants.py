"""Instants as servers write them, and the earliest and latest of some as texts in UTC that sort."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(text: str | None) -> datetime | None:
    """In UTC; None where it is no time, or has no zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def seconds(time: datetime) -> str:
    """Whole seconds, `2024-03-01T09:30:00Z`; a fraction is cut off, never rounded up."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def earliest(*times: str | None) -> str | None:
    """The earliest, None where none can be read."""
    return min(map(seconds, filter(None, map(instant, times))), default=None)


def latest(*times: str | None) -> str | None:
    """The latest, None where none can be read."""
    return max(map(seconds, filter(None, map(instant, times))), default=None)
