"""The target of a command: the embedded engine, or the AWS account that the environment names."""

import base64
import functools
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from weaudit.errors import EngineError, InvalidInputError
from weaudit.installation import engine_state

ENGINE_ACCOUNT = "000000000000"
"""The embedded engine's account: no account on AWS has this number."""
_LAMBDA_OR_CI = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
_CREDENTIALS = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", *_LAMBDA_OR_CI)


@dataclass(frozen=True, slots=True)
class Target:
    """One target of commands; ``endpoint`` is None on AWS, and keys are None if boto3 finds them itself."""

    region: str | None
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    engine: bool = False
    profile: str | None = None  # of the AWS configuration, if not the environment's

    @classmethod
    def resolve(cls, environment: Mapping[str, str] | None = None, *, state_dir: Path | None = None) -> "Target":
        """Decide where commands go.

        AWS_ENDPOINT_URL wins, then a running engine, then AWS if credentials are set. Raises EngineError, which says
        what to do, if there is none of these.
        """
        environment = os.environ if environment is None else environment
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None
        endpoint = environment.get("AWS_ENDPOINT_URL") or None
        if endpoint is not None:
            return cls(region or "us-east-1", endpoint)
        running = engine_state.running(engine_state.directory(state_dir, environment))
        if running is not None:
            return cls.of(running)
        if any(environment.get(name) for name in _CREDENTIALS):
            return cls(region)
        raise EngineError(
            "there is nothing to talk to: the embedded engine is not up and no AWS credentials are set.\n"
            "Start the engine with `weaudit up`, or set AWS_PROFILE (and AWS_REGION) to use your AWS account."
        )

    @classmethod
    def of(cls, engine: engine_state.EngineState) -> "Target":
        """Return the target for this engine."""
        return cls(engine.region, engine.endpoint, engine.access_key, engine.secret_key, engine=True)

    def client(self, service: str, read_s: int = 60) -> Any:
        """Return a new boto3 client for ``service``: standard retries, path-style S3 if there is an endpoint.

        ``read_s`` is how long it waits for a response before a retry; it must be longer than an invoked function runs.
        Raises InvalidInputError if endpoint or region is not valid.
        """
        from botocore.config import Config  # takes 200 ms with boto3: only commands that need it pay

        config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            connect_timeout=5,
            read_timeout=read_s,
            max_pool_connections=32,
            s3={"addressing_style": "path" if self.endpoint else "auto"},
        )
        try:
            with _SESSION_LOCK:
                made = _sessions(self, _environment())[0].client(service, endpoint_url=self.endpoint, config=config)
            _ = urlsplit(made.meta.endpoint_url).port  # an invalid port; the SDK would notice only when it sends
        except ValueError as error:  # endpoint or region is not valid, wherever it was set
            raise InvalidInputError(
                f"{error}\nLook at AWS_ENDPOINT_URL (http://… or https://…), AWS_REGION and your AWS profile."
            ) from error
        return made

    def session(self) -> Any:
        """Return the botocore session that knows the target's credentials and the AWS configuration."""
        with _SESSION_LOCK:
            return _sessions(self, _environment())[1]

    def describe(self) -> str:
        """Return the target in words, without credentials."""
        if self.engine:
            return f"the embedded engine at {self.endpoint}"
        if self.endpoint:
            return f"{self.endpoint} ({self.region})"
        return f"AWS ({self.region or 'the region of your profile'})"


# Only one thread at a time may create clients from a session.
# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/session.html#multithreading-or-multiprocessing-with-sessions
_SESSION_LOCK = threading.Lock()


def _environment() -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


@functools.lru_cache(maxsize=8)
def _sessions(target: Target, _read: tuple[tuple[str, str], ...]) -> tuple[Any, Any]:
    """Return the session of a target, boto3's and botocore's; the same one for the same environment.

    A new session would resolve the profile again, which may ask for a code, and takes 35 ms. ``_read`` holds the
    environment variables that a session reads.
    """
    import boto3
    import botocore.session

    core = botocore.session.Session(profile=target.profile)
    core.register_component("data_loader", _service_models())
    session = boto3.session.Session(
        region_name=target.region,
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        botocore_session=core,
    )
    return session, core


@functools.cache
def _service_models() -> Any:
    # All sessions share one loader: each loader parses every service's model again, which takes 60 to 140 ms a client.
    import botocore.session

    return botocore.session.get_session().get_component("data_loader")


def wire(value: Any) -> Any:
    """Return a response of boto3 with bytes turned into base64 text: DynamoDB JSON as our code expects it."""
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {key: wire(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [wire(inner) for inner in value]
    return value
