"""Whoever brings a log id back borrows no caller with it, however the trail is read: held to who was there."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.fakes import Asked
from tests.strategies import change
from tests.trail.test_item_history import Index
from tests.trails import changed, decide, make_audit_table, one_by_one, read_by_id, unwire, write
from weaudit.capture.changes import Change
from weaudit.errors import StoreUnavailableError
from weaudit.installation.targets import wire
from weaudit.trail import first_uses
from weaudit.trail.changes import Actor, AuditedChange
from weaudit.trail.history import changes
from weaudit.trail.reader import AuditHistory
from weaudit.updates.log import log_entry
from weaudit.updates.requests import Caller, UpdateRequest

START_MS = 1_711_922_395_000
TABLE = "Configuration"
ADA = "arn:aws:iam::111122223333:user/ada"
LOGGED = Actor("logged", ADA)


def entry_of(key: str, asked: dict[str, Any], log_id: str, at_ms: int) -> dict[str, Any]:
    request = UpdateRequest(key, asked, TABLE, logged=True)
    return log_entry(request, key, Caller(ADA), "success", at_ms, log_id, ())


class Story:
    """Items that are updated, written directly, and written with log ids of old; and which changes updates made."""

    def __init__(self, seed: int, steps: int) -> None:
        draw = random.Random(seed)  # noqa: S311 the same each time, no secret
        self.entries: dict[str, Any] = {}
        self.changes: list[Change] = []
        self.of_updates: set[str] = set()
        items: dict[str, dict[str, Any]] = {key: {"key": {"S": key}, "v": {"N": "0"}} for key in "abc"}
        at_ms = START_MS
        for number in range(steps):
            at_ms += draw.choice((0, 0, 1, 1, 2, 20, 60, 3600)) * 1000
            key, old = draw.choice(list(items.items()))
            values: dict[str, Any] = {"v": {"N": str(draw.randrange(3))}}
            if draw.random() < 0.4:
                values["w"] = {"N": str(draw.randrange(3))}
            new = {**old, **values}
            kind = draw.choice(("direct", "unmarked", "update", "borrowed", "borrowed"))
            if kind == "unmarked":
                new.pop("_weaudit", None)
            if kind == "borrowed" and self.entries:
                # Mostly the latest, whose time is near, and of this very item.
                entry = draw.choice(list(self.entries.values())[-6:])
                if draw.random() < 0.9:
                    key = entry["record_id"]["S"]
                    old = items[key]
                given = entry["updated_attributes"]["M"] if draw.random() < 0.9 else values
                new = {**old, **given, "_weaudit": entry["log_id"]}
            if kind == "update":
                new["_weaudit"] = {"S": f"log-{number}"}
            sequence = str(10**21 + number)
            one = change(old, new, sequence=sequence, created_at_ms=at_ms, keys={"key": {"S": key}})
            if kind == "update":
                if not decide(one):  # it made no change, and no record
                    continue
                self.entries[f"log-{number}"] = entry_of(key, values, f"log-{number}", at_ms - draw.randrange(30_000))
                self.of_updates.add(sequence)
            self.changes.append(one)
            items[key] = new


class Trail:
    """A trail in moto, and the calls of it that are under way."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="s")
        make_audit_table(self.client)
        self.under_way: list[Asked] = []
        self.history = AuditHistory(
            self.query, self.begin, read_by_id(self.client), "Audit", lambda _bucket, _key: None
        )

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = wire(self.client.query(**unwire(request)))
        return found

    def begin(self, request: dict[str, Any]) -> Asked:
        return Asked(lambda: self.query(request), self.under_way)


@pytest.fixture
def trail() -> Iterator[Trail]:
    with mock_aws():
        yield Trail()


def named(history: AuditHistory, found: list[AuditedChange], entries: Any, size: int) -> set[str]:
    """Return the sequence numbers of the changes that have a caller, looked at so many at a time."""
    told = [one for at in range(0, len(found), size) for one in history.attributed(found[at : at + size], entries)]
    assert [one.record_ids for one in told] == [one.record_ids for one in found]
    assert all(one.actor in (None, LOGGED) for one in told)
    return {one.sequence for one in told if one.actor == LOGGED}


def in_memory(records: list[Any]) -> tuple[Index, AuditHistory]:
    index = Index(records)
    return index, AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", lambda _bucket, _key: None)


