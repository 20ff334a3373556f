"""Events of EventBridge: the documented one is read, and each way to be malformed is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image_fakes import PNG, created, deleted, wish
from weaudit.errors import MalformedEventError
from weaudit.images import events
from weaudit.images.sources import padded


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the documented event with one part of it set, or removed where the value is None."""
    event = json.loads(json.dumps(created("a.png", PNG, "00617F08299329D189")))
    *above, name = path.split(".")
    container = event
    for part in above:
        container = container[part]
    if value is None:
        del container[name]
    else:
        container[name] = value
    return dict(event)


def test_the_documented_event_is_read_bare_and_in_the_envelope_of_the_queue() -> None:
    event = changed("detail.object.version-id", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e")
    message = {"messageId": "m", "eventSource": "aws:sqs", "body": json.dumps(event)}
    for record in (event, message):
        [raw] = events.records(event if record is event else {"Records": [message]})
        source = events.parse(raw)
        assert (source.bucket, source.key, source.bytes) == ("uploads", "a.png", len(PNG))
        assert source.sequencer == "00617F08299329D189".ljust(40, "0")
        assert source.event_time == "2024-01-01T00:00:00.000Z"
        assert source.version_id == "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
        assert source.wanted == ""


@pytest.mark.parametrize("key", ["a b+%2B%20.png", "日本/ü.jpg", "é" * 512, "../x", "a//b", "\x01"])
def test_a_key_is_the_uploaders_own_text_and_not_decoded(key: str) -> None:
    assert events.parse(created(key, PNG, "00")).key == key


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z"),
        ("2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00.500Z"),
        ("2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00.123Z"),
    ],
)
def test_a_time_has_milliseconds(time: str, read: str) -> None:
    assert events.parse(changed("time", time)).event_time == read


def test_a_wish_takes_etag_and_sequencer_of_the_row() -> None:
    source = events.parse(wish("a.png", "v2"))
    assert (source.etag, source.sequencer, source.wanted) == ("", "0" * 40, "v2")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source", "aws.ec2"),
        ("detail-type", "Object Restore Completed"),
        ("detail", None),
        ("detail", "a text"),
        ("detail.bucket", None),
        ("detail.bucket.name", 7),
        ("detail.object", []),
        ("detail.object.key", ""),
        ("detail.object.key", "x" * 1025),
        ("detail.object.key", None),
        ("detail.object.key", "half \ud800 a pair"),
        ("detail.object.etag", "\udfff"),
        ("detail.bucket.name", "\ud800"),
        ("detail.object.etag", None),
        ("detail.object.size", None),
        ("detail.object.size", -1),
        ("detail.object.size", True),
        ("detail.object.size", "5"),
        ("detail.object.sequencer", None),
        ("detail.object.sequencer", ""),
        ("detail.object.sequencer", "xyz"),
        ("detail.object.sequencer", "0" * 41),
        ("detail.object.version-id", 1),
        ("time", None),
        ("time", "yesterday"),
        ("time", "2024-01-01T00:00:00"),
        ("time", "2024-01-01T00:00:00.Z"),
        ("time", "2024-01-01T00:00:00.xZ"),
        ("time", "2024-01-01T00:00:00+01:00"),
        ("time", ""),
    ],
)
def test_what_is_not_as_documented_is_refused(path: str, value: Any) -> None:
    with pytest.raises(MalformedEventError):
        events.parse(changed(path, value))


def test_the_documented_events_of_deletions_are_read() -> None:
    marked = deleted(
        "a.png",
        "617f0837b476e463",
        **{"deletion-type": "Delete Marker Created", "requester": "123456789012"},
    )
    found = {"etag": "d41d8cd98f00b204e9800998ecf8427e", "version-id": "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF"}
    marked["detail"]["object"].update(found)
    source = events.parse(marked)
    assert source.deletion == {
        "reason": "DeleteObject",
        "type": "Delete Marker Created",
        "requester": "123456789012",
        "versionId": "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF",
    }
    # What the event says of an object is about the delete marker.
    assert (source.etag, source.version_id, source.bytes) == ("", "", 0)
    assert source.sequencer == "617F0837B476E463".ljust(40, "0")
    assert source.event_time == "2024-01-01T12:00:00.000Z"
    # Without a request there is no address, and without versions no version.
    changes = {"requester": "s3.amazonaws.com", "reason": "Lifecycle Expiration"}
    expired = deleted("a.png", "617b398000000000", **changes)
    del expired["detail"]["source-ip-address"]
    assert events.parse(expired).deletion == {
        "reason": "Lifecycle Expiration",
        "type": "Permanently Deleted",
        "requester": "s3.amazonaws.com",
    }


@pytest.mark.parametrize(
    ("name", "value"), [("reason", None), ("reason", 7), ("deletion-type", 7), ("requester", ["a"])]
)
def test_a_deletion_that_is_not_as_documented_is_refused(name: str, value: Any) -> None:
    with pytest.raises(MalformedEventError):
        events.parse(deleted("a.png", "0A", **{name: value}))


@pytest.mark.parametrize("record", [None, 1, "a", [], {}, {"eventSource": "aws:sqs"}])
def test_what_is_no_event_is_refused(record: Any) -> None:
    with pytest.raises(MalformedEventError):
        events.parse(record)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", 5])
def test_a_message_without_an_event_is_refused(body: Any) -> None:
    with pytest.raises(MalformedEventError):
        events.parse({"eventSource": "aws:sqs", "body": body})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda part: (
            st.lists(part) | st.dictionaries(st.sampled_from(["Records", "detail", "object", "source", "body"]), part)
        ),
    )
)
def test_whatever_an_invocation_brings_is_read_or_refused(event: Any) -> None:
    for record in events.records(event):
        with pytest.raises(MalformedEventError):
            events.parse(record)


def right_padded(one: str, other: str) -> tuple[str, str]:
    """Compare as S3's documentation says it: the shorter is padded on the right with zeros."""
    length = max(len(one), len(other))
    return one.ljust(length, "0"), other.ljust(length, "0")


_HEXADECIMAL = st.text("0123456789ABCDEF", min_size=1, max_size=40)


@given(_HEXADECIMAL, _HEXADECIMAL)
def test_padded_sequencers_sort_as_s3_says(one: str, other: str) -> None:
    left, right = right_padded(one, other)
    assert (padded(one) < padded(other)) == (left < right)
    assert (padded(one) == padded(other)) == (left == right)
