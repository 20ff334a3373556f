"""Pages of changes, one after the other, are the whole: in both directions, with and without what is left out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import change
from tests.trails import decide
from weaudit.api.queries import asked
from weaudit.trail import pages
from weaudit.trail.changes import AuditedChange
from weaudit.trail.documents import document
from weaudit.trail.history import changes, without
from weaudit.values import replaced

HISTORY, CHANGES = (f"GET /v1/tables/{{table}}/{name}" for name in ("history", "changes"))
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
NOW_MS = START_MS + 3_600_000
ATTRIBUTES = "abc"

# Of each change: its second, what it touches, its sequence number and its stream: two streams may use one number.
Step = tuple[int, frozenset[str], int, str]
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.frozensets(st.sampled_from(ATTRIBUTES), min_size=1),
        st.integers(1, 9),
        st.sampled_from(["2023-01-01T00:00:00.000", "2024-01-01T00:00:00.000"]),
    ),
    max_size=14,
    unique_by=lambda step: step[2:],
)
left_outs = st.frozensets(st.sampled_from(ATTRIBUTES), max_size=2)
limits = st.sampled_from(["1", "2", "3", "50"])
orders = st.sampled_from(["asc", "desc"])


def told(made: list[Step]) -> list[AuditedChange]:
    """Return the changes of a table in the order of its index, each of an item of its own."""
    records = []
    for number, (second, names, sequence, label) in enumerate(made):
        key = {"key": {"S": f"k{number}"}}
        before, after = ({**key, **{key_0: {"N": value} for key_0 in names}} for value in ("0", "1"))
        at_ms = START_MS + second * 1000
        one = change(before, after, keys=key, sequence=str(sequence), created_at_ms=at_ms, stream_label=label)
        records += decide(one)
    return list(changes(sorted(records, key=lambda record: str(record["changesOrder"]))))


def place(one: AuditedChange) -> str:
    return str(one.records[0]["changesOrder"]["S"])


def read(found: list[AuditedChange], plan: pages.ChangesPlan) -> Iterator[AuditedChange]:
    """Yield what the index has between the ends of a plan, as DynamoDB compares them."""
    until = plan.until if "#" in plan.until else f"{plan.until}$"
    here = [one for one in found if plan.since <= place(one) <= until]
    return iter(here[::-1] if plan.newest_first else here)


def turned(found: list[AuditedChange], query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pages of a table's changes until there is no other."""
    cursor: str | None = ""
    while cursor is not None:
        given_query = {**query, "cursor": [cursor]} if cursor else query
        request = asked(CHANGES, {"table": "Configuration"}, given_query, "read_trail")
        plan = pages.changes_plan(request, NOW_MS)
        page = pages.changes_page(request, plan, plan.left(read(found, plan)))
        yield page
        assert page["cursor"] != cursor
        cursor = page["cursor"]


def texts(found: list[AuditedChange]) -> list[Any]:
    return [json.loads(json.dumps(document(one), default=str)) for one in found]


def ids(pages_found: list[dict[str, Any]]) -> list[list[str]]:
    elements = [json.loads(element) for page in pages_found for element in page["changes"]]
    return [[part["recordId"] for part in one["attributes"]] for one in elements]


@given(steps, left_outs, limits, orders, st.sampled_from([2000, 3, 1]))
def test_pages_of_a_table_are_its_changes_without_what_is_left_out(
    made: list[Step], left_out: frozenset[str], limit: str, order: str, most_read: int
) -> None:
    found = told(made)
    query = {"limit": [limit], "order": [order], "without": sorted(left_out)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weaudit.trail.pages.MOST_READ", most_read)
        # Without a filter a page has as many changes as it is asked for: there is no search to end.
        query["limit"] = [str(min(int(limit), most_read))]
        given_pages = list(turned(found, {name: values for name, values in query.items() if values}))
    whole = [kept for one in found if (kept := without(one, left_out)) is not None]
    expected = [list(one.record_ids) for one in (whole[::-1] if order == "desc" else whole)]
    assert ids(given_pages) == expected
    assert sum(page.get("folded", 0) for page in given_pages) == len(found) - len(whole)
    assert all(("folded" in page) == bool(left_out) for page in given_pages)
    assert all(len(page["changes"]) <= int(limit) for page in given_pages)
    assert all(len(page["changes"]) + page.get("folded", 0) <= max(most_read, int(limit)) for page in given_pages)


@given(steps, left_outs, limits, st.sampled_from([2000, 3, 1]))
def test_pages_of_a_history_are_its_changes_without_what_is_left_out(
    made: list[Step], left_out: frozenset[str], limit: str, most_read: int
) -> None:
    # As the changes of one item: their order is what pages go by.
    found = [replaced(one, order=f"2024#{number:040}") for number, one in enumerate(told(made))]
    query = {"key": ["k"], "limit": [limit], **({"without": sorted(left_out)} if left_out else {})}
    given_pages: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        request = asked(
            HISTORY, {"table": "Configuration"}, {**query, "cursor": [cursor]} if cursor else query, "read_trail"
        )
        plan = pages.history_plan(request)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("weaudit.trail.pages.MOST_READ", max(most_read, 0 if left_out else 50))
            here = (one for one in found if one.order > plan.beyond_order)
            given_pages.append(pages.history_page(request, plan, here))
        assert given_pages[-1]["cursor"] != cursor
        cursor = given_pages[-1]["cursor"]
    whole = [kept for one in found if (kept := without(one, left_out)) is not None]
    assert ids(given_pages) == [list(one.record_ids) for one in whole]
    assert sum(page.get("folded", 0) for page in given_pages) == len(found) - len(whole)


def test_changes_that_are_not_shown_end_a_page_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told([(0, frozenset("a"), number, "2024-01-01T00:00:00.000") for number in range(1, 9)])
    monkeypatch.setattr("weaudit.trail.pages.MOST_PASSED_BYTES", 2 * len(json.dumps(texts(found[:1])[0])))
    given_pages = list(turned(found, {"without": ["a"]}))
    assert [page["changes"] for page in given_pages] == [[]] * len(given_pages)
    assert 3 <= len(given_pages) <= 4
    assert sum(page["folded"] for page in given_pages) == 8
