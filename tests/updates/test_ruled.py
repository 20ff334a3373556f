"""Updates of a table with rules: what the rules hide is not logged either, and a reason may be required."""

from typing import Any

import pytest

from tests.strategies import change
from tests.trails import decide, decision, rules_of
from weaudit.capture.configuration import WatchConfiguration, watch_item
from weaudit.capture.masking import loggable
from weaudit.capture.rules import Rules
from weaudit.errors import StoreUnavailableError, ValidationError
from weaudit.handlers import table_update
from weaudit.items.secret_rows import secret_row
from weaudit.items.times import iso_time
from weaudit.trail.history import attributed, changes
from weaudit.trail.store_callers import AuditLogs
from weaudit.updates import log
from weaudit.updates.plan import plan
from weaudit.updates.requests import Caller, Settings, read_request, settings_of
from weaudit.updates.store import UpdatedTables
from weaudit.updates.store_secret import RequestSecret
from weaudit.values import replaced

NOW_MS = 1_704_067_200_000
LOG_ID = "11111111-1111-4111-8111-111111111111"
SETTINGS = Settings("Configuration", logs_always=True)
VALUES: dict[str, Any] = {
    "n": {"N": "1"},
    "card": {"S": "4711"},
    "email": {"S": "a@b"},
    "token": {"S": "t"},
    "who": {"M": {"pin": {"S": "1"}, "name": {"S": "ana"}}},
}
HIDING = rules_of(redact=["card", "who.pin"], hash=["email"], exclude=["token"], ignore=["n"])


def test_hidden_values_are_dropped_or_redacted_and_ignored_ones_are_logged() -> None:
    redacted = {"S": "[REDACTED]"}
    assert loggable(VALUES, [HIDING]) == {
        "n": {"N": "1"},
        "card": redacted,
        "email": redacted,
        "who": {"M": {"pin": redacted, "name": {"S": "ana"}}},
    }
    assert loggable(VALUES, [rules_of(only=["n", "card"]), rules_of(redact=["card"])]) == {
        "n": {"N": "1"},
        "card": redacted,
    }
    assert loggable(VALUES, [Rules()]) == loggable(VALUES, []) == VALUES
    assert loggable({"who": {"L": [{"S": "pin"}]}}, [HIDING]) == {"who": redacted}


