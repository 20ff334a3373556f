"""`weaudit call`, and the client in examples/: real requests, signed, to an engine that checks them."""

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.e2e.apis import KEY, Api, eventually
from weaudit.cli.main import app

pytestmark = pytest.mark.engine

CLIENT = Path(__file__).parents[2] / "examples" / "signed-client" / "client.py"
UPDATER = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:*/*/POST/v1/updates"}

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(api: Api, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that gives the command, and returns its exit code and what it printed to stdout and stderr."""
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(api.directory))

    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["call", *words], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


def test_it_shows_status_headers_and_body(call: Call) -> None:
    code, body, told = call("get", "/v1/health")
    assert code == 0
    assert json.loads(body)["state"] == "ok"
    assert told.splitlines()[0] == "HTTP 200"
    assert "content-type: application/json" in told.splitlines()


def test_a_body_can_be_read_on_with_every_digit(call: Call) -> None:
    code, body, _ = call("GET", "/v1/tables/Configuration/history", "-q", f"key={KEY}", "-q", "limit=1")
    assert code == 0
    [change] = json.loads(body, parse_int=Decimal)["changes"]
    assert change["attributes"][0]["newValue"]["big"] == Decimal("9" * 38)


@pytest.mark.parametrize("key", ["a b+c*d%2F/e?&=#", "ключ", "'\"\\"])
def test_any_key_can_be_asked_for(call: Call, key: str) -> None:
    code, body, _ = call("GET", "/v1/tables/Configuration/history?limit=1", "--query", f"key={key}")
    assert (code, json.loads(body)["itemKey"]) == (0, key)


def test_a_refusal_is_an_exit_code(call: Call, api: Api) -> None:
    assert call("GET", "/v1/health", "--unsigned")[0] == 1
    code, body, told = call("GET", "/v1/health?wrong=1")
    assert (code, json.loads(body)["error"]) == (2, "InvalidInputError")
    assert told.startswith("HTTP 400")
    assert call("GET", "/v1/records/00000000-0000-4000-8000-000000000000")[0] == 1


def test_a_role_can_be_tried(call: Call, api: Api, tmp_path: Path) -> None:
    api.role("update-only", {"Version": "2012-10-17", "Statement": [UPDATER]})
    role = ("--role", "arn:aws:iam::000000000000:role/update-only")
    assert call("GET", "/v1/health", *role)[0] == 1
    document = json.dumps({"id": KEY, "attributes": {"tried": "yes"}})
    (tmp_path / "update.json").write_text(document)
    for data, stdin in ((document, ""), (f"@{tmp_path / 'update.json'}", ""), ("-", document)):
        code, body, _ = call("POST", "/v1/updates", "--data", data, *role, stdin=stdin)
        assert (code, json.loads(body)["updated_id"]) == (0, KEY)


def test_a_repeat_with_the_same_idempotency_key_gets_the_first_answer(call: Call) -> None:
    words = (
        "POST",
        "/v1/updates",
        "-d",
        json.dumps({"id": KEY, "attributes": {"once": 1}}),
        "-H",
        "Idempotency-Key: 7",
    )
    first, second = (json.loads(call(*words)[1]) for _ in range(2))
    assert first == second


def test_an_answer_that_never_changes_is_not_sent_twice(call: Call, api: Api) -> None:
    _, _, told = call("GET", f"/v1/records/{api.record}")
    [etag] = [line.removeprefix("etag: ") for line in told.splitlines() if line.startswith("etag: ")]
    code, body, told = call("GET", f"/v1/records/{api.record}", "--header", f"If-None-Match: {etag}")
    assert (code, body) == (0, "")
    assert told.startswith("HTTP 304")


def test_a_profile_signs(call: Call, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["[reader]", f"aws_access_key_id = {api.target.access_key}", "aws_secret_access_key = wrong", "[other]"]
    (tmp_path / "credentials").write_text("\n".join(lines))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert call("GET", "/v1/health", "--profile", "reader")[0] == 1
    (tmp_path / "credentials").write_text("\n".join(lines).replace("wrong", str(api.target.secret_key)))
    assert call("GET", "/v1/health", "--profile", "reader")[0] == 0
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert call("GET", "/v1/health", "--profile", "reader", "--url", api.url)[0] == 0
    code, _, told = call("GET", "/v1/health", "--profile", "nobody")
    assert code == 2
    assert "nobody" in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("GET", "v1/health"), 2),
        (("GET", "/v1/health", "-q", "limit"), 2),
        (("GET", "/v1/health", "-H", "nothing"), 2),
        (("POST", "/v1/updates", "-d", "@/nowhere/at/all"), 2),
        (("GET", "/v1/health", "--url", "ftp://x", "--unsigned"), 2),
        (("GET", "/v1/health", "--url", "http://127.0.0.1:9", "--unsigned"), 3),
    ],
)
def test_what_cannot_be_sent_is_said(call: Call, words: tuple[str, ...], code: int) -> None:
    found, body, told = call(*words)
    assert (found, body) == (code, "")
    assert told.startswith("Error: ")


def test_the_client_of_the_examples_reads_every_page(api: Api) -> None:
    dynamodb = api.client("dynamodb")
    for number in range(130):
        dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "a b/é"}, "n": {"N": str(number)}})
    credentials = api.role("reads-with-the-client", api.policy())

    def read() -> list[Any]:
        done = subprocess.run(
            [sys.executable, str(CLIENT), api.url, "us-east-1", "Configuration", "a b/é"],
            env={
                "AWS_ACCESS_KEY_ID": credentials.access_key,
                "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
                "AWS_SESSION_TOKEN": str(credentials.token),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    changes = eventually(lambda: found if len(found := read()) == 130 else None)
    assert [change["attributes"][0].get("newValue") for change in changes[1:]] == list(range(1, 130))


def test_the_client_of_the_examples_is_short() -> None:
    assert len(CLIENT.read_text(encoding="utf-8").splitlines()) <= 60
