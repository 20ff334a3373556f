"""The part of the template that processes images: what it may do, what it waits for, and what becomes of failures."""

from typing import Any

from tests.infra.test_template import KEY, PLAIN, RESOURCES, listed, of_type, statements
from weaudit.aws.transport import LARGEST_ANSWER_BYTES
from weaudit.images.pixels.working import Limits

FUNCTION: dict[str, Any] = RESOURCES["ImageProcessor"]["Properties"]


def test_image_processor_may_do_this_and_no_more() -> None:
    policies = RESOURCES["ImageProcessorRole"]["Properties"]["Policies"]
    found = {
        statement["Sid"]: (sorted(listed(statement["Action"])), statement["Resource"])
        for statement in statements(policies)
    }
    renditions, pipelines = {"Fn::Sub": "${RenditionsBucket.Arn}/*"}, {"Fn::Sub": "${RenditionsBucket.Arn}/pipelines/*"}
    buckets = [{"Fn::GetAtt": ["TriggerBucket", "Arn"]}, {"Fn::GetAtt": ["RenditionsBucket", "Arn"]}]
    taking = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    assert found == {
        "TakeEvents": (taking, {"Fn::GetAtt": ["ImagesQueue", "Arn"]}),
        "ReadObjects": (["s3:GetObject"], {"Fn::Sub": "${TriggerBucket.Arn}/*"}),
        "TellMissingFromForbidden": (["s3:ListBucket"], buckets),
        "KeepRenditions": (["s3:PutObject"], renditions),
        # What it made, and no pipeline that was in force.
        "RemoveRenditions": (["s3:DeleteObject"], {"Fn::Sub": "${RenditionsBucket.Arn}/images/*"}),
        "ReadTheLastGoodPipeline": (["s3:GetObject"], pipelines),
        "KeepRows": (["dynamodb:GetItem", "dynamodb:PutItem"], {"Fn::GetAtt": ["ImagesTable", "Arn"]}),
        "ReadThePipeline": (["dynamodb:BatchGetItem"], {"Fn::GetAtt": ["ConfigurationTable", "Arn"]}),
        "KeepEvidence": (["s3:PutObject"], {"Fn::Sub": "${EvidenceBucket.Arn}/raw/quarantine/*"}),
        "WriteLogs": (["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": ["ImageProcessorLogGroup", "Arn"]}),
        "WriteTraces": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
        "UseTheKey": (
            ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            KEY,
        ),
    }


def test_nobody_else_may_remove_a_rendition() -> None:
    may = {
        name
        for name, resource in of_type("AWS::IAM::Role").items()
        for statement in statements(resource.get("Policies", []))
        if {"s3:DeleteObject", "s3:*", "s3:Delete*"} & set(listed(statement["Action"]))
    }
    assert may == {"ImageProcessorRole"}


def test_objects_of_the_trigger_bucket_alone_come_by_eventbridge_and_the_queue() -> None:
    rule = of_type("AWS::Events::Rule")["ImagesRule"]
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created", "Object Deleted"],
        "detail": {"bucket": {"name": [{"Ref": "TriggerBucket"}]}},
    }
    assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": ["ImagesQueue", "Arn"]}]
    allowed = [one for one in statements(RESOURCES["ImagesQueuePolicy"]) if one["Effect"] == "Allow"]
    assert [(one["Principal"], one["Action"], one["Condition"]) for one in allowed] == [
        (
            {"Service": "events.amazonaws.com"},
            "sqs:SendMessage",
            {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["ImagesRule", "Arn"]}}},
        )
    ]


def test_a_message_is_tried_again_after_the_function_had_its_time_and_is_never_lost() -> None:
    queue = RESOURCES["ImagesQueue"]["Properties"]
    # Six times the timeout, five tries or more: docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    condition, here, there = queue["VisibilityTimeout"]["Fn::If"]
    assert condition == "OnTheEmbeddedEngine"
    assert there >= 6 * FUNCTION["Timeout"]
    assert here >= FUNCTION["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["FailedEventsQueue", "Arn"]}
    assert queue["SqsManagedSseEnabled"] is True
    mapping = RESOURCES["ImagesQueueMapping"]["Properties"]
    assert mapping["BatchSize"] == 1
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["ImagesQueue", "Arn"]}
    assert of_type("AWS::Lambda::Alias")[mapping["FunctionName"]["Ref"]]["Name"] == "live"
    assert mapping["ScalingConfig"]["MaximumConcurrency"]["Fn::If"][2] == {"Ref": "ImageConcurrency"}


def test_the_limits_of_imaging_fit_into_the_function() -> None:
    limits = Limits()
    mebibyte = 1024 * 1024
    # The child's private memory, the file in the parent and in the child, and Python with libvips, once.
    assert limits.memory_bytes + limits.bytes + 160 * mebibyte <= FUNCTION["MemorySize"] * mebibyte
    assert limits.wall_seconds + 30 <= FUNCTION["Timeout"]


def test_a_file_of_the_largest_size_that_may_be_set_is_read() -> None:
    assert PLAIN["Parameters"]["ImageMaxBytes"]["MaxValue"] + 1024 * 1024 == LARGEST_ANSWER_BYTES


def test_renditions_and_uploads_are_apart() -> None:
    buckets = of_type("AWS::S3::Bucket")
    assert "NotificationConfiguration" not in buckets["RenditionsBucket"]
    assert buckets["RenditionsBucket"]["BucketName"] == {
        "Fn::Sub": "${Prefix}weaudit-renditions-${EnvironmentSuffix}-${AWS::AccountId}"
    }
    table = of_type("AWS::DynamoDB::Table")["ImagesTable"]
    assert table["TableName"] == {"Fn::Sub": "${Prefix}Images"}
    assert table["KeySchema"] == [{"AttributeName": "imageKey", "KeyType": "HASH"}]
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_plug_ins_come_as_layers() -> None:
    assert FUNCTION["Layers"] == {
        "Fn::If": ["HasImagePlugins", {"Ref": "ImagePluginLayerArns"}, {"Ref": "AWS::NoValue"}]
    }
