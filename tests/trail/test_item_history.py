"""Points of an item's history are found in few reads: held to moto, and once to the embedded engine."""

import bisect
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.trail.test_reader import Trail, no_object
from tests.trails import EVIDENCE, by_id, changed, decide, decision, one_by_one
from weaudit.errors import InvalidInputError
from weaudit.evidence import packed
from weaudit.items.times import iso_time
from weaudit.items.values import canonical
from weaudit.trail.history import changes
from weaudit.trail.item_history import ItemHistory
from weaudit.trail.reader import AuditHistory
from weaudit.trail.states import AsOf
from weaudit.values import replaced

START_MS = 1_711_922_395_000
TABLE = "Configuration"
DRAW = random.Random(6)  # noqa: S311 the same each time, no secret


@pytest.fixture
def trail() -> Iterator[Trail]:
    with mock_aws():
        yield Trail(boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s"))


class Index:
    """The index `history` as DynamoDB documents its Query, over records in memory: for trails too long for moto."""

    def __init__(self, records: list[dict[str, Any]], page_bytes: int = 1_000_000) -> None:
        self._page = page_bytes // 700  # a record has about so many bytes
        self._partitions: dict[str, list[dict[str, Any]]] = {}
        for record in sorted(records, key=lambda record: (order_of(record), record["id"]["S"])):
            self._partitions.setdefault(record["historyKey"]["S"], []).append(record)
        self.requests = 0
        self.read = 0
        self.get = by_id(records)

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        values = {name: value["S"] for name, value in request["ExpressionAttributeValues"].items()}
        found = self._partitions.get(values[":item"], [])
        first, last = self._range(found, request["KeyConditionExpression"], values)
        forward = request["ScanIndexForward"]
        if "ExclusiveStartKey" in request:
            first, last = (request["ExclusiveStartKey"] + 1, last) if forward else (first, request["ExclusiveStartKey"])
        places = range(first, last) if forward else range(last - 1, first - 1, -1)
        page = places[: min(request.get("Limit", self._page), self._page)]
        self.read += len(page)
        return {
            "Items": [found[place] for place in page],
            "LastEvaluatedKey": page[-1] if len(page) < len(places) else None,
        }

    def _range(self, found: list[dict[str, Any]], expression: str, values: dict[str, str]) -> tuple[int, int]:
        condition = expression.partition(" AND changeOrder ")[2]
        before, through = (
            place(found, values.get(name, ""), key=order_of)
            for place, name in ((bisect.bisect_left, ":order"), (bisect.bisect_right, ":order"))
        )
        if condition.startswith("BETWEEN"):
            return before, bisect.bisect_right(found, values[":high"], key=order_of)
        ranges = {
            "": (0, len(found)),
            "<= :order": (0, through),
            "< :order": (0, before),
            "> :order": (through, len(found)),
        }
        return ranges[condition]


def order_of(record: dict[str, Any]) -> str:
    return str(record["changeOrder"]["S"])


def long_life(count: int) -> list[dict[str, Any] | None]:
    """Return the images of an item that changes so many times, seldom in all its attributes, now and then deleted."""
    images: list[dict[str, Any] | None] = [None]
    for number in range(count):
        before = images[-1]
        if before is not None and number % 250 == 249:
            images.append(None)
        else:
            image = dict(before or {"a": {"S": "first"}})
            image[DRAW.choice("bcdefgh")] = {"N": f"{number}.50"}
            if DRAW.random() < 0.2:
                image.pop(DRAW.choice("bcdefgh"), None)
            image["n"] = {"N": str(number)}
            images.append(image)
    return images


def assert_is(state: AsOf, image: dict[str, Any] | None) -> None:
    assert state.complete
    assert state.exists == (image is not None)
    if image is not None:
        assert canonical({"M": state.item or {}}) == canonical({"M": {"key": {"S": "k"}, **image}})


def test_two_thousand_changes_among_a_hundred_thousand_other_records() -> None:
    """Each state is what was there, and what else is in the table costs no read."""
    images = long_life(2000)
    told = list(changed("k", images, at_ms=START_MS))
    records = [record for one in told for record in decide(one)]
    alone = Index(records)
    (like,) = (record for record in records[:1])
    others = [
        {
            **like,
            "historyKey": {"S": str(number % 5000)},
            "changeOrder": {"S": f"{number:040}"},
            "id": {"S": str(number)},
        }
        for number in range(100_000)
    ]
    among = Index([*records, *others])
    points = DRAW.sample(range(2000), 200)
    costs: list[list[tuple[int, int, int]]] = []
    for index, asked in ((among, points), (alone, points[:20])):
        history = AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", no_object)
        costs.append([])
        for point in asked:
            one = told[point]
            assert_is(history.as_of(TABLE, "k", sequence=one.sequence), images[point + 1])
            # To the second: whatever comes after the change within it, before the next one.
            at = iso_time(one.created_at_ms + DRAW.randrange(1000))
            requests = index.requests
            assert_is(history.as_of(TABLE, "k", at=at), images[point + 1])
            costs[-1].append((requests, index.requests, index.read))
    assert costs[0][:20] == costs[1]
    assert among.requests / 400 < 9


def test_the_store_answers_as_expected(trail: Trail) -> None:
    images = long_life(60)
    told = list(changed("k", images, at_ms=START_MS, every_ms=2000))
    trail.write(*told, *changed("other", [None, {}], at_ms=START_MS, first=5000))
    check(trail, told, images)


@pytest.mark.engine
def test_the_engine_answers_as_expected(engine: Any) -> None:
    trail = Trail(engine.client("dynamodb"))
    images = long_life(60)
    told = list(changed("k", images, at_ms=START_MS, every_ms=2000))
    trail.write(*told, *changed("other", [None, {}], at_ms=START_MS, first=5000))
    check(trail, told, images)


def check(trail: Trail, told: list[Any], images: list[Any]) -> None:
    for point in (0, 30, 59):
        one = told[point]
        state = trail.history.as_of(TABLE, "k", sequence=one.sequence)
        assert_is(state, images[point + 1])
        assert state.last_change is not None
        assert state.last_change.sequence == one.sequence
        for late in (0, 1999):
            state = trail.history.as_of(TABLE, "k", at=iso_time(one.created_at_ms + late))
            assert_is(state, images[point + 1])
            assert (state.next_change is None) == (point == 59)
            assert state.next_change is None or state.next_change.sequence == told[point + 1].sequence
    before = trail.history.as_of(TABLE, "k", at=iso_time(START_MS - 1))
    assert [problem.code for problem in before.problems] == ["BeforeFirstRecord"]
    assert trail.history.as_of(TABLE, "k", at="9999-12-31T23:59:59.999Z").next_change is None
    assert trail.history.as_of(TABLE, "nobody", at=iso_time(START_MS)).problems[0].code == "NotRecorded"
    assert trail.history.as_of(TABLE, "nobody", sequence="5").problems[0].code == "NotRecorded"
    found = trail.history.between(TABLE, "k", iso_time(START_MS), iso_time(START_MS + 2000))
    assert {place.path[0]: place.new for place in found.differences}["n"] == {"N": "1"}
    record = next(one for one in decide(told[1]) if one["updatedAttribute"]["S"] == "n")
    one = trail.history.record(record["id"]["S"])
    assert one is not None
    assert one.record_ids == (record["id"]["S"],)
    assert one.attributes == next(changes([record])).attributes
    assert trail.history.record("00000000-0000-4000-8000-000000000000") is None


def memory(told: list[Any]) -> AuditHistory:
    index = Index([record for one in told for record in decide(one)], 50_000)
    return AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", no_object)


@pytest.mark.parametrize("wrong", ["", "#5", "five", "-1", "1" * 41, "label#", "5#x", "٣"])
def test_what_is_no_sequence_number_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInputError, match="a sequence number has up to 40 digits"):
        memory([]).as_of(TABLE, "k", sequence=wrong)


