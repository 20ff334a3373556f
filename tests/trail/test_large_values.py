"""Large values are read where they are shown, each as seldom as can be, and one that is lost hides nothing else."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes import SECRETS
from tests.trail.test_item_history import Index
from tests.trails import EVIDENCE, changed, decision, one_by_one
from weaudit.evidence import packed
from weaudit.items.times import iso_time
from weaudit.trail.documents import document
from weaudit.trail.reader import AuditHistory
from weaudit.trail.verification.verifying import verify_item

TABLE = "Configuration"
ARN = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{TABLE}"
START_MS = 1_711_922_395_000


def text(number: int, size: int = 20_000) -> dict[str, str]:
    return {"S": f"{number:05}" + "x" * size}


class Trail:
    """The trail of one item in memory, and the keys of the objects that were read."""

    def __init__(self, images: Sequence[dict[str, Any] | None], **rules: Any) -> None:
        self.made = [decision(one, **rules) for one in changed("k", images, at_ms=START_MS)]
        self.objects = {large.key: packed(large.text) for one in self.made for large in one.large_values}
        self.read: list[str] = []
        self._records = [record for one in self.made for record in one.records]
        self._index = Index(self._records)
        self.history = AuditHistory(self._query, one_by_one(self._query), self._index.get, "Audit", self._fetch)

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        if "IndexName" in request:
            return self._index.query(request)
        return {"Items": [one for one in self._records if one["id"] == request["ExpressionAttributeValues"][":id"]]}

    def _fetch(self, bucket: str, key: str) -> bytes | None:
        assert bucket == EVIDENCE
        self.read.append(key)
        return self.objects.get(key)


FIFTY: list[dict[str, Any] | None] = [None, *({"doc": text(n), "n": {"N": str(n)}} for n in range(50))]


@pytest.mark.parametrize("at", [0, 25, 49])
def test_as_of_among_fifty_changes_of_a_large_attribute_reads_one_object(at: int) -> None:
    trail = Trail(FIFTY)
    assert len(trail.objects) == 50
    state = trail.history.as_of(TABLE, "k", iso_time(START_MS + at * 1000))
    assert state.complete
    assert state.item == {"key": {"S": "k"}, **(FIFTY[at + 1] or {})}
    assert len(trail.read) == 1


def test_what_differs_between_two_times_reads_the_two_values_that_are_compared() -> None:
    trail = Trail(FIFTY)
    found = trail.history.between(TABLE, "k", iso_time(START_MS + 3000), iso_time(START_MS + 40_000))
    assert {place.path: (place.old, place.new) for place in found.differences}[("doc",)] == (text(3), text(40))
    assert len(trail.read) == 2


def test_a_history_reads_the_values_of_the_changes_that_are_shown_only() -> None:
    trail = Trail(FIFTY)
    changes = trail.history.item(TABLE, "k", until=iso_time(START_MS + 2000))
    shown = [part.new for one in changes for part in one.attributes if part.name == "doc"]
    assert shown == [text(1), text(2)]
    assert len(set(trail.read)) == 3  # and that of the item as it was created
    trail.read.clear()
    newest = next(trail.history.item(TABLE, "k", newest_first=True))
    assert {part.name: (part.old, part.new) for part in newest.attributes}["doc"] == (text(48), text(49))
    assert len(trail.read) == 2


def test_a_change_of_a_small_attribute_reads_nothing_of_the_large_ones() -> None:
    images = [{"doc": text(1), "n": {"N": str(n)}} for n in range(5)]
    trail = Trail(images)
    assert len(list(trail.history.item(TABLE, "k"))) == 4
    assert trail.read == []


def test_one_record_reads_its_own_values() -> None:
    trail = Trail([{"doc": text(1), "other": text(2)}, {"doc": text(3), "other": text(4)}])
    (one,) = trail.made
    record = next(found for found in one.records if found["updatedAttribute"] == {"S": "doc"})
    found = trail.history.record(record["id"]["S"])
    assert found is not None
    assert (found.attributes[0].old, found.attributes[0].new) == (text(1), text(3))
    assert len(trail.read) == 2


@pytest.mark.parametrize("fate", ["gone", "altered", "of another value"])
def test_a_value_that_is_lost_is_named_and_everything_else_is_shown(fate: str) -> None:
    images: list[Any] = [{"doc": text(n), "kept": text(90 + n), "n": {"N": str(n)}} for n in range(3)]
    trail = Trail([None, *images])
    (victim,) = {large.key for large in trail.made[1].large_values if large.is_new and b"00001" in large.text}
    body = trail.objects.pop(victim)
    if fate != "gone":
        others = [other for key, other in trail.objects.items() if key != victim]
        trail.objects[victim] = others[0] if fate == "of another value" else body[:-9] + b"123456789"
    state = trail.history.as_of(TABLE, "k", iso_time(START_MS + 1000))
    assert [(problem.code, "large value of doc" in problem.message) for problem in state.problems] == [
        ("ValueLost", True)
    ]
    assert state.item == {"key": {"S": "k"}, **{name: images[1][name] for name in ("kept", "n")}}
    assert state.unknown == ("doc",)
    for place in (0, 2):
        assert trail.history.as_of(TABLE, "k", iso_time(START_MS + place * 1000)).complete
    shown = [document(one)["attributes"] for one in trail.history.item(TABLE, "k")]
    parts = {part["updatedAttribute"]: part for part in shown[1]}
    assert (parts["doc"]["oldValue"], "newValue" in parts["doc"]) == (text(0)["S"], False)
    assert parts["doc"]["newValueRef"]["key"] == victim
    assert parts["kept"]["newValue"] == text(91)["S"]
    parts = {part["updatedAttribute"]: part for part in shown[2]}
    assert ("oldValue" in parts["doc"], parts["doc"]["newValue"]) == (False, text(2)["S"])


def test_an_item_of_many_small_attributes_that_is_too_large_for_a_record_is_known_all_the_same() -> None:
    """A few of them leave its record, though each is too small to be hashed by its commitment."""
    small = {f"a{n:03}": {"S": "y" * 1000} for n in range(380)}
    image = {**small, "doc": text(1, 3000), "more": text(2, 2000)}
    trail = Trail([None, image])
    (record,) = trail.made[0].records
    assert any(len(large.text) <= 1024 for large in trail.made[0].large_values)
    state = trail.history.as_of(TABLE, "k")
    assert (state.complete, state.item) == (True, {"key": {"S": "k"}, **image})
    assert len(trail.read) == len(record["newValueRefs"]["M"])


MANY = {f"{n:04x}": {"S": f"{n} " + "y" * 90} for n in range(3_900)}


def test_an_item_of_attributes_that_are_all_small_and_too_many_for_a_record_is_one_object() -> None:
    image = {**MANY, "doc": text(1, 5000), "pin": {"S": "4711"}}
    less = {name: value for name, value in image.items() if name != "00ff"}
    trail = Trail([None, image, less, None], redact=(("pin",),))
    first, last = trail.made[0].records[0], trail.made[2].records[0]
    for record, side in ((first, "new"), (last, "old")):
        assert record[f"{side}Value"] == {"M": {}}
        assert record[f"{side}ValueRefs"]["M"].keys() == {"doc"}
        assert record[f"{side}ValueRef"]["M"]["key"]["S"] in trail.objects
    shown = [{**one, "pin": {"#": ""}} for one in ({"key": {"S": "k"}, **image}, {"key": {"S": "k"}, **less})]
    for place, state in enumerate(shown):
        found = trail.history.as_of(TABLE, "k", iso_time(START_MS + 1000 * place))
        assert (found.complete, found.item) == (True, state)
    created, _, deleted = trail.history.item(TABLE, "k")
    assert (created.attributes[0].new, deleted.attributes[0].old) == ({"M": shown[0]}, {"M": shown[1]})
    said = document(created)["attributes"][0]
    assert said["newValueRef"]["commitment"] == first["newValueRef"]["M"]["commitment"]["S"]
    assert said["newValueRefs"].keys() == {"doc"}
    assert said["newValue"].keys() == shown[0].keys()


@pytest.mark.parametrize("fate", ["whole", "gone", "altered"])
def test_small_attributes_that_are_one_object_are_verified_with_it(fate: str) -> None:
    image = {**MANY, "doc": text(1, 5000)}
    trail = Trail([None, image])
    key = trail.made[0].records[0]["newValueRef"]["M"]["key"]["S"]
    if fate == "gone":
        del trail.objects[key]
    elif fate == "altered":
        trail.objects[key] = packed(b'{"M":{"0000":{"S":"another"}}}')
    findings = verify_item(
        trail.history.item(TABLE, "k", values=False),
        {"key": {"S": "k"}, **image},
        table=TABLE,
        table_arn=ARN,
        item_key="k",
        audited_from_birth=True,
        secrets=SECRETS,
        length_of=trail.history.length_of,
    ).findings
    assert {finding.kind for finding in findings} == (set() if fate == "whole" else {"lost", "edited"})
    shown = document(next(trail.history.item(TABLE, "k")))["attributes"][0]
    assert shown["newValue"].keys() >= {"doc"}
    assert ("0000" in shown["newValue"]) is (fate == "whole")
    assert "" not in shown["newValue"]
