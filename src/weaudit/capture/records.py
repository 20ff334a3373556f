"""Decides which audit records a change becomes, and what they contain (docs/formats/audit-record.md)."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from weaudit.capture.hashes import content_hash, content_salt, covered_hash, in_base64, origin
from weaudit.capture.masking import governed, redacted
from weaudit.evidence import REST, LargeValue, reference
from weaudit.items.hashes import committed, encoded, is_long, item_secrets, masked_hash, text_hash
from weaudit.items.ids import uuid4
from weaudit.items.keys import history_key, item_key
from weaudit.items.paths import path_of
from weaudit.items.sizes import DEEPEST_LEVEL, levels, value_bytes
from weaudit.items.times import iso_time
from weaudit.items.values import MARKER, data, quoted, same_value, spelled, spelled_parts
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from weaudit.capture.changes import Change
    from weaudit.capture.rules import Rules, Terms
    from weaudit.items.hashes import ItemSecrets
    from weaudit.items.values import Item, Value

FORMAT = 2

# A longer text is not taken as a name: a whole document must not be repeated in every record of its change.
_LONGEST_NAME_BYTES = 1024
# An item of DynamoDB has at most 400 KB. A record of a whole item stays below that with its other fields, even where
# DynamoDB counts a number longer than we do.
_LARGEST_VALUES_BYTES = 350 * 1024
# About what a reference takes: two names, a key of 112 bytes, a commitment of 64.
_REFERENCE_BYTES = 300


@value
class Decision:
    """What a change becomes: its records, in DynamoDB JSON, and the large values that they refer to."""

    records: list[Item]
    large_values: list[LargeValue]


_NOTHING = Decision([], [])
_NONE: Item = {}


def decide(change: Change, terms: Terms) -> Decision:
    """Return the audit records of a change, sorted by attribute; none if nothing changed.

    The same change under the same terms always gives the same bytes. Raises ValueError if an item holds a value that
    DynamoDB cannot hold.
    """
    old = None if change.old_image is None else data(change.old_image)
    new = None if change.new_image is None else data(change.new_image)
    if old == new:
        return _NOTHING
    key = item_key(change.keys)
    secrets = item_secrets(terms.secret, change.table_arn, key)
    before = None if old is None else _State(old, secrets.salt, terms)
    # Spelling is most of the cost of a change, so the item after takes unchanged parts from the item before.
    after = None if new is None else _State(new, secrets.salt, terms, before)
    names: list[str | None] = [None] if before is None or after is None else [*_changed_names(before, after)]
    if not names:
        return _NOTHING
    decided = _Records(change, terms, secrets, key, before, after, len(names))
    return Decision([decided.record(name) for name in names], list(decided.large_values.values()))


class _State:
    """An item before or after a change.

    ``clear`` is the item as its states are hashed, ``shown`` as records show it, and ``masked`` the values that neither
    has, by path (capture.masking). ``parts`` are the attributes of ``shown`` in canonical text, ``"name":value``, and
    ``hashed`` is the text of ``clear`` that is hashed. ``like`` may be the state before: what did not change need not
    be spelled again.
    """

    __slots__ = ("_clear_parts", "_salt", "clear", "has_long_values", "hashed", "masked", "parts", "shown")

    def __init__(self, item: Item, salt: bytes, terms: Terms, like: _State | None = None) -> None:
        self.clear, self.shown, self.masked = (
            governed(item, terms.rules, terms.equal) if terms.rules.digest else (item, item, _NONE)
        )
        self._salt = salt
        self.parts: dict[str, str] = (
            spelled_parts(self.shown) if like is None else spelled_parts(self.shown, like.shown, like.parts)
        )
        clear_parts = self.parts
        if self.clear is not self.shown:
            clear_parts = spelled_parts(self.clear, self.shown, self.parts)
        self._clear_parts = clear_parts
        text = ",".join(clear_parts.values())
        has_long_values = is_long(text) and any(map(is_long, clear_parts.values()))
        if has_long_values:
            parts = [f"{quoted(name)}:{committed(salt, name, _value(clear_parts, name))}" for name in clear_parts]
            text = ",".join(parts)
        self.hashed = f"{{{text}}}"
        self.has_long_values = has_long_values or (
            self.clear is not self.shown and any(map(is_long, self.parts.values()))
        )

    def text(self, name: str) -> str:
        """Return the canonical text of an attribute."""
        return _value(self.parts, name)

    def moved_text(self, name: str) -> str:
        """Return the text of an attribute as an object has it: in the form that enters the hash of the item, if any.

        A reader then needs no more than the commitment of a large value to check the hash.
        """
        return _value(self._clear_parts if name in self._clear_parts else self.parts, name)

    def committed(self, name: str, *, moved: bool) -> str:
        """Return the text by which an attribute enters the hash of a record's content."""
        text = self.moved_text(name) if moved else self.text(name)
        return committed(self._salt, name, text) if self.has_long_values else text

    def content(self, moved: Collection[str]) -> str:
        """Return the text by which the whole item enters the hash of a record's content."""
        if self.clear is self.shown:
            return self.hashed
        parts = [f"{quoted(name)}:{self.committed(name, moved=name in moved)}" for name in self.parts]
        return f"{{{','.join(parts)}}}"


