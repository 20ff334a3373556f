"""Rebuilds an item as it was at a point of its trail, and reports what the trail cannot show.

1. Walk back from the point to the item's creation. Each change holds the new values of the attributes that it touched,
   so the first value found for an attribute is its value at the point. The creation holds the whole item.
2. Compare the hash of the result with the hash that the last change before the point recorded. If they are equal, the
   state is complete: it is right, whatever else is wrong with the trail.
3. Otherwise walk forward from the point. Each later change holds the old values of the attributes that it touched, so
   the first value found for an attribute is again its value at the point. A deletion holds the whole item, and so does
   the live item at the end of the trail. Then compare the hashes again.

A state that is not complete names its unknown attributes, and the reasons (``Problem.code``):

- ``NotRecorded``: no change of the item is in the trail;
- ``BeforeFirstRecord``: the trail of the item begins after the point;
- ``AuditingBeganLater``: the item is older than its trail, or its first records have expired;
- ``Gap``: at least one change is missing;
- ``ValueLost``: a value that was too large for its record is gone from the evidence bucket, or was altered there;
- ``HashMismatch``: the recorded values do not have the recorded hash, or the change's records disagree.

``_weaudit``, the marker of a logged update, is not data: no state contains it.
"""

from __future__ import annotations

from itertools import chain

from weaudit.items.values import data, image_hash
from weaudit.trail.states import AsOf, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weaudit.items.values import Item, Value
    from weaudit.trail.changes import AttributeChange, AuditedChange, ValueReference

    Follow = Callable[[ValueReference], Value | None]

MOST_LATER = 1000
"""At most this many changes after a point are read, if the changes before it do not give the whole state."""


def rebuild(
    earlier: Iterable[AuditedChange],
    later: Iterable[AuditedChange],
    follow: Follow,
    *,
    exact: bool = False,
    from_birth: bool = False,
    live: Callable[[], Item | None] | None = None,
) -> AsOf:
    """Return an item's state at a point of its trail.

    ``earlier`` yields the changes up to the point, newest first, and is read no further back than the item's last
    creation. ``later`` yields the changes after the point, oldest first; only the first is read if that is enough.

    ``follow`` reads a value that was too large for its record, and returns None if that value is lost. ``exact`` says
    that the point is the first change of ``earlier`` itself, not a moment after it. ``from_birth`` says that every
    change of the table was audited. ``live`` reads the item as it is now, for an item whose creation is not recorded.
    """
    back, forth = iter(earlier), iter(later)
    last, following = next(back, None), next(forth, None)
    if last is None:
        return _before_the_trail(following, from_birth)
    if not exact and following is not None and following.before_hash != last.after_hash:
        # The missing change may have been made before the point or after it.
        problem = Problem("Gap", f"{_missing(last, following)}; it may have been made before or after this point")
        existed_throughout = last.after_hash is not None and following.before_hash is not None
        return AsOf(
            exists=True if existed_throughout else None, problems=(problem,), last_change=last, next_change=following
        )
    if not last.coherent or (last.after_hash is None) != (last.event_name == "REMOVE"):
        problem = Problem("HashMismatch", f"the records of the change {last.sequence} disagree with each other")
        return AsOf(exists=None, problems=(problem,), last_change=last, next_change=following)
    if last.after_hash is None:
        return AsOf(exists=False, last_change=last, next_change=following)
    state = _State(follow)
    state.walk_back(chain((last,), back), from_birth)
    if not state.prove(last.after_hash):
        state.walk_forward(last.after_hash, chain(() if following is None else (following,), forth), live)
    return state.result(last, following)


def _before_the_trail(following: AuditedChange | None, from_birth: bool) -> AsOf:
    if following is None:
        problem = Problem("NotRecorded", "no change of this item is in the trail")
        return AsOf(exists=None, problems=(problem,))
    created = following.event_name == "INSERT"
    if created and from_birth:
        return AsOf(exists=False, next_change=following)
    begins = "its creation" if created else "a change of an item that already existed"
    text = f"the trail of this item begins at {following.at}, with {begins}; it says nothing about the time before"
    problem = Problem("BeforeFirstRecord", text)
    return AsOf(exists=None, problems=(problem,), next_change=following)


def _missing(older: AuditedChange, newer: AuditedChange) -> str:
    return f"at least one change is missing between the changes {older.sequence} and {newer.sequence}"


