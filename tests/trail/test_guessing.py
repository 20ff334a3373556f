"""Who has every stored byte and not the table of keys cannot find a masked value by trying."""

import base64
import itertools
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from tests.fakes import SECRETS
from tests.trails import changed, decision
from weaudit.capture.hashes import content_hash, content_salt, record_hash
from weaudit.items.hashes import commitment, item_secrets, masked_hash, state_hash
from weaudit.items.values import spelled, spelled_item

ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/Configuration"
RULES: dict[str, Any] = {"redact": (("pin",), ("email",))}
PIN, NEXT_PIN, EMAIL = "4711", "0815", "user0042@example.org"
PINS = [f"{number:04}" for number in range(10_000)]
EMAILS = [f"user{number:04}@example.org" for number in range(1000)]


def item(pin: str, n: str) -> dict[str, Any]:
    return {"key": {"S": "k"}, "email": {"S": EMAIL}, "n": {"N": n}, "pin": {"S": pin}, "text": {"S": "x" * 5000}}


LIFE = [None, item(PIN, "1"), item(NEXT_PIN, "1"), item(NEXT_PIN, "2"), None]


class Loot:
    """All that is stored of the item, and what can be taken from it: whatever may be a hash, a salt or a key."""

    def __init__(self) -> None:
        made = [decision(one, **RULES) for one in changed("k", LIFE, at_ms=1_711_922_395_000)]
        self.records = [record for one in made for record in one.records]
        objects = [large.text for one in made for large in one.large_values]
        # Every byte of it, for the commitments and object keys, which are hex, and whatever is base64.
        self.text = json.dumps(self.records) + b"".join(objects).decode()
        binary = {base64.b64decode(found) for found in re.findall(r'"B": "([A-Za-z0-9+/=]+)"', self.text)}
        self.bytes = binary | {bytes.fromhex(found) for found in re.findall(r"[0-9a-f]{64}", self.text)}
        self.salts = {found for found in self.bytes if len(found) == 16}


def guesses() -> Iterator[tuple[str, str]]:
    yield from (("pin", pin) for pin in PINS)
    yield from (("email", email) for email in EMAILS)


def constructions(loot: Loot, name: str, guess: str) -> Iterator[bytes]:
    """Yield what the format makes of a value that is guessed, where every stored byte may be the salt or the key."""
    value = {"S": guess}
    text = spelled(value)
    known = {**item(PIN, "1"), "pin": {"#": ""}, "email": {"#": ""}, name: value}
    for salt in loot.salts:
        yield state_hash(salt, {name: value})
        yield bytes.fromhex(commitment(salt, name, text.encode()))
        yield content_hash(salt, f'{{"newValue":{text}}}')
    salt = base64.b64decode(loot.records[0]["salt"]["B"])
    yield state_hash(salt, known)
    for record in loot.records:
        said: dict[str, Any] = {field: record[field] for field in ("actor", "changeId", "itemKey") if field in record}
        content = spelled_item({**said, "newValue": value})
        yield content_hash(base64.b64decode(record["contentSalt"]["B"]), content)
        new = value if "updatedAttribute" in record else {"M": known}
        yield record_hash(record, None, new)
    for key in loot.bytes:
        yield masked_hash(key, {name: value})


def test_no_guess_of_a_masked_value_matches_anything_that_is_stored() -> None:
    """All four-digit numbers and a thousand addresses, by every construction, with every stored byte as the key."""
    loot = Loot()
    assert all(secret not in loot.text for secret in (PIN, NEXT_PIN, EMAIL))
    assert {"beforeMasked", "afterMasked"} <= {name for record in loot.records for name in record}
    assert len(loot.salts) > len(loot.records)
    found = [(name, guess) for name, guess in guesses() if loot.bytes.intersection(constructions(loot, name, guess))]
    assert found == []
    # A pin and an address together, as the masked hash has them: the right ones, by every key that there is.
    for key, pin in itertools.product(loot.bytes, (PIN, NEXT_PIN)):
        assert masked_hash(key, {"email": {"S": EMAIL}, "pin": {"S": pin}}) not in loot.bytes


def test_whoever_has_the_table_of_keys_finds_it_so_that_the_guesses_are_the_right_ones() -> None:
    loot = Loot()
    key = item_secrets(SECRETS.root, ARN, "k").mask_key
    found = [pin for pin in PINS if masked_hash(key, {"email": {"S": EMAIL}, "pin": {"S": pin}}) in loot.bytes]
    assert found == sorted([PIN, NEXT_PIN])
    assert content_salt(key, loot.records[0]["id"]["S"]) in loot.salts


def test_an_unkeyed_hash_of_the_item_would_have_let_it_be_found() -> None:
    """As the hashes of format 1 were, by which a reader of the trail could try every value."""

    def unkeyed(image: dict[str, Any]) -> bytes:
        return sha256(b"weaudit-image-v1\n" + spelled_item(image).encode()).digest()

    stored = {unkeyed(image) for image in LIFE if image is not None}
    known = item("", "1")
    assert [pin for pin in PINS if unkeyed({**known, "pin": {"S": pin}}) in stored] == sorted([PIN, NEXT_PIN])
    known = item(PIN, "1")
    assert [email for email in EMAILS if unkeyed({**known, "email": {"S": email}}) in stored] == [EMAIL]
