"""Times as WeAudit writes them everywhere: ISO 8601, UTC, with milliseconds (``2024-01-01T00:00:00.000Z``)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=64)
def iso_time(at_ms: int) -> str:
    """Return the text of a time in milliseconds since 1970. The changes of a batch have few times between them."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03d}Z"


def iso_moment(moment: datetime) -> str:
    """Return the text of a datetime, cut to milliseconds. Without a time zone, it is in this machine's."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime | None:
    """Parse a time in this form or another of ISO 8601 with a time zone. Returns None for any other text."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
