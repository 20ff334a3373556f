"""The rules that a watch writes: no change that was recorded is recorded otherwise when it is delivered again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaudit.capture.configuration import ALWAYS, in_force, versions_of, watch_item
from weaudit.capture.rules import MOST_PLACES, PLACES, Rules, place_of, with_places
from weaudit.errors import InvalidInputError
from weaudit.values import replaced
from weaudit.watch import plan as watch_plans
from weaudit.watch import ruling
from weaudit.watch.wishes import Wish

NOW_MS = 1_769_904_000_000  # three minutes before LATER
SOON, LATER = "2026-01-01T00:03:00.000Z", "2026-02-01T00:03:00.000Z"
BY, WHO = Rules(ALWAYS, "by"), Rules(SOON, "who", "at")
KEY = ("pk", "sk")


def ruled(item: dict[str, Any] | None) -> ruling.Ruling:
    return ruling.of_item(item, KEY, "updatedBy", NOW_MS)


def versions(
    known: tuple[Rules, ...] | dict[str, Any] | None,
    actor: str | None = None,
    fresh: str | None = None,
    *,
    recorded: bool = True,
    **options: Any,
) -> tuple[Rules, ...]:
    item = watch_item("orders", known) if isinstance(known, tuple) else known
    return watch_plans.versions(ruled(item), Wish.of(actor, fresh, **options), LATER, KEY, recorded=recorded)


def rules(since: str = ALWAYS, actor: str = "by", *, requires_reason: bool = False, **places: Any) -> Rules:
    found = Rules(since, actor, requires_reason=requires_reason)
    return with_places(found, **{name: list(map(place_of, texts)) for name, texts in places.items()})


@pytest.mark.parametrize("known", [None, (BY,), (BY, WHO)])
def test_rules_that_nobody_names_stay(known: tuple[Rules, ...] | None) -> None:
    for recorded in (False, True):
        assert versions(known, recorded=recorded) == ()


def test_the_first_rules_of_a_table_are_in_force_from_its_first_change_on() -> None:
    assert versions(None, "by", recorded=False) == (BY,)
    assert versions(None, "", "at", recorded=False) == (Rules(ALWAYS, "", "at"),)
    # The attribute that is not named is the stack's.
    assert versions(None, None, "at", recorded=False) == (Rules(ALWAYS, "updatedBy", "at"),)
    assert versions(None, exclude=["card"], recorded=False) == (rules(actor="updatedBy", exclude=["card"]),)


def test_the_first_rules_of_a_table_that_is_watched_already_come_after_those_that_it_has() -> None:
    assert versions(None, "by") == (Rules(ALWAYS, "updatedBy"), Rules(LATER, "by"))
    assert versions(None, None, "at") == (Rules(ALWAYS, "updatedBy"), Rules(LATER, "updatedBy", "at"))
    assert versions(None, redact=["pin"]) == (Rules(ALWAYS, "updatedBy"), rules(LATER, "updatedBy", redact=["pin"]))
    # To say what holds already changes nothing.
    assert versions(None, "updatedBy") == (Rules(ALWAYS, "updatedBy"),)


@pytest.mark.parametrize("recorded", [False, True])
def test_other_rules_are_one_more_version_and_the_same_rules_none(recorded: bool) -> None:
    assert versions((BY,), "by", recorded=recorded) == ()
    assert versions((BY,), "who", recorded=recorded) == (BY, Rules(LATER, "who"))
    assert versions((BY, WHO), "by", recorded=recorded) == (BY, WHO, Rules(LATER, "by", "at"))
    assert versions((BY, WHO), None, "", recorded=recorded) == (BY, WHO, Rules(LATER, "who"))
    assert versions((BY, WHO), "who", "at", recorded=recorded) == ()


def test_a_list_that_is_given_replaces_that_list_and_the_others_stay() -> None:
    known = (rules(exclude=["card", "cvv"], ignore=["at"]),)
    later = versions(known, exclude=["pin"], requires_reason=True)[-1]
    assert later == rules(LATER, exclude=["pin"], ignore=["at"], requires_reason=True)
    assert versions(known, exclude=[""])[-1] == rules(LATER, ignore=["at"])
    # Typer gives an empty list for an option that is not there: it is not given.
    assert versions(known, exclude=[], ignore=None) == ()
    # The same places in another order, or twice, are the same list.
    assert versions(known, exclude=["cvv", "card", "cvv"]) == ()
    assert versions((replaced(known[0], requires_reason=True),), requires_reason=False)[-1] == replaced(
        known[0], since=LATER
    )


def test_a_version_that_is_still_to_come_becomes_a_part_of_the_new_one() -> None:
    """It would be in force before, or instead of, what was asked for last."""
    pending, far = rules(LATER, exclude=["card"]), rules("2030-01-01T00:00:00.000Z", exclude=["card"])
    for one in (pending, far):
        assert versions((BY, one), redact=["pin"]) == (BY, rules(LATER, exclude=["card"], redact=["pin"]))
    # One that comes sooner stays: functions may go by it already.
    soon = replaced(pending, since="2026-02-01T00:02:59.000Z")
    assert versions((BY, soon), redact=["pin"])[:2] == (BY, soon)


@pytest.mark.parametrize(
    ("options", "wrong", "right"),
    [
        ({"exclude": ["tags[0]"]}, "leads into a list", 'Name the whole list: "tags"'),
        ({"exclude": ["a..b"]}, "is no path", "single dots"),
        ({"redact": ["sk"]}, "part of the key", '"sk" cannot be under redact'),
        ({"ignore": ["pk.x"]}, "part of the key", "under ignore"),
        ({"redact": ["card"], "hash": ["card.number"]}, "lies within", "keep one of the two"),
        ({"exclude": ["card"], "hash": ["card"]}, "one rule is the most", "under exclude and under hash"),
        ({"exclude": ["by"]}, "writers name themselves there", "no change could say who made it"),
        ({"fresh": "at", "hash": ["at"]}, "confirm it", "cannot be under hash"),
        ({"only": ["a.b"]}, "no paths", "exclude leaves out a part of a map"),
        ({"only": ["status"]}, "'by' is not under only", 'Add --only by, or give --actor ""'),
        ({"only": ["status", "by"], "fresh": "at"}, "'at' is not under only", 'give --fresh ""'),
        ({"exclude": ["", "card"]}, "clears the list", "Leave it out"),
        ({"ignore": ["_weaudit"]}, "own mark", "no record shows"),
        ({"actor": "é" * 128}, "--actor is the name of an attribute", "255 bytes at most"),
        ({"exclude": [f"a{n}" for n in range(MOST_PLACES + 1)]}, "101 places", "100 is the most"),
    ],
)
def test_rules_that_are_not_valid_are_refused_with_what_would_be_right(
    options: dict[str, Any], wrong: str, right: str
) -> None:
    for recorded in (False, True):
        with pytest.raises(InvalidInputError) as refused:
            versions((BY,), recorded=recorded, **options)
        assert wrong in str(refused.value)
        assert right in str(refused.value)


def test_what_stays_must_fit_what_is_given() -> None:
    with pytest.raises(InvalidInputError, match="writers name themselves there"):
        versions((rules(exclude=["editor"]),), "editor")
    with pytest.raises(InvalidInputError, match="'who' is not under only"):
        versions((rules(only=["by", "status"]),), "who")
    # An attribute that confirms the actor may be ignored: who wrote is read from what is recorded.
    assert versions((BY,), None, "at", ignore=["at"])[-1].ignored == (("at",),)
    # Of the key, only needs nothing said: it is recorded always.
    assert versions((BY,), only=["by"])[-1].only == (("by",),)
    assert versions((BY,), "pk", only=["status"])[-1].actor == "pk"


PLACE = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=3).map(tuple)
LISTS = st.dictionaries(st.sampled_from(["exclude", "ignore", "redact", "hash"]), st.lists(PLACE, max_size=3))


@given(st.lists(LISTS, min_size=1, max_size=4), st.booleans())
def test_whatever_is_written_is_valid_and_leaves_what_was_in_force(
    wishes: list[dict[str, Any]], recorded: bool
) -> None:
    item: dict[str, Any] | None = None
    for number, places in enumerate(wishes):
        later = f"2026-02-0{number + 1}T00:00:00.000Z"
        wish = Wish(places={name: tuple(paths) for name, paths in places.items()})
        try:
            found = watch_plans.versions(ruled(item), wish, later, KEY, recorded=recorded)
        except InvalidInputError:
            continue
        if not found:
            continue
        written = watch_item("orders", found)
        assert versions_of(written) == found
        assert not ruled(written).faults
        before = Rules(ALWAYS, "updatedBy")
        if item is not None or recorded:
            earlier = in_force(versions_of(item), "2026-01-31T00:00:00.000Z", before)
            assert in_force(found, "2026-01-31T00:00:00.000Z", before) == earlier
        item = written


INVALID: list[Any] = [
    {"S": "by"},
    {"M": {"from": {"S": "soon"}, "actor": {"S": "x"}}},
    {"M": {"from": {"S": SOON}, "exclud": {"SS": ["card"]}}},
    {"M": {"from": {"S": SOON}, "exclude": {"SS": ["sk"]}}},  # a part of the key
    {"M": {"from": {"S": SOON}, "actor": {"B": b"\0"}}},
]


@pytest.mark.parametrize("broken", INVALID)
def test_a_version_that_is_not_valid_goes_when_the_rules_are_named_again(broken: Any) -> None:
    item = watch_item("orders", (BY,))
    item["versions"]["L"].append(broken)
    for actor, written in (("by", (BY,)), ("who", (BY, Rules(LATER, "who"))), (None, ())):
        assert versions(item, actor) == written
        steps = watch_plans.rules_steps("orders", ruled(item), written, "Configuration")
        assert [step for step in steps if step.startswith("drop from Configuration what is not valid")] == (
            [f"drop from Configuration what is not valid of the rules of orders: {ruled(item).faults[0]}"]
            if written
            else []
        )
    [note] = watch_plans.rules_notes("orders", ruled(item), (), {}, holds_rules=False)
    assert "those before stay in force" in note
    assert ruled(item).faults[0] in note


@pytest.mark.parametrize("broken", INVALID)
def test_where_no_version_is_valid_the_new_one_governs_the_changes_that_wait(broken: Any) -> None:
    """They wait because nothing says what they must not show: rules that hide nothing must not be put before."""
    item = {**watch_item("orders", (BY,)), "versions": {"L": [broken]}}
    assert versions(item, exclude=["card"]) == (rules(actor="updatedBy", exclude=["card"]),)
    assert versions(item, "updatedBy") == (Rules(ALWAYS, "updatedBy"),)
    [note, *_] = watch_plans.rules_notes("orders", ruled(item), versions(item, "updatedBy"), {}, holds_rules=False)
    assert "the changes of orders that wait" in note
    [note] = watch_plans.rules_notes("orders", ruled(item), (), {}, holds_rules=False)
    assert "no other is, so the changes of the table wait" in note


FULL = rules(
    SOON, "by", exclude=["card", "cvv"], ignore=["at"], redact=["address.street"], hash=["email"], requires_reason=True
)


@pytest.mark.parametrize(
    ("known", "options", "said"),
    [
        (None, {"actor": "by"}, ["writers of orders state who they are in 'by'"]),
        (None, {"actor": ""}, ["orders states no actor"]),
        (
            None,
            {"actor": "by", "ignore": ["at"]},
            [
                "writers of orders state who they are in 'by'",
                "'at' is ignored (changes of nothing else make no record)",
            ],
        ),
        (
            (BY,),
            {"actor": "who", "fresh": "at"},
            ["writers of orders state who they are in 'who', and confirm it by changing 'at'"],
        ),
        (
            (BY,),
            {
                "exclude": ["cvv", "card"], "ignore": ["at"], "redact": ["address.street"], "hash": ["é"],
                "requires_reason": True,
            },
            [
                "'card' and 'cvv' are excluded (in no record and no hash)",
                "'at' is ignored (changes of nothing else make no record)",
                "'address.street' is redacted (records show a change, and no value)",
                "'é' is hashed (records show keyed hashes in place of values)",
                "an update through table-update-function must say why",
            ],
        ),
        (
            (FULL,),
            {"exclude": ["card"], "redact": [""], "requires_reason": False},
            [
                "'cvv' is no longer excluded",
                "'address.street' is no longer redacted",
                "an update through table-update-function need not say why",
            ],
        ),
        ((BY,), {"only": ["by", "a\\.b", "c"]}, ["only the key and 'a\\.b', 'by' and 'c' are recorded"]),
        ((rules(only=["by"]),), {"only": [""]}, ["all attributes are recorded"]),
    ],
)  # fmt: skip
def test_a_plan_says_which_rules_it_writes_and_from_when(
    known: tuple[Rules, ...] | None, options: dict[str, Any], said: list[str]
) -> None:
    item = None if known is None else watch_item("orders", known)
    found = versions(item, recorded=known is not None, **options)
    begins = f" from {LATER} on," if known else ""
    assert watch_plans.rules_steps("orders", ruled(item), found, "Configuration") == (
        f"write into Configuration that{',' if known else ''}{begins} {'; '.join(said)}",
    )


def test_a_plan_says_what_is_overtaken() -> None:
    item = watch_item("orders", (BY, rules("2030-01-01T00:00:00.000Z", exclude=["card"])))
    dropped, _ = watch_plans.rules_steps("orders", ruled(item), versions(item, redact=["pin"]), "Configuration")
    far = "drop from Configuration the rules of orders that were to be in force from 2030-01-01T00:00:00.000Z on"
    assert dropped == far


INDEXED = {
    "KeySchema": [{"AttributeName": "pk"}],
    "GlobalSecondaryIndexes": [{"KeySchema": [{"AttributeName": "gsi1pk"}, {"AttributeName": "pk"}]}],
}


def test_notes_say_what_rules_leave_as_it_is() -> None:
    before = watch_item("orders", (BY,))

    def notes(item: dict[str, Any] | None = before, *, holds_rules: bool = False, **options: Any) -> str:
        found = versions(item, recorded=item is not None, **options)
        return " ".join(watch_plans.rules_notes("orders", ruled(item), found, INDEXED, holds_rules=holds_rules))

    assert "Records that were made before stay as they are: `weaudit rules orders`" in notes(exclude=["card"])
    assert notes(actor="who") == ""
    assert notes(None, exclude=["card"]) == "", "there are none"
    assert "WATCH/… and HOLD/… are recorded whole" in notes(ignore=["at"], holds_rules=True)
    assert "No record will have the keys of indexes 'gsi1pk'" in notes(exclude=["gsi1pk"])
    assert "indexes" not in notes(ignore=["gsi1pk"])


def test_rules_that_no_item_can_hold_are_refused() -> None:
    long: dict[str, Any] = {
        name: [f"{name}{n}".ljust(1000, "x") for n in range(20)] for name in ("exclude", "ignore", "redact", "hash")
    }
    known = tuple(rules(f"2020-01-0{day}T00:00:00.000Z", **long) for day in range(1, 6))
    watch_plans.check_size("orders", known)
    found = versions(known, exclude=["card"])
    assert len(found) == 6
    with pytest.raises(InvalidInputError, match=r"in 6 versions, and an item holds 409,600\nName fewer or shorter"):
        watch_plans.check_size("orders", found)


def test_a_new_version_keeps_the_subject_of_the_one_before() -> None:
    known = (Rules(ALWAYS, "by", subject="key:user"),)
    assert versions(known, actor="who") == (*known, Rules(LATER, "who", subject="key:user"))


def test_every_rule_about_places_can_be_wished_for_and_no_other() -> None:
    options: dict[str, Any] = {name: ["a"] for name in PLACES}
    assert Wish.of(**options).places == dict.fromkeys(PLACES, (("a",),))
    with pytest.raises(TypeError, match="no rule"):
        Wish.of(exlude=["a"])
    assert not Wish.of(**dict.fromkeys(PLACES)).given
