"""What a deployed template says of its resources, with this stack's parameters and physical names put in.

Pure: a template that CloudFormation has processed, and what it tells of the stack, in; values out. What only AWS knows
(the label of a stream) becomes UNKNOWN inside its text, and ``same`` takes any text without an asterisk for it.

tests/infra/intrinsics.py evaluates the same functions, on purpose by itself: tests of the template judge independently.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN = "\0"
_NOTHING = object()
_SUB = re.compile(r"\$\{([^!}]+)\}")
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
    "AWS::KMS::Key": "kms:{region}:{account}:key/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is: what its pseudo parameters stand for."""

    account: str
    region: str
    partition: str
    stack: str


@dataclass(frozen=True, slots=True)
class Expected:
    """One resource as the template says that it is. ``physical`` is CloudFormation's physical id of it."""

    logical: str
    kind: str
    physical: str
    properties: dict[str, Any]

    @property
    def name(self) -> str:
        """The name by which people and commands call the resource: the last part of a queue's URL, else its id."""
        return self.physical.rpartition("/")[2] if self.kind == "AWS::SQS::Queue" else self.physical


class Template:
    """A processed template, for these parameters and physical ids by logical id."""

    def __init__(
        self, body: Mapping[str, Any], parameters: Mapping[str, str], physical: Mapping[str, str], place: Place
    ) -> None:
        self._resources: Mapping[str, Any] = body["Resources"]
        self._conditions: Mapping[str, Any] = body.get("Conditions", {})
        self._physical = physical
        self._place = place
        declared: Mapping[str, Any] = body.get("Parameters", {})
        values = {name: str(row.get("Default", "")) for name, row in declared.items()} | dict(parameters)
        lists = {name for name, row in declared.items() if "List" in str(row.get("Type"))}
        self._values: dict[str, Any] = {
            name: value.split(",") if name in lists else value for name, value in values.items()
        }
        self._values |= {
            "AWS::AccountId": place.account,
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackName": place.stack,
            "AWS::URLSuffix": "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com",
            "AWS::NoValue": _NOTHING,
        }

    def resources(self) -> dict[str, Expected]:
        """Return every resource that the stack has by the template's conditions, by its logical id."""
        found = {}
        for logical, row in self._resources.items():
            if "Condition" not in row or self.holds(row["Condition"]):
                properties = self.value(row.get("Properties") or {})
                found[logical] = Expected(logical, row["Type"], self._physical.get(logical, ""), properties)
        return found

    def holds(self, condition: str) -> bool:
        """Tell whether a condition of the template holds."""
        return self._truth(self._conditions[condition])

    def _truth(self, value: Any) -> bool:
        if isinstance(value, Mapping) and len(value) == 1:
            [(name, inner)] = value.items()
            match name:
                case "Condition":
                    return self.holds(inner)
                case "Fn::Not":
                    return not self._truth(inner[0])
                case "Fn::And":
                    return all(map(self._truth, inner))
                case "Fn::Or":
                    return any(map(self._truth, inner))
                case "Fn::Equals":
                    first, second = map(self.value, inner)
                    return str(first) == str(second)
        return str(self.value(value)).lower() == "true"

    def value(self, value: Any) -> Any:
        """Return ``value`` with every intrinsic function resolved; what AWS::NoValue stands for is left out."""
        if isinstance(value, list):
            return [found for part in value if (found := self.value(part)) is not _NOTHING]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(name, inner)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, inner)
        return {key: found for key, part in value.items() if (found := self.value(part)) is not _NOTHING}

    def _function(self, name: str, inner: Any) -> Any:
        match name:
            case "Ref":
                return self._ref(inner)
            case "Fn::GetAtt":
                logical, attribute = inner if isinstance(inner, list) else inner.split(".", 1)
                return self._attribute(logical, attribute)
            case "Fn::Sub":
                text, local = (inner, {}) if isinstance(inner, str) else inner
                return _SUB.sub(lambda match: str(self._named(match[1].strip(), local)), text)
            case "Fn::If":
                return self.value(inner[1] if self.holds(inner[0]) else inner[2])
            case "Fn::Join":
                return str(inner[0]).join(map(str, self.value(inner[1])))
            case "Fn::Select":
                found = self.value(inner[1])
                return found[int(inner[0])] if isinstance(found, list) else UNKNOWN
        return UNKNOWN

    def _named(self, name: str, local: Mapping[str, Any]) -> Any:
        if name in local:
            return self.value(local[name])
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        return self._physical.get(name) or UNKNOWN

    def _attribute(self, logical: str, attribute: str) -> str:
        physical = self._physical.get(logical, "")
        kind = self._resources.get(logical, {}).get("Type", "")
        if not physical:
            return UNKNOWN
        if attribute == "Version" and kind == "AWS::Lambda::Version":
            return physical.rpartition(":")[2]
        if attribute == "Arn" and kind == "AWS::IAM::Role":
            # Policies name it: with an asterisk in its place they would let in everybody.
            path = self.value(self._resources[logical].get("Properties", {}).get("Path", "/"))
            return f"arn:{self._place.partition}:iam::{self._place.account}:role{path}{physical}"
        if attribute in ("Arn", "StreamArn") and kind in _ARNS:
            place, name = self._place, physical.rpartition("/")[2] if kind == "AWS::SQS::Queue" else physical
            rest = _ARNS[kind].format(region=place.region, account=place.account, name=name)
            return f"arn:{place.partition}:{rest}" + (f"/stream/{UNKNOWN}" if attribute == "StreamArn" else "")
        if attribute == "TopicArn":
            return physical
        return UNKNOWN


def same(expected: Any, found: Any) -> bool:
    """Tell whether ``found`` is what is expected, as AWS reads policies: one for a list of one, lists in any order.

    UNKNOWN in an expected text stands for any text without an asterisk.
    """
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return expected.keys() == found.keys() and all(same(expected[key], found[key]) for key in expected)
    if isinstance(expected, list) or isinstance(found, list):
        wanted, there = _listed(expected), _listed(found)
        waiting = list(there)
        for one in wanted:
            match = next((other for other in waiting if same(one, other)), _NOTHING)
            if match is _NOTHING:
                return False
            waiting.remove(match)
        return not waiting
    if isinstance(expected, Mapping) or isinstance(found, Mapping):
        return False
    if isinstance(expected, str) and UNKNOWN in expected:
        pattern = "[^*]+".join(map(re.escape, expected.split(UNKNOWN)))
        return re.fullmatch(pattern, str(found)) is not None
    return str(expected) == str(found)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
