"""Changes on a screen and as JSON: readable, safe, and nothing lost that is not said to be cut."""

import io
import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from rich.console import Console

from tests import strategies
from tests.strategies import change
from tests.trails import decide
from weaudit.capture.changes import Change
from weaudit.cli.printing.rendering import Rendering, fold_text, path_text, value_text
from weaudit.items.plain import plain
from weaudit.items.texts import dumps
from weaudit.items.values import canonical, same_value
from weaudit.trail.changes import AuditedChange
from weaudit.trail.documents import document
from weaudit.trail.folding import Fold
from weaudit.trail.history import changes
from weaudit.values import replaced

KEY = {"key": {"S": "k"}}
NULL = {"NULL": True}


def gathered(*told: Change, **rules: Any) -> list[AuditedChange]:
    """Return the changes as a reader has them who has read every large value."""
    return list(changes(record for one in told for record in decide(one, inline_bytes=10**6, **rules)))


def screen(*told: Change, width: int = 120, with_items: bool = False, colour: bool = False, **rules: Any) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=width, highlight=False, force_terminal=colour, color_system="standard" if colour else None
    )
    rendering = Rendering(console, utc=True, with_items=with_items)
    assert rendering.print(gathered(*told, **rules)) == len(told)
    text = file.getvalue()
    assert rendering.cut == ("…" in text)
    # Signs that look alike are told apart by the linter, not by readers.
    return text.replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-")


def rows(old: dict[str, Any], new: dict[str, Any], **asked: Any) -> list[str]:
    """Return what and old → new of each line of one modification, blanks folded."""
    lines = screen(change({**KEY, **old}, {**KEY, **new}), **asked).splitlines()[1:]
    return [" ".join(line[37:].split()) for line in lines]


def test_a_life_of_an_item_reads_from_top_to_bottom() -> None:
    told = [None, {**KEY, "value": {"N": "3600"}}, {**KEY, "value": {"N": "1800"}, "by": {"S": "alice"}}, None]
    steps = [change(old, new, sequence=str(number)) for number, (old, new) in enumerate(itertools.pairwise(told))]
    assert screen(*steps, actor="by", width=100).splitlines() == [
        "When (UTC)           Who             What              Old → new",
        '2024-01-01 00:00:00  unknown         created           {key: "k", value: 3600}',
        '2024-01-01 00:00:00  alice (stated)  by                + "alice"',
        "                                     value             3600 → 1800",
        '2024-01-01 00:00:00  unknown         deleted           {key: "k", value: 1800, by: "alice"}',
    ]


def test_a_carried_actor_is_shown_as_a_question() -> None:
    """The item names somebody, and this write did not set it."""
    text = screen(change({**KEY, "by": {"S": "ada"}}, {**KEY, "by": {"S": "ada"}, "v": NULL}), actor="by")
    assert "ada? (carried)" in " ".join(text.split())
    assert "stated" not in text


def test_a_reason_follows_what_was_changed_for_it() -> None:
    """It is told from an attribute of that name, is on one line, and is cut like any long value."""
    new: dict[str, Any] = {**KEY, "(reason)": {"N": "2"}, "reason": {"N": "1"}}
    (made,) = gathered(change(KEY, new))
    for reason, shown in (
        ("ticket 4711", "ticket 4711"),
        ("two\n\x1b[31mlines [bold]", "two\\n\\x1b[31mlines [bold]"),
        ("x" * 1024, "x" * 240 + "… (1,024 characters)"),
    ):
        file = io.StringIO()
        rendering = Rendering(Console(file=file, width=600, highlight=False), utc=True, with_items=True)
        rendering.print([replaced(made, reason=reason)])
        lines = [" ".join(line.split()) for line in file.getvalue().splitlines()[1:]]
        assert lines == ['2024-01-01 00:00:00 unknown k "(reason)" + 2', "reason + 1", f"(reason) {shown}"]
        assert document(replaced(made, reason=reason))["reason"] == reason
    assert "reason" not in document(made)


