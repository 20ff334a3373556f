"""The parameters of an API request, checked against its route before anything is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from weaudit.api.routes import BY_KEY, Route
from weaudit.errors import InvalidInputError, RecordNotFoundError
from weaudit.items.plain import shown
from weaudit.items.times import iso_moment
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 1000
LONGEST_RANGE_DAYS, DEFAULT_RANGE_DAYS = 92, 7
"""For a table's changes: every month of a range costs sixteen queries, even if it is empty."""
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
LONGEST_OBJECT_KEY_BYTES = 1024
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html: a sort key, of a table or an index.
_LONGEST_ORDER_BYTES = 1024
_LONGEST_SEQUENCE = 40
_TABLE_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_HEX = frozenset("0123456789abcdef")
_NO_LISTS: Mapping[str, tuple[str, ...]] = {}


@value
class Asked:
    """A request to a known route that has only the route's parameters, each given as often as it may be.

    ``path`` holds the path parameters, ``query`` the query parameters that were given. ``lists`` holds those that may
    be repeated, each with its values sorted and no value twice: their order and number mean nothing.
    """

    route: Route
    path: dict[str, str]
    query: dict[str, str]
    lists: Mapping[str, tuple[str, ...]] = _NO_LISTS


def asked(route_key: str, path: Mapping[str, str], query: Mapping[str, Sequence[str]], function: str) -> Asked:
    """Check a request to ``function``. Raises InvalidInputError, which names the parameter, or RecordNotFoundError.

    ``query`` holds every value that was given for each parameter, decoded.
    """
    route = BY_KEY.get(route_key)
    if route is None or route.function != function:
        raise RecordNotFoundError("There is no such route")
    known = (*route.required, *route.optional)
    for name, values in query.items():
        if name not in known:
            takes = ", ".join(known) or "none"
            raise InvalidInputError(
                f"{shown(name)} is not a parameter of {route.key}; it takes: {takes}",
                {"parameter": shown(name, quoted=False)},
            )
        if len(values) != 1 and name not in route.repeatable:
            raise _refusal(name, f"is given {len(values)} times: give it once")
    missing = [name for name in route.required if not (query.get(name) or [""])[0]]
    if missing:
        raise InvalidInputError(f"{route.key} needs {', '.join(missing)}", {"missing_fields": missing})
    return Asked(
        route,
        {name: path.get(name, "") for name in route.path_parameters},
        {name: values[0] for name, values in query.items() if name not in route.repeatable},
        {name: tuple(sorted(set(values))) for name, values in query.items() if name in route.repeatable},
    )


def limit(found: Asked) -> int:
    """Return how many elements a page may have. Raises InvalidInputError."""
    text = found.query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= LARGEST_LIMIT):
        raise _refusal("limit", f"must be a number from 1 to {LARGEST_LIMIT}")
    return int(text)


def table(found: Asked) -> str:
    """Return the table in the path. Raises InvalidInputError if no table can have that name."""
    name = found.path["table"]
    if not 3 <= len(name) <= 255 or not _TABLE_NAME.issuperset(name):
        raise _refusal("table", "must be a table's name: 3 to 255 letters, digits, and _ . -")
    return name


def text(found: Asked, name: str, longest_bytes: int) -> str:
    """Return an optional text, or "" if it is not given. Raises InvalidInputError if it is too long."""
    given = found.query.get(name, "")
    if not fits(given, longest_bytes):
        raise _refusal(name, f"must not have more than {longest_bytes} bytes in UTF-8")
    return given


def fits(given: str, longest_bytes: int) -> bool:
    """Return whether a text has at most so many bytes in UTF-8; False for one with half of a surrogate pair."""
    try:
        return len(given.encode()) <= longest_bytes
    except UnicodeEncodeError:
        return False


def is_order(given: str) -> bool:
    """Return whether a text can be the changeOrder of a record in an item's history.

    A record written by hand may have any text that the index can hold: reading must continue after it as well.
    """
    return bool(given) and fits(given, _LONGEST_ORDER_BYTES)


def image_key(found: Asked) -> str:
    """Return the key of an image. Raises InvalidInputError if no object can have it."""
    return text(found, "key", LONGEST_OBJECT_KEY_BYTES)


def record_id(found: Asked) -> str:
    """Return the audit record's id in the path. Raises InvalidInputError if it is not a valid id."""
    given = found.path["id"]
    if [len(part) for part in given.split("-")] != [8, 4, 4, 4, 12] or not _HEX.issuperset(given.replace("-", "")):
        raise _refusal("id", "must be the id of an audit record: a UUID in small letters")
    return given


def without(found: Asked) -> frozenset[str]:
    """Return the attributes to leave out. Raises InvalidInputError.

    Each ``without`` is one name: a comma or a dot in it is a part of the name.
    """
    names = frozenset(found.lists.get("without", ()))
    if "" in names:
        raise _refusal("without", "must be an attribute's name: it is empty")
    attribute = found.query.get("attribute")
    if attribute in names:
        raise _refusal("without", f"must not be {shown(attribute)}, which attribute asks for: give it in one of them")
    return names


def newest_first(found: Asked) -> bool:
    """Return whether ``order`` is ``desc``; ``asc``, oldest first, is the default. Raises InvalidInputError."""
    order = found.query.get("order", "asc")
    if order not in ("asc", "desc"):
        raise _refusal("order", "must be asc (oldest first) or desc (newest first)")
    return order == "desc"


