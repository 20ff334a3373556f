"""The look through the logs at the end of a run finds what it is there to find."""

import json
import shutil
from pathlib import Path

import pytest

from tests.canaries import Scan, leaks, planted

# Put together here, so that no scan of this repository takes them for what they look like.
KEY = "AKIA" + "IOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"level":"INFO","message":"batch done","records":3}', []),
        (f'{{"why":"{planted("one")} is no number"}}', [planted("one")]),
        (f"denied for {KEY}", ["an access key"]),
        ("AWS_SECRET_ACCESS_KEY=" + "wJalrXUtnFEMI", ["a secret key"]),
        ("https://b.s3.amazonaws.com/k?X-Amz-Signature=" + "0a", ["a signature"]),
        ('"x-amz-security-token": "' + 'FwoGZXIvYXdzEBY"', ["a session token"]),
        ("sha256:" + "A" * 64, []),
        ("it was opensesame", ["the engine's own secret key"]),
    ],
)
def test_a_leak_is_found(text: str, found: list[str]) -> None:
    assert list(leaks(text, frozenset({"opensesame"}))) == found


def test_every_engine_of_a_run_is_looked_through(tmp_path: Path) -> None:
    engine = tmp_path / "popen-gw0" / "engine0"
    (engine / "data").mkdir(parents=True)
    (engine / "engine.json").write_text(json.dumps({"secret_key": "opensesame"}))
    events = [{"message": "fine"}, {"message": planted("item")}]
    group = {"streams": {"one": {"events": events}}}
    state = {"payload": {"log_groups": {"data": {"0\0us-east-1\0'/aws/lambda/f'": group}}}}
    (engine / "data" / "cloudwatch_logs.json").write_text(json.dumps(state))
    (engine / "engine.log").write_text("up\nopensesame\n")
    scan = Scan()
    scan.engines(tmp_path)
    shutil.rmtree(engine)  # or the run's own look would find it
    assert (scan.files, scan.lines) == (2, 4)
    assert scan.found == [
        f"engine0: /aws/lambda/f: {planted('item')}",
        "engine0/engine.log: the engine's own secret key",
    ]


def test_an_engine_whose_state_a_test_broke_is_looked_through_as_well(tmp_path: Path) -> None:
    engine = tmp_path / "engine0"
    engine.mkdir()
    (engine / "engine.json").write_text("{broken")
    (engine / "engine.log").write_text(f"denied for {KEY}\n")
    scan = Scan()
    scan.engines(tmp_path)
    shutil.rmtree(engine)
    assert scan.found == ["engine0/engine.log: an access key"]
