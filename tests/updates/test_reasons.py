"""The reason of an update: in the document or in a header, bounded, and in the log entry of success and failure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaudit.errors import InvalidInputError
from weaudit.items.values import Item
from weaudit.updates import log, plan
from weaudit.updates.requests import LONGEST_REASON_BYTES, Caller, Settings, decoded_reason, read_request

SETTINGS = Settings("Configuration")
NOW_MS = 1_704_677_672_343
LOG_ID = "11111111-1111-4111-8111-111111111111"


def document(**fields: Any) -> dict[str, Any]:
    return {"id": "k", "attributes": {"name": "x"}, **fields}


def entry_of(found: Any, header: str = "") -> Item:
    """Return the log entry of an update that succeeds."""
    asked = read_request(found, SETTINGS, reason=header)
    planned = plan.plan(asked, {"key": "S"}, SETTINGS, Caller(), NOW_MS, LOG_ID, rules=())
    entry: Item = planned.body["TransactItems"][1]["Put"]["Item"]
    return entry


def failed(found: Any, header: str = "", settings: Settings = SETTINGS) -> Item | None:
    return log.failed_entry(found, settings, Caller(), "InvalidInputError", NOW_MS, LOG_ID, reason=header, rules=())


@pytest.mark.parametrize(("found", "header"), [({"reason": "why"}, ""), ({}, "why"), ({"reason": "why"}, "why")])
def test_an_update_with_a_reason_is_logged_with_it(found: dict[str, Any], header: str) -> None:
    assert entry_of(document(**found), header)["reason"] == {"S": "why"}


def test_without_a_reason_there_is_no_field_and_no_log() -> None:
    assert "reason" not in entry_of(document(enable_logging=True))
    assert not read_request(document(reason=None), SETTINGS).logged


def test_a_reason_is_refused_where_the_log_that_holds_it_is_declined() -> None:
    with pytest.raises(InvalidInputError, match="leave enable_logging out"):
        read_request(document(reason="why", enable_logging=False), SETTINGS)
    always = Settings("Configuration", logs_always=True)
    assert read_request(document(reason="why", enable_logging=False), always).reason == "why"


@pytest.mark.parametrize(
    "reason",
    ["", " \t", 5, ["why"], True, "\ud800", "x" * (LONGEST_REASON_BYTES + 1), "é" * (LONGEST_REASON_BYTES // 2 + 1)],
)
def test_what_is_no_reason_is_refused(reason: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_request(document(reason=reason), SETTINGS)
    assert refused.value.details["field"] == "reason"


def test_the_limit_counts_bytes() -> None:
    assert read_request(document(reason="é" * (LONGEST_REASON_BYTES // 2)), SETTINGS).reason
    assert read_request(document(), SETTINGS, reason="%C3%A9" * (LONGEST_REASON_BYTES // 2)).reason
    with pytest.raises(InvalidInputError, match="1024 bytes"):
        read_request(document(), SETTINGS, reason="x" * (LONGEST_REASON_BYTES + 1))


def test_document_and_header_agree() -> None:
    assert read_request(document(reason="café"), SETTINGS, reason="caf%C3%A9").reason == "café"
    with pytest.raises(InvalidInputError, match="differ"):
        read_request(document(reason="one"), SETTINGS, reason="another")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("ticket 4711", "ticket 4711"),
        ("caf%C3%A9 %E2%82%AC", "café €"),
        ("caf%c3%a9", "café"),
        ("90% full, 5%x, %", "90% full, 5%x, %"),
        ("100%25 and a+b", "100% and a+b"),
        ("two%0Alines", "two\nlines"),
    ],
)
def test_a_header_is_percent_encoded(header: str, text: str) -> None:
    assert decoded_reason(header) == text


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_can_be_sent_in_a_header(text: str) -> None:
    from urllib.parse import quote

    assert decoded_reason(quote(text)) == text


@pytest.mark.parametrize(("header", "right"), [("café", "caf%C3%A9"), ("caf%E9", "%C3%A9"), ("5%AB", "%25")])
def test_a_header_that_may_mean_anything_is_refused_with_what_is_right(header: str, right: str) -> None:
    with pytest.raises(InvalidInputError, match="X-WeAudit-Reason") as refused:
        read_request(document(), SETTINGS, reason=header)
    assert right in str(refused.value)


def test_a_failed_attempt_is_logged_with_its_reason() -> None:
    wrong = {"attributes": {"a": 1}}
    assert (failed({**wrong, "reason": "why"}) or {})["reason"] == {"S": "why"}
    assert (failed(wrong, "caf%C3%A9") or {})["reason"] == {"S": "café"}
    assert (failed({**wrong, "reason": 5, "enable_logging": True}, "why") or {})["reason"] == {"S": "why"}
    assert "reason" not in (failed({**wrong, "enable_logging": True}) or {})
    assert failed({**wrong, "reason": "why", "enable_logging": False}) is None
    asked = read_request(document(reason="why"), SETTINGS)
    entry = log.failed_entry(
        document(), SETTINGS, Caller(), "RecordNotFoundError", NOW_MS, LOG_ID, planned=(asked, "k"), rules=()
    )
    assert entry is not None
    assert (entry["reason"], entry["status"]) == ({"S": "why"}, {"S": "RecordNotFoundError"})


@pytest.mark.parametrize("reason", ["x" * 5000, "xé" + "é" * 5000, "\ud800" * 5000])
def test_the_reason_of_a_failed_attempt_is_bounded(reason: str) -> None:
    for entry in (failed(document(reason=reason)), failed(document(enable_logging=True), reason)):
        kept = (entry or {})["reason"]["S"]
        assert LONGEST_REASON_BYTES - 4 < len(kept.encode()) <= LONGEST_REASON_BYTES
        assert reason.encode("utf-8", "replace").decode().startswith(kept)


def test_a_header_that_cannot_be_read_is_logged_as_it_was_sent() -> None:
    assert (failed(document(), "caf%E9") or {})["reason"] == {"S": "caf%E9"}
