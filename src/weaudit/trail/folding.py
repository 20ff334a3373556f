"""Counts what a list of changes leaves out: runs of changes that touched only attributes nobody asked to see."""

from __future__ import annotations

from weaudit.trail.history import without
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weaudit.trail.changes import AuditedChange


@value
class Fold:
    """A run of consecutive changes that touched nothing but attributes that are left out."""

    count: int
    names: tuple[str, ...]  # of the attributes that they touched, sorted


def folded(found: Iterable[AuditedChange], names: frozenset[str]) -> Iterator[AuditedChange | Fold]:
    """Yield the changes without these attributes, lazily; each run of changes of nothing else becomes one Fold."""
    count, touched = 0, set[str]()
    for change in found:
        kept = without(change, names)
        if kept is None:
            count += 1
            touched.update(part.name for part in change.attributes if part.name is not None)
            continue
        if count:
            yield Fold(count, tuple(sorted(touched)))
            count, touched = 0, set()
        yield kept
    if count:
        yield Fold(count, tuple(sorted(touched)))


def limited(found: Iterable[AuditedChange], limit: int | None, names: frozenset[str]) -> Iterator[AuditedChange]:
    """Yield changes up to the one that is the ``limit``-th to show (None: all), and read no further.

    Changes of nothing but these attributes come with them, and do not count.
    """
    left = limit
    for change in found:
        yield change
        if left is not None and without(change, names) is not None:
            left -= 1
            if not left:
                return
