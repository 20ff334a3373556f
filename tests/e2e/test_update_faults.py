"""Each update with a request id is applied once and logged once, though throttled, cut off, unanswered and repeated."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import client, eventually, verified
from tests.e2e.doors import FUNCTION
from tests.e2e.fault_proxies import FaultProxy, point_function_at, rules
from tests.sizes import sized
from weaudit.local import engine

pytestmark = pytest.mark.engine
UPDATES, ITEMS, THREADS = sized(200), 48, 16


@pytest.fixture
def proxy(state_dir: Path) -> Iterator[FaultProxy]:
    """A stack of this test's own whose function reaches its tables through the proxy."""
    faults = FaultProxy(engine.find(state_dir=state_dir).endpoint)
    try:
        faults.ask("rules", rules("TransactWriteItems"))
        point_function_at(FUNCTION, "live", faults.endpoint)
        yield faults
    finally:
        faults.stop()


def update_until_answered(number: int) -> int:
    """Repeat one update, the same request, until its answer is no 500; return how often it was asked."""
    item = number % ITEMS
    document = {
        "id": f"item-{item}",
        "attributes": {"n": number, f"seen-{number}": True},
        "enable_logging": True,
        "request_id": f"request-{number}",
        # A second application of the same update would not be met by this.
        "condition_expression": f"attribute_not_exists(#seen) AND n < {number}",
        "condition_names": {"#seen": f"seen-{number}"},
    }
    functions = client("lambda")
    for asked in range(1, 21):
        answer = functions.invoke(FunctionName=f"{FUNCTION}:live", Payload=json.dumps(document))
        found = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        if found["success"]:
            # Whoever did not hear the answer asks again.
            repeat = functions.invoke(FunctionName=f"{FUNCTION}:live", Payload=json.dumps(document))
            again = json.loads(repeat["Payload"].read())
            assert again == found or again["error"] == "DatabaseError"
            return asked
        assert found["error"] == "DatabaseError", found
    raise AssertionError("never answered")


def records() -> list[dict[str, Any]]:
    """Return the whole trail, by a plain scan."""
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="Audit")
    return [record for page in pages for record in page["Items"]]


def test_updates_behind_a_store_that_fails_are_each_applied_and_logged_once(proxy: FaultProxy) -> None:
    dynamodb = client("dynamodb")
    for item in range(ITEMS):
        dynamodb.put_item(TableName="Configuration", Item={"key": {"S": f"item-{item}"}, "n": {"N": "-1"}})
    errors: list[BaseException] = []

    def work(mine: int) -> None:
        # Each thread owns its items, so that the order of an item's updates is known.
        try:
            for number in (number for number in range(UPDATES) if number % ITEMS % THREADS == mine):
                update_until_answered(number)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors

    fired = proxy.ask("fired")
    assert {str(one["rule_id"]) for one in fired} == {"1", "2", "3"}

    rows = [row for page in dynamodb.get_paginator("scan").paginate(TableName="audit_logs") for row in page["Items"]]
    logged = {row["log_id"]["S"]: row for row in rows if row.get("status") == {"S": "success"}}
    applied = Counter(int(row["updated_attributes"]["M"]["n"]["N"]) for row in logged.values())
    assert applied == Counter(range(UPDATES))

    # One record creates an item, and each update makes two: n and its own mark.
    eventually(lambda: len(records()) == ITEMS + 2 * UPDATES, 120)
    steps: dict[str, list[Any]] = {f"item-{item}": [] for item in range(ITEMS)}
    for record in sorted(records(), key=lambda record: str(record["sequenceNumber"])):
        if record.get("updatedAttribute") == {"S": "n"}:
            steps[record["itemKey"]["S"]].append(record)
    for item in range(ITEMS):
        mine, key = list(range(item, UPDATES, ITEMS)), f"item-{item}"
        found: Any = dynamodb.get_item(TableName="Configuration", Key={"key": {"S": key}}, ConsistentRead=True)["Item"]
        assert found["n"] == {"N": str(mine[-1])}
        assert {name for name in found if name.startswith("seen-")} == {f"seen-{number}" for number in mine}
        assert [int(record["newValue"]["N"]) for record in steps[key]] == mine
        # Each change names the entry that was written with it.
        entries = [logged[record["changeId"]["S"]] for record in steps[key]]
        assert [int(entry["updated_attributes"]["M"]["n"]["N"]) for entry in entries] == mine
    assert verified()["whole"]
