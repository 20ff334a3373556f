"""Changes and items as the hashes of states see them: without what the rules of their table hide or ignore."""

from __future__ import annotations

from weaudit.capture.masking import clear_of, masked, masked_in, without_places
from weaudit.items.paths import path_of
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from weaudit.capture.rules import Rules
    from weaudit.items.values import Item, Value
    from weaudit.trail.changes import AttributeChange, AuditedChange


def cleared(change: AuditedChange, rules: Rules | None) -> AuditedChange:
    """Return a change with its values as hashes of states have them; ``rules`` are its own, None if they are lost.

    Masked places are ``{"#": ""}``, and what the rules ignore is not there.
    """
    if not change.rules:
        return change
    parts, records = [], []
    for part, record in zip(change.attributes, change.records, strict=True):
        if part.name is None or rules is None or (part.name,) not in rules.ignored:
            parts.append(replaced(part, old=_value(part, part.old, rules), new=_value(part, part.new, rules)))
            records.append(record)
    return replaced(change, attributes=tuple(parts), records=tuple(records))


def _value(part: AttributeChange, value: Value | None, rules: Rules | None) -> Value | None:
    item = value if value is None or part.name is not None else value.get("M")
    if item is None or not isinstance(item, dict):  # a record that was written by hand may hold anything
        return value
    whole: Item = {part.name: item} if part.name is not None else item
    whole, _ = masked(whole, masked_in(whole, map(path_of, part.masked)))
    if rules is not None:
        whole = without_places(whole, rules.ignored)
    return whole[part.name] if part.name is not None else {"M": whole}


def clear_item(item: Item, changes: Iterable[AuditedChange], rules: Rules | None) -> tuple[Item, Item]:
    """Return an item as the hashes of these changes have it, and its masked values by path.

    ``rules`` are those of all the changes. If they are lost, what the changes say to be masked is.
    """
    if rules is not None:
        return clear_of(item, rules)
    paths = {path for change in changes for part in change.attributes for path in part.masked}
    return masked(item, map(path_of, sorted(paths)))
