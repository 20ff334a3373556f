"""The payloads with which commands invoke a function: compact JSON, within the limits of Lambda."""

import json
from collections.abc import Iterable
from typing import Any

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB. "Request must be smaller than 6291456
# bytes for the InvokeFunction operation", says Lambda.
LARGEST_BYTES = 6 * 1024 * 1024 - 1
# Longer than any of these functions runs (infra/template.yaml): a caller that gives up earlier invokes it again.
LONGEST_CALL_S = 310
# Records are added to a payload up to this size; a single larger record gets a payload of its own.
_FILLED_BYTES = 5_500_000
_MOST_RECORDS = 100  # the most that a batch of the stream has
_FRAME_BYTES = len(b'{"Records":[]}')


def payload(document: Any) -> bytes:
    """Return a document as JSON without spaces; of non-ASCII text, only halves of surrogate pairs are escaped.

    ``json.dumps`` would escape all of it: a text of Cyrillic letters would have three times as many bytes.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # half of a pair becomes \ud800, as in JSON


def of_records(records: Iterable[Any]) -> tuple[list[bytes], list[int]]:
    """Return payloads ``{"Records": […]}`` with the records in order, and the sizes of those too large for one."""
    calls: list[list[bytes]] = []
    too_large: list[int] = []
    left = 0
    for record in map(payload, records):
        if _FRAME_BYTES + len(record) > LARGEST_BYTES:
            too_large.append(_FRAME_BYTES + len(record))
            continue
        if not calls or len(record) > left or len(calls[-1]) == _MOST_RECORDS:
            calls.append([])
            left = _FILLED_BYTES - _FRAME_BYTES
        calls[-1].append(record)
        left -= len(record) + 1
    return [b'{"Records":[' + b",".join(call) + b"]}" for call in calls], too_large
