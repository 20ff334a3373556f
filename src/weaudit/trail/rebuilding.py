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
- ``Erased``: the values of this change were erased;
- ``NotKept``: earlier rules of the table did not keep what the rules at the point keep;
- ``RulesLost``: the text of the rules at the point is gone from the evidence bucket, or was altered there;
- ``HashMismatch``: the recorded values do not have the recorded hash, or the change's records disagree.

The hash needs no long value, only its commitment: the values are read when the state is known. Masked places stay
masked, and what the rules exclude or ignore is in no state.
``_weaudit``, the marker of a logged update, is not data: no state contains it.
"""

from __future__ import annotations

from itertools import chain

from weaudit.capture.rules import no_rules
from weaudit.items.hashes import state_hash
from weaudit.items.values import WITHHELD, data
from weaudit.trail.clearing import clear_item, cleared
from weaudit.trail.coherence import coherent
from weaudit.trail.states import AsOf, Problem
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weaudit.capture.rules import Rules
    from weaudit.items.values import Item, Value
    from weaudit.trail.changes import AttributeChange, AuditedChange, ValueReference

    Follow = Callable[[ValueReference, bytes], Value | None]

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
    rules_of: Callable[[str], Rules | None] = no_rules,
) -> AsOf:
    """Return an item's state at a point of its trail.

    ``earlier`` yields the changes up to the point, newest first, and is read no further back than the item's last
    creation. ``later`` yields the changes after the point, oldest first; only the first is read if that is enough. Of
    the values that were too large for their records, those that enter hashes as they are must have been read.

    ``follow`` reads a value that was too large for its record, given the salt of the item, and returns None if that
    value is lost. ``exact`` says that the point is the first change of ``earlier`` itself, not a moment after it.
    ``from_birth`` says that every change of the table was audited. ``live`` reads the item as it is now, for an item
    whose creation is not recorded. ``rules_of`` returns the rules that changes name, None if their text is lost.
    """
    back, forth = iter(earlier), iter(later)
    last, following = next(back, None), next(forth, None)
    if last is None:
        return _before_the_trail(following, from_birth)
    same_rules = following is None or following.rules == last.rules
    if not exact and following is not None and same_rules and following.before_hash != last.after_hash:
        # The missing change may have been made before the point or after it.
        problem = Problem("Gap", f"{_missing(last, following)}; it may have been made before or after this point")
        existed_throughout = last.after_hash is not None and following.before_hash is not None
        return AsOf(
            exists=True if existed_throughout else None, problems=(problem,), last_change=last, next_change=following
        )
    if not coherent(last.records) or (last.after_hash is None) != (last.event_name == "REMOVE"):
        problem = Problem("HashMismatch", f"the records of the change {last.sequence} disagree with each other")
        return AsOf(exists=None, problems=(problem,), last_change=last, next_change=following)
    if last.after_hash is None:
        return AsOf(exists=False, last_change=last, next_change=following)
    if last.erased:
        problem = Problem("Erased", _erased(last))
        return AsOf(exists=True, problems=(problem,), last_change=last, next_change=following)
    state = _State(last, follow, rules_of)
    state.walk_back(chain((last,), back), from_birth)
    if not state.prove():
        state.walk_forward(chain(() if following is None else (following,), forth), live)
    found = state.result(following)
    if exact or following is None or same_rules or not found.complete or state.leads_to(following):
        return found
    text = f"the rules of the table changed between the changes {last.sequence} and {following.sequence}"
    return replaced(found, problems=(Problem("NotKept", f"{text}: another change may be missing between them"),))


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
    """What is known so far of an item after a change: each attribute has its value from the change nearest to it."""

    def __init__(self, last: AuditedChange, follow: Follow, rules_of: Callable[[str], Rules | None]) -> None:
        self._last = last
        self._follow = follow
        self._rules_of = rules_of
        self._rules = rules_of(last.rules)
        self._values: dict[str, Value | None] = {}  # None: the item did not have this attribute
        self._references: dict[str, ValueReference] = {}  # by commitment
        self._doubted: set[str] = set()  # the value comes from before a gap: the missing change may have replaced it
        self._problems: dict[str, Problem] = {}
        self._whole = False  # every attribute of the item is among the values
        self._proven = False  # the values have the recorded hash

    def walk_back(self, changes: Iterator[AuditedChange], from_birth: bool) -> None:
        """Walk the changes backwards, keeping each attribute's latest value, until one holds the whole item."""
        newer: AuditedChange | None = None
        certain = True
        for change in changes:
            if newer is not None and change.rules == newer.rules and change.after_hash != newer.before_hash:
                certain = False
                self._report("Gap", _missing(change, newer))
            if change.event_name == "REMOVE":
                return
            if change.erased:
                self._lack(change)
            if newer is not None and change.rules != newer.rules:
                self._lack_by_rules(change, newer)
            for part in () if change.erased else self._cleared(change).attributes:
                self._remember(part.new_refs)
                for name, value in _values(part, part.new):
                    if name not in self._values:
                        self._take(name, value, certain)
                self._whole |= part.name is None and part.new is not None
            if change.event_name == "INSERT":
                return
            newer = change
        first = newer.sequence if newer else ""
        code = "Gap" if from_birth else "AuditingBeganLater"
        self._report(code, f"the trail of this item begins with the change {first}, which is not its creation")

    def walk_forward(self, changes: Iterator[AuditedChange], live: Callable[[], Item | None] | None) -> None:
        """Walk the later changes forwards, keeping each attribute's first old value, until one holds the whole item."""
        touched: set[str] = set()
        whole: Item | None = None
        newest = self._last
        state = newest.after_hash  # the hash that the next change must start from
        for number, change in enumerate(changes):
            # Other rules give other hashes: what is beyond them says nothing sure about the point.
            other = change.rules != newest.rules or change.before_hash != state
            if number == MOST_LATER or other or change.erased:
                state = None
                break
            newest = change
            for part in self._cleared(change).attributes:
                self._remember(part.old_refs)
                if part.name is None:
                    whole = _present(dict(_values(part, part.old))) if part.old is not None else None
                elif part.name not in touched:
                    touched.add(part.name)
                    self._take(part.name, part.old, certain=True)
            state = change.after_hash
            if state is None:
                break
        if state is not None and live is not None:
            item = live()
            now = None if item is None else clear_item(data(item), (newest,), self._rules)[0]
            whole = now if now is not None and self._has_hash(now, state) else None
        if whole is not None:
            # An attribute that no later change touched had the same value at the point as in the whole item.
            changed_later = {name: value for name, value in self._values.items() if name in touched}
            untouched = {name: value for name, value in whole.items() if name not in touched}
            if self._has_hash(_present({**changed_later, **untouched}), self._last.after_hash):
                self._values, self._proven = {**changed_later, **untouched}, True
                return
        self.prove()

    def prove(self) -> bool:
        """Compare the state with the recorded hash, and return whether they agree: that proves every value."""
        whole = _present(self._values)
        if self._rules is not None and self._rules.digest:
            # Changes before these rules may have recorded what the rules hide.
            whole = clear_item(whole, (self._last,), self._rules)[0]
        self._proven = self._whole and self._has_hash(whole, self._last.after_hash)
        if self._proven:
            self._values = dict(whole)
        return self._proven

    def result(self, following: AuditedChange | None) -> AsOf:
        """Return the state as far as it is known, with what is wrong."""
        if self._proven:
            self._problems = {}
        elif self._rules is None:
            self._report("RulesLost", f"{_gone('the text of the rules at this point')}: what they ignore is not known")
            self._doubted = set(self._values)
        elif not self._problems:
            self._report(
                "HashMismatch", f"the recorded values do not have the hash of the change {self._last.sequence}"
            )
            self._doubted = set(self._values)  # any of the values may be the wrong one
        unknown = set() if self._proven else self._doubted
        known: dict[str, Value | None] = {}
        for name, value in self._values.items():
            if name not in unknown:
                known[name] = value = self._read(value)
                if value is not None and value.get(WITHHELD):
                    del known[name]
                    unknown = unknown | {name}
                    self._report("ValueLost", _gone(f"a large value of {name}"), name)
        return AsOf(
            exists=True,
            item=_present(known) if self._proven else _present(known) or None,
            problems=tuple(self._problems.values()),
            unknown=tuple(sorted(unknown)),
            absent=frozenset(name for name, value in known.items() if value is None),
            last_change=self._last,
            next_change=following,
            rules=self._rules,
        )

    def leads_to(self, following: AuditedChange) -> bool:
        """Return whether a change under other rules is known to follow the state, which is proven."""
        rules = self._rules_of(following.rules)
        if rules is None or following.before_hash is None:
            return False
        item = _present(self._values)
        for part in self._cleared(following).attributes:
            if part.name is not None:
                item = {name: value for name, value in item.items() if name != part.name}
                item |= {} if part.old is None else {part.name: part.old}
        return self._has_hash(clear_item(item, (following,), rules)[0], following.before_hash)

    def _cleared(self, change: AuditedChange) -> AuditedChange:
        return cleared(change, self._rules_of(change.rules))

    def _read(self, value: Value | None) -> Value | None:
        """Return a value, read from the evidence bucket if it is not here; as it is if it is gone from there."""
        reference = None if value is None else self._references.get(value.get(WITHHELD, ""))
        found = None if reference is None else self._follow(reference, self._last.salt)
        return value if found is None else found

    def _remember(self, references: tuple[ValueReference, ...]) -> None:
        self._references.update((reference.commitment, reference) for reference in references)

    def _lack(self, change: AuditedChange) -> None:
        """Note what an erased change does not say: the values of its attributes, if no later change has them."""
        self._report("Erased", _erased(change))
        for part in change.attributes:
            if part.name is not None and part.name not in self._values:
                self._take(part.name, None, certain=False)

    def _lack_by_rules(self, change: AuditedChange, newer: AuditedChange) -> None:
        """Note that a change was recorded under other rules than a newer one: it may lack what the newer one has."""
        self._report(
            "NotKept",
            f"the rules of the table changed between the changes {change.sequence} and {newer.sequence}: "
            "what the earlier ones did not keep, no record holds",
        )

    def _take(self, name: str, value: Value | None, certain: bool) -> None:
        self._values[name] = value
        (self._doubted.discard if certain else self._doubted.add)(name)

    def _has_hash(self, item: Item, digest: str | None) -> bool:
        try:
            return state_hash(self._last.salt, item).hex() == digest
        except (ValueError, TypeError, AttributeError):  # a record that was written by hand
            return False

    def _report(self, code: str, message: str, name: str = "") -> None:
        # Keep the problem nearest to the point: one of each kind, and one for each lost value.
        self._problems.setdefault(f"{code} {name}", Problem(code, message))


def _values(part: AttributeChange, value: Value | None) -> Iterator[tuple[str, Value | None]]:
    """Yield the attributes that one side of a change holds, and their values."""
    if part.name is not None:
        yield part.name, value
    elif value is not None and isinstance(value.get("M"), dict):
        yield from value["M"].items()


def _erased(change: AuditedChange) -> str:
    return f"the values of the change {change.sequence} were erased"


def _gone(what: str) -> str:
    return f"{what} is gone from the evidence bucket, or was altered there"


def _present(values: dict[str, Value | None]) -> Item:
    return {name: value for name, value in values.items() if value is not None}
