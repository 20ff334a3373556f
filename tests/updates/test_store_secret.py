"""The secret under which requests are remembered: made once, read once, and without it nothing is written."""

import base64
from typing import Any

import pytest

from tests.fakes import no_rules
from weaudit.errors import ConditionNotMetError, DatabaseError, StoreError, StoreRefusedError, StoreUnavailableError
from weaudit.handlers import table_update
from weaudit.trail.store_callers import AuditLogs
from weaudit.updates.requests import settings_of
from weaudit.updates.store import UpdatedTables
from weaudit.updates.store_secret import RequestSecret

SCHEMA = {
    "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
}


def of_keys(body: dict[str, Any]) -> bool:
    return body.get("TableName") == "keys" or "keys" in body.get("RequestItems", {})


class Store:
    """A table of keys with conditional puts; every other write succeeds, and is counted with the rest."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.calls: list[tuple[str, Any]] = []
        self.before_put: Any = lambda: None
        self.fails: StoreError | None = None

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, body))
        if operation == "DescribeTable":
            return {"Table": SCHEMA}
        if not of_keys(body):
            return {}
        if self.fails:
            raise self.fails
        if operation == "BatchGetItem":
            request = body["RequestItems"]["keys"]
            assert request["ConsistentRead"] is True
            found = [self.rows[key["id"]["S"]] for key in request["Keys"] if key["id"]["S"] in self.rows]
            return {"Responses": {"keys": found}}
        assert (operation, body["ConditionExpression"]) == ("PutItem", "attribute_not_exists(id)")
        self.before_put()
        if body["Item"]["id"]["S"] in self.rows:
            raise ConditionNotMetError("it is there")
        self.rows[body["Item"]["id"]["S"]] = body["Item"]
        return {}

    def secret(self) -> RequestSecret:
        return RequestSecret(self.call, "keys")

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]


def test_the_secret_is_made_once_and_read_once_from_then_on() -> None:
    store = Store()
    assert store.secret().read() is None
    store.calls.clear()
    made = store.secret().get()
    assert len(made) == 32
    assert store.operations == ["BatchGetItem", "PutItem", "BatchGetItem"]
    assert list(store.rows) == ["REQUEST"]
    store.calls.clear()
    again = store.secret()
    assert [again.get() for _ in range(3)] == [made] * 3
    assert store.operations == ["BatchGetItem"]
    assert store.secret().read() == made


def test_two_functions_that_come_first_agree() -> None:
    store, others = Store(), []

    def other() -> None:
        store.before_put = lambda: None
        others.append(store.secret().get())

    store.before_put = other
    assert [store.secret().get()] == others


@pytest.mark.parametrize("secret", [{}, {"B": base64.b64encode(b"short").decode()}])
def test_a_secret_of_another_length_is_refused_and_not_replaced(secret: dict[str, Any]) -> None:
    store = Store()
    store.rows["REQUEST"] = {"id": {"S": "REQUEST"}, "secret": secret}
    with pytest.raises(StoreRefusedError, match="REQUEST does not have 32 bytes"):
        store.secret().read()
    with pytest.raises(DatabaseError):
        store.secret().get()
    assert store.rows["REQUEST"]["secret"] == secret


def asked(store: Store, secret: RequestSecret, **fields: Any) -> tuple[int, dict[str, Any]]:
    settings = settings_of({"TABLE_NAME": "Configuration"})
    document = {"id": "k", "attributes": {"n": 1}, **fields}
    logs = AuditLogs(store.call, settings.audit_log_table)
    tables = UpdatedTables(store.call)
    return table_update.handle(
        document, tables=tables, request_secret=secret, watches=no_rules(), audit_logs=logs, settings=settings
    )


def in_doubt() -> StoreError:
    error = StoreUnavailableError("BatchGetItem got no answer")
    error.in_doubt = True
    return error


@pytest.mark.parametrize("error", [StoreRefusedError("access denied"), in_doubt()])
def test_without_the_secret_nothing_is_written_and_the_caller_knows_it(error: StoreError) -> None:
    store = Store()
    store.fails = error
    status, answer = asked(store, store.secret(), request_id="r")
    assert (status, answer["error"], answer["details"]) == (500, "DatabaseError", {})
    assert answer["message"] == "Nothing was changed: this request could not be remembered"
    assert store.operations == ["BatchGetItem"]
    store.fails = None
    assert asked(store, store.secret(), request_id="r")[0] == 200


def test_without_a_table_of_keys_a_request_id_is_refused_and_other_updates_are_made() -> None:
    store = Store()
    nowhere = RequestSecret(store.call, "")
    assert asked(store, nowhere, request_id="r")[1]["error"] == "DatabaseError"
    assert store.calls == []
    assert asked(store, nowhere)[0] == 200


def test_the_secret_is_read_by_the_first_request_that_is_remembered_and_by_no_other() -> None:
    store = Store()
    secret = store.secret()
    assert asked(store, secret, enable_logging=True)[0] == 200
    assert store.operations == ["DescribeTable", "TransactWriteItems"]
    store.calls.clear()
    assert [asked(store, secret, request_id=one)[0] for one in ("r", "s")] == [200, 200]
    assert [operation for operation, body in store.calls if of_keys(body)] == [
        "BatchGetItem",
        "PutItem",
        "BatchGetItem",
    ]
    rows = [
        action["Put"]["Item"]["log_id"]["S"]
        for _, body in store.calls
        for action in body.get("TransactItems", ())
        if "Put" in action
    ]
    assert len(set(rows)) == 2
