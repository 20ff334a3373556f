"""The one spelling of times."""

from datetime import UTC, datetime, timedelta, timezone

from weaudit.items.times import iso_moment, iso_time, moment


def test_times_are_iso_8601_with_milliseconds() -> None:
    assert iso_time(1704067200000) == "2024-01-01T00:00:00.000Z"
    assert iso_time(1704067200007) == "2024-01-01T00:00:00.007Z"


def test_moments_of_any_zone_are_spelled_in_utc_and_cut_to_milliseconds() -> None:
    assert iso_moment(datetime(2024, 1, 1, tzinfo=UTC)) == "2024-01-01T00:00:00.000Z"
    east = timezone(timedelta(hours=5, minutes=30))
    assert iso_moment(datetime(2024, 1, 1, 2, 0, 0, 7999, tzinfo=east)) == "2023-12-31T20:30:00.007Z"
    assert iso_moment(datetime(7, 1, 1, tzinfo=UTC)) == "0007-01-01T00:00:00.000Z"


def test_a_spelled_time_is_read_back_and_what_names_no_moment_is_none() -> None:
    at = datetime(2024, 1, 1, 0, 0, 0, 7000, tzinfo=UTC)
    assert moment(iso_moment(at)) == moment("2024-01-01T02:00:00.007+02:00") == at
    assert [moment(text) for text in ("", "then", "2024-01-01T00:00:00", "2024-01-01", "2024-13-01T00:00:00Z")] == (
        [None] * 5
    )