class Stack:
    """DynamoDB, as far as the function needs it; ``rules`` are the versions of Configuration's own rules."""

    def __init__(self, *rules: Rules, down: bool = False) -> None:
        self.item = watch_item("Configuration", rules) if rules else None
        self.down = down
        self.written: list[tuple[str, dict[str, Any]]] = []
        self.reads = 0
        settings = settings_of({"TABLE_NAME": "Configuration", "CONFIGURATION_TABLE": "Configuration"})
        self.stores: dict[str, Any] = {
            "tables": UpdatedTables(self.call),
            "request_secret": RequestSecret(self.call, "keys"),
            "watches": WatchConfiguration(self, "Configuration", clock=lambda: NOW_MS / 1000),  # type: ignore[arg-type]
            "audit_logs": AuditLogs(self.call, "audit_logs"),
            "settings": settings,
        }

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation == "DescribeTable":
            schema = [{"AttributeName": "key", "KeyType": "HASH"}]
            return {
                "Table": {"KeySchema": schema, "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}]}
            }
        if operation == "GetItem":
            self.reads += 1
            if self.down:
                raise StoreUnavailableError("throttled")
            return {} if self.item is None else {"Item": self.item}
        if operation == "BatchGetItem":
            return {"Responses": {"keys": [secret_row("REQUEST", bytes(32))]}}
        self.written.append((operation, body))
        return {}

    def ask(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        document = {"id": "k", "attributes": {"card": "4711", "n": 1}, "enable_logging": True, **fields}
        return table_update.handle(document, **self.stores, now_ms=lambda: NOW_MS)

    @property
    def entry(self) -> dict[str, Any]:
        """The only log entry that was written."""
        puts = [body["Item"] for operation, body in self.written if operation == "PutItem"]
        for operation, body in self.written:
            if operation == "TransactWriteItems":
                puts += [step["Put"]["Item"] for step in body["TransactItems"] if "Put" in step]
        found: list[dict[str, Any]] = [item for item in puts if "record_id" in item or "status" in item]
        assert len(found) == 1
        return found[0]


AT = iso_time(NOW_MS)
LATER = iso_time(NOW_MS + 120_000)


def test_a_version_that_is_yet_to_come_hides_already() -> None:
    for rules in ((rules_of(redact=["card"]),), (Rules(), replaced(rules_of(redact=["card"]), since=LATER))):
        stack = Stack(*(replaced(one, since=one.since or "1970-01-01T00:00:00.000Z") for one in rules))
        assert stack.ask(request_id="r")[0] == 200
        assert stack.entry["updated_attributes"]["M"] == {"card": {"S": "[REDACTED]"}, "n": {"N": "1"}}
        assert "4711" not in str([body for _, body in stack.written if "Update" not in str(body)])


@pytest.mark.parametrize("down", [True, False])
def test_an_update_whose_rules_cannot_be_known_writes_nothing_and_logs_no_value(down: bool) -> None:
    stack = Stack(Rules(AT), down=down)
    stack.item = {"key": {"S": "WATCH/Configuration"}, "versions": {"S": "oops"}}
    status, answer = stack.ask()
    assert (status, answer["error"]) == (500, "DatabaseError")
    assert answer["message"] == "Nothing was changed: the rules of the table cannot be read"
    [(operation, _)] = stack.written
    assert operation == "PutItem"
    assert stack.entry["updated_attributes"] == {"M": {}}
    assert stack.entry["values_left_out"] == {"BOOL": True}


def test_a_failed_attempt_is_logged_by_the_rules_of_its_table_and_without_values_for_another() -> None:
    stack = Stack(replaced(rules_of(redact=["card"]), since=AT))
    assert stack.ask(id=None)[0] == 400
    assert stack.entry["updated_attributes"]["M"] == {"card": {"S": "[REDACTED]"}, "n": {"N": "1"}}
    other = Stack(Rules(AT))
    assert other.ask(table_name="orders", id=None)[0] == 400
    assert other.entry["updated_attributes"] == {"M": {}}


def test_rules_are_read_once_for_many_updates() -> None:
    stack = Stack(Rules(AT))
    for _ in range(5):
        assert stack.ask()[0] == 200
    assert stack.reads == 1


def test_a_reason_that_rules_require_is_asked_for() -> None:
    for since in (AT, LATER):
        stack = Stack(Rules(AT), Rules(since, requires_reason=True))
        status, answer = stack.ask()
        assert (status, answer["error"]) == (400, "ValidationError")
        assert "require a reason" in answer["message"]
        assert answer["details"] == {"field": "reason"}
        assert stack.entry["status"] == {"S": "ValidationError"}
    stack = Stack(Rules(AT, requires_reason=True))
    assert stack.ask(reason="as agreed")[0] == 200
    request = read_request({"id": "k", "attributes": {"n": 1}}, SETTINGS)
    with pytest.raises(ValidationError):
        plan(request, {"key": "S"}, SETTINGS, Caller(), NOW_MS, LOG_ID, rules=(Rules(requires_reason=True),))


@pytest.mark.parametrize("size", [0, 2_000, 6_000])
def test_a_change_is_joined_with_its_entry_whatever_the_rules_hide(size: int) -> None:
    """The entry and the records say less each, and still say the same."""
    rules: dict[str, Any] = {
        "redact": ["card", "who.pin"], "hash": ["email", "who.mail"], "exclude": ["token", "who.token"],
        "ignore": ["at", "who.seen"],
    }  # fmt: skip
    who = {"pin": "1", "mail": "a", "token": "t", "seen": "today", "text": "x" * size}
    document = {
        "id": "k",
        "attributes": {"n": 2, "card": "5500", "email": "b", "token": "u", "at": 2, "who": {**who, "name": "bo"}},
        "reason": "as agreed",
    }
    request = read_request(document, SETTINGS)
    entry = log.log_entry(request, "k", Caller("arn:ana"), "success", NOW_MS, LOG_ID, (rules_of(**rules),))
    old: dict[str, Any] = {"key": {"S": "k"}, "n": {"N": "1"}, "card": {"S": "4711"}, "at": {"N": "1"}}
    one = change(old, {**old, **request.attributes, "_weaudit": {"S": LOG_ID}}, created_at_ms=NOW_MS)
    [made] = changes(decide(one, **rules))
    ignored = rules_of(**rules).ignored
    assert len(made.attributes) == 5
    joined = attributed(made, entry, ignored=ignored)
    assert (joined.actor is not None and joined.actor.kind, joined.reason) == ("logged", "as agreed")
    text = str(entry) + str(decision(one, **rules))
    assert not [value for value in ("5500", "'b'", "'u'") if value in text]
    other = {**entry, "updated_attributes": {"M": {**entry["updated_attributes"]["M"], "n": {"N": "3"}}}}
    assert attributed(made, other, ignored=ignored) == made
