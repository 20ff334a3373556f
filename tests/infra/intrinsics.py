"""Values for a template's intrinsic functions, as long as they may be, so that sizes and names can be measured.

Not by doctor/template.py, though it reads the same functions: that one puts a stack's real names in, and
takes what it does not know for unknown. Here a template is judged before there is a stack, a function that is not known
fails the test, and a mistake of doctor's must not make the tests agree with it.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

REGION, ACCOUNT = "ap-southeast-2", "123456789012"
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
}
_SUB = re.compile(r"\$\{([^!}]+)\}")
NOTHING = object()
"""What AWS::NoValue leaves."""


class Resolver:
    """Resolves a translated template's values for given parameters.

    A Ref or GetAtt of a resource is the resource's name, or its ARN, where the template names it; else a text that
    stands for it. An Fn::If gives the branch that ``choose`` says.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        declared = {name: _default(row) for name, row in template.get("Parameters", {}).items()}
        self._resources: Mapping[str, Any] = template["Resources"]
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._values: dict[str, Any] = {**_PSEUDO, **declared, **parameters}

    def __call__(self, value: Any) -> Any:
        """Return ``value`` with every function resolved; what AWS::NoValue stands for is left out."""
        if isinstance(value, list):
            return [found for part in value if (found := self(part)) is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, inner)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, inner)
        return {key: found for key, part in value.items() if (found := self(part)) is not NOTHING}

    def holds(self, name: str) -> bool:
        """Tell whether a condition of the template holds."""
        return bool(self._condition(self._conditions[name]))

    def _condition(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        [(name, inner)] = value.items()
        match name:
            case "Condition":
                return self.holds(inner)
            case "Fn::Equals":
                first, second = (self._condition(part) for part in inner)
                return first == second
            case "Fn::Not":
                return not self._condition(inner[0])
            case "Fn::And":
                return all(self._condition(part) for part in inner)
            case "Fn::Or":
                return any(self._condition(part) for part in inner)
        return self(value)

    def _function(self, name: str, inner: Any) -> Any:
        match name:
            case "Ref":
                return self._ref(inner)
            case "Fn::GetAtt":
                logical, attribute = inner if isinstance(inner, list) else inner.split(".", 1)
                return self._attribute(logical, attribute)
            case "Fn::Sub":
                text, local = (inner, {}) if isinstance(inner, str) else inner
                found = {key: self(part) for key, part in local.items()}
                return _SUB.sub(lambda match: str(self._named(match[1].strip(), found)), text)
            case "Fn::If":
                return self(inner[1] if self.holds(inner[0]) else inner[2])
            case "Fn::Join":
                return inner[0].join(str(part) for part in self(inner[1]))
            case "Fn::Select":
                return self(inner[1])[int(inner[0])]
            case "Fn::Split":
                return str(self(inner[1])).split(inner[0])
        raise AssertionError(f"{name} is not known here")

    def _named(self, name: str, local: Mapping[str, Any]) -> Any:
        if name in local:
            return local[name]
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in self._values:
            return self._values[name]
        resource = self._resources[name]
        if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::SNS::Topic"):
            return self._attribute(name, "Arn")
        for key in _NAMES.get(resource["Type"], ()):
            if key in resource["Properties"]:
                return self(resource["Properties"][key])
        return f"{name}-abcdefghijkl"

    def _attribute(self, logical: str, attribute: str) -> str:
        resource = self._resources[logical]
        kind = resource["Type"]
        names = [self(resource["Properties"][key]) for key in _NAMES.get(kind, ()) if key in resource["Properties"]]
        name = names[0] if names else f"{logical}-abcdefghijkl"
        if attribute == "StreamArn":
            return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}/stream/2026-01-01T00:00:00.000"
        if attribute == "Arn" and kind in _ARNS:
            return _ARNS[kind].format(name=name, path=self(resource["Properties"].get("Path", "/")))
        return f"{name}.{attribute}"


def _default(row: Mapping[str, Any]) -> Any:
    default = row.get("Default", "")
    return str(default).split(",") if row["Type"] == "CommaDelimitedList" else str(default)


_NAMES = {
    "AWS::DynamoDB::Table": ("TableName",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::SQS::Queue": ("QueueName",),
    "AWS::SNS::Topic": ("TopicName",),
    "AWS::Lambda::Function": ("FunctionName",),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::IAM::Role": ("RoleName",),
    "AWS::Events::Rule": ("Name",),
    "AWS::ApiGatewayV2::Api": ("Name",),
}
_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/{{name}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:{{name}}",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:{{name}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:{{name}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:{{name}}:*",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role{{path}}{{name}}",
    "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{ACCOUNT}:policy{{path}}{{name}}",
    "AWS::Events::Rule": f"arn:aws:events:{_HERE}:rule/{{name}}",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/00000000-0000-0000-0000-000000000000",
    "AWS::IAM::OIDCProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
}


def references(value: Any) -> Iterator[str]:
    """Yield the logical names that a value refers to, by Ref, GetAtt and Sub; parameters and pseudo ones as well."""
    if isinstance(value, list):
        yield from itertools.chain.from_iterable(references(part) for part in value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref" and isinstance(inner, str):
                yield inner
            elif key == "Fn::GetAtt":
                yield inner[0] if isinstance(inner, list) else inner.split(".", 1)[0]
            elif key == "Fn::Sub":
                text, local = (inner, {}) if isinstance(inner, str) else inner
                yield from (name.split(".")[0] for name in _SUB.findall(text) if name not in local)
                yield from references(local)
            else:
                yield from references(inner)
