"""audit_producer under what at-least-once delivery and bad days bring; what it decides stands in tests/cases."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.fakes import PolicingDynamoDB, PolicingS3, producer_stores
from tests.strategies import stream_record
from weaudit.capture.rules import Rules
from weaudit.capture.store_secrets import Secrets
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.evidence import unpacked
from weaudit.handlers import audit_producer
from weaudit.runtime import logs


class Stack:
    """The function with its stores in memory."""

    def __init__(self, fault: Callable[[int], str] = lambda _call: "") -> None:
        self.dynamodb, self.s3 = PolicingDynamoDB(fault), PolicingS3()
        self.stores = producer_stores(self.dynamodb, self.s3, "")

    def deliver(self, records: list[Any]) -> dict[str, Any]:
        return audit_producer.handle({"Records": records}, **self.stores)

    @property
    def bytes_written(self) -> bytes:
        return json.dumps(
            [self.dynamodb.items, {key: body.hex() for key, body in self.s3.objects.items()}], sort_keys=True
        ).encode()


def history(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the stream of an item that takes the given images one after the other, and is deleted at last."""
    images = [None, *({**item, "key": {"S": "k"}} for item in items), None]
    return [
        stream_record(old, new, SequenceNumber=str(1000 + number))
        for number, (old, new) in enumerate(itertools.pairwise(images))
        if old or new
    ]


def numbered(count: int) -> list[dict[str, Any]]:
    return [
        stream_record(None, {"key": {"S": f"k{number}"}}, SequenceNumber=str(1000 + number)) for number in range(count)
    ]


