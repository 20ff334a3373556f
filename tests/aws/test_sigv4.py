"""Signatures are botocore's own, for random requests, and what is sent is what a botocore client sends."""

import hashlib
import json
import string
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.aws.scripted_server import answer, dynamodb, serving
from tests.sizes import sized
from tests.strategies import texts
from weaudit.aws import endpoints
from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.aws.sigv4 import Credentials, presign, query_text, sign

# Given a date, botocore signs by that header, in another format. None of our requests has one.
_SET_BY_SIGNING = {"host", "authorization", "date", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
_UNSIGNED = set(botocore.auth.SIGNED_HEADERS_BLACKLIST)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
header_names = st.text(f"{string.ascii_letters}{string.digits}-", min_size=1, max_size=21).filter(
    lambda name: name.lower() not in _SET_BY_SIGNING | _UNSIGNED
)
headers = st.dictionaries(header_names, printable, max_size=6).filter(
    lambda drawn: len({name.lower() for name in drawn}) == len(drawn)
)
keys = texts.filter(bool)
base_paths = st.sampled_from(["", "/a", "/a/b c", "/~x/y-z_.", "/ü"])
times = st.integers(0, 4_102_444_800)
hosts = st.sampled_from(
    ["dynamodb.eu-west-1.amazonaws.com", "b.s3.us-east-1.amazonaws.com", "127.0.0.1:4566", "[::1]:80"]
)


@settings(max_examples=sized(200))
@given(st.data(), st.sampled_from(["dynamodb", "s3"]), headers, times, st.binary(max_size=40), printable, printable)
def test_signs_as_botocore_does(
    data: st.DataObject, service: str, given_headers: dict[str, str], at: int, body: bytes, secret: str, token: str
) -> None:
    host = data.draw(hosts)
    if service == "s3":
        url = f"http://{host}" if host.startswith(("127", "[")) else f"https://{host}"
        environment = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": url}
        host, path = endpoints.object_address(endpoints.resolve("s3", environment), "bucket", data.draw(keys))
    else:
        url = "http://" + host
        path = endpoints.split_url(url + data.draw(base_paths))[2] + "/"
        host = endpoints.split_url(url)[1]
    method = data.draw(st.sampled_from(["GET", "PUT", "POST"]))
    ours = sign(
        method,
        host,
        path,
        given_headers,
        hashlib.sha256(body).hexdigest(),
        credentials=Credentials("AKID", secret, token),
        region="eu-west-1",
        service=service,
        at=at,
    )
    theirs = _signed_by_botocore(
        service, method, url.split("://")[0], host, path, given_headers, at, body, secret, token
    )
    assert {name.lower(): value for name, value in ours.items()} == {**theirs, "host": host}


query_names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=8)


@settings(max_examples=sized(150))
@given(st.dictionaries(query_names, texts, max_size=6), times, printable)
def test_signs_a_query_as_botocore_does(query: dict[str, str], at: int, token: str) -> None:
    host, path = "bucket.s3.eu-west-1.amazonaws.com", f"/?{query_text(query)}"
    ours = sign(
        "GET",
        host,
        path,
        {},
        hashlib.sha256(b"").hexdigest(),
        credentials=Credentials("AKID", "secret", token),
        region="eu-west-1",
        service="s3",
        at=at,
    )
    theirs = _signed_by_botocore("s3", "GET", "https", host, path, {}, at, b"", "secret", token)
    assert ours["Authorization"] == theirs["authorization"]


@settings(max_examples=sized(150))
@given(keys, times, st.integers(1, 604_800), printable, printable)
def test_links_are_botocores(key: str, at: int, seconds: int, secret: str, token: str) -> None:
    endpoint = endpoints.resolve("s3", {"AWS_REGION": "eu-west-1"})
    host, path = endpoints.object_address(endpoint, "bucket", key)
    ours = presign(
        host,
        path,
        credentials=Credentials("AKID", secret, token),
        region="eu-west-1",
        service="s3",
        at=at,
        seconds=seconds,
    )
    request = AWSRequest("GET", f"https://{host}{path}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: datetime.fromtimestamp(at, UTC))
        credentials = BotocoreCredentials("AKID", secret, token or None)
        botocore.auth.S3SigV4QueryAuth(credentials, "s3", "eu-west-1", expires=seconds).add_auth(request)
    assert dict(parse_qsl(ours, strict_parsing=True)) == dict(parse_qsl(urlsplit(request.url).query))


def _signed_by_botocore(
    service: str,
    method: str,
    scheme: str,
    host: str,
    path: str,
    given_headers: dict[str, str],
    at: int,
    body: bytes,
    secret: str,
    token: str,
) -> dict[str, str]:
    request = AWSRequest(method, f"{scheme}://{host}{path}", headers=given_headers, data=body)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": True})
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    with pytest.MonkeyPatch.context() as patch:
        now = datetime.fromtimestamp(at, UTC)
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now)
        signer(BotocoreCredentials("AKID", secret, token or None), service, "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def test_credentials_show_no_secret() -> None:
    credentials = Credentials("AKID", "wJalr", "")
    assert "wJalr" not in repr(credentials)
    assert "token" not in repr(Credentials("AKID", "wJalr", "token"))


@pytest.mark.parametrize("token", ["", "session"])
def test_sends_what_a_botocore_client_sends(token: str) -> None:
    """Method, path, headers that carry meaning and body are the same, seen from the server."""
    item = {"id": {"S": "é\u2028"}, "n": {"N": "1" * 38}}
    batch = {"RequestItems": {"Audit": [{"PutRequest": {"Item": item}}]}}
    key = "spill/a b+c/ü/../~x"
    nothing = answer(200)
    with serving(dynamodb({}), nothing, nothing, dynamodb({}), nothing) as server:
        environment = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.url, "AWS_SESSION_TOKEN": token}
        environment |= {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
        DynamoDB(Connection.from_environment("dynamodb", environment)).call("BatchWriteItem", batch)
        s3 = S3(Connection.from_environment("s3", environment))
        s3.put_object("bucket", key, b"body", "application/json")
        s3.get_object("bucket", key)
        session = botocore.session.Session()
        session.set_credentials("AKID", "secret", token or None)
        config = Config(s3={"payload_signing_enabled": True}, request_checksum_calculation="when_required")
        options: dict[str, Any] = {"region_name": "eu-west-1", "endpoint_url": server.url, "config": config}
        client = session.create_client("dynamodb", **options)
        client.batch_write_item(**batch)
        client.close()
        client = session.create_client("s3", **options)
        client.put_object(Bucket="bucket", Key=key, Body=b"body", ContentType="application/json")
        client.get_object(Bucket="bucket", Key=key)["Body"].read()
        client.close()
    ours, theirs = server.requests[:3], server.requests[3:]
    for mine, botocores in zip(ours, theirs, strict=True):
        assert (mine.method, urlsplit(mine.path)) == (botocores.method, urlsplit(botocores.path))
        for name in ("content-type", "x-amz-target", "host", "x-amz-security-token", "accept-encoding"):
            assert mine.headers.get(name) == botocores.headers.get(name)
        # The day may change between the two; region and service do not.
        scope = mine.headers["authorization"].split("/")[2:4]
        assert scope == botocores.headers["authorization"].split("/")[2:4]
    assert json.loads(ours[0].body) == json.loads(theirs[0].body)
    assert ours[1].body == theirs[1].body == b"body"
    assert ours[1].headers["x-amz-content-sha256"] == theirs[1].headers["x-amz-content-sha256"]