def _value(parts: dict[str, str], name: str) -> str:
    return parts[name][len(quoted(name)) + 1 :]


def changed_names(old: Item, new: Item, terms: Terms) -> list[str]:
    """Return the attributes of which a change of an item gets records, sorted: none if it gets none."""
    before = _State(old, b"", terms)
    return _changed_names(before, _State(new, b"", terms, before))


def _changed_names(before: _State, after: _State) -> list[str]:
    """Return the attributes that changed, sorted."""
    names = {
        path_of(path)[0]
        for path in before.masked.keys() | after.masked.keys()
        if not same_value(before.masked.get(path), after.masked.get(path))
    }
    if before.hashed == after.hashed and not names:  # what changed is ignored
        return []
    old, new = before.parts, after.parts
    names.update(name for name, part in new.items() if old.get(name) != part)
    return sorted(names | (old.keys() - new.keys()))


class _Records:
    """Makes the records of one change.

    The texts that are hashed are put together by hand, which is half of the work of spelling the fields one by one: the
    tests hold them to capture.hashes.
    """

    def __init__(
        self,
        change: Change,
        terms: Terms,
        secrets: ItemSecrets,
        key: str,
        before: _State | None,
        after: _State | None,
        count: int,
    ) -> None:
        self.large_values: dict[str, LargeValue] = {}
        self._change = change
        self._terms = terms
        self._secrets = secrets
        self._sides = [(side, state) for side, state in (("new", after), ("old", before)) if state is not None]
        self._masked = {path for _, state in self._sides for path in state.masked}
        shared = shared_fields(change.stream_arn, change.event_name, terms.kid, terms.rules.digest, count)
        order = order_fields(change)
        self._common = common = {**shared.fields, **_item_fields(change.table, key, secrets.salt), **order}
        at, sequence = order["modificationTime"]["S"], order["sequenceNumber"]["S"]
        hashes = ""
        for name, found in self._hashes():
            common[name] = {"B": in_base64(found)}
            hashes += f'"{name}":{{"B":"{common[name]["B"]}"}},'
        said = ""
        actor, change_id = _actor(change, terms.rules, before, after), _change_id(change)
        if actor is not None:
            common["actor"] = {"M": {"kind": {"S": actor[0]}, "name": {"S": actor[1]}}}
            said = f'"actor":{spelled(common["actor"])},'
        if change_id:
            common["changeId"] = {"S": change_id}
            said += f'"changeId":{{"S":{quoted(change_id)}}},'
        # The content of every record, and what its hash covers, in parts: a record's own fields lie between.
        self._content = f'{said}"itemKey":{{"S":{quoted(key)}}}'
        self._covered = (
            hashes,
            shared.event,
            shared.kid,
            f'"modificationTime":{{"S":"{at}"}},{shared.count},"sequenceNumber":{{"S":"{sequence}"}},{shared.table}',
        )

    def _hashes(self) -> Iterator[tuple[str, bytes]]:
        """Yield the hashes of both items and their names, sorted."""
        for side, state in self._sides:
            name = "after" if side == "new" else "before"
            yield f"{name}Hash", text_hash(self._secrets.salt, state.hashed)
            if state.masked:
                yield f"{name}Masked", masked_hash(self._secrets.mask_key, state.masked)

    def record(self, name: str | None) -> Item:
        """Return the record of one attribute, or of the whole item (None)."""
        identity = record_id(self._change, name)
        salt = content_salt(self._secrets.mask_key, identity)
        record: Item = {"id": {"S": identity}, **self._common, "contentSalt": {"B": in_base64(salt)}}
        hidden = attribute = ""
        if name is not None:
            record["updatedAttribute"] = {"S": name}
            attribute = f',"updatedAttribute":{{"S":{quoted(name)}}}'
        if self._masked and (paths := sorted(path for path in self._masked if name in (None, path_of(path)[0]))):
            record["masked"] = {"L": [{"S": path} for path in paths]}
            hidden = f',"masked":{spelled(record["masked"])}'
        content = self._content
        for side, state in self._sides:
            if name is None:
                moved = self._put_item(record, side, state)
                content += f',"{side}Value":{{"M":{state.content(moved)}}}'
            elif name in state.shown:
                moved_alone = self._put_value(record, side, state, name)
                content += f',"{side}Value":{state.committed(name, moved=moved_alone)}'
        said = in_base64(content_hash(salt, f"{{{content}}}"))
        hashes, event, kid, rest = self._covered
        covered = (
            f'{{{hashes}"content":{{"B":"{said}"}},{event},"id":{{"S":"{identity}"}},{kid}{hidden},{rest}{attribute}}}'
        )
        record["origin"] = {"B": in_base64(origin(self._terms.origin, covered_hash(covered)))}
        return record

    def _put_value(self, record: Item, side: str, state: _State, name: str) -> bool:
        """Put a value into the record, or a reference to the evidence bucket if it is large; return whether it is."""
        if self._is_large(state, name):
            record[f"{side}ValueRef"] = self._moved(side, state, name)
            return True
        record[f"{side}Value"] = redacted(state.shown[name]) if self._masked else state.shown[name]
        return False

    def _put_item(self, record: Item, side: str, state: _State) -> set[str]:
        """Put an item into the record, and references to its large attributes; return the names of these."""
        item = state.shown
        large = {name for name in item if self._is_large(state, name) or _is_too_deep(state, name)}
        kept = {name: found for name, found in item.items() if name not in large} if large else item
        # An item takes at most four bytes for a character of its text.
        is_small = state.clear is state.shown and len(state.hashed) <= _LARGEST_VALUES_BYTES // 4
        if state.has_long_values or not is_small:
            large |= _beyond(kept)
            kept = {name: found for name, found in kept.items() if name not in large}
            if value_bytes({"M": kept}) > _LARGEST_VALUES_BYTES:
                record[f"{side}ValueRef"] = self._stored(side, REST, spelled({"M": kept}))
                kept = {}
        record[f"{side}Value"] = redacted({"M": kept}) if self._masked else {"M": kept}
        if large:
            record[f"{side}ValueRefs"] = {"M": {name: self._moved(side, state, name) for name in sorted(large)}}
        return large

    def _is_large(self, state: _State, name: str) -> bool:
        return state.has_long_values and len(encoded(state.text(name))) > self._terms.inline_bytes

    def _moved(self, side: str, state: _State, name: str) -> Value:
        return self._stored(side, name, state.moved_text(name))

    def _stored(self, side: str, name: str, text: str) -> Value:
        partition = self._common["historyKey"]["S"]
        large = LargeValue.of(partition, self._secrets.salt, name, encoded(text), is_new=side == "new")
        self.large_values[large.key] = large
        return reference(self._terms.bucket, large)


