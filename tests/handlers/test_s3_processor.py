"""s3_processor under what at-least-once delivery and bad days bring; what it decides stands in tests/cases."""

import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import PolicingDynamoDB, PolicingS3, processor_stores
from tests.notifications import numbered, object_record
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.handlers import s3_processor
from weaudit.runtime.event import Invocation

KEY = ("requestId", "timestamp")


class Stack:
    """The function with its stores in memory."""

    def __init__(self, fault: Callable[[int], str] = lambda _call: "") -> None:
        self.dynamodb, self.s3 = PolicingDynamoDB(fault, KEY), PolicingS3()
        self.stores = processor_stores(self.dynamodb, self.s3)

    def call(self, event: Any, request_id: str = "r-1") -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer."""
        answer, fields = s3_processor.handle(
            event, Invocation("s3-processor-dev", request_id, lambda: 30_000), **self.stores
        )
        body = json.loads(answer["body"])
        assert answer.keys() == {"statusCode", "body"}
        assert fields == {"status": answer["statusCode"], "logged": body["logged"], "quarantined": len(body["failed"])}
        return answer["statusCode"], body

    def deliver(self, records: list[Any]) -> tuple[int, dict[str, Any]]:
        return self.call({"Records": records})

    @property
    def rows(self) -> list[dict[str, Any]]:
        return sorted(self.dynamodb.items.values(), key=lambda row: str(row["objectKey"]["S"]))

    @property
    def bytes_written(self) -> bytes:
        kept = {key: body.decode() for key, body in self.s3.objects.items()}
        return json.dumps([self.rows, kept], sort_keys=True).encode()


def test_every_record_is_a_row_by_one_call_and_four_are_under_way_at_once() -> None:
    stack = Stack()
    assert stack.deliver(numbered(60)) == (200, {"logged": 60, "failed": []})
    assert stack.dynamodb.calls == [1] * 60
    assert stack.dynamodb.most_under_way == 4
    assert stack.dynamodb.under_way == []
    assert {row["objectKey"]["S"] for row in stack.rows} == {f"file {number}.txt" for number in range(60)}
    assert {row["functionName"]["S"] for row in stack.rows} == {"s3-processor-dev"}


def test_events_that_come_again_in_any_order_and_cut_add_no_row() -> None:
    records = numbered(4)
    once, often = Stack(), Stack()
    once.deliver(records)
    for order in itertools.permutations(records):
        often.deliver([*order, order[0]])
        often.deliver([order[1]])
    assert often.bytes_written == once.bytes_written


def test_another_invocation_that_gets_the_event_again_changes_no_row_and_reports_it_as_logged() -> None:
    stack = Stack()
    records = numbered(4)
    stack.deliver(records[:3])
    assert stack.call({"Records": records}, "r-2") == (200, {"logged": 4, "failed": []})
    assert [row["awsRequestId"]["S"] for row in stack.rows] == ["r-1", "r-1", "r-1", "r-2"]
    before = stack.bytes_written
    assert stack.call({"Records": records[::-1]}, "r-3") == (200, {"logged": 4, "failed": []})
    assert stack.bytes_written == before


def test_the_same_key_put_again_is_another_row_and_so_is_each_version_and_kind_of_event() -> None:
    stack = Stack()
    again = [object_record(sequencer="01"), object_record(sequencer="02"), object_record(versionId="v2")]
    copied = object_record() | {"eventName": "ObjectCreated:Copy"}
    assert stack.deliver([*again, object_record(), copied])[0] == 200
    assert len(stack.rows) == 5


def test_of_events_without_a_sequencer_the_time_tells_which_is_which() -> None:
    first = object_record()
    del first["s3"]["object"]["sequencer"]
    second = first | {"eventTime": "2024-01-01T00:00:01.000Z"}
    stack = Stack()
    assert stack.deliver([first, second, first]) == (200, {"logged": 2, "failed": []})
    stack.deliver([second])
    assert [row["timestamp"]["S"] for row in stack.rows] == [first["eventTime"], second["eventTime"]]
    assert len({row["requestId"]["S"] for row in stack.rows}) == 1


def test_malformed_records_are_reported_with_their_place_quarantined_whole_and_stop_no_other() -> None:
    stack = Stack()
    wrong = [{"not": "a record"}, None, object_record() | {"eventTime": "never"}, {"eventSource": "aws:sns"}]
    good = numbered(3)
    status, body = stack.deliver([wrong[0], good[0], wrong[1], good[1], wrong[2], good[2], wrong[3]])
    assert (status, body["logged"]) == (500, 3)
    assert [found["record"] for found in body["failed"]] == [0, 2, 4, 6]
    assert {found["code"] for found in body["failed"]} == {"MalformedEvent"}
    assert "eventTime is not a time" in body["failed"][2]["reason"]
    kept = [json.loads(text) for text in stack.s3.objects.values()]
    assert all(key.startswith("raw/quarantine/s3_processor/") for key in stack.s3.objects)
    spelled = [
        sorted(json.dumps(one, sort_keys=True) for one in found) for found in ([e["record"] for e in kept], wrong)
    ]
    assert spelled[0] == spelled[1]
    before = stack.bytes_written
    stack.deliver([wrong[0], good[0], *wrong[1:]])
    assert stack.bytes_written == before


@pytest.mark.parametrize("event", [None, [], "x", {}, {"Records": "x"}, {"source": "aws.s3", "detail": {}}])
def test_what_is_no_notification_at_all_is_reported_and_quarantined_whole(event: Any) -> None:
    stack = Stack()
    status, body = stack.call(event)
    assert (status, body["logged"], len(body["failed"])) == (500, 0, 1)
    assert body["failed"][0]["record"] is None
    [kept] = stack.s3.objects.values()
    assert json.loads(kept)["record"] == event
    assert stack.dynamodb.calls == []


def test_the_event_by_which_s3_tries_a_notification_is_acknowledged_and_ignored() -> None:
    stack = Stack()
    assert stack.call({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}) == (
        200, {"logged": 0, "failed": []},
    )  # fmt: skip
    assert (stack.dynamodb.calls, stack.s3.objects) == ([], {})


def test_no_records_are_no_work() -> None:
    stack = Stack()
    assert stack.deliver([]) == (200, {"logged": 0, "failed": []})
    assert (stack.dynamodb.calls, stack.s3.objects) == ([], {})


@pytest.mark.parametrize("fault", ["unpersisted", "unanswered"])
@pytest.mark.parametrize("failing_call", [1, 2, 9, 30])
def test_an_outage_of_the_table_is_raised_and_the_next_delivery_completes_it(fault: str, failing_call: int) -> None:
    whole, stack = Stack(), Stack(lambda call: fault if call == failing_call else "")
    records = [*numbered(30), {"not": "a record"}]
    whole.deliver(records)
    with pytest.raises(StoreUnavailableError):
        stack.deliver(records)
    assert stack.dynamodb.under_way == []
    written = dict(stack.dynamodb.items)
    stack.deliver(records)
    assert stack.bytes_written == whole.bytes_written
    assert all(stack.dynamodb.items[key] is row for key, row in written.items())


@pytest.mark.parametrize("failing_call", range(1, 9))
def test_an_outage_while_a_rejected_row_is_looked_for_costs_no_row(failing_call: int) -> None:
    records = [*numbered(3), object_record("poison")]
    records[2], records[3] = records[3], records[2]
    whole, stack = Stack(), Stack(lambda call: "unpersisted" if call == failing_call else "")
    found = whole.deliver(records)
    assert whole.dynamodb.calls == [1] * 8
    # The fourth is given up when the third is rejected, whatever comes of it, and is put once more.
    raised = contextlib.nullcontext() if failing_call == 4 else pytest.raises(StoreUnavailableError)
    with raised:
        assert stack.deliver(records) == found
    assert stack.deliver(records) == found
    assert stack.bytes_written == whole.bytes_written


class _NoBucket(PolicingS3):
    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        raise StoreRefusedError("no such bucket")


def test_an_outage_of_the_quarantine_is_raised_after_the_good_records_are_logged() -> None:
    stack = Stack()
    stack.stores = processor_stores(stack.dynamodb, _NoBucket())
    with pytest.raises(StoreRefusedError):
        stack.deliver([object_record(), {"not": "a record"}])
    assert len(stack.rows) == 1


def test_a_row_that_the_table_can_never_hold_is_quarantined_and_the_others_are_logged() -> None:
    stack = Stack()
    poison = object_record("poison")
    status, body = stack.deliver([*numbered(2), poison])
    assert (status, body["logged"]) == (500, 2)
    assert [(found["record"], found["code"]) for found in body["failed"]] == [(2, "RecordRejected")]
    [kept] = stack.s3.objects.values()
    assert json.loads(kept)["record"] == poison
    assert stack.dynamodb.under_way == []


@pytest.mark.parametrize("places", [{0}, {59}, {0, 1, 2, 3}, {7, 30, 58}, set(range(60))])
def test_rejected_rows_are_found_wherever_they_are_among_many(places: set[int]) -> None:
    stack = Stack()
    records = [
        object_record("poison", sequencer=f"{place:02}") if place in places else record
        for place, record in enumerate(numbered(60))
    ]
    status, body = stack.deliver(records)
    assert (status, body["logged"]) == (500, 60 - len(places))
    assert {found["record"] for found in body["failed"]} == places
    assert len(stack.rows) == 60 - len(places)
    before = stack.bytes_written
    assert stack.call({"Records": records}, "r-2") == (status, body)
    assert stack.bytes_written == before


def test_the_variables_that_the_function_reads_have_the_documented_defaults() -> None:
    environment = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    stores = s3_processor.connect(environment)
    assert stores["log"]._name == "lambda-invocation-logs-dev"
    assert stores["evidence"].name == ""