class _State:
    """What is known so far of an item at one point: each attribute has its value from the change nearest to it."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._values: dict[str, Value | None] = {}  # None: the item did not have this attribute
        self._doubted: set[str] = set()  # the value comes from before a gap: the missing change may have replaced it
        self._lost: set[str] = set()  # the value is gone from the evidence bucket
        self._problems: dict[str, Problem] = {}
        self._whole = False  # every attribute of the item is among the values or the lost
        self._proven = False  # the values have the recorded hash

    def walk_back(self, changes: Iterator[AuditedChange], from_birth: bool) -> None:
        """Walk the changes backwards, keeping each attribute's latest value, until one holds the whole item."""
        newer: AuditedChange | None = None
        certain = True
        for change in changes:
            if newer is not None and change.after_hash != newer.before_hash:
                certain = False
                self._report("Gap", _missing(change, newer))
            if change.event_name == "REMOVE":
                return
            for part in change.attributes:
                if part.name is None:
                    self._take_whole(part, certain)
                elif part.name not in self._values and part.name not in self._lost:
                    self._take(part.name, part.new, part.new_ref, certain)
            if change.event_name == "INSERT":
                return
            newer = change
        first = newer.sequence if newer else ""
        code = "Gap" if from_birth else "AuditingBeganLater"
        self._report(code, f"the trail of this item begins with the change {first}, which is not its creation")

    def walk_forward(
        self, digest: str, changes: Iterator[AuditedChange], live: Callable[[], Item | None] | None
    ) -> None:
        """Walk the later changes forwards, keeping each attribute's first old value, until one holds the whole item."""
        touched: set[str] = set()
        whole: Item | None = None
        state: str | None = digest  # the hash that the next change must start from
        for number, change in enumerate(changes):
            if number == MOST_LATER or change.before_hash != state:
                state = None
                break
            for part in change.attributes:
                if part.name is None:
                    whole = self._item_of(part.old, part.old_ref)
                elif part.name not in touched:
                    touched.add(part.name)
                    self._take(part.name, part.old, part.old_ref, certain=True)
            state = change.after_hash
            if state is None:
                break
        if state is not None and live is not None:
            item = live()
            whole = data(item) if item is not None and _has_hash(item, state) else None
        if whole is not None:
            # An attribute that no later change touched had the same value at the point as in the whole item.
            changed_later = {name: value for name, value in self._values.items() if name in touched}
            untouched = {name: value for name, value in whole.items() if name not in touched}
            if _has_hash(_present({**changed_later, **untouched}), digest):
                self._values, self._proven = {**changed_later, **untouched}, True
                return
        self.prove(digest)

    def prove(self, digest: str) -> bool:
        """Compare the state with the recorded hash, and return whether they agree: that proves every value."""
        self._proven = self._whole and not self._lost and _has_hash(_present(self._values), digest)
        return self._proven

    def result(self, last: AuditedChange, following: AuditedChange | None) -> AsOf:
        """Return the state as far as it is known, with what is wrong."""
        if self._proven:
            return AsOf(exists=True, item=_present(self._values), last_change=last, next_change=following)
        unknown = self._doubted | self._lost
        if not self._problems:
            self._report("HashMismatch", f"the recorded values do not have the hash of the change {last.sequence}")
            unknown = set(self._values)  # any of the values may be the wrong one
        known = {name: value for name, value in self._values.items() if name not in unknown}
        return AsOf(
            exists=True,
            item=_present(known) or None,
            problems=tuple(self._problems.values()),
            unknown=tuple(sorted(unknown)),
            absent=frozenset(name for name, value in known.items() if value is None),
            last_change=last,
            next_change=following,
        )

    def _take(self, name: str, value: Value | None, reference: ValueReference | None, certain: bool) -> None:
        if value is None and reference is not None:
            value = self._follow(reference)
            if value is None:
                if name not in self._values:
                    self._lost.add(name)
                    self._report("ValueLost", _gone(f"a large value of {name}"), name)
                return
        self._lost.discard(name)
        self._problems.pop(f"ValueLost {name}", None)
        self._values[name] = value
        (self._doubted.discard if certain else self._doubted.add)(name)

    def _take_whole(self, part: AttributeChange, certain: bool) -> None:
        item = self._item_of(part.new, part.new_ref)
        if item is None:
            self._report("ValueLost", _gone("the item as it was at its creation"))
            return
        self._whole = True
        for name, value in item.items():
            if name not in self._values and name not in self._lost:
                self._take(name, value, None, certain)

    def _item_of(self, value: Value | None, reference: ValueReference | None) -> Item | None:
        found = self._follow(reference) if value is None and reference is not None else value
        item: Item | None = None if found is None else found.get("M")
        return item

    def _report(self, code: str, message: str, name: str = "") -> None:
        # Keep the problem nearest to the point: one of each kind, and one for each lost value.
        self._problems.setdefault(f"{code} {name}", Problem(code, message))


def _gone(what: str) -> str:
    return f"{what} is gone from the evidence bucket, or was altered there"


def _present(values: dict[str, Value | None]) -> Item:
    return {name: value for name, value in values.items() if value is not None}


def _has_hash(item: Item, digest: str) -> bool:
    try:
        return image_hash(item) == digest
    except (ValueError, TypeError, AttributeError):  # a record that was written by hand
        return False
