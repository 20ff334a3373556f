"""What is done on the engine after a deployment, where a stack holds more than its template says."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from weaudit.deploy import engine_gaps

ASKED = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
TABLES = {"Kept": ASKED, "Plain": {}}


class Cloud:
    """A stack whose template says this, with a row of each state for a table that the template does not have."""

    def __init__(self, body: Any) -> None:
        self.body = body
        self.recovering: list[str] = []

    def client(self, _service: str) -> Any:
        return self

    def get_template(self, **_asked: str) -> dict[str, Any]:
        return {"TemplateBody": self.body}

    def get_paginator(self, _operation: str) -> Any:
        states = {
            "Kept": "UPDATE_COMPLETE",
            "Plain": "CREATE_COMPLETE",
            "Left": "DELETE_FAILED",
            "Gone": "DELETE_COMPLETE",
        }
        rows = [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": name.lower(),
                "ResourceType": "AWS::DynamoDB::Table",
                "ResourceStatus": state,
            }
            for name, state in states.items()
        ]
        return SimpleNamespace(paginate=lambda **_asked: [{"StackResourceSummaries": rows}])

    def update_continuous_backups(self, **asked: Any) -> None:
        self.recovering.append(asked["TableName"])


@pytest.mark.parametrize("spelled", [json.dumps, lambda body: body])
def test_tables_that_the_template_no_longer_has_stop_nothing(spelled: Any) -> None:
    resources = {name: {"Type": "AWS::DynamoDB::Table", "Properties": said} for name, said in TABLES.items()}
    cloud = Cloud(spelled({"Resources": resources}))
    engine_gaps.complete(cloud, "stack")  # type: ignore[arg-type]
    assert cloud.recovering == ["kept"]


def test_a_template_that_is_not_json_is_left_alone() -> None:
    cloud = Cloud("Resources: {}")
    engine_gaps.complete(cloud, "stack")  # type: ignore[arg-type]
    assert cloud.recovering == []
