"""The credentials that Lambda gives a function in environment variables."""

from collections.abc import Mapping

from weaudit.aws.sigv4 import Credentials
from weaudit.errors import StoreRefusedError


def from_environment(environment: Mapping[str, str]) -> Credentials:
    """Return the credentials that the variables hold now. Raises StoreRefusedError if they hold none."""
    access_key, secret_key = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        raise StoreRefusedError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return Credentials(access_key, secret_key, environment.get("AWS_SESSION_TOKEN"))
