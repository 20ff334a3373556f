"""The operations in use keep their promises on moto and on the embedded engine, also where it checks signatures."""

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws.moto_relay import REGION as _REGION
from tests.aws.moto_relay import moto_environment
from weaudit.aws.client import KMS, S3, DynamoDB, Streams
from weaudit.aws.connections import Connection
from weaudit.errors import RecordRejectedError, StoreRefusedError
from weaudit.evidence import EvidenceBucket
from weaudit.images.store_renditions import RenditionsBucket
from weaudit.images.store_sources import SourceObjects
from weaudit.ledger import ed25519
from weaudit.local import engine as engines
from weaudit.local import process

_TABLE, _BUCKET = "contract-audit", "contract-evidence"


@pytest.fixture(scope="module", params=["moto", pytest.param("engine", marks=pytest.mark.engine)])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A store that anyone may use, or (the engine, IAM on) that only the key of a real user opens."""
    with contextlib.ExitStack() as stack:
        if request.param == "moto":
            variables = stack.enter_context(moto_environment())
        else:
            variables = stack.enter_context(_guarded_engine(tmp_path_factory.mktemp("guarded")))
        client = _boto3("dynamodb", variables)
        client.create_table(
            TableName=_TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        _boto3("s3", variables).create_bucket(Bucket=_BUCKET)
        yield variables


@contextlib.contextmanager
def _guarded_engine(directory: Path) -> Iterator[dict[str, str]]:
    started = engines.up(port=process.free_port(), state_dir=directory, auth=True)
    try:
        yield {**started.environment(), "AWS_REGION": _REGION}
    finally:
        engines.down(state_dir=directory, force=True)


def _boto3(service: str, variables: dict[str, str]) -> Any:
    return boto3.client(
        service,
        region_name=_REGION,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def dynamodb(environment: dict[str, str]) -> DynamoDB:
    return DynamoDB(Connection.from_environment("dynamodb", environment))


@pytest.fixture
def s3(environment: dict[str, str]) -> S3:
    return S3(Connection.from_environment("s3", environment))


def test_a_batch_of_every_type_comes_back_as_it_went_in(dynamodb: DynamoDB, environment: dict[str, str]) -> None:
    binary = base64.b64encode(bytes(range(256))).decode()
    items = [
        {
            "id": {"S": f"é\u2028😀-{number}"},
            "number": {"N": "12345678901234567890123456789012345678"},
            "binary": {"B": binary},
            "nested": {"M": {"list": {"L": [{"NULL": True}, {"BOOL": False}, {"S": ""}]}}},
            "set": {"SS": ["a"]},
        }
        for number in range(25)
    ]
    requested = {"RequestItems": {_TABLE: [{"PutRequest": {"Item": item}} for item in items]}}
    # Twice: the second writes the same over itself.
    for _ in range(2):
        assert not dynamodb.call("BatchWriteItem", requested).get("UnprocessedItems")
    for item in items:
        found = dynamodb.call("GetItem", {"TableName": _TABLE, "Key": {"id": item["id"]}, "ConsistentRead": True})
        assert found["Item"] == item
    stored = _boto3("dynamodb", environment).get_item(TableName=_TABLE, Key={"id": items[0]["id"]})["Item"]
    assert stored["binary"] == {"B": bytes(range(256))}


def test_an_item_over_400_kb_is_rejected(dynamodb: DynamoDB) -> None:
    item = {"id": {"S": "large"}, "value": {"S": "x" * 410_000}}
    with pytest.raises(RecordRejectedError) as raised:
        dynamodb.call("BatchWriteItem", {"RequestItems": {_TABLE: [{"PutRequest": {"Item": item}}]}})
    assert raised.value.aws_code == "ValidationException"
    assert "xxx" not in str(raised.value)


def test_twins_in_a_batch_are_rejected(dynamodb: DynamoDB) -> None:
    twin = {"PutRequest": {"Item": {"id": {"S": "twin"}}}}
    with pytest.raises(RecordRejectedError):
        dynamodb.call("BatchWriteItem", {"RequestItems": {_TABLE: [twin, twin]}})


def test_no_such_table_is_a_refusal(dynamodb: DynamoDB) -> None:
    with pytest.raises(StoreRefusedError) as raised:
        dynamodb.call("BatchWriteItem", {"RequestItems": {"missing": [{"PutRequest": {"Item": {"id": {"S": "a"}}}}]}})
    assert raised.value.aws_code == "ResourceNotFoundException"


@pytest.mark.parametrize("key", ["quarantine/plain.json", "spill/a b+c%2F&ü😀(1)'*!~.json", "spill//double/../dots"])
@pytest.mark.parametrize("body", [b"", b'{"a": 1}', bytes(range(256)) * 4096])
def test_an_object_comes_back_as_it_went_in(s3: S3, environment: dict[str, str], key: str, body: bytes) -> None:
    for _ in range(2):
        s3.put_object(_BUCKET, key, body, "application/json")
    assert s3.get_object(_BUCKET, key) == body
    stored = _boto3("s3", environment).get_object(Bucket=_BUCKET, Key=key)
    assert stored["Body"].read() == body
    assert stored["ContentType"] == "application/json"


@pytest.mark.parametrize(("bucket", "code"), [(_BUCKET, "NoSuchKey"), ("contract-missing", "NoSuchBucket")])
def test_what_is_not_there_is_a_refusal(s3: S3, bucket: str, code: str) -> None:
    with pytest.raises(StoreRefusedError) as raised:
        s3.get_object(bucket, "missing")
    assert (raised.value.aws_code, raised.value.status) == (code, 404)


@pytest.mark.parametrize("key", ["images/plain.webp", "images/a b+c%2F&ü😀(1)'*!~.webp"])
def test_an_object_is_removed_and_removed_again(s3: S3, key: str) -> None:
    s3.put_object(_BUCKET, key, b"made", "image/webp")
    s3.put_object(_BUCKET, f"{key}.other", b"made", "image/webp")
    for _ in range(2):
        s3.delete_object(_BUCKET, key)
    assert [found["Key"] for found in s3.list_objects(_BUCKET, prefix=key).objects] == [f"{key}.other"]
    s3.delete_object(_BUCKET, f"{key}.other")


def test_an_object_is_put_once_and_replaced_by_its_etag(s3: S3) -> None:
    assert s3.get_or_none(_BUCKET, "once") is None
    assert s3.put_new(_BUCKET, "once", b"first", "text/plain")
    assert not s3.put_new(_BUCKET, "once", b"second", "text/plain")
    found = s3.read_object(_BUCKET, "once")
    assert found.body == b"first"
    etag = found.headers["etag"].strip('"')
    assert s3.replace(_BUCKET, "once", b"third", "text/plain", etag=etag)
    assert not s3.replace(_BUCKET, "once", b"fourth", "text/plain", etag=etag)
    assert not s3.replace(_BUCKET, "never", b"", "text/plain", etag=etag)
    assert s3.get_or_none(_BUCKET, "once") == b"third"


def test_a_locked_version_stays_under_its_delete_marker(s3: S3, environment: dict[str, str]) -> None:
    bucket, key = "contract-locked", "tile/a b+c&ü/1"
    api = _boto3("s3", environment)
    api.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = "2099-01-01T00:00:00Z"
    assert s3.put_new(bucket, key, b"tile", "text/plain", lock_mode="GOVERNANCE", locked_until=until)
    s3.delete_object(bucket, key)
    assert s3.get_or_none(bucket, key) is None
    # A delete marker is no object: what is put over it is a version of its own.
    assert s3.put_new(bucket, key, b"other", "text/plain")
    pages, markers = [], ("", "")
    while True:
        pages.append(
            s3.list_versions(bucket, prefix="tile/", key_marker=markers[0], version_marker=markers[1], limit=2)
        )
        if pages[-1].next_markers is None:
            break
        markers = pages[-1].next_markers
    newest, oldest = (version for page in pages for version in page.versions)
    [deleted] = (marker for page in pages for marker in page.deletions)
    assert len(pages) == 2
    assert [(row["Key"], row["IsLatest"]) for row in (newest, deleted, oldest)] == [
        (key, "true"),
        (key, "false"),
        (key, "false"),
    ]
    assert (newest["Size"], oldest["Size"]) == ("5", "4")
    with pytest.raises(api.exceptions.ClientError, match="AccessDenied"):
        api.delete_object(Bucket=bucket, Key=key, VersionId=oldest["VersionId"])
    with pytest.raises(StoreRefusedError, match="HTTP 400"):  # that bucket takes no locks
        s3.put_new(_BUCKET, key, b"", "text/plain", lock_mode="GOVERNANCE", locked_until=until)


def test_a_stream_is_read_from_a_position_on(dynamodb: DynamoDB, environment: dict[str, str]) -> None:
    streams = Streams(Connection.from_environment("streams.dynamodb", environment))
    for number in range(3):
        dynamodb.call("PutItem", {"TableName": _TABLE, "Item": {"id": {"S": f"streamed-{number}"}}})
    arn = dynamodb.call("DescribeTable", {"TableName": _TABLE})["Table"]["LatestStreamArn"]
    [shard] = streams.call("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"]

    def read(**where: str) -> list[Any]:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], **where}
        position = streams.call("GetShardIterator", asked)["ShardIterator"]
        records: list[Any] = streams.call("GetRecords", {"ShardIterator": position})["Records"]
        return records

    records = read(ShardIteratorType="TRIM_HORIZON")
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in records[-3:]] == [f"streamed-{n}" for n in range(3)]
    last_but_one = records[-2]["dynamodb"]["SequenceNumber"]
    assert read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=last_but_one) == records[-1:]


@pytest.mark.engine
@pytest.mark.parametrize("environment", ["engine"], indirect=True)  # moto answers all the same
def test_a_stream_or_a_position_that_is_not_there_is_a_refusal(dynamodb: DynamoDB, environment: dict[str, str]) -> None:
    streams = Streams(Connection.from_environment("streams.dynamodb", environment))
    arn = dynamodb.call("DescribeTable", {"TableName": _TABLE})["Table"]["LatestStreamArn"]
    [shard] = streams.call("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"]
    asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}
    with pytest.raises(StoreRefusedError) as trimmed:
        streams.call("GetShardIterator", {**asked, "SequenceNumber": "9" * 30})
    assert trimmed.value.aws_code == "TrimmedDataAccessException"
    with pytest.raises(StoreRefusedError) as missing:
        streams.call("DescribeStream", {"StreamArn": arn[:-1]})
    assert missing.value.aws_code == "ResourceNotFoundException"


@pytest.mark.engine
@pytest.mark.parametrize("environment", ["engine"], indirect=True)  # moto has no such keys
def test_a_key_signs_what_its_public_part_verifies(environment: dict[str, str]) -> None:
    made = _boto3("kms", environment).create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    key, kms = made["KeyMetadata"]["Arn"], KMS(Connection.from_environment("kms", environment))
    signature = kms.sign(key, b"a checkpoint")
    assert kms.sign(key, b"a checkpoint") == signature
    assert ed25519.verify(ed25519.from_spki(kms.public_key(key)), b"a checkpoint", signature)
    with pytest.raises(StoreRefusedError, match="NotFoundException"):
        kms.sign(key[:-1] + "0", b"a checkpoint")


def test_removing_stops_where_it_is_told_to_and_goes_over_pages(
    s3: S3, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    keys = [f"images/i/{number:02}/x.webp" for number in range(7)]
    for key in (*keys, "images/j/00/x.webp", "pipelines/last-good.json"):
        s3.put_object(_BUCKET, key, b"made", "image/webp")
    pages = S3.list_objects
    monkeypatch.setattr(S3, "list_objects", lambda self, *words, **told: pages(self, *words, **{**told, "limit": 2}))
    RenditionsBucket(s3, _BUCKET).remove("images/i/", before="images/i/05")
    left = _boto3("s3", environment).list_objects_v2(Bucket=_BUCKET)["Contents"]
    assert {found["Key"] for found in left} >= {*keys[5:], "images/j/00/x.webp", "pipelines/last-good.json"}
    assert not {found["Key"] for found in left} & set(keys[:5])
    RenditionsBucket(s3, _BUCKET).remove("images/")
    assert not s3.list_objects(_BUCKET, prefix="images/").objects


def test_what_s3_archived_is_described_and_not_given(s3: S3, environment: dict[str, str]) -> None:
    stored = {"Bucket": _BUCKET, "ContentType": "image/png", "Body": b"content"}
    for key in ("archived.png", "spill/archived.json"):
        _boto3("s3", environment).put_object(**stored, Key=key, StorageClass="DEEP_ARCHIVE")
    found = SourceObjects(s3).begin(_BUCKET, "archived.png", "")
    assert found is not None
    assert (found.bytes, found.content_type, found.content) == (7, "image/png", b"")
    assert found.refusal is not None
    assert found.refusal.code == "Archived"
    assert "DEEP_ARCHIVE" in found.refusal.reason
    assert SourceObjects(s3).begin(_BUCKET, "archived.png", found.etag) is not None
    assert SourceObjects(s3).begin(_BUCKET, "archived.png", "0" * 32) is None
    # It is there all the same: a picture must not be taken for deleted.
    assert SourceObjects(s3).look(_BUCKET, "archived.png") is not None
    # Whoever reads a trail, or a pipeline, is not stopped by it.
    assert EvidenceBucket(s3, _BUCKET).get(_BUCKET, "spill/archived.json") is None
    assert RenditionsBucket(s3, _BUCKET).get("archived.png") is None


@pytest.mark.engine
@pytest.mark.parametrize("environment", ["engine"], indirect=True)  # moto gives it to anybody
def test_what_only_its_uploader_has_the_key_of_is_not_given(s3: S3, environment: dict[str, str]) -> None:
    key = "k" * 32  # boto3 encodes it
    _boto3("s3", environment).put_object(
        Bucket=_BUCKET, Key="sse-c.png", Body=b"content", SSECustomerAlgorithm="AES256", SSECustomerKey=key
    )
    found = SourceObjects(s3).begin(_BUCKET, "sse-c.png", "")
    assert found is not None
    assert found.refusal is not None
    assert found.refusal.code == "Unreadable"
    assert SourceObjects(s3).look(_BUCKET, "sse-c.png") is not None


def test_when_an_object_landed_is_told_by_s3(s3: S3, environment: dict[str, str]) -> None:
    s3.put_object(_BUCKET, "landed.png", b"content", "image/png")
    told = _boto3("s3", environment).head_object(Bucket=_BUCKET, Key="landed.png")["LastModified"]
    found = SourceObjects(s3).look(_BUCKET, "landed.png")
    assert found is not None
    assert found.modified == told.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.engine
@pytest.mark.parametrize("environment", ["engine"], indirect=True)
def test_a_wrong_secret_is_refused(environment: dict[str, str]) -> None:
    wrong = {**environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    with pytest.raises(StoreRefusedError):
        DynamoDB(Connection.from_environment("dynamodb", wrong)).call("DescribeTable", {"TableName": _TABLE})
    with pytest.raises(StoreRefusedError):
        S3(Connection.from_environment("s3", wrong)).put_object(_BUCKET, "key", b"", "text/plain")
