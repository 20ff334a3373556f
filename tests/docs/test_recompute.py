"""The stranger's script, written from the format page alone, comes to the same hashes as the code."""

import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests import strategies
from tests.fakes import SECRETS
from tests.strategies import change
from tests.trails import changed, decision, rules_objects
from weaudit.evidence import packed

SCRIPT = Path(__file__).parents[2] / "examples" / "recompute" / "recompute.py"


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("recompute", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECOMPUTE = loaded()
RULES: dict[str, Any] = {
    "actor": "by",
    "redact": ["who.pin", "secret"],
    "hash": ["who.code", "card"],
    "ignore": ["at", "who.seen", "blob"],
    "exclude": ["token"],
}
WHO: dict[str, Any] = {"M": {"pin": {"S": "4711"}, "code": {"N": "7"}, "seen": {"S": "today"}, "name": {"S": "ana"}}}
OTHER: dict[str, Any] = {"M": {**WHO["M"], "code": {"N": "8"}}}
LONG: dict[str, Any] = {"M": {**WHO["M"], "text": {"S": "t" * 2000}}}
LONGER: dict[str, Any] = {"M": {**WHO["M"], "text": {"S": "t" * 5000}}}
SEEN: dict[str, Any] = {"at": {"N": "1"}, "card": {"S": "5500"}, "token": {"S": "secret"}}
LIFE: list[dict[str, Any] | None] = [
    None,
    {"a": {"N": "1.50"}, "by": {"S": "ana"}, "tags": {"SS": ["b", "a"]}, "who": {"M": {"pin": {"S": "4711"}}}},
    {"a": {"N": "2E+2"}, "by": {"S": "bo"}, "secret": {"S": "x"}, "long": {"S": "y" * 2000}, "who": WHO, **SEEN},
    {"a": {"N": "1"}, "by": {"S": "bo"}, "long": {"S": "y" * 2000}, "who": OTHER, **SEEN, "at": {"N": "2"}},
    {"a": {"N": "1"}, "long": {"S": "y" * 2000}, "who": LONG, "at": {"N": "3"}},
    {"a": {"N": "1"}, "long": {"S": "y" * 2000}, "who": {"S": "ana"}, "at": {"N": "3"}},
    {"a": {"N": "2"}, "long": {"S": "y" * 2000}, "who": LONGER, "at": {"N": "4"}, "blob": {"S": "z" * 5000}},
    {"a": {"N": "-0"}, "by": {"S": "bo"}, "secret": {"S": "z"}, "long": {"S": "y" * 9000}, "n": {"NULL": True}},
    {"a": {"N": "3"}, "by": {"S": "bo"}, "long": {"S": "y" * 9000}, "m": {"L": [{"NS": ["2", "1.0"]}]}},
    None,
    {"long": {"S": "y" * 9000}, "b": {"B": "AAH/"}},
    None,
    {"long": {"S": "y" * 9000}, "secret": {"S": "x"}, **{f"{n:04}": {"S": "y" * 90} for n in range(3_900)}},
    None,
]


def stored(folder: Path) -> list[dict[str, Any]]:
    """Return the records of an item's life, and put their objects into the folder."""
    made = [decision(one, **RULES) for one in changed("k", LIFE, at_ms=1_704_067_200_000)]
    for large in (large for one in made for large in one.large_values):
        (folder / large.key).parent.mkdir(parents=True, exist_ok=True)
        (folder / large.key).write_bytes(packed(large.text))
    for key, body in rules_objects(**RULES).items():
        (folder / key).parent.mkdir(exist_ok=True)
        (folder / key).write_bytes(body)
    return [record for one in made for record in one.records]


def test_the_script_is_short_and_knows_nothing_of_the_code() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert "import weaudit" not in text
    assert "from weaudit" not in text


def test_every_hash_is_recomputed(tmp_path: Path) -> None:
    records = stored(tmp_path)
    assert len(records) > 12
    assert list(RECOMPUTE.recompute(records, tmp_path, SECRETS.origin)) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.attributes, strategies.attributes)
def test_any_values_come_to_the_same_hashes(tmp_path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    for one in (change(None, old), change(old, new, sequence="100000000000000000002"), change(new, None)):
        assert list(RECOMPUTE.recompute(decision(one).records, tmp_path, SECRETS.origin)) == []


@pytest.mark.parametrize("field", ["modificationTime", "actor", "newValue", "records", "afterHash", "kid", "salt"])
def test_a_rewritten_field_is_named(tmp_path: Path, field: str) -> None:
    records = stored(tmp_path)
    record = next(one for one in records if field in one and one["eventName"]["S"] == "MODIFY")
    ((kind, content),) = record[field].items()
    other: Any = {"S": f"{content}x", "N": f"{content}1", "B": base64.b64encode(b"another one").decode(), "M": {}}[kind]
    record[field] = {kind: other}
    said = list(RECOMPUTE.recompute(records, tmp_path, SECRETS.origin))
    said = list(RECOMPUTE.recompute(records, tmp_path, SECRETS.origin))
    assert any(record["id"]["S"] in text or record["changeOrder"]["S"] in text for text in said)


def test_a_missing_record_and_an_altered_object_are_named(tmp_path: Path) -> None:
    records = stored(tmp_path)
    several = next(one for one in records if int(one["records"]["N"]) > 1)
    assert any(
        "records" in said for said in RECOMPUTE.recompute([one for one in records if one is not several], tmp_path)
    )
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.write_bytes(b'{"S":"another"}')
    assert list(RECOMPUTE.recompute(records, tmp_path))


def test_it_runs_over_what_the_aws_cli_writes(tmp_path: Path) -> None:
    audit = tmp_path / "audit.json"
    audit.write_text(json.dumps({"Items": stored(tmp_path)}), encoding="utf-8")
    key = base64.b64encode(SECRETS.origin).decode()
    done = subprocess.run([sys.executable, SCRIPT, audit, tmp_path, key], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("records, 0 wrong\n")