@given(st.lists(strategies.attributes, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_batches_delivered_again_and_out_of_order_leave_the_same_bytes(items: list[Any], random: Any) -> None:
    records = history(items)
    once, often = Stack(), Stack()
    once.deliver(records)
    deliveries = [records[start : start + size] for start in range(len(records)) for size in (1, 2, len(records))]
    for delivery in [*random.sample(deliveries, len(deliveries)), records]:
        often.deliver(delivery)
    assert often.bytes_written == once.bytes_written


def test_a_large_event_goes_out_in_as_few_calls_as_fit() -> None:
    stack = Stack()
    summary = stack.deliver(numbered(101))
    assert sorted(stack.dynamodb.calls) == [1, 25, 25, 25, 25]
    counts = {"changes": 101, "records": 101, "quarantined": 0, "spilled": 0, "badRules": 0}
    assert summary == {**counts, "lastSequence": "1100"}


@pytest.mark.parametrize("fault", ["unpersisted", "unanswered"])
@pytest.mark.parametrize("failing_call", [1, 2, 3])
def test_a_write_that_fails_is_raised_and_the_next_delivery_completes_it(fault: str, failing_call: int) -> None:
    whole = Stack()
    whole.deliver(numbered(60))
    stack = Stack(lambda call: fault if call == failing_call else "")
    with pytest.raises(StoreUnavailableError):
        stack.deliver(numbered(60))
    stack.deliver(numbered(60))
    assert stack.bytes_written == whole.bytes_written


def test_unprocessed_items_are_written_by_further_calls() -> None:
    stack = Stack(lambda call: "unprocessed" if call < 4 else "")
    stack.deliver(numbered(16))
    assert len(stack.dynamodb.items) == 16
    assert stack.dynamodb.calls == [16, 8, 4, 2]


def test_a_poisonous_record_is_quarantined_whole_and_all_others_are_audited() -> None:
    stack = Stack()
    poison = stream_record(None, {"key": {"S": "poison"}}, SequenceNumber="7")
    summary = stack.deliver([*numbered(30), poison, {"not": "a record"}, *numbered(30)])
    assert len(stack.dynamodb.items) == 30
    assert (summary["records"], summary["quarantined"]) == (60, 2)
    kept = [json.loads(body) for key, body in stack.s3.objects.items() if key.startswith("raw/quarantine/")]
    assert sorted((entry["code"], entry["function"]) for entry in kept) == [
        ("MalformedEvent", "audit_producer"),
        ("RecordRejected", "audit_producer"),
    ]
    assert poison in [entry["record"] for entry in kept]


def test_a_change_of_which_several_records_are_refused_is_put_aside_once() -> None:
    stack = Stack()
    key = {"key": {"S": "poison"}}
    one = {**key, "a": {"N": "1"}, "b": {"N": "1"}}
    summary = stack.deliver([stream_record(one, {**key, "a": {"N": "2"}, "b": {"N": "2"}}, Keys=key)])
    assert (summary["records"], summary["quarantined"]) == (0, 1)
    assert len([name for name in stack.s3.objects if name.startswith("raw/quarantine/")]) == 1


def test_an_unforeseen_defect_quarantines_its_record_and_quotes_no_data() -> None:
    stack = Stack()
    stack.deliver([stream_record(None, {"key": {"S": "k"}, "v": {"SECRETTYPE": "secret"}})])
    ((_, body),) = stack.s3.objects.items()
    entry = json.loads(body)
    assert entry["code"] == "ValueError"
    assert "SECRET" not in entry["reason"]


def test_each_state_of_a_large_attribute_is_stored_once_and_its_records_refer_to_it() -> None:
    states = [
        {"key": {"S": "k"}, "v": {"S": letter * 5_000}, "w": {"N": str(place)}} for place, letter in enumerate("abc")
    ]
    stack = Stack()
    summary = stack.deliver(history(states))
    assert (summary["quarantined"], summary["spilled"]) == (0, 3)
    assert len(stack.s3.objects) == 3
    records = stack.dynamodb.items.values()
    of_v = sorted(
        (one for one in records if one.get("updatedAttribute") == {"S": "v"}),
        key=lambda one: one["sequenceNumber"]["S"],
    )
    assert [one.keys() & {"oldValue", "newValue"} for one in of_v] == [set(), set()]
    assert of_v[0]["newValueRef"] == of_v[1]["oldValueRef"]
    [inserted] = [one for one in records if one["eventName"] == {"S": "INSERT"}]
    [removed] = [one for one in records if one["eventName"] == {"S": "REMOVE"}]
    assert inserted["newValueRefs"]["M"]["v"] == of_v[0]["oldValueRef"]
    assert removed["oldValueRefs"]["M"]["v"] == of_v[1]["newValueRef"]
    assert inserted["newValue"] == {"M": {"key": {"S": "k"}, "w": {"N": "0"}}}
    for one, letter in zip(
        (of_v[0]["oldValueRef"], of_v[0]["newValueRef"], of_v[1]["newValueRef"]), "abc", strict=True
    ):
        text = unpacked(stack.s3.objects[one["M"]["key"]["S"]])
        assert text == f'{{"S":"{letter * 5_000}"}}'.encode()
        assert one["M"]["bytes"] == {"N": str(len(text))}


def test_an_old_state_that_is_stored_already_is_not_stored_again() -> None:
    one, two = ({"key": {"S": "k"}, "v": {"S": letter * 5_000}} for letter in "ab")
    stack = Stack()
    stack.deliver([stream_record(None, one, SequenceNumber="1")])
    put = stack.s3.puts
    stack.deliver([stream_record(one, two, SequenceNumber="2")])
    assert stack.s3.puts == put + 1
    late = Stack()
    late.deliver([stream_record(one, two, SequenceNumber="2")])
    assert late.s3.puts == 2


def test_a_record_follows_its_large_values_and_a_crash_between_them_is_completed() -> None:
    item = {"key": {"S": "k"}, "v": {"S": "a" * 5_000}}
    stack = Stack(lambda call: "unpersisted" if call == 1 else "")
    with pytest.raises(StoreUnavailableError):
        stack.deliver([stream_record(None, item)])
    assert len(stack.s3.objects) == 1
    stack.deliver([stream_record(None, item)])
    whole = Stack()
    whole.deliver([stream_record(None, item)])
    assert stack.dynamodb.items == whole.dynamodb.items
    assert stack.s3.objects == whole.s3.objects


def test_each_table_has_rules_of_its_own_and_some_that_cannot_be_read_fail_the_batch() -> None:
    class Watches:
        def faults(self) -> dict[str, tuple[str, ...]]:
            return {}

        def rules(self, table: str, at: str, key: Any) -> Rules:
            assert key == {"key": {"S": "k"}}
            assert at == "2024-01-01T00:00:00.000Z"
            return Rules(actor={"Configuration": "who"}[table])

    stack = Stack()
    stack.stores["watches"] = Watches()
    stack.deliver([stream_record(None, {"key": {"S": "k"}, "who": {"S": "ann"}})])
    [record] = stack.dynamodb.items.values()
    assert record["actor"]["M"]["name"] == {"S": "ann"}

    class Down:
        def rules(self, table: str, at: str, key: Any) -> Rules:
            raise StoreUnavailableError("throttled")

    stack = Stack()
    stack.stores["watches"] = Down()
    with pytest.raises(StoreUnavailableError):
        stack.deliver(numbered(3))
    assert not stack.s3.objects


def test_secrets_that_cannot_be_read_fail_the_batch() -> None:
    class Down:
        def secrets(self) -> Secrets:
            raise StoreUnavailableError("throttled")

    stack = Stack()
    stack.stores["keys"] = Down()
    with pytest.raises(StoreUnavailableError):
        stack.deliver(numbered(3))
    assert not stack.dynamodb.items


def test_the_variables_that_the_function_reads_have_the_documented_defaults() -> None:
    environment = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    stores = audit_producer.connect(environment)
    assert stores["evidence"].name == ""
    assert stores["inline_bytes"] == 4096
    assert stores["watches"].rules("orders", "2024-01-01T00:00:00.000Z", {}) == Rules()
    with pytest.raises(StoreRefusedError, match="set KEYS_TABLE"):
        stores["keys"].secrets()


def test_the_log_names_the_logged_updates_of_a_batch_and_no_text_that_somebody_chose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    uuid = "0f3c2d7e-5b1a-4c0e-9d57-{:012x}"
    stated = [*(uuid.format(number) for number in range(120)), "a secret", "0F" * 18, uuid.format(1)]
    batch = [
        stream_record(None, {"key": {"S": f"k{n}"}, "_weaudit": {"S": text}}, SequenceNumber=str(1000 + n))
        for n, text in enumerate(stated)
    ]
    logs.begin()
    Stack().deliver(batch)
    logs.write("INFO", "batch done")
    line = json.loads(capsys.readouterr().out)
    assert line["changeIds"] == [uuid.format(number) for number in range(100)]

    logs.begin()
    Stack().deliver(numbered(2))
    logs.write("INFO", "batch done")
    assert "changeIds" not in json.loads(capsys.readouterr().out)


def test_a_batch_that_fails_names_its_updates_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    change_id = "0f3c2d7e-5b1a-4c0e-9d57-6f2a8e1b4c33"
    stack = Stack(lambda _call: "unpersisted")
    logs.begin()
    with pytest.raises(StoreUnavailableError):
        stack.deliver([stream_record(None, {"key": {"S": "k"}, "_weaudit": {"S": change_id}})])
    logs.write("ERROR", "batch failed and will come again")
    assert json.loads(capsys.readouterr().out)["changeIds"] == [change_id]
    logs.begin()
