"""Whether a change follows the state after the one before it, also where the rules of the table changed between them.

Two hashes of one state under different rules are not made of the same places. So the state after the one change is
brought under the rules of the other, and hashed again. What only one of the two kept is taken from later changes that
hold it; if none does, it is named as not compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from weaudit.capture.hashes import in_base64
from weaudit.capture.masking import clear_of, masked
from weaudit.capture.rules import Rules
from weaudit.items.hashes import masked_hash, state_hash
from weaudit.items.paths import Path, path_text
from weaudit.items.values import WITHHELD, Item, Value
from weaudit.trail.changes import AuditedChange
from weaudit.values import replaced

RulesOf = Callable[[str], Rules | None]

_NONE: Item = {}
WHOLE = "the whole item"


class Known(NamedTuple):
    """What later changes say about an item before a change, under the rules of that change.

    ``item`` is the whole item, or None; ``values`` are those that the changes after this point replaced, by attribute
    (None: it was absent).
    """

    item: Item | None
    values: Mapping[str, Value | None]


class Joint(NamedTuple):
    """How a change joins the one before it.

    ``item`` is the item between them under the rules of the later one, None if it is not known. ``not_compared`` are
    paths and the reason.
    """

    follows: bool
    item: Item | None
    not_compared: tuple[tuple[tuple[str, ...], str], ...] = ()


def sides(change: AuditedChange, side: str) -> tuple[str, str]:
    """Return the hashes of the item before or after a change: of what is not masked, and of what is; "" if none."""
    record = change.records[0]
    return str(record.get(f"{side}Hash", _NONE).get("B", "")), str(record.get(f"{side}Masked", _NONE).get("B", ""))


def rules_between(before: AuditedChange, change: AuditedChange, versions: Sequence[Rules]) -> list[Rules]:
    """Return the rules, the earliest first, under which a change between these two may have left no record.

    Of these rules the masked places are left out: a change of one shows.
    """
    return unrecorded(versions, before, change.at)


def unrecorded(versions: Sequence[Rules], before: AuditedChange, until: str = "9") -> list[Rules]:
    """Return the rules, the earliest first, under which a change after this one may have left no record."""
    found = [rules for rules in versions if before.at < rules.since <= until and rules.digest.hex() != before.rules]
    return [replaced(rules, redacted=(), hashed=()) for rules in found if rules.excluded or rules.ignored or rules.only]


def follows(before: AuditedChange, change: AuditedChange) -> bool:
    """Return whether a change has the hashes of the one before it; their rules are the same."""
    one, other = sides(before, "after"), sides(change, "before")
    return one == other if before.kid == change.kid else one[0] == other[0]


def known_before(
    changes: Sequence[AuditedChange],
    live: Item | None,
    rules_of: RulesOf,
    versions: Sequence[Rules],
    stepped_back: Callable[..., Item],
) -> dict[int, Known]:
    """Return what is known of the item before each change at which the rules change, and before the first.

    ``changes`` are cleared; ``live`` is the live item in clear, if the last change led to it. ``stepped_back`` returns
    the item before a change, given the one after it.
    """
    between = [rules_between(before, change, versions) for before, change in pairwise(changes)]
    starts = [
        0,
        *(
            place
            for place, (before, change) in enumerate(pairwise(changes), 1)
            if before.rules != change.rules or between[place - 1]
        ),
    ]
    found: dict[int, Known] = {}
    end, whole_at_end = len(changes), live
    for start in reversed(starts):
        run = changes[start:end]
        modified = []
        whole = whole_at_end
        for change in run:
            if change.event_name != "MODIFY":
                whole = whole_of(change, "old") if change.event_name == "REMOVE" else None
                break
            modified.append(change)
        values: dict[str, Value | None] = {}
        for change in modified:
            for part in change.attributes:
                values.setdefault(part.name or "", part.old)
        for change in reversed(modified):
            whole = None if whole is None or change.erased else stepped_back(whole, change)
        found[start] = Known(whole, values)
        if start:
            whole_at_end = _brought_back(found[start], changes[:start], changes[start], rules_of, between[start - 1])
        end = start
    return found


def whole_of(change: AuditedChange, side: str) -> Item | None:
    """Return the whole item that a change holds, before or after it; None if it does not hold one."""
    wholes = [part for part in change.attributes if part.name is None]
    value = getattr(wholes[0], side) if len(wholes) == 1 else None
    return None if value is None else value.get("M")


def across(
    before: AuditedChange,
    change: AuditedChange,
    item: Item | None,
    known: Known,
    rules_of: RulesOf,
    between: Sequence[Rules],
    mask_key: bytes | None,
) -> Joint:
    """Return how a change joins the one before it, if other rules than those of the one were in force until the other.

    ``item`` is the item after the change before, in clear, None if it is not known; ``between`` are the
    :func:`rules_between` them. Without the ``mask_key`` of the item, masked values are not compared.
    """
    (one, one_masked), (other, other_masked) = sides(before, "after"), sides(change, "before")
    if not one or not other:
        return Joint(one == other, None)
    earlier, later = rules_of(before.rules), rules_of(change.rules)
    if earlier is None or later is None:
        return Joint(True, None, (((WHOLE,), "the text of the rules is gone"),))
    if item is None:
        return Joint(True, known.item, (((WHOLE,), "the rules changed, and the state before is not known"),))
    brought, lacking = _brought(item, (earlier, *between), later, known)
    if lacking:
        why = "the earlier rules did not keep it, and no later change says what it was"
        return Joint(True, known.item, ((tuple(sorted(lacking)), why),))
    if state_hash(change.salt, brought).hex() != change.before_hash:
        return Joint(False, known.item)
    unseen = touched(between, earlier.masked + later.masked)
    if set(earlier.masked) == set(later.masked) and not unseen:
        return Joint(one_masked == other_masked, brought)
    not_compared: set[str] = set()
    # The masked values of each side are in clear on the other, or nowhere.
    for rules, here, digest, other_rules, there in (
        (earlier, item, one_masked, later, brought),
        (later, brought, other_masked, earlier, item),
    ):
        if digest:
            values = clear_of(there, rules)[1]
            gone = touched((other_rules, *between), rules.masked)
            unread = any(map(_lacks, values.values())) or any(_is_unread(there, path) for path in rules.masked)
            if mask_key is None or gone or unread:
                not_compared |= masked(here, rules.masked)[1].keys()
            elif in_base64(masked_hash(mask_key, values)) != digest:
                return Joint(False, brought)
    why = "it is masked, and the rules changed"
    return Joint(True, brought, ((tuple(sorted(not_compared)), why),) if not_compared else ())


def ends_at(after: Item, live: Item, rules: Rules, between: Sequence[Rules]) -> Item:
    """Return an item after its last change, with what may have changed since without a record as the live item has it.

    Both are in clear under the ``rules`` of that change.
    """
    brought, _ = _brought(after, between, rules, Known(live, {}))
    return brought


def _brought(item: Item, earlier: Sequence[Rules], later: Rules, known: Known) -> tuple[Item, set[str]]:
    """Return an item under later rules, and the paths whose values nothing says; ``earlier`` rules hid some of it."""
    found, _ = clear_of(item, later)
    wanted, lacking = dict[str, Path](), set[str]()
    for rules in earlier:
        wanted |= _revealed(rules, later)
        if rules.only and not (later.only and set(later.only) <= set(rules.only)):
            names = {path[0] for path in rules.only}
            if known.item is None:
                lacking.add("what the earlier rules left out")
            wanted |= {name: (name,) for name in {**item, **(known.item or known.values)} if name not in names}
    for name, path in wanted.items():
        if known.item is not None:
            value = known.item.get(name)
        elif name in known.values:
            value = known.values[name]
        else:
            lacking.add(path_text(path))
            continue
        found = {other: part for other, part in found.items() if other != name} | ({name: value} if value else {})
    for path in later.excluded + later.ignored + later.masked:
        if path[0] not in wanted and _is_unread(item, path):
            lacking.add(path_text(path))
    return found, lacking


def _revealed(earlier: Rules, later: Rules) -> dict[str, Path]:
    """Return the attributes of which later rules keep a part that earlier ones did not, with the path of the part."""
    gone, masks = earlier.excluded + earlier.ignored, earlier.masked
    return {
        path[0]: path
        for places, is_masked in ((gone, False), (masks, True))
        for path in places
        if not _covers(later, path, is_masked=is_masked)
    }


def _covers(rules: Rules, path: Path, *, is_masked: bool) -> bool:
    """Return whether rules hide a place as well, in a way that does not depend on what is there."""
    if rules.only and path[:1] not in rules.only:
        return True
    heads = [path[:length] for length in range(1, len(path) + 1)]
    gone = rules.excluded + rules.ignored
    return any(head in gone or (head in rules.masked and (head != path or is_masked)) for head in heads)


def _is_unread(item: Item, path: Path) -> bool:
    """Return whether a place is a part of a long value whose text is not here."""
    return len(path) > 1 and bool(item.get(path[0], _NONE).get(WITHHELD))


def touched(rules: Sequence[Rules], paths: Sequence[Path]) -> bool:
    """Return whether any of the rules hides any of the places, a part of it, or what it is a part of."""
    return any(_touches(one, path) for one in rules for path in paths)


def _touches(rules: Rules, path: Path) -> bool:
    """Return whether rules hide a place, a part of it, or what it is a part of."""
    places = rules.excluded + rules.ignored + rules.masked
    return (bool(rules.only) and path[:1] not in rules.only) or any(
        place[: len(path)] == path[: len(place)] for place in places
    )


def _brought_back(
    known: Known,
    earlier_changes: Sequence[AuditedChange],
    change: AuditedChange,
    rules_of: RulesOf,
    between: Sequence[Rules],
) -> Item | None:
    """Return the item before a change under the rules of the change before it; None if it is not known for sure."""
    last = earlier_changes[-1]
    earlier, later = rules_of(last.rules), rules_of(change.rules)
    if known.item is None or earlier is None or later is None or last.kid != change.kid:
        return None
    values: dict[str, Value | None] = {}
    for one in reversed(earlier_changes):
        if one.rules != last.rules or one.event_name != "MODIFY":
            break
        for part in one.attributes:
            values.setdefault(part.name or "", part.new)
    found, _ = _brought(known.item, (later, *between), earlier, Known(None, values))
    return None if state_hash(last.salt, found).hex() != last.after_hash else found


def _lacks(value: Value) -> bool:
    """Return whether a part of a value is not here: masked, or long and not read."""
    return WITHHELD in value or any(map(_lacks, _parts(value)))


def _parts(value: Value) -> Iterator[Value]:
    inner = value.get("M")
    if isinstance(inner, dict):
        yield from inner.values()
