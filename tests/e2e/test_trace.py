"""One update through the API, followed by each of its ids: the lines of every function it touched, and its records."""

import json
import re
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import RunningEngine
from weaudit.cli.main import app

pytestmark = pytest.mark.engine
KEY = "TRACED"


def run(engine: RunningEngine, *words: str) -> Any:
    return CliRunner().invoke(app, list(words), env={**engine.environment, "NO_COLOR": "1", "COLUMNS": "200"})


def traced(engine: RunningEngine, each: str) -> dict[str, Any]:
    result = run(engine, "trace", each, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def update(engine: RunningEngine, value: int, *, logged: bool) -> str:
    """Update over the API; return the id that the answer's header has."""
    body = json.dumps({"id": KEY, "attributes": {"value": value, "other": "canary"}, "enable_logging": logged})
    done = run(engine, "call", "POST", "/v1/updates", "-d", body)
    assert done.exit_code == 0, done.output
    found = re.search(r"x-request-id: (\S+)", done.output)
    assert found is not None
    return found[1]


def test_an_update_is_followed_from_the_api_to_its_records(engine: RunningEngine, eventually: Any) -> None:
    dynamodb = engine.client("dynamodb")
    dynamodb.put_item(TableName="Configuration", Item={"key": {"S": KEY}, "value": {"N": "0"}})
    request_id = update(engine, 1, logged=True)
    eventually(lambda: len(traced(engine, request_id)["changes"]) == 1)

    def told() -> dict[str, Any] | None:
        found = traced(engine, request_id)
        return found if all(_messages(found, name) for name in ("table_update", "audit_producer")) else None

    document = eventually(told)

    [entry] = document["updates"]
    assert (entry["record_id"], entry["status"]) == (KEY, "success")
    [change] = document["changes"]
    assert change["changeId"] == entry["log_id"]
    records = {row["recordId"]: row["updatedAttribute"] for row in change["attributes"]}
    stored = dynamodb.scan(TableName="Audit")["Items"]
    assert records == {
        row["id"]["S"]: row["updatedAttribute"]["S"]
        for row in stored
        if row.get("changeId", {}).get("S") == entry["log_id"]
    }
    assert set(records.values()) == {"value", "other"}
    assert [row.get("oldValue") for row in change["attributes"]] == [None, 0]
    lines = [row["line"] for row in document["lines"] if isinstance(row["line"], dict)]
    [answered] = [line for line in lines if line["message"] == "answered"]
    assert (answered["requestId"], answered["changeId"]) == (request_id, entry["log_id"])
    assert _messages(document, "audit_producer") == ["batch done"]
    assert [row["at"] for row in document["lines"]] == sorted(row["at"] for row in document["lines"])
    # No value stands in any line.
    assert "canary" not in json.dumps(document["lines"])

    # The change's id, and the gateway's, tell the same.
    for each in (entry["log_id"], answered["apiRequestId"]):
        again = traced(engine, each)
        assert (again["changes"], again["updates"]) == (document["changes"], document["updates"])
        assert {"table_update", "audit_producer"} <= {row["function"] for row in again["lines"]}

    shown = run(engine, "trace", request_id, "--utc")
    # The engine stamps a function's lines when it ends, so the batch may stand before the answer that it follows.
    last = shown.stdout.index(f"Configuration {KEY}: MODIFY")
    assert all(shown.stdout.index(text) < last for text in ("answered", "batch done", f"Configuration {KEY}: success"))


def _messages(document: dict[str, Any], function: str) -> list[str]:
    lines = [row["line"] for row in document["lines"] if row["function"] == function]
    return [line["message"] for line in lines if isinstance(line, dict)]


def test_an_update_that_failed_leads_to_its_entry(engine: RunningEngine) -> None:
    engine.client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": KEY}, "value": {"N": "0"}})
    document = {"id": KEY, "attributes": {"value": 1}, "condition_expression": "value = 7", "enable_logging": True}
    done = run(engine, "call", "POST", "/v1/updates", "-d", json.dumps(document))
    found = re.search(r"x-request-id: (\S+)", done.output)
    assert (done.exit_code, found is not None) == (1, True)
    assert found is not None
    told = traced(engine, found[1])
    [entry] = told["updates"]
    assert (entry["status"], told["changes"]) == ("ConditionalCheckFailed", [])
    [answered] = [row["line"] for row in told["lines"] if "logId" in row["line"]]
    assert (answered["logId"], answered["status"]) == (entry["log_id"], 412)


def test_a_repeated_request_names_no_change_of_its_own(engine: RunningEngine) -> None:
    engine.client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": KEY}, "value": {"N": "0"}})
    document = {"id": KEY, "attributes": {"value": 8}, "request_id": "traced-once", "enable_logging": True}
    ids = []
    for _ in range(2):
        done = run(engine, "call", "POST", "/v1/updates", "-d", json.dumps(document))
        found = re.search(r"x-request-id: (\S+)", done.output)
        assert found is not None
        ids.append(found[1])
    first, second = (traced(engine, each) for each in ids)
    assert [len(found["updates"]) for found in (first, second)] == [1, 0]


def test_a_change_that_carries_the_id_of_an_update_and_is_not_its_own_is_counted(
    engine: RunningEngine, eventually: Any
) -> None:
    dynamodb, key = engine.client("dynamodb"), {"key": {"S": KEY}}
    dynamodb.put_item(TableName="Configuration", Item={**key, "value": {"N": "0"}})
    request_id = update(engine, 9, logged=True)
    item = dynamodb.get_item(TableName="Configuration", Key=key, ConsistentRead=True)["Item"]
    dynamodb.put_item(TableName="Configuration", Item=key)
    dynamodb.put_item(TableName="Configuration", Item=item)
    note = "1 more change carries such an id without being part of these updates"
    eventually(lambda: note in run(engine, "trace", request_id).stderr)
    [change] = traced(engine, request_id)["changes"]
    assert (change["changeId"], change["actor"]["kind"]) == (item["_weaudit"]["S"], "logged")
    # It had no such attribute before the update; by the other change it had it back.
    assert [(part["updatedAttribute"], "oldValue" in part) for part in change["attributes"]] == [
        ("other", False),
        ("value", True),
    ]


def test_what_cannot_be_followed_is_said(engine: RunningEngine) -> None:
    engine.client("dynamodb").put_item(TableName="Configuration", Item={"key": {"S": KEY}, "value": {"N": "0"}})
    request_id = update(engine, 2, logged=False)
    shown = run(engine, "trace", request_id)
    assert shown.exit_code == 0
    assert "answered" in shown.stdout
    assert "No logged update is among these" in shown.output

    nothing = run(engine, "trace", "00000000-0000-4000-8000-000000000000", "--since", "5m")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "Look further back" in nothing.output

    wrong = run(engine, "trace", 'a" | "b')
    assert wrong.exit_code == 2
    assert "is not a valid id" in wrong.output
