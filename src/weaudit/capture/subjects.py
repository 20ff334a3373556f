"""The subject of a change: who or what its values are about, so that they can be erased together.

A table's rules say what the subject of an item is: the value of one of its key attributes, or the item itself. Either
follows from the item's key, so an item has one subject for ever.
"""

from __future__ import annotations

from weaudit.items.hashes import subject_id
from weaudit.items.keys import item_key
from weaudit.items.values import canonical

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.capture.changes import Change
    from weaudit.capture.rules import Rules

ITEM = "item"
"""The subject in the rules of a table whose items are subjects of their own."""

OF_KEY = "key:"
"""What precedes the name of the key attribute in the rules of a table whose subjects are its values."""


def subject_of(change: Change, rules: Rules, root: bytes) -> str:
    """Return the id of the subject of a change in the table of keys, or "" where the rules name none.

    Subjects of the same text are one subject, in whatever table. Raises ValueError if the item's key has no such
    attribute.
    """
    if not rules.subject:
        return ""
    if rules.subject == ITEM:
        return subject_id(root, change.table_arn, item_key(change.keys))
    value = change.keys.get(rules.subject.removeprefix(OF_KEY)) if rules.subject.startswith(OF_KEY) else None
    if value is None:
        raise ValueError(f"the subject {rules.subject[:255]!r} is no key attribute of the table {change.table}")
    ((_, content),) = canonical(value).items()
    return subject_id(root, str(content))