@value
class Shared:
    """What the records of many changes have in common: fields, and the canonical text of those that a hash covers."""

    fields: Item
    event: str
    kid: str
    count: str
    table: str


@lru_cache(maxsize=64)
def shared_fields(stream_arn: str, event_name: str, kid: bytes, rules: bytes, count: int) -> Shared:
    """Return what the records of a change have in common with those of others of the same event, rules and count."""
    table_arn, _, label = stream_arn.partition("/stream/")
    fields = {
        "format": {"N": str(FORMAT)},
        "eventName": {"S": event_name},
        "records": {"N": str(count)},
        "kid": {"B": in_base64(kid)},
        "tableArn": {"S": table_arn},
        "tableName": {"S": table_arn.partition(":table/")[2]},
    }
    if rules:
        fields["rules"] = {"B": in_base64(rules)}
    texts = {**{name: spelled(found) for name, found in fields.items()}, "streamLabel": spelled({"S": label})}
    parts = (("eventName", "format"), ("kid",), ("records", "rules"), ("streamLabel", "tableArn", "tableName"))
    return Shared(
        fields, *(",".join([f'"{name}":{texts[name]}' for name in names if name in texts]) for names in parts)
    )


def order_fields(change: Change) -> Item:
    """Return the fields that say when a change was made, and where its records stand among others."""
    at, sequence = iso_time(change.created_at_ms), change.sequence.zfill(40)
    return {
        "modificationTime": {"S": at},
        "sequenceNumber": {"S": sequence},
        "changeOrder": {"S": f"{change.stream_label}#{sequence}"},
        "changesKey": {"S": changes_key(change.table, at[:7], shard(change.stream_arn, sequence))},
        "changesOrder": {"S": f"{at}#{sequence}"},
    }


