"""An image's row over the API, and links that work for whoever has them, for a while."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests

from tests.api_events import Api, second
from tests.aws.moto_relay import moto_environment
from weaudit.handlers import read_images
from weaudit.images.store import ImageTable

IMAGES = "/v1/images"
NOW_MS = 1_704_677_672_343
RENDITIONS = [
    {"M": {"name": {"S": name}, "key": {"S": f"sha/pipe/{name} é+.webp"}, "width": {"N": "320"}}}
    for name in ("small", "large")
]
ROW: dict[str, Any] = {
    "imageKey": {"S": "holiday/a b+c.jpg"},
    "status": {"S": "processed"},
    "width": {"N": "4032"},
    "algorithms": {"M": {"phash": {"S": "8f"}, "ratio": {"N": "1.33333333333333333333333333333333"}}},
    "renditions": {"L": RENDITIONS},
    "timings": {"M": {"read": {"N": "12.5"}}},
    "warnings": {"L": []},
}


@pytest.fixture(params=["moto", pytest.param("engine", marks=pytest.mark.engine)])
def stores(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The function's own stores, with one row and its renditions in them."""
    with contextlib.ExitStack() as stack:
        if request.param == "moto":
            environment = stack.enter_context(moto_environment())
        else:
            environment = {"AWS_REGION": "us-east-1", **request.getfixturevalue("engine").environment}
        options = {
            "endpoint_url": environment["AWS_ENDPOINT_URL"],
            "region_name": environment["AWS_REGION"],
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        }
        dynamodb, s3 = (boto3.client(name, **options) for name in ("dynamodb", "s3"))
        dynamodb.create_table(
            TableName="ImagesOfTest",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "imageKey", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "imageKey", "KeyType": "HASH"}],
        )
        stack.callback(dynamodb.delete_table, TableName="ImagesOfTest")
        dynamodb.put_item(TableName="ImagesOfTest", Item=ROW)
        s3.create_bucket(Bucket="renditions-of-test")
        for rendition in RENDITIONS:
            s3.put_object(
                Bucket="renditions-of-test", Key=rendition["M"]["key"]["S"], Body=rendition["M"]["name"]["S"].encode()
            )
        names = {"IMAGES_TABLE": "ImagesOfTest", "RENDITIONS_BUCKET": "renditions-of-test", "LINK_SECONDS": "60"}
        yield read_images.connect({**environment, **names})


def test_an_image_comes_with_links_to_its_renditions(stores: dict[str, Any]) -> None:
    answer = Api(read_images, **stores, now_ms=lambda: NOW_MS).answer(second(f"GET {IMAGES}", key=ROW["imageKey"]["S"]))
    assert answer["headers"]["cache-control"] == "no-store"
    assert '"ratio":1.33333333333333333333333333333333' in answer["body"]
    document = json.loads(answer["body"])
    assert (document["imageKey"], document["width"], document["warnings"]) == ("holiday/a b+c.jpg", 4032, [])
    assert document["linksExpireAt"] == "2024-01-08T01:35:32.343Z"
    for rendition in document["renditions"]:
        found = requests.get(rendition["url"], timeout=10)
        assert (found.status_code, found.text) == (200, rendition["name"])


def test_an_image_that_is_not_there_is_not_found(stores: dict[str, Any]) -> None:
    status, document = Api(read_images, **stores).refused(IMAGES, key="nothing")
    assert (status, document["error"]) == (404, "RecordNotFoundError")


@pytest.mark.parametrize("key", ["", "k" * 1025])
def test_what_can_be_no_images_key_is_refused(key: str) -> None:
    images = ImageTable(lambda _operation, _body: {}, "Images")
    status, document = Api(read_images, images=images, link=None, link_seconds=1).refused(IMAGES, key=key)
    assert (status, document["error"]) == (400, "InvalidInputError")


@pytest.mark.parametrize(
    "row", [{"renditions": {"S": "x"}}, {"renditions": {"L": [{"S": "x"}, {"M": {"key": {"N": "1"}}}]}}, {}], ids=repr
)
def test_a_row_of_another_shape_is_shown_as_it_is(row: dict[str, Any]) -> None:
    images = ImageTable(lambda _operation, _body: {"Item": {"imageKey": {"S": "k"}, **row}}, "Images")
    document = Api(read_images, images=images, link=None, link_seconds=60).get(IMAGES, key="k")
    assert "linksExpireAt" not in document
    assert document["imageKey"] == "k"
