"""What a request asks for is checked by the table of routes, and refused in words that name the parameter."""

from typing import Any

import pytest

from weaudit.api import queries
from weaudit.api.queries import Asked, asked
from weaudit.api.routes import BY_KEY, ROUTES
from weaudit.errors import InvalidInputError, RecordNotFoundError
from weaudit.functions import FUNCTIONS

NOW_MS = 1_704_677_672_343  # 2024-01-08T01:34:32.343Z


def changes(path: dict[str, str] | None = None, /, **query: str) -> Asked:
    given = {name: [value] for name, value in query.items()}
    return asked("GET /v1/tables/{table}/changes", path or {"table": "Configuration"}, given, "read_trail")


def loose(**query: str) -> Asked:
    """A query whose names are not looked at."""
    return Asked(BY_KEY["GET /v1/health"], {}, query)


def test_every_route_has_one_function_and_no_parameter_twice() -> None:
    assert len(BY_KEY) == len(ROUTES)
    assert all(set(route.repeatable) <= set(route.optional) for route in ROUTES)
    assert {route.function for route in ROUTES} <= {found.name for found in FUNCTIONS if found.trigger == "http"}
    for route in ROUTES:
        names = (*route.path_parameters, *route.required, *route.optional)
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limits": ["1"]}, "not a parameter of GET /v1/tables/{table}/history; it takes: key, attribute, since"),
        ({"key": ["k"], "limit": ["1", "2"]}, "limit is given 2 times"),
        ({}, "needs key"),
        ({"key": [""]}, "needs key"),
        ({"key": ["k"], "\x1b[2J": ["x"]}, "x1b"),
    ],
)
def test_parameters_that_the_route_has_not_are_refused(query: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        asked("GET /v1/tables/{table}/history", {"table": "t"}, query, "read_trail")
    assert words in str(refused.value)
    assert "\x1b" not in str(refused.value) + str(refused.value.details)


def history(**query: list[str]) -> Asked:
    given = {"key": ["k"], **query}
    return asked("GET /v1/tables/{table}/history", {"table": "Configuration"}, given, "read_trail")


def test_a_parameter_that_may_be_repeated_has_every_value_once_whatever_their_order() -> None:
    """A comma or a dot is a part of a name."""
    found = history(without=["updatedAt", "a,b", "größe", "updatedAt", "address.street"])
    assert queries.without(found) == {"updatedAt", "a,b", "größe", "address.street"}
    assert found == history(without=["größe", "updatedAt", "address.street", "a,b"])
    assert queries.without(history()) == queries.without(changes()) == frozenset()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"without": [""]}, "without must be an attribute's name: it is empty"),
        ({"without": ["a", ""]}, "it is empty"),
        ({"without": ["a", "b\x1b"], "attribute": ["b\x1b"]}, "which attribute asks for: give it in one of them"),
    ],
)
def test_an_attribute_that_cannot_be_left_out_is_refused(query: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        queries.without(history(**query))
    assert words in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert refused.value.details == {"parameter": "without"}


@pytest.mark.parametrize("route", ["", "GET /", "GET /v1/updates", "POST /v1/updates", "$default"])
def test_a_route_of_another_function_is_none(route: str) -> None:
    with pytest.raises(RecordNotFoundError):
        asked(route, {}, {}, "read_trail")


@pytest.mark.parametrize(("text", "limit"), [(None, 50), ("1", 1), ("0010", 10), ("1000", 1000)])
def test_limit(text: str | None, limit: int) -> None:
    assert queries.limit(loose(**({} if text is None else {"limit": text}))) == limit


@pytest.mark.parametrize("text", ["", "0", "1001", "-1", "1.0", "ten", "٣", "1" * 5000])
def test_a_limit_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="from 1 to 1000"):
        queries.limit(loose(limit=text))


