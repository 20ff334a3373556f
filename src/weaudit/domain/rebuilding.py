"""An item as it was at a point of its trail, rebuilt from its changes; where they do not tell, that is said."""

from __future__ import annotations

from weaudit.domain.histories import AuditedChange

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Callable, Iterable

    from weaudit.domain.changes import Item, Value
    from weaudit.domain.differences import Difference
    from weaudit.domain.histories import ValueReference


class Problem:
    """Why a state is not known whole: ``code`` is stable, ``message`` is for people."""

    __slots__ = ("code", "message")

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message


class AsOf:
    """An item as of a point. Complete means: no problem was found, and ``item`` has the hash that was recorded."""

    __slots__ = ("complete", "exists", "item", "last_change", "next_change", "problems", "unknown")

    def __init__(
        self,
        *,
        exists: bool | None,  # None: the trail does not tell
        item: Item | None,  # what is known of it, in DynamoDB JSON; None where it did not exist or nothing is known
        problems: tuple[Problem, ...] = (),
        unknown: tuple[str, ...] = (),  # attributes that were there, or may have been, with a value nobody can tell
        last_change: AuditedChange | None = None,  # that led to this state; its large values are not followed
        next_change: AuditedChange | None = None,  # that ended it
    ) -> None:
        self.exists = exists
        self.item = item
        self.complete = not problems
        self.problems = problems
        self.unknown = unknown
        self.last_change = last_change
        self.next_change = next_change


class Between:
    """What changed between two states of an item: the differences, place by place, of what is known of both."""

    __slots__ = ("after", "before", "complete", "differences")

    def __init__(self, before: AsOf, after: AsOf, differences: tuple[Difference, ...]) -> None:
        self.before = before
        self.after = after
        self.complete = before.complete and after.complete
        self.differences = differences


def rebuild(
    earlier: Iterable[AuditedChange],
    later: Iterable[AuditedChange],
    follow: Callable[[ValueReference], Value | None],
) -> AsOf:
    """Rebuild an item from its changes up to a point, newest first, and those beyond it, oldest first."""
    raise NotImplementedError


def between(before: AsOf, after: AsOf) -> Between:
    """Compare two states of an item."""
    raise NotImplementedError
