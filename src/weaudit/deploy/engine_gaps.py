"""What the embedded engine's CloudFormation leaves out of a stack and its own API can add: done after a deployment.

The gaps of MiniStack 1.5.33: it makes tables without the point-in-time recovery that the template asks for, so that
DescribeContinuousBackups says DISABLED of a table that has it on AWS; and a bucket without Object Lock.
"""

from typing import Any

from weaudit.installation.stacks import resources
from weaudit.installation.targets import Target


def complete(target: Target, stack: str) -> None:
    """Turn on what a stack on the engine lacks: recovery for all tables but one, and Object Lock for the ledger.

    The table of keys has no backups: what is erased there must be gone.

    The template itself is not asked: to read it back takes the engine longer than all the rest of this. What is on is
    left alone, so that a role that may not change it (MayDeleteData=false) still deploys.
    """
    tables, buckets = target.client("dynamodb"), target.client("s3")
    for row in resources(target, stack):
        kind, logical, name = row["ResourceType"], row["LogicalResourceId"], row.get("PhysicalResourceId", "")
        if kind == "AWS::DynamoDB::Table" and logical != "KeysTable":
            _recover(tables, name)
        elif kind == "AWS::S3::Bucket" and logical == "LedgerBucket":
            _lock(buckets, name)


def _recover(client: Any, table: str) -> None:
    found = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    if found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
        client.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


def _lock(client: Any, bucket: str) -> None:
    try:
        client.get_object_lock_configuration(Bucket=bucket)
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            raise
        client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