def counted(count: int, **fields: Any) -> list[Any]:
    return list(changed("k", [None, *({"v": {"N": str(number)}} for number in range(count))], **fields))


def value(state: AsOf) -> str | None:
    return None if state.item is None else str(state.item["v"]["N"])


def test_a_sequence_number_between_two_changes_is_the_state_after_the_first() -> None:
    told = [one for number, one in enumerate(counted(9, at_ms=START_MS)) if number != 5]
    history = memory(told[:5])
    for beyond in ("", "0"):
        assert value(history.as_of(TABLE, "k", sequence=f"{told[4].sequence}{beyond}")) == "4"
    state = memory(told).as_of(TABLE, "k", sequence=str(int(told[4].sequence) + 1))
    assert [problem.code for problem in state.problems] == ["Gap"]
    state = memory(told).as_of(TABLE, "k", sequence="7")
    assert [problem.code for problem in state.problems] == ["BeforeFirstRecord"]


def test_a_stream_that_was_turned_off_and_on_has_numbers_of_its_own() -> None:
    first, second, third = (f"2024-0{month}-01T00:00:00.000" for month in (1, 2, 3))
    lives = [
        changed("k", [None, {"v": {"N": "1"}}, {"v": {"N": "2"}}], at_ms=START_MS, first=1, stream_label=first),
        changed("k", [{"v": {"N": "2"}}, {"v": {"N": "3"}}], at_ms=START_MS + 200_000, first=2, stream_label=second),
        changed("k", [{"v": {"N": "3"}}, {"v": {"N": "4"}}], at_ms=START_MS + 400_000, first=9, stream_label=third),
    ]
    told = [one for life in lives for one in life]
    history = memory(told)

    def at(sequence: object) -> str | None:
        return value(history.as_of(TABLE, "k", sequence=str(sequence)))

    base = 10**21
    assert [at(base + number) for number in (1, 2, 9)] == ["1", "3", "4"]
    assert at(f"{first}#{base + 2}") == "2"
    # None has this number: of the streams with a change before it, the newest.
    assert [at(base + number) for number in (5, 99)] == ["3", "4"]
    for one in told:
        assert one.new_image is not None
        expected = one.new_image["v"]["N"]
        assert value(history.as_of(TABLE, "k", at=iso_time(one.created_at_ms))) == expected
        assert value(history.as_of(TABLE, "k", at=iso_time(one.created_at_ms + 100_000))) == {"1": "2"}.get(
            expected, expected
        )


