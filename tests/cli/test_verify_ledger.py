"""`weaudit verify --ledger`: of a copy without AWS, and of a bucket with the rows of its installation."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from typer.testing import CliRunner, Result

from tests.aws.moto_relay import moto_environment
from tests.fakes import SECRETS
from tests.ledger.keys import signer
from tests.trail.sealed_logs import AUDIT, LOG, ORIGIN, TABLES, World
from tests.trails import unwire
from weaudit.cli import main, verify_ledger
from weaudit.errors import EngineError, InvalidInputError
from weaudit.installation import checking
from weaudit.installation.outputs import Installation
from weaudit.installation.pool import ahead
from weaudit.installation.reading import stored_rows, verified_logs
from weaudit.installation.reading.ledger import LedgerBucket
from weaudit.installation.targets import Target
from weaudit.items.secret_rows import secret_row
from weaudit.items.times import iso_time
from weaudit.ledger import ed25519, policies
from weaudit.ledger.entries import FINDINGS, entry

KEY = str(LOG.key)
TIME = "2024-01-01T00:00:00.000Z"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no installation, and the state directory is empty."""

    def find() -> Installation:
        raise EngineError("there is nothing to talk to\nStart something.")

    monkeypatch.setattr(Installation, "find", find)
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(verify_ledger, "_PAUSE_S", 0)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "copy"


def copied(world: World, folder: Path) -> None:
    for path, content in world.objects.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.app, ["verify", "--ledger", *map(str, arguments)])


# ---- of a copy


def test_a_copy_is_verified_without_any_installation(world: World, folder: Path) -> None:
    copied(world, folder)
    result = run("--offline", folder, "--key", KEY)
    assert result.exit_code == 0, result.output
    root = world.tail.edge().root().hex()
    assert result.stdout.splitlines() == [
        f"{ORIGIN}: 19 entries: whole",
        "  1. the checkpoint is signed by the log",
        "  2. 1 bundle: the root is the one that was signed",
        "  3. 1 tile compared",
        "  4. 4 archived checkpoints compared",
        "  5. 6 log, 9 record, 4 seal; complete up to 2024-01-02T00:04:00.000Z",
        "  6. no rows were compared: there is nothing to talk to",
    ]
    assert result.stderr == ""
    document = json.loads(run("--offline", folder, "--key", KEY, "--json").stdout)
    assert (document["whole"], document["root"], document["findings"]) == (True, root, [])
    assert (document["keyFrom"], document["rows"]) == ("--key", {})


def test_findings_say_which_row_what_kind_when_and_what_to_do(world: World, folder: Path) -> None:
    world.seal([entry("deleted", TIME, id="gone\x1b[31m", hash="0" * 64)])
    copied(world, folder)
    result = run("--offline", folder, "--key", KEY)
    assert result.exit_code == 1
    assert f"{ORIGIN}: 21 entries: 1 finding\n" in result.stdout
    assert "complete up to 2024-01-02T00:05:00.000Z (1 finding)\n" in result.stdout
    assert r"gone\x1b[31m" in result.stdout
    assert "deleted: a row was deleted: look at who could write" in result.stderr
    [found] = json.loads(run("--offline", folder, "--key", KEY, "--json").stdout)["findings"]
    assert found == {
        "step": 5,
        "kind": "deleted",
        "table": "Audit",
        "id": "gone\x1b[31m",
        "time": TIME,
        "entry": 19,
        "text": "it was deleted, and not because it had expired",
    }


def test_a_changed_entry_ends_what_is_proven(world: World, folder: Path) -> None:
    world.flip("tile/entries/000.p/19", 1_500)
    copied(world, folder)
    result = run("--offline", folder, "--key", KEY)
    assert result.exit_code == 1
    assert "2. the root is not the one that was signed: 5 entries are proven, and no more (1 finding)" in result.stdout
    assert "6. no rows were compared: the log is not proven" in result.stdout


def test_every_kind_of_finding_has_a_meaning() -> None:
    rooms = Path(verify_ledger.__file__).parents[1]
    texts = [path.read_text() for path in (*rooms.glob("trail/verification/*.py"), Path(verify_ledger.__file__))]
    made = re.compile(r'(?:kind, why = |(?:LedgerFinding|_finding|_report\w*)\((?:[^",()]+, )?)"(\w+)"')
    kinds = {kind for text in texts for kind in made.findall(re.sub(r"\(\s+", "(", text))}
    assert kinds | set(FINDINGS) == verify_ledger._MEANINGS.keys()


