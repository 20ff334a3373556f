"""Times as people type and read them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from weaudit.cli.printing import moments
from weaudit.errors import InvalidInputError

NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)


@pytest.fixture
def east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two hours east of UTC."""
    monkeypatch.setenv("TZ", "EAST-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("typed", "start", "end"),
    [
        ("2024-01-31", "2024-01-30T22:00:00.000Z", "2024-01-31T21:59:59.999Z"),
        ("20240131", "2024-01-30T22:00:00.000Z", "2024-01-31T21:59:59.999Z"),
        ("2024-01-31T10:00", "2024-01-31T08:00:00.000Z", "2024-01-31T08:00:00.000Z"),
        ("2024-01-31 10:00:00.5", "2024-01-31T08:00:00.500Z", "2024-01-31T08:00:00.500Z"),
        ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00.000Z", "2024-01-31T10:00:00.000Z"),
        ("2024-01-31T10:00:00-01:30", "2024-01-31T11:30:00.000Z", "2024-01-31T11:30:00.000Z"),
        ("2h", "2024-05-06T05:08:09.123Z", "2024-05-06T05:08:09.123Z"),
        (" 3D ", "2024-05-03T07:08:09.123Z", "2024-05-03T07:08:09.123Z"),
        ("90s", "2024-05-06T07:06:39.123Z", "2024-05-06T07:06:39.123Z"),
        ("1w", "2024-04-29T07:08:09.123Z", "2024-04-29T07:08:09.123Z"),
    ],
)
@pytest.mark.usefixtures("east")
def test_typed_times_are_local_and_a_date_has_its_whole_day(typed: str, start: str, end: str) -> None:
    assert moments.parse(typed, name="--since", now=NOW) == start
    assert moments.parse(typed, name="--until", end=True, now=NOW) == end


@pytest.mark.usefixtures("east")
def test_with_utc_they_are_utc() -> None:
    assert moments.parse("2024-01-31", name="--since", utc=True) == "2024-01-31T00:00:00.000Z"
    assert moments.parse("2024-01-31T10:00+02:00", name="--since", utc=True) == "2024-01-31T08:00:00.000Z"


@pytest.mark.parametrize("typed", ["", "yesterday", "2h ago", "-1h", "2024-13-01", "0000-01-01", "999999w", "1e9"])
def test_what_is_no_time_is_refused_with_what_would_be_one(typed: str) -> None:
    with pytest.raises(InvalidInputError, match=r"--since .* is not a time\nTry 2024-01-31"):
        moments.parse(typed, name="--since", now=NOW)


@pytest.mark.usefixtures("east")
def test_times_are_shown_local_or_in_utc() -> None:
    assert moments.shown("2024-01-01T23:00:00.000Z") == "2024-01-02 01:00:00"
    assert moments.shown("2024-01-01T23:00:00.000Z", utc=True) == "2024-01-01 23:00:00"
    assert moments.shown("not a time") == "not a time"
    assert (moments.zone_name(), moments.zone_name(utc=True)) == ("EAST", "UTC")
