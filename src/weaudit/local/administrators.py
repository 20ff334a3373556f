"""The administrator of an engine that enforces permissions (`weaudit up --auth`)."""

import contextlib
import dataclasses
import json
from typing import Any

from weaudit.installation import engine_state
from weaudit.installation.targets import Target

USER = "weaudit-admin"
_EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# The engine's own word for both keys of its root.
_ROOT = "test"


def ensure(engine: engine_state.EngineState) -> engine_state.EngineState:
    """Return ``engine`` with a working administrator's key, made where it has none, and keep it in the state file.

    A key that was kept may be void: an engine that was killed has lost it. MiniStack never checks the signature of its
    root key ``test``, which is how the first user comes to be.
    """
    root = Target.of(dataclasses.replace(engine, access_key=_ROOT, secret_key=_ROOT))
    iam = root.client("iam")
    keys = _keys(iam)
    if engine.access_key in keys:
        return engine
    for old in keys:
        iam.delete_access_key(UserName=USER, AccessKeyId=old)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    engine = dataclasses.replace(engine, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    engine_state.save(engine)
    return engine


def _keys(iam: Any) -> list[str]:
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=USER)
    iam.put_user_policy(UserName=USER, PolicyName="everything", PolicyDocument=json.dumps(_EVERYTHING))
    return [key["AccessKeyId"] for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]]