@pytest.mark.parametrize("seed", range(20))
def test_only_the_changes_of_updates_have_callers_whichever_way_items_are_read(seed: int) -> None:
    story = Story(seed, 300)
    _, history = in_memory([record for one in story.changes for record in decide(one)])
    for newest_first in (False, True):
        of_items = [list(history.item(TABLE, key, newest_first=newest_first)) for key in "abc"]
        for size in (1, 7, 100):
            each = [named(history, found, story.entries, size) for found in of_items]
            assert set().union(*each) == story.of_updates
    # Some of them, from anywhere, as a filter or two points of a history give them.
    whole = [one for found in of_items for one in found]
    some = random.Random(seed).sample(whole, len(whole) // 3)  # noqa: S311 the same each time, no secret
    assert named(history, some, story.entries, 100) == story.of_updates & {one.sequence for one in some}


@pytest.mark.parametrize("newest_first", [False, True])
def test_only_the_changes_of_updates_have_callers_where_a_table_is_read(trail: Trail, newest_first: bool) -> None:
    story = Story(newest_first, 100)
    write(trail.client, story.changes)
    found = list(trail.history.table(TABLE, newest_first=newest_first))
    assert named(trail.history, found, story.entries, 9) == story.of_updates
    assert len(story.of_updates) > 9
    assert trail.under_way == []


def test_the_stories_hold_what_neither_the_values_nor_the_time_give_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at what came before, borrowed ids would pass; else the tests above would show nothing."""
    monkeypatch.setattr(first_uses.FirstUses, "borrowed", lambda _self, _claims: set())
    wrong = 0
    for seed in range(20):
        story = Story(seed, 300)
        _, history = in_memory([])
        found = [one for each in story.changes for one in changes(decide(each))]
        wrong += len(named(history, found, story.entries, 100) - story.of_updates)
    assert wrong > 50


def counting(count: int, every_ms: int, updates: Callable[[int], bool]) -> tuple[list[Any], dict[str, Any]]:
    """Return records of an item k that is changed so often, and the log entries of those changes that are updates."""
    entries, images = {}, [None, {"v": {"N": "0"}}]
    mark: dict[str, Any] = {}
    for number in range(1, count):
        if updates(number):
            mark = {"_weaudit": {"S": f"log-{number}"}}
            at_ms = START_MS + number * every_ms
            entries[f"log-{number}"] = entry_of("k", {"v": {"N": str(number)}}, f"log-{number}", at_ms)
        images.append({"v": {"N": str(number)}, **mark})
    told = [record for one in changed("k", images, at_ms=START_MS, every_ms=every_ms) for record in decide(one)]
    return told, entries


def test_a_history_of_updates_alone_is_read_little_more_than_twice() -> None:
    records, entries = counting(1000, 24 * 3_600_000, lambda _: True)
    index, history = in_memory(records)
    found = list(history.item(TABLE, "k"))
    index.requests = index.read = 0
    assert len(named(history, found, entries, 100)) == 999
    assert index.read <= 1.3 * len(records)
    assert index.requests == 10


def test_updates_that_lie_far_apart_are_looked_at_one_by_one() -> None:
    records, entries = counting(20_000, 60_000, lambda number: number % 5000 == 0)
    index, history = in_memory(records)
    found = [one for one in history.item(TABLE, "k") if one.change_id]
    index.requests = index.read = 0
    assert len(named(history, found, entries, 100)) == 3
    assert index.read <= 3 * 25 + 3


def test_what_lies_behind_more_changes_than_are_read_is_not_known_and_has_no_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records, entries = counting(300, 10, lambda number: number in (100, 299))
    _, history = in_memory(records)
    found = list(history.item(TABLE, "k"))
    both = named(history, found, entries, 300)
    assert len(both) == 2
    monkeypatch.setattr(first_uses, "MOST_READ", 150)
    assert named(history, found, entries, 300) == both - {found[299].sequence} == {found[100].sequence}


def test_an_outage_is_raised_and_leaves_no_call_under_way(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(1, 60)
    write(trail.client, story.changes)
    found = list(trail.history.table(TABLE))

    def fail(_request: Any) -> Any:
        raise StoreUnavailableError("Query: no answer")

    monkeypatch.setattr(trail, "query", fail)
    with pytest.raises(StoreUnavailableError):
        trail.history.attributed(found, story.entries)
    assert trail.under_way == []
