"""A stage's releases on the embedded engine, of a small template: deployed, refused, failed, rolled back, removed."""

import dataclasses
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moto
import pytest
from typer.testing import CliRunner

from tests.conftest import RunningEngine
from tests.e2e.fault_proxies import FaultProxy
from weaudit.cli.main import app
from weaudit.deploy import change_sets, destroying, stack
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.deploying import Deploying, Plan
from weaudit.deploy.destroying import Destroying, Removal
from weaudit.deploy.releases import Release, ReleaseLog
from weaudit.errors import DeployError, InvalidInputError
from weaudit.installation import stacks
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target

pytestmark = pytest.mark.engine

TEMPLATE = """\
Parameters:
  Prefix: {Type: String}
  EnvironmentSuffix: {Type: String}
  Retain: {Type: String, Default: "true"}
  Release: {Type: String, Default: ""}
  Level: {Type: String, Default: low}
  Secret: {Type: String, Default: none, NoEcho: true}
Conditions:
  Retained: !Equals [!Ref Retain, "true"]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub ${Prefix}things-${EnvironmentSuffix}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      DeletionProtectionEnabled: !If [Retained, true, false]
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub ${Prefix}things-${EnvironmentSuffix}
      VersioningConfiguration: {Status: Enabled}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "${Prefix}${Level}-${EnvironmentSuffix}"}
Outputs:
  Release: {Value: !Ref Release}
  Secret: {Value: !Ref Secret}
"""
# A change of outputs alone makes no change set on the engine.
MORE = "  More: {Type: AWS::SQS::Queue}\n"
# The engine takes most mistakes for fine; a policy of a role that is not there it refuses, as AWS does.
FAILING = """\
  Broken:
    Type: AWS::IAM::Policy
    DependsOn: Queue
    Properties: {PolicyName: two, Roles: [nobody], PolicyDocument: {Version: "2012-10-17", Statement: []}}
"""


@dataclasses.dataclass
class Place:
    """One stage of its own on the engine that tests share."""

    deploying: Deploying
    folder: Path
    lines: list[str]

    def plan(self, text: str = TEMPLATE, **given: str) -> Plan | None:
        path = self.folder / "template.yaml"
        path.write_text(text)
        return self.deploying.plan(self.folder / "packages", template=path, given=given)

    def deploy(self, text: str = TEMPLATE, **given: str) -> Release:
        plan = self.plan(text, **given)
        assert plan is not None
        return self.deploying.apply(plan)

    def back(self, to: int | None = None) -> Release:
        plan = self.deploying.plan_rollback(to)
        assert plan is not None
        return self.deploying.apply(plan)

    @property
    def log(self) -> ReleaseLog:
        return ReleaseLog(self.deploying.bucket, self.deploying.stage.stack)

    @property
    def found(self) -> stacks.StackState:
        found = stacks.describe(self.deploying.target, self.deploying.stage.stack)
        assert found is not None
        return found

    @property
    def destroying(self) -> Destroying:
        return Destroying(self.deploying.target, self.deploying.stage, self.lines.append)


