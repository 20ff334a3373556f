"""Random DynamoDB values, items and changes, in DynamoDB JSON, and the events that tell of them."""

import base64
from typing import Any

from hypothesis import strategies as st

from weaudit.capture.changes import Change

texts = st.text(st.characters(codec="utf-8"), max_size=12)
digits = st.integers(-(10**38) + 1, 10**38 - 1)
numbers = st.builds(
    lambda number, exponent: str(number) if exponent == 0 else f"{number}E{exponent}", digits, st.integers(-80, 80)
)
binaries = st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())


def _distinct(numbers_drawn: list[int]) -> list[str]:
    return [str(number) for number in numbers_drawn]


atoms: st.SearchStrategy[dict[str, Any]] = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers.map(lambda number: {"N": number}),
    binaries.map(lambda raw: {"B": raw}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.lists(texts, min_size=1, max_size=4, unique=True).map(lambda members: {"SS": members}),
    st.lists(digits, min_size=1, max_size=4, unique=True).map(lambda members: {"NS": _distinct(members)}),
    st.lists(binaries, min_size=1, max_size=4, unique=True).map(lambda members: {"BS": members}),
)
values: st.SearchStrategy[dict[str, Any]] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: {"L": parts}),
        st.dictionaries(texts, inner, max_size=4).map(lambda parts: {"M": parts}),
    ),
    max_leaves=8,
)
names = st.sampled_from(["a", "b", "c", "name", "status", "größe", "a.b", "#x", ":y"]) | texts.filter(bool)
attributes = st.dictionaries(names.filter(lambda name: name not in ("key", "_weaudit")), values, max_size=6)
items = st.builds(lambda key, rest: {"key": {"S": key}, **rest}, texts.filter(bool), attributes)


def change(
    old: dict[str, Any] | None, new: dict[str, Any] | None, *, sequence: str = "100000000000000000001", **fields: Any
) -> Change:
    """Return a change of the item ``k`` of the table Configuration, as its stream would tell it."""
    event_name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    table, label = fields.get("table", "Configuration"), fields.get("stream_label", "2024-01-01T00:00:00.000")
    told: dict[str, Any] = {
        "table": table,
        "stream_arn": f"arn:aws:dynamodb:eu-west-1:111122223333:table/{table}/stream/{label}",
        "stream_label": label,
        "event_name": event_name,
        "sequence": sequence,
        "created_at_ms": 1704067200000,
        "keys": {"key": {"S": "k"}},
        "old_image": old,
        "new_image": new,
        "service": "",
    }
    return Change(**{**told, **fields})


def stream_record(old: dict[str, Any] | None, new: dict[str, Any] | None, **parts: Any) -> dict[str, Any]:
    """Return one record of a DynamoDB stream event as Lambda delivers it; ``parts`` replace those of ``dynamodb``."""
    image: dict[str, Any] = new or old or {}
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": 1704067200.0,
        "Keys": {"key": image.get("key", {"S": "k"})},
        "SequenceNumber": "100000000000000000001",
        "SizeBytes": 59,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if old is not None:
        body["OldImage"] = old
    if new is not None:
        body["NewImage"] = new
    return {
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {**body, **parts},
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:111122223333:table/Configuration/stream/2024-01-01T00:00:00.000",
    }
