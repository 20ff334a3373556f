"""The promise of the Audit table's writer, on the policing fake and on every real store that is at hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from tests import dynamodb_local
from tests.aws.moto_relay import REGION, moto_environment
from tests.conftest import RunningEngine
from tests.fakes import PolicingDynamoDB, PolicingS3
from tests.strategies import change
from tests.trails import decide, decision
from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.capture.store import AuditTable
from weaudit.evidence import EvidenceBucket
from weaudit.installation.targets import wire
from weaudit.items.sizes import item_bytes

TABLE = "contract-of-audit-table"


class Store:
    """A table under test: its writer, and a look at all that is in it."""

    def __init__(self, dynamodb: Any, items: Callable[[], list[dict[str, Any]]]) -> None:
        self.s3 = PolicingS3()
        self.table = AuditTable(dynamodb, TABLE, EvidenceBucket(cast("S3", self.s3), "evidence"))
        self.items = items


def real_store(environment: dict[str, str]) -> Store:
    client = boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def items() -> list[dict[str, Any]]:
        pages = client.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        return [item for page in pages for item in wire(page["Items"])]

    return Store(DynamoDB(Connection.from_environment("dynamodb", environment)), items)


@pytest.fixture(params=["fake", "moto", pytest.param("engine", marks=pytest.mark.engine), "dynamodb_local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store that claims to be DynamoDB."""
    if request.param == "fake":
        fake = PolicingDynamoDB()
        yield Store(fake, lambda: list(fake.items.values()))
    elif request.param == "moto":
        with moto_environment() as environment:
            yield real_store(environment)
    elif request.param == "engine":
        engine: RunningEngine = request.getfixturevalue("engine")
        yield real_store(engine.environment)
        engine.client("dynamodb").delete_table(TableName=TABLE)
    else:
        with dynamodb_local.running(tmp_path) as environment:
            yield real_store(environment)


def records(count: int, **attributes: Any) -> list[dict[str, Any]]:
    item = {"key": {"S": "k"}, **attributes}
    return [record for number in range(count) for record in decide(change(None, item, sequence=str(1000 + number)))]


def test_what_is_put_is_stored_as_it_is_and_putting_it_again_changes_nothing(store: Store) -> None:
    put = records(60, number={"N": "1234567890123456789012345678901234567.8"}, raw={"B": "AAH/"}, text={"S": "grün\0"})
    assert store.table.put(put, []) == {}
    assert store.table.put([*reversed(put), *put], []) == {}
    stored = {item["id"]["S"]: item for item in store.items()}
    assert stored == {record["id"]["S"]: record for record in put}
    assert store.s3.objects == {}


@pytest.mark.parametrize(("size", "count"), [(3_900, 104), (900, 450), (260, 1_540), (100, 3_900), (1, 79_000)])
def test_the_largest_item_of_many_attributes_fits_once_its_largest_are_moved_or_all_of_them_together(
    store: Store, size: int, count: int
) -> None:
    item = {f"{number:04x}": {"S": "x" * size} for number in range(count)} | {"key": {"S": "k"}}
    assert 400_000 <= item_bytes(item) <= 400 * 1024
    decided = decision(change(None, item))
    assert store.table.put([*decided.records, *records(3)], decided.large_values) == {}
    [stored] = [one for one in store.items() if one["id"] == decided.records[0]["id"]]
    moved = stored.get("newValueRefs", {"M": {}})["M"]
    if size > 600:
        assert 0 < len(moved) < count / 4
        assert moved.keys() | stored["newValue"]["M"].keys() == item.keys()
    else:
        # A reference for each would take as much as they do.
        assert (moved, stored["newValue"]) == ({}, {"M": {}})
        moved = {"": stored["newValueRef"]}
    assert all(reference["M"]["key"]["S"] in store.s3.objects for reference in moved.values())


def test_no_records_are_no_call(store: Store) -> None:
    assert store.table.put([], []) == {}
    assert store.items() == []
