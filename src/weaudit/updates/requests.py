"""The request document of an update, parsed and checked (docs/contracts.md, part C; docs/updating.md)."""

from __future__ import annotations

from urllib.parse import unquote

from weaudit.errors import DatabaseError, InvalidInputError
from weaudit.items import plain
from weaudit.items.sizes import DEEPEST_LEVEL
from weaudit.items.values import MARKER
from weaudit.updates.conditions import condition_of
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from weaudit.items.values import Value
    from weaudit.updates.conditions import Condition

_TEXTS = ("table_name", "request_id", "condition_expression", "user_agent", "reason")
_FIELDS = ("id", "attributes", "enable_logging", *_TEXTS, "condition_values", "condition_names")
_LONGEST_TEXTS = {"request_id": 256, "user_agent": 1024}
LONGEST_REASON_BYTES = 1024
# The template writes true or false. An operator who sets 1 or yes must not find out later that nothing was logged.
_YES = frozenset(("true", "1", "yes", "on"))


@value
class Settings:
    """This stack's settings for updates, read once from the environment."""

    table: str  # for documents that name no table
    audit_log_table: str = "audit_logs"
    logs_always: bool = False  # no request can switch it off
    marks: bool = True  # a logged update leaves MARKER on the item
    allowed_tables: frozenset[str] | None = None  # besides ``table``; None: only IAM decides
    # WeAudit's own, besides the log: no update may write there, whatever is allowed.
    own_tables: frozenset[str] = frozenset()
    configuration_table: str = ""  # the one whose items say what is audited
    remembered_seconds: int = 7 * 24 * 3600  # how long a request_id is remembered


def settings_of(environment: Mapping[str, str]) -> Settings:
    """Return the settings from TABLE_NAME, AUDIT_LOG_TABLE, ENABLE_AUDIT_LOG and this stack's own variables.

    Those are MARK_LOGGED_UPDATES (default ``true``), UPDATABLE_TABLES (names or ARNs, separated by commas), and the
    names of the tables on which the trail depends: AUDIT_TABLE, KEYS_TABLE, CONFIGURATION_TABLE.
    """
    tables = (name.strip() for name in (environment.get("UPDATABLE_TABLES") or "").split(","))
    return Settings(
        table=environment.get("TABLE_NAME") or "",
        audit_log_table=environment.get("AUDIT_LOG_TABLE") or "audit_logs",
        logs_always=(environment.get("ENABLE_AUDIT_LOG") or "false").strip().lower() in _YES,
        marks=(environment.get("MARK_LOGGED_UPDATES") or "true").strip().lower() in _YES,
        allowed_tables=frozenset(named(name) for name in tables if name),
        own_tables=frozenset(filter(None, (environment.get(name) for name in ("AUDIT_TABLE", "KEYS_TABLE")))),
        configuration_table=environment.get("CONFIGURATION_TABLE") or "",
    )


def named(table: str) -> str:
    """Return the name of a table that is given by its name or ARN."""
    return table.rpartition(":table/")[2]


@value
class Caller:
    """The caller, as far as the function knows."""

    identity: str = ""  # authenticated: an IAM ARN, or a token's issuer and subject; else ""
    # Request ids are unique per owner: an AWS account, or the subject of a token; "" for direct calls.
    owner: str = ""
    user_agent: str = ""  # of the HTTP request; one in the document takes precedence


@value
class UpdateRequest:
    """A request whose shape is valid; whether its id fits the table's key is not known yet."""

    id: Any  # text, number or object: see items.typed_keys
    attributes: dict[str, Value]  # in DynamoDB JSON, in the order given
    table: str
    logged: bool = False
    request_id: str = ""
    condition_expression: str = ""
    condition: Condition | None = None
    user_agent: str = ""
    reason: str = ""  # why; the log entry holds it


def read_request(document: Any, settings: Settings, request_id: str = "", reason: str = "") -> UpdateRequest:
    """Parse a document into a request. Raises InvalidInputError, ValidationError.

    ``request_id`` is the Idempotency-Key header, ``reason`` the X-WeAudit-Reason header as it was sent; if the document
    has the field too, they must be equal. Numbers in the document are int, float, Decimal or plain.Number. An optional
    field that is null counts as not given.
    """
    given = _given(document)
    attributes = given["attributes"]
    if not isinstance(attributes, dict):
        raise InvalidInputError("attributes must be an object of names and values", {"field": "attributes"})
    if not attributes:
        raise InvalidInputError("attributes must not be empty", {"field": "attributes"})
    texts = {name: _text(given, name) for name in _TEXTS}
    why = _reason(texts["reason"], reason)
    logging = given.get("enable_logging", bool(why))
    if not isinstance(logging, bool):
        raise InvalidInputError("enable_logging must be true or false", {"field": "enable_logging"})
    logged = settings.logs_always or logging
    if why and not logged:
        raise InvalidInputError(
            "the log entry holds the reason: leave enable_logging out, or set it to true", {"field": "enable_logging"}
        )
    if "condition_expression" not in given and ("condition_values" in given or "condition_names" in given):
        raise InvalidInputError("condition_values and condition_names need a condition_expression")
    if request_id and texts["request_id"] not in ("", request_id):
        raise InvalidInputError("request_id and the header Idempotency-Key differ", {"field": "request_id"})
    condition = None
    if "condition_expression" in given:
        values, names = given.get("condition_values"), given.get("condition_names")
        condition = condition_of(texts["condition_expression"], values, names)
    return UpdateRequest(
        _checked_id(given["id"]),
        _values(attributes, logged=logged),
        _table(texts["table_name"], settings),
        logged=logged,
        request_id=texts["request_id"] or _text({"request_id": request_id or None}, "request_id"),
        condition_expression=texts["condition_expression"],
        condition=condition,
        user_agent=texts["user_agent"],
        reason=why,
    )


