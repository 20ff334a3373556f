"""A processed template with parameters and physical names put in, and documents compared as AWS reads them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaudit.doctor.template import UNKNOWN, Place, Template, same

PLACE = Place("123456789012", "eu-west-1", "aws", "weaudit-prod")
BODY: dict[str, Any] = {
    "Parameters": {
        "Key": {"Type": "String", "Default": ""},
        "Arns": {"Type": "CommaDelimitedList", "Default": "a,b"},
        "Retain": {"Type": "String", "Default": "true"},
    },
    "Conditions": {
        "HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Key"}, ""]}]},
        "Retained": {"Fn::Equals": [{"Ref": "Retain"}, "true"]},
        "Both": {"Fn::And": [{"Condition": "HasKey"}, {"Condition": "Retained"}]},
        "Either": {"Fn::Or": [{"Condition": "HasKey"}, {"Condition": "Retained"}]},
        "FirstIsA": {"Fn::Equals": [{"Fn::Select": ["0", {"Ref": "Arns"}]}, "a"]},
    },
    "Resources": {
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"Name": {"Ref": "AWS::NoValue"}, "List": [1]}},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Version": {"Type": "AWS::Lambda::Version"},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"Path": {"Fn::Sub": "/${AWS::StackName}/"}}},
        "OnlyWithKey": {"Type": "AWS::KMS::Key", "Condition": "HasKey"},
    },
}
PHYSICAL = {
    "Table": "t",
    "Queue": "https://sqs/123456789012/q",
    "Version": "arn:aws:lambda:r:a:function:f:12",
    "Role": "r",
}


def template(**parameters: str) -> Template:
    return Template(BODY, parameters, PHYSICAL, PLACE)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"Ref": "Table"}, "t"),
        ({"Ref": "Arns"}, ["a", "b"]),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "Elsewhere"}, UNKNOWN),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "arn:aws:dynamodb:eu-west-1:123456789012:table/t"),
        ({"Fn::GetAtt": "Table.StreamArn"}, f"arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/{UNKNOWN}"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:eu-west-1:123456789012:q"),
        ({"Fn::GetAtt": ["Version", "Version"]}, "12"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::123456789012:role/weaudit-prod/r"),
        ({"Fn::GetAtt": ["Queue", "Other"]}, UNKNOWN),
        ({"Fn::Sub": "${Table}/${Queue.Arn}/${!x}"}, "t/arn:aws:sqs:eu-west-1:123456789012:q/${!x}"),
        ({"Fn::Sub": ["${mine}-${Table}", {"mine": {"Ref": "AWS::StackName"}}]}, "weaudit-prod-t"),
        ({"Fn::If": ["HasKey", "yes", {"Ref": "AWS::NoValue"}]}, object),
        ({"Fn::Join": [",", [{"Ref": "Table"}, "x"]]}, "t,x"),
        ({"Fn::ImportValue": "x"}, UNKNOWN),
        ({"a": {"Fn::If": ["HasKey", 1, {"Ref": "AWS::NoValue"}]}, "b": [{"Ref": "AWS::NoValue"}, 2]}, {"b": [2]}),
    ],
)
def test_functions_are_resolved(value: Any, found: Any) -> None:
    resolved = template().value(value)
    assert type(resolved) is object if found is object else resolved == found


@pytest.mark.parametrize(
    ("parameters", "holding"),
    [
        ({}, {"Retained", "Either", "FirstIsA"}),
        ({"Key": "k"}, {"HasKey", "Retained", "Both", "Either", "FirstIsA"}),
        ({"Key": "k", "Retain": "false", "Arns": "b"}, {"HasKey", "Either"}),
    ],
)
def test_conditions_decide_what_there_is(parameters: dict[str, str], holding: set[str]) -> None:
    found = template(**parameters)
    assert {name for name in BODY["Conditions"] if found.holds(name)} == holding
    assert ("OnlyWithKey" in found.resources()) == ("HasKey" in holding)


def test_a_resource_has_the_name_that_commands_take() -> None:
    found = template().resources()
    assert (found["Table"].properties, found["Table"].name, found["Queue"].name) == ({"List": [1]}, "t", "q")


json_values = st.recursive(
    st.text("ab*:", max_size=4) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.randoms(use_true_random=False))
def test_a_document_is_the_same_in_any_order_and_no_other(value: Any, random: Any) -> None:
    def shuffled(part: Any) -> Any:
        if isinstance(part, list):
            found = [shuffled(one) for one in part]
            random.shuffle(found)
            return found
        return {name: shuffled(one) for name, one in part.items()} if isinstance(part, dict) else part

    assert same(value, shuffled(value))
    assert not same({"a": value}, {"a": value, "b": 1})
    assert not same([value], [value, value])


@pytest.mark.parametrize(
    ("expected", "found", "agree"),
    [
        ("a", ["a"], True),
        (["a", "b"], ["b", "a"], True),
        (["a"], ["a", "b"], False),
        (True, "True", True),
        (f"table/t/stream/{UNKNOWN}", "table/t/stream/2024", True),
        (f"table/t/stream/{UNKNOWN}", "table/t/stream/*", False),
        (f"table/t/stream/{UNKNOWN}", "*", False),
        (f"table/t/stream/{UNKNOWN}", "table/u/stream/2024", False),
        ({"a": 1}, "a", False),
    ],
)
def test_what_is_not_known_is_no_asterisk(expected: Any, found: Any, agree: bool) -> None:
    assert same(expected, found) is agree
