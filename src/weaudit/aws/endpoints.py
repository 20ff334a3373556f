"""The addresses of AWS services, from the environment and by botocore's rules. Pure.

The regions of AWS, AWS GovCloud (US) and AWS China are known. AWS_ENDPOINT_URL gives every other address, including
those of regions in other partitions.

No Lambda function needs the following, so they are left out: account-based DynamoDB endpoints (an optimisation: the
regional ones work as well), S3's global endpoint, access points and directory buckets, and configuration files.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from weaudit.errors import InvalidInputError
from weaudit.values import value

# The domain, and the domain of dual-stack endpoints.
_AWS = ("amazonaws.com", "api.aws")
_CHINA = ("amazonaws.com.cn", "api.amazonwebservices.com.cn")
# Such as eu-west-1, cn-north-1 and us-gov-west-1, but not us-iso-east-1 or eusc-de-east-1 of other partitions.
_REGIONS = r"([a-z]{2}|us-gov)-[a-z]+-[0-9]+"
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_PORTS = {"http": 80, "https": 443}


@value
class Endpoint:
    """The address of a service in a region; ``host`` includes a port that is not the scheme's default.

    ``path`` is "" or a prefix of every path. ``configured`` says that the environment gave the endpoint URL.
    """

    scheme: str
    host: str
    path: str
    region: str
    configured: bool


def resolve(service: str, environment: Mapping[str, str]) -> Endpoint:
    """Return the endpoint of ``dynamodb``, ``streams.dynamodb``, ``kms`` or ``s3``.

    Raises InvalidInputError for a missing region, a region whose addresses are not known, or an invalid setting.
    """
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    if not region or not _LOWER.issuperset(region):
        raise InvalidInputError(f"AWS_REGION must name a region, such as eu-west-1; it is {region!r}")
    fips = _is_true(environment, "AWS_USE_FIPS_ENDPOINT")
    dual_stack = _is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT")
    url = ""
    if not _is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        url = environment.get(_variable(service)) or environment.get("AWS_ENDPOINT_URL") or ""
    if not url:
        host = _aws_host(service, region, fips=fips, dual_stack=dual_stack)
        return Endpoint("https", host, "", region, configured=False)
    if fips or dual_stack:
        raise InvalidInputError(
            "an endpoint URL cannot be combined with AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT: unset them"
        )
    scheme, host, path = split_url(url)
    return Endpoint(scheme, host, path, region, configured=True)


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, host (with a port that is not the scheme's default) and path. Raises InvalidInputError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        # Not shown whole: a URL may carry a password.
        raise InvalidInputError("an endpoint URL must look like http://host:port or https://host/path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != _PORTS[parts.scheme]:
        host = f"{host}:{port}"
    return parts.scheme, host, quote(parts.path.rstrip("/"), safe="/%~-._")


def object_address(endpoint: Endpoint, bucket: str, key: str) -> tuple[str, str]:
    """Return host and path of an S3 object; the bucket is in the host name if AWS allows that, else in the path."""
    path = quote(key, safe="/-._~")
    if endpoint.configured or not _may_be_in_a_host_name(bucket):
        return endpoint.host, f"{endpoint.path}/{quote(bucket, safe='-._~')}/{path}"
    return f"{bucket}.{endpoint.host}", f"/{path}"


def _aws_host(service: str, region: str, *, fips: bool, dual_stack: bool) -> str:
    if not re.fullmatch(_REGIONS, region):
        raise InvalidInputError(
            f"the address of {service} in the region {region} is not known: set {_variable(service)}, or "
            "AWS_ENDPOINT_URL for all services"
        )
    plain, dual = _CHINA if region.startswith("cn-") else _AWS
    if service == "s3":
        if fips and region.startswith("cn-"):
            raise InvalidInputError(f"S3 has no FIPS endpoints in {region}: unset AWS_USE_FIPS_ENDPOINT")
        return f"{'s3-fips' if fips else 's3'}{'.dualstack' if dual_stack else ''}.{region}.{plain}"
    if service.endswith("dynamodb") and region.startswith("us-gov-") and not dual_stack:
        fips = False  # the plain endpoints of DynamoDB in GovCloud are FIPS endpoints
    if dual_stack:
        service = service.replace(".", "-")
    return f"{service}{'-fips' if fips else ''}.{region}.{dual if dual_stack else plain}"


def _variable(service: str) -> str:
    # Named by what the SDKs call the service, not by its host.
    return f"AWS_ENDPOINT_URL_{'DYNAMODB_STREAMS' if service == 'streams.dynamodb' else service.upper()}"


def _may_be_in_a_host_name(bucket: str) -> bool:
    # AWS's certificate does not match a host name in which the bucket has a dot.
    return 3 <= len(bucket) <= 63 and _LOWER.issuperset(bucket) and bucket[0] != "-" and bucket[-1] != "-"


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() == "true"
