"""Decides which audit records a change becomes, and what they contain (docs/formats/audit-record.md)."""

from hashlib import sha256

from weaudit.capture.changes import Change
from weaudit.items.ids import uuid4
from weaudit.items.keys import history_key, item_key
from weaudit.items.times import iso_time
from weaudit.items.values import MARKER, Item, Value, data, same_value, sorted_spellings, spellings_hash

# A longer text is not taken as a name: a whole document must not be repeated in every record of its change.
_LONGEST_NAME_BYTES = 1024


def decide(change: Change, actor_attribute: str = "") -> list[Item]:
    """Return the audit records of a change, in DynamoDB JSON, sorted by attribute; an empty list if nothing changed.

    ``actor_attribute`` names the attribute in which the table's writers name themselves, or is empty. The same change
    always gives the same bytes. Raises ValueError if an item holds a value that DynamoDB cannot hold.
    """
    old = None if change.old_image is None else data(change.old_image)
    new = None if change.new_image is None else data(change.new_image)
    if old == new:
        return []
    # Spelling is most of the cost of a change, so the item after takes unchanged spellings from the item before.
    before = None if old is None else sorted_spellings(old)
    after = None if new is None else sorted_spellings(new, old, before)
    if old is None or new is None or before is None or after is None:
        differences: list[tuple[str | None, Value | None, Value | None]] = [
            (None, None if old is None else {"M": old}, None if new is None else {"M": new})
        ]
    else:
        differences = [
            (name, old.get(name), new.get(name))
            for name in sorted(old.keys() | new.keys())
            if before.get(name) != after.get(name)
        ]
    if not differences:
        return []
    common = _common_fields(change, before, after, actor_attribute)
    return [_record(change, common, *difference) for difference in differences]


def _record(change: Change, common: Item, name: str | None, old: Value | None, new: Value | None) -> Item:
    record: Item = {"id": {"S": record_id(change, name)}, **common}
    if name is not None:
        record["updatedAttribute"] = {"S": name}
    if old is not None:
        record["oldValue"] = old
    if new is not None:
        record["newValue"] = new
    return record


def _common_fields(
    change: Change, before: dict[str, str] | None, after: dict[str, str] | None, actor_attribute: str
) -> Item:
    key = item_key(change.keys)
    partition = history_key(change.table, key)
    modified_at = iso_time(change.created_at_ms)
    sequence = change.sequence.zfill(40)
    fields: Item = {
        "itemKey": {"S": key},
        "modificationTime": {"S": modified_at},
        "tableName": {"S": change.table},
        "eventName": {"S": change.event_name},
        "sequenceNumber": {"S": sequence},
        "historyKey": {"S": partition},
        "changeOrder": {"S": f"{change.stream_label}#{sequence}"},
        "changesKey": {"S": changes_key(change.table, modified_at[:7], partition[0])},
        "changesOrder": {"S": f"{modified_at}#{sequence}"},
    }
    if before is not None:
        fields["beforeHash"] = {"S": spellings_hash(before)}
    if after is not None:
        fields["afterHash"] = {"S": spellings_hash(after)}
    change_id = _name_set_by(change, MARKER)
    if change_id:
        fields["changeId"] = {"S": change_id}
    stated = _name_set_by(change, actor_attribute)
    if change.service:
        fields["actor"] = {"M": {"kind": {"S": "service"}, "name": {"S": change.service}}}
    elif stated:
        fields["actor"] = {"M": {"kind": {"S": "stated"}, "name": {"S": stated}}}
    return fields


def _name_set_by(change: Change, attribute: str) -> str:
    """Return the text of an attribute if this write set it, else "": an older value says nothing about this write."""
    value = (change.new_image or {}).get(attribute)
    if value is None or same_value((change.old_image or {}).get(attribute), value):
        return ""
    text = str(value.get("S", value.get("N", "")))
    return text if len(text.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME_BYTES else ""


def record_id(change: Change, attribute: str | None) -> str:
    """Return the id of a record: derived from the change, so that a redelivery gives the same id.

    It has the form of a UUID of version 4: 122 bits of the SHA-256 over stream ARN, sequence number and attribute, with
    version and variant as in RFC 9562.
    """
    # An attribute's name is never empty, so "" can mean the whole item.
    named = f"weaudit-record-v1\0{change.stream_arn}\0{change.sequence}\0{attribute or ''}"
    return uuid4(sha256(named.encode("utf-8", "surrogatepass")).hexdigest())


def changes_key(table: str, month: str, shard: str) -> str:
    """Return a partition key of the index of a table's changes by time: ``<table>#<YYYY-MM>#<0-f>``.

    Sixteen shards spread the writes of a busy table over as many partitions. An item always has the same shard.
    """
    return f"{table}#{month}#{shard}"
