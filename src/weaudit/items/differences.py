"""The differences between two values, path by path: ``limits.max[2]``, and not "somewhere in limits"."""

from __future__ import annotations

from collections import namedtuple

from weaudit.items.values import canonical, canonical_number, same_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from weaudit.items.values import Value

_SETS = {"SS": "S", "NS": "N", "BS": "B"}


class Difference(namedtuple("_Difference", ("path", "old", "new", "member"), defaults=(False,))):
    """One place where two values differ; ``old`` or ``new`` is None if there is no value at this place.

    ``path`` leads down from the compared value: names in maps and positions in lists, empty for the value itself.
    ``member`` says that the value is a member that a set gained or lost.
    """

    __slots__ = ()

    path: tuple[str | int, ...]
    old: Value | None
    new: Value | None
    member: bool


def differences(old: Value | None, new: Value | None, path: tuple[str | int, ...] = ()) -> Iterator[Difference]:
    """Yield where two values in DynamoDB JSON differ: maps by name, lists by position, sets member by member.

    Yields nothing if DynamoDB would call the two the same. The equal beginnings and ends of two lists are skipped, and
    what is between them is compared by position.
    """
    if same_value(old, new):
        return
    kind = _common_kind(old, new)
    if old is None or new is None or kind is None:
        yield Difference(path, old, new)
    elif kind == "M":
        before, after = old["M"], new["M"]
        for name in sorted(before.keys() | after.keys()):
            yield from differences(before.get(name), after.get(name), (*path, name))
    elif kind == "L":
        yield from _list_differences(old["L"], new["L"], path)
    elif kind in _SETS:
        yield from _set_differences(kind, old[kind], new[kind], path)
    else:
        yield Difference(path, old, new)


def _common_kind(old: Value | None, new: Value | None) -> str | None:
    if old is None or new is None or old.keys() != new.keys():
        return None
    return next(iter(old), None)


def _list_differences(old: list[Value], new: list[Value], path: tuple[str | int, ...]) -> Iterator[Difference]:
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and same_value(old[start], new[start]):
        start += 1
    tail = 0
    while tail < shorter - start and same_value(old[-1 - tail], new[-1 - tail]):
        tail += 1
    before, after = old[start : len(old) - tail], new[start : len(new) - tail]
    for offset in range(max(len(before), len(after))):
        was = before[offset] if offset < len(before) else None
        now = after[offset] if offset < len(after) else None
        yield from differences(was, now, (*path, start + offset))


def _set_differences(kind: str, old: list[str], new: list[str], path: tuple[str | int, ...]) -> Iterator[Difference]:
    spelled = canonical_number if kind == "NS" else str
    before, after = {spelled(member) for member in old}, {spelled(member) for member in new}
    for member in canonical({kind: list(before - after)})[kind]:
        yield Difference(path, {_SETS[kind]: member}, None, member=True)
    for member in canonical({kind: list(after - before)})[kind]:
        yield Difference(path, None, {_SETS[kind]: member}, member=True)
