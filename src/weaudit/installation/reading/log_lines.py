"""Reads what a function logged, and waits for more."""

import time
from collections.abc import Iterator
from typing import Any

_PAUSE_S = 0.5
# Lines may arrive late, and out of order across streams: the last minute is read again.
_LATE_MS = 60_000


def stored(logs: Any, group: str, since_ms: int = 0) -> Iterator[Any]:
    """Yield the events of a log group since a time, oldest first; a group that does not exist has none.

    ``logs`` is a boto3 client of CloudWatch Logs.
    """
    try:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms):
            yield from page["events"]
    except logs.exceptions.ResourceNotFoundException:
        return


def followed(logs: Any, group: str) -> Iterator[Any]:
    """Yield the events of a log group, each once, and new ones as they arrive. This never ends."""
    seen: dict[str, int] = {}
    since = 0
    while True:
        for event in stored(logs, group, since):
            # The embedded engine gives events no id: a line's stream, time and text identify it.
            number = event.get("eventId") or f"{event.get('logStreamName')} {event['timestamp']} {event['message']}"
            if number not in seen:
                seen[number] = event["timestamp"]
                yield event
        since = max(since, max(seen.values(), default=0) - _LATE_MS)
        seen = {number: at for number, at in seen.items() if at >= since}
        time.sleep(_PAUSE_S)
