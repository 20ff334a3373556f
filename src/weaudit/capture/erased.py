"""The erased form of records: what stays of a change whose values must not be kept (docs/formats/audit-record.md)."""

from __future__ import annotations

import os

from weaudit.capture.hashes import in_base64, origin, record_hash
from weaudit.capture.records import changed_names, order_fields, record_id, shared_fields
from weaudit.items.values import data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.capture.changes import Change
    from weaudit.capture.rules import Erasure, Terms
    from weaudit.items.values import Item


def late_records(change: Change, terms: Terms, erasure: Erasure) -> list[Item]:
    """Return the records of a change that arrives when the secret of its time was erased already.

    They say that there was a change, when, and of which attributes. They have no hashes of states, since nobody can
    make these any more, and where the hash of the content belongs they have random bytes. So they differ each time, and
    must be put only where none are yet.
    """
    old, new = (None if image is None else data(image) for image in (change.old_image, change.new_image))
    names: list[str | None] = [None]
    if old is not None and new is not None:
        names = [*changed_names(old, new, terms)]
    common = {
        **shared_fields(change.stream_arn, change.event_name, terms.kid, terms.rules.digest, len(names)).fields,
        **order_fields(change),
        "historyKey": {"S": os.urandom(20).hex()},
    }
    return [_record(change, common, name, erasure, terms.origin) for name in names]


def _record(change: Change, common: Item, name: str | None, erasure: Erasure, key: bytes) -> Item:
    said = {"p": {"B": in_base64(os.urandom(32))}, "by": {"S": erasure.by}, "at": {"S": erasure.at}}
    record: Item = {"id": {"S": record_id(change, name)}, **common, "erased": {"M": said}}
    if name is not None:
        record["updatedAttribute"] = {"S": name}
    return {**record, "origin": {"B": in_base64(origin(key, record_hash(record, None, None)))}}