def test_times_a_little_out_of_order_are_found_all_the_same() -> None:
    """The state is that after the last change, in the order of the stream, that is stamped in time."""
    told = counted(600, at_ms=START_MS, every_ms=1000)
    stamps = [max(0, (int(one.sequence) % 10**21) * 1000 + DRAW.randrange(-25_000, 25_000)) for one in told]
    told = [replaced(one, created_at_ms=START_MS + stamp) for one, stamp in zip(told, stamps, strict=True)]
    history = memory(told)
    for _ in range(40):
        at_ms = START_MS + DRAW.randrange(30_000, 600_000)
        last = max(int(one.sequence) for one in told if one.created_at_ms <= at_ms)
        state = history.as_of(TABLE, "k", at=iso_time(at_ms))
        assert value(state) == str(last - 10**21 - 1)


@pytest.mark.parametrize("spread", ["even", "burst", "far"])
def test_a_time_is_found_however_sequence_numbers_lie(spread: str) -> None:
    count = 1500
    told = counted(count, at_ms=START_MS, every_ms=60_000)
    for number, one in enumerate(told):
        places = {"even": number * 10**18, "burst": number, "far": number if number < count - 1 else 9 * 10**39}
        told[number] = replaced(one, sequence=str(places[spread] + 1))
    index = Index([record for one in told for record in decide(one)])
    history = AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", no_object)
    for point in DRAW.sample(range(count), 20):
        state = history.as_of(TABLE, "k", at=iso_time(told[point].created_at_ms + 59_000))
        assert value(state) == str(point)
    # What halving costs depends on how the numbers lie, and never on how many changes there are.
    assert index.requests / 20 < 150


def test_a_value_that_was_too_large_is_read_from_where_it_is() -> None:
    texts = [letter * 5000 for letter in "abc"]
    told = list(changed("k", [None, *({"v": {"S": text}, "w": {"S": "small"}} for text in texts)], at_ms=START_MS))
    made = [decision(one) for one in told]
    kept = {(EVIDENCE, large.key): packed(large.text) for one in made for large in one.large_values}
    asked = []

    def fetch(bucket: str, key: str) -> bytes | None:
        asked.append(key)
        return kept.get((bucket, key))

    index = Index([record for one in made for record in one.records])
    history = AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", fetch)
    state = history.as_of(TABLE, "k", sequence=told[2].sequence)
    assert state.complete
    assert state.item == {"key": {"S": "k"}, "v": {"S": texts[2]}, "w": {"S": "small"}}
    # The newest value of v; neither what came between, nor the item as it was created.
    assert asked == [large.key for large in made[2].large_values if large.is_new]
    kept.clear()
    state = history.as_of(TABLE, "k", sequence=told[2].sequence)
    assert {problem.code for problem in state.problems} == {"ValueLost"}
    assert (state.item, state.unknown) == ({"key": {"S": "k"}, "w": {"S": "small"}}, ("v",))


def test_orders_that_someone_wrote_by_hand_do_not_make_it_endless() -> None:
    records = [record for one in counted(200, at_ms=START_MS, every_ms=120_000) for record in decide(one)]
    for place, junk in ((30, "#"), (60, "junk"), (90, "junk#junk"), (120, "2024-01-01T00:00:00.000#-5"), (150, "ü#9")):
        records[place]["changeOrder"] = {"S": junk}
    index = Index(records)
    history = ItemHistory(index.query, index.get, "Audit", TABLE, "k")
    for minutes in range(0, 400, 7):
        order = history.order_at(iso_time(START_MS + minutes * 60_000))
        assert order is None or list(changes(history._entries("<= :order", order, newest_first=True, page=9)))
