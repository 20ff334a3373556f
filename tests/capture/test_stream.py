"""Reading DynamoDB stream events as Lambda delivers them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import stream_record
from weaudit.capture import stream
from weaudit.errors import MalformedEventError

DOCUMENTED = Path(__file__).parent / "stream.json"


def test_the_event_of_the_lambda_documentation_is_read() -> None:
    changes = [stream.parse(record) for record in json.loads(DOCUMENTED.read_text())["Records"]]
    assert [change.event_name for change in changes] == ["INSERT", "MODIFY", "REMOVE"]
    assert {change.table for change in changes} == {"ExampleTableWithStream"}
    assert {change.stream_label for change in changes} == {"2015-06-27T00:48:05.899"}
    assert [change.sequence for change in changes] == ["111", "222", "333"]
    assert changes[0].created_at_ms == 1428537600000
    assert (changes[0].old_image, changes[2].new_image) == (None, None)
    assert changes[1].keys == {"Id": {"N": "101"}}


def test_a_delete_by_time_to_live_names_its_service() -> None:
    record = {**stream_record({"key": {"S": "k"}}, None)}
    record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert stream.parse(record).service == "dynamodb.amazonaws.com"
    record["userIdentity"] = None
    assert stream.parse(record).service == ""


@pytest.mark.parametrize("event", [None, [], "x", {}, {"Records": None}, {"Records": {"a": 1}}])
def test_what_is_no_stream_event_is_refused(event: Any) -> None:
    with pytest.raises(MalformedEventError, match='a list "Records"'):
        stream.records(event)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eventName": "UPSERT"}, "INSERT, MODIFY or REMOVE"),
        ({"eventName": None}, "eventName is missing"),
        ({"eventSourceARN": "arn:aws:s3:::bucket"}, "not the ARN of a table's stream"),
        ({"eventSourceARN": 7}, "eventSourceARN is missing"),
        ({"dynamodb": []}, "dynamodb is missing or not an object"),
    ],
)
def test_a_record_with_a_wrong_part_is_refused_and_the_part_is_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedEventError, match=says):
        stream.parse({**stream_record(None, {"key": {"S": "k"}}), **wrong})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"SequenceNumber": "12x"}, "SequenceNumber is not a number"),
        ({"SequenceNumber": "1" * 41}, "at most 40 digits"),
        ({"SequenceNumber": "\N{ARABIC-INDIC DIGIT ONE}"}, "SequenceNumber is not a number"),
        ({"ApproximateCreationDateTime": None}, "ApproximateCreationDateTime is missing"),
        ({"ApproximateCreationDateTime": True}, "not a number of seconds"),
        ({"ApproximateCreationDateTime": float("nan")}, "not a number of seconds"),
        ({"ApproximateCreationDateTime": 1e15}, "between the years 1970 and 9999"),
        ({"Keys": {}}, "Keys is missing"),
        ({"NewImage": None}, "view type must be NEW_AND_OLD_IMAGES"),
        ({"NewImage": {"a": "plain"}}, "not DynamoDB JSON"),
        ({"NewImage": {"a": {"S": "x", "N": "1"}}}, "not DynamoDB JSON"),
    ],
)
def test_a_body_with_a_wrong_part_is_refused_and_the_part_is_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedEventError, match=says):
        stream.parse(stream_record(None, {"key": {"S": "k"}}, **wrong))


@pytest.mark.parametrize(("seconds", "at_ms"), [(1704067200, 1704067200000), (1.7040672e9, 1704067200000), (0.0014, 1)])
def test_times_are_kept_to_the_millisecond(seconds: float, at_ms: int) -> None:
    record = stream_record(None, {"key": {"S": "k"}}, ApproximateCreationDateTime=seconds)
    assert stream.parse(record).created_at_ms == at_ms


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
parts = ["eventName", "eventSourceARN", "dynamodb", "userIdentity"]
body_parts = ["SequenceNumber", "ApproximateCreationDateTime", "Keys", "NewImage", "OldImage"]


@given(junk, st.sampled_from([None, *parts, *body_parts]))
def test_junk_anywhere_gives_a_change_or_a_malformed_event_and_nothing_else(found: Any, where: str | None) -> None:
    record: Any = stream_record({"key": {"S": "k"}}, {"key": {"S": "k"}, "v": {"N": "1"}})
    if where is None:
        record = found
    elif where in parts:
        record[where] = found
    else:
        record["dynamodb"][where] = found
    try:
        assert stream.parse(record).event_name == "MODIFY" or where == "eventName"
    except MalformedEventError as error:
        assert str(error)  # noqa: PT017 both ways are right; an unexplained refusal is not


def test_how_far_an_event_reaches_is_told_as_the_stream_spells_it() -> None:
    records = [stream_record(None, {"key": {"S": "k"}}, SequenceNumber=number) for number in ("001", "002")]
    assert stream.last_sequence(records) == "002"
    assert stream.last_sequence([]) == ""
    assert stream.last_sequence([{"dynamodb": None}]) == ""
