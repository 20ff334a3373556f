"""The table of keys: its secrets are made once, whoever comes first, and never change."""

import base64
from typing import Any, cast

import pytest

from tests.fakes import Asked
from weaudit.capture.store_secrets import Secrets, SecretTable
from weaudit.errors import ConditionNotMetError, StoreError, StoreRefusedError, StoreUnavailableError


class Table:
    """BatchGetItem and conditional PutItem over one table; ``before_put`` is called before each put."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.unprocessed = False
        self.before_put: Any = lambda: None
        self.under_way: list[Asked] = []

    def begin(self, operation: str, body: dict[str, Any]) -> Asked:
        return Asked(lambda: self.call(operation, body), self.under_way)

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if operation == "PutItem":
            self.before_put()
            assert body["ConditionExpression"] == "attribute_not_exists(id)"
            if body["Item"]["id"]["S"] in self.rows:
                raise ConditionNotMetError("it is there")
            self.rows[body["Item"]["id"]["S"]] = body["Item"]
            return {}
        assert operation == "BatchGetItem"
        [(name, request)] = body["RequestItems"].items()
        assert request["ConsistentRead"] is True
        if self.unprocessed:
            return {"Responses": {}, "UnprocessedKeys": body["RequestItems"]}
        found = [self.rows[key["id"]["S"]] for key in request["Keys"] if key["id"]["S"] in self.rows]
        return {"Responses": {name: found}, "UnprocessedKeys": {}}

    def secrets(self) -> Secrets:
        return SecretTable(cast("Any", self), "keys").secrets()


def test_the_secrets_are_made_once_and_read_by_one_request_from_then_on() -> None:
    table = Table()
    made = table.secrets()
    assert (len(made.root), len(made.kid), len(made.origin)) == (32, 8, 32)
    assert made.root != made.origin
    assert table.calls == ["BatchGetItem", "PutItem", "PutItem", "BatchGetItem"]
    table.calls.clear()
    again = SecretTable(cast("Any", table), "keys")
    assert [again.secrets() for _ in range(3)] == [made] * 3
    assert table.calls == ["BatchGetItem"]


def test_two_functions_that_come_first_agree() -> None:
    table, others = Table(), []

    def other() -> None:
        table.before_put = lambda: None
        others.append(table.secrets())

    table.before_put = other
    assert [table.secrets()] == others


def test_a_throttled_table_and_a_missing_name_are_told_apart() -> None:
    table = Table()
    table.unprocessed = True
    with pytest.raises(StoreUnavailableError, match="throttled"):
        table.secrets()
    with pytest.raises(StoreRefusedError, match="set KEYS_TABLE"):
        SecretTable(cast("Any", table), "").secrets()


@pytest.mark.parametrize("secret", [{}, {"B": base64.b64encode(b"short").decode()}])
def test_a_secret_of_another_length_is_refused_and_not_replaced(secret: dict[str, Any]) -> None:
    table = Table()
    table.secrets()
    table.rows["ROOT"] = {"id": {"S": "ROOT"}, "secret": secret}
    with pytest.raises(StoreError, match="ROOT does not have 32 bytes"):
        table.secrets()
    assert table.rows["ROOT"]["secret"] == secret
