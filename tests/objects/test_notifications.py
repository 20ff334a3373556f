"""Reading S3 notifications as Lambda delivers them: keys decoded exactly once, every wrong part named."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notifications import object_record
from weaudit.errors import MalformedEventError
from weaudit.objects import notifications

DOCUMENTED = Path(__file__).parent / "notifications.json"


def test_the_event_of_the_s3_documentation_is_read() -> None:
    [record] = notifications.records(json.loads(DOCUMENTED.read_text()))
    event = notifications.parse(record)
    assert (event.bucket, event.key, event.event_name) == ("amzn-s3-demo-bucket", "HappyFace.jpg", "ObjectCreated:Put")
    assert (event.at, event.size_bytes) == ("1970-01-01T00:00:00.000Z", 1024)
    assert (event.version, event.sequencer) == ("096fKKXTRTtl3on89fVO.nfljtsv6qko", "0055AED6DCD90281E5")
    assert event.etag == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("my+file.txt", "my file.txt"),
        ("my%20file.txt", "my file.txt"),
        ("a%2Bb.txt", "a+b.txt"),
        ("a%252Bb.txt", "a%2Bb.txt"),
        ("100%25+sure.txt", "100% sure.txt"),
        ("caf%C3%A9/%E6%97%A5%E6%9C%AC.txt", "café/日本.txt"),
        ("%F0%9F%93%B7.jpg", "\N{CAMERA}.jpg"),
        ("line%0Abreak%00nul", "line\nbreak\0nul"),
        ("plain/path.txt", "plain/path.txt"),
        ("%", "%"),
        ("%zz", "%zz"),
    ],
)
def test_a_key_is_decoded_exactly_once(encoded: str, key: str) -> None:
    assert notifications.decoded_key(encoded) == key
    record = object_record()
    record["s3"]["object"]["key"] = encoded
    assert notifications.parse(record).key == key


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_every_key_is_read_as_it_was_named(key: str) -> None:
    assert notifications.decoded_key(quote_plus(key, safe="/")) == key
    assert notifications.decoded_key(quote_plus(key, safe="")) == key


def test_a_key_may_have_1024_bytes_and_no_more() -> None:
    assert len(notifications.decoded_key(quote_plus("é" * 512)).encode()) == 1024
    with pytest.raises(MalformedEventError, match=r"1025 bytes; S3's keys have 1,024"):
        notifications.decoded_key(quote_plus("é" * 512 + "a"))


@pytest.mark.parametrize("encoded", ["%FF.jpg", "%C3", "%ED%A0%80", "\ud800"])
def test_a_key_that_is_no_utf8_is_refused_and_not_guessed(encoded: str) -> None:
    with pytest.raises(MalformedEventError, match=r"not URL-encoded UTF-8|surrogate"):
        notifications.parse(object_record() | {"s3": {"bucket": {"name": "b"}, "object": {"key": encoded}}})


@pytest.mark.parametrize("event", [None, [], "x", 7, {}, {"Records": None}, {"Records": {"a": 1}}, {"detail": {}}])
def test_what_is_no_notification_is_refused(event: Any) -> None:
    assert not notifications.is_test(event)
    with pytest.raises(MalformedEventError, match='a list "Records"'):
        notifications.records(event)


def test_the_event_by_which_s3_tries_a_notification_is_known() -> None:
    tried = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": "b"}
    assert notifications.is_test(tried)
    assert not notifications.is_test({**tried, "Records": [object_record()]})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"eventSource": "aws:sns"}, "eventSource is 'aws:sns'; aws:s3"),
        ({"eventSource": None}, "eventSource is missing"),
        ({"eventName": ""}, "eventName is missing"),
        ({"eventName": 7}, "eventName is missing or not a text"),
        ({"eventTime": None}, "eventTime is missing"),
        ({"eventTime": "yesterday"}, "eventTime is not a time"),
        ({"eventTime": "2024-01-01"}, "eventTime is not a time"),
        ({"eventTime": "2024-01-01T00:00:00"}, "eventTime is not a time"),
        ({"s3": None}, "s3 is missing or not an object"),
        ({"s3": []}, "s3 is missing or not an object"),
        ({"s3": {"bucket": {"name": "b"}}}, "object is missing"),
        ({"s3": {"bucket": {}, "object": {"key": "k"}}}, "name is missing"),
        ({"s3": {"bucket": "b", "object": {"key": "k"}}}, "bucket is missing or not an object"),
    ],
)
def test_a_record_with_a_wrong_part_is_refused_and_the_part_is_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(MalformedEventError, match=says):
        notifications.parse({**object_record(), **wrong})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"key": None}, "key is missing"),
        ({"key": ""}, "key is missing"),
        ({"size": "12"}, "size is not a number of bytes"),
        ({"size": True}, "size is not a number of bytes"),
        ({"size": -1}, "size is not a number of bytes"),
        ({"size": 1.5}, "size is not a number of bytes"),
        ({"sequencer": "xyz"}, "sequencer is not a hexadecimal number"),
        ({"sequencer": 7}, "sequencer is not a text"),
        ({"versionId": []}, "versionId is not a text"),
        ({"eTag": {}}, "eTag is not a text"),
        ({"eTag": "\ud800"}, "eTag holds half of a surrogate pair"),
    ],
)
def test_an_object_with_a_wrong_part_is_refused_and_the_part_is_named(wrong: dict[str, Any], says: str) -> None:
    record = object_record()
    record["s3"]["object"].update(wrong)
    with pytest.raises(MalformedEventError, match=says):
        notifications.parse(record)


def test_what_s3_leaves_out_may_be_absent() -> None:
    record = object_record()
    record["s3"]["object"] = {"key": "k"}
    event = notifications.parse(record)
    assert (event.size_bytes, event.version, event.sequencer, event.etag) == (None, "", "", "")


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PLACES: list[tuple[str, ...]] = [
    (), ("eventName",), ("eventTime",), ("eventSource",), ("s3",), ("s3", "bucket"), ("s3", "object"),
    ("s3", "bucket", "name"), *(("s3", "object", name) for name in ("key", "size", "eTag", "versionId", "sequencer")),
]  # fmt: skip


@given(junk, st.sampled_from(PLACES))
def test_junk_anywhere_gives_an_event_or_a_malformed_one_and_nothing_else(found: Any, place: tuple[str, ...]) -> None:
    record: Any = object_record()
    if place:
        inner = record
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = found
    else:
        record = found
    try:
        assert notifications.parse(record).bucket
    except MalformedEventError as error:
        assert str(error)  # noqa: PT017 both ways are right; an unexplained refusal is not
