"""An Audit table as infra/template.yaml makes it, and trails written into it by the code that audits."""

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.fakes import SECRETS, Asked
from tests.strategies import change
from weaudit.aws.batches import read_items
from weaudit.capture import records as auditing
from weaudit.capture.changes import Change
from weaudit.capture.records import Decision
from weaudit.capture.rules import PLACES, Rules, Terms, place_of, places_text, with_places
from weaudit.evidence import packed, rules_key
from weaudit.installation.targets import wire
from weaudit.items.hashes import item_secrets, state_hash
from weaudit.items.values import Item

EVIDENCE = "weaudit-evidence-dev-000000000000"


def terms(inline_bytes: int = 4096, **rules: Any) -> Terms:
    """Return what governs a change, with these rules; places are by the names of rules.PLACES."""
    return Terms(
        rules_of(**rules), SECRETS.root, SECRETS.kid, SECRETS.origin, EVIDENCE, inline_bytes, equal=bytes(range(64, 96))
    )


def rules_of(**rules: Any) -> Rules:
    """Return rules; their places, by the names of rules.PLACES, may be given as texts."""
    places = {name: tuple(map(_path, rules.pop(name))) for name in PLACES if name in rules}
    return with_places(Rules(**rules), **places)


def rules_objects(**rules: Any) -> dict[str, bytes]:
    """Return the object of the evidence bucket that holds the text of rules, by key."""
    found = rules_of(**rules)
    return {rules_key(found.digest): places_text(found).encode()} if found.digest else {}


def _path(place: str | tuple[str, ...]) -> tuple[str, ...]:
    return place_of(place) if isinstance(place, str) else place


def decision(one: Change, inline_bytes: int = 4096, **rules: Any) -> Decision:
    """Return what a change becomes under these rules."""
    return auditing.decide(one, terms(inline_bytes, **rules))


def decide(one: Change, **rules: Any) -> list[Item]:
    """Return the records of a change under these rules."""
    return decision(one, **rules).records


def hash_of(item: Item, one: Change) -> str:
    """Return the hash, in hex, that the records of a change have for a state of its item."""
    key = one.keys["key"]["S"]
    return state_hash(item_secrets(SECRETS.root, one.table_arn, key).salt, item).hex()


PROJECTIONS: dict[str, dict[str, Any]] = {
    "history": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["modificationTime", "changeId"]},
    "changes": {"ProjectionType": "KEYS_ONLY"},
}


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
                "Projection": PROJECTIONS[index],
            }
            for index, (partition, order) in indexes.items()
        ],
    )


def write(
    client: Any, changes: Iterable[Change], name: str = "Audit", objects: dict[str, bytes] | None = None, **rules: Any
) -> list[Item]:
    """Write the records of the changes, in the order in which a scan of ids would have them: none of use.

    ``objects`` gets the objects of their large values, by key.
    """
    made = [decision(one, **rules) for one in changes]
    if objects is not None:
        objects.update((large.key, packed(large.text)) for one in made for large in one.large_values)
    records = sorted((record for one in made for record in one.records), key=lambda record: str(record["id"]))
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


def by_id(records: Iterable[Item]) -> Callable[[list[str]], dict[str, Item]]:
    """Return what reads records by their ids, from these."""
    found = {record["id"]["S"]: record for record in records}
    return lambda ids: {name: found[name] for name in ids if name in found}


def read_by_id(client: Any, name: str = "Audit") -> Callable[[list[str]], dict[str, Item]]:
    """Return what reads records by their ids, from a table."""

    def call(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        answer: dict[str, Any] = wire(client.batch_get_item(**unwire(body)))
        return answer

    return lambda ids: read_items(call, name, "id", ids)


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
