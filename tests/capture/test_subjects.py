"""Items of one subject are hidden by its secret, in generations, so that erasing a secret erases what it hid."""

import base64
import json
from typing import Any, cast

import pytest

from tests.capture.test_store_secrets import Table
from tests.fakes import PolicingDynamoDB, PolicingS3, producer_stores
from tests.strategies import stream_record
from weaudit.capture.configuration import ALWAYS, versions_of, watch_item
from weaudit.capture.hashes import from_base64, origin, record_hash
from weaudit.capture.rules import Rules
from weaudit.capture.store_secrets import SecretTable
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.handlers import audit_producer
from weaudit.items.hashes import kid, subject_id
from weaudit.items.times import iso_time
from weaudit.trail.history import changes
from weaudit.trail.verification.verifying import verify_item

START_S = 1_704_067_200
BY = "arn:aws:iam::111122223333:user/eraser"


class Watches:
    """One set of rules for each table, at every time."""

    def __init__(self, **subjects: str) -> None:
        self._subjects = subjects

    def rules(self, table: str, _at: str, _key: Any) -> Rules:
        return Rules(subject=self._subjects.get(table, ""))

    def faults(self) -> dict[str, tuple[str, ...]]:
        return {}


class Stack:
    """The function, its stores, and the table of keys, in memory; ``now`` is the time of its caches, in seconds."""

    def __init__(self, **subjects: str) -> None:
        self.dynamodb, self.keys, self.now = PolicingDynamoDB(), Table(), 0.0
        self._subjects = subjects
        self.restart()

    def restart(self) -> None:
        """Begin anew, as in a new execution environment."""
        table = SecretTable(cast("Any", self.keys), "keys", clock=lambda: self.now)
        stores = producer_stores(self.dynamodb, PolicingS3())
        self.stores = stores | {"keys": table, "watches": Watches(**self._subjects)}
        self.secrets = table.secrets()

    def deliver(self, *records: dict[str, Any]) -> dict[str, Any]:
        return audit_producer.handle({"Records": list(records)}, **self.stores)

    @property
    def records(self) -> list[dict[str, Any]]:
        return sorted(self.dynamodb.items.values(), key=lambda one: one["changeOrder"]["S"])

    def row(self, *parts: str) -> dict[str, Any]:
        return self.keys.rows[subject_id(self.secrets.root, *parts)]

    def erase(self, *parts: str, since: str) -> None:
        """Erase the last secret of a subject; the next one is in force from a time on."""
        generations = self.row(*parts)["generations"]["L"]
        last = generations[-1]["M"]
        named = base64.b64encode(kid(base64.b64decode(last.pop("secret")["B"]))).decode()
        last["erased"] = {"M": {"kid": {"B": named}, "by": {"S": BY}, "at": {"S": "2024-01-01T00:05:00.000Z"}}}
        secret = {"B": base64.b64encode(b"n" * 32).decode()}
        generations.append({"M": {"from": {"S": since}, "secret": secret}})


def made(user: str, order: str, value: str | None, before: str | None = None, **parts: Any) -> dict[str, Any]:
    """Return the stream record of a change of an order of a user, whose value it sets."""
    keys = {"user": {"S": user}, "order": {"S": order}}
    old, new = ({**keys, "value": {"S": text}} if text is not None else None for text in (before, value))
    table = parts.pop("table", "orders")
    at = {"ApproximateCreationDateTime": float(START_S + parts.pop("after", 0))}
    found = stream_record(old, new, Keys=keys, **at, **parts)
    return {**found, "eventSourceARN": found["eventSourceARN"].replace("Configuration", table)}


def at(seconds: int) -> str:
    return iso_time(1000 * (START_S + seconds))


def test_the_items_of_one_subject_have_its_secret_in_whatever_table_and_those_of_others_do_not() -> None:
    stack = Stack(orders="key:user", invoices="key:user", notes="item")
    stack.deliver(
        made("ada@example.com", "1", "x", SequenceNumber="1"),
        made("ada@example.com", "2", "x", SequenceNumber="2"),
        made("ada@example.com", "1", "x", table="invoices", SequenceNumber="3"),
        made("bo", "1", "x", SequenceNumber="4"),
        made("ada@example.com", "1", "x", table="notes", SequenceNumber="5"),
        made("ada@example.com", "2", "x", table="notes", SequenceNumber="6"),
        made("ada@example.com", "1", "x", table="plain", SequenceNumber="7"),
    )
    kids = [record["kid"]["B"] for record in stack.records]
    assert len(set(kids[:3])) == 1
    assert len(set(kids)) == 5
    assert from_base64({"B": kids[6]}) == stack.secrets.kid
    assert len([name for name in stack.keys.rows if name.startswith("SUBJECT/")]) == 4
    # Who reads the table of keys and not its root does not learn whose the rows are.
    assert "ada@example.com" not in json.dumps(stack.keys.rows)
    salts = [record["salt"]["B"] for record in stack.records]
    assert len(set(salts)) == 7


