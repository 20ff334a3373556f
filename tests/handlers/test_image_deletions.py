"""Originals that go, come back and are uncovered, while events are late, doubled, interrupted and handled side by side.

A bucket in memory plays S3 and says at each step what is there. Whatever happens, once every event was handled the row
is that of the object that is there, or says that there is none, and there is no rendition but those that the row names.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image_fakes import BUCKET, NOW_MS, PNG, RENDITIONS, Bench, created, deleted, etag_of, one_rendition, wish
from weaudit.errors import RecordRejectedError, StoreUnavailableError
from weaudit.images import deletions
from weaudit.images.pipeline import version_of
from weaudit.images.sources import padded
from weaudit.items.times import iso_time

KEY = "a.png"
NOW = iso_time(NOW_MS)


class EndedError(Exception):
    """The function has ended here: Lambda's time was over, or the machine was gone."""


def iso(event: dict[str, Any]) -> str:
    return str(event["time"]).replace("Z", ".000Z")


@dataclass
class Uploads:
    """The trigger bucket with one key: what is done to it, and the events that this makes.

    ``stack`` are the key's versions, the current one last; None is a delete marker. Without versions there is at most
    one.
    """

    bench: Bench
    versioned: bool
    stack: list[tuple[str, bytes | None]] = field(default_factory=list)
    landed: dict[str, int] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    gone_at: set[str] = field(default_factory=set)
    removed_at: dict[str, set[str]] = field(default_factory=dict)
    steps: int = 0

    @property
    def current(self) -> tuple[str, bytes | None]:
        return self.stack[-1] if self.stack else ("", None)

    def put(self, content: bytes) -> None:
        self.steps += 1
        version = f"v{self.steps}" if self.versioned else ""
        self.landed[version] = self.steps
        self.stack = [*(self.stack if self.versioned else []), (version, content)]
        self._show()
        self._happened(created(KEY, content, self._sequencer, **({"version-id": version} if version else {})))

    def delete(self) -> None:
        """Delete without naming a version."""
        if not self.versioned and not self.stack:
            return
        self.steps += 1
        was_there = self.current[1] is not None
        self.stack = [*self.stack, (f"v{self.steps}", None)] if self.versioned else []
        self._show()
        event = deleted(KEY, self._sequencer)
        if self.versioned:
            event["detail"]["deletion-type"] = "Delete Marker Created"
            event["detail"]["object"]["version-id"] = self.current[0]
        self._happened(event, went=was_there)

    def delete_version(self, place: int) -> None:
        """Delete a version for good, or a delete marker, which uncovers what is under it."""
        if not self.versioned or not self.stack:
            return
        self.steps += 1
        was_there = self.current[1] is not None
        version, _content = self.stack.pop(place % len(self.stack))
        self._show()
        event = deleted(KEY, self._sequencer)
        event["detail"]["object"]["version-id"] = version
        self._happened(event, went=was_there and self.current[1] is None)
        self.removed_at[version] = {iso(event)}

    @property
    def _sequencer(self) -> str:
        return f"0055AED6DCD9{self.steps:06X}"

    def _happened(self, event: dict[str, Any], *, went: bool = False) -> None:
        event["time"] = f"2024-01-01T00:{self.steps // 60:02}:{self.steps % 60:02}Z"
        self.events.append(event)
        if went:
            self.gone_at.add(iso(event))

    def _show(self) -> None:
        version, content = self.current
        self.bench.buckets.objects.pop((BUCKET, KEY), None)
        self.bench.buckets.versions.pop(KEY, None)
        if content is not None:
            self.bench.upload(KEY, content)
            minutes, seconds = divmod(self.landed[version], 60)
            self.bench.buckets.modified[KEY] = f"Mon, 01 Jan 2024 00:{minutes:02}:{seconds:02} GMT"
            if self.versioned:
                self.bench.buckets.versions[KEY] = version


