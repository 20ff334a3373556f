"""`weaudit keys export` against the embedded engine: the copy of the secrets that belongs in a safe."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import RunningEngine
from weaudit.cli import main
from weaudit.installation.outputs import Installation

pytestmark = pytest.mark.engine


def test_the_secrets_are_printed_as_items_that_can_be_put_back_and_no_subjects(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    table = Installation.find().outputs["KeysTableName"]
    dynamodb = engine.client("dynamodb")
    dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "keys"}})
    eventually(lambda: dynamodb.scan(TableName="Audit")["Items"])
    dynamodb.put_item(TableName=table, Item={"id": {"S": "SUBJECT/0"}, "generations": {"L": []}})
    equal = [{"id": {"S": f"EQUAL/{name}"}, "secret": {"B": bytes(32)}} for name in ("orders", "cards")]
    for row in equal:
        dynamodb.put_item(TableName=table, Item=row)
    asked = CliRunner().invoke(main.app, ["update", "keys", "n=1", "--request-id", "for-keys", "--user-agent", "me"])
    assert asked.exit_code == 0, asked.output
    try:
        printed = CliRunner().invoke(main.app, ["keys", "export"])
        assert printed.exit_code == 0
        assert "outside of the account" in printed.stderr
        copy = json.loads(printed.stdout)
        assert copy["table"] == table
        assert [item["id"]["S"] for item in copy["items"]] == [
            "ROOT",
            "ORIGIN",
            "REQUEST",
            "EQUAL/cards",
            "EQUAL/orders",
        ]
        for item in copy["items"]:
            before = dynamodb.get_item(TableName=table, Key={"id": item["id"]})["Item"]
            # boto3 speaks bytes where the JSON has base64, as the AWS CLI takes it.
            assert json.loads(json.dumps(before, default=_base64)) == item
    finally:
        for name in ("SUBJECT/0", "EQUAL/cards", "EQUAL/orders"):
            dynamodb.delete_item(TableName=table, Key={"id": {"S": name}})


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