def test_the_secrets_of_a_batch_are_read_by_one_request_and_kept_for_a_minute() -> None:
    stack = Stack(orders="key:user")
    batch = [made(f"user {number}", "1", "x", SequenceNumber=str(number)) for number in range(1, 51)]
    stack.keys.calls.clear()
    stack.deliver(*batch)
    assert sorted(stack.keys.calls) == ["BatchGetItem"] * 2 + ["PutItem"] * 50
    stack.keys.calls.clear()
    for stack.now in (1.0, 59.0, 61.0):
        stack.deliver(*batch)
    assert stack.keys.calls == ["BatchGetItem"]


def test_two_functions_that_meet_a_subject_first_agree_about_its_secret() -> None:
    stack = Stack(orders="key:user")
    other = Stack(orders="key:user")
    other.keys = stack.keys
    other.restart()

    def meet() -> None:
        stack.keys.before_put = lambda: None
        other.deliver(made("ada@example.com", "1", "x"))

    stack.keys.before_put = meet
    stack.deliver(made("ada@example.com", "1", "x"))
    assert stack.records == other.records


def test_a_change_has_the_secret_of_its_own_time_however_often_and_late_it_is_delivered() -> None:
    stack = Stack(orders="key:user")
    changes_made = [
        made("ada@example.com", "1", str(second), str(second - 1), after=second, SequenceNumber=str(1 + second))
        for second in (0, 10, 20)
    ]
    stack.deliver(*changes_made)
    row = stack.row("ada@example.com")["generations"]["L"]
    assert row[0]["M"]["from"] == {"S": ALWAYS}
    before = json.dumps(stack.records)
    row.append({"M": {"from": {"S": at(15)}, "secret": {"B": base64.b64encode(b"n" * 32).decode()}}})
    stack.now += 3600
    for again in (changes_made, changes_made[::-1], changes_made[1:]):
        stack.restart()
        stack.deliver(*again)
    kids = [record["kid"]["B"] for record in stack.records]
    assert kids[0] == kids[1] != kids[2]
    stack.dynamodb.items.clear()
    row.pop()
    stack.restart()
    stack.deliver(*changes_made)
    assert json.dumps(stack.records) == before


def test_a_change_that_comes_after_its_secret_was_erased_says_when_and_nothing_of_values_or_people() -> None:
    stack = Stack(orders="key:user")
    stack.deliver(made("ada@example.com", "1", "be-fore!", SequenceNumber="1"))
    stack.erase("ada@example.com", since=at(100))
    stack.now += 61  # a function may use what it read for so long, and an erasure waits for it
    late = made("ada@example.com", "1", "s3-cret!", "be-fore!", after=50, SequenceNumber="2")
    assert stack.deliver(late)["records"] == 1
    [_, record] = stack.records
    assert record["erased"]["M"].keys() == {"p", "by", "at"}
    assert (record["erased"]["M"]["by"], record["modificationTime"]) == ({"S": BY}, {"S": at(50)})
    assert record["updatedAttribute"] == {"S": "value"}
    gone = {"itemKey", "oldValue", "newValue", "actor", "changeId", "salt", "contentSalt", "beforeHash", "afterHash"}
    assert not gone & record.keys()
    assert not [
        word for word in ("ada@example.com", "s3-cret!", "be-fore!") if word in json.dumps({**record, "erased": ""})
    ]
    assert from_base64(record["origin"]) == origin(stack.secrets.origin, record_hash(record, None, None))


