"""Verifies an item's trail: each change follows from the one before it, and the last one leads to the live item.

For each change, in order, the following is checked:

- its records have the ids that the change gives them, none appears twice (else ``leftover``), and all of them are there
  (else ``gap``);
- the hash before it is the hash after the previous change, and so is that of the masked places (else ``gap``, or
  ``fork`` if two changes follow one state);
- its records agree about the change, and with their own index keys (else ``edited``);
- its records were made by audit_producer, and are as it made them: the mark of their origin, which covers all that they
  say, is right, and so are their salts (else ``edited``; checked only by who may read the secrets);
- its actor is one that such a change can have; a stated or carried actor is a value of the item (else ``edited``);
- its time is no earlier than those of the changes before it, to within the difference of clocks (else ``misdated``);
- its values, applied to the item before it, give the hash that the change recorded (else ``edited``);
- a value that was too large for its record is where the record says, unaltered, and so is the text of the rules under
  which the change was recorded (else ``lost``).

Finally, the hash after the last change is the hash of the live item (else ``unaudited``).

Where the rules of the table changed between two changes, the two hashes of the state between them are not made of the
same places. The state after the one change is brought under the rules of the other, and compared. Some places cannot be
compared: masked ones by who may not read the secrets, and what only one of the two rules kept, unless another change
holds it. They are named (``Verdict.not_compared``).

The trail of an item that is older than its auditing has no known beginning: this is reported, but is not a fault.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from weaudit.capture.changes import Change
from weaudit.capture.hashes import CONTENT, COVERED, content_salt, from_base64, in_base64, origin, record_hash
from weaudit.capture.masking import REDACTED, is_mask, values_at
from weaudit.capture.records import record_id
from weaudit.capture.rules import Rules, no_rules
from weaudit.capture.store_secrets import Secrets
from weaudit.evidence import value_key
from weaudit.items.hashes import encoded, item_secrets, masked_hash, same_in_hash, state_hash
from weaudit.items.paths import path_of
from weaudit.items.times import moment
from weaudit.items.values import WITHHELD, Item, Value, data, spelled
from weaudit.trail.changes import AttributeChange, AuditedChange, ValueReference
from weaudit.trail.clearing import clear_item, cleared
from weaudit.trail.coherence import coherent, missing
from weaudit.trail.history import SLACK
from weaudit.trail.verification.joining import (
    WHOLE,
    RulesOf,
    across,
    ends_at,
    follows,
    known_before,
    rules_between,
    sides,
    touched,
    unrecorded,
    whole_of,
)

LengthOf = Callable[[ValueReference, bytes], int | None]

FIELDS = (
    frozenset((*COVERED, *CONTENT, "historyKey", "changeOrder", "changesKey", "changesOrder", "salt", "contentSalt"))
    | {f"{side}Value{kind}" for side in ("old", "new") for kind in ("Ref", "Refs")}
    | {"origin", "expiresAt", "erased"}
) - {"content", "streamLabel"}
"""Every field that a record can have (docs/formats/audit-record.md)."""


_NONE: Value = {}


class Finding(NamedTuple):
    """One fault of a trail. ``kind``: gap, fork, edited, misdated, leftover, lost or unaudited."""

    kind: str
    table: str
    item_key: str
    at: str  # modificationTime of the change where it was found; "" if it was found at the live item
    sequence: str
    text: str


class NotCompared(NamedTuple):
    """Places of an item that could not be compared, by their paths, and why; ``at`` as in a finding."""

    table: str
    item_key: str
    at: str
    sequence: str
    places: tuple[str, ...]
    why: str


class Verdict(NamedTuple):
    """The result of checking one item."""

    findings: tuple[Finding, ...]
    changes: int
    begins_late: bool  # auditing began, or the range begins, after the item was created
    not_compared: tuple[NotCompared, ...] = ()


def verify_item(
    changes: Iterable[AuditedChange],
    live: Item | None,
    *,
    table: str,
    table_arn: str,
    item_key: str,
    audited_from_birth: bool,
    secrets: Secrets | None = None,
    length_of: LengthOf | None = None,
    rules_of: RulesOf = no_rules,
    versions: Sequence[Rules] = (),
) -> Verdict:
    """Check one item's changes, in order, against each other and against the live item (None if there is no item).

    ``audited_from_birth`` says that the table's stream is as old as the table: every trail then begins with an insert.
    Without the ``secrets``, origins and salts are not checked. ``length_of`` returns the length of the text of a large
    value that was not read, or None if it is gone or was altered; it is called once for each value. ``rules_of``
    returns the rules that changes name, by digest, or None if their text is gone or was altered. ``versions`` are those
    of the table's rules, as far as they are known: what some of them hide may have changed without a record.
    """
    trail = _Trail(table, table_arn, item_key, secrets, length_of, rules_of, versions)
    recorded = list(changes)
    if recorded:
        first = recorded[0]
        late = first.event_name != "INSERT"
        if late and audited_from_birth and not first.is_late:
            trail.report("gap", first, "the trail begins with this change, but an earlier one created the item")
        trail.replay(recorded, live)
    else:
        late = live is not None and not audited_from_birth
        if live is not None and audited_from_birth:
            trail.report("unaudited", None, "the item is in the table, but no change of it was ever recorded")
    if recorded and not trail.ends_at(recorded, live):
        trail.report("unaudited", None, _how_the_end_differs(recorded[-1], live))
    elif recorded and live is not None:
        trail.compare_masked(recorded, live)
    return Verdict(tuple(trail.findings), len(recorded), late, tuple(trail.not_compared))


def hash_of_live(changes: Sequence[AuditedChange], live: Item | None, rules_of: RulesOf = no_rules) -> str | None:
    """Return the hash of the live item as the last of its changes would have recorded it; None if there is no item."""
    return None if live is None else state_hash(changes[-1].salt, _clear_live(changes, live, rules_of)[0]).hex()


def _clear_live(changes: Sequence[AuditedChange], live: Item, rules_of: RulesOf) -> tuple[Item, Item]:
    """Return the live item without what the last of its changes would have masked, and that, by path."""
    last = changes[-1]
    same = (change for change in changes if change.rules == last.rules)
    return clear_item(data(live), same, rules_of(last.rules))


class _Trail:
    def __init__(
        self,
        table: str,
        table_arn: str,
        item_key: str,
        secrets: Secrets | None,
        length_of: LengthOf | None,
        rules_of: RulesOf,
        versions: Sequence[Rules],
    ) -> None:
        self._table, self._table_arn, self._item_key = table, table_arn, item_key
        self._secrets = secrets
        self._length_of = length_of
        self._rules_of = rules_of
        self._versions = versions
        self._lengths: dict[ValueReference, int | None] = {}
        self.findings: list[Finding] = []
        self.not_compared: list[NotCompared] = []
        self._after: Item | None = None  # the item after the last change, in clear, as far as it is known
        self._latest: AuditedChange | None = None  # the change with the latest time so far

    def report(self, kind: str, change: AuditedChange | None, text: str) -> None:
        at, sequence = ("", "") if change is None else (change.at, change.sequence)
        self.findings.append(Finding(kind, self._table, self._item_key, at, sequence, text))

    def _report_not_compared(self, change: AuditedChange | None, places: Iterable[str], why: str) -> None:
        at, sequence = ("", "") if change is None else (change.at, change.sequence)
        self.not_compared.append(NotCompared(self._table, self._item_key, at, sequence, tuple(places), why))

    def replay(self, changes: list[AuditedChange], live: Item | None) -> None:
        """Check each change, starting from the item before the first of them."""
        cleared_changes = [cleared(change, self._rules_of(change.rules)) for change in changes]
        leads_here = live is not None and hash_of_live(changes, live, self._rules_of) == changes[-1].after_hash
        clear_live = _clear_live(changes, live, self._rules_of)[0] if live is not None and leads_here else None
        known = known_before(cleared_changes, clear_live, self._rules_of, self._versions, _stepped_back)
        item = known[0].item
        before: AuditedChange | None = None
        for place, change in enumerate(changes):
            for text in _foreign_records(change, self._table_arn):
                self.report("leftover", change, text)
            if not coherent(change.records):
                self.report("edited", change, "its records disagree about the change, or with their own index keys")
            elif (lacking := missing(change.records) or 0) > 0:
                self.report("gap", change, f"{lacking} of its records are not there")
            elif lacking < 0:
                self.report("edited", change, f"it has {-lacking} more records than it says")
            if any(record.get("tableArn", _NONE).get("S") != self._table_arn for record in change.records):
                self.report("edited", change, f"a record of it is not about the table {self._table_arn}")
            for text in _alterations(change, self._secrets):
                self.report("edited", change, text)
            self._compare_time(change)
            joined = True
            between = [] if before is None else rules_between(before, change, self._versions)
            if before is not None and before.kid == change.kid and (before.rules != change.rules or between):
                joint = across(before, change, item, known[place], self._rules_of, between, self._mask_key(change))
                joined, item = joint.follows, joint.item
                for places, why in joint.not_compared:
                    self._report_not_compared(change, places, why)
            elif before is not None:
                joined = follows(before, change)
            if not joined:
                self._report_break(before, change)
            for text in self._astray(change):
                self.report("lost", change, text)
            rules = self._rules_of(change.rules)
            if rules is None:
                self._report_lost_rules(change)
            item = None if rules is None else self._apply(cleared_changes[place], item if joined else None)
            for text in _foreign_actors(change, None if rules is None or rules.ignored else item):
                self.report("edited", change, text)
            before = change
        self._after = item

    def ends_at(self, changes: Sequence[AuditedChange], live: Item | None) -> bool:
        """Return whether the last of the changes left the live item, but for what later rules let change unrecorded."""
        last = changes[-1]
        if last.after_hash == hash_of_live(changes, live, self._rules_of):
            return True
        between, rules = unrecorded(self._versions, last), self._rules_of(last.rules)
        if not between or rules is None or live is None or last.after_hash is None:
            return False
        if self._after is None:
            self._report_not_compared(None, (WHOLE,), "the rules changed since, and the state before is not known")
            return True
        clear_live = _clear_live(changes, live, self._rules_of)[0]
        brought = ends_at(self._after, clear_live, rules, between)
        return _hash(last, brought) == _hash(last, clear_live)

    def _report_lost_rules(self, change: AuditedChange) -> None:
        text = f"the text of the rules {change.rules} is gone or was altered"
        if not any(finding.text == text for finding in self.findings):
            self.report("lost", change, text)

    def _mask_key(self, change: AuditedChange) -> bytes | None:
        """Return the key of the item's masked values, or None if it is not known here."""
        if self._secrets is None or change.kid != self._secrets.kid.hex():
            return None
        return item_secrets(self._secrets.root, self._table_arn, self._item_key).mask_key

    def _astray(self, change: AuditedChange) -> Iterator[str]:
        """Yield what is wrong with the large values of a change, and with the references to them."""
        for part in change.attributes:
            for reference, value in _references(part) if part.old_refs or part.new_refs else ():
                if reference not in self._lengths:
                    self._lengths[reference] = self._length(reference, value, change.salt)
                length = self._lengths[reference]
                if length is None:
                    yield f"the large value of {reference.name} is gone or was altered"
                elif length != reference.bytes:
                    yield f"the large value of {reference.name} does not have the recorded size"
                elif reference.key != value_key(change.partition, reference.commitment):
                    yield f"the reference to the large value of {reference.name} names another object"

    def _length(self, reference: ValueReference, value: Value | None, salt: bytes) -> int | None:
        if value is not None:
            return len(encoded(spelled(value)))
        return None if self._length_of is None else self._length_of(reference, salt)

    def compare_masked(self, changes: Sequence[AuditedChange], live: Item) -> None:
        """Compare the masked places of the live item, which is otherwise as the last of its changes left it."""
        last, (_, values) = changes[-1], _clear_live(changes, live, self._rules_of)
        digest = sides(last, "after")[1]
        key, rules = self._mask_key(last), self._rules_of(last.rules)
        if not values and not digest:
            return
        if key is None:
            self._report_not_compared(None, sorted(values), "it is masked, and its secret cannot be read")
        elif rules is not None and touched(unrecorded(self._versions, last), rules.masked):
            self._report_not_compared(None, sorted(values), "it is masked, and later rules do not keep it")
        elif (in_base64(masked_hash(key, values)) if values else "") != digest:
            text = f"a masked place of the item is not as the last recorded change (sequence {last.sequence}) left it"
            self.report("unaudited", None, text)

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
        if before is not None and sides(change, "before") == sides(before, "before"):
            self.report(
                "fork", change, f"this change and the one with sequence {before.sequence} follow the same state"
            )
        else:
            earlier = before.sequence if before else ""
            self.report("gap", change, f"at least one change is missing between sequence {earlier} and this one")

    def _apply(self, change: AuditedChange, item: Item | None) -> Item | None:
        """Return the item after a change, or None if it is not known; report values that do not lead to its hash."""
        if change.erased:
            return None
        if change.event_name == "REMOVE":
            whole = whole_of(change, "old")
            if whole is None or _hash(change, whole) != change.before_hash:
                self.report("edited", change, "the deleted item's recorded values do not have the recorded hash")
            return None
        if change.event_name == "INSERT":
            whole = whole_of(change, "new")
            if whole is None or _hash(change, whole) != change.after_hash:
                self.report("edited", change, "the new item's recorded values do not have the recorded hash")
            return whole
        if item is None:
            return None
        wrong = [part.name for part in change.attributes if not _same(change, part, item.get(part.name or ""))]
        after = _stepped(item, change, forward=True)
        if wrong or _hash(change, after) != change.after_hash:
            named = f" ({', '.join(map(str, wrong))})" if wrong else ""
            self.report(
                "edited", change, f"its recorded values{named} do not lead from the state before to the one after"
            )
            return None
        return after


