"""What commands hand to a function, in as few bytes as JSON takes, and within what Lambda takes."""

import json
from collections.abc import Iterable
from typing import Any

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 6 MB. "Request must be smaller than 6291456
# bytes for the InvokeFunction operation", says Lambda.
LARGEST_BYTES = 6 * 1024 * 1024 - 1
# Longer than any of these functions takes (infra/template.yaml): who gives up earlier calls it a second time.
LONGEST_CALL_S = 310
# A call is filled up to here; a single record may take all of it.
_FILLED_BYTES = 5_500_000
_MOST_RECORDS = 100  # as many as a batch of the stream has
_FRAME_BYTES = len(b'{"Records":[]}')


def payload(document: Any) -> bytes:
    """Return a document as JSON: no spaces, and of non-ASCII text only halves of surrogate pairs escaped.

    As ``json.dumps`` writes it, a text of Cyrillic letters takes three times its bytes.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # of half a pair: \ud800, as JSON spells it


def of_records(records: Iterable[Any]) -> tuple[list[bytes], list[int]]:
    """Return payloads ``{"Records": […]}`` with all records in their order, and the bytes of each that fits in none."""
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
