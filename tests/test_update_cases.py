"""Every file in tests/cases/table_update is a test: a request, what the store says, what is decided and answered."""

from pathlib import Path
from typing import Any

import pytest

from tests.case_files import CaseFile, every_case_of
from tests.fakes import no_rules
from weaudit.aws import errors
from weaudit.handlers import table_update
from weaudit.items.secret_rows import secret_row
from weaudit.trail.store_callers import AuditLogs
from weaudit.updates.requests import settings_of
from weaudit.updates.store import UpdatedTables
from weaudit.updates.store_secret import RequestSecret

AT_MS = 1_704_677_672_343
LOG_IDS = ("0d5e4a34-9b52-4c8c-a3f6-1f6c0c6f2b77", "f2b0a2c1-55c1-4d0e-9a6b-7a1d3a0f7c11")
SCHEMA = {
    "Table": {
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
    }
}


def outcome(event: Any, store: Any, environment: dict[str, str]) -> tuple[list[Any], list[Any]]:
    """Return the writes that were decided, and status and document of the answer."""
    writes: list[Any] = []

    def call(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation == "DescribeTable":
            return SCHEMA
        if operation == "BatchGetItem":
            return {"Responses": {"keys": [secret_row("REQUEST", bytes(32))]}}
        writes.append({operation: body})
        if store and operation != "PutItem":
            raise errors.failure(operation, 400, store["__type"], store.get("message", ""), store)
        return {}

    ids = iter(LOG_IDS)
    settings = settings_of({"TABLE_NAME": "Configuration", **environment})
    answer = table_update.handle(
        event,
        tables=UpdatedTables(call),
        request_secret=RequestSecret(call, "keys"),
        watches=no_rules(),
        audit_logs=AuditLogs(call, settings.audit_log_table),
        settings=settings,
        now_ms=lambda: AT_MS,
        new_id=lambda: next(ids),
    )
    return writes, list(answer)


@every_case_of("table_update")
def test_the_request_gives_the_decision_and_the_answer_that_the_case_shows(path: Path) -> None:
    case = CaseFile(path)
    given = [case.read(name) for name in ("event in", "store", "environment")]
    decision, records = outcome(*given)
    case.came_to(decision, records)
    assert decision == case.read("decision")
    assert records == case.read("records out")


@pytest.mark.parametrize(
    ("spelled", "logged"),
    [*((text, True) for text in ("true", "TRUE", " True ", "1", "yes", "on")), ("false", False), ("0", False)],
)
def test_logging_is_on_however_its_variable_spells_yes(spelled: str, logged: bool) -> None:
    document = {"id": "k", "attributes": {"n": 1}, "enable_logging": False}
    writes, _ = outcome(document, None, {"ENABLE_AUDIT_LOG": spelled})
    assert ("TransactWriteItems" in writes[0]) == logged
