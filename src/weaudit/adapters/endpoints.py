"""Where DynamoDB and S3 are reached: from the environment, by the rules that botocore has. Pure.

Not followed, because no Lambda function meets them: pseudo regions (``aws-global``), account-based DynamoDB endpoints
(an optimisation: the regional ones answer as well), access points and directory buckets of S3, configuration files.
"""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from weaudit.errors import InvalidInputError

# Start of a region's name -> domain, domain of dual-stack endpoints.
_PARTITIONS = {
    "cn-": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": ("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": ("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": ("sc2s.sgov.gov", "api.aws.scloud"),
    "eu-isoe-": ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "us-isof-": ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
}
_AWS = ("amazonaws.com", "api.aws")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_PORTS = {"http": 80, "https": 443}


class Endpoint:
    """A service's address: ``scheme``, ``host`` (with the port where it is not the scheme's own), ``path``, ``region``.

    ``path`` is "" or a prefix of every path. ``configured`` tells an endpoint URL of the environment from AWS's own.
    """

    __slots__ = ("configured", "host", "path", "region", "scheme")

    def __init__(self, scheme: str, host: str, path: str, region: str, *, configured: bool) -> None:
        self.scheme = scheme
        self.host = host
        self.path = path
        self.region = region
        self.configured = configured


def resolve(service: str, environment: Mapping[str, str]) -> Endpoint:
    """Return the endpoint of ``dynamodb`` or ``s3``. Raises InvalidInputError for no region and for a bad setting."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    if not region or not _LOWER.issuperset(region):
        raise InvalidInputError(f"AWS_REGION must name a region, such as eu-west-1; it is {region!r}")
    fips = _is_true(environment, "AWS_USE_FIPS_ENDPOINT")
    dual_stack = _is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT")
    url = ""
    if not _is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        url = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL") or ""
    if not url:
        global_s3 = environment.get("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "").lower() != "regional"
        host = _aws_host(service, region, fips=fips, dual_stack=dual_stack, global_s3=global_s3)
        return Endpoint("https", host, "", region, configured=False)
    if fips or dual_stack:
        raise InvalidInputError(
            "an endpoint URL goes with neither AWS_USE_FIPS_ENDPOINT nor AWS_USE_DUALSTACK_ENDPOINT"
        )
    scheme, host, path = split_url(url)
    return Endpoint(scheme, host, path, region, configured=True)


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, host (with a port that is not the scheme's own) and path. Raises InvalidInputError."""
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
    """Return host and path of an S3 object: the bucket in the host name where AWS allows it, else in the path."""
    path = quote(key, safe="/-._~")
    if endpoint.configured or not _may_be_in_a_host_name(bucket):
        return endpoint.host, f"{endpoint.path}/{quote(bucket, safe='-._~')}/{path}"
    return f"{bucket}.{endpoint.host}", f"/{path}"


def _aws_host(service: str, region: str, *, fips: bool, dual_stack: bool, global_s3: bool) -> str:
    plain, dual = next((names for start, names in _PARTITIONS.items() if region.startswith(start)), _AWS)
    if service == "dynamodb":
        # The plain endpoints of GovCloud are FIPS endpoints.
        suffixed = fips and (dual_stack or not region.startswith("us-gov-"))
        return f"{'dynamodb-fips' if suffixed else 'dynamodb'}.{region}.{dual if dual_stack else plain}"
    if fips and region.startswith("cn-"):
        raise InvalidInputError(f"S3 has no FIPS endpoints in {region}: unset AWS_USE_FIPS_ENDPOINT")
    if region == "us-east-1" and global_s3 and not fips and not dual_stack:
        return f"s3.{plain}"
    return f"{'s3-fips' if fips else 's3'}{'.dualstack' if dual_stack else ''}.{region}.{plain}"


def _may_be_in_a_host_name(bucket: str) -> bool:
    # With a dot in it AWS's certificate would not match.
    return 3 <= len(bucket) <= 63 and _LOWER.issuperset(bucket) and bucket[0] != "-" and bucket[-1] != "-"


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() == "true"
