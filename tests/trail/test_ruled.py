"""Trails over which the rules of their table changed: what is provable stays so, and what is not is named."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import SECRETS
from tests.trail.test_item_history import Index
from tests.trails import EVIDENCE, changed, decision, one_by_one, rules_objects, rules_of
from weaudit.capture.masking import clear_of
from weaudit.capture.rules import hides
from weaudit.capture.store_secrets import Secrets
from weaudit.evidence import packed
from weaudit.items.times import iso_time
from weaudit.items.values import data, same_value
from weaudit.trail.reader import AuditHistory
from weaudit.trail.states import AsOf
from weaudit.trail.verification.verifying import Verdict, verify_item
from weaudit.values import replaced

TABLE = "Configuration"
ARN = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{TABLE}"
START_MS = 1_711_922_395_000
Image = dict[str, Any] | None
Places = dict[str, list[str]]

RULES: list[Places] = [
    {},
    {"redact": ["card"]},
    {"redact": ["card", "who.pin"]},
    {"exclude": ["card"]},
    {"exclude": ["who.pin"], "ignore": ["at"]},
    {"ignore": ["at", "who.seen"]},
    {"hash": ["card"], "ignore": ["at"]},
    {"hash": ["who.pin"], "redact": ["card"]},
    {"only": ["n", "who"]},
    {"only": ["n"], "redact": ["who"]},
]


class Ruled:
    """The trail of an item through these images; the change into each is recorded under the rules beside it."""

    def __init__(self, life: Sequence[tuple[Image, Places]], inline_bytes: int = 4096) -> None:
        self.images = [None if image is None else {"key": {"S": "k"}, **image} for image, _ in life]
        self.rules = [rules_of(**self._keyed(places)) for _, places in life]
        made = list(changed("k", [None, *(image for image, _ in life)], at_ms=START_MS))
        kept = [(one, places) for one, (_, places) in zip(made, life, strict=True) if one.old_image or one.new_image]
        decided = [decision(one, inline_bytes, **self._keyed(places)) for one, places in kept]
        self.records = [record for one in decided for record in one.records]
        self.objects = {large.key: packed(large.text) for one in decided for large in one.large_values}
        for places in (*RULES, *(places for _, places in life)):
            self.objects |= rules_objects(**self._keyed(places))
        self.live = self.images[-1]

    def _keyed(self, places: Places) -> Places:
        return places | {"only": [*places["only"], "key"]} if "only" in places else places

    @property
    def history(self) -> AuditHistory:
        index = Index(self.records)
        return AuditHistory(
            index.query,
            one_by_one(index.query),
            index.get,
            "Audit",
            lambda _, key: self.objects.get(key),
            lambda: EVIDENCE,
        )

    def verdict(self, secrets: Secrets | None = SECRETS) -> Verdict:
        history = self.history
        return verify_item(
            history.item(TABLE, "k", values=False),
            self.live,
            table=TABLE,
            table_arn=ARN,
            item_key="k",
            audited_from_birth=True,
            secrets=secrets,
            length_of=history.length_of,
            rules_of=history.rules,
            versions=[
                replaced(rules, since=iso_time(START_MS + 1000 * place)) for place, rules in enumerate(self.rules)
            ],
        )

    def as_of(self, place: int) -> AsOf:
        """Return the state after the write at a place."""
        return self.history.as_of(TABLE, "k", sequence=str(10**21 + 1 + place), live=lambda: self.live)


def item(n: int, card: str, *, pin: str = "1111", at: int = 0, seen: str = "x", size: int = 0) -> dict[str, Any]:
    who = {"pin": {"S": pin}, "seen": {"S": seen}, "text": {"S": "t" * size}}
    return {"n": {"N": str(n)}, "card": {"S": card}, "at": {"N": str(at)}, "who": {"M": who}}


images = st.builds(
    item,
    st.integers(0, 2),
    st.sampled_from(["4711", "0815"]),
    pin=st.sampled_from(["1111", "2222"]),
    at=st.integers(0, 2),
    seen=st.sampled_from(["x", "y"]),
    size=st.sampled_from([0, 2_000, 5_000]),
).flatmap(
    lambda whole: st.sampled_from([(), ("card",), ("who",), ("at",)]).map(
        lambda gone: {name: value for name, value in whole.items() if name not in gone}
    )
)
lives = st.lists(st.tuples(st.none() | images | images | images, st.integers(0, 1)), min_size=1, max_size=8).flatmap(
    lambda steps: st.lists(st.sampled_from(RULES), min_size=len(steps), max_size=len(steps)).map(
        # The rules change at some of the writes and stay at the others.
        lambda rules: [
            (image, rules[max(before for before in range(place + 1) if steps[before][1] or before == 0)])
            for place, (image, _) in enumerate(steps)
        ]
    )
)


@pytest.mark.parametrize(
    "rules", [{"redact": ["who.pin"]}, {"hash": ["who.pin"]}, {"redact": ["who.pin", "card"]}], ids=str
)
@pytest.mark.parametrize("secrets", [None, SECRETS])
def test_a_place_that_is_now_a_map_and_now_a_text_makes_no_fault(rules: Places, secrets: Secrets | None) -> None:
    """One value of a record is masked whole then, and of the other a part or nothing."""
    shapes: list[Any] = [
        {"S": "text"},
        item(1, "")["who"],
        {"NULL": True},
        {"S": "text"},
        {"M": {}},
        {"S": "t"},
        {"N": "1"},
    ]
    ruled = Ruled([({"who": who}, rules) for who in shapes])
    assert ruled.verdict(secrets).findings == ()
    shown = [ruled.as_of(place).item for place in range(len(shapes))]
    assert [data(one or {})["who"] for one in shown] == [
        clear_of({"who": who}, rules_of(**rules))[0]["who"] for who in shapes
    ]


@given(lives, st.sampled_from([None, SECRETS]))
def test_a_trail_over_which_the_rules_changed_has_no_fault(life: Any, secrets: Secrets | None) -> None:
    ruled = Ruled(life)
    assert ruled.verdict(secrets).findings == ()


@given(lives)
def test_what_was_read_of_the_values_makes_no_difference(life: Any) -> None:
    """Some rules hide what others show, whether a value is in its record or in the evidence bucket."""
    for inline_bytes in (100, 10_000):
        assert Ruled(life, inline_bytes).verdict().findings == ()


@given(lives)
def test_a_state_is_what_the_rules_left_of_the_item_or_says_what_is_wrong(life: Any) -> None:
    ruled = Ruled(life)
    for place, (image, rules) in enumerate(zip(ruled.images, ruled.rules, strict=True)):
        state = ruled.as_of(place)
        if not state.complete or state.last_change is None:
            continue
        if image is None or state.item is None:
            assert state.exists is False or state.item == image
            continue
        recorded = int(state.last_change.sequence) - 10**21 - 1
        shown = clear_of(data(image), ruled.rules[recorded])[0]
        # Since the last recorded change, writes may have changed what the rules of their time hide.
        unseen = ruled.rules[recorded + 1 : place + 1]
        for name in shown.keys() | state.item.keys():
            if not any(hides(one, name) for one in unseen):
                assert same_value(state.item.get(name), shown.get(name)), rules


def test_the_bytes_of_a_redelivery_are_the_same_whatever_the_rules_are_by_then() -> None:
    life = [(item(1, "4711"), RULES[0]), (item(2, "4711"), RULES[1]), (item(3, "0815", at=2), RULES[6])]
    assert Ruled(life).records == Ruled(life).records


def whole(*life: tuple[Image, Places], secrets: Secrets | None = SECRETS) -> list[tuple[str, ...]]:
    """Verify, and return the places that were not compared."""
    verdict = Ruled(list(life)).verdict(secrets)
    assert verdict.findings == ()
    return [found.places for found in verdict.not_compared]


CARD = RULES[1]


def test_a_place_that_is_redacted_from_now_on_is_compared_by_who_has_the_secret_and_named_to_others() -> None:
    life = [(item(1, "4711"), RULES[0]), (item(2, "4711"), CARD), (item(3, "4711"), CARD)]
    assert whole(*life) == []
    assert whole(*life, secrets=None) == [("card",), ("card",)]


def test_a_place_that_is_redacted_no_more_is_compared_if_a_later_change_says_what_it_was() -> None:
    life = [(item(1, "4711"), CARD), (item(2, "4711"), RULES[0])]
    assert whole(*life) == []
    assert whole(*life, secrets=None) == [("card",)]


def test_two_masked_places_of_which_one_was_masked_before_cannot_be_compared() -> None:
    assert whole((item(1, "4711"), CARD), (item(2, "4711"), RULES[2])) == [("card", "who.pin")]


def test_what_the_earlier_rules_excluded_is_named_if_nothing_says_what_it_was() -> None:
    excluded = (item(1, "4711"), RULES[3])
    shown = (item(2, "4711"), RULES[0])
    assert whole(excluded, shown) == []  # the live item says so
    assert whole(excluded, shown, (None, RULES[0])) == []  # and so does a deleted item
    assert whole(excluded, shown, (item(3, "4711"), RULES[3]), (item(4, "0815"), RULES[0]), (None, RULES[3])) != []


def test_a_change_taken_away_between_two_rules_is_a_gap() -> None:
    life = [(item(1, "4711"), RULES[0]), (item(2, "4711"), RULES[0]), (item(3, "4711"), CARD), (item(4, "4711"), CARD)]
    ruled = Ruled(life)
    for place in (1, 2):
        lacking = Ruled(life)
        lacking.records = [record for record in ruled.records if record["sequenceNumber"]["S"][-1] != str(place + 1)]
        assert len(lacking.records) == len(ruled.records) - 1
        assert [finding.kind for finding in lacking.verdict().findings] == ["gap"]


def test_a_masked_value_that_another_replaced_unseen_between_two_rules_is_a_gap_to_who_has_the_secret() -> None:
    life = [(item(1, "4711"), RULES[0]), (item(1, "0815"), RULES[0]), (item(2, "0815"), CARD)]
    ruled = Ruled(life)
    ruled.records = [record for record in ruled.records if record.get("updatedAttribute") != {"S": "card"}]
    assert [finding.kind for finding in ruled.verdict().findings] == ["gap"]
    assert [found.places for found in ruled.verdict(None).not_compared] == [("card",), ("card",)]


def test_rules_whose_text_is_gone_are_a_finding_once_and_a_state_under_them_is_not_known() -> None:
    ruled = Ruled([(item(1, "4711"), RULES[5]), (item(2, "4711"), RULES[5]), (item(3, "4711"), RULES[5])])
    ruled.objects = {key: body for key, body in ruled.objects.items() if not key.startswith("rules/")}
    kinds = [finding.kind for finding in ruled.verdict().findings]
    assert kinds.count("lost") == 1
    assert "rules" in next(finding.text for finding in ruled.verdict().findings if finding.kind == "lost")
    state = ruled.as_of(1)
    assert (state.complete, [problem.code for problem in state.problems]) == (False, ["RulesLost"])


def test_rules_under_another_text_are_not_believed() -> None:
    ruled = Ruled([(item(1, "4711"), CARD)])
    [key] = rules_objects(**CARD)
    ruled.objects[key] = b'{"ignore":["n"]}'
    assert [finding.kind for finding in ruled.verdict().findings] == ["lost"]


def test_a_difference_over_a_change_of_rules_claims_nothing_about_what_they_hide() -> None:
    ruled = Ruled([(item(1, "4711", at=1), RULES[0]), (item(2, "4711", at=2), CARD | {"ignore": ["at"]})])
    found = ruled.history.between(TABLE, "k", "2024-03-31T21:59:55.000Z", "2024-03-31T21:59:56.000Z")
    assert [place.path for place in found.differences] == [("n",)]
    assert found.unknown == ("at", "card")


@pytest.mark.parametrize(("later", "unknown"), [("4711", ()), ("0815", ("card",))])
def test_a_difference_says_where_a_masked_value_may_have_changed(later: str, unknown: tuple[str, ...]) -> None:
    ruled = Ruled([(item(1, "4711"), CARD), (item(2, later), CARD)])
    found = ruled.history.between(TABLE, "k", "2024-03-31T21:59:55.000Z", "2024-03-31T21:59:56.000Z")
    assert (found.complete, found.unknown) == (True, unknown)
