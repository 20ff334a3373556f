"""Where commands go, and the two forms of binary values."""

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ProfileNotFound
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import RunningEngine
from tests.trails import unwire
from weaudit.errors import EngineError
from weaudit.installation.targets import Target, wire


def test_with_nothing_set_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"weaudit up[\s\S]*AWS_PROFILE"):
        Target.resolve({}, state_dir=tmp_path)


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_credentials_mean_aws(tmp_path: Path, variable: str) -> None:
    target = Target.resolve({variable: "x", "AWS_REGION": "eu-west-1"}, state_dir=tmp_path)
    assert target == Target("eu-west-1")
    assert target.describe() == "AWS (eu-west-1)"


@pytest.mark.engine
def test_an_engine_that_is_up_wins_over_credentials_but_not_over_an_endpoint(engine: RunningEngine) -> None:
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_REGION": "eu-west-1"}
    target = Target.resolve(credentials, state_dir=engine.directory)
    assert target == engine.target
    assert target.describe() == f"the embedded engine at {engine.endpoint}"
    assert "Configuration" in target.client("dynamodb").list_tables()["TableNames"]
    elsewhere = Target.resolve({**credentials, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, state_dir=engine.directory)
    assert elsewhere == Target("eu-west-1", "http://127.0.0.1:1")


def test_a_profile_is_asked_for_its_credentials_once_however_many_clients_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile that runs a program, or assumes a role, may ask its user for a code each time."""
    keys = json.dumps({"Version": 1, "AccessKeyId": "AKIDPROGRAM", "SecretAccessKey": "secret"})
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho asked >> {tmp_path}/asked\necho '{keys}'\n")
    program.chmod(0o700)
    configuration = tmp_path / "config"
    configuration.write_text(f"[profile corporate]\nregion = eu-west-1\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configuration))
    for services in (("dynamodb", "s3", "dynamodb"), ("sts",)):
        with ThreadPoolExecutor(4) as pool:
            clients = list(pool.map(Target(None, profile="corporate").client, services))
        assert {client.meta.region_name for client in clients} == {"eu-west-1"}
        assert {client._get_credentials().access_key for client in clients} == {"AKIDPROGRAM"}
    assert (tmp_path / "asked").read_text() == "asked\n"
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(ProfileNotFound):
        Target(None, profile="corporate").client("s3")


_names = st.text(max_size=3)
_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(lambda raw: {"B": raw}, st.binary(max_size=5)),
        st.builds(lambda raw: {"BS": raw}, st.lists(st.binary(max_size=5), min_size=1, max_size=3)),
        st.builds(lambda text: {"S": text}, st.text(max_size=5)),
        st.builds(lambda number: {"N": str(number)}, st.integers()),
        st.just({"NULL": True}),
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"M": items}, st.dictionaries(st.one_of(_names, st.sampled_from(["B", "BS"])), inner)),
        st.builds(lambda items: {"L": items}, st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.one_of(_names, st.sampled_from(["B", "BS"])), _values, max_size=4))
def test_wire_and_unwire_are_inverse(item: dict[str, Any]) -> None:
    assert unwire(wire(item)) == item


def test_wire_holds_no_bytes() -> None:
    assert wire({"B": {"B": b"\x00\xff"}, "x": {"BS": [b"a"]}}) == {
        "B": {"B": base64.b64encode(b"\x00\xff").decode()},
        "x": {"BS": ["YQ=="]},
    }
