"""What is done on the engine after a deployment, where a stack holds more than tables that its template has."""

from types import SimpleNamespace
from typing import Any

from weaudit.deploy import engine_gaps


class Cloud:
    """A stack with a row of each state for a table, the table of keys, and a bucket."""

    def __init__(self) -> None:
        self.recovering: list[str] = []

    def client(self, _service: str) -> Any:
        return self

    def get_paginator(self, _operation: str) -> Any:
        states = {
            "Kept": ("AWS::DynamoDB::Table", "UPDATE_COMPLETE"),
            "Recovering": ("AWS::DynamoDB::Table", "UPDATE_COMPLETE"),
            "Left": ("AWS::DynamoDB::Table", "DELETE_FAILED"),
            "Gone": ("AWS::DynamoDB::Table", "DELETE_COMPLETE"),
            "KeysTable": ("AWS::DynamoDB::Table", "UPDATE_COMPLETE"),
            "Bucket": ("AWS::S3::Bucket", "CREATE_COMPLETE"),
        }
        rows = [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": name.lower(),
                "ResourceType": kind,
                "ResourceStatus": state,
            }
            for name, (kind, state) in states.items()
        ]
        return SimpleNamespace(paginate=lambda **_asked: [{"StackResourceSummaries": rows}])

    def describe_continuous_backups(self, **asked: Any) -> Any:
        status = "ENABLED" if asked["TableName"] == "recovering" else "DISABLED"
        return {
            "ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status}}
        }

    def update_continuous_backups(self, **asked: Any) -> None:
        assert asked["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        self.recovering.append(asked["TableName"])


def test_every_table_that_is_there_recovers_and_one_that_is_gone_or_recovers_already_is_left_alone() -> None:
    cloud = Cloud()
    engine_gaps.complete(cloud, "stack")  # type: ignore[arg-type]
    # Nor the table of keys: what is erased there must be gone.
    assert cloud.recovering == ["kept", "left"]