def sequence(found: Asked) -> str | None:
    """Return the sequence number asked for, without leading zeros. Raises InvalidInputError.

    A stream's label and ``#`` may precede it: ``2024-01-01T00:00:00.000#1234``.
    """
    text = found.query.get("sequence")
    if text is None:
        return None
    label, separator, digits = text.rpartition("#")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST_SEQUENCE) or separator > label:
        raise _refusal("sequence", f"must be a stream's sequence number: up to {_LONGEST_SEQUENCE} digits")
    if not is_order(f"{label}{separator}{digits.zfill(_LONGEST_SEQUENCE)}"):
        raise _refusal("sequence", "must have nothing but the stream's label, which is a time, before its #")
    return f"{label}{separator}{digits.lstrip('0') or '0'}"


def moment(found: Asked, name: str, *, whole_day: bool = False) -> str | None:
    """Return a parameter's time in the form of records, ``2024-01-01T00:00:00.000Z``. Raises InvalidInputError.

    A time without a zone is UTC. A date alone is its first instant, or its last with ``whole_day``.
    """
    text = found.query.get(name)
    if text is None:
        return None
    try:
        # Python reads more spellings of ISO 8601 than people do.
        usual = len(text) >= 10 and text[4] == text[7] == "-" and text[10:11] in ("", "T")
        time = datetime.fromisoformat(text if usual else "")
        if len(text) == 10 and whole_day:
            time += timedelta(days=1) - timedelta(milliseconds=1)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refusal(
            name, "must be an ISO 8601 time, such as 2024-01-01T12:00:00Z (a + in it is %2B), or a date"
        ) from None
    return iso_moment(time)


def point(found: Asked) -> tuple[str | None, str | None]:
    """Return the time or the sequence number of the state that is asked for. Raises InvalidInputError."""
    if ("at" in found.query) == ("sequence" in found.query):
        raise InvalidInputError("give either at, a time, or sequence, a sequence number", {"missing_fields": ["at"]})
    return moment(found, "at"), sequence(found)


def two_moments(found: Asked) -> tuple[str, str]:
    """Return the times ``from`` and ``to``. Raises InvalidInputError."""
    since, until = (moment(found, name) or "" for name in ("from", "to"))
    if since > until:
        raise _refusal("from", "must not be after to")
    return since, until


def check_order(since: str | None, until: str | None) -> None:
    """Raise InvalidInputError if a range ends before it begins."""
    if since and until and since > until:
        raise _refusal("since", "must not be after until")


def span(found: Asked, now_ms: int) -> tuple[str, str]:
    """Return since and until of a table's changes. Raises InvalidInputError.

    ``until`` defaults to now (``now_ms``, since 1970), ``since`` to seven days before ``until``.
    """
    return _span(found, datetime.fromtimestamp(now_ms / 1000, UTC))


def span_of_place(found: Asked, until: str, position: str) -> tuple[str, str] | None:
    """Return since and until of a table's changes, of which a page continues at ``position``.

    ``until`` is the end of the range, ``position`` a time in it or the position of a change: a time, ``#`` and forty
    digits. None if they are not, as in a forged cursor. Raises InvalidInputError if :func:`span` would refuse the
    range.
    """
    if not (is_moment(until) and is_position(position)):
        return None
    # If the query gives no end, the first page took "now", and its cursor carries that as ``until``.
    first, last = _span(found, _time(until))
    return (first, last) if until == last and first <= position.partition("#")[0] <= last else None


def is_position(given: str) -> bool:
    """Return whether a text is a time in the form of records, or such a time, ``#`` and a padded sequence number."""
    at, separator, digits = given.partition("#")
    return is_moment(at) and (not separator or is_padded(digits))


def is_moment(given: str) -> bool:
    """Return whether a text is a time in the form of records, ``2024-01-01T00:00:00.000Z``."""
    try:
        return iso_moment(datetime.fromisoformat(given)) == given
    except (ValueError, OverflowError):
        return False


def is_padded(digits: str) -> bool:
    """Return whether a text is a sequence number with its leading zeros, as records sort by it."""
    return len(digits) == _LONGEST_SEQUENCE and digits.isascii() and digits.isdecimal()


def _span(found: Asked, now: datetime) -> tuple[str, str]:
    since, until = moment(found, "since"), moment(found, "until", whole_day=True)
    default = timedelta(days=DEFAULT_RANGE_DAYS)
    try:
        last = _time(until) if until else now
        first = _time(since) if since else last - default
    except OverflowError:
        raise _refusal("until", "must not lie within the first seven days of the calendar") from None
    if first > last:
        raise _refusal("since", "must not be after until" if until else "must not lie in the future")
    if last - first > timedelta(days=LONGEST_RANGE_DAYS):
        raise InvalidInputError(
            f"since and until must not be more than {LONGEST_RANGE_DAYS} days apart: ask range by range",
            {"parameter": "since", "limit": LONGEST_RANGE_DAYS},
        )
    return iso_moment(first), iso_moment(last)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _refusal(name: str, reason: str) -> InvalidInputError:
    return InvalidInputError(f"{name} {reason}", {"parameter": name})
