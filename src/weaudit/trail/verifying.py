"""Verifies an item's trail: each change follows from the one before it, and the last one leads to the live item.

For each change, in order, the following is checked:

- its records have the ids that the change gives them, and no record appears twice (else ``leftover``);
- the hash before it is the hash after the previous change (else ``gap``, or ``fork`` if two changes follow one state);
- its records agree about the change, and with their own index keys (else ``edited``);
- its actor is one that such a change can have; a stated actor is a value that the change set (else ``edited``);
- its time is no earlier than those of the changes before it, to within the difference of clocks (else ``misdated``);
- its values, applied to the item before it, give the hash that the change recorded (else ``edited``);
- a value that was too large for its record is where the record says, unaltered (else ``lost``).

Finally, the hash after the last change is the hash of the live item (else ``unaudited``).

The hashes cover only items. They do not prove who made a change, or when it was made between its neighbours, and a
change id is whatever a writer of the table chose.

The trail of an item that is older than its auditing has no known beginning: this is reported, but is not a fault.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from weaudit.capture.changes import Change
from weaudit.capture.records import record_id
from weaudit.items.times import moment
from weaudit.items.values import Item, data, image_hash, same_value
from weaudit.trail.changes import AuditedChange
from weaudit.trail.history import SLACK


class Finding(NamedTuple):
    """One fault of a trail. ``kind``: gap, fork, edited, misdated, leftover, lost or unaudited."""

    kind: str
    table: str
    item_key: str
    at: str  # modificationTime of the change where it was found; "" if it was found at the live item
    sequence: str
    text: str


class Verdict(NamedTuple):
    """The result of checking one item."""

    findings: tuple[Finding, ...]
    changes: int
    begins_late: bool  # auditing began, or the range begins, after the item was created


def verify_item(
    changes: Iterable[AuditedChange],
    live: Item | None,
    *,
    table: str,
    table_arn: str,
    item_key: str,
    audited_from_birth: bool,
) -> Verdict:
    """Check one item's changes, in order, against each other and against the live item (None if there is no item).

    ``audited_from_birth`` says that the table's stream is as old as the table: every trail then begins with an insert.
    """
    trail = _Trail(table, table_arn, item_key)
    recorded = list(changes)
    if recorded:
        first = recorded[0]
        late = first.event_name != "INSERT"
        if late and audited_from_birth:
            trail.report("gap", first, "the trail begins with this change, but an earlier one created the item")
        trail.replay(recorded, _item_before_the_first(recorded, live))
    else:
        late = live is not None and not audited_from_birth
        if live is not None and audited_from_birth:
            trail.report("unaudited", None, "the item is in the table, but no change of it was ever recorded")
    if recorded and recorded[-1].after_hash != (None if live is None else image_hash(live)):
        trail.report("unaudited", None, _how_the_end_differs(recorded[-1], live))
    return Verdict(tuple(trail.findings), len(recorded), late)


class _Trail:
    def __init__(self, table: str, table_arn: str, item_key: str) -> None:
        self._table, self._table_arn, self._item_key = table, table_arn, item_key
        self.findings: list[Finding] = []
        self._latest: AuditedChange | None = None  # the change with the latest time so far

    def report(self, kind: str, change: AuditedChange | None, text: str) -> None:
        at, sequence = ("", "") if change is None else (change.at, change.sequence)
        self.findings.append(Finding(kind, self._table, self._item_key, at, sequence, text))

    def replay(self, changes: list[AuditedChange], item: Item | None) -> None:
        """Check each change, starting from the item before the first of them (None: not known)."""
        before: AuditedChange | None = None
        for change in changes:
            for text in _foreign_records(change, self._table_arn):
                self.report("leftover", change, text)
            if not change.coherent:
                self.report("edited", change, "its records disagree about the change, or with their own index keys")
            for text in _foreign_actors(change):
                self.report("edited", change, text)
            self._compare_time(change)
            joined = before is None or change.before_hash == before.after_hash
            if not joined:
                self._report_break(before, change)
            lost = [part for part in change.attributes if part.lost]
            for part in lost:
                self.report("lost", change, f"the large value of {part.name or 'the item'} is gone or was altered")
            item = None if lost else self._apply(change, item if joined else None)
            before = change

    def _compare_time(self, change: AuditedChange) -> None:
        at, latest = moment(change.at), self._latest
        before = None if latest is None else moment(latest.at)
        if at is None:
            self.report("misdated", change, f"its time {change.at!r} is not a valid time")
        elif latest is not None and before is not None and at < before - SLACK:
            text = f"it is stamped earlier than the change with sequence {latest.sequence}, which was made before it"
            self.report("misdated", change, text)
            self._latest = change  # either of the two may be wrong: compare the next changes with this one
        elif before is None or at > before:
            self._latest = change

    def _report_break(self, before: AuditedChange | None, change: AuditedChange) -> None:
        if before is not None and change.before_hash == before.before_hash:
            self.report(
                "fork", change, f"this change and the one with sequence {before.sequence} follow the same state"
            )
        else:
            earlier = before.sequence if before else ""
            self.report("gap", change, f"at least one change is missing between sequence {earlier} and this one")

    def _apply(self, change: AuditedChange, item: Item | None) -> Item | None:
        """Return the item after a change, or None if it is not known; report values that do not lead to its hash."""
        if change.event_name == "REMOVE":
            whole = _whole_item(change, "old")
            if whole is None or image_hash(whole) != change.before_hash:
                self.report("edited", change, "the deleted item's recorded values do not have the recorded hash")
            return None
        if change.event_name == "INSERT":
            whole = _whole_item(change, "new")
            if whole is None or image_hash(whole) != change.after_hash:
                self.report("edited", change, "the new item's recorded values do not have the recorded hash")
            return whole
        if item is None:
            return None
        wrong = [part.name for part in change.attributes if not same_value(part.old, item.get(part.name or ""))]
        after = _stepped(item, change, forward=True)
        if wrong or image_hash(after) != change.after_hash:
            named = f" ({', '.join(map(str, wrong))})" if wrong else ""
            self.report(
                "edited", change, f"its recorded values{named} do not lead from the state before to the one after"
            )
            return None
        return after


def _item_before_the_first(changes: list[AuditedChange], live: Item | None) -> Item | None:
    """Return the item before the first change, or None if it is not known.

    Later changes are undone, from the first deletion, which holds the whole item, or else from the live item if the
    trail leads to it. An insertion ends the search: no change holds what was there before it.
    """
    pending = []
    for change in changes:
        if change.event_name != "MODIFY":
            whole = _whole_item(change, "old") if change.event_name == "REMOVE" else None
            break
        pending.append(change)
    else:
        leads_here = live is not None and image_hash(live) == changes[-1].after_hash
        whole = data(live) if live is not None and leads_here else None
    for change in reversed(pending):
        lost = any(part.had_old and part.old is None for part in change.attributes)
        whole = None if whole is None or lost else _stepped(whole, change, forward=False)
    return whole


def _stepped(item: Item, change: AuditedChange, *, forward: bool) -> Item:
    stepped = dict(item)
    for part in change.attributes:
        value = part.new if forward else part.old
        if value is None:
            stepped.pop(part.name or "", None)
        else:
            stepped[part.name or ""] = value
    return stepped


def _whole_item(change: AuditedChange, side: str) -> Item | None:
    wholes = [part for part in change.attributes if part.name is None]
    value = getattr(wholes[0], side) if len(wholes) == 1 else None
    return None if value is None else value.get("M")


def _foreign_records(change: AuditedChange, table_arn: str) -> Iterator[str]:
    """Yield a finding for each record that the change cannot have made: another id shows a forgery or a copy."""
    label = change.order.partition("#")[0]
    source = Change(
        change.table, f"{table_arn}/stream/{label}", label, change.event_name, change.sequence, 0, {}, None, None, ""
    )
    seen = set()
    for part, found in zip(change.attributes, change.record_ids, strict=True):
        if found != record_id(source, part.name):
            yield f"record {found} was not made by this change"
        elif part.name in seen:
            yield f"record {found} appears twice"
        seen.add(part.name)


def _foreign_actors(change: AuditedChange) -> Iterator[str]:
    """Yield what the change cannot have: a stated actor is a value that it set, and a service only deletes."""
    if change.change_id and change.event_name == "REMOVE":
        yield "it has a change id, but a deletion sets no change id"
    actor = change.actor
    if actor is None or (actor.kind == "service" and change.event_name == "REMOVE"):
        return
    if actor.kind != "stated":
        yield f"its actor is of the kind {actor.kind!r}, which such a change cannot have"
    elif not any(part.lost for part in change.attributes) and actor.name not in _texts_set_by(change):
        yield f"its stated actor {actor.name!r} is not the value of an attribute that it set"


def _texts_set_by(change: AuditedChange) -> set[str]:
    whole = (((part.new or {}).get("M") or {}).values() for part in change.attributes if part.name is None)
    set_values = [part.new for part in change.attributes if part.name is not None and part.new is not None]
    return {str(value[kind]) for value in chain(set_values, *whole) for kind in ("S", "N") if kind in value}


def _how_the_end_differs(last: AuditedChange, live: Item | None) -> str:
    if live is None:
        return f"the item is gone, but the last recorded change (sequence {last.sequence}) left it in the table"
    if last.after_hash is None:
        return f"the item is in the table, but the last recorded change (sequence {last.sequence}) deleted it"
    return f"the item is not as the last recorded change (sequence {last.sequence}) left it"