@pytest.mark.parametrize(
    ("text", "whole_day", "expected"),
    [
        ("2024-01-31", False, "2024-01-31T00:00:00.000Z"),
        ("2024-01-31", True, "2024-01-31T23:59:59.999Z"),
        ("2024-01-31T10:00:00Z", True, "2024-01-31T10:00:00.000Z"),
        ("2024-01-31T10:00", False, "2024-01-31T10:00:00.000Z"),
        ("2024-01-31T00:30:00.1239+02:00", False, "2024-01-30T22:30:00.123Z"),
        ("0001-01-01T00:00:00Z", False, "0001-01-01T00:00:00.000Z"),
        ("9999-12-31", True, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_come_as_records_spell_them(text: str, whole_day: bool, expected: str) -> None:
    assert queries.moment(loose(at=text), "at", whole_day=whole_day) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2024", "20240131", "2024-W05-1", "2024-01-31 10:00", "2024-02-30", "2024-01-31T10:00 02:00"),
        *("9999-12-31T23:00:00-05:00", "0001-01-01T00:00:00+05:00", "2024-01-31T", "2024-01-31\x00", "٢٠٢٤-01-01"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="at must be an ISO 8601 time"):
        queries.moment(loose(at=text), "at")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ("2024-01-01T01:34:32.343Z", "2024-01-08T01:34:32.343Z")),
        ({"since": "2024-01-07"}, ("2024-01-07T00:00:00.000Z", "2024-01-08T01:34:32.343Z")),
        ({"until": "2023-01-31"}, ("2023-01-24T23:59:59.999Z", "2023-01-31T23:59:59.999Z")),
        ({"since": "2023-01-01", "until": "2023-04-02"}, ("2023-01-01T00:00:00.000Z", "2023-04-02T23:59:59.999Z")),
    ],
)
def test_the_range_of_a_tables_changes(query: dict[str, str], expected: tuple[str, str]) -> None:
    assert queries.span(changes(**query), NOW_MS) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"since": "2023-01-01", "until": "2023-04-03"}, "not be more than 92 days"),
        ({"since": "2023-01-01"}, "not be more than 92 days"),
        ({"since": "2024-01-02", "until": "2024-01-01"}, "must not be after until"),
        ({"since": "2025-01-01"}, "in the future"),
        ({"until": "0001-01-02"}, "first seven days"),
    ],
)
def test_a_range_that_is_none_is_refused(query: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        queries.span(changes(**query), NOW_MS)


@pytest.mark.parametrize("name", ["", "ab", "a" * 256, "a b", "täble", "a/b", "a%2Fb"])
def test_what_is_no_tables_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="table must be"):
        queries.table(changes({"table": name}))


@pytest.mark.parametrize("given", ["", "x", "8f2b", "0" * 36, "8F2B0000-0000-4000-8000-000000000000", "-" * 36])
def test_what_is_no_records_id_is_refused(given: str) -> None:
    with pytest.raises(InvalidInputError, match="id must be"):
        queries.record_id(asked("GET /v1/records/{id}", {"id": given}, {}, "read_trail"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("007", "7"), ("0", "0"), ("1" * 40, "1" * 40), ("2024-01-01T00:00:00.000#0012", "2024-01-01T00:00:00.000#12")],
)
def test_sequence_numbers(text: str, expected: str) -> None:
    assert queries.point(loose(sequence=text)) == (None, expected)


@pytest.mark.parametrize("text", ["", "#1", "1" * 41, "-1", "x", "label#", "٣"])
def test_what_is_no_sequence_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="sequence must be"):
        queries.sequence(loose(sequence=text))


@pytest.mark.parametrize("query", [{}, {"at": "2024-01-01", "sequence": "1"}])
def test_an_item_is_asked_for_at_one_point(query: Any) -> None:
    with pytest.raises(InvalidInputError, match="either at"):
        queries.point(loose(**query))


@pytest.mark.parametrize("order", ["", "up", "ASC"])
def test_an_unknown_order_is_refused(order: str) -> None:
    with pytest.raises(InvalidInputError, match="asc"):
        queries.newest_first(loose(order=order))
