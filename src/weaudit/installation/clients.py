"""The functions' lean client, for commands: it starts without the SDK, which takes half a second to import.

The SDK is used only for what the environment variables do not say: profiles, roles, single sign-on, and addresses in
the AWS configuration.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from weaudit.aws import endpoints
from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.aws.sigv4 import Credentials
from weaudit.errors import InvalidInputError
from weaudit.installation.targets import Target

# The settings of the AWS configuration that decide where requests go, apart from a profile, which the SDK reads.
_ADDRESS_SETTINGS = (b"endpoint_url", b"ca_bundle", b"use_fips_endpoint", b"use_dualstack_endpoint", b"services")
# With one of these set, an endpoint that a command was given would be ignored or refused.
_CONFLICTING_VARIABLES = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")
# Longer than a function may wait: a person is waiting, perhaps on a slow connection.
_CONNECT_S, _READ_S, _DEADLINE_S = 5.0, 20.0, 60.0

# An endpoint, and a function that returns the current credentials; None means those of the environment.
_Found = tuple[endpoints.Endpoint, Callable[[], Credentials] | None]


def dynamodb(target: Target) -> DynamoDB:
    """Return a client for the target's DynamoDB. Raises InvalidInputError if endpoint or region is not valid."""
    return DynamoDB(_connection(target, "dynamodb"))


def s3(target: Target) -> S3:
    """Return a client for the target's S3. Raises InvalidInputError if endpoint or region is not valid."""
    return S3(_connection(target, "s3"))


def _connection(target: Target, service: str) -> Connection:
    environment = _environment(target)
    endpoint, given = _from_environment(target, service, environment) or _from_sdk(target, service, environment)
    environment.setdefault("AWS_CA_BUNDLE", os.environ.get("REQUESTS_CA_BUNDLE") or _certificates())
    url = f"{endpoint.scheme}://{endpoint.host}"
    connection = Connection(service, endpoint, environment, given=given, proxy=_proxy(url))
    connection.connect_s, connection.read_s, connection.deadline_s = _CONNECT_S, _READ_S, _DEADLINE_S
    return connection


def _environment(target: Target) -> dict[str, str]:
    """Return the AWS environment variables, changed to fit this target."""
    found = {name: value for name, value in os.environ.items() if name.startswith("AWS_") and value}
    if target.region:
        found["AWS_REGION"] = target.region
    if target.endpoint:
        for name in (*_CONFLICTING_VARIABLES, "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"):
            found.pop(name, None)
        found["AWS_ENDPOINT_URL"] = target.endpoint
    if target.access_key and target.secret_key:
        found |= {"AWS_ACCESS_KEY_ID": target.access_key, "AWS_SECRET_ACCESS_KEY": target.secret_key}
        found.pop("AWS_SESSION_TOKEN", None)
    return found


def _from_environment(target: Target, service: str, environment: Mapping[str, str]) -> _Found | None:
    """Return endpoint and credentials if the environment variables decide them, else None."""
    keys = bool(environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"))
    profile = target.profile or environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    if not keys or not target.region or (profile and not target.access_key):
        return None
    configured = Path(environment.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config").expanduser()
    try:
        text = b"" if target.endpoint else configured.read_bytes()
    except OSError:
        text = b""
    if any(name in text for name in _ADDRESS_SETTINGS):
        return None
    try:
        return endpoints.resolve(service, environment), None
    except InvalidInputError:  # the SDK knows more regions, and says what is wrong with an address
        return None


def _from_sdk(target: Target, service: str, environment: dict[str, str]) -> _Found:
    """Return the endpoint and credentials that the SDK finds in the environment and the AWS configuration."""
    from botocore.exceptions import NoCredentialsError

    made = target.client(service)
    scheme, host, path = endpoints.split_url(made.meta.endpoint_url)
    configured = not host.endswith(_AWS_HOSTS)
    endpoint = endpoints.Endpoint(scheme, host, path, made.meta.region_name, configured)
    session = target.session()
    bundle = session.get_config_variable("ca_bundle")
    if bundle:
        environment["AWS_CA_BUNDLE"] = str(bundle)
    found = session.get_credentials()
    if found is None:
        raise NoCredentialsError

    def given() -> Credentials:
        now = found.get_frozen_credentials()  # renewed if they are about to expire
        return Credentials(now.access_key, now.secret_key, now.token)

    return endpoint, given


def _certificates() -> str:
    """Return the file of trusted issuers that comes with the SDK: not every system has its own."""
    for package in ("certifi", "botocore"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            found = Path(spec.origin).with_name("cacert.pem")
            if found.is_file():
                return str(found)
    return ""


def _proxy(url: str) -> str:
    """Return the proxy for an https URL, chosen as the SDK would, or "" if there is none."""
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    if not url.startswith("https:") or not (named or sys.platform in ("darwin", "win32")):
        return ""
    from urllib.request import getproxies, proxy_bypass

    return "" if proxy_bypass(urlsplit(url).netloc) else getproxies().get("https", "")
