"""What the embedded engine's CloudFormation leaves out of a stack and its own API can add: done after a deployment.

The gap: MiniStack 1.5.33 makes tables without the point-in-time recovery that the template asks for, so that
DescribeContinuousBackups says DISABLED of a table that has it on AWS.
"""

from weaudit.installation.stacks import resources
from weaudit.installation.targets import Target


def complete(target: Target, stack: str) -> None:
    """Turn point-in-time recovery on for the tables of a stack on the engine, as the template has it for all but one.

    The table of keys has no backups: what is erased there must be gone.

    The template itself is not asked: to read it back takes the engine longer than all the rest of this. A table that
    has it is left alone, so that a role that may not change recovery (MayDeleteData=false) still deploys.
    """
    tables = target.client("dynamodb")
    for row in resources(target, stack):
        if row["ResourceType"] == "AWS::DynamoDB::Table" and row["LogicalResourceId"] != "KeysTable":
            name = row["PhysicalResourceId"]
            found = tables.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
            if found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
                tables.update_continuous_backups(
                    TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
                )
