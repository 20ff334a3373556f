"""States of an item in the past, and what changed between two of them (docs/formats/states-json.md)."""

from __future__ import annotations

from weaudit.capture.rules import hides
from weaudit.items.differences import differences
from weaudit.items.values import WITHHELD
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.capture.rules import Rules
    from weaudit.items.differences import Difference
    from weaudit.items.values import Item, Value
    from weaudit.trail.changes import AuditedChange


@value
class Problem:
    """Why a state is not completely known: ``code`` is stable, ``message`` is for people."""

    code: str
    message: str


@value
class AsOf:
    """An item as of a point. If it is complete, it has no problems, and ``item`` has the hash that was recorded."""

    exists: bool | None  # None: the trail does not show it
    item: Item | None = None  # what is known, in DynamoDB JSON; None if nothing is known, or the item did not exist
    problems: tuple[Problem, ...] = ()
    unknown: tuple[str, ...] = ()  # attributes that the item had, or may have had, with an unknown value
    absent: frozenset[str] = frozenset()  # in an incomplete state, attributes that the item is known not to have had
    last_change: AuditedChange | None = None  # led to this state; its large values are not read
    next_change: AuditedChange | None = None  # ended this state
    rules: Rules | None = None  # of the last change: what they hide is in no state; None if they are not known

    @property
    def complete(self) -> bool:
        """Whether the whole item is known."""
        return not self.problems

    @property
    def recorded(self) -> bool:
        """Whether the trail has any change of the item."""
        return self.last_change is not None or self.next_change is not None


@value
class Between:
    """What changed between two states of an item, place by place; ``unknown`` names the attributes not comparable.

    If one of the states is not complete, there may be further attributes whose names are not known.
    """

    before: AsOf
    after: AsOf
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether both states are complete."""
        return self.before.complete and self.after.complete

    @property
    def recorded(self) -> bool:
        """Whether the trail has any change of the item."""
        return self.before.recorded or self.after.recorded


def between(before: AsOf, after: AsOf) -> Between:
    """Return each place that is known in both states and differs. Paths begin with the attribute's name."""
    unknown = set(before.unknown) | set(after.unknown)
    found: list[Difference] = []
    for name in sorted((before.item or {}).keys() | (after.item or {}).keys()):
        if _ruled_apart(before, after, name) or not (_knows(before, name) and _knows(after, name)):
            unknown.add(name)
            continue
        old, new = ((state.item or {}).get(name) for state in (before, after))
        found.extend(differences(old, new, (name,)))
        if _has_masked(old) and _has_masked(new) and not _same_masked(before, after):
            # The values are nowhere, so nobody can say which of them changed.
            unknown.add(name)
    return Between(before, after, tuple(found), tuple(sorted(unknown)))


def _ruled_apart(before: AsOf, after: AsOf, name: str) -> bool:
    """Return whether the rules at one of the points keep another part of an attribute than those at the other."""
    if before.rules is None or after.rules is None or before.rules.digest == after.rules.digest:
        return False
    return any(hides(rules, name) for rules in (before.rules, after.rules))


def _same_masked(before: AsOf, after: AsOf) -> bool:
    """Return whether the masked values of an item in two states are known to be the same."""
    one, other = (
        None if state.last_change is None else (state.last_change.kid, state.last_change.records[0].get("afterMasked"))
        for state in (before, after)
    )
    return one == other


def _has_masked(found: Value | None) -> bool:
    inner = None if found is None else found.get("M")
    return found == {WITHHELD: ""} or (isinstance(inner, dict) and any(map(_has_masked, inner.values())))


def _knows(state: AsOf, name: str) -> bool:
    return state.complete or name in (state.item or {}) or name in state.absent