def test_masked_places_are_shown_as_redacted_at_every_depth() -> None:
    masked: dict[str, Any] = {"redact": (("pin",), ("card", "code"))}
    old = {**KEY, "pin": {"S": "1234"}, "card": {"M": {"code": {"S": "1"}, "n": {"N": "1"}}}}
    new = {**KEY, "pin": {"S": "9876"}, "card": {"M": {"code": {"S": "2"}, "n": {"N": "2"}}}}
    lines = [" ".join(line.split()) for line in screen(change(old, new), **masked).splitlines()[1:]]
    assert lines == ["2024-01-01 00:00:00 unknown card.n 1 → 2", "pin [REDACTED] → [REDACTED]"]
    text = " ".join(screen(change(None, old), **masked).split())
    assert 'created {key: "k", pin: [REDACTED], card: {code: [REDACTED], n: 1}}' in text
    only = {**new, "card": {"M": {"code": {"S": "3"}, "n": {"N": "2"}}}}
    text = " ".join(screen(change(new, only), **masked).split())
    assert text.endswith("card [REDACTED] → [REDACTED]")
    assert " + [REDACTED]" in screen(change(KEY, {**KEY, "pin": {"S": "1"}}), **masked)


def test_a_masked_place_within_a_large_value_is_redacted_too() -> None:
    masked: dict[str, Any] = {"redact": (("card", "code"),)}
    large = {"M": {"code": {"S": "1234"}, "z": {"S": "x" * 5000}}}
    text = screen(change(None, {**KEY, "card": large}), **masked)
    assert "code: [REDACTED]" in " ".join(text.split())
    assert "1234" not in text


def test_a_large_value_that_is_not_here_is_named_and_the_others_are_shown() -> None:
    file = io.StringIO()
    image = {**KEY, "a": {"S": "x" * 5000}, "n": {"N": "1"}}
    later = {**image, "a": {"S": "y" * 5000}, "n": {"N": "2"}}
    told = [record for one in (change(None, image), change(image, later, sequence="2")) for record in decide(one)]
    rendering = Rendering(Console(file=file, width=1000, highlight=False), utc=True, with_items=False)
    assert rendering.print(changes(told)) == 2
    created, lost, known = (" ".join(line.split()) for line in file.getvalue().splitlines()[1:])
    assert created.endswith(
        '{key: "k", n: 1} (large values are gone from the evidence bucket, or were altered there: a)'
    )
    assert lost.count("5,008 bytes, gone from s3://") == 2
    assert known == "n 1 → 2"


def test_a_deletion_by_ttl_says_so() -> None:
    text = screen(change({**KEY}, None, service="dynamodb.amazonaws.com"))
    assert "DynamoDB (TTL)  deleted" in text


def test_a_tables_changes_name_their_items() -> None:
    text = screen(change(None, KEY, keys={"pk": {"S": "a"}, "sk": {"N": "7"}}), with_items=True, width=140)
    assert '{"pk":{"S":"a"},"s' in text
    assert "Item" in text


def test_nested_differences_are_told_path_by_path() -> None:
    old = {"a": {"M": {"b": {"L": [{"N": "0"}, {"N": "0"}, {"N": "1"}]}, "x y": NULL}}, "s": {"SS": ["a", "b"]}}
    new = {"a": {"M": {"b": {"L": [{"N": "0"}, {"N": "0"}, {"N": "2"}]}}}, "s": {"SS": ["b", "c"]}, "a.b": NULL}
    assert rows(old, new) == ['a.b[2] 1 → 2', 'a["x y"] - null', '"a.b" + null', 's - "a" + "c"']  # fmt: skip


def test_a_run_of_changes_that_are_left_out_is_one_line_in_its_place() -> None:
    (made,) = gathered(change(None, KEY))
    file = io.StringIO()
    rendering = Rendering(Console(file=file, width=100, highlight=False), utc=True, with_items=True)
    assert rendering.print([Fold(3, ("updatedAt",)), made, Fold(1, ("a b", "n"))]) == 3
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("When (UTC)")
    assert lines[1] == "… 3 changes of updatedAt alone"
    assert lines[2].split()[-3:] == ["created", "{key:", '"k"}']
    assert lines[3:] == ['… 1 change of "a b", n alone']
    assert not rendering.cut, "--json shows no more of these"


def test_the_line_of_a_fold_is_short_and_safe_whatever_the_names_are() -> None:
    assert fold_text(Fold(12_345, tuple("abcdefg"))) == "… 12,345 changes of a, b, c, d, e and 2 more attributes alone"
    assert fold_text(Fold(1, tuple("abcdef"))) == "… 1 change of a, b, c, d, e and 1 more attribute alone"
    text = fold_text(Fold(2, ("\x1b[2J\nx", "größe", "x" * 60_000, "\u202e")))
    assert text.isprintable()
    assert "größe" in text
    assert len(text) < 200


