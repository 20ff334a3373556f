"""Every change has its records exactly once: many writers, batches delivered twice, a restart in the middle."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import client, verified
from tests.e2e.writers import Writers, audited
from tests.sizes import sized
from weaudit.installation.outputs import Installation
from weaudit.local import engine
from weaudit.watch.applying import Watching

pytestmark = pytest.mark.engine
CHANGES = sized(800)


def deliver_twice() -> list[str]:
    """Add a second mapping to each stream: every change is then delivered by both, cut into other batches."""
    functions = client("lambda")
    mappings = functions.list_event_source_mappings()["EventSourceMappings"]
    return [
        functions.create_event_source_mapping(
            FunctionName=mapping["FunctionArn"],
            EventSourceArn=mapping["EventSourceArn"],
            StartingPosition="TRIM_HORIZON",
            BatchSize=7,
        )["UUID"]
        for mapping in mappings
    ]


def wait_for(writers: Writers) -> dict[Any, list[int]]:
    deadline = time.monotonic() + 120
    while True:
        found = audited(client("dynamodb"))
        if sum(map(len, found.values())) >= sum(map(len, writers.written.values())) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_each_change_is_recorded_exactly_once_though_delivered_twice_and_restarted_between(state_dir: Path) -> None:
    client("dynamodb").create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    watching = Watching(Installation.find())
    watching.apply(watching.plan("Orders"), progress=print)
    second_mappings = deliver_twice()
    writers = Writers(client("dynamodb"), {"Configuration": "key", "Orders": "orderId"}, items=250)
    writers.write(CHANGES)
    assert wait_for(writers) == writers.written

    engine.down(state_dir=state_dir)
    engine.up(state_dir=state_dir)
    writers.client = client("dynamodb")
    writers.write(CHANGES)
    assert wait_for(writers) == writers.written

    report = verified()
    assert report["whole"], report
    assert {(table["table"], table["items"]) for table in report["tables"]} == {
        ("Configuration", 248),
        ("Images", 0),
        ("Orders", 248),
    }
    assert sum(table["changes"] for table in report["tables"]) == 2 * CHANGES
    for mapping in second_mappings:
        client("lambda").delete_event_source_mapping(UUID=mapping)
