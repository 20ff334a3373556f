"""Releases under traffic: through every door, while versions come and go, nothing is lost or doubled."""

import base64
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from typer.testing import CliRunner

from tests.conftest import client_of
from tests.e2e.commands import client, eventually, records_of, verified
from tests.openapi import Caller
from weaudit.cli.main import app
from weaudit.deploy import packaging, templates
from weaudit.functions import FUNCTIONS
from weaudit.installation.outputs import Installation

pytestmark = pytest.mark.engine


def command(*words: str) -> Any:
    """Run a command as a user does; whatever it prints is in what is returned."""
    found = CliRunner().invoke(app, list(words))
    assert found.exception is None or isinstance(found.exception, SystemExit), found.output
    return found


class Traffic:
    """One thread a door, each with items of its own, so that what has to be in the trail is known."""

    def __init__(self) -> None:
        found = Installation.find()
        self._target = found.target
        url = f"{found.target.endpoint}/_aws/execute-api/{found.outputs['ApiId']}/$default"
        self._caller = Caller(url, Credentials("test", "test"))
        self.bucket, self.rows, self.update = (
            found.trigger_bucket,
            found.invocation_log,
            found.outputs["TableUpdateAliasArn"],
        )
        self.counts = dict.fromkeys(("table", "update", "api", "object", "health"), 0)
        self.releases: set[str] = set()
        self._stop = threading.Event()
        self._errors: list[Exception] = []

    def __enter__(self) -> "Traffic":
        dynamodb = client("dynamodb")
        for key in ("update", "api"):
            dynamodb.put_item(TableName="Configuration", Item={"key": {"S": key}, "n": {"N": "0"}})
        doors = (self._put, self._invoke, self._ask, self._upload, self._look)
        self._threads = [threading.Thread(target=self._work, args=(door,)) for door in doors]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._errors, self._errors[0]

    def moved_on(self) -> None:
        """Wait until each door was used again, from now on."""
        before = dict(self.counts)
        eventually(lambda: bool(self._errors) or all(self.counts[door] > before[door] + 1 for door in before))

    def _work(self, door: Callable[[], None]) -> None:
        try:
            while not self._stop.wait(0.1):
                door()
        except Exception as error:  # noqa: BLE001  (it fails the test, in __exit__)
            self._errors.append(error)

    def _put(self) -> None:
        number = self.counts["table"] + 1
        item = {"key": {"S": "table"}, "n": {"N": str(number)}}
        client_of(self._target, "dynamodb").put_item(TableName="Configuration", Item=item)
        self.counts["table"] = number

    def _invoke(self) -> None:
        document = {"id": "update", "attributes": {"n": self.counts["update"] + 1}, "enable_logging": True}
        answer = client_of(self._target, "lambda").invoke(FunctionName=self.update, Payload=json.dumps(document))
        found = json.loads(answer["Payload"].read())
        assert found.get("success") is True, found
        self.counts["update"] += 1

    def _ask(self) -> None:
        document = {"id": "api", "attributes": {"n": self.counts["api"] + 1}}
        answer = self._caller.ask("POST", "/v1/updates", body=document, headers={"content-type": "application/json"})
        assert answer.status == 200, answer
        self.counts["api"] += 1

    def _upload(self) -> None:
        number = self.counts["object"] + 1
        client_of(self._target, "s3").put_object(Bucket=self.bucket, Key=f"traffic/{number}", Body=b"x")
        self.counts["object"] = number

    def _look(self) -> None:
        answer = self._caller.ask("GET", "/v1/health")
        assert answer.status == 200, answer
        self.releases.add(answer.document["release"])
        self.counts["health"] += 1

    def check(self) -> None:
        """Check that each write of each door is in the trail or the log, once and in order."""
        for door, first in (("table", 1), ("update", 0), ("api", 0)):
            wanted = list(range(first, self.counts[door] + 1))
            eventually(lambda door=door, wanted=wanted: len(records_of(door)) >= len(wanted), 60)  # type: ignore[misc]
            found = [record["newValue"] for record in records_of(door)]
            assert [int(value.get("N") or value["M"]["n"]["N"]) for value in found] == wanted
        pages = client("dynamodb").get_paginator("scan").paginate
        wanted_keys = {f"traffic/{number}" for number in range(1, self.counts["object"] + 1)}

        def keys() -> list[str]:
            return [row["objectKey"]["S"] for page in pages(TableName=self.rows) for row in page["Items"]]

        eventually(lambda: len(keys()) >= len(wanted_keys), 60)
        assert sorted(keys()) == sorted(wanted_keys)


