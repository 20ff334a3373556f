"""Who verifies with the secrets finds a rewrite of any field of any record, and of any large value."""

import base64
import copy
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes import SECRETS
from tests.sizes import sized
from tests.trail.test_item_history import Index
from tests.trails import EVIDENCE, changed, decision, one_by_one, rules_objects
from weaudit.capture.store_secrets import Secrets
from weaudit.evidence import packed
from weaudit.items.values import same_value
from weaudit.trail.reader import AuditHistory
from weaudit.trail.verification.verifying import Finding, verify_item

TABLE = "Configuration"
ARN = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{TABLE}"
START_MS = 1_711_922_395_000
RULES: dict[str, Any] = {"actor": "by", "fresh": "at", "redact": (("pin",), ("card", "code"))}
REWRITES = sized(300)
Record = dict[str, Any]

# What nobody can find, and why: the retention writes it later, so no hash covers it, and it says nothing of the change.
UNCOVERED = {"expiresAt"}


def large(letter: str) -> dict[str, str]:
    return {"S": letter * 6000}


def item(n: int, by: str, doc: str, pin: str, **rest: Any) -> dict[str, Any]:
    card = {"M": {"code": {"S": f"c{pin}"}, "owner": {"S": "Ada"}, "text": large("t")}}
    return {"n": {"N": str(n)}, "by": {"S": by}, "doc": large(doc), "pin": {"S": pin}, "card": card, **rest}


LIFE: list[dict[str, Any] | None] = [
    None,
    item(1, "ada", "a", "1111"),
    item(2, "bob", "a", "1111", v={"SS": ["x", "y"]}, _weaudit={"S": "11111111-1111-4111-8111-111111111111"}),
    item(2, "bob", "b", "1111", v={"SS": ["x", "y"]}),  # the actor is carried
    item(2, "bob", "b", "2222", v={"NULL": True}),  # a masked attribute, and a part of a masked place's map
    item(3, "ada", "b", "2222", at={"S": "now"}),
    None,
    item(4, "eve", "c", "3333"),
    item(5, "eve", "d", "3333"),
]


class Stored:
    """All that is stored of the item: records, objects, and the item itself."""

    def __init__(self, life: Sequence[dict[str, Any] | None] = LIFE) -> None:
        made = [decision(one, **RULES) for one in changed("k", life, at_ms=START_MS, every_ms=100_000)]
        self.records = [record for one in made for record in one.records]
        self.objects = {large.key: packed(large.text) for one in made for large in one.large_values}
        self.objects |= rules_objects(**RULES)
        self.live = {"key": {"S": "k"}, **(life[-1] or {})}

    def findings(self, secrets: Secrets | None) -> tuple[Finding, ...]:
        """Return what verifying finds, as `weaudit verify` reads the trail."""
        index = Index(self.records)
        history = AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", self._fetch, lambda: EVIDENCE)
        return verify_item(
            history.item(TABLE, "k", values=False),
            self.live,
            table=TABLE,
            table_arn=ARN,
            item_key="k",
            audited_from_birth=True,
            secrets=secrets,
            rules_of=history.rules,
            length_of=history.length_of,
        ).findings

    def _fetch(self, bucket: str, key: str) -> bytes | None:
        return self.objects.get(key) if bucket == EVIDENCE else None


