"""Commands as a user types them, and what the tests of the whole need of the engine."""

import json
from typing import Any

from typer.testing import CliRunner

from tests.conftest import client_of
from tests.waiting import eventually as eventually  # for whoever takes commands
from weaudit.cli.main import app
from weaudit.installation.targets import Target


def client(service: str) -> Any:
    """Return a boto3 client of the engine that commands find."""
    return client_of(Target.resolve(), service)


def run(*words: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed to stdout."""
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def verified() -> dict[str, Any]:
    """Return what `weaudit verify --json` says, whose exit code has to agree."""
    code, text = run("verify", "--json")
    document: dict[str, Any] = json.loads(text)
    assert (code == 0) == document["whole"]
    return document


def faults() -> set[tuple[str, str]]:
    """Return kind and item key of each fault that `weaudit verify` names."""
    return {(found["kind"], found["itemKey"]) for table in verified()["tables"] for found in table["findings"]}


def records_of(key: str) -> list[dict[str, Any]]:
    """Return an item's records in the order of the stream, by a plain scan."""
    pages = client("dynamodb").get_paginator("scan").paginate(TableName="Audit")
    found = [record for page in pages for record in page["Items"] if record["itemKey"]["S"] == key]
    return sorted(found, key=lambda record: str(record["sequenceNumber"]))


def recorded(key: str, count: int) -> None:
    """Wait until an item has so many records."""
    eventually(lambda: len(records_of(key)) == count)
