"""Pages of the API, limited in elements and bytes, and the opaque cursor that leads from one to the next."""

from __future__ import annotations

import binascii
import json
from hashlib import sha256

from weaudit.errors import InvalidInputError
from weaudit.items.texts import Written, compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.api.queries import Asked

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: a response has at most 6 MB.
PAGE_BYTES = 4_500_000
# For responses without pages. Two values of an item, each 400 KB of nothing but control characters, take 5.8 MB.
ANSWER_BYTES = 6_000_000
_VERSION = 1
_NOT_OF_THE_QUERY = ("limit", "cursor")


class Page:
    """The elements of one response, in order, as JSON text; ``more`` is True once one did not fit."""

    def __init__(self, limit: int, limit_bytes: int = PAGE_BYTES) -> None:
        self._limit = limit
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._place: list[str] | None = None
        self.elements: list[Written] = []
        self.more = False

    def take(self, document: Any, place: list[str], smaller: Callable[[Any], Any] | None = None) -> bool:
        """Add an element and return True; False if the page is full, and the element is the next page's first.

        ``place`` is where the next page begins: after this element. An element that is larger than a whole page is
        passed through ``smaller``.
        """
        if len(self.elements) >= self._limit:
            self.more = True
            return False
        text = compact(document)
        size = weight(text)
        if size > self._limit_bytes and smaller is not None:
            text = compact(smaller(document))
            size = weight(text)
        if self.elements and size > self._left_bytes:
            self.more = True
            return False
        self._left_bytes -= size
        self.elements.append(Written(text))
        self._place = place
        return True

    def skip(self, place: list[str]) -> None:
        """Set where the next page begins: after an element that is left out, or after all that were taken."""
        self._place = place

    def cursor(self, asked: Asked) -> str | None:
        """Return the cursor of the next page, or None if this is the last."""
        return cursor(asked, self._place) if self.more and self._place is not None else None


def weight(text: str) -> int:
    """Return the bytes that JSON text takes in Lambda's response, which quotes it once more."""
    return len(text.encode()) + text.count('"') + text.count("\\")


def cursor(asked: Asked, place: list[str]) -> str:
    """Return the opaque cursor that continues this query after ``place``, whatever its limit."""
    text = json.dumps([_VERSION, _digest(asked, place), *place], separators=(",", ":")).encode()
    return binascii.b2a_base64(text, newline=False).decode().rstrip("=").translate(_TO_URL)


def place_of(asked: Asked, parts: int) -> list[str] | None:
    """Return the place that the query's cursor continues after, or None if there is no cursor.

    Raises InvalidInputError if the cursor is damaged or belongs to another query. ``parts`` is how many parts a place
    has at least. Clients can forge cursors: the caller must check the place as strictly as the query itself.
    """
    given = asked.query.get("cursor")
    if given is None:
        return None
    try:
        raw = binascii.a2b_base64((given + "=" * (-len(given) % 4)).translate(_FROM_URL).encode("ascii"))
        version, digest, *parts_given = json.loads(raw)
    except (ValueError, TypeError, RecursionError):
        raise refused() from None
    place: list[str] = [part for part in parts_given if isinstance(part, str)]
    if version != _VERSION or len(place) < parts:
        raise refused()
    if digest != _digest(asked, place) or given != cursor(asked, place):
        raise refused()
    return place


def refused() -> InvalidInputError:
    """Return the error for a cursor that does not belong to its query."""
    return InvalidInputError(
        "cursor must be the one from the previous page, and every other parameter but limit as on that page",
        {"parameter": "cursor"},
    )


_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def _digest(asked: Asked, place: list[str]) -> str:
    """Return a digest that ties a place to its query: a cursor of another query is noticed. It is not a signature."""
    query: dict[str, Any] = {name: value for name, value in asked.query.items() if name not in _NOT_OF_THE_QUERY}
    query |= asked.lists
    text = json.dumps([asked.route.key, asked.path, query, place], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:24]
