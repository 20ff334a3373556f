"""The hash of a record, held to a straightforward reading of docs/formats/audit-record.md."""

import base64
import gzip
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.fakes import SECRETS
from tests.strategies import change
from tests.trails import decide, decision
from weaudit.capture.hashes import record_hash
from weaudit.evidence import opened, packed
from weaudit.items.hashes import commitment, item_secrets, kid, state_hash
from weaudit.items.values import canonical


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def hashed(*parts: bytes) -> bytes:
    return hashlib.sha256(framed(*parts)).digest()


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, framed(*parts), "sha256").digest()


def canon(item: dict[str, Any]) -> bytes:
    plain = {name: value if "#" in value else canonical(value) for name, value in item.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def of_value(salt: bytes, name: str, value: dict[str, Any]) -> dict[str, Any]:
    text = canon({"": value})[4:-1]
    if len(text) <= 1024:
        return value
    return {"#": hashed(b"weaudit-value-2", salt, name.encode("utf-8", "surrogatepass"), text).hex()}


def of_item(salt: bytes, item: dict[str, Any]) -> dict[str, Any]:
    return {name: of_value(salt, name, value) for name, value in item.items()}


# Items with values around the limit of what is hashed as it is.
AROUND = st.integers(1005, 1030).map(lambda size: {"S": "x" * size}) | st.integers(330, 345).map(
    lambda size: {"S": "\N{EURO SIGN}" * size}
)
ITEMS = st.builds(lambda item, long: item | ({"long": long} if long else {}), strategies.attributes, st.none() | AROUND)


@given(ITEMS, ITEMS)
def test_a_records_hashes_are_those_that_its_page_describes(old: dict[str, Any], new: dict[str, Any]) -> None:
    arn, key = "arn:aws:dynamodb:eu-west-1:111122223333:table/Configuration", "CACHE_TTL_SEC"
    one = change(old, new, keys={"key": {"S": key}})
    assert one.table_arn == arn
    derived = hmac.new(SECRETS.root, framed(b"weaudit-item-2", arn.encode(), key.encode()), "sha512").digest()
    salt, mask_key = derived[:16], derived[32:]
    assert (item_secrets(SECRETS.root, arn, key).salt, item_secrets(SECRETS.root, arn, key).mask_key) == (
        salt,
        mask_key,
    )
    assert kid(SECRETS.root) == hashed(b"weaudit-kid-2", SECRETS.root)[:8]
    for record in decide(one):
        name = record["updatedAttribute"]["S"]

        def raw(field: str, record: dict[str, Any] = record) -> bytes:
            return base64.b64decode(record[field]["B"])

        assert raw("salt") == salt
        assert raw("beforeHash") == hashed(b"weaudit-state-2", salt, canon(of_item(salt, old)))
        assert raw("afterHash") == hashed(b"weaudit-state-2", salt, canon(of_item(salt, new)))
        assert raw("contentSalt") == mac(mask_key, b"weaudit-content-2", record["id"]["S"].encode())[:16]
        content = {"itemKey": {"S": key}}
        content |= {field: of_value(salt, name, record[field]) for field in ("oldValue", "newValue") if field in record}
        covered = {
            field: record[field]
            for field in (
                *("id", "format", "eventName", "tableName", "tableArn", "sequenceNumber", "modificationTime"),
                *("updatedAttribute", "records", "kid", "beforeHash", "afterHash"),
            )
        }
        covered["streamLabel"] = {"S": record["changeOrder"]["S"].partition("#")[0]}
        p = hashed(b"weaudit-content-2", raw("contentSalt"), canon(content))
        covered["content"] = {"B": base64.b64encode(p).decode()}
        expected = hashed(b"weaudit-record-2", canon(covered))
        assert record_hash(record, record.get("oldValue"), record.get("newValue")) == expected
        assert raw("origin") == mac(SECRETS.origin, b"weaudit-origin-2", expected)[:16]


@given(ITEMS)
def test_a_state_hashes_alike_whether_or_not_its_long_values_were_read(item: dict[str, Any]) -> None:
    salt = bytes(16)
    assert state_hash(salt, item) == state_hash(salt, of_item(salt, item))


def test_an_erased_record_has_the_hash_that_it_had() -> None:
    [record] = decide(change(None, {"key": {"S": "k"}, "secret": {"S": "x"}}, keys={"key": {"S": "k"}}))
    before = record_hash(record, None, record["newValue"])
    salt = base64.b64decode(record["contentSalt"]["B"])
    content = canon({"itemKey": {"S": "k"}, "newValue": record["newValue"]})
    gone = ("itemKey", "newValue", "salt", "contentSalt", "actor", "changeId", "reason")
    erased = {name: value for name, value in record.items() if name not in gone}
    p = base64.b64encode(hashed(b"weaudit-content-2", salt, content)).decode()
    erased |= {"erased": {"M": {"p": {"B": p}, "by": {"S": "1"}, "at": {"S": "now"}}}, "historyKey": {"S": "0" * 64}}
    assert record_hash(erased, None, None) == before


@given(st.text(min_size=5_000, max_size=6_000), st.integers(0, 40))
def test_an_object_opens_its_own_value_and_no_other(text: str, place: int) -> None:
    one = decision(change(None, {"key": {"S": "k"}, "v": {"S": text}}))
    [large] = one.large_values
    salt = base64.b64decode(one.records[0]["salt"]["B"])
    body = packed(large.text)
    assert len(body) <= len(large.text)
    assert opened(body, salt, "v", large.commitment) == {"S": text}
    assert opened(body, salt, "w", large.commitment) is None
    assert opened(body, bytes(16), "v", large.commitment) is None
    assert opened(body[:-1], salt, "v", large.commitment) is None
    altered = body[: -place - 1] + bytes([body[-place - 1] ^ 1]) + body[len(body) - place :]
    assert opened(altered, salt, "v", large.commitment) is None


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_an_object_that_holds_far_more_than_an_item_is_not_read(pack: Any) -> None:
    text = b'{"S":"' + b"0" * 5_000_000 + b'"}'
    assert opened(pack(text), bytes(16), "v", commitment(bytes(16), "v", text)) is None
    small = text[:1000] + text[-2:]
    assert opened(pack(small), bytes(16), "v", commitment(bytes(16), "v", small)) is not None


def test_an_item_with_a_value_of_no_type_of_dynamodb_has_no_hash() -> None:
    with pytest.raises(ValueError, match="unknown DynamoDB type 'X'"):
        state_hash(bytes(16), {"a": {"X": "1"}, "b": {"S": "x"}})
