"""A condition as typed becomes one that may be sent, or an error that points at the place."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sizes import sized
from weaudit.errors import InvalidInputError
from weaudit.updates.conditions import condition_of


def sent(text: str, **given_too: Any) -> str:
    """Return the expression with its names and values back in their places, so that it can be read."""
    found = condition_of(text, **given_too)
    expression = found.expression
    aliases = {**found.names, **{alias: next(iter(value.values())) for alias, value in found.values.items()}}
    for alias in sorted(aliases, key=len, reverse=True):
        expression = expression.replace(alias, f"«{aliases[alias]}»")
    return expression


def refusal_of(text: str) -> str:
    """Return why a condition is refused, "" where it is not; any other kind of error fails the test."""
    try:
        condition_of(text)
    except InvalidInputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("status = 'active'", "«status»=«active»"),
        ("attribute_not_exists(email)", "attribute_not_exists(«email»)"),
        ("a.b[2].name <> 1.50", "«a».«b»[2].«name»<>«1.5»"),
        ("size (a) >= 10 and contains(tags, 'x')", "size(«a»)>=«10» AND contains(«tags»,«x»)"),
        ("size = 1 OR attribute_exists = true", "«size»=«1» OR «attribute_exists»=«True»"),
        ("a BETWEEN -1 and 2E2 AND b in (1, '2', null)", "«a» BETWEEN «-1» AND «200» AND «b» IN («1»,«2»,«True»)"),
        ("a=1 or b=2 and not c=3", "«a»=«1» OR «b»=«2» AND NOT «c»=«3»"),
        ("(a=1 or b=2) and not (c=3 and d=4)", "(«a»=«1» OR «b»=«2») AND NOT («c»=«3» AND «d»=«4»)"),
        ("((((a) = (1))))", "«a»=«1»"),
        ("not not a=1", "NOT NOT «a»=«1»"),
        ("attribute_type(a, 'SS') AND begins_with(b, \"x\")", "attribute_type(«a»,«SS») AND begins_with(«b»,«x»)"),
        ("`a-b`.`in` = `a.b`", "«a-b».«in»=«a.b»"),
        (r"größe = 'it\'s \u00e9 \ud83d\ude00'", "«größe»=«it's é 😀»"),
        ("a.true = 1", "«a».«true»=«1»"),
        ("5 < a", "«5»<«a»"),
    ],
)
def test_a_condition_means_what_it_says(text: str, expression: str) -> None:
    assert sent(text) == expression


def test_nothing_typed_is_sent() -> None:
    found = condition_of("status = 'x' AND status <> 'y'")
    assert found.expression == "#c0=:c0 AND #c0<>:c1"
    assert found.names == {"#c0": "status"}
    assert found.values == {":c0": {"S": "x"}, ":c1": {"S": "y"}}


def test_placeholders_stand_for_what_is_given() -> None:
    found = condition_of("#n.x = :v OR contains(#n, :v)", {":v": {"SS": ["a"]}}, {"#n": "a.b"})
    assert found.expression == "#c0.#c1=:c0 OR contains(#c0,:c0)"
    assert found.names == {"#c0": "a.b", "#c1": "x"}
    assert found.values == {":c0": {"SS": ["a"]}}


@pytest.mark.parametrize(
    ("text", "character", "reason"),
    [
        ("", 1, "is expected"),
        ("status x", 8, "a comparison is expected"),
        ("a = ", 5, "is expected"),
        ("(a = 1", 1, "never closed"),
        ("a = 1)", 6, "never opened"),
        ("a != 1", 3, "<> is not equal"),
        ("a && b", 3, "AND joins"),
        ("total-used > 1", 6, "backticks"),
        ("d > 2024-01-01", 9, "AND, OR or the end"),
        ("a = 'x", 5, "no closing"),
        (r"a = '\q'", 6, "no such escape"),
        (r"a = '\ud83d'", 5, "surrogate"),
        ("in = 1", 1, "IN is a keyword"),
        ("``=1", 1, "not be empty"),
        ("foo(a)", 1, "no such function"),
        ("a = foo(b)", 5, "no such function"),
        ("a = attribute_exists(b)", 5, "a condition and not a value"),
        ("attribute_exists(a) = true", 21, "AND, OR or the end"),
        ("attribute_exists(a, b)", 1, "takes 1 operand"),
        ("attribute_exists(1)", 18, "the name of an attribute"),
        ("attribute_type(a, 'X')", 19, "a type of DynamoDB"),
        ("attribute_type(a, S)", 19, "a type of DynamoDB"),
        ("begins_with(a, 1)", 16, "begins_with takes S, B"),
        ("begins_with(a, size(b))", 16, "does not take a size"),
        ("size(size(a)) = 1", 6, "does not take a size"),
        ("size(1) = 1", 6, "size takes"),
        ("a < true", 5, "< takes S, N, B"),
        ("a = a", 5, "with itself"),
        ("a.b IN (1, a.b)", 12, "with itself"),
        ("contains(a, a)", 13, "with itself"),
        ("a BETWEEN 3 AND 2", 17, "less than the lower"),
        ("a BETWEEN 'é' AND 'z'", 19, "less than the lower"),
        ("a BETWEEN 1 AND '2'", 17, "two types"),
        ("a BETWEEN 1 OR 2", 13, "AND and the upper bound"),
        ("a IN ()", 7, "is expected"),
        ("a IN 1", 6, "( is expected"),
        ("a[-1] = 1", 3, "a position in a list"),
        ("a[1.5] = 1", 3, "a position in a list"),
        ("a[2147483648] = 1", 3, "at most 2147483647"),
        ("a = 1" + "0" * 126, 5, "38 digits"),
        (":v = 1", 1, "not in condition_values"),
        ("#n = 1", 1, "not in condition_names"),
        ("# = 1", 1, "begins a placeholder"),
        ("x" + ".x" * 32 + " = 1", 1, "32 is the most"),
        ("a IN (" + ",".join(["1"] * 101) + ")", 3, "100 is the most"),
    ],
)
def test_what_dynamodb_would_refuse_is_refused_with_its_place(text: str, character: int, reason: str) -> None:
    with pytest.raises(InvalidInputError, match="condition_expression") as caught:
        condition_of(text)
    message = str(caught.value)
    assert reason in message
    assert caught.value.details == {"character": character}
    _, line, caret = message.split("\n")
    assert caret.index("^") - 2 <= 60
    if len(text) <= 60:
        assert line == f"  {text}"
        assert caret.index("^") - 2 == character - 1


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("a = 1" + " " * 4092, 4096),
        (" AND ".join(f"a{n} = {n}" for n in range(280)), 4096),
        ("NOT " * 298 + "a = 1", 300),
        (" or ".join(["a<1"] * 150), 300),
        ("size(a) = 1" + " or size(a) = 1" * 99, 300),
    ],
)
def test_a_limit_that_is_passed_is_named(text: str, limit: int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        condition_of(text)
    assert caught.value.details == {"limit": limit}
    assert str(limit) in str(caught.value)


@pytest.mark.parametrize("text", ["(" * 2000 + "a" + ")" * 1999 + " = 1)", "NOT " * 297 + "a = 1", "(" * 4096])
def test_nothing_nests_too_deep_to_be_read(text: str) -> None:
    assert refusal_of(text).startswith(("", "condition_expression"))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([], None),
        (None, "x"),
        ({":v": 1, ":w": 2}, None),
        ({":v": 1}, {"#n": "b"}),
        ({"v": 1}, None),
        ({":v": {"S": "x"}}, None),
        ({":v": {"N": "1"}}, None),
        ({":v": {"SS": []}}, None),
        ({":v": float("nan")}, None),
        ({":v": 1, ":w": {"": 1}}, None),
        ({":v": 1}, {"#n": ""}),
        ({":v": 1}, {"#n": 5}),
    ],
)
def test_wrong_placeholders_are_refused(values: Any, names: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"condition_|does not use"):
        condition_of("a = :v", values, names)


PATHS = st.sampled_from(["a", "status", "a.b", "x[0]", "`in`.size", "größe"])
LITERALS = st.sampled_from(["1", "-2.5", "'text'", '"x"', "true", "null"])
CONDITIONS = st.recursive(
    st.one_of(
        st.tuples(PATHS, st.sampled_from(["=", "<>"]), LITERALS).map(" ".join),
        PATHS.map("attribute_exists({})".format),
        PATHS.map("size({}) > 3".format),
        PATHS.map("{} IN (1, 2)".format),
        PATHS.map("{} BETWEEN 1 AND 2".format),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} AND {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} OR {two[1]})"),
        inner.map(lambda one: f"(NOT {one})"),
    ),
    max_leaves=8,
)


@given(CONDITIONS)
def test_reading_a_condition_twice_changes_nothing(text: str) -> None:
    """What is sent is itself a condition, of the same meaning, with no parenthesis to spare."""
    once = condition_of(text)
    values = {alias: 1 if "N" in value else "x" for alias, value in once.values.items()}
    again = condition_of(once.expression, values or None, once.names)
    assert again.expression == once.expression


@given(CONDITIONS, st.randoms(use_true_random=False))
def test_space_and_case_of_keywords_mean_nothing(text: str, chance: random.Random) -> None:
    words = [chance.choice([word, word.lower()]) if word.isupper() else word for word in text.split(" ")]
    spread = "".join(word + chance.choice([" ", "  ", "\n", "\t "]) for word in words)
    assert condition_of(spread).expression == condition_of(text).expression


WORDS = (
    "a",
    "b.c",
    "status",
    "=",
    "<>",
    "<",
    "(",
    ")",
    "AND",
    "or",
    "NOT",
    "in",
    "between",
    ",",
    "1",
    "'x'",
    "[0]",
    ".",
)
ODD_WORDS = ("size(", "attribute_exists(", "contains(", ":v", "#n", "\\", "'", "`", "\x00", "\ud800", "é", "-")
SOUP = st.lists(st.sampled_from(WORDS + ODD_WORDS), max_size=25).map(" ".join)


@settings(max_examples=sized(200))
@given(st.one_of(SOUP, st.text(max_size=60)))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    message = refusal_of(text)
    if message:
        assert all(char.isprintable() or char == "\n" for char in message)
        return
    typed = "".join(char for char in condition_of(text).expression if char.isalpha() or char in "'\"`\\\x00é")
    for word in ("attributeexists", "contains", "size", "BETWEEN", "AND", "NOT", "OR", "IN"):
        typed = typed.replace(word, "")
    assert set(typed) <= {"c"}
