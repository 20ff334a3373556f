"""The erased form of records: what stays of a change whose values must not be kept (docs/formats/audit-record.md)."""

from __future__ import annotations

import os

from weaudit.capture.hashes import COVERED, covered_hash, in_base64, joined, origin
from weaudit.capture.records import Decision, changes_key, record_id, shard, shared_fields
from weaudit.items.times import iso_time
from weaudit.items.values import data, same_value, spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.capture.changes import Change
    from weaudit.capture.rules import Terms
    from weaudit.items.values import Item


def decide_late(change: Change, terms: Terms) -> Decision:
    """Return the records of a change that arrives when the secret of its time was erased already.

    They say that there was a change, when, and of which attributes. They have no hashes of states, since nobody can
    make these any more, and where the hash of the content belongs they have random bytes. So they differ each time, and
    must be put only where none are yet.
    """
    old, new = (None if image is None else data(image) for image in (change.old_image, change.new_image))
    names: list[str | None] = [None]
    if old is not None and new is not None:
        names = [*sorted(name for name in old.keys() | new.keys() if not same_value(old.get(name), new.get(name)))]
    at, sequence = iso_time(change.created_at_ms), change.sequence.zfill(40)
    common = {
        **shared_fields(change.stream_arn, change.event_name, terms.kid, terms.rules.digest, len(names)).fields,
        "modificationTime": {"S": at},
        "sequenceNumber": {"S": sequence},
        "historyKey": {"S": os.urandom(20).hex()},
        "changeOrder": {"S": f"{change.stream_label}#{sequence}"},
        "changesKey": {"S": changes_key(change.table, at[:7], shard(change.stream_arn, sequence))},
        "changesOrder": {"S": f"{at}#{sequence}"},
    }
    return Decision([_record(change, common, name, terms) for name in names], [])


def _record(change: Change, common: Item, name: str | None, terms: Terms) -> Item:
    content = {"B": in_base64(os.urandom(32))}
    record: Item = {"id": {"S": record_id(change, name)}, **common}
    if name is not None:
        record["updatedAttribute"] = {"S": name}
    covered = {**record, "content": content, "streamLabel": {"S": change.stream_label}}
    texts = {field: spelled(covered[field]) for field in COVERED if field in covered}
    said = {"p": content}
    if terms.erasure is not None:
        said |= {"by": {"S": terms.erasure.by}, "at": {"S": terms.erasure.at}}
    return {
        **record,
        "origin": {"B": in_base64(origin(terms.origin, covered_hash(joined(COVERED, texts))))},
        "erased": {"M": said},
    }
