"""What is left out of changes: attributes nobody asked to see, and changes of nothing else, which are counted."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import attributes, change, names
from tests.trails import decide
from weaudit.evidence import REST
from weaudit.trail.changes import AttributeChange, AuditedChange
from weaudit.trail.folding import Fold, folded, limited
from weaudit.trail.history import changes, without

KEY: dict[str, Any] = {"key": {"S": "k"}}
NULL = {"NULL": True}
LARGE = {"S": "x" * 5000}
left_outs = st.frozensets(names | st.just("key"), max_size=3)


def gathered(*told: Any, **rules: Any) -> list[AuditedChange]:
    """Return the changes that lead through these items, as they are recorded."""
    steps = (change(old, new, sequence=str(at)) for at, (old, new) in enumerate(itertools.pairwise(told), 1))
    return list(changes(record for step in steps for record in decide(step, **rules)))


@given(attributes, attributes, left_outs)
def test_an_attribute_left_out_is_in_no_part_of_a_change_and_everything_else_is(
    old: dict[str, Any], new: dict[str, Any], left_out: frozenset[str]
) -> None:
    for found in gathered(None, {**KEY, **old}, {**KEY, **new}, None):
        kept = without(found, left_out)
        if found.event_name == "MODIFY":
            rest = tuple(part for part in found.attributes if part.name not in left_out)
            assert (None if kept is None else kept.attributes) == (rest or None)
        else:
            assert kept is not None
            ((whole,), (part,)) = (found.attributes, kept.attributes)
            for before, after in ((whole.old, part.old), (whole.new, part.new)):
                expected = (
                    None if before is None else {"M": {n: v for n, v in before["M"].items() if n not in left_out}}
                )
                assert after == expected
        if kept is not None:
            assert len(kept.records) == len(kept.attributes)
            assert set(kept.record_ids) <= set(found.record_ids)
            assert (kept.before_hash, kept.after_hash) == (found.before_hash, found.after_hash)


def test_a_name_with_a_dot_is_a_name_and_not_a_path() -> None:
    (found,) = gathered({**KEY, "a": {"M": {"b": NULL}}, "a.b": NULL}, {**KEY, "a": {"M": {}}, "a.b": {"S": ""}})
    kept = without(found, frozenset(["a.b"]))
    assert kept is not None
    assert [part.name for part in kept.attributes] == ["a"]


def test_the_reference_and_the_masked_places_of_an_attribute_go_with_it() -> None:
    image = {**KEY, "a": LARGE, "b": LARGE, "pin": {"M": {"code": NULL}}, "pan": NULL}
    (found,) = gathered(None, image, redact=(("pin", "code"), ("pan",)))
    kept = without(found, frozenset(["a", "pin"]))
    assert kept is not None
    ((whole,), (part,)) = (found.attributes, kept.attributes)
    assert [reference.name for reference in part.new_refs] == ["b"]
    assert part.masked == ("pan",)
    assert part.new == {"M": {name: value for name, value in whole.new["M"].items() if name not in ("a", "pin")}}  # type: ignore[index]


def test_all_small_attributes_of_an_item_that_are_stored_together_keep_their_reference() -> None:
    """Which of them are to be left out is known only once they are read."""
    small = {f"a{number}": {"S": "x" * 20} for number in range(14_000)}
    (found,) = gathered(None, {**KEY, **small})
    (part,) = found.attributes
    assert [reference.name for reference in part.new_refs] == [REST]
    kept = without(found, frozenset(["a1"]))
    assert kept is not None
    assert kept.attributes == found.attributes


@pytest.mark.parametrize("value", [None, {"S": "x"}, {"M": "x"}, {}])
def test_an_item_that_was_written_by_hand_is_shown_as_it_is(value: Any) -> None:
    record = {"id": {"S": "forged"}} | ({} if value is None else {"newValue": value})
    (found,) = changes([record])
    assert without(found, frozenset(["a"])) == found


# One change after the other: what each of them touches.
touched = st.lists(st.frozensets(st.sampled_from("abcd"), min_size=1), max_size=12)


def touching(steps: list[frozenset[str]]) -> list[AuditedChange]:
    items = [{**KEY, **{key: {"N": "0"} for key in "abcd"}}]
    for number, step in enumerate(steps, 1):
        items.append({**items[-1], **{key: {"N": str(number)} for key in step}})
    return gathered(*items)


@given(touched, st.frozensets(st.sampled_from("abcd")))
def test_a_run_of_noise_is_one_fold_that_counts_it(steps: list[frozenset[str]], left_out: frozenset[str]) -> None:
    found = touching(steps)
    out = list(folded(found, left_out))
    shown = [one for one in out if isinstance(one, AuditedChange)]
    assert shown == [kept for one in found if (kept := without(one, left_out)) is not None]
    folds = [one for one in out if isinstance(one, Fold)]
    assert len(shown) + sum(fold.count for fold in folds) == len(found)
    assert not any(isinstance(one, Fold) and isinstance(other, Fold) for one, other in itertools.pairwise(out))
    noise = [step for step in steps if step <= left_out]
    assert {name for fold in folds for name in fold.names} == {name for step in noise for name in step}
    assert all(fold.count > 0 and list(fold.names) == sorted(set(fold.names)) for fold in folds)


@given(touched, st.frozensets(st.sampled_from("abcd")), st.integers(1, 6))
def test_a_limit_counts_what_is_shown_and_nothing_is_read_beyond_it(
    steps: list[frozenset[str]], left_out: frozenset[str], limit: int
) -> None:
    read = []

    def reading() -> Any:
        for one in touching(steps):
            read.append(one)
            yield one

    out = list(limited(reading(), limit, left_out))
    assert out == read
    shown = [one for one in out if without(one, left_out) is not None]
    assert len(shown) == min(limit, sum(not step <= left_out for step in steps))
    assert len(shown) < limit or out[-1] == shown[-1]


def test_folding_is_lazy() -> None:
    found = touching([frozenset("a"), frozenset("b"), frozenset("a")])
    read = iter(found)
    first = next(folded(read, frozenset("a")))
    assert (first, len(list(read))) == (Fold(1, ("a",)), 1)
    assert list(limited(found, None, frozenset())) == found
    assert list(folded(found, frozenset())) == found


def test_a_part_without_a_name_is_a_whole_item() -> None:
    """Which is never noise, even where every attribute of it is left out."""
    (created,) = gathered(None, KEY)
    kept = without(created, frozenset(["key"]))
    assert kept is not None
    assert kept.attributes == (AttributeChange(None, None, {"M": {}}),)