def _given(document: Any) -> dict[str, Any]:
    found = {} if document is None else document
    if not isinstance(found, dict):
        raise InvalidInputError("the request must be a JSON object with id and attributes")
    given = {name: value for name, value in found.items() if value is not None}
    missing = [name for name in ("id", "attributes") if name not in given]
    if missing:
        named = "ID and attributes are" if len(missing) == 2 else "ID is" if missing == ["id"] else "Attributes are"
        raise InvalidInputError(f"{named} required", {"missing_fields": missing})
    unknown = [name for name in found if name not in _FIELDS]
    if unknown:
        # A misspelt condition_expression must not become an update without a condition.
        listed = [plain.shown(str(name), quoted=False) for name in unknown[:10]]
        raise InvalidInputError(f"unknown fields: {', '.join(listed)}", {"unknown_fields": listed})
    return given


def _text(given: dict[str, Any], name: str) -> str:
    found = given.get(name)
    if found is None:
        return ""
    if not plain.is_text(found) or not found:
        raise InvalidInputError(f"{name} must be a text that is not empty", {"field": name})
    longest = _LONGEST_TEXTS.get(name)
    if longest and len(found) > longest:
        raise InvalidInputError(f"{name} has more than {longest} characters", {"field": name, "limit": longest})
    if any("\ud800" <= char <= "\udfff" for char in found):
        raise InvalidInputError(f"{name} holds half of a surrogate pair, which UTF-8 cannot", {"field": name})
    return str(found)


def _reason(stated: str, header: str) -> str:
    sent = _text({"reason": decoded_reason(header) or None}, "reason")
    if stated and sent and stated != sent:
        raise InvalidInputError("reason and the header X-WeAudit-Reason differ", {"field": "reason"})
    reason = stated or sent
    if reason.isspace():
        raise InvalidInputError("reason must not be blank", {"field": "reason"})
    if len(reason.encode()) > LONGEST_REASON_BYTES:
        limit = {"field": "reason", "limit": LONGEST_REASON_BYTES}
        raise InvalidInputError(f"reason has more than {LONGEST_REASON_BYTES} bytes in UTF-8", limit)
    return reason


def decoded_reason(header: str) -> str:
    """Return the text that an X-WeAudit-Reason header stands for. Raises InvalidInputError.

    Each ``%XX`` is a byte of UTF-8; a ``%`` without two hexadecimal digits is itself. Other characters must be ASCII:
    what else a header holds was read as Latin-1 by some programs on its way and as UTF-8 by others.
    """
    if not header.isascii():
        raise InvalidInputError(
            "the header X-WeAudit-Reason is not ASCII: percent-encode its UTF-8, as in caf%C3%A9", {"field": "reason"}
        )
    try:
        return unquote(header, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInputError(
            "the header X-WeAudit-Reason is not percent-encoded UTF-8: é is %C3%A9, and a % before two digits is %25",
            {"field": "reason"},
        ) from None


def _table(given: str, settings: Settings) -> str:
    table = given or settings.table
    if not table:
        raise DatabaseError("This function has no table: its variable TABLE_NAME is not set")
    allowed = settings.allowed_tables is None or table == settings.table or table in settings.allowed_tables
    # The trail, its secrets and the log must not be rewritten through the function whose updates they are about.
    if not allowed or named(table) in {settings.audit_log_table, *settings.own_tables}:
        shown = plain.shown(table, quoted=False)
        raise InvalidInputError(f"this stack may not update the table {shown}", {"table_name": shown})
    return table


def _checked_id(found: Any) -> Any:
    if isinstance(found, bool | list) or found in ("", {}):
        raise InvalidInputError(
            "id must be a string that is not empty, or an object of the key's parts", {"field": "id"}
        )
    return found


def _values(attributes: dict[str, Any], *, logged: bool) -> dict[str, Value]:
    # The log entry nests the new values in a map of its own: one level more.
    levels = DEEPEST_LEVEL - logged
    values = {}
    for name, plainly in attributes.items():
        path = plain.below("attributes", name)
        plain.check_name(name, path)
        if name == MARKER:
            raise plain.refusal(path, "this attribute is WeAudit's own")
        values[name] = plain.typed(plainly, path, levels)
    return values
