"""A cursor leads one query on, from one place, and nothing else; pages end by elements and by bytes."""

import base64
import json
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weaudit.api import paging, queries
from weaudit.api.queries import Asked, asked
from weaudit.errors import InvalidInputError
from weaudit.items.texts import compact
from weaudit.items.times import iso_moment
from weaudit.trail.pages import changes_plan

TABLE = {"table": "Configuration"}
any_text = st.text(st.characters(codec="utf-8"), max_size=30)
places = st.lists(any_text, min_size=1, max_size=4)
history = "GET /v1/tables/{table}/history"


def query(route: str = history, path: dict[str, str] | None = None, **parameters: str) -> Asked:
    given_parameters = parameters if route != history else {"key": "k", **parameters}
    lists = {name: [value] for name, value in given_parameters.items()}
    return asked(route, path or TABLE, lists, "list_objects" if route == "GET /v1/objects" else "read_trail")


@given(places, st.sampled_from(["1", "7", "1000"]))
def test_a_cursor_brings_back_its_place_whatever_the_limit(place: list[str], limit: str) -> None:
    text = paging.cursor(query(), place)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert paging.place_of(query(limit=limit, cursor=text), len(place)) == place


@given(places, st.data())
def test_a_cursor_that_anybody_touched_is_refused(place: list[str], data: st.DataObject) -> None:
    text = paging.cursor(query(), place)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=+/ é"))
    damaged = data.draw(st.sampled_from([text[:at] + letter + text[at + 1 :], text[:at], text + letter, letter]))
    if damaged == text:
        return
    with pytest.raises(InvalidInputError):
        paging.place_of(query(cursor=damaged), 1)


@given(any_text)
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        paging.place_of(query(cursor=text), 1)


@pytest.mark.parametrize(
    "content",
    [[], {}, 1, None, [1], [1, "seal"], [2, "seal", "x"], [1, 2, 3], "[" * 5000],
    ids=lambda found: repr(found)[:20],
)
def test_json_of_another_shape_is_refused(content: Any) -> None:
    raw = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(InvalidInputError):
        paging.place_of(query(cursor=base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")), 1)


@pytest.mark.parametrize(
    "other",
    [
        query(key="other"),
        query(attribute="a"),
        query(order="desc"),
        query(since="2024-01-01"),
        query(without="a"),
        query(path={"table": "Others"}),
        query("GET /v1/tables/{table}/changes"),
        query("GET /v1/objects"),
    ],
    ids=lambda found: f"{found.route.key} {found.query}",
)
def test_a_cursor_of_another_query_is_refused(other: Asked) -> None:
    text = paging.cursor(query(), ["place"])
    with pytest.raises(InvalidInputError) as refused:
        paging.place_of(Asked(other.route, other.path, {**other.query, "cursor": text}, other.lists), 1)
    assert refused.value.details == {"parameter": "cursor"}
    assert paging.place_of(query(cursor=text), 1) == ["place"]


def test_a_cursor_goes_by_what_is_left_out_and_not_by_how_it_was_said() -> None:
    def leaving_out(*names: str) -> Asked:
        return asked(history, TABLE, {"key": ["k"], "without": list(names)}, "read_trail")

    text = paging.cursor(leaving_out("a", "b"), ["place"])
    assert text == paging.cursor(leaving_out("b", "a", "b"), ["place"])
    assert text != paging.cursor(leaving_out("a"), ["place"])
    assert paging.cursor(leaving_out("a,b"), ["place"]) != text


def test_a_cursor_of_a_query_that_leaves_nothing_out_is_as_it_always_was() -> None:
    """Cursors stay good for as long as their owner likes."""
    assert paging.cursor(query(), ["place"]) == "WzEsImIwMTIyNDUyNGYxYzUxZmM4MGFlMjViMyIsInBsYWNlIl0"


def test_a_place_with_too_few_parts_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        paging.place_of(query(cursor=paging.cursor(query(), ["place"])), 2)


# Near each other: within the 92 days of a query, and a little beyond them.
moments = st.integers(0, 120 * 24).map(
    lambda hours: iso_moment(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours))
)
ends = moments | st.sampled_from(["9999-12-31T00:00:00.000Z", "0001-01-01T00:00:00.000Z"]) | any_text
numbered = st.tuples(ends, st.integers(0, 10**21).map("{:040}".format) | any_text).map("#".join)


@given(
    st.fixed_dictionaries({}, optional={"since": moments, "until": moments, "order": st.sampled_from(["asc", "desc"])}),
    ends,
    ends | numbered,
)
@example({}, "9999-12-31T00:00:00.000Z", "0001-01-01T00:00:00.000Z")
@example({"since": "2024-01-01T00:00:00.000Z"}, "2024-02-01T00:00:00.000Z", "2024-01-05T00:00:00.000Z")
@example({"order": "desc"}, "2024-02-01T00:00:00.000Z", "2024-01-31T00:00:00.000Z")
@example({"order": "desc", "since": "2024-01-30"}, "2024-02-01T00:00:00.000Z", "2024-01-31T00:00:00.000Z")
def test_a_forged_place_asks_for_no_more_than_its_query_may(said: dict[str, str], until: str, position: str) -> None:
    changes = "GET /v1/tables/{table}/changes"
    text = paging.cursor(query(changes, None, **said), [until, position, "x"])
    try:
        plan = changes_plan(query(changes, None, **said, cursor=text), 0)
    except InvalidInputError:
        return
    # As the query would have to say it.
    first, last = queries.span(query(changes, None, since=plan.since[:24], until=plan.until[:24]), 0)
    assert (first, last) == (plan.since[:24], plan.until[:24])
    assert first >= said.get("since", "")
    assert last <= said.get("until", last)
    assert position == (plan.until if said.get("order") == "desc" else plan.since)


@given(st.lists(any_text, max_size=12), st.integers(1, 6), st.integers(1, 80))
def test_pages_lose_nothing_and_keep_to_both_bounds(texts: list[str], limit: int, limit_bytes: int) -> None:
    left, pages = list(texts), 0
    seen: list[str] = []
    while True:
        page = paging.Page(limit, limit_bytes)
        for text in left:
            if not page.take(text, [text]):
                break
        assert len(page.elements) <= limit
        total = sum(map(paging.weight, page.elements))
        assert total <= limit_bytes or len(page.elements) == 1
        seen += map(json.loads, page.elements)
        left = left[len(page.elements) :]
        pages += 1
        assert page.more == bool(left)
        assert (page.cursor(query()) is None) == (not left)
        if not left:
            break
    assert seen == texts
    assert pages <= max(len(texts), 1)


def test_an_element_larger_than_a_page_is_made_smaller() -> None:
    page = paging.Page(10, 20)
    assert page.take({"value": "x" * 100}, ["1"], lambda _found: {"cut": True})
    assert page.elements == ['{"cut":true}']


@given(any_text)
def test_the_weight_is_what_json_in_json_takes(text: str) -> None:
    inner = compact({"a": text})
    assert paging.weight(inner) == len(json.dumps(inner, ensure_ascii=False).encode()) - 2
