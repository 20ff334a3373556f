"""The rules that a watch writes: no change that was recorded is recorded otherwise when it is delivered again."""

from typing import Any

import pytest

from weaudit.capture.configuration import ALWAYS, watch_item
from weaudit.capture.rules import Rules
from weaudit.watch import plan as watch_plans

SOON, LATER = "2026-01-01T00:03:00.000Z", "2026-02-01T00:03:00.000Z"
BY, WHO = Rules(ALWAYS, "by"), Rules(SOON, "who", "at")


def versions(
    known: tuple[Rules, ...] | None, actor: str | None = None, fresh: str | None = None, *, recorded: bool = True
) -> tuple[Rules, ...]:
    item = None if known is None else watch_item("orders", known)
    return watch_plans.versions(item, "updatedBy", actor, fresh, LATER, recorded=recorded)


@pytest.mark.parametrize("known", [None, (BY,), (BY, WHO)])
def test_rules_that_nobody_names_stay(known: tuple[Rules, ...] | None) -> None:
    for recorded in (False, True):
        assert versions(known, recorded=recorded) == ()


def test_the_first_rules_of_a_table_are_in_force_from_its_first_change_on() -> None:
    assert versions(None, "by", recorded=False) == (BY,)
    assert versions(None, "", "at", recorded=False) == (Rules(ALWAYS, "", "at"),)
    # The attribute that is not named is the stack's.
    assert versions(None, None, "at", recorded=False) == (Rules(ALWAYS, "updatedBy", "at"),)


def test_the_first_rules_of_a_table_that_is_watched_already_come_after_those_that_it_has() -> None:
    assert versions(None, "by") == (Rules(ALWAYS, "updatedBy"), Rules(LATER, "by"))
    assert versions(None, None, "at") == (Rules(ALWAYS, "updatedBy"), Rules(LATER, "updatedBy", "at"))
    # To say what holds already changes nothing.
    assert versions(None, "updatedBy") == (Rules(ALWAYS, "updatedBy"),)


@pytest.mark.parametrize("recorded", [False, True])
def test_other_rules_are_one_more_version_and_the_same_rules_none(recorded: bool) -> None:
    assert versions((BY,), "by", recorded=recorded) == ()
    assert versions((BY,), "who", recorded=recorded) == (BY, Rules(LATER, "who"))
    assert versions((BY, WHO), "by", recorded=recorded) == (BY, WHO, Rules(LATER, "by", "at"))
    assert versions((BY, WHO), None, "", recorded=recorded) == (BY, WHO, Rules(LATER, "who"))
    assert versions((BY, WHO), "who", "at", recorded=recorded) == ()


@pytest.mark.parametrize("broken", [{"S": "by"}, {"M": {"from": {"S": "soon"}, "actor": {"S": "x"}}}])
def test_a_version_that_cannot_be_read_goes_when_the_rules_are_named_again(broken: Any) -> None:
    item = watch_item("orders", (BY,))
    item["versions"]["L"].append(broken)
    for actor, written in (("by", (BY,)), ("who", (BY, Rules(LATER, "who"))), (None, ())):
        assert watch_plans.versions(item, "updatedBy", actor, None, LATER, recorded=True) == written
    alone = {**item, "versions": {"L": [broken]}}
    assert watch_plans.versions(alone, "updatedBy", "updatedBy", None, LATER, recorded=True) == (
        Rules(ALWAYS, "updatedBy"),
    )


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (BY, "that writers of orders state who they are in 'by'"),
        (Rules(ALWAYS), "that orders states no actor"),
        (WHO, f"that writers of orders state who they are in 'who', and confirm it by changing 'at', from {SOON} on"),
    ],
)
def test_a_plan_says_which_rules_it_writes_and_from_when(rules: Rules, said: str) -> None:
    found = watch_plans.steps("orders", "s", rules, "Configuration", turn_on=False, deploy=False, new=False, resume="")
    assert found == (f"write into Configuration {said}",)


def test_a_new_version_keeps_the_subject_of_the_one_before() -> None:
    known = (Rules(ALWAYS, "by", subject="key:user"),)
    assert versions(known, actor="who") == (*known, Rules(LATER, "who", subject="key:user"))