class Rewriter:
    """Rewrites one field of one record to another value of the same type, as plausible as it can."""

    def __init__(self, stored: Stored, seed: int) -> None:
        self._stored = stored
        self._draw = random.Random(seed)  # noqa: S311 the same each time, no secret

    def places(self) -> list[tuple[int, str]]:
        """Return every field of every record, by the record's place, in a random order."""
        found = [(place, name) for place, record in enumerate(self._stored.records) for name in record]
        self._draw.shuffle(found)
        return found

    def rewritten(self, place: int, name: str) -> Stored:
        """Return what is stored, with one field rewritten."""
        found = copy.copy(self._stored)
        found.records = copy.deepcopy(self._stored.records)
        record, old = found.records[place], self._stored.records[place][name]
        others = [other[name] for other in found.records if name in other]
        while same_value(record[name], old):
            # Another record's field is what someone would take who covers something up.
            record[name] = self._draw.choice(others) if self._draw.random() < 0.3 else self._other(old)
        return found

    def _other(self, value: Any) -> Any:
        ((kind, content),) = value.items()
        if kind == "S":
            return {"S": self._text(content)}
        if kind == "N":
            return {"N": str(int(content) + self._draw.choice((-1, 1, 10)))}
        if kind == "B":
            raw = bytearray(base64.b64decode(content))
            raw[self._draw.randrange(len(raw))] ^= 1 << self._draw.randrange(8)
            return {"B": base64.b64encode(raw).decode()}
        if kind == "SS":
            return {"SS": [*content, "another"]}
        if kind == "L":
            places = [*content, {"S": self._draw.choice(("n", "doc", "elsewhere"))}]
            return {"L": places[1:] if self._draw.random() < 0.5 else places}
        if kind == "M":
            name = self._draw.choice(sorted(content))
            return {"M": {**content, name: self._other(content[name])}}
        return {"S": "no longer null"}

    def _text(self, text: str) -> str:
        place = self._draw.randrange(len(text))
        same_kind = "0123456789" if text[place].isdecimal() else "abcdef"
        return f"{text[:place]}{self._draw.choice(same_kind)}{text[place + 1 :]}"


def without(stored: Stored, sequence: int) -> Stored:
    """Return what is stored without the records of one change."""
    found = copy.copy(stored)
    found.records = [one for one in stored.records if int(one["sequenceNumber"]["S"]) != 10**21 + sequence]
    assert len(found.records) < len(stored.records)
    return found


@pytest.mark.parametrize("secrets", [None, SECRETS])
@pytest.mark.parametrize("sequence", range(1, len(LIFE)))
def test_a_change_that_is_taken_away_is_found(sequence: int, secrets: Secrets | None) -> None:
    assert without(Stored(), sequence).findings(secrets)


MASKED = [None, item(1, "ada", "a", "1111"), item(1, "ada", "a", "2222"), item(1, "ada", "a", "3333")]


@pytest.mark.parametrize("secrets", [None, SECRETS])
def test_a_change_of_masked_places_only_that_is_taken_away_is_a_gap(secrets: Secrets | None) -> None:
    """The states before and after it are equal but for what is masked, whose hashes say that they are not the same."""
    stored = Stored(MASKED)
    assert len({record["afterHash"]["B"] for record in stored.records}) == 1
    assert stored.findings(secrets) == ()
    (finding,) = without(stored, 2).findings(secrets)
    assert (finding.kind, int(finding.sequence)) == ("gap", 10**21 + 3)


def test_masked_places_of_the_item_are_compared_by_who_has_the_secrets() -> None:
    stored = Stored(MASKED[:3])
    stored.live = {"key": {"S": "k"}, **item(1, "ada", "a", "3333")}
    assert stored.findings(None) == ()
    (finding,) = stored.findings(SECRETS)
    assert finding.kind == "unaudited"
    assert "masked place" in finding.text


def test_what_stands_at_a_masked_place_is_not_shown_and_anything_but_the_placeholder_is_found() -> None:
    stored = Stored()
    stored.records = json.loads(json.dumps(stored.records))
    for record in stored.records:
        if record.get("updatedAttribute") == {"S": "pin"}:
            assert record["newValue"] == {"S": "[REDACTED]"}
            record["newValue"] = {"S": "5555"}
        elif "updatedAttribute" not in record and "newValue" in record:
            assert record["newValue"]["M"]["pin"] == {"S": "[REDACTED]"}
            record["newValue"]["M"]["pin"] = {"S": "5555"}
    for secrets in (None, SECRETS):
        found = stored.findings(secrets)
        assert {finding.kind for finding in found} == {"edited"}
        assert all("[REDACTED]" in finding.text for finding in found)


def test_the_trail_that_is_rewritten_is_whole_before_and_has_everything_a_record_can_have() -> None:
    stored = Stored()
    assert stored.findings(SECRETS) == stored.findings(None) == ()
    fields = {name for record in stored.records for name in record}
    sides = {f"{side}{what}" for side in ("old", "new") for what in ("Value", "ValueRef", "ValueRefs")}
    hashes = {f"{side}{what}" for side in ("before", "after") for what in ("Hash", "Masked")}
    assert fields >= sides | hashes | {"actor", "changeId", "masked", "rules", "kid", "salt", "contentSalt", "origin"}
    kinds = {record["actor"]["M"]["kind"]["S"] for record in stored.records if "actor" in record}
    assert kinds == {"stated", "carried"}


