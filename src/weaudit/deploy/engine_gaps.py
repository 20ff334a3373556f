"""What the embedded engine's CloudFormation leaves out of a stack and its own API can add: done after a deployment.

The gap: MiniStack 1.5.33 makes tables without the point-in-time recovery that the template asks for, so that
DescribeContinuousBackups says DISABLED of a table that has it on AWS.
"""

import json
from typing import Any

from weaudit.deploy.stack import resources
from weaudit.deploy.targets import Target

_TABLE = "AWS::DynamoDB::Table"


def complete(target: Target, stack: str) -> None:
    """Turn point-in-time recovery on for every table of a stack on the engine whose template says so.

    A template without a transform (a copy that somebody has cut down) stays as it is: what the engine processes is
    JSON, and YAML nobody here reads.
    """
    client = target.client("cloudformation")
    body: Any = client.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    try:
        said = (json.loads(body) if isinstance(body, str) else body)["Resources"]
    except ValueError:
        return
    tables = target.client("dynamodb")
    for row in (row for row in resources(target, stack) if row["ResourceType"] == _TABLE):
        # Of a table that the template had once and that could not be deleted nothing is said any more.
        properties = said.get(row["LogicalResourceId"], {}).get("Properties", {})
        asked = properties.get("PointInTimeRecoverySpecification", {})
        if str(asked.get("PointInTimeRecoveryEnabled")).lower() == "true":
            tables.update_continuous_backups(
                TableName=row["PhysicalResourceId"],
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
