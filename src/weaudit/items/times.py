"""Times as everything of ours spells them: ISO 8601, UTC, with milliseconds (``2024-01-01T00:00:00.000Z``)."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def iso_time(at_ms: int) -> str:
    """Return a time that is given in milliseconds since 1970."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03d}Z"


def iso_moment(moment: datetime) -> str:
    """Return a time that is given as a datetime of any zone (without one: this machine's), cut to milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime | None:
    """Return the moment that a text of this form, or of another of ISO 8601 with its zone, names; None of any other."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
