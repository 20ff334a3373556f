"""Times as everything of ours spells them: ISO 8601, UTC, with milliseconds (``2024-01-01T00:00:00.000Z``)."""

from __future__ import annotations

import time
from datetime import UTC

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from datetime import datetime


def iso_time(at_ms: int) -> str:
    """Return a time that is given in milliseconds since 1970."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ms:03d}Z"


def iso_moment(moment: datetime) -> str:
    """Return a time that is given as a datetime of any zone (without one: this machine's), cut to milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