def _hash(change: AuditedChange, item: Item) -> str | None:
    try:
        return state_hash(change.salt, item).hex()
    except (ValueError, TypeError, AttributeError):  # a record that was written by hand
        return None


def _same(change: AuditedChange, part: AttributeChange, value: Value | None) -> bool:
    if part.old is None or value is None:
        return part.old is value
    return same_in_hash(change.salt, part.name or "", part.old, value)


def _stepped_back(item: Item, change: AuditedChange) -> Item:
    return _stepped(item, change, forward=False)


def _stepped(item: Item, change: AuditedChange, *, forward: bool) -> Item:
    stepped = dict(item)
    for part in change.attributes:
        value = part.new if forward else part.old
        if value is None:
            stepped.pop(part.name or "", None)
        else:
            stepped[part.name or ""] = value
    return stepped


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


def _references(part: AttributeChange) -> Iterator[tuple[ValueReference, Value | None]]:
    """Yield each reference of a record, and the value that was read for it; None if it could not be read."""
    for references, value in ((part.old_refs, part.old), (part.new_refs, part.new)):
        item = (value or {}).get("M", {}) if part.name is None else {part.name: value}
        for reference in references:
            found = item.get(reference.name)
            yield reference, None if found is None or found.get(WITHHELD) else found


def _alterations(change: AuditedChange, secrets: Secrets | None) -> Iterator[str]:
    """Yield how the records differ from what audit_producer made of the change."""
    for part, record in zip(change.attributes, change.records, strict=True):
        named = record.get("id", _NONE).get("S", "")
        if not FIELDS.issuperset(record):
            yield f"record {named} has a field that no record has: {min(record.keys() - FIELDS)}"
        if part.masked and not all(map(is_mask, _at_masked_places(part, record))):
            yield f"record {named} has something other than {REDACTED['S']} or a keyed hash at a masked place"
        if secrets is not None and not _is_ours(change, part, record, secrets):
            yield f"record {named} is not as audit_producer made it"


