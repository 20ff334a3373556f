"""An item as it was at a point of its trail, rebuilt from its changes; where they do not tell, that is said.

A state is complete where it has the hash that its last change recorded: then it is right, whatever else is wrong with
the trail. Any other state names what is wrong (``Problem.code``), and which attributes nobody can tell:

- ``NotRecorded``: no change of the item is in the trail;
- ``BeforeFirstRecord``: the trail of the item begins after the point;
- ``AuditingBeganLater``: the trail does not begin with the item's creation: it is older, or records have expired;
- ``Gap``: at least one change is missing;
- ``ValueLost``: a value that was too large for its record is gone from the evidence bucket, or was altered there;
- ``HashMismatch``: the recorded values do not have the recorded hash, or the change's records disagree.

``_weaudit``, the mark of a logged update, is no data and in no state.
"""

from __future__ import annotations

from itertools import chain

from weaudit.items.values import data, image_hash
from weaudit.trail.states import AsOf, Between, Problem, between

__all__ = ["MOST_LATER", "AsOf", "Between", "Problem", "between", "rebuild"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weaudit.items.values import Item, Value
    from weaudit.trail.changes import AttributeChange, AuditedChange, ValueReference

    Follow = Callable[[ValueReference], Value | None]

MOST_LATER = 1000
"""Where the changes before a point do not tell its state, at most so many after it are asked."""


def rebuild(
    earlier: Iterable[AuditedChange],
    later: Iterable[AuditedChange],
    follow: Follow,
    *,
    exact: bool = False,
    from_birth: bool = False,
    live: Callable[[], Item | None] | None = None,
) -> AsOf:
    """Return an item's state from its changes up to a point, newest first, and those beyond it, oldest first.

    Of ``earlier`` nothing is read beyond the item's last creation, of ``later`` only the first change where that is
    enough. ``follow`` reads a value that was too large for its record, None where it is lost. ``exact`` says that the
    point is the first change of ``earlier`` itself and no moment after it. ``from_birth`` says that no change of the
    table was ever made unaudited. ``live`` reads the item as it is now, which helps where its creation is not recorded.
    """
    back, forth = iter(earlier), iter(later)
    last, following = next(back, None), next(forth, None)
    if last is None:
        return _before_the_trail(following, from_birth)
    if not exact and following is not None and following.before_hash != last.after_hash:
        # Was what is missing made before the point or after it?
        problem = Problem("Gap", f"{_missing(last, following)}: before or after this point, nobody can tell")
        told = None if last.after_hash is None or following.before_hash is None else True
        return AsOf(exists=told, problems=(problem,), last_change=last, next_change=following)
    if not last.coherent or (last.after_hash is None) != (last.event_name == "REMOVE"):
        problem = Problem("HashMismatch", f"the records of the change {last.sequence} disagree about it")
        return AsOf(exists=None, problems=(problem,), last_change=last, next_change=following)
    if last.after_hash is None:
        return AsOf(exists=False, last_change=last, next_change=following)
    state = _State(follow)
    state.go_back(chain((last,), back), from_birth)
    if not state.is_proven(last.after_hash):
        state.go_on(last.after_hash, chain(() if following is None else (following,), forth), live)
    return state.told(last, following)


def _before_the_trail(following: AuditedChange | None, from_birth: bool) -> AsOf:
    if following is None:
        problem = Problem("NotRecorded", "no change of this item is in the trail")
        return AsOf(exists=None, problems=(problem,))
    created = following.event_name == "INSERT"
    if created and from_birth:
        return AsOf(exists=False, next_change=following)
    begins = "its creation" if created else "a change of what was there already"
    text = f"the trail of this item begins at {following.at}, with {begins}; it does not tell of the time before"
    problem = Problem("BeforeFirstRecord", text)
    return AsOf(exists=None, problems=(problem,), next_change=following)


def _missing(older: AuditedChange, newer: AuditedChange) -> str:
    return f"at least one change is missing between the changes {older.sequence} and {newer.sequence}"


class _State:
    """What is told of a state: of each attribute the value that the nearest change tells, None where there was none."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._values: dict[str, Value | None] = {}
        self._doubted: set[str] = set()  # told from beyond a gap: anything may have happened to it there
        self._lost: set[str] = set()
        self._problems: dict[str, Problem] = {}
        self._whole = False  # every attribute there was is among the values or the lost
        self._proven = False

    def go_back(self, changes: Iterator[AuditedChange], from_birth: bool) -> None:
        """Take what the changes up to the point tell, newest first, until one tells of the whole item."""
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

    def go_on(self, digest: str, changes: Iterator[AuditedChange], live: Callable[[], Item | None] | None) -> None:
        """Take what later changes say was there before, until one tells of the whole item; then prove it anew."""
        seen: set[str] = set()
        whole: Item | None = None
        state: str | None = digest
        for number, change in enumerate(changes):
            if number == MOST_LATER or change.before_hash != state:
                state = None
                break
            for part in change.attributes:
                if part.name is None:
                    whole = self._map(part.old, part.old_ref)
                elif part.name not in seen:
                    seen.add(part.name)
                    self._take(part.name, part.old, part.old_ref, certain=True)
            state = change.after_hash
            if state is None:
                break
        if state is not None and live is not None:
            item = live()
            whole = data(item) if item is not None and _has_hash(item, state) else None
        if whole is not None:
            # What no later change touched was as it is at the end.
            told = {name: value for name, value in self._values.items() if name in seen}
            untouched = {name: value for name, value in whole.items() if name not in seen}
            if _has_hash(_present({**told, **untouched}), digest):
                self._values, self._proven = {**told, **untouched}, True
                return
        self.is_proven(digest)

    def is_proven(self, digest: str) -> bool:
        """Say whether the state has the hash that was recorded: then there is no doubt of any part of it."""
        self._proven = self._whole and not self._lost and _has_hash(_present(self._values), digest)
        return self._proven

    def told(self, last: AuditedChange, following: AuditedChange | None) -> AsOf:
        """Return the state as far as it is known."""
        if self._proven:
            return AsOf(exists=True, item=_present(self._values), last_change=last, next_change=following)
        unknown = self._doubted | self._lost
        if not self._problems:
            self._report("HashMismatch", f"the recorded values do not have the hash of the change {last.sequence}")
            unknown = set(self._values)  # any of them may be the wrong one
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
        item = self._map(part.new, part.new_ref)
        if item is None:
            self._report("ValueLost", _gone("the item as it was created"))
            return
        self._whole = True
        for name, value in item.items():
            if name not in self._values and name not in self._lost:
                self._take(name, value, None, certain)

    def _map(self, value: Value | None, reference: ValueReference | None) -> Item | None:
        found = self._follow(reference) if value is None and reference is not None else value
        item: Item | None = None if found is None else found.get("M")
        return item

    def _report(self, code: str, message: str, name: str = "") -> None:
        # Of each kind, and of each lost value, the one nearest to the point.
        self._problems.setdefault(f"{code} {name}", Problem(code, message))


def _gone(what: str) -> str:
    return f"{what} is gone from the evidence bucket, or was altered there"


def _present(values: dict[str, Value | None]) -> Item:
    return {name: value for name, value in values.items() if value is not None}


def _has_hash(item: Item, digest: str) -> bool:
    try:
        return image_hash(item) == digest
    except (ValueError, TypeError, AttributeError):  # what someone wrote into the trail by hand
        return False
