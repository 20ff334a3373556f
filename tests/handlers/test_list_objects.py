"""A bucket's objects over the API, held to moto and to the embedded engine."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.s3.models import s3_backends

from tests.api_events import Api, second
from tests.aws.moto_relay import moto_environment
from tests.sizes import sized
from weaudit.api import paging, queries
from weaudit.handlers import list_objects

OBJECTS = "/v1/objects"
# Order by bytes in UTF-8; what XML has no place for; what a query would read otherwise.
ODD_KEYS = ["+", " ", "%2B", "a&b<c>\"'", "a/b/c", "a/é", "b//c", "\x01\x7f", "key=1;2", "ü", "日本", "🜁"]


class Bucket:
    """A bucket of its own, and the function over it."""

    def __init__(self, environment: dict[str, str], name: str) -> None:
        self.name = name
        self.environment = environment
        self.client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        self.client.create_bucket(Bucket=name)
        self.api = Api(list_objects, **list_objects.connect({**environment, "OBJECTS_BUCKET": name}))

    def put(self, *keys: str) -> None:
        for key in keys:
            self.client.put_object(Bucket=self.name, Key=key, Body=key.encode())

    def pages(self, **query: str) -> Iterator[Any]:
        cursor: str | None = ""
        while cursor is not None:
            found = self.api.get(OBJECTS, **query, **({"cursor": cursor} if cursor else {}))
            yield found
            cursor = found["cursor"]

    def listed(self, **query: str) -> list[str]:
        return [one["key"] for page in self.pages(**query) for one in page["objects"]]


@pytest.fixture(params=["moto", pytest.param("engine", marks=pytest.mark.engine)])
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with contextlib.ExitStack() as stack:
        if request.param == "moto":
            environment = stack.enter_context(moto_environment())
        else:
            engine = request.getfixturevalue("engine")
            environment = {"AWS_REGION": "us-east-1", **engine.environment}
        yield Bucket(environment, f"objects-{request.node.name[:30].lower().replace('_', '-').strip('-')}")


def test_objects_of_any_name_come_once_in_the_order_of_their_keys(bucket: Bucket) -> None:
    bucket.put(*ODD_KEYS)
    found = [page["objects"] for page in bucket.pages(limit="5")]
    assert [len(page) for page in found] == [5, 5, 2]
    assert [one["key"] for page in found for one in page] == sorted(ODD_KEYS)
    [one] = bucket.api.get(OBJECTS, prefix="ü")["objects"]
    assert (one["key"], one["bytes"], one["storageClass"]) == ("ü", 2, "STANDARD")
    assert len(one["eTag"]) == 32
    assert one["lastModified"].endswith("Z")


@pytest.mark.parametrize("limit", ["1", "2", "3", "1000"])
def test_keys_with_a_common_start_are_grouped_once(bucket: Bucket, limit: str) -> None:
    bucket.put("a/1", "a/2", "a/3", "a", "b", "c/1", "c/d/2", "d")
    found = list(bucket.pages(delimiter="/", limit=limit))
    assert [prefix for page in found for prefix in page["prefixes"]] == ["a/", "c/"]
    assert [one["key"] for page in found for one in page["objects"]] == ["a", "b", "d"]
    assert [page["prefixes"] for page in bucket.pages(delimiter="/", prefix="c/")] == [["c/d/"]]
    assert all(len(page["objects"]) + len(page["prefixes"]) <= int(limit) for page in found)


def test_an_empty_bucket_has_one_empty_page(bucket: Bucket) -> None:
    found = bucket.api.get(OBJECTS, prefix="nothing")
    assert found == {"bucket": bucket.name, "objects": [], "prefixes": [], "cursor": None}


def test_a_cursor_is_refused_under_another_prefix(bucket: Bucket) -> None:
    bucket.put("a1", "a2")
    cursor = bucket.api.get(OBJECTS, prefix="a", limit="1")["cursor"]
    status, document = bucket.api.refused(OBJECTS, prefix="b", cursor=cursor)
    assert (status, document["details"]["parameter"]) == (400, "cursor")


@pytest.mark.parametrize(
    "place",
    [
        ["key", ""],
        ["key", "z/1"],
        ["key", "a/" + "x" * 1023],
        ["key", "a/\ud800"],
        ["key", "a/1", "more"],
        ["file", "a/1"],
        ["group", "a/1"],
        ["group", "a/1/2/"],
        ["group", "b/1/"],
    ],
)
def test_a_forged_cursor_is_refused_before_anything_is_read(place: list[str]) -> None:
    query = {"prefix": "a/", "delimiter": "/"}
    asked = queries.asked(f"GET {OBJECTS}", {}, {name: [value] for name, value in query.items()}, "list_objects")
    api = Api(list_objects, s3=None, bucket="b")
    status, document = api.refused(OBJECTS, **query, cursor=paging.cursor(asked, place))
    assert (status, document["details"]["parameter"]) == (400, "cursor")


def test_a_bucket_that_is_not_there_is_an_error_of_the_stack(bucket: Bucket) -> None:
    stores = list_objects.connect({**bucket.environment, "OBJECTS_BUCKET": "nothing-there"})
    status, document = Api(list_objects, **stores).refused(OBJECTS)
    assert (status, document["error"]) == (500, "DatabaseError")
    assert "nothing-there" not in document["message"]


@pytest.mark.parametrize(("query", "parameter"), [({"prefix": "x" * 1025}, "prefix"), ({"max-keys": "1"}, "max-keys")])
def test_a_bad_parameter_is_named(query: dict[str, str], parameter: str) -> None:
    status, document = Api(list_objects, s3=None, bucket="b").refused(OBJECTS, **query)
    assert (status, document["details"]["parameter"]) == (400, parameter)


def test_many_objects_come_once_each_while_others_are_added() -> None:
    with moto_environment() as environment:
        bucket, count = Bucket(environment, "many"), sized(3_000)
        (backends,) = s3_backends.values()
        backend = backends["aws"]
        for number in range(count):
            backend.put_object("many", f"{number * 7919 % count:05}", b"")
        cursor, seen, pages = "", list[str](), 0
        while cursor is not None:
            found = _document(bucket.api, **({"cursor": cursor} if cursor else {}))
            seen += [one["key"] for one in found["objects"]]
            cursor = found["cursor"]
            # Before what was read, and behind it.
            backend.put_object("many", f"{seen[-1]}-late", b"")
            backend.put_object("many", f"{seen[0]}-late", b"")
            pages += 1
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen)
        assert [key for key in seen if "late" not in key] == [f"{number:05}" for number in range(count)]
        assert pages >= count // 100


def _document(api: Api, **query: str) -> Any:
    return json.loads(api.answer(second(f"GET {OBJECTS}", limit="100", **query))["body"])
