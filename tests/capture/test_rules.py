"""What rules about places may say, and what they leave of an item."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.strategies import change
from tests.trails import decide, decision, rules_of, terms
from weaudit.capture import records as auditing
from weaudit.capture.configuration import faults_of, versions_of, watch_item
from weaudit.capture.erased import late_records
from weaudit.capture.rules import MOST_PLACES, Erasure, Rules, place_of, places_text, resolved, rules_with, with_places
from weaudit.errors import InvalidInputError
from weaudit.items.paths import path_text
from weaudit.values import replaced

KEY: dict[str, Any] = {"key": {"S": "k"}}
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda name: "[" not in name)


@given(st.lists(NAMES, min_size=1, max_size=4).map(tuple))
def test_a_place_is_read_as_its_path_is_written(path: tuple[str, ...]) -> None:
    assert place_of(path_text(path)) == path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the name of an attribute"),
        (None, "the name of an attribute"),
        ({"S": "x"}, "the name of an attribute"),
        (".", "joined by single dots"),
        ("a..b", "joined by single dots"),
        ("a.", "joined by single dots"),
        ("a\\", "joined by single dots"),
        (".".join("a" * 33), "32 at most"),
        ("lines[0].price", 'Name the whole list: "lines"'),
        ("x" * 1025, "1024 bytes"),
    ],
)
def test_what_is_no_place_is_refused_with_what_is_right(text: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said.replace(".", r"\.")):
        place_of(text)


def test_a_name_with_brackets_is_written_with_a_backslash() -> None:
    assert place_of("a\\[0]") == ("a[0]",)
    assert place_of("a[x]") == ("a[x]",)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({"redact": ["a"], "exclude": ["a"]}, "one rule is the most"),
        ({"redact": ["a"], "hash": ["a.b"]}, "lies within"),
        ({"ignore": ["a.b"], "exclude": ["a"]}, "lies within"),
        ({"only": ["a.b"]}, "no paths"),
        ({"redact": ["by"], "actor": "by"}, "name themselves"),
        ({"exclude": ["at.time"], "fresh": "at"}, "name themselves"),
        ({"ignore": ["_weaudit"]}, "own mark"),
        ({"hash": ["_weaudit"]}, "own mark"),
        ({"exclude": [f"a{n}" for n in range(MOST_PLACES + 1)]}, "the most"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(places: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        rules_of(**places)


@pytest.mark.parametrize("name", ["exclude", "ignore", "redact", "hash"])
def test_a_place_in_the_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="part of the key"):
        resolved(rules_of(**{name: ["pk"]}), {"pk", "sk"})


def test_only_keeps_the_key() -> None:
    assert resolved(rules_of(only=["a"]), {"pk"}) == rules_of(only=["a", "pk"])
    assert resolved(rules_of(redact=["a"]), {"pk"}) == rules_of(redact=["a"])


def test_the_digest_is_of_the_places_alone_in_whatever_order_they_are_given() -> None:
    one = with_places(Rules(actor="by"), redact=[("a",), ("b", "c")], ignore=[("d",)])
    other = with_places(Rules("2024-01-01T00:00:00.000Z"), ignore=[("d",)], redact=[("b", "c"), ("a",), ("a",)])
    assert one.digest == other.digest
    assert len(one.digest) == 12
    assert places_text(one) == '{"ignore":["d"],"redact":["a","b.c"]}'
    assert rules_with(places_text(one).encode(), one.digest) == replaced(one, actor="")
    for text in (b'{"ignore":["d"]}', b"[]", b"{", b'{"redact": ["a"]}', "{'ä'}".encode("latin-1")):
        assert rules_with(text, one.digest) is None
    assert with_places(one, redact=(), ignore=()).digest == Rules().digest == b""


RULED = rules_of(redact=["a.b", "c"], exclude=["d"], hash=["e"], ignore=["f"], only=["a", "c", "e", "f"], actor="f")


def test_a_version_is_written_and_read_again() -> None:
    ruled = replaced(RULED, since="2024-01-01T00:00:00.000Z", requires_reason=True)
    item = watch_item("orders", [ruled])
    assert versions_of(item) == (ruled,)
    assert faults_of(item) == ()
    item["versions"]["L"][0]["M"]["redact"] = {"SS": ["c", "a.b"]}  # a set does as well
    assert versions_of(item) == (ruled,)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"redcat": {"L": [{"S": "card"}]}}, '"redcat" is no rule'),
    ({"redact": {"S": "card"}}, "redact is not of type L or SS"),
    ({"redact": {"L": [{"N": "1"}]}}, "the name of an attribute"),
    ({"redact": {"L": [{"S": "lines[0]"}]}}, "leads into a list"),
    ({"redact": {"L": [{"S": "a"}]}, "hash": {"L": [{"S": "a"}]}}, "one rule is the most"),
    ({"requireReason": {"S": "yes"}}, "requireReason is not of type BOOL"),
    ({"from": {"S": ""}}, "from is not a time"),
    ({"actor": {"S": "x" * 256}}, "actor has more than 255 bytes"),
]


@pytest.mark.parametrize(("parts", "said"), BAD)
def test_a_version_that_is_not_valid_is_left_out_and_named(parts: dict[str, Any], said: str) -> None:
    item = watch_item("orders", [Rules("2024-01-01T00:00:00.000Z", "by")])
    good = versions_of(item)
    item["versions"]["L"].append({"M": {"from": {"S": "2025-01-01T00:00:00Z"}, **parts}})
    assert versions_of(item) == good
    [fault] = faults_of(item)
    assert fault.startswith("version 2: ")
    assert said in fault


def test_a_version_about_the_key_is_named_where_the_key_is_known() -> None:
    item = watch_item("orders", [rules_of(redact=["pk"])])
    item["versions"]["L"][0]["M"]["from"] = {"S": "2024-01-01T00:00:00Z"}
    assert faults_of(item) == ()
    [fault] = faults_of(item, ("pk",))
    assert "part of the key" in fault


# ---- what rules leave of a change


def test_a_change_of_excluded_or_ignored_places_alone_makes_no_record() -> None:
    old = {**KEY, "at": {"N": "1"}, "m": {"M": {"seen": {"N": "1"}, "x": {"N": "1"}}}, "token": {"S": "a"}}
    new = {**KEY, "at": {"N": "2"}, "m": {"M": {"seen": {"N": "2"}, "x": {"N": "1"}}}, "token": {"S": "b"}}
    assert decide(change(old, new), exclude=["token"], ignore=["at", "m.seen"]) == []
    assert decide(change(old, {**KEY, "m": old["m"]}), exclude=["token"], ignore=["at"]) == []
    assert len(decide(change(old, new), exclude=["token"], ignore=["at"])) == 2


def test_an_ignored_place_is_recorded_beside_other_changes_and_an_excluded_one_is_not() -> None:
    old = {**KEY, "n": {"N": "1"}, "at": {"N": "1"}, "token": {"S": "a"}}
    new = {**KEY, "n": {"N": "2"}, "at": {"N": "2"}, "token": {"S": "b"}}
    found = decide(change(old, new), exclude=["token"], ignore=["at"])
    assert [record["updatedAttribute"]["S"] for record in found] == ["at", "n"]
    assert {record["records"]["N"] for record in found} == {"2"}
    [made] = decide(change(None, new), exclude=["token"], ignore=["at"])
    assert made["newValue"] == {"M": {**KEY, "n": {"N": "2"}, "at": {"N": "2"}}}
    [gone] = decide(change(old, None), exclude=["token"], ignore=["at"])
    assert gone["oldValue"] == {"M": {**KEY, "n": {"N": "1"}, "at": {"N": "1"}}}
    without = decide(change(None, {**KEY, "n": {"N": "2"}}), exclude=["token"], ignore=["at"])
    assert without[0]["afterHash"] == made["afterHash"]


def test_only_the_attributes_that_are_named_are_recorded() -> None:
    [made] = decide(change(None, {**KEY, "n": {"N": "1"}, "x": {"S": "y"}}), only=["n", "key"])
    assert made["newValue"] == {"M": {**KEY, "n": {"N": "1"}}}
    assert decide(change({**KEY, "x": {"S": "y"}}, {**KEY, "x": {"S": "z"}}), only=["n", "key"]) == []


def test_a_hashed_place_shows_equality_and_no_value() -> None:
    def shown(value: str, path: str = "email") -> str:
        [record] = decide(change(None, {**KEY, path: {"S": value}}), hash=[path])
        return str(record["newValue"]["M"][path]["S"])

    assert shown("ana") == shown("ana") != shown("bo")
    assert shown("ana") != shown("ana", "mail")
    assert shown("ana").startswith("hmac-sha256:")
    assert "ana" not in shown("ana")
    [changed] = decide(change({**KEY, "e": {"N": "1.0"}}, {**KEY, "e": {"N": "2"}}), hash=["e"])
    assert changed["oldValue"] != changed["newValue"]
    assert changed["masked"] == {"L": [{"S": "e"}]}
    assert decide(change({**KEY, "e": {"N": "1.0"}}, {**KEY, "e": {"N": "1"}}), hash=["e"]) == []


RULES: list[dict[str, Any]] = [
    {"exclude": ["x", "m.x"]},
    {"redact": ["x", "m.x"]},
    {"hash": ["x", "m.x"], "ignore": ["at"]},
    {"only": ["key", "n"]},
    {"redact": ["m"], "exclude": ["x"]},
]


@given(st.sampled_from(RULES), strategies.attributes, st.integers(0, 6000), st.sampled_from(["", "L", "S", "deep"]))
def test_no_byte_of_what_is_hidden_is_decided(rules: dict[str, Any], other: Any, size: int, odd: str) -> None:
    canary: dict[str, Any] = {"S": "canary" + "y" * size}
    inners: dict[str, dict[str, Any]] = {
        "": {"M": {"x": canary}},
        "L": {"L": [canary]},
        "S": canary,
        "deep": {"M": {"x": {"M": {"z": canary}}}},
    }
    item = {**other, **KEY, "x": canary, "m": inners[odd], "at": {"N": "1"}}
    plain = {**other, **KEY, "n": {"N": "1"}}
    for pair in ((None, item), (item, plain), (plain, item), (item, {**item, "n": {"N": "2"}}), (item, None)):
        decided = decision(change(*pair), **rules)
        written = json.dumps(decided.records).encode() + b"".join(large.text for large in decided.large_values)
        assert b"canary" not in written


def test_a_change_that_comes_after_its_erasure_names_no_attribute_that_rules_leave_out() -> None:
    erased = replaced(terms(exclude=["token"], ignore=["at"]), secret=b"")
    old, new = {**KEY, "n": {"N": "1"}, "token": {"S": "a"}}, {**KEY, "n": {"N": "2"}, "token": {"S": "b"}}
    found = late_records(change(old, new), erased, Erasure("ada", "2024-01-01T00:00:00.000Z"))
    assert [record["updatedAttribute"]["S"] for record in found] == ["n"]
    assert auditing.changed_names(old, {**old, "token": {"S": "c"}}, erased) == []
