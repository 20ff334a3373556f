"""An Audit table as infra/template.yaml makes it, and trails written into it by the code that audits."""

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.fakes import Asked
from tests.strategies import change
from weaudit.capture.changes import Change
from weaudit.capture.records import decide
from weaudit.items.values import Item


def make_audit_table(client: Any, name: str = "Audit") -> None:
    """Make the table with both indexes."""
    indexes = {"history": ("historyKey", "changeOrder"), "changes": ("changesKey", "changesOrder")}
    names = ["id", *itertools.chain(*indexes.values())]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": "S"} for attribute in names],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": order, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (partition, order) in indexes.items()
        ],
    )


def write(client: Any, changes: Iterable[Change], name: str = "Audit") -> list[Item]:
    """Write the records of the changes, in the order in which a scan of ids would have them: none of use."""
    records = sorted((record for one in changes for record in decide(one)), key=lambda record: str(record["id"]))
    for start in range(0, len(records), 25):
        puts = [{"PutRequest": {"Item": unwire(record)}} for record in records[start : start + 25]]
        assert not client.batch_write_item(RequestItems={name: puts})["UnprocessedItems"]
    return records


def changed(
    key: str,
    images: Iterable[dict[str, Any] | None],
    *,
    at_ms: int,
    every_ms: int = 1000,
    first: int = 1,
    **fields: Any,
) -> Iterator[Change]:
    """Yield the changes of the item ``key`` (a string key named key) through these images, one every second."""
    steps = itertools.pairwise([None if image is None else {"key": {"S": key}, **image} for image in images])
    for number, (old, new) in enumerate(steps):
        yield change(
            old,
            new,
            sequence=str(10**21 + first + number),
            created_at_ms=at_ms + number * every_ms,
            keys={"key": {"S": key}},
            **fields,
        )


def one_by_one(query: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], Asked]:
    """Return what begins a query of an audit history: each is made when its answer is asked for, or done without."""
    return lambda request: Asked(lambda: query(request), [])


def unwire(value: Any) -> Any:
    """Return ``value`` with typed binary (``{"B": text}``, ``{"BS": [text]}``) turned into bytes, as boto3 expects."""
    if isinstance(value, dict):
        if len(value) == 1:
            [(kind, inner)] = value.items()
            if kind == "B" and isinstance(inner, str):
                return {"B": base64.b64decode(inner)}
            if kind == "BS" and isinstance(inner, list):
                return {"BS": [base64.b64decode(text) for text in inner]}
        return {key: unwire(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unwire(inner) for inner in value]
    return value