def test_the_key_is_a_text_a_file_or_a_policy(world: World, folder: Path, tmp_path: Path) -> None:
    copied(world, folder)
    for name, content in (("key", f"{KEY}\n"), ("policy", policies.text_of(LOG.key))):
        (tmp_path / name).write_text(content)
        assert run("--offline", folder, "--key", tmp_path / name).exit_code == 0
    wrong = run("--offline", folder, "--key", str(signer("another").key))
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "not signed by any key that is known here" in wrong.stderr
    for bad in ("no+key", "no+such+key", "x" * 300, str(tmp_path / "none"), str(folder / "checkpoint")):
        assert run("--offline", folder, "--key", bad).exit_code == 2


def test_a_kept_checkpoint_is_compared(world: World, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(world.objects["checkpoint"])
    world.seal()
    copied(world, folder)
    result = run("--offline", folder, "--key", KEY, "--since-checkpoint", kept)
    assert result.exit_code == 0
    assert "4. 5 archived checkpoints compared, and the one that you kept, of 19\n" in result.stdout
    other = World()
    other.seal(marks={})
    kept.write_bytes(other.objects["checkpoint"])
    result = run("--offline", folder, "--key", KEY, "--since-checkpoint", kept)
    assert (result.exit_code, "fork" in result.stdout) == (1, True)
    kept.write_bytes(b"rubbish")
    assert run("--offline", folder, "--key", KEY, "--since-checkpoint", kept).exit_code == 1


def test_resuming_goes_on_where_it_ended(world: World, folder: Path) -> None:
    copied(world, folder)
    assert "3. 1 tile compared" in run("--offline", folder, "--key", KEY, "--resume").stdout
    world.seal()
    copied(world, folder)
    result = run("--offline", folder, "--key", KEY, "--resume")
    assert result.exit_code == 0
    assert "2. 1 bundle from entry 19 on: the root" in result.stdout
    assert "5. 6 log, 9 record, 5 seal; complete up to" in result.stdout
    path = verified_logs.path_of(ORIGIN)
    assert path.parent.stat().st_mode & 0o077 == 0
    # Another log of the same name, and a damaged state.
    other = folder.with_name("other")
    small = World()
    small.seal(marks={}, n=1)
    copied(small, other)
    result = run("--offline", other, "--key", KEY, "--resume")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not the beginning of this log" in result.stderr
    assert "leave out --resume" in result.stderr
    path.write_bytes(path.read_bytes()[:-1])
    result = run("--offline", folder, "--key", KEY, "--resume")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Remove it" in result.stderr
    assert run("--offline", folder, "--key", KEY).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ledger", "--table", "T"], "--ledger is about all records"),
        (["--ledger", "--item", "T"], "--ledger is about all records"),
        (["--resume"], "are about the ledger"),
        (["--offline", "x"], "are about the ledger"),
        (["--ledger", "--offline", "no-such-folder", "--key", KEY], "is not a folder"),
        (["--ledger", "--offline", "."], "Give it with --key"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main.app, ["verify", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


# ---- of an installation


class Kms:
    def get_public_key(self, KeyId: str) -> dict[str, bytes]:  # noqa: N803 the name is the SDK's
        assert KeyId == "the-key"
        return {"PublicKey": ed25519.to_spki(LOG.key.public_key)}


def test_the_key_is_read_from_kms() -> None:
    class Fake:
        def client(self, service: str) -> Kms:
            assert service == "kms"
            return Kms()

    outputs = {"LedgerKeyArn": "the-key", "LedgerOrigin": ORIGIN}
    assert verify_ledger._policy_of_kms(Installation(cast("Any", Fake()), outputs), "").logs == (LOG.key,)
    with pytest.raises(InvalidInputError, match="has no ledger"):
        verify_ledger._policy_of_kms(Installation(cast("Any", Fake()), {}), "")


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch, world: World) -> Iterator[Installation]:
    with moto_environment() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        dynamodb, s3 = (boto3.client(name, environment["AWS_REGION"]) for name in ("dynamodb", "s3"))
        for name, keys in [("keys", ("id",)), *((source.name, source.keys) for source in TABLES)]:
            dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )
        for source in TABLES:
            for row in world.rows[source]:
                dynamodb.put_item(TableName=source.name, Item=unwire(row))
        for name, secret in (("ROOT", SECRETS.root), ("ORIGIN", SECRETS.origin)):
            dynamodb.put_item(TableName="keys", Item=unwire(secret_row(name, secret)))
        s3.create_bucket(Bucket="ledger")
        for path, content in world.objects.items():
            s3.put_object(Bucket="ledger", Key=path, Body=content)
        outputs = {
            "AuditTableName": "Audit",
            "AuditLogsTableName": "audit_logs",
            "DynamoDBTableName": "lambda-invocation-logs",
            "KeysTableName": "keys",
            "LedgerBucketName": "ledger",
            "LedgerOrigin": ORIGIN,
        }
        found = Installation(Target(environment["AWS_REGION"], environment["AWS_ENDPOINT_URL"]), outputs)
        monkeypatch.setattr(Installation, "find", lambda: found)
        monkeypatch.setattr(verify_ledger, "_now", lambda: iso_time(world.at_ms + 60_000))
        yield found


def test_a_log_that_is_in_use_and_ended_hours_ago_is_stale(
    installation: Installation, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_ledger, "_now", lambda: iso_time(world.at_ms + 3 * 3_600_000))
    [found] = json.loads(run("--key", KEY, "--json").stdout)["findings"]
    assert (found["step"], found["kind"], found["time"]) == (5, "stale", iso_time(world.at_ms))
    copied(world, folder)
    assert run("--key", KEY, "--offline", folder).exit_code == 0


def test_an_object_behind_a_delete_marker_is_found(installation: Installation) -> None:
    s3 = installation.target.client("s3")
    s3.put_bucket_versioning(Bucket="ledger", VersioningConfiguration={"Status": "Enabled"})
    paths = [row["Key"] for row in s3.list_objects_v2(Bucket="ledger", Prefix="checkpoints/")["Contents"]]
    s3.put_object(Bucket="ledger", Key="commits/00000000000000000000", Body=b"")
    for path in (paths[0], "commits/00000000000000000000"):
        s3.delete_object(Bucket="ledger", Key=path)
    result = run("--key", KEY)
    assert result.exit_code == 1
    assert f"{paths[0]} is behind a delete marker" in " ".join(result.stdout.split())
    assert "commits" not in result.stdout


def test_without_the_secret_it_says_what_is_not_checked(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "readable_secrets", lambda *_: None)
    result = run("--key", KEY)
    assert result.exit_code == 0
    assert (
        "6. compared: 9 of Audit; there, and not compared without the secret ORIGIN: 3 of audit_logs" in result.stdout
    )
    assert "The table of keys cannot be read" in result.stderr


def test_an_installation_is_verified_with_its_rows(installation: Installation, world: World, folder: Path) -> None:
    result = run("--key", KEY)
    assert result.exit_code == 0, result.output
    expected = "6. compared: 9 of Audit, 3 of audit_logs, 3 of lambda-invocation-logs\n"
    assert expected in result.stdout
    copied(world, folder)
    assert expected in run("--key", KEY, "--offline", folder).stdout
    installation.outputs["LedgerOrigin"] = "another"
    assert "the installation has another log, another" in run("--key", KEY, "--offline", folder).stdout
    installation.outputs["LedgerOrigin"] = ORIGIN
    dynamodb = boto3.client("dynamodb", installation.target.region)
    record = world.rows[AUDIT][4]
    dynamodb.delete_item(TableName="Audit", Key={"id": record["id"]})
    result = run("--key", KEY, "--json")
    assert result.exit_code == 1
    [found] = json.loads(result.stdout)["findings"]
    names = ("step", "kind", "table", "id", "time")
    assert [found[name] for name in names] == [
        6, "missing", "Audit", record["id"]["S"], record["modificationTime"]["S"]
    ]  # fmt: skip
    del installation.outputs["LedgerBucketName"]
    assert run("--key", KEY).exit_code == 2


def test_all_rows_of_a_table_come_and_all_objects_of_a_bucket(
    installation: Installation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weaudit.installation import clients

    dynamodb = clients.dynamodb(installation.target)
    call = dynamodb.call
    # Small pages, so that there are many.
    monkeypatch.setattr(dynamodb, "call", lambda operation, body: call(operation, {**body, "Limit": 1}))
    rows = [row["id"]["S"] for page in stored_rows.pages_of(dynamodb, "Audit") for row in page]
    assert sorted(rows) == sorted(row["id"]["S"] for row in world.rows[AUDIT])
    log = LedgerBucket.of(installation)
    assert sorted(log.listed("checkpoints/")) == sorted(world.listed("checkpoints/"))
    assert log.fetch("tile/no/such") is None
    assert log.fetch("checkpoint") == world.objects["checkpoint"]


def test_calls_ahead_keep_the_order() -> None:
    assert list(ahead(lambda number: number * 2, range(200))) == [number * 2 for number in range(200)]
    assert list(ahead(str, [])) == []
