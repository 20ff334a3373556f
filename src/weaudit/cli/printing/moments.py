"""Times as people type and read them."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from weaudit.errors import InvalidInputError
from weaudit.items.times import iso_moment

_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)", re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _zone(utc: bool) -> tzinfo | None:
    return UTC if utc else None  # None is the machine's own zone


def parse(text: str, *, name: str, utc: bool = False, end: bool = False, now: datetime | None = None) -> str:
    """Return a typed time in the trail's form, ``2024-01-01T00:00:00.000Z``.

    Accepts ISO 8601 (local time if no offset is given, UTC with ``utc``), a date (its first instant, or its last one
    with ``end``), and ``2h``, ``3d``, ``90s``, ``15m``, ``1w``: that long ago. Raises InvalidInputError that names
    the option ``name``.
    """
    stripped = text.strip()
    try:
        ago = _AGO.fullmatch(stripped)
        if ago:
            amount = timedelta(**{_UNITS[ago[2].lower()]: int(ago[1])})
            return iso_moment((now or datetime.now(UTC)) - amount)
        moment = datetime.fromisoformat(stripped)
        if end and len(stripped) <= len("2024-01-31"):
            moment += timedelta(days=1) - timedelta(milliseconds=1)
        return iso_moment(moment.replace(tzinfo=UTC) if moment.tzinfo is None and utc else moment)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidInputError(
            f"{name} {text!r} is not a time\n"
            "Try 2024-01-31, 2024-01-31T18:00, 2024-01-31T18:00:00Z, or 2h (two hours ago)."
        ) from error


def shown(at: str, *, utc: bool = False) -> str:
    """Return a time of the trail for reading, ``2024-01-01 00:00:00``; any other text as it is."""
    try:
        return f"{datetime.fromisoformat(at).astimezone(_zone(utc)):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return at


def zone_name(*, utc: bool = False) -> str:
    """Return the zone that times are shown in, for a table's heading: ``UTC``, or the local one's short name."""
    return datetime.now(UTC).astimezone(_zone(utc)).tzname() or "local"
