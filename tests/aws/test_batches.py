"""Many puts into one table: how few calls they take, and how long a throttled table is asked."""

from typing import Any, cast

import pytest

from tests.fakes import ITEM_BYTES, Asked, PolicingDynamoDB
from weaudit.aws.batches import BatchWrites, PendingItems, read_items
from weaudit.errors import StoreUnavailableError


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Take the place of sleep, and keep how long each was to be."""
    asked: list[float] = []
    monkeypatch.setattr("weaudit.aws.unprocessed.time.sleep", asked.append)
    return asked


def items(count: int) -> list[dict[str, Any]]:
    return [{"id": {"S": f"i-{number}"}} for number in range(count)]


def written(store: PolicingDynamoDB, puts: list[dict[str, Any]], **options: Any) -> list[str]:
    rejected = BatchWrites(cast("Any", store), "Audit", ("id",)).put(puts, **options)
    return [item["id"]["S"] for item, _error in rejected]


def test_what_several_calls_left_unprocessed_is_written_together_after_one_wait(waits: list[float]) -> None:
    store = PolicingDynamoDB(lambda call: "unprocessed" if call <= 4 else "")
    assert written(store, items(100)) == []
    assert len(store.items) == 100
    # Of each 25, the fake hands 13 back.
    assert store.calls == [25] * 4 + [25, 25, 2]
    assert len(waits) == 1


def test_a_table_that_stays_throttled_is_asked_ten_times_and_the_event_comes_again(waits: list[float]) -> None:
    store = PolicingDynamoDB(lambda _call: "unprocessed")
    with pytest.raises(StoreUnavailableError, match="Audit left items unprocessed 10 times: it is throttled"):
        written(store, items(1))
    assert len(store.calls) == 10
    assert len(waits) == 9
    assert max(waits) <= 1.0


@pytest.mark.parametrize("capacity", [1, 7, 25, 60, 190])
def test_a_throttled_table_is_asked_for_as_long_as_it_takes_something(
    capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PolicingDynamoDB()
    store.capacity = capacity
    rounds: list[float] = []

    def wait(seconds: float) -> None:
        rounds.append(seconds)
        store.capacity = capacity

    monkeypatch.setattr("weaudit.aws.unprocessed.time.sleep", wait)
    # Giving up half way would be giving up for ever: the event comes again, and begins with the same items.
    assert written(store, items(200)) == []
    assert len(store.items) == 200
    assert len(rounds) == -(-200 // capacity) - 1
    assert max(rounds) <= 1.0
    # A round ends where the table takes nothing any more: what is left is not sent in vain.
    assert len(store.calls) <= len(rounds) * 6 + 8 + 200 / capacity
    assert store.under_way == []


def test_a_table_that_takes_nothing_at_all_is_left_at_once(waits: list[float]) -> None:
    store = PolicingDynamoDB()
    store.capacity = 0
    with pytest.raises(StoreUnavailableError, match="throttled"):
        written(store, items(200))
    # The client below has waited and tried again by then.
    assert len(store.calls) == 4
    assert waits == []


def test_bad_items_are_found_and_their_neighbours_written_without_a_wait(waits: list[float]) -> None:
    store = PolicingDynamoDB()
    puts = items(60)
    for place in (3, 40, 41):
        puts[place]["itemKey"] = {"S": "poison"}
    assert sorted(written(store, puts)) == ["i-3", "i-40", "i-41"]
    assert len(store.items) == 57
    assert store.calls == [25, 25, 10] + [1] * 50
    assert waits == []


def test_an_item_that_is_too_large_is_left_out_and_its_neighbours_are_written() -> None:
    store = PolicingDynamoDB()
    large = {"id": {"S": "large"}, "text": {"S": "x" * ITEM_BYTES}}
    assert written(store, [*items(3), large]) == ["large"]
    assert len(store.items) == 3


def test_items_are_read_by_key_a_hundred_at_a_time_and_missing_ones_are_left_out() -> None:
    asked: list[int] = []

    def call(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        keys = body["RequestItems"]["t"]["Keys"]
        asked.append(len(keys))
        there = [key for key in keys if not key["id"]["S"].endswith("7")]
        # More than fits into one response: the rest is asked for again.
        return {"Responses": {"t": there[:60]}, "UnprocessedKeys": {"t": {"Keys": there[60:]}} if there[60:] else {}}

    names = [f"i-{number}" for number in range(150)]
    found = read_items(call, "t", "id", [*names, *names])
    assert sorted(found) == sorted(name for name in names if not name.endswith("7"))
    assert asked[0] == 100
    assert len(asked) <= 4


def test_keys_that_are_never_read_are_given_up(waits: list[float]) -> None:
    def call(_operation: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"Responses": {}, "UnprocessedKeys": body["RequestItems"]}

    with pytest.raises(StoreUnavailableError, match="throttled"):
        read_items(call, "t", "id", ["a"])
    assert len(waits) == 9


def test_four_calls_are_under_way_at_once_and_none_at_the_end() -> None:
    store = PolicingDynamoDB()
    assert written(store, items(200)) == []
    assert store.most_under_way == 4
    assert store.under_way == []


def test_after_an_error_that_may_pass_no_further_call_is_begun_and_none_is_left_on_its_way() -> None:
    store = PolicingDynamoDB(lambda call: "unpersisted" if call == 2 else "")
    with pytest.raises(StoreUnavailableError, match="throttled"):
        written(store, items(200))
    assert store.calls == [25] * 5
    assert store.under_way == []


class Reading:
    """BatchGetItem of a table ``t`` that has every item; a call leaves half of its keys unprocessed, or fails."""

    def __init__(self, halved: int = 0, failing: int = 0) -> None:
        self.halved, self.failing = halved, failing
        self.calls: list[dict[str, Any]] = []
        self.under_way: list[Asked] = []

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        self.calls.append(body["RequestItems"]["t"])
        keys = body["RequestItems"]["t"]["Keys"]
        if len(self.calls) == self.failing:
            raise StoreUnavailableError("gone")
        some = keys[: len(keys) // 2] if len(self.calls) <= self.halved else keys
        left = {"t": {"Keys": keys[len(some) :]}} if keys[len(some) :] else {}
        return {"Responses": {"t": some}, "UnprocessedKeys": left}

    def begin(self, operation: str, body: dict[str, Any]) -> Asked:
        return Asked(lambda: self.call(operation, body), self.under_way)


def test_pending_items_that_calls_left_unprocessed_are_asked_for_again_as_they_were_before(waits: list[float]) -> None:
    store = Reading(halved=3)
    pending = PendingItems(cast("Any", store), "t", items(250), ConsistentRead=True)
    assert len(store.under_way) == 3
    assert sorted(item["id"]["S"] for item in pending.result()) == sorted(item["id"]["S"] for item in items(250))
    assert [len(call["Keys"]) for call in store.calls] == [100, 100, 50, 100, 25]
    assert all(call["ConsistentRead"] for call in store.calls)
    assert waits == []  # the second time, nothing was left


def test_pending_items_leave_no_call_on_its_way_after_an_error_or_when_they_are_cancelled() -> None:
    store = Reading(failing=2)
    with pytest.raises(StoreUnavailableError, match="gone"):
        list(PendingItems(cast("Any", store), "t", items(400)).result())
    assert store.under_way == []
    PendingItems(cast("Any", store), "t", items(400)).cancel()
    assert store.under_way == []


def test_no_items_take_no_call() -> None:
    store = Reading()
    assert list(PendingItems(cast("Any", store), "t", []).result()) == []
    assert store.calls == []