def _at_masked_places(part: AttributeChange, record: Item) -> Iterator[Value]:
    """Yield what the record itself has where it says that a place is masked; no hash covers that."""
    for side in ("oldValue", "newValue"):
        value = record.get(side)
        item = value.get("M") if value is not None and part.name is None else value and {part.name or "": value}
        if isinstance(item, dict):
            yield from (found for _, found in values_at(item, map(path_of, part.masked)))


def _is_ours(change: AuditedChange, part: AttributeChange, record: Item, secrets: Secrets) -> bool:
    try:
        if from_base64(record["origin"]) != origin(secrets.origin, record_hash(record, part.old, part.new)):
            return False
        if change.erased or secrets.kid.hex() != change.kid:
            return True
        item = item_secrets(secrets.root, record["tableArn"]["S"], change.item_key)
        salts = (from_base64(record["salt"]), from_base64(record["contentSalt"]))
        return salts == (item.salt, content_salt(item.mask_key, record["id"]["S"]))
    except (KeyError, ValueError, TypeError, AttributeError):  # a field is missing, or of another type
        return False


def _foreign_actors(change: AuditedChange, after: Item | None) -> Iterator[str]:
    """Yield what the change cannot have: a named actor is a value of the item, and a service only deletes.

    ``after`` is the item after the change, or None if it is not known.
    """
    if change.change_id and change.event_name == "REMOVE":
        yield "it has a change id, but a deletion sets no change id"
    actor = change.actor
    if actor is None or (actor.kind == "service" and change.event_name == "REMOVE"):
        return
    if actor.kind not in ("stated", "carried") or change.event_name == "REMOVE":
        yield f"its actor is of the kind {actor.kind!r}, which such a change cannot have"
    elif after is not None and actor.name not in {str(value.get("S", value.get("N"))) for value in after.values()}:
        yield f"its {actor.kind} actor {actor.name!r} is not the value of an attribute of the item"


def _how_the_end_differs(last: AuditedChange, live: Item | None) -> str:
    if live is None:
        return f"the item is gone, but the last recorded change (sequence {last.sequence}) left it in the table"
    if last.after_hash is None:
        return f"the item is in the table, but the last recorded change (sequence {last.sequence}) deleted it"
    return f"the item is not as the last recorded change (sequence {last.sequence}) left it"