@pytest.fixture
def second_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what turns the sources that are packaged into another version of every function."""

    def turn() -> None:
        sources = tmp_path / "second" / "weaudit"
        shutil.copytree(packaging._SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
        (sources / "__init__.py").write_text('__version__ = "9.9.9"\n')
        monkeypatch.setattr(packaging, "_SOURCES", sources)

    return turn


def code_of(alias: str, function: str) -> tuple[str, str]:
    """Return the version that an alias points to, and the digest of its code."""
    functions = client("lambda")
    version = functions.get_alias(FunctionName=function, Name=alias)["FunctionVersion"]
    found = functions.get_function_configuration(FunctionName=function, Qualifier=version)
    return version, base64.b64decode(found["CodeSha256"]).hex()


def mappings() -> dict[str, tuple[str, str]]:
    found = client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return {row["UUID"]: (row["FunctionArn"], row["State"]) for row in found}


def told() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(command("versions", "--json").stdout)
    return rows


def test_versions_come_and_go_under_traffic(state_dir: Path, second_version: Callable[[], None]) -> None:
    [first] = told()
    before = mappings()
    with Traffic() as traffic:
        traffic.moved_on()
        second_version()
        deployed = command("deploy", "--yes", "--json")
        assert deployed.exit_code == 0, deployed.output
        traffic.moved_on()
        assert (
            code_of("learn", "audit_producer")[1]
            == json.loads(deployed.stdout)["artifacts"]["audit_producer"]["sha256"]
        )
        found = command("rollback", "--yes")
        assert found.exit_code == 0, found.output
        assert "To go back: weaudit rollback --to 2 --stage dev\n" in found.stderr
        traffic.moved_on()
    traffic.check()
    eventually(lambda: verified()["whole"])
    assert mappings() == before
    back, second, original = told()
    assert original == {**first, "current": False}
    assert (back["current"], back["reapplies"], back["rolledBackFrom"]) == (True, 1, 2)
    assert [row["outcome"] for row in (back, second)] == ["deployed", "deployed"]
    assert traffic.releases == {first["release"], second["release"], back["release"]}
    assert back["artifacts"] == first["artifacts"] != second["artifacts"]
    for function in FUNCTIONS:
        name = function.deployed_as()
        alias = back["functions"][name]["alias"]
        version, digest = code_of(alias, name)
        assert (version, digest) == (back["functions"][name]["version"], first["artifacts"][function.name]["sha256"])
        assert [row["functions"][name]["version"] for row in (original, second, back)] == ["1", "2", "3"]
    shown = command("versions").stdout
    assert shown.index(back["release"]) < shown.index(second["release"]) < shown.index(first["release"])
    assert "(release 1 again)" in shown


def test_a_deployment_that_fails_half_way_leaves_the_old_version_running(
    state_dir: Path, tmp_path: Path, second_version: Callable[[], None]
) -> None:
    [first] = told()
    text = templates.path("template.yaml").read_text()
    # After functions, aliases and the mapping are the new ones already.
    broken = """
  Broken:
    Type: AWS::IAM::Policy
    DependsOn: [AuditProducerAliaslearn, AuditProducerConfigurationStream, HealthAliaslive, S3ProcessorAliaslive]
    Properties: {PolicyName: two, Roles: [nobody], PolicyDocument: {Version: "2012-10-17", Statement: []}}

Outputs:
"""
    (tmp_path / "broken.yaml").write_text(text.replace("\nOutputs:\n", broken))
    before = mappings()
    second_version()
    with Traffic() as traffic:
        traffic.moved_on()
        found = command("deploy", "--yes", "--template", str(tmp_path / "broken.yaml"))
        traffic.moved_on()
    assert found.exit_code == 1
    assert "UPDATE_COMPLETE\n" in found.stderr, "nothing was changed before it failed"
    assert "Broken (AWS::IAM::Policy)" in found.stderr
    assert "nobody" in found.stderr.partition("Error:")[2]
    assert f"Release {first['release']} keeps running" in found.stderr
    traffic.check()
    eventually(lambda: verified()["whole"])
    assert mappings() == before
    failed, original = told()
    assert (failed["outcome"], failed["current"], original) == ("failed", False, first)
    assert "nobody" in failed["reason"]
    for function in FUNCTIONS:
        name = function.deployed_as()
        assert code_of(original["functions"][name]["alias"], name)[1] == first["artifacts"][function.name]["sha256"]
