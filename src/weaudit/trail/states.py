"""States of an item in the past, and what changed between two of them (docs/formats/states-json.md)."""

from __future__ import annotations

from weaudit.items.differences import differences
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.differences import Difference
    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange


@value
class Problem:
    """Why a state is not known whole: ``code`` is stable, ``message`` is for people."""

    code: str
    message: str


@value
class AsOf:
    """An item as of a point. Complete means that there is no problem: ``item`` has the hash that was recorded."""

    exists: bool | None  # None: the trail does not say
    item: Item | None = None  # what is known of it, in DynamoDB JSON; None if nothing is, or if it did not exist
    problems: tuple[Problem, ...] = ()
    unknown: tuple[str, ...] = ()  # attributes that were there, or may have been, with an unknown value
    absent: frozenset[str] = frozenset()  # attributes that were not there, if that is known one by one
    last_change: AuditedChange | None = None  # the one that led to this state; its large values are not read
    next_change: AuditedChange | None = None  # the one that ended it

    @property
    def complete(self) -> bool:
        """Whether the whole item is known."""
        return not self.problems


@value
class Between:
    """What changed between two states of an item, place by place; ``unknown`` names the attributes nobody can compare.

    Where one of the states is not complete, there may be attributes that nobody can name either.
    """

    before: AsOf
    after: AsOf
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether both states are known whole."""
        return self.before.complete and self.after.complete


def between(before: AsOf, after: AsOf) -> Between:
    """Compare two states: each place that is known of both and differs. Paths begin with the attribute's name."""
    unknown = set(before.unknown) | set(after.unknown)
    found: list[Difference] = []
    for name in sorted((before.item or {}).keys() | (after.item or {}).keys()):
        if _tells(before, name) and _tells(after, name):
            old, new = ((state.item or {}).get(name) for state in (before, after))
            found.extend(differences(old, new, (name,)))
        else:
            unknown.add(name)
    return Between(before, after, tuple(found), tuple(sorted(unknown)))


def _tells(state: AsOf, name: str) -> bool:
    return state.complete or name in (state.item or {}) or name in state.absent
