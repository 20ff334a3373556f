"""What rules would make of changes that are recorded already, and what their records hold in the clear. Pure.

The trail holds what the rules of the time kept, so this is all that can be said of earlier changes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from weaudit.capture.masking import masked, without_places
from weaudit.capture.records import changed_names
from weaudit.capture.rules import PLACES, Rules, Terms
from weaudit.evidence import REST
from weaudit.items.paths import Path, path_text
from weaudit.items.values import WITHHELD, Item, Value
from weaudit.trail.changes import AttributeChange, AuditedChange

# Any key will do: whether two hashes are equal does not depend on it.
_NO_SECRET = bytes(32)
# Unlike each other, so that a masked place, whose values nobody knows, counts as changed.
_UNKNOWN: Value = {"S": "masked"}
HIDING = ("exclude", "redact", "hash")
"""The rules by which a record does not have the value of a place."""


@dataclass(frozen=True, slots=True)
class Affected:
    """A place of items, the rule (an option's name) that would affect it, and in how many changes."""

    place: str
    rule: str
    changes: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What rules would make of some changes, the earliest and latest of which were made at ``first`` and ``last``.

    ``silent`` of the ``changes`` would make no record at all. All of them have ``records``, and would have
    ``records_then``. ``incomplete`` are those of which the trail does not hold all values: they were masked, erased or
    lost, and count as if they had changed. An ``only`` rule appears at the attributes that it would leave out.
    """

    changes: int
    silent: int
    records: int
    records_then: int
    incomplete: int
    first: str
    last: str
    places: tuple[Affected, ...]


def tried(changes: Iterable[AuditedChange], rules_of: Callable[[AuditedChange], Rules]) -> Trial:
    """Return what rules would make of changes; ``rules_of`` returns the rules for a change, with the key under only."""
    count = silent = records = records_then = incomplete = 0
    times: list[str] = []
    affected: Counter[tuple[str, str]] = Counter()
    for change in changes:
        rules = rules_of(change)
        then = _records_under(change, rules)
        count += 1
        silent += not then
        records += len(change.attributes)
        records_then += then
        incomplete += change.erased or any(part.masked or part.lost for part in change.attributes)
        times.append(change.at)
        affected.update({found for part in change.attributes for item in _items(part) for found in _fates(item, rules)})
    places = [Affected(place, rule, number) for (place, rule), number in affected.items()]
    places.sort(key=lambda one: (-one.changes, one.place))
    first, last = (min(times), max(times)) if times else ("", "")
    return Trial(count, silent, records, records_then, incomplete, first, last, tuple(places))


def _records_under(change: AuditedChange, rules: Rules) -> int:
    """Return how many records a change would make."""
    if change.erased or any(part.name is None for part in change.attributes):
        return len(change.attributes)  # a created or deleted item makes one, whatever is left of it
    old, new = (
        {part.name: value for part in change.attributes if part.name is not None and (value := side(part)) is not None}
        for side in (_old_unknown, lambda part: part.new)
    )
    terms = Terms(rules, _NO_SECRET, b"", b"", "", 0, equal=_NO_SECRET)
    return len(changed_names(old, new, terms))


def _old_unknown(part: AttributeChange) -> Value | None:
    """Return the value before a change with another text at each place that is masked on both sides."""
    return None if part.old is None else _differing(part.old, part.new)


def _differing(old: Value, new: Value | None) -> Value:
    if new is None:
        return old
    if WITHHELD in old and WITHHELD in new:
        return _UNKNOWN
    inner, other = old.get("M"), new.get("M")
    if not isinstance(inner, dict) or not isinstance(other, dict):
        return old
    return {"M": {name: _differing(value, other.get(name)) for name, value in inner.items()}}


def _fates(item: Item, rules: Rules) -> Iterator[tuple[str, str]]:
    """Yield each place of an item that rules affect, and the rule."""
    if rules.only:
        kept = {path[0] for path in rules.only}
        yield from ((path_text((name,)), "only") for name in item if name not in kept)
        item = {name: value for name, value in item.items() if name in kept}
    for rule in HIDING:
        item, taken = masked(item, getattr(rules, PLACES[rule]))
        yield from ((place, rule) for place in taken)
    for path in rules.ignored:
        if without_places(item, [path]) is not item:
            yield path_text(path), "ignore"


@dataclass(frozen=True, slots=True)
class Held:
    """In how many changes records hold a place in the clear, and when the latest of them was made, "" if none was."""

    changes: int = 0
    latest: str = ""


def held(changes: Iterable[AuditedChange], paths: Collection[Path], only: Collection[str] = ()) -> dict[str, Held]:
    """Return what records hold in the clear of these places, by their texts: each of them, found or not.

    With ``only``, also of each attribute that is not named there, if it is found.
    """
    found = {path_text(path): Held() for path in paths}
    for change in changes:
        clear = {place for part in change.attributes for place in _in_the_clear(part, paths, only)}
        for place in clear:
            before = found.get(place, Held())
            found[place] = Held(before.changes + 1, max(before.latest, change.at))
    return found


def _in_the_clear(part: AttributeChange, paths: Collection[Path], only: Collection[str]) -> Iterator[str]:
    for item in _items(part):
        for path in paths:
            _, taken = masked(item, [path])
            if any(WITHHELD not in value and place not in part.masked for place, value in taken.items()):
                yield path_text(path)
        if only:
            for name, value in item.items():
                place = path_text((name,))
                if name not in only and WITHHELD not in value and place not in part.masked:
                    yield place


def _items(part: AttributeChange) -> Iterator[Item]:
    """Yield what a record says of the item before and after: one attribute, or all of them."""
    for value in (part.old, part.new):
        item = value if value is None or part.name is not None else value.get("M")
        if isinstance(item, dict):  # a record that was written by hand may hold anything
            # All small attributes of an item whose object is gone: their names are not known.
            yield {part.name: item} if part.name is not None else {name: item[name] for name in item if name != REST}