@pytest.fixture
def place(engine: RunningEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("weaudit.deploy.deploying.FUNCTIONS", ())  # the template has none
    lines: list[str] = []
    stage = Stage("t", f"{tmp_path.name[-10:].strip('_0').replace('_', '-').lower() or 'x'}-".lstrip("-0123456789"))
    made = Place(Deploying(engine.target, stage, lines.append), tmp_path, lines)
    yield made
    removal = made.destroying.plan(delete_data=True)
    if removal is not None:
        made.destroying.apply(removal)
    s3 = made.deploying.bucket.client
    for number in made.log.numbers():
        s3.delete_object(Bucket=made.deploying.bucket.name, Key=made.log._key(number))


def test_releases_tell_the_story(place: Place) -> None:
    first = place.deploy(Secret="hush")
    assert (first.number, first.outcome, first.parameters["Retain"]) == (1, "deployed", "false")
    assert "hush" not in json.dumps(first.document())
    assert place.found.outputs == {"Release": first.label, "Secret": "hush"}
    assert place.found.masked == {"Secret"}
    # Again is nothing to do, and what was given stays.
    assert place.plan(Secret="hush") is None
    second = place.deploy(Level="high")
    assert second.parameters == {**first.parameters, "Level": "high"}
    assert place.found.outputs == {"Release": second.label, "Secret": "hush"}
    third = place.deploy(TEMPLATE.replace("Outputs:\n", MORE + "Outputs:\n  More: {Value: x}\n"))
    assert third.parameters == second.parameters

    back = place.back()
    assert (back.number, back.reapplies, back.rolled_back_from, back.template) == (4, 2, 3, second.template)
    assert place.found.parameters["Level"] == "high"
    further = place.back()
    assert (further.number, further.reapplies, further.rolled_back_from) == (5, 1, 4)
    assert place.found.parameters["Level"] == "low"
    with pytest.raises(InvalidInputError, match=r"no release of .* to go back to"):
        place.deploying.plan_rollback()
    forward = place.back(3)
    assert (forward.number, forward.reapplies) == (6, 3)
    assert place.found.outputs == {"Release": forward.label, "Secret": "hush", "More": "x"}
    assert place.deploying.plan_rollback(3) is None
    with pytest.raises(InvalidInputError, match="no release 77"):
        place.deploying.plan_rollback(77)
    assert [found.number for found in place.log.newest_first()] == [6, 5, 4, 3, 2, 1]


def test_a_failed_update_leaves_what_was_there_and_says_why(place: Place) -> None:
    first = place.deploy()
    with pytest.raises(DeployError, match=r"is UPDATE_ROLLBACK_COMPLETE: Broken \(AWS::IAM::Policy\): .*nobody"):
        place.deploy(TEMPLATE.replace("Outputs:", FAILING + "Outputs:"), Level="high")
    assert place.found.outputs["Release"] == first.label
    failed = place.log.get(2)
    assert failed is not None
    assert failed.outcome == "failed"
    assert "nobody" in failed.reason
    # The stack is release 1, whose deployment is no work; the failed one's parameters are forgotten.
    assert place.plan() is None
    with pytest.raises(InvalidInputError, match="release 2 was never there: it failed"):
        place.deploying.plan_rollback(2)
    assert place.deploy(Level="high").number == 3


def test_a_first_deployment_that_failed_is_cleared_away_by_the_next(place: Place) -> None:
    with pytest.raises(DeployError, match=r"is ROLLBACK_COMPLETE: Broken \(AWS::IAM::Policy\): .*nobody"):
        place.deploy(TEMPLATE.replace("Outputs:", FAILING + "Outputs:"))
    assert place.deploy().number == 2
    assert any("which never came to be" in line for line in place.lines)


def test_what_was_looked_at_and_declined_leaves_nothing(place: Place) -> None:
    plan = place.plan()
    assert plan is not None
    assert plan.change_set.creates
    assert {change.action for change in plan.change_set.changes} == {"Add"}
    place.deploying.discard(plan)
    assert stacks.describe(place.deploying.target, place.deploying.stage.stack) is None
    assert place.log.numbers() == []
    place.deploy()
    plan = place.plan(Level="high")
    assert plan is not None
    [change] = [change for change in plan.change_set.changes if change.resource == "Queue"]
    assert (change.action, change.kind) == ("Modify", "AWS::SQS::Queue")
    place.deploying.discard(plan)
    assert place.found.parameters["Level"] == "low"


def test_a_change_set_whose_answers_are_lost_is_made_and_carried_out_once(place: Place) -> None:
    """What CloudFormation did and did not say is asked for again by the SDK: it is nobody else's, and no refusal."""
    target = place.deploying.target
    assert target.endpoint is not None
    with FaultProxy(target.endpoint) as proxy:
        behind = dataclasses.replace(place.deploying, target=dataclasses.replace(target, endpoint=proxy.endpoint))
        lost = [
            {"service": "cloudformation", "operation": operation, "times": 1, "response": {"abort_bytes": 0}}
            for operation in ("CreateChangeSet", "ExecuteChangeSet")
        ]
        proxy.ask("rules", lost)
        release = dataclasses.replace(place, deploying=behind).deploy()
        assert [rule["fired"] for rule in proxy.ask("stats")["by_rule"]] == [1, 1]
    assert (release.number, release.outcome) == (1, "deployed")
    assert place.found.outputs["Release"] == release.label
    # One that cannot be carried out any more is refused still.
    mine, theirs = place.plan(Level="mine"), place.plan(Level="theirs")
    assert mine is not None
    assert theirs is not None
    client = target.client("cloudformation")
    stack.carry_out(target, theirs.change_set, place.lines.append)
    with pytest.raises(DeployError, match="refused stack"):
        change_sets.execute(client, mine.change_set)


def test_a_stack_that_never_got_beyond_its_plan_is_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that was killed while it asked leaves a stack that waits for ever: nothing goes on in it."""
    monkeypatch.setattr("weaudit.installation.stacks.WAIT_SECONDS", 5.0)  # as long as it would be waited for
    assert place.plan() is not None
    removal = place.destroying.plan(delete_data=False)
    assert removal is not None
    assert removal.status == "REVIEW_IN_PROGRESS"
    place.destroying.apply(removal)
    assert stacks.describe(place.deploying.target, place.deploying.stage.stack) is None


def test_two_who_deploy_at_once_do_not_take_one_number(place: Place) -> None:
    place.deploy()
    mine, theirs = place.plan(Level="mine"), place.plan(Level="theirs")
    assert mine is not None
    assert theirs is not None
    place.deploying.apply(theirs)
    with pytest.raises(DeployError, match="somebody else is deploying"):
        place.deploying.apply(mine)
    assert place.found.parameters["Level"] == "theirs"
    assert place.deploy(Level="mine").number == 3


def test_a_deployment_whose_command_was_ended_is_settled_by_the_next(place: Place) -> None:
    first = place.deploy()
    # Ended before the stack was touched, and, after that, when it was there but not yet written down.
    place.log.create(dataclasses.replace(first, number=2, outcome="deploying"))
    third = place.deploy(Level="high")
    place.log.replace(dataclasses.replace(third, outcome="deploying", functions={}))
    assert place.plan(Level="high") is None
    assert {found.number: found.outcome for found in place.log.newest_first()} == {
        3: "deployed", 2: "interrupted", 1: "deployed",
    }  # fmt: skip


def test_a_stack_that_others_deployed_keeps_its_parameters(place: Place) -> None:
    (place.folder / "theirs.yaml").write_text(TEMPLATE)
    given = {"Prefix": place.deploying.stage.prefix, "EnvironmentSuffix": "t", "Level": "theirs", "Retain": "false"}
    stack.deploy(
        place.deploying.target, name=place.deploying.stage.stack, template=place.folder / "theirs.yaml", artifacts=[],
        parameters=given, progress=place.lines.append,
    )  # fmt: skip
    with pytest.raises(InvalidInputError, match="does not say which release it is"):
        place.deploying.plan_rollback()
    assert place.deploy().parameters == given


def test_parameters_that_are_not_the_templates_are_refused(place: Place) -> None:
    with pytest.raises(InvalidInputError, match=r"no parameter Levle\nDid you mean Level\?"):
        place.plan(Levle="x")
    with pytest.raises(InvalidInputError, match=r"set by the deployment itself\nUse --prefix"):
        place.plan(Prefix="x-")
    with pytest.raises(InvalidInputError, match="set by the deployment itself"):
        place.plan(Release="x")


def test_a_release_whose_template_is_gone_cannot_be_rolled_back_to(place: Place) -> None:
    first = place.deploy()
    place.deploy(Level="high")
    bucket = place.deploying.bucket
    text = bucket.get(first.template)
    bucket.client.delete_object(Bucket=bucket.name, Key=first.template)
    bucket.put(first.template.replace("templates/", "kept/"), text)
    place.log.replace(dataclasses.replace(first, template="templates/gone.yaml"))
    with pytest.raises(DeployError, match=r"release 1 cannot be deployed again: templates/gone\.yaml"):
        place.deploying.plan_rollback()


def test_data_that_is_retained_goes_only_when_told(place: Place) -> None:
    place.deploy(Retain="true")
    assert place.found.protected
    name = f"{place.deploying.stage.prefix}things-t"
    s3, client = place.deploying.target.client("s3"), place.deploying.target.client("cloudformation")
    for body in (b"one", b"two"):
        s3.put_object(Bucket=name, Key="a", Body=body)
    s3.delete_object(Bucket=name, Key="a")
    with pytest.raises(DeployError, match="retains its data"):
        place.destroying.plan(delete_data=False)
    with pytest.raises(client.exceptions.ClientError, match="TerminationProtection"):
        client.delete_stack(StackName=place.deploying.stage.stack)
    removal = place.destroying.plan(delete_data=True)
    assert removal is not None
    assert (removal.tables, removal.buckets) == ((name,), (name,))
    # As if interrupted after the protection was off: the same again goes through.
    place.destroying._unprotect()
    place.destroying.apply(removal)
    assert f"emptied {name}: 3 version(s)" in place.lines
    assert place.destroying.plan(delete_data=True) is None
    # Numbers go on: what was there before can still be told apart.
    assert place.deploy().number == 2


def test_a_ledger_that_is_locked_is_said_before_anything_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[str] = []

    class Locked:
        """A target whose ledger cannot be emptied."""

        exceptions = SimpleNamespace(NoSuchBucket=KeyError)

        def client(self, _service: str) -> Any:
            return self

        def get_paginator(self, _operation: str) -> Any:
            return SimpleNamespace(paginate=lambda **_asked: [{"Versions": [{"Key": "tile/000", "VersionId": "1"}]}])

        def delete_objects(self, **asked: Any) -> Any:
            emptied.append(asked["Bucket"])
            return {"Errors": [{"Key": "tile/000", "Code": "AccessDenied", "Message": "object protected"}]}

    monkeypatch.setattr(destroying, "when_quiet", lambda *_: SimpleNamespace(name="s", protected=False))
    buckets = ("a-weaudit-evidence-dev-1", "a-weaudit-ledger-dev-1")
    removal = Removal("s", "UPDATE_COMPLETE", (), buckets, retained=False)
    with pytest.raises(DeployError, match="object protected\nObject Lock keeps it"):
        Destroying(Locked(), Stage(), print).apply(removal)  # type: ignore[arg-type]
    assert emptied == ["a-weaudit-ledger-dev-1"]


def test_a_watched_table_keeps_the_stack(engine: RunningEngine) -> None:
    found = stacks.describe(engine.target, "weaudit-dev")
    assert found is not None
    watch = """\
Parameters: {FunctionAliasArn: {Type: String}, TableName: {Type: String}}
Resources: {Queue: {Type: AWS::SQS::Queue}}
"""
    client = engine.client("cloudformation")
    values = {"FunctionAliasArn": found.outputs["AuditProducerAliasArn"], "TableName": "orders"}
    client.create_stack(
        StackName="destroy-watch", TemplateBody=watch,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    )  # fmt: skip
    try:
        with pytest.raises(DeployError, match=r"`weaudit unwatch orders`"):
            Destroying(engine.target, Stage(), print).plan(delete_data=True)
    finally:
        client.delete_stack(StackName="destroy-watch")


def run(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(engine.directory))
    return CliRunner().invoke(app, list(words))


def test_names_that_another_stack_has_are_refused_before_anything_is_built(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(engine, monkeypatch, "deploy", "--stage", "staging", "--yes")
    assert found.exit_code == 2
    assert "Configuration is there already, of the stack weaudit-dev" in found.stderr
    assert "--stage staging --prefix staging-" in found.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy", "--retain", "-p", "Retain=false"), "given twice"),
        (("deploy", "--template", "none.yaml"), "no file none.yaml"),
        (("deploy", "--stage", "Dev"), "is not a valid stage"),
        (("rollback", "--to", "99"), "no release 99"),
        (("outputs", "--stage", "none"), "weaudit deploy --stage none"),
        (("package", "--bucket", "b"), "--template"),
    ],
)
def test_commands_say_what_would_be_right(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    found = run(engine, monkeypatch, *words)
    assert found.exit_code in (1, 2)
    assert said in found.stderr


def test_commands_ask_and_where_they_cannot_say_so(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(engine, monkeypatch, "destroy")
    assert (found.exit_code, "Give --yes" in found.stderr) == (2, True)
    found = run(engine, monkeypatch, "deploy", "-p", "LogLevel=DEBUG")
    assert (found.exit_code, "Give --yes" in found.stderr) == (2, True)
    assert "AuditProducer " in found.stderr
    assert stacks.describe(engine.target, "weaudit-dev").parameters["LogLevel"] == "INFO"  # type: ignore[union-attr]
    found = run(engine, monkeypatch, "versions", "--stage", "none")
    assert (found.exit_code, "weaudit deploy --stage none" in found.stderr) == (0, True)
    assert json.loads(run(engine, monkeypatch, "outputs", "--json").stdout)["AuditTableName"] == "Audit"


def test_replacements_and_removals_are_shown_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.deploy.test_releases import RELEASE
    from weaudit.cli.printing import change_tables, output

    changes = (
        change_sets.Change("Modify", "Audit", "AWS::DynamoDB::Table", "True", "Audit", ("Properties",)),
        change_sets.Change("Remove", "Bucket", "AWS::S3::Bucket", "", "a-bucket"),
        change_sets.Change("Remove", "Old", "AWS::SQS::Queue", "", "old", kept=True),
        change_sets.Change("Modify", "Rule", "AWS::Events::Rule", "Conditional", "rule", ("Properties",)),
        change_sets.Change("Modify", "Topic", "AWS::SNS::Topic", "False", "topic", ("Tags",)),
        change_sets.Change("Add", "V2", "AWS::Lambda::Version"),
    )
    output.reset()
    changing = change_sets.ChangeSet("id", "weaudit-dev", changes, creates=False)
    log = ReleaseLog(ArtifactBucket("b", "0", "aws", None), "weaudit-dev")
    change_tables.show(Plan(RELEASE, changing, None, log))
    shown = capsys.readouterr().err
    for words in (
        "would change 4 resource(s)", "replaced", "deleted", "stays, outside the stack", "maybe replaced",
        "1 more resource(s) change only their tags", "1 function version(s)", "Audit is replaced by an empty one",
        "a-bucket is deleted, with everything in it",
    ):  # fmt: skip
        assert words in shown


def test_the_stacks_functions_are_found_by_the_stage(
    engine: RunningEngine, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    monkeypatch.setenv("WEAUDIT_PREFIX", "none-")
    found = run(engine, monkeypatch, "history", "X")
    assert found.exit_code == 1
    assert "none-Audit" in found.stderr


def answered(engine: RunningEngine, answer: str, *words: str) -> tuple[int, str]:
    """Run a command at a terminal, type the answer, and return its exit code and what it told."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "weaudit.cli.main", *words], stdin=theirs, capture_output=True, text=True,
            check=False, env={**os.environ, "WEAUDIT_STATE_DIR": str(engine.directory)},
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stderr


def test_an_answer_decides(engine: RunningEngine) -> None:
    code, told = answered(engine, "n", "deploy", "-p", "LogLevel=DEBUG")
    assert (code, "Nothing was changed." in told) == (1, True)
    code, told = answered(engine, "weaudit-staging", "destroy")
    assert (code, "is not weaudit-dev" in told) == (2, True)
    kept = stacks.describe(engine.target, "weaudit-dev")
    assert kept is not None
    assert (kept.status.endswith("_COMPLETE"), kept.parameters["LogLevel"]) == (True, "INFO")


def test_what_is_written_meanwhile_is_emptied_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation deletes no bucket that holds something; the engine does, so this is told to moto's S3 alone."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        target = Target("us-east-1")
        s3 = target.client("s3")
        s3.create_bucket(Bucket="things")
        s3.put_bucket_versioning(Bucket="things", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="things", Key="before", Body=b"x")
        removals: list[int] = []

        def remove(_target: Target, name: str, _progress: Any) -> None:
            removals.append(len(s3.list_object_versions(Bucket="things").get("Versions", [])))
            if len(removals) == 1:
                s3.put_object(Bucket="things", Key="meanwhile", Body=b"x")
                raise DeployError(f"stack {name} is DELETE_FAILED")

        monkeypatch.setattr(stack, "remove", remove)
        found = stacks.StackState("weaudit-dev", "UPDATE_COMPLETE")
        monkeypatch.setattr("weaudit.deploy.destroying.when_quiet", lambda _client, _name, _progress: found)
        removal = Removal("weaudit-dev", "UPDATE_COMPLETE", (), ("things", "gone"), retained=False)
        Destroying(target, Stage(), lambda _line: None).apply(removal)
        assert removals == [0, 0]
        assert not s3.list_object_versions(Bucket="things").get("Versions")