@lru_cache(maxsize=1024)
def _item_fields(table: str, key: str, salt: bytes) -> Item:
    return {
        "itemKey": {"S": key},
        "historyKey": {"S": history_key(table, key)},
        "salt": {"B": in_base64(salt)},
    }


def _is_too_deep(state: _State, name: str) -> bool:
    """Return whether a value is nested so deep that a map around it is more than DynamoDB takes."""
    # Each level is an object in the text.
    return state.parts[name].count("{") >= DEEPEST_LEVEL and levels(state.shown[name]) >= DEEPEST_LEVEL


def _beyond(item: Item) -> set[str]:
    """Return the largest attributes, of which an item should be relieved so that it fits into a record.

    Small ones stay, since a reference takes nearly as much: if they are too many, they are moved together.
    """
    beyond: set[str] = set()
    size = value_bytes({"M": item})
    for name in sorted(item, key=lambda name: (-value_bytes(item[name]), name)):
        gain = value_bytes(item[name]) - _REFERENCE_BYTES
        if size <= _LARGEST_VALUES_BYTES or gain <= _REFERENCE_BYTES:
            break
        beyond.add(name)
        size -= gain
    return beyond


def _actor(change: Change, rules: Rules, before: _State | None, after: _State | None) -> tuple[str, str] | None:
    """Return the kind and name of who made a change, or None if nothing says so.

    A stream does not say who wrote. An actor attribute that this write did not change may be left from an earlier
    writer: it is ``carried``, unless the write changed the attribute by which writers confirm it. A masked attribute
    names nobody.
    """
    if change.service:
        return "service", change.service
    name = "" if after is None else _name(after.shown.get(rules.actor))
    if not name:
        return None
    confirmed = _sets(before, after, rules.actor) or _sets(before, after, rules.fresh)
    return "stated" if confirmed else "carried", name


def _sets(before: _State | None, after: _State | None, attribute: str) -> bool:
    """Return whether the write set an attribute: an older value says nothing about this write."""
    old = None if before is None else before.parts.get(attribute)
    new = None if after is None else after.parts.get(attribute)
    return new is not None and new != old


def _change_id(change: Change) -> str:
    """Return the id that this write left in the item's marker, or "" if it is older, or there is none."""
    found = (change.new_image or {}).get(MARKER)
    return "" if found is None or same_value((change.old_image or {}).get(MARKER), found) else _name(found)


def _name(value: Value | None) -> str:
    text = "" if value is None else str(value.get("S", value.get("N", "")))
    return text if len(text) <= _LONGEST_NAME_BYTES and len(encoded(text)) <= _LONGEST_NAME_BYTES else ""


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

    Sixteen shards spread the writes of a busy table over as many partitions, and those of a busy item too.
    """
    return f"{table}#{month}#{shard}"


def shard(stream_arn: str, sequence: str) -> str:
    """Return the shard of a change, a hex digit; ``sequence`` is the sequence number with 40 digits.

    It follows from the change and not from the item: a part of a key's hash would outlive the item's erasure.
    """
    return sha256(f"weaudit-shard-2\0{stream_arn}\0{sequence}".encode()).hexdigest()[0]