def test_absent_null_and_empty_look_different() -> None:
    old: dict[str, Any] = {"a": NULL, "b": {"S": ""}, "c": {"L": []}}
    assert rows(old, {"b": NULL, "c": NULL, "d": {"M": {}}}) == ["a - null", 'b "" → null', "c [] → null", "d + {}"]


def test_long_values_are_cut_where_they_part() -> None:
    shared = "same " * 1000
    (line,) = ["".join(rows({"t": {"S": f"{shared}OLD"}}, {"t": {"S": f"{shared}NEW"}}))]
    assert 'same OLD" → …' in line
    assert 'same NEW"' in line
    (whole,) = ["".join(rows({"t": {"S": "a"}}, {"t": {"S": "b" * 5000}}))]
    assert "(5,002 characters)" in whole
    assert len(whole) < 400


def test_many_differences_are_counted_and_not_listed() -> None:
    def numbers(start: int) -> dict[str, Any]:
        return {"L": [{"N": str(start + number)} for number in range(300)]}

    found = rows({"t": numbers(0)}, {"t": numbers(1000)})
    assert len(found) == 51
    assert found[-1] == "… and 250 more places"
    assert "and 10 more" in " ".join(
        rows({"t": {"NS": ["1"]}}, {"t": {"NS": ["1", *(str(n) for n in range(10, 70))]}}, width=400)
    )


@pytest.mark.parametrize("bad", ["\x1b[31mred", "\x9b2J", "a\nb\rc", "\x07", "‮evil", "[bold]x[/bold]", "\ud800"])
def test_a_value_cannot_steer_the_terminal(bad: str) -> None:
    told = change(
        {**KEY, bad: {"S": bad}}, {**KEY, bad: {"M": {bad: {"S": bad}}}, "by": {"S": bad}}, keys={"key": {"S": bad}}
    )
    text = screen(told, with_items=True, actor="by", width=300)
    json_text = dumps([document(one) for one in gathered(told, actor="by")])
    for shown in (text, json_text):
        assert all(char.isprintable() or char == "\n" for char in shown)
    if bad.startswith("[bold]"):
        assert text.count("[bold]x[/bold]") >= 3
    assert json.loads(json_text)[0]["itemKey"] == bad


def test_colours_only_on_a_terminal() -> None:
    told = change({**KEY, "v": {"N": "1"}}, {**KEY, "v": {"N": "2"}})
    assert "\x1b[31m1" in screen(told, colour=True)
    assert "\x1b" not in screen(told)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_every_width_shows_everything(width: int) -> None:
    text = screen(change(None, {**KEY, "v": {"S": "word " * 20}}), width=width, with_items=True)
    assert text.count("word") == 20 or width < 80  # narrower, words themselves are broken


@given(strategies.values)
def test_plain_json_never_makes_two_values_one(value: dict[str, Any]) -> None:
    """The way back from plain JSON is unambiguous."""

    def typed(found: Any) -> dict[str, Any]:
        if found is None:
            return NULL
        if isinstance(found, bool):
            return {"BOOL": found}
        if isinstance(found, int | Decimal):
            return {"N": f"{found:f}" if isinstance(found, Decimal) else str(found)}
        if isinstance(found, str):
            return {"S": found}
        if isinstance(found, list):
            return {"L": [typed(part) for part in found]}
        kind = next(iter(found), "") if len(found) == 1 else ""
        if kind == "M":
            return {"M": {name: typed(part) for name, part in found["M"].items()}}
        if kind == "NS":
            return {"NS": [typed(number)["N"] for number in found["NS"]]}
        if kind in ("B", "SS", "BS"):
            return dict(found)
        return {"M": {name: typed(part) for name, part in found.items()}}

    for indent in (2, None):
        again = typed(json.loads(dumps(plain(value), indent), parse_float=Decimal))
        assert same_value(again, canonical(value))


@given(strategies.values)
def test_every_value_is_one_safe_line(value: dict[str, Any]) -> None:
    assert value_text(value).isprintable()


def test_what_is_no_value_is_shown_as_it_is() -> None:
    assert value_text({}) == "{}"
    assert value_text({"X": ["\x1b"]}) == '{"X": ["\\u001b"]}'
    assert plain({}) == {}
    assert value_text({"N": "many"}) == '"many"'


def test_paths_read_alone_or_are_quoted() -> None:
    assert path_text(("a", "b", 2, "c-d", "x y", "größe", "")) == 'a.b[2].c-d["x y"].größe[""]'
    assert path_text(("a.b",)) == '"a.b"'
