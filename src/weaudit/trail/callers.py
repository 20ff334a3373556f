"""Joins changes with the log of updates: each change gets the caller and the reason of its log entry."""

from __future__ import annotations

from itertools import islice

from weaudit.errors import StoreRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.reader import Trail
    from weaudit.trail.store_callers import AuditLogs


def with_callers(
    found: Iterable[AuditedChange],
    trail: Trail,
    logs: AuditLogs,
    unread: Callable[[StoreRefusedError], None],
    at_once: int = 100,
    wanted: Callable[[AuditedChange], bool] | None = None,
) -> Iterator[AuditedChange]:
    """Yield the changes of a trail, in their order, with the callers and the reasons that log entries name.

    Pass whole changes, not narrowed ones. If access to the log is denied, ``unread`` is called once, and the changes
    are yielded as they are. ``at_once`` changes, with their values, are in memory while their callers are looked up.
    ``wanted`` says whether a change's caller matters: nothing is looked up for a change that is not shown.
    Raises StoreUnavailableError.
    """
    readable = True
    waiting = iter(found)
    while some := list(islice(waiting, at_once)):
        entries: dict[str, Any] = {}
        log_ids = [change.change_id for change in some if change.change_id and (wanted is None or wanted(change))]
        if readable and log_ids:
            try:
                entries = logs.get(log_ids)
            except StoreRefusedError as error:
                readable = False
                unread(error)
        yield from trail.attributed(some, entries)
