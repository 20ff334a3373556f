"""The stack's state: what is wrong is named, and a store's error is an answer, not an error."""

import json
from typing import Any

import pytest

from tests.api_events import Api
from weaudit import __version__
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.handlers import health

MISSING = StoreRefusedError("DescribeTable: …", aws_code="ResourceNotFoundException")
DENIED = StoreRefusedError("DescribeTable: …", aws_code="AccessDeniedException")


def asked(**tables: Any) -> Any:
    def call(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert operation == "DescribeTable"
        found = tables[body["TableName"]]
        if isinstance(found, Exception):
            raise found
        return {"Table": {"TableStatus": found}}

    api = Api(health, call=call, tables=list(tables), release="2024.1+abc", now_ms=lambda: 1_704_677_672_343)
    return api.get("/v1/health")


def test_a_stack_whose_tables_are_there_is_ok() -> None:
    assert asked(Audit="ACTIVE", Configuration="UPDATING") == {
        "state": "ok",
        "version": __version__,
        "release": "2024.1+abc",
        "tables": [{"tableName": "Audit", "state": "ACTIVE"}, {"tableName": "Configuration", "state": "UPDATING"}],
        "problems": [],
        "timestamp": "2024-01-08T01:34:32.343Z",
    }


@pytest.mark.parametrize(
    ("found", "state", "code"),
    [
        (MISSING, "MISSING", "TableMissing"),
        (DENIED, "UNREADABLE", "TableUnreadable"),
        (StoreUnavailableError("DescribeTable: no answer"), "UNAVAILABLE", "TableUnavailable"),
        ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "TableNotActive"),
    ],
)
def test_what_is_wrong_is_named(found: Any, state: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = asked(Audit=found, Configuration="ACTIVE")
    assert document["state"] == "degraded"
    assert document["tables"][0] == {"tableName": "Audit", "state": state}
    [problem] = document["problems"]
    assert problem["code"] == code
    assert "Audit" in problem["message"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["table"] for line in lines if line["level"] == "ERROR"] == (
        ["Audit"] * 2 if isinstance(found, Exception) else []
    )


def test_its_settings_come_from_the_environment() -> None:
    environment = {"AWS_REGION": "eu-west-1", "STACK_TABLES": "Audit, Configuration,", "RELEASE": "7"}
    found = health.connect(environment)
    assert (found["tables"], found["release"]) == (["Audit", "Configuration"], "7")
