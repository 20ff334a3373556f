"""Replaying what was kept: calls as full as Lambda takes them, each record once, and nothing lost that fits in none."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tests.fakes import PolicingDynamoDB, PolicingLambda, PolicingS3, producer_stores
from tests.strategies import stream_record
from weaudit.handlers import audit_producer
from weaudit.installation import payloads
from weaudit.installation.repairs.failed_events import FailedEvents, Retried
from weaudit.installation.repairs.quarantine import Quarantine, Replayed
from weaudit.items.sizes import LARGEST_ITEM_BYTES, item_bytes

BUCKET = "evidence"
# Both images at DynamoDB's limit, in what takes the most bytes of JSON for each of DynamoDB's.
WORST: dict[str, Callable[[str], dict[str, Any]]] = {
    "cyrillic": lambda letter: {"S": letter * 199_000},
    "control characters": lambda letter: {"S": "\x01" * 398_000 + letter},
    "nulls": lambda letter: {"L": [{"NULL": True}] * 199_000 + [{"S": letter}]},
    "half of a pair": lambda letter: {"S": "\ud800" * 130_000 + letter},
}


def large(kind: str, number: int = 1) -> dict[str, Any]:
    images = [{"key": {"S": "k"}, "t": WORST[kind](letter)} for letter in ("ф", "я")]
    assert all(item_bytes(image) <= LARGEST_ITEM_BYTES for image in images)
    return stream_record(*images, SequenceNumber=str(10**21 + number))


def too_large(number: int = 9) -> dict[str, Any]:
    """Return a record that DynamoDB can hold and a call cannot: an empty text in a list counts for one byte."""
    images = [{"key": {"S": "k"}, "t": {"L": [{"S": ""}] * 400_000 + [{"S": letter}]}} for letter in "ab"]
    return stream_record(*images, SequenceNumber=str(10**21 + number))


class Installed:
    """The evidence bucket in moto, and audit_producer over stores in memory behind a Lambda that takes 6 MB."""

    def __init__(self) -> None:
        self.s3, self.sqs, sns = (
            boto3.client(service, "us-east-1", aws_access_key_id="a", aws_secret_access_key="s")
            for service in ("s3", "sqs", "sns")
        )
        self.s3.create_bucket(Bucket=BUCKET)
        self.dynamodb, self.kept = PolicingDynamoDB(), PolicingS3()
        stores = producer_stores(self.dynamodb, self.kept, "")
        self.functions = PolicingLambda(lambda event: audit_producer.handle(event, **stores))
        self.queue = self.sqs.create_queue(QueueName="undelivered")["QueueUrl"]
        clients = {"s3": self.s3, "lambda": self.functions, "sqs": self.sqs, "sns": sns}
        names = {"LambdaFunctionAliasArn": "s3", "ImageProcessorAliasArn": "images", "AlarmsTopicArn": "alarms"}
        installation = SimpleNamespace(
            target=SimpleNamespace(client=lambda service, *_: clients[service]),
            evidence_bucket=BUCKET,
            audit_producer="audit_producer",
            outputs={**names, "UndeliveredQueueUrl": self.queue},
        )
        self.quarantine = Quarantine(cast("Any", installation))
        self.failed_events = FailedEvents(cast("Any", installation))

    def given_up(self, *records: Any) -> str:
        """Keep a batch as Lambda does that gave it up."""
        key = "aws/lambda/1/2024/01/01/x"
        body = {"payload": json.dumps({"Records": records}), "requestContext": {"condition": "RetryAttemptsExhausted"}}
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(body).encode())
        return key

    def undelivered(self, entry: str) -> None:
        """Put word of an entry into the queue, as EventBridge does."""
        event = {"source": "aws.s3", "detail": {"bucket": {"name": BUCKET}, "object": {"key": entry}}}
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(event))

    def changes(self) -> set[str]:
        return {record["sequenceNumber"]["S"].lstrip("0") for record in self.dynamodb.items.values()}


@pytest.fixture
def installed() -> Iterator[Installed]:
    with mock_aws():
        yield Installed()


@pytest.mark.parametrize(("kind", "count"), [("cyrillic", 6), ("control characters", 2), ("nulls", 2)])
def test_the_largest_records_of_a_stream_are_replayed(installed: Installed, kind: str, count: int) -> None:
    entry = installed.given_up(*(large(kind, number) for number in range(count)))
    assert installed.quarantine.replay(entry) == Replayed(entry, still=0)
    assert installed.changes() == {str(10**21 + number) for number in range(count)}
    assert list(installed.quarantine.entries()) == []


def test_a_call_is_filled_by_bytes(installed: Installed) -> None:
    records = [large("cyrillic", number) for number in range(8)]
    records += [stream_record(None, {"key": {"S": f"k{number}"}}, SequenceNumber=str(number)) for number in range(250)]
    assert installed.quarantine.replay(installed.given_up(*records)).still == 0
    counts = [len(json.loads(payload)["Records"]) for payload in installed.functions.payloads]
    # Six of 800 KB; and of small ones no more than a batch of the stream has.
    assert counts == [6, 100, 100, 52]
    assert len(installed.changes()) == 258


def test_a_record_that_no_call_carries_stays_and_those_beside_it_are_replayed(installed: Installed) -> None:
    small = [stream_record(None, {"key": {"S": "s"}}, SequenceNumber=str(number)) for number in (1, 2)]
    entry = installed.given_up(small[0], too_large(), small[1])
    for _ in range(2):
        replayed = installed.quarantine.replay(entry)
        assert replayed.still == 1
        assert [size // 100_000 for size in replayed.too_large] == [72]
        assert installed.changes() == {"1", "2"}
        assert [found["id"] for found in installed.quarantine.entries()] == [entry]


def test_word_of_an_entry_goes_once_all_of_its_records_are_replayed(installed: Installed) -> None:
    small = stream_record(None, {"key": {"S": "s"}}, SequenceNumber="1")
    entry = installed.given_up(small, too_large())
    installed.undelivered(entry)
    for _ in range(2):
        [event] = installed.failed_events.take(10)
        retried = installed.failed_events.retry(event)
        assert retried.why == "it holds a record that is too large for a call"
        assert retried.replayed is not None
        assert (retried.replayed.entry_id, len(retried.replayed.too_large)) == (entry, 1)
    installed.given_up(small)
    [event] = installed.failed_events.take(10)
    assert installed.failed_events.retry(event) == Retried(replayed=Replayed(entry, still=0))
    assert list(installed.failed_events.take(10)) == []


def test_a_record_with_half_of_a_surrogate_pair_is_handed_over_as_it_is(installed: Installed) -> None:
    installed.quarantine.replay(installed.given_up(large("half of a pair")))
    assert json.loads(installed.functions.payloads[0])["Records"] == [large("half of a pair")]


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "ф"]), st.text(st.characters(), max_size=40)), max_size=12),
    st.integers(40, 400),
)
def test_every_record_is_in_one_call_or_said_to_be_too_large(records: list[Any], most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(payloads, "LARGEST_BYTES", most)
        patched.setattr(payloads, "_FILLED_BYTES", most - 20)
        calls, too_large = payloads.of_records(records)
    assert all(len(call) <= most for call in calls)
    carried = [record for call in calls for record in json.loads(call)["Records"]]
    assert len(carried) + len(too_large) == len(records)
    left = iter(records)
    assert all(any(record == one for one in left) for record in carried)  # in their order
    assert all(size > most for size in too_large)