def test_with_the_secrets_a_rewrite_of_any_field_is_found() -> None:
    stored = Stored()
    for seed in range(1 + REWRITES // len(Rewriter(stored, 0).places())):
        rewriter = Rewriter(stored, seed)
        for place, name in rewriter.places():
            found = rewriter.rewritten(place, name)
            assert found.findings(SECRETS), (name, stored.records[place], found.records[place])


def test_with_the_secrets_a_field_that_is_taken_away_is_found() -> None:
    stored = Stored()
    for place, name in Rewriter(stored, 0).places():
        found = copy.copy(stored)
        found.records = copy.deepcopy(stored.records)
        del found.records[place][name]
        if name in ("historyKey", "changeOrder", "id"):
            continue  # an index, or the table, has no item without its keys
        assert found.findings(SECRETS), (name, stored.records[place])


ADDED: dict[str, Any] = {
    "actor": {"M": {"kind": {"S": "stated"}, "name": {"S": "ada"}}},
    "changeId": {"S": "22222222-2222-4222-8222-222222222222"},
    "reason": {"S": "as agreed"},
    "masked": {"L": [{"S": "n"}]},
    "rules": {"B": "AAAAAAAAAAAAAAAA"},
    "beforeMasked": {"B": "AAAA"},
    "erased": {"M": {"p": {"B": "AAAA"}, "by": {"S": "ada"}, "at": {"S": "2024-01-01T00:00:00.000Z"}}},
    "note": {"S": "no record has this"},
}


@pytest.mark.parametrize("name", ADDED)
def test_with_the_secrets_a_field_that_is_put_in_is_found(name: str) -> None:
    stored = Stored()
    for place, record in enumerate(stored.records):
        if name not in record:
            found = copy.copy(stored)
            found.records = copy.deepcopy(stored.records)
            found.records[place][name] = ADDED[name]
            assert found.findings(SECRETS), record


@pytest.mark.parametrize("secrets", [None, SECRETS])
def test_what_is_not_found_is_an_expiry_which_no_hash_covers(secrets: Secrets | None) -> None:
    stored = Stored()
    assert not UNCOVERED & {name for record in stored.records for name in record}
    for record in stored.records:
        record["expiresAt"] = {"N": "1893456000"}
    assert stored.findings(secrets) == ()


@pytest.mark.parametrize("secrets", [None, SECRETS])
def test_a_large_value_that_is_rewritten_or_gone_is_found(secrets: Secrets | None) -> None:
    """The secrets are not needed for that: the records have the commitments."""
    stored = Stored()
    draw = random.Random(3)  # noqa: S311 the same each time, no secret
    bodies = list(stored.objects.values())
    for key, body in stored.objects.items():
        others = [other for other in bodies if other != body]
        for altered in (draw.choice(others), packed(b'{"S":"another"}'), body[:-1], b"", None):
            found = copy.copy(stored)
            found.objects = {**stored.objects, key: altered or b""}
            if altered is None:
                del found.objects[key]
            assert {finding.kind for finding in found.findings(secrets)} == {"lost"}


# A rewrite of one of these in one record alone is not always found by who has the trail and not the secrets. No hash of
# a state covers the salt of a content, the origin, or the name of the secret; and a masked path at which the record has
# nothing changes nothing that is shown.
ONLY_WITH_THE_SECRETS = {"contentSalt", "kid", "masked", "origin"}
# What is rewritten in all records of a change is not always found either: the only record of a change is all of them.
IN_ALL_RECORDS_OF_A_CHANGE = {"actor", "changeId", "modificationTime"}


def test_without_the_secrets_a_rewrite_of_these_fields_of_one_record_is_not_found_and_of_all_others_is() -> None:
    """As docs/verifying.md says: whatever this set becomes, the page has to say so."""
    stored = Stored()
    missed: dict[str, int] = {}
    for seed in range(3):
        rewriter = Rewriter(stored, seed)
        for place, name in rewriter.places():
            if name in IN_ALL_RECORDS_OF_A_CHANGE and stored.records[place]["records"] == {"N": "1"}:
                continue
            if not rewriter.rewritten(place, name).findings(None):
                missed[name] = missed.get(name, 0) + 1
    assert missed.keys() == ONLY_WITH_THE_SECRETS, "".join(f"{name} {count}, " for name, count in missed.items())