def test_an_erased_change_that_is_delivered_again_changes_nothing_that_is_there() -> None:
    stack = Stack(orders="key:user")
    first = made("ada@example.com", "1", "before", SequenceNumber="1")
    stack.deliver(first)
    stack.erase("ada@example.com", since=at(100))
    whole = json.dumps(stack.records)
    stack.restart()
    stack.deliver(first)
    assert json.dumps(stack.records) == whole
    late = made("ada@example.com", "1", None, "before", after=50, SequenceNumber="2")
    stack.deliver(late)
    whole = json.dumps(stack.records)
    stack.restart()
    stack.deliver(late, first)
    assert json.dumps(stack.records) == whole


def test_after_an_erasure_the_next_secret_governs_and_nothing_leads_back_to_the_item_before() -> None:
    stack = Stack(orders="key:user")
    stack.deliver(made("ada@example.com", "1", "before", SequenceNumber="1"))
    stack.erase("ada@example.com", since=at(100))
    stack.restart()
    stack.deliver(made("ada@example.com", "1", "after", "before", after=100, SequenceNumber="2"))
    one, two = stack.records
    assert from_base64(two["kid"]) == kid(b"n" * 32) != from_base64(one["kid"])
    assert one["afterHash"] != two["beforeHash"]


@pytest.mark.parametrize("with_secrets", [True, False])
def test_a_late_erased_change_is_whole_to_verify_and_a_rewritten_one_is_not(with_secrets: bool) -> None:
    stack = Stack(orders="key:user")
    stack.deliver(made("ada@example.com", "1", "before", SequenceNumber="1"))
    stack.erase("ada@example.com", since=at(100))
    stack.restart()
    stack.deliver(made("ada@example.com", "1", "secret", "before", after=50, SequenceNumber="2"))
    arn = stack.records[1]["tableArn"]["S"]

    def found(record: dict[str, Any]) -> list[str]:
        verdict = verify_item(
            changes([record]),
            None,
            table="orders",
            table_arn=arn,
            item_key="",
            audited_from_birth=True,
            secrets=stack.secrets if with_secrets else None,
        )
        return [finding.kind for finding in verdict.findings]

    record = stack.records[1]
    assert found(record) == []
    # Its id follows from its attribute; what the origin alone covers needs the secrets.
    assert found({**record, "updatedAttribute": {"S": "another"}}) != []
    assert ("edited" in found({**record, "eventName": {"S": "REMOVE"}})) is with_secrets


@pytest.mark.parametrize(
    "generations",
    [
        None,
        {"L": []},
        {"S": "x"},
        {"L": [{"M": {"from": {"S": ALWAYS}}}]},
        {"L": [{"M": {"from": {"S": ALWAYS}, "secret": {"B": base64.b64encode(b"short").decode()}}}]},
        {"L": [{"M": {"secret": {"B": base64.b64encode(b"s" * 32).decode()}}}]},
        {"L": [{"M": {"from": {"S": ALWAYS}, "erased": {"M": {"by": {"S": BY}}}}}]},
    ],
)
def test_a_subject_whose_row_cannot_be_read_fails_the_batch_and_is_not_recorded_under_another_secret(
    generations: Any,
) -> None:
    stack = Stack(orders="key:user")
    stack.deliver(made("ada@example.com", "1", "x"))
    row = stack.row("ada@example.com")
    row.pop("generations") if generations is None else row.update(generations=generations)
    stack.restart()
    stack.dynamodb.items.clear()
    with pytest.raises(StoreRefusedError, match="does not hold generations of a secret"):
        stack.deliver(made("ada@example.com", "1", "x"))
    assert stack.records == []


def test_a_throttled_table_of_keys_fails_the_batch() -> None:
    stack = Stack(orders="key:user")
    stack.keys.unprocessed = True
    with pytest.raises(StoreUnavailableError):
        stack.deliver(made("ada@example.com", "1", "x"))


def test_a_subject_that_is_no_key_attribute_puts_the_change_aside_and_no_other() -> None:
    stack = Stack(orders="key:customer", invoices="key:user")
    said = stack.deliver(
        made("ada@example.com", "1", "x", SequenceNumber="1"),
        made("ada@example.com", "1", "x", table="invoices", SequenceNumber="2"),
    )
    assert (said["records"], said["quarantined"]) == (1, 1)


def test_the_configuration_of_a_table_says_what_its_subjects_are() -> None:
    rules = (Rules(ALWAYS, "by"), Rules(at(0), "by", subject="key:user"))
    item = watch_item("orders", rules)
    assert versions_of(item) == rules
    assert ["subject" in version["M"] for version in item["versions"]["L"]] == [False, True]
