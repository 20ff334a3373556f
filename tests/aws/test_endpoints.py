"""Endpoints are those that botocore resolves, for every region of three partitions, also for some that come later."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError

from weaudit.aws import endpoints
from weaudit.errors import InvalidInputError

_LOADER = botocore.session.Session().get_component("data_loader")
_PARTITIONS = _LOADER.load_data("partitions")
_KNOWN = {"aws", "aws-cn", "aws-us-gov"}


def _regions(partitions: Callable[[str], bool]) -> set[str]:
    found = [partition for partition in _PARTITIONS["partitions"] if partitions(partition["id"])]
    return {region for partition in found for region in partition["regions"]}


# Pseudo regions such as aws-global are where no function runs; some of these exist in the pattern only, as of today.
REGIONS = sorted(
    {region for region in _regions(_KNOWN.__contains__) if "global" not in region}
    | {"eu-north-9", "mx-east-1", "cn-south-3", "us-gov-south-1"}
)
OTHERS = sorted(
    _regions(lambda partition: partition not in _KNOWN)
    | {region for region in _regions(lambda _: True) if "global" in region}
    | {"us-iso-north-7", "us-isob-south-1", "us-isof-west-2", "eu-isoe-east-2", "eusc-de-west-2"}
    | {"us-west-2-lax-1", "local", "mars"}
)
BUCKETS = ["bucket", "a.b.c", "Upper", "under_score", "ends-", "-begins", "xn--abc", "a--b", "1.2.3.4", "ab", "a" * 64]


# What botocore calls each service, and the end of the variable that gives its address.
SERVICES = {
    "dynamodb": ("dynamodb", "DYNAMODB"),
    "streams.dynamodb": ("dynamodbstreams", "DYNAMODB_STREAMS"),
    "kms": ("kms", "KMS"),
    "s3": ("s3", "S3"),
}


@pytest.fixture(scope="module", params=SERVICES)
def provider(request: pytest.FixtureRequest) -> tuple[str, EndpointProvider]:
    rules = _LOADER.load_service_model(SERVICES[request.param][0], "endpoint-rule-set-1")
    return request.param, EndpointProvider(rules, _PARTITIONS)


@pytest.mark.parametrize("dual_stack", [False, True])
@pytest.mark.parametrize("fips", [False, True])
def test_every_region(provider: tuple[str, EndpointProvider], fips: bool, dual_stack: bool) -> None:
    service, rules = provider
    for region in REGIONS:
        environment = {"AWS_REGION": region}
        environment["AWS_USE_FIPS_ENDPOINT"] = str(fips).lower()
        environment["AWS_USE_DUALSTACK_ENDPOINT"] = str(dual_stack).lower()
        parameters = {"Region": region, "UseFIPS": fips, "UseDualStack": dual_stack}
        if service == "s3":
            parameters["Bucket"] = "bucket"
        try:
            theirs = rules.resolve_endpoint(**parameters)
        except EndpointProviderError:
            with pytest.raises(InvalidInputError):
                endpoints.resolve(service, environment)
            continue
        ours = endpoints.resolve(service, environment)
        host = endpoints.object_address(ours, "bucket", "key")[0] if service == "s3" else ours.host
        assert f"{ours.scheme}://{host}" == theirs.url
        signing = (theirs.properties.get("authSchemes") or [{}])[0].get("signingRegion", region)
        assert ours.region == signing


@pytest.mark.parametrize("region", OTHERS)
@pytest.mark.parametrize("service", SERVICES)
def test_an_address_that_is_not_known_is_never_guessed_and_may_be_given(service: str, region: str) -> None:
    variable = f"AWS_ENDPOINT_URL_{SERVICES[service][1]}"
    with pytest.raises(InvalidInputError, match=f"{region} is not known: set {variable}, or AWS_"):
        endpoints.resolve(service, {"AWS_REGION": region})
    for name in ("AWS_ENDPOINT_URL", variable):
        given = endpoints.resolve(service, {"AWS_REGION": region, name: "https://service.example"})
        assert (given.scheme, given.host, given.region) == ("https", "service.example", region)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_in_the_host_name_where_botocore_puts_them_there(bucket: str) -> None:
    rules = EndpointProvider(_LOADER.load_service_model("s3", "endpoint-rule-set-1"), _PARTITIONS)
    theirs = rules.resolve_endpoint(Region="eu-west-1", UseFIPS=False, UseDualStack=False, Bucket=bucket)
    ours = endpoints.resolve("s3", {"AWS_REGION": "eu-west-1"})
    host, path = endpoints.object_address(ours, bucket, "key")
    assert f"https://{host}{path}" == f"{theirs.url}/key"


_URL, _OTHER = "http://127.0.0.1:4566", "https://other.example:8443/base/"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_ENDPOINT_URL": _URL},
        {"AWS_ENDPOINT_URL": _URL, "AWS_ENDPOINT_URL_S3": _OTHER, "AWS_ENDPOINT_URL_DYNAMODB": ""},
        {"AWS_ENDPOINT_URL_DYNAMODB": _OTHER},
        {"AWS_ENDPOINT_URL": _URL, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": _OTHER},
        {"AWS_ENDPOINT_URL_KMS": _OTHER},
        {"AWS_ENDPOINT_URL": "http://LocalHost:80/"},
        {"AWS_ENDPOINT_URL": "http://[::1]:4566"},
        {"AWS_ENDPOINT_URL": _URL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL": _URL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
        {"AWS_DEFAULT_REGION": "us-east-1"},
    ],
)
def test_the_environment_is_read_as_a_botocore_client_reads_it(
    variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # botocore still uses S3's global endpoint for us-east-1 where it is not told otherwise.
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional", **variables}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for service, operation in (("dynamodb", "list_tables"), ("streams.dynamodb", "list_streams"), ("kms", "list_keys")):
        ours = endpoints.resolve(service, environment)
        assert _sent_by_botocore(SERVICES[service][0], operation) == (ours.scheme, ours.host, ours.path + "/")
    bucket = endpoints.resolve("s3", environment)
    address = endpoints.object_address(bucket, "bucket", "a/b c")
    assert _sent_by_botocore("s3", "get_object", Bucket="bucket", Key="a/b c") == (bucket.scheme, *address)


class _SeenError(Exception):
    pass


def _sent_by_botocore(service: str, operation: str, **parameters: str) -> tuple[str, str, str]:
    session = botocore.session.Session()
    session.set_credentials("AKID", "secret")
    client: Any = session.create_client(service)
    seen: list[str] = []

    def stop(request: Any, **_: Any) -> None:
        seen.append(request.url)
        raise _SeenError

    client.meta.events.register("before-send", stop)
    with contextlib.suppress(_SeenError):
        getattr(client, operation)(**parameters)
    client.close()
    parts = urlsplit(seen[0])
    scheme, host, _ = endpoints.split_url(f"{parts.scheme}://{parts.netloc}")
    return scheme, host, parts.path


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_REGION": "eu west"},
        {"AWS_REGION": "eu-west-1/@evil.example"},
        {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "127.0.0.1:4566"},
        {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "ftp://host"},
        {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://host:port"},
        {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://user:pass@host"},
        {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://host?x=1"},
        {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": _URL, "AWS_USE_FIPS_ENDPOINT": "true"},
    ],
)
def test_a_wrong_setting_is_said_and_never_shows_a_password(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError) as raised:
        endpoints.resolve("dynamodb", environment)
    assert "pass" not in str(raised.value)


def test_aws_region_comes_before_the_default_region() -> None:
    found = endpoints.resolve("dynamodb", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-2"})
    assert (found.region, found.host) == ("eu-west-1", "dynamodb.eu-west-1.amazonaws.com")
