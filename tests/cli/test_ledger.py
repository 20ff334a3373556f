"""`weaudit prove`, `weaudit ledger …` over moto, and `weaudit check` with nothing at all."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from tests.aws.moto_relay import moto_environment
from tests.ledger.keys import signer, witness
from tests.ledger.logs import ORIGIN, Log, seal, sealed
from tests.trails import changed, make_audit_table, unwire, write
from weaudit.cli.main import app
from weaudit.cli.printing import output
from weaudit.errors import DeployError
from weaudit.installation.outputs import Installation
from weaudit.installation.reading import ledger
from weaudit.installation.reading.ledger import LedgerFolder
from weaudit.installation.targets import Target
from weaudit.items.times import iso_moment
from weaudit.ledger import ed25519, policies
from weaudit.ledger import witness as witnesses
from weaudit.ledger.entries import Entry
from weaudit.trail import receipts
from weaudit.trail.history import changes

AT_MS = 1_711_922_395_000
BUCKET = "weaudit-ledger-dev-111122223333"
KEY = signer(ORIGIN).key
HOSTILE = "\x1b]0;owned\x07\u202eevil"
LIFE: list[dict[str, Any] | None] = [
    None,
    {"value": {"N": "3600"}, "by": {"S": "ada"}},
    {"value": {"S": HOSTILE}, "by": {"S": "ada"}},
    {"value": {"S": "é" * 2_000}, "by": {"S": "ada"}},
    None,
]
NOW = iso_moment(datetime.now(UTC))


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Place:
    """An account with an Audit table and the bucket of a ledger."""

    def __init__(self, region: str) -> None:
        self.folder = Path()
        self.s3 = boto3.client("s3", region)
        self.s3.create_bucket(Bucket=BUCKET)
        self.dynamodb = boto3.client("dynamodb", region)
        make_audit_table(self.dynamodb)
        self.records = write(self.dynamodb, changed("CACHE\x1b_TTL", LIFE, at_ms=AT_MS), actor="by")

    def clear(self) -> None:
        for found in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.s3.delete_object(Bucket=BUCKET, Key=found["Key"])
        for record in self.records:
            self.dynamodb.put_item(TableName="Audit", Item=unwire(record))

    def record(self, value: str) -> str:
        found = [record["id"]["S"] for record in self.records if record.get("newValue") == {"S": value}]
        return str(found[0])

    def entries(self, kind: str = "record") -> list[Entry]:
        shown = [receipts.record_of(next(changes([record]))) for record in self.records]
        return [sealed(record["id"]["S"], kind, row_hash=receipts.hash_of(record)) for record in shown]

    def seal(self, entries: list[Entry], **options: Any) -> Log:
        log = Log(entries, **options)
        for path, content in log.objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=path, Body=content)
        return log


@pytest.fixture(scope="module")
def account() -> Iterator[Place]:
    with moto_environment() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Place(environment["AWS_REGION"])


@pytest.fixture
def place(account: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    account.clear()
    account.folder = tmp_path
    monkeypatch.chdir(tmp_path)
    outputs = {
        "AuditTableName": "Audit", "LedgerBucketName": BUCKET, "LedgerKeyArn": "arn:key", "LedgerOrigin": ORIGIN,
    }  # fmt: skip
    monkeypatch.setattr(Installation, "find", lambda *_args, **_named: Installation(Target.resolve(), outputs))
    monkeypatch.setattr(ledger, "verifier_key", lambda _installation: KEY)
    return account


# ---- prove, and check of what it wrote


def test_a_receipt_is_written_and_checked(place: Place) -> None:
    place.seal([*place.entries(), seal(4)])
    record_id = place.record(HOSTILE)
    proved = run("prove", record_id)
    assert proved.exit_code == 0, proved.output
    file = place.folder / f"{record_id}.tlog-proof"
    assert names(place.folder) == [file.name]
    checked = run("check", file, "--key", KEY)
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.startswith("The proof holds.\n")
    shown = dict(line.split(maxsplit=1) for line in checked.stdout.splitlines()[1:])
    assert shown["record"] == record_id
    assert shown["item"] == r"CACHE\x1b_TTL"
    assert shown["attribute"] == "value"
    assert shown["old"].split() == ["value", "3600"]
    assert r"\u001b]0;owned\u0007\u202eevil" in shown["new"]
    assert shown["actor"] == "ada? (carried)"
    assert shown["log"].startswith(f"{ORIGIN}, 5 entries")
    assert "\x1b" not in checked.output
    assert "\u202e" not in checked.output
    document = json.loads(run("check", file, "--key", KEY, "--json").stdout)
    assert document["proven"] is True
    assert document["record"]["newValue"] == HOSTILE
    assert document["log"]["size"] == 5
    assert document["entry"]["kind"] == "record"


def test_a_long_value_is_not_in_the_receipt(place: Place) -> None:
    place.seal(place.entries())
    long = place.record("é" * 2_000)
    assert run("prove", long, "-o", "long").exit_code == 0
    checked = run("check", "long", "--key", KEY)
    assert "new value too long for a receipt, which has a commitment to it" in " ".join(checked.stdout.split())
    document = json.loads(run("check", "long", "--key", KEY, "--json").stdout)
    assert "newValue" not in document["record"]
    assert len(document["commitments"]["newValue"]["value"]) == 64
    removed = next(str(record["id"]["S"]) for record in place.records if record["eventName"] == {"S": "REMOVE"})
    assert run("prove", removed, "-o", "removed").exit_code == 0
    shown = " ".join(run("check", "removed", "--key", KEY).stdout.split())
    assert 'old value {by: "ada", key: "CACHE\\u001b_TTL"} new value none not shown value: too long' in shown


def test_a_bare_receipt_goes_to_standard_output(place: Place) -> None:
    log = place.seal(place.entries())
    record_id = place.record(HOSTILE)
    proved = run("prove", record_id, "--bare", "-o", "-")
    assert proved.stdout_bytes.endswith(log.note)
    (place.folder / "bare").write_bytes(proved.stdout_bytes)
    checked = run("check", "bare", "--key", KEY)
    assert checked.exit_code == 0
    assert "CACHE" not in checked.stdout
    assert "bare" in checked.stderr
    assert "record" not in json.loads(run("check", "bare", "--key", KEY, "--json").stdout)


def test_growth_since_a_checkpoint_or_a_receipt_is_proven(place: Place) -> None:
    entries = [*place.entries(), seal(4)]
    kept = place.seal(entries)
    (place.folder / "kept").write_bytes(kept.note)
    run("prove", place.record(HOSTILE), "-o", "kept.tlog-proof")
    now = place.seal([*entries, *place.entries("log"), seal(4)], seals=[kept.size])
    for file in ("kept", "kept.tlog-proof"):
        proved = run("prove", "--since-checkpoint", file, "-o", "growth")
        assert proved.exit_code == 0, proved.output
        assert proved.stdout == "growth proves that the 10 entries of the ledger begin with the 5 kept.\n"
        request = witnesses.read((place.folder / "growth").read_bytes())
        seen = witnesses.Seen(kept.size, kept.root)
        assert witnesses.approved(request, [KEY], seen).root == now.root
    assert run("prove", "--since-checkpoint", "kept", "-o", "-").stdout_bytes == (place.folder / "growth").read_bytes()


def test_a_log_that_is_shorter_or_another_one_has_no_growth(place: Place) -> None:
    place.seal([*place.entries(), seal(4)])
    others = [seal(0), *place.entries()]
    for kept, said in ((Log(others), "do not begin with"), (Log([*others, seal(4)]), "6 entries were kept, and the")):
        (place.folder / "kept").write_bytes(kept.note)
        proved = run("prove", "--since-checkpoint", "kept")
        assert proved.exit_code == 1
        assert said in " ".join(proved.output.split())
        assert names(place.folder) == ["kept"]


def test_growth_takes_a_checkpoint_of_this_log_and_nothing_else(place: Place) -> None:
    place.seal([seal(0)])
    (place.folder / "kept").write_bytes(Log([seal(0)], signer("another")).note)
    (place.folder / "text").write_text("no checkpoint\n")
    for words in ((), ("--since-checkpoint", "text"), ("--since-checkpoint", "kept"),
                  ("--since-checkpoint", "gone"), ("0b7e4a6e", "--since-checkpoint", "kept")):  # fmt: skip
        assert run("prove", *words).exit_code == 2


def test_what_is_not_sealed_or_not_there_is_said(place: Place) -> None:
    record_id = place.record(HOSTILE)
    early = run("prove", record_id)
    assert early.exit_code == output.EXIT_FAILED
    assert "no checkpoint yet" in early.stderr
    place.seal([one for one in place.entries() if one.id != record_id])
    missing = run("prove", record_id)
    assert missing.exit_code == output.EXIT_FAILED
    assert "not sealed yet" in missing.stderr
    assert "within a minute" in missing.stderr
    unknown = run("prove", "00000000-0000-4000-8000-000000000000")
    assert unknown.exit_code == output.EXIT_FAILED
    assert "there is no record" in unknown.stderr
    for wrong in ("x", "../" * 12, record_id.upper() + "/"):
        assert run("prove", wrong).exit_code == output.EXIT_USAGE
    assert names(place.folder) == []


def test_a_later_finding_is_said_loudly(place: Place) -> None:
    record_id = place.record(HOSTILE)
    place.seal([*place.entries(), sealed(record_id, "altered", NOW), seal(5)])
    proved = run("prove", record_id)
    assert proved.exit_code == 0
    assert "WARNING" in proved.stderr
    assert f"altered at {NOW}" in proved.stderr


def test_a_record_that_is_not_the_sealed_one_is_proven_bare_alone(place: Place) -> None:
    record_id = place.record(HOSTILE)
    place.seal([*place.entries(), sealed(record_id, "altered", NOW), seal(5)])
    place.dynamodb.update_item(
        TableName="Audit", Key={"id": {"S": record_id}}, UpdateExpression="SET newValue = :v",
        ExpressionAttributeValues={":v": {"S": "a lie"}},
    )  # fmt: skip
    refused = run("prove", record_id)
    assert refused.exit_code == output.EXIT_FAILED
    assert "not the one that was sealed" in refused.stderr
    assert "altered" in refused.stderr
    assert names(place.folder) == []
    place.dynamodb.delete_item(TableName="Audit", Key={"id": {"S": record_id}})
    assert "not there any more" in run("prove", record_id).stderr
    assert run("prove", record_id, "--bare", "-o", "bare").exit_code == 0
    assert run("check", "bare", "--key", KEY).exit_code == 0


def test_a_record_that_somebody_else_wrote_has_no_receipt(place: Place) -> None:
    place.seal(place.entries("foreign"))
    refused = run("prove", place.record(HOSTILE))
    assert refused.exit_code == output.EXIT_FAILED
    assert "foreign" in refused.stderr


def test_a_stack_without_a_ledger_is_called_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Installation, "find", lambda *_args, **_named: Installation(Target("eu-west-1"), {"AuditTableName": "Audit"})
    )
    for words in (("prove", place.record(HOSTILE)), ("ledger", "status"), ("ledger", "copy", "x")):
        refused = run(*words)
        assert refused.exit_code == output.EXIT_FAILED
        assert "has no ledger" in refused.stderr


# ---- check


@pytest.fixture
def receipt(place: Place) -> Path:
    place.seal(place.entries())
    assert run("prove", place.record(HOSTILE), "-o", "receipt").exit_code == 0
    return place.folder / "receipt"


def test_the_key_may_be_given_in_every_form(receipt: Path) -> None:
    Path("key").write_text(f"{KEY}\n")
    Path("policy").write_text(policies.text_of(KEY))
    for words in (("--key", KEY), ("--key", "key"), ("--key", "policy"), ("--policy", "policy")):
        assert run("check", receipt, *words).exit_code == 0


def test_a_key_that_is_none_is_bad_usage(receipt: Path) -> None:
    Path("witness").write_text(str(witness(ORIGIN).key))
    Path("odd").write_bytes(b"\xff\xfe")
    Path("empty").touch()
    Path("folder").mkdir()
    for words in (
        (), ("--key", KEY, "--policy", "x"), ("--key", "nothing"), ("--key", "witness"), ("--key", "odd"),
        ("--key", "empty"), ("--key", "folder"), ("--key", witness(ORIGIN).key), ("--policy", "odd"),
        ("--policy", "nothing"), ("--policy", "folder"),
    ):  # fmt: skip
        refused = run("check", receipt, *words)
        assert (refused.exit_code, refused.stdout) == (output.EXIT_USAGE, "")
        assert refused.stderr.startswith("Error: ")
    assert run("check", "nothing", "--key", KEY).exit_code == output.EXIT_USAGE


def test_nothing_of_a_file_is_shown_that_does_not_hold(receipt: Path) -> None:
    sound = receipt.read_bytes()
    for wrong in (
        sound[:-2],
        sound.replace(b"index 0", b"index 1").replace(b"index 2", b"index 0"),
        b"",
        HOSTILE.encode(),
    ):
        Path("wrong").write_bytes(wrong)
        refused = run("check", "wrong", "--key", KEY)
        if wrong != sound:
            assert (refused.exit_code, refused.stdout) == (output.EXIT_FAILED, "")
            assert "the proof does not hold" in refused.stderr
            assert "CACHE" not in refused.stderr
            assert "owned" not in refused.stderr
    assert run("check", receipt, "--key", signer(ORIGIN, seed="x").key).exit_code == output.EXIT_FAILED
    assert run("check", receipt, "--key", signer("another").key).exit_code == output.EXIT_FAILED


def test_a_receipt_is_checked_with_nothing_configured_and_without_the_sdk(receipt: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom weaudit.cli import main\nsys.argv = ['weaudit', *sys.argv[1:]]\n"
        "try:\n main.main()\nexcept SystemExit as ended:\n assert not ended.code, ended.code\n"
        "print(sorted({'boto3', 'botocore', 'http.client', 'ministack', 'socket'} & set(sys.modules)), file=sys.stderr)"
    )
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", script, "check", str(receipt), "--key", str(KEY)],
        env={"PYTHONPATH": paths, "HOME": str(tmp_path / "nobody"), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("The proof holds.\n")
    assert done.stderr == "[]\n"


# ---- ledger key, status, copy


def test_the_key_is_that_of_kms_with_the_origin_as_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def get_public_key(**request: Any) -> Any:
        asked.append(request)
        return {"PublicKey": ed25519.to_spki(KEY.public_key)}

    target: Any = SimpleNamespace(client=lambda _service: SimpleNamespace(get_public_key=get_public_key))
    installation = Installation(target, {"LedgerKeyArn": "arn:key", "LedgerOrigin": ORIGIN})
    monkeypatch.setattr(Installation, "find", lambda *_args, **_named: installation)
    assert run("ledger", "key").stdout == f"{KEY}\n"
    assert asked == [{"KeyId": "arn:key"}]
    assert run("ledger", "key", "--policy").stdout == policies.text_of(KEY)
    assert json.loads(run("ledger", "key", "--json").stdout) == {
        "key": str(KEY), "policy": policies.text_of(KEY), "origin": ORIGIN, "keyArn": "arn:key",
    }  # fmt: skip
    with pytest.raises(DeployError, match="no ledger"):
        ledger.output_of(Installation(target, {}), "LedgerKeyArn")


def test_the_status_of_a_sound_ledger(place: Place) -> None:
    log = place.seal([*place.entries(), seal(4, NOW)])
    shown = run("ledger", "status")
    assert shown.exit_code == 0, shown.output
    assert log.root.hex() in shown.stdout
    assert "none among the last 5 entries" in shown.stdout
    document = json.loads(run("ledger", "status", "--json").stdout)
    assert document["ageSeconds"] >= 0
    assert {name: document[name] for name in ("origin", "size", "sealedAt", "behind", "silent", "findings")} == {
        "origin": ORIGIN, "size": 5, "sealedAt": NOW, "behind": False, "silent": False, "findings": [],
    }  # fmt: skip


def test_findings_and_silence_are_failures(place: Place) -> None:
    place.seal([sealed("x", "deleted", NOW), *[sealed("y")] * 2_000, sealed("x\x1b", "altered", NOW), seal(2_002, NOW)])
    shown = run("ledger", "status")
    assert shown.exit_code == output.EXIT_FAILED
    assert "1 among the last 1,024 entries" in shown.stdout
    assert r"x\x1b" in shown.stdout
    assert "verify --ledger" in shown.stderr
    old = iso_moment(datetime.now(UTC) - timedelta(hours=3))
    place.seal([*[sealed("y")] * 3_000, seal(3_000, old)])
    shown = run("ledger", "status")
    assert shown.exit_code == output.EXIT_FAILED
    assert "Nothing was sealed for two hours" in shown.stderr


def test_a_checkpoint_by_another_key_is_not_the_ledgers(place: Place) -> None:
    place.seal([seal(0, NOW)], by=signer(ORIGIN, seed="another"))
    refused = run("ledger", "status")
    assert refused.exit_code == output.EXIT_FAILED
    assert "not the ledger's" in refused.stderr


def test_an_old_checkpoint_is_named_and_the_newest_one_used(place: Place) -> None:
    entries = [*place.entries(), seal(4, NOW)]
    place.seal(entries, seals=[2])
    place.s3.put_object(Bucket=BUCKET, Key="checkpoint", Body=Log(entries[:2]).note)
    shown = run("ledger", "status")
    assert shown.exit_code == 0
    assert "is at 2 entries, but the archive has a checkpoint of 5" in shown.stderr
    place.s3.delete_object(Bucket=BUCKET, Key="checkpoint")
    shown = run("prove", place.record(HOSTILE))
    assert shown.exit_code == 0
    assert "is missing" in shown.stderr
    place.s3.put_object(Bucket=BUCKET, Key=f"checkpoints/{6:020}", Body=Log(entries).note)
    assert "another size" in run("ledger", "status").stderr


def test_a_copy_has_everything_and_is_continued(place: Place) -> None:
    log = place.seal([sealed(f"row-{at}") for at in range(700)], seals=[300])
    copied = json.loads(run("ledger", "copy", "copy", "--json").stdout)
    assert (copied["size"], copied["kept"]) == (700, 0)
    kept = LedgerFolder(Path("copy"))
    old = {path for path in log.objects if ".p/" in path and not path.endswith((".p/188", ".p/2"))}
    assert set(kept.listed("")) == log.objects.keys() - old, "what a log of 300 entries had in part is there in full"
    assert {path: kept.fetch(path) for path in kept.listed("")} == {path: log.objects[path] for path in kept.listed("")}
    Path("copy/tile/0/000").write_bytes(b"cut")
    Path("copy/tile/entries/001").unlink()
    again = json.loads(run("ledger", "copy", "copy", "--json").stdout)
    assert (again["loaded"], again["kept"]) == (2, copied["loaded"] - 2)
    assert kept.fetch("tile/0/000") == log.objects["tile/0/000"]
    assert json.loads(run("ledger", "copy", "copy", "--from-scratch", "--json").stdout)["kept"] == 0
    larger = place.seal([*log.entries, seal(700)])
    assert "701 entries" in run("ledger", "copy", "copy").stdout
    assert kept.fetch("checkpoint") == larger.note


def test_a_copy_takes_full_objects_for_partial_ones_that_are_gone(place: Place) -> None:
    place.seal([sealed("x")] * 200)
    larger = Log([sealed("x")] * 256)
    for path in ("tile/0/000", "tile/entries/000"):
        place.s3.put_object(Bucket=BUCKET, Key=path, Body=larger.objects[path])
        place.s3.delete_object(Bucket=BUCKET, Key=f"{path}.p/200")
    assert run("ledger", "copy", "copy").exit_code == 0
    assert LedgerFolder(Path("copy")).fetch("tile/0/000") == larger.objects["tile/0/000"]


def test_a_copy_of_another_or_a_shorter_log_is_kept(place: Place) -> None:
    log = place.seal([sealed("x")] * 10)
    assert run("ledger", "copy", "copy").exit_code == 0
    place.s3.delete_object(Bucket=BUCKET, Key=f"checkpoints/{10:020}")
    place.seal([sealed("x")] * 9)
    refused = run("ledger", "copy", "copy", "--from-scratch")
    assert refused.exit_code == output.EXIT_FAILED
    assert "Keep this copy" in refused.stderr
    assert LedgerFolder(Path("copy")).fetch("checkpoint") == log.note
    Path("copy/checkpoint").write_bytes(Log([], signer("weaudit/another")).note)
    assert run("ledger", "copy", "copy").exit_code == output.EXIT_USAGE
    Path("copy/checkpoint").write_bytes(b"x")
    assert run("ledger", "copy", "copy").exit_code == output.EXIT_FAILED


def test_an_object_that_is_missing_ends_a_copy_which_has_no_checkpoint_then(place: Place) -> None:
    place.seal([sealed("x")] * 300)
    log = Log([sealed("x")] * 300)
    for path, bad in (("tile/entries/000", False), ("tile/0/000", True)):
        place.s3.delete_object(Bucket=BUCKET, Key=path)
        if bad:
            place.s3.put_object(Bucket=BUCKET, Key=path, Body=b"short")
        refused = run("ledger", "copy", place.folder / str(bad))
        assert refused.exit_code == output.EXIT_FAILED
        assert f"{path} {'has 5 bytes' if bad else 'is missing'}" in refused.stderr
        place.s3.put_object(Bucket=BUCKET, Key=path, Body=log.objects[path])
        assert not (place.folder / str(bad) / "checkpoint").exists()
        assert not list((place.folder / str(bad)).rglob("*.unfinished"))


def test_a_bucket_that_may_not_be_read_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"LedgerBucketName": "nobodys-bucket"}
    monkeypatch.setattr(Installation, "find", lambda *_args, **_named: Installation(Target.resolve(), outputs))
    refused = run("ledger", "status")
    assert refused.exit_code == output.EXIT_FAILED
    assert "the bucket of the ledger, nobodys-bucket, cannot be read" in refused.stderr
    assert "s3:GetObject" in refused.stderr


def test_parts_of_objects_are_read_alike(place: Place, tmp_path: Path) -> None:
    place.s3.put_object(Bucket=BUCKET, Key="lookup/0", Body=b"0123456789")
    (tmp_path / "lookup").mkdir()
    (tmp_path / "lookup" / "0").write_bytes(b"0123456789")
    readers: list[Callable[..., Any]] = [
        ledger.LedgerBucket(place.s3, BUCKET).part, LedgerFolder(tmp_path).part, _log_with(b"0123456789").part,
    ]  # fmt: skip
    for part in readers:
        assert part("lookup/0", 2, 3) == (b"234", 10)
        assert part("lookup/0", 8, 30) == (b"89", 10)
        assert part("lookup/1", 0, 3) is None


def _log_with(lookup: bytes) -> Log:
    log = Log([])
    log.objects["lookup/0"] = lookup
    return log