def check(uploads: Uploads, what: str = "") -> None:
    """Hold the row and the renditions to what the bucket says."""
    bench = uploads.bench
    row = bench.tables.rows.get(KEY)
    version, content = uploads.current
    kept = {key for key in bench.buckets.kept(RENDITIONS) if not key.startswith("pipelines/")}
    if row is None:
        assert content is None, what
        assert not kept, what
        return
    assert {part["M"]["key"]["S"] for part in row["renditions"]["L"]} == kept, what
    if content is not None:
        assert row["status"] == {"S": "processed"}, what
        assert "deletedAt" not in row, what
        assert row["eTag"]["S"] == etag_of(content), what
        assert row.get("versionId", {"S": ""})["S"] == version, what
        assert kept, what
    else:
        assert row["status"] == {"S": "deleted"}, what
        assert not kept, what
        if row["deletion"]["M"]["reason"]["S"] == "noticed":
            assert row["deletedAt"]["S"] == NOW, what
        else:
            # The key was empty from then on, or this very version was deleted for good while others hid it.
            removed = uploads.removed_at.get(row.get("versionId", {}).get("S", ""), set())
            assert row["deletedAt"]["S"] in uploads.gone_at | removed, what
        assert row["sha256"]["S"]  # what it was stays


def disturbed(bench: Bench, at: int, what: Any) -> None:
    """Have something happen just before the function's next call but ``at``."""
    left = [at]

    def disturb(_operation: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            what()

    bench.tables.disturb = bench.buckets.disturb = disturb


def quiet(bench: Bench) -> None:
    bench.tables.disturb = bench.buckets.disturb = lambda _operation: None


class Story:
    """A key's life by chance: changes of the bucket, and deliveries of their events with something in between."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 no secret
        self.uploads = Uploads(Bench(), versioned=seed % 2 == 1)
        self.bench = self.uploads.bench
        self.bench.configure(**one_rendition())
        self.waiting: list[dict[str, Any]] = []

    def change(self) -> None:
        before = len(self.uploads.events)
        what = self.random.choice(["put", "put", "delete", "delete version"])
        if what == "put":
            self.uploads.put(PNG + self.random.choice([b"one", b"two"]))
        elif what == "delete":
            self.uploads.delete()
        else:
            self.uploads.delete_version(self.random.randrange(6))
        self.waiting += self.uploads.events[before:]

    def one_event(self) -> dict[str, Any]:
        event = self.random.choice(self.waiting)
        if self.random.random() < 0.7:  # else it is delivered once more
            self.waiting.remove(event)
        return event

    def deliver(self, event: dict[str, Any], *what: Callable[[], None]) -> None:
        """Deliver an event; before one of the calls that it takes, something happens."""
        quiet(self.bench)
        for one in what:
            disturbed(self.bench, self.random.randrange(12), one)
        try:
            self.bench.deliver(event)
        except (EndedError, StoreUnavailableError):
            self.waiting.append(event)
        quiet(self.bench)

    def ends(self) -> None:
        quiet(self.bench)
        raise EndedError

    def another(self) -> None:
        if self.waiting:
            self.deliver(self.one_event())

    def live(self) -> None:
        for _ in range(self.random.randrange(1, 14)):
            if self.waiting and self.random.random() < 0.5:
                what = self.random.choice([[], [self.ends], [self.another], [self.change]])
                self.deliver(self.one_event(), *what)
            else:
                self.change()
        while self.waiting:
            self.deliver(self.one_event())


# The last ones are what sixty thousand other seeds found: the version that an event names has to be the one that is
# read, and what an interrupted try made of an uncovered version has to go.
@pytest.mark.parametrize(
    "seeds", [*(range(start, start + 100) for start in range(0, 1000, 100)), [3897, 24315, 29589], [9321, 22245, 24759]]
)
def test_whatever_comes_in_between_row_and_renditions_follow_the_original(seeds: list[int]) -> None:
    for seed in seeds:
        story = Story(seed)
        story.live()
        check(story.uploads, f"seed {seed}")
        # Everything once more stays true, and from then on changes nothing. (The first repetition may still: an event
        # that found another version there, and left it to that one's own event, finds its own there later.)
        for _ in range(2):
            story.bench.deliver(*story.random.sample(story.uploads.events, len(story.uploads.events)))
            check(story.uploads, f"seed {seed}")
        state = story.bench.state
        story.bench.deliver(*story.random.sample(story.uploads.events, len(story.uploads.events)))
        assert story.bench.state == state, f"seed {seed}"


@pytest.mark.parametrize("versioned", [False, True])
def test_a_deletion_that_is_handled_while_the_image_is_worked_on_is_not_missed(versioned: bool) -> None:
    """There is no row yet when the deletion is handled, and the row is written afterwards."""
    for at in range(20):
        uploads = Uploads(Bench(), versioned)
        uploads.put(PNG)
        [event] = uploads.events

        def delete(uploads: Uploads = uploads) -> None:
            uploads.bench.tables.disturb = uploads.bench.buckets.disturb = lambda _operation: None
            uploads.delete()
            uploads.bench.deliver(uploads.events[-1])

        disturbed(uploads.bench, at, delete)
        [outcome] = uploads.bench.deliver(event)
        # The outcome is of the event that was delivered, whatever had to follow it.
        assert outcome["sequencer"] == padded(event["detail"]["object"]["sequencer"])
        if len(uploads.events) == 2:
            check(uploads)


@pytest.mark.parametrize("fault", ["unpersisted", "unanswered"])
@pytest.mark.parametrize("operation", ["PutItem", "DeleteObject"])
def test_a_deletion_that_fails_half_way_is_completed_by_the_next_delivery(fault: str, operation: str) -> None:
    failures = 0
    for failing in range(6):
        counted: list[str] = []
        armed: list[bool] = []

        def fails(
            _call: int, what: str, failing: int = failing, counted: list[str] = counted, armed: list[bool] = armed
        ) -> str:
            if not armed or what != operation:
                return ""
            counted.append(what)
            return fault if len(counted) == failing + 1 else ""

        uploads = Uploads(Bench(fails), versioned=False)
        uploads.put(PNG)
        uploads.bench.deliver(uploads.events[0])
        uploads.delete()
        armed.append(True)
        try:
            uploads.bench.deliver(uploads.events[1])
        except StoreUnavailableError:
            failures += 1
            # Until it comes again, no row names what is not there.
            named = {part["M"]["key"]["S"] for part in uploads.bench.tables.rows[KEY]["renditions"]["L"]}
            assert named <= set(uploads.bench.buckets.kept(RENDITIONS))
            uploads.bench.deliver(uploads.events[1])
        check(uploads)
        assert uploads.bench.tables.rows[KEY]["deletedAt"] == {"S": "2024-01-01T00:00:02.000Z"}
    assert failures == {"PutItem": 1, "DeleteObject": 2}[operation]


def test_another_image_of_the_same_content_keeps_its_renditions() -> None:
    bench = Bench()
    for key in ("a.png", "b.png"):
        bench.upload(key, PNG)
        bench.deliver(created(key, PNG, "0A"))
    del bench.buckets.objects[BUCKET, "a.png"]
    assert bench.deliver(deleted("a.png", "0B"))[0]["outcome"] == "deleted"
    named = {part["M"]["key"]["S"] for part in bench.tables.rows["b.png"]["renditions"]["L"]}
    assert named
    assert set(bench.buckets.kept(RENDITIONS)) == named


def test_the_renditions_of_a_replaced_image_go_with_it() -> None:
    bench = Bench()
    for number, content in enumerate((PNG + b"one", PNG + b"two")):
        bench.upload(KEY, content)
        bench.deliver(created(KEY, content, f"0{number}"))
    named = {part["M"]["key"]["S"] for part in bench.tables.rows[KEY]["renditions"]["L"]}
    assert set(bench.buckets.kept(RENDITIONS)) == named


def test_the_deletion_of_what_never_was_an_image_leaves_nothing() -> None:
    bench = Bench()
    assert bench.deliver(deleted("a.txt", "0A"))[0]["outcome"] == "unchanged"
    assert not bench.tables.rows
    assert not bench.buckets.writes


def test_what_takes_the_place_of_a_deleted_image_and_is_none_leaves_its_row_as_evidence() -> None:
    bench = Bench()
    bench.upload("photograph", PNG)
    bench.deliver(created("photograph", PNG, "0A"))
    del bench.buckets.objects[BUCKET, "photograph"]
    bench.deliver(deleted("photograph", "0B"))
    before = bench.tables.rows["photograph"]
    bench.upload("photograph", b"a text", "text/plain")
    assert bench.deliver(created("photograph", b"a text", "0C"))[0]["outcome"] == "not an image"
    assert bench.tables.rows["photograph"] == before


def test_a_row_that_is_as_large_as_an_item_can_be_says_all_the_same_that_its_original_is_gone() -> None:
    uploads = Uploads(Bench(), versioned=False)
    uploads.put(PNG)
    bench = uploads.bench
    bench.deliver(uploads.events[0])
    put = bench.tables._put

    def full(body: dict[str, Any]) -> dict[str, Any]:
        if "algorithms" in body["Item"]:
            raise RecordRejectedError("Item size has exceeded the maximum allowed size")
        return put(body)

    bench.tables._put = full  # type: ignore[method-assign]
    uploads.delete()
    assert bench.deliver(uploads.events[1])[0]["outcome"] == "deleted"
    check(uploads)


# ---- deletions that no event tells of


def test_a_wish_notices_that_the_original_is_gone_and_the_late_event_says_how() -> None:
    uploads = Uploads(Bench(), versioned=False)
    uploads.put(PNG)
    bench = uploads.bench
    bench.deliver(uploads.events[0])
    uploads.delete()
    landed, version = (bench.tables.rows[KEY][name] for name in ("sequencer", "pipelineVersion"))
    assert bench.deliver(wish(KEY, version["S"]))[0]["outcome"] == "deleted"
    row = bench.tables.rows[KEY]
    assert (row["deletedAt"], row["deletion"]) == ({"S": NOW}, {"M": {"reason": {"S": "noticed"}, "landed": landed}})
    check(uploads)
    noticed = bench.state
    assert bench.deliver(wish(KEY, version["S"]))[0]["outcome"] == "superseded"
    assert bench.state == noticed
    assert bench.deliver(uploads.events[1])[0]["outcome"] == "deleted"
    row = bench.tables.rows[KEY]
    assert row["deletedAt"] == {"S": "2024-01-01T00:00:02.000Z"}
    assert row["deletion"]["M"]["reason"] == {"S": "DeleteObject"}


def test_a_deletion_of_later_days_does_not_explain_what_was_noticed_before() -> None:
    uploads = Uploads(Bench(), versioned=True)
    uploads.put(PNG)
    bench = uploads.bench
    bench.deliver(uploads.events[0])
    uploads.delete()
    bench.deliver(wish(KEY, bench.tables.rows[KEY]["pipelineVersion"]["S"]))
    uploads.delete_version(0)
    uploads.events[-1]["time"] = "2025-01-01T00:00:00Z"
    assert bench.deliver(uploads.events[-1])[0]["outcome"] == "unchanged"
    assert bench.tables.rows[KEY]["deletedAt"] == {"S": NOW}


def test_a_wish_processes_an_object_that_is_there_again_though_no_event_said_so() -> None:
    uploads = Uploads(Bench(), versioned=False)
    uploads.put(PNG)
    uploads.delete()
    bench = uploads.bench
    bench.upload(KEY, PNG)
    bench.deliver(uploads.events[0])
    del bench.buckets.objects[BUCKET, KEY]
    bench.deliver(uploads.events[1])
    version = bench.tables.rows[KEY]["pipelineVersion"]["S"]
    uploads.put(PNG + b"again")
    assert bench.deliver(wish(KEY, version))[0]["outcome"] == "processed"
    check(uploads)
    # Its own event, late, is the later one.
    assert bench.deliver(uploads.events[-1])[0]["outcome"] == "processed"
    check(uploads)


def test_a_pipeline_of_another_day_does_not_bring_a_deleted_image_back() -> None:
    uploads = Uploads(Bench(), versioned=False)
    uploads.put(PNG)
    bench = uploads.bench
    bench.deliver(uploads.events[0])
    uploads.delete()
    bench.deliver(uploads.events[1])
    bench.configure(**one_rendition("large"))
    state = bench.state
    version = version_of(bench.tables.configuration["IMAGE_PIPELINE"])
    assert bench.deliver(wish(KEY, version))[0]["outcome"] == "superseded"
    assert bench.state == state


@given(st.text("0123456789ABCDEFabcdef", min_size=1, max_size=38), st.integers(1, 1000))
def test_what_was_noticed_sorts_between_its_row_and_every_later_event(digits: str, later: int) -> None:
    before = padded(digits)
    after = padded(f"{int(digits, 16) + later:0{len(digits)}X}")
    noticed = deletions.successor(before)
    assert before < noticed
    if len(f"{int(digits, 16) + later:X}") <= len(digits):
        assert noticed < after
