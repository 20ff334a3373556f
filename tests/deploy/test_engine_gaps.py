"""What is done on the engine after a deployment, where a stack holds more than tables that its template has."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from weaudit.deploy import engine_gaps


class Cloud:
    """A stack with a row of each state for a table, the table of keys, and two buckets."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, lock: str = "ObjectLockConfigurationNotFoundError") -> None:
        self.recovering: list[str] = []
        self.locked: list[str] = []
        self._lock = lock

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
            "LedgerBucket": ("AWS::S3::Bucket", "CREATE_COMPLETE"),
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

    def get_object_lock_configuration(self, **_asked: Any) -> Any:
        if self._lock:
            raise ClientError({"Error": {"Code": self._lock}}, "GetObjectLockConfiguration")
        return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}

    def put_object_lock_configuration(self, **asked: Any) -> None:
        # Without a rule: it would lock what the sealer replaces as well.
        assert asked["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
        self.locked.append(asked["Bucket"])


def test_every_table_that_is_there_recovers_and_one_that_is_gone_or_recovers_already_is_left_alone() -> None:
    cloud = Cloud()
    engine_gaps.complete(cloud, "stack")  # type: ignore[arg-type]
    # Nor the table of keys: what is erased there must be gone.
    assert cloud.recovering == ["kept", "left"]
    assert cloud.locked == ["ledgerbucket"]


def test_a_ledger_that_can_be_locked_already_is_left_alone() -> None:
    cloud = Cloud(lock="")
    engine_gaps.complete(cloud, "stack")  # type: ignore[arg-type]
    assert cloud.locked == []
    with pytest.raises(ClientError, match="AccessDenied"):
        engine_gaps.complete(Cloud(lock="AccessDenied"), "stack")  # type: ignore[arg-type]
