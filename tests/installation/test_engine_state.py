"""The state directory and the positions of stream consumers, without an engine."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from weaudit.errors import EngineError
from weaudit.installation import engine_state
from weaudit.local import process, restarting


def test_the_directory_is_chosen_in_the_documented_order(tmp_path: Path) -> None:
    environment = {"HOME": "/h", "XDG_STATE_HOME": "/x", "WEAUDIT_STATE_DIR": "/w"}
    assert engine_state.directory(tmp_path, environment) == tmp_path
    assert engine_state.directory(None, environment) == Path("/w")
    del environment["WEAUDIT_STATE_DIR"]
    assert engine_state.directory(None, environment) == Path("/x/weaudit")
    del environment["XDG_STATE_HOME"]
    assert engine_state.directory(None, environment) == Path("/h/.local/state/weaudit")


def test_what_is_kept_is_what_is_read(tmp_path: Path) -> None:
    engine = engine_state.EngineState(tmp_path, 4570, True, "AK", "SK", pid=7, identity="x", started_ms=5, ready=True)
    assert engine_state.load(tmp_path) is None
    engine_state.save(engine)
    assert engine_state.load(tmp_path) == engine
    assert "SK" not in repr(engine)
    (tmp_path / "engine.json").write_text("{")
    with pytest.raises(EngineError, match="cannot be read"):
        engine_state.load(tmp_path)


def test_only_engines_have_an_identity() -> None:
    assert engine_state.identity(os.getpid()) == ""
    assert engine_state.identity(2**22 + 1) == ""


def test_a_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be used"), engine_state.locked(tmp_path / "file" / "state"):
        pass


def test_positions_go_to_zero_and_nothing_else_changes(tmp_path: Path) -> None:
    assert restarting.rearm(tmp_path) == 0
    path = tmp_path / "lambda.json"
    document = {
        "__ministack_format__": 2,
        "payload": {
            "esms": {"one": {"Position": 7}},
            "dynamodb_stream_positions": {"__scoped__": True, "data": {"000000000000\0us-east-1\0one": 60, "two": 3}},
        },
    }
    path.write_text(json.dumps(document))
    assert restarting.rearm(tmp_path) == 2
    changed = json.loads(path.read_text())
    assert set(changed["payload"]["dynamodb_stream_positions"]["data"].values()) == {0}
    changed["payload"]["dynamodb_stream_positions"] = document["payload"]["dynamodb_stream_positions"]  # type: ignore[index]
    assert changed == document


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"__ministack_format__": 3}', '{"__ministack_format__": 2, "payload": {}}']
)
def test_positions_of_another_version_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "lambda.json").write_text(text)
    with pytest.raises(EngineError, match="another version"):
        restarting.rearm(tmp_path)
    assert (tmp_path / "lambda.json").read_text() == text


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"payload": {"buckets_meta": {"kept": {}}}}'])
def test_objects_stay_where_they_are_beside_a_state_of_another_version(tmp_path: Path, text: str) -> None:
    (tmp_path / "s3.json").write_text(text)
    bucket = tmp_path / "objects" / "000000000000" / "kept"
    bucket.mkdir(parents=True)
    with pytest.raises(EngineError, match="another version"):
        restarting.set_aside(tmp_path, tmp_path / "objects")
    assert bucket.is_dir()


def test_buckets_that_are_known_stay_whose_account_they_are(tmp_path: Path) -> None:
    known: dict[str, Any] = {"000000000000\0'kept'": {}, "111111111111\0'other'": {}}
    (tmp_path / "s3.json").write_text(json.dumps({"payload": {"buckets_meta": {"data": known}}}))
    objects = tmp_path / "objects"
    for place in ("000000000000/kept", "111111111111/other", ".versions/000000000000/kept", "000000000000/lost"):
        (objects / place).mkdir(parents=True)
    names, where = restarting.set_aside(tmp_path, objects)
    assert names == ["lost"]
    assert sorted(str(path.relative_to(where)) for path in where.glob("*/*")) == ["000000000000/lost"]
    assert sorted(path.name for path in objects.glob("*/*")) == ["000000000000", "kept", "other"]


def test_the_engine_sees_nothing_of_the_users_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "LOG_LEVEL", "PYTHONPATH", "AUTH", "HTTP_PROXY"):
        monkeypatch.setenv(name, "leaked")
    assert "leaked" not in process.environment(engine_state.EngineState(tmp_path, 1)).values()


def test_queues_are_found_again_on_another_port(tmp_path: Path) -> None:
    kept = '{"a": "http://localhost:4566/000000000000/jobs", "b": "http://localhost:4566/other", "c": "http://127.0.0.1:1/"}'
    for name in ("sqs.json", "cloudformation.json", "s3.json"):
        (tmp_path / name).write_text(kept)
    for _again in range(2):
        restarting.readdress(tmp_path, 5000)
        for name in ("sqs.json", "cloudformation.json"):
            assert (tmp_path / name).read_text() == kept.replace("4566/000000000000", "5000/000000000000")
        assert (tmp_path / "s3.json").read_text() == kept
    restarting.readdress(tmp_path / "missing", 5000)
