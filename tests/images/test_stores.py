"""The stores of image_processor against the real engine, which the fakes of its tests are held to."""

import gzip
import hashlib
import uuid
from typing import Any

import pytest

from tests.conftest import RunningEngine
from tests.image_fakes import PNG, PolicingBuckets, PolicingTables
from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.images import rows
from weaudit.images.sources import ImageSource, padded
from weaudit.images.store import ImageTable
from weaudit.images.store_sources import FIRST_BYTES, SourceObjects

pytestmark = pytest.mark.engine
BUCKET = "image-store-tests"


@pytest.fixture
def table(engine: RunningEngine, request: pytest.FixtureRequest) -> ImageTable:
    if request.param == "fake":
        return ImageTable(PolicingTables().call, "Images")
    return ImageTable(DynamoDB(Connection.from_environment("dynamodb", engine.environment)).call, "Images")


@pytest.fixture
def objects(engine: RunningEngine, request: pytest.FixtureRequest) -> tuple[Any, str]:
    """Return a store that objects are put into by ``put_object``, and its bucket."""
    if request.param == "fake":
        fake = PolicingBuckets()
        return fake, "evidence"
    engine.client("s3").create_bucket(Bucket=BUCKET)
    return S3(Connection.from_environment("s3", engine.environment)), BUCKET


def row(key: str, sequencer: str, version: str) -> dict[str, Any]:
    source = ImageSource(
        bucket="b", key=key, etag="e", bytes=1, sequencer=padded(sequencer), event_time="2024-01-01T00:00:00.000Z"
    )
    return rows.rejected(source, version, "Corrupt", "why", {"bytes": 1}, {})


@pytest.mark.parametrize("table", ["engine", "fake"], indirect=True)
def test_a_row_is_replaced_by_newer_ones_only(table: ImageTable) -> None:
    key = f"contract/{uuid.uuid4()}"
    assert table.get(key) is None
    assert table.replace(row(key, "0A", "v1"), again=False) == {}
    for sequencer, version, again, written in (
        ("0A", "v1", False, False),
        ("0A", "v2", False, False),
        ("0A", "v1", True, False),
        ("0A00", "v2", True, True),
        ("09FF", "v3", True, False),
        ("0A01", "v1", False, True),
        ("0B", "v1", True, True),
    ):
        before = table.get(key)
        replaced = table.replace(row(key, sequencer, version), again=again)
        assert replaced == (before if written else None), (sequencer, version, again)
    found = table.get(key)
    assert found is not None
    assert found["sequencer"] == {"S": padded("0B")}


@pytest.mark.parametrize("objects", ["engine", "fake"], indirect=True)
@pytest.mark.parametrize("size", [0, 1, FIRST_BYTES, FIRST_BYTES + 1])
def test_an_object_is_read_while_it_is_what_it_was(objects: tuple[Any, str], size: int) -> None:
    store, bucket = objects
    content = (PNG * (size // len(PNG) + 1))[:size]
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    sources = SourceObjects(store)
    key = "a b+%2Bü.png"
    store.put_object(bucket, key, content, "image/png")
    for stated in (etag, ""):
        begun = sources.begin(bucket, key, stated)
        assert begun is not None
        assert (begun.bytes, begun.etag, begun.content) == (size, etag, content[:FIRST_BYTES])
        assert sources.complete(bucket, key, begun) == content
    assert sources.begin(bucket, key, "0" * 32) is None
    assert sources.begin(bucket, "missing", etag) is None
    store.put_object(bucket, key, b"other", "image/png")
    assert sources.begin(bucket, key, etag) is None
    if size > FIRST_BYTES:
        assert begun is not None
        assert sources.complete(bucket, key, begun) is None


@pytest.mark.parametrize("objects", ["engine", "fake"], indirect=True)
@pytest.mark.parametrize("size", [0, 100, FIRST_BYTES + 1])
def test_the_encoding_that_an_uploader_states_comes_with_the_bytes_as_they_are_stored(
    objects: tuple[Any, str], size: int, engine: RunningEngine
) -> None:
    store, bucket = objects
    key = f"packed/{size}.png"
    content = gzip.compress(hashlib.shake_128(key.encode()).digest(size)) if size else b""
    if isinstance(store, PolicingBuckets):
        store.objects[bucket, key], store.encodings[bucket, key] = content, "gzip"
    else:
        engine.client("s3").put_object(Bucket=bucket, Key=key, Body=content, ContentEncoding="gzip")
    sources = SourceObjects(store)
    begun = sources.begin(bucket, key, hashlib.md5(content, usedforsecurity=False).hexdigest())
    assert begun is not None
    assert (begun.encoding, begun.bytes, begun.content) == ("gzip", len(content), content[:FIRST_BYTES])
    assert sources.complete(bucket, key, begun) == content
