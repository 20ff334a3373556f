"""An update comes to one write, and every refusal of it to one answer."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from weaudit.errors import (
    ConditionalCheckFailedError,
    DatabaseError,
    InvalidInputError,
    RecordNotFoundError,
    RecordRejectedError,
    StoreUnavailableError,
    ValidationError,
)
from weaudit.items.plain import Number
from weaudit.items.sizes import LARGEST_ITEM_BYTES
from weaudit.items.values import MARKER
from weaudit.updates import answers, log, plan
from weaudit.updates.plan import UpdatePlan
from weaudit.updates.requests import Caller, Settings, read_request, settings_of
from weaudit.values import replaced

NOW_MS = 1704677672343
LOG_ID = "11111111-1111-4111-8111-111111111111"
SECRET = b"s" * 32
ONE_KEY = {"key": "S"}
SETTINGS = Settings("Configuration")
LOGGED = Settings("Configuration", logs_always=True)
ARN = "arn:aws:iam::111122223333:user/ada"
FAILED = {"Code": "ConditionalCheckFailed"}
FINE = {"Code": "None"}
TOO_LARGE = {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum allowed size"}


def document(**fields: Any) -> dict[str, Any]:
    return {"id": "k", "attributes": {"name": "x"}, **fields}


def planned(
    schema: dict[str, str] = ONE_KEY,
    settings: Settings = SETTINGS,
    caller: Caller | None = None,
    secret: bytes = SECRET,
    **fields: Any,
) -> UpdatePlan:
    request = read_request(document(**fields), settings)
    return plan.plan(request, schema, settings, caller or Caller(), NOW_MS, LOG_ID, secret=secret, rules=())


def test_an_update_without_log_is_one_update_item() -> None:
    made = planned(attributes={"status": "on", "name": None, "email": Number("1.50")})
    assert made.operation == "UpdateItem"
    assert made.body == {
        "TableName": "Configuration",
        "Key": {"key": {"S": "k"}},
        "UpdateExpression": "SET #0=:0,#1=:1,#2=:2",
        "ConditionExpression": "attribute_exists(#k)",
        "ExpressionAttributeNames": {"#0": "status", "#1": "name", "#2": "email", "#k": "key"},
        "ExpressionAttributeValues": {":0": {"S": "on"}, ":1": {"NULL": True}, ":2": {"N": "1.5"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    assert made.answer == {
        "success": True,
        "message": "Record updated successfully",
        "updated_id": "k",
        "updated_attributes": ["status", "name", "email"],
        "timestamp": "2024-01-08T01:34:32.343Z",
    }


def test_a_condition_is_joined_to_the_check_that_the_record_exists() -> None:
    made = planned(condition_expression="status = 'a' OR name = :v", condition_values={":v": "b"})
    assert made.body["ConditionExpression"] == "attribute_exists(#k) AND (#c0=:c0 OR #c1=:c1)"
    assert made.body["ExpressionAttributeNames"] == {"#0": "name", "#k": "key", "#c0": "status", "#c1": "name"}
    assert made.body["ExpressionAttributeValues"] == {":0": {"S": "x"}, ":c0": {"S": "a"}, ":c1": {"S": "b"}}


def test_a_logged_update_is_one_transaction_with_its_entry_and_marks_the_item() -> None:
    made = planned(enable_logging=True, caller=Caller(ARN, "111122223333"))
    assert (made.operation, made.steps) == ("TransactWriteItems", ("update", "log"))
    assert made.body["ClientRequestToken"] == LOG_ID
    update, log = made.body["TransactItems"]
    assert update == {"Update": made.update}
    assert update["Update"]["ExpressionAttributeNames"]["#1"] == MARKER
    assert update["Update"]["ExpressionAttributeValues"][":1"] == {"S": LOG_ID}
    assert log == {
        "Put": {
            "TableName": "audit_logs",
            "Item": {
                "log_id": {"S": LOG_ID},
                "timestamp": {"S": "2024-01-08T01:34:32.343Z"},
                "table_name": {"S": "Configuration"},
                "record_id": {"S": "k"},
                "updated_attributes": {"M": {"name": {"S": "x"}}},
                "user_agent": {"S": "lambda-function"},
                "status": {"S": "success"},
                "caller": {"S": ARN},
            },
        }
    }
    assert made.answer["updated_attributes"] == ["name"]


def test_a_call_cannot_switch_logging_off() -> None:
    assert planned(settings=LOGGED, enable_logging=False).steps == ("update", "log")


def test_the_marker_can_be_turned_off() -> None:
    made = planned(settings=Settings("Configuration", logs_always=True, marks=False))
    assert MARKER not in made.update["ExpressionAttributeNames"].values()


@pytest.mark.parametrize(
    ("stated", "header", "logged"), [("me", "curl/8", "me"), (None, "curl/8", "curl/8"), (None, "", "lambda-function")]
)
def test_who_asks_is_logged(stated: str | None, header: str, logged: str) -> None:
    made = planned(settings=LOGGED, caller=Caller(user_agent=header), user_agent=stated)
    entry = made.body["TransactItems"][1]["Put"]["Item"]
    assert entry["user_agent"] == {"S": logged}
    assert "caller" not in entry


def test_a_request_id_adds_the_row_that_remembers_the_answer() -> None:
    made = planned(request_id="r-1")
    assert made.steps == ("request", "update")
    row = made.body["TransactItems"][0]["Put"]
    assert row["TableName"] == "audit_logs"
    assert row["Item"]["log_id"]["S"].startswith("request#")
    assert "record_id" not in row["Item"]  # so that the index of the log does not have it
    assert json.loads(row["Item"]["answer"]["S"]) == made.answer
    assert row["Item"]["expires_at"] == {"N": str(NOW_MS // 1000 + 7 * 24 * 3600)}
    assert row["ConditionExpression"] == "attribute_not_exists(log_id) OR expires_at < :now"
    assert planned(request_id="r-1", settings=LOGGED).steps == ("request", "update", "log")


def test_request_ids_of_two_owners_never_meet() -> None:
    one, other = (planned(request_id="r", caller=Caller(owner=owner)) for owner in ("1", "2"))
    rows = [made.body["TransactItems"][0]["Put"]["Item"]["log_id"] for made in (one, other)]
    assert rows[0] != rows[1]


def test_who_has_not_the_secret_cannot_guess_a_remembered_request() -> None:
    """What the row holds of id and values is another with another secret; two ids never meet by where they are cut."""

    def row(**given: Any) -> dict[str, Any]:
        item: dict[str, Any] = planned(**given).body["TransactItems"][0]["Put"]["Item"]
        return item

    one, other = row(request_id="r"), row(request_id="r", secret=b"t" * 32)
    for name in ("log_id", "request_hash"):
        assert one[name] != other[name]
        assert one[name] == row(request_id="r")[name]
    assert one["request_hash"] == row(request_id="another")["request_hash"]
    pairs = [("a", "bc"), ("ab", "c"), ("a\0b", "c"), ("a", "b\0c")]
    ids = {row(request_id=request_id, caller=Caller(owner=owner))["log_id"]["S"] for owner, request_id in pairs}
    assert len(ids) == len(pairs)
    assert "x" not in one["request_hash"]["S"]  # the value; hex has no x
    with pytest.raises(ValueError, match="under a secret"):
        planned(request_id="r", secret=b"")
    assert planned(secret=b"").request_hash == ""


def repeated(first: UpdatePlan, again: UpdatePlan) -> dict[str, Any]:
    row = first.body["TransactItems"][0]["Put"]["Item"]
    return plan.refused(again, [{**FAILED, "Item": row}, {**FAILED, "Item": {"key": {"S": "k"}}}])


def test_a_repeat_gets_the_first_answer_even_where_its_condition_no_longer_holds() -> None:
    first = planned(request_id="r", attributes={"a": 1, "b": 2}, condition_expression="attribute_not_exists(a)")
    request = read_request(
        document(
            request_id="r",
            attributes={"b": Decimal("2.0"), "a": 1},
            condition_expression="attribute_not_exists( a )",
            enable_logging=True,
            reason="another one",
        ),
        SETTINGS,
    )
    again = plan.plan(
        request, ONE_KEY, SETTINGS, Caller(), NOW_MS + 5000, LOG_ID.replace("1", "2"), secret=SECRET, rules=()
    )
    assert repeated(first, again) == first.answer


@pytest.mark.parametrize(
    "other", [{"id": "k2"}, {"attributes": {"name": "y"}}, {"condition_expression": "a = 1"}, {"table_name": "T"}]
)
def test_a_request_id_cannot_be_used_for_another_request(other: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="another request"):
        repeated(planned(request_id="r"), planned(request_id="r", **other))


def test_the_header_is_a_request_id_too() -> None:
    assert read_request(document(), SETTINGS, "h").request_id == "h"
    assert read_request(document(request_id="h"), SETTINGS, "h").request_id == "h"
    with pytest.raises(InvalidInputError, match="differ"):
        read_request(document(request_id="r"), SETTINGS, "h")


@pytest.mark.parametrize(
    ("given_document", "message", "missing"),
    [
        ({}, "ID and attributes are required", ["id", "attributes"]),
        (None, "ID and attributes are required", ["id", "attributes"]),
        ({"id": None}, "ID and attributes are required", ["id", "attributes"]),
        ({"attributes": {"a": 1}}, "ID is required", ["id"]),
        ({"id": "k"}, "Attributes are required", ["attributes"]),
    ],
)
def test_missing_fields_are_named(given_document: Any, message: str, missing: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_request(given_document, SETTINGS)
    assert answers.failure(caught.value, NOW_MS) == (
        400,
        {
            "success": False,
            "error": "InvalidInputError",
            "message": message,
            "details": {"missing_fields": missing},
            "timestamp": "2024-01-08T01:34:32.343Z",
        },
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": 7},
        {"id": Number("7")},
        {"id": True},
        {"id": ["k"]},
        {"id": {"key": "k"}},
        {"id": {}},
        {"id": "x" * 2049},
        {"id": "\ud800"},
        {"attributes": {}},
        {"attributes": []},
        {"attributes": "name"},
        {"enable_logging": "true"},
        {"enable_logging": 1},
        {"table_name": ""},
        {"table_name": 5},
        {"table_name": Number("5")},
        {"table_name": "audit_logs"},
        {"request_id": "x" * 257},
        {"request_id": "\ud800"},
        {"user_agent": ["a"]},
        {"condition_expression": ""},
        {"condition_expression": 5},
        {"condition_expression": "a ="},
        {"condition_values": {":v": 1}},
        {"condition_names": {"#n": "a"}},
        {"conditon_expression": "a = 1"},
    ],
)
def test_wrong_input_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        planned(**fields)


@pytest.mark.parametrize("other", [[], "text", 5, True])
def test_a_document_is_an_object(other: Any) -> None:
    with pytest.raises(InvalidInputError, match="JSON object"):
        read_request(other, SETTINGS)


def test_optional_fields_may_be_null() -> None:
    names = ("enable_logging", "table_name", "request_id", "condition_expression", "user_agent", "reason")
    given_fields: dict[str, Any] = dict.fromkeys(names)
    made = planned(**given_fields)
    assert made.operation == "UpdateItem"


def test_only_allowed_tables_are_updated() -> None:
    settings = Settings("Configuration", allowed_tables=frozenset(("Orders",)))
    assert planned(settings=settings, table_name="Orders").request.table == "Orders"
    assert planned(settings=settings, table_name="Configuration").request.table == "Configuration"
    with pytest.raises(InvalidInputError, match="may not update"):
        planned(settings=settings, table_name="Customers")
    with pytest.raises(DatabaseError, match="TABLE_NAME"):
        planned(settings=Settings(""))


def test_tables_on_which_the_trail_depends_are_refused_whatever_is_allowed() -> None:
    environment = {"TABLE_NAME": "Configuration", "AUDIT_TABLE": "Audit", "KEYS_TABLE": "weaudit-keys-dev"}
    environment["UPDATABLE_TABLES"] = "arn:aws:dynamodb:us-east-1:1:table/Audit,weaudit-keys-dev,audit_logs,Orders"
    settings = settings_of(environment)
    assert planned(settings=settings, table_name="Orders")
    own = ("Audit", "weaudit-keys-dev", "audit_logs")
    for table in own:
        for text in (table, f"arn:aws:dynamodb:us-east-1:1:table/{table}"):
            for limits in (settings, replaced(settings, allowed_tables=None)):
                with pytest.raises(InvalidInputError, match="may not update the table"):
                    planned(settings=limits, table_name=text)
    with pytest.raises(InvalidInputError, match="may not update the table Audit"):
        planned(settings=settings_of({"TABLE_NAME": "Audit", "AUDIT_TABLE": "Audit"}))


GOVERNING = Settings("Configuration", configuration_table="Configuration")


@pytest.mark.parametrize(
    ("schema", "record"),
    [
        (ONE_KEY, "WATCH/orders"),
        (ONE_KEY, "WATCH/"),
        (ONE_KEY, "HOLD/orders"),
        ({"pk": "S", "sk": "N"}, {"pk": "WATCH/orders", "sk": 7}),
        ({"pk": "S", "sk": "N"}, '{"sk":{"N":"7"},"pk":{"S":"WATCH/orders"}}'),
        ({"pk": "S", "sk": "N"}, '{"sk": 7, "pk": "\\u0057ATCH/orders"}'),
    ],
)
def test_what_says_how_tables_are_audited_is_not_updated(schema: dict[str, str], record: Any) -> None:
    with pytest.raises(InvalidInputError, match="no update may change the record") as refused:
        planned(schema, GOVERNING, id=record)
    assert refused.value.details == {"field": "id"}
    assert ("`weaudit watch`" in str(refused.value)) == ("HOLD" not in str(record))
    arn = "arn:aws:dynamodb:us-east-1:1:table/Configuration"
    with pytest.raises(InvalidInputError, match="no update may change"):
        planned(schema, GOVERNING, id=record, table_name=arn)
    assert planned(schema, GOVERNING, id=record, table_name="Orders")
    assert planned(schema, SETTINGS, id=record)


@pytest.mark.parametrize("record", ["WATCH", "watch/orders", "MY WATCH/orders", "HOLDING", "CACHE_TTL_SEC", "{}"])
def test_other_records_of_configuration_are_updated(record: str) -> None:
    assert planned(settings=GOVERNING, id=record).key == {"key": {"S": record}}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"key": "other"}, "attributes.key"),
        ({"": 1}, 'attributes.""'),
        ({MARKER: "x"}, f"attributes.{MARKER}"),
        ({"a": nested(33)}, "attributes.a" + "[0]" * 32),
        ({"a": {"SS": []}}, "attributes.a"),
        ({"a": Number("NaN")}, "attributes.a"),
        ({"a": "x" * LARGEST_ITEM_BYTES}, "attributes"),
        ({f"a{n}": n for n in range(500)}, "attributes"),
    ],
)
def test_what_cannot_be_stored_is_refused(attributes: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        planned(attributes=attributes)
    assert caught.value.details["path"] == path
    assert answers.failure(caught.value, NOW_MS)[0] == 400


def test_the_log_entry_has_to_fit_too() -> None:
    large = {"a": "x" * (LARGEST_ITEM_BYTES - 100)}
    assert planned(attributes=large)
    with pytest.raises(ValidationError, match="log entry"):
        planned(attributes=large, enable_logging=True)
    assert planned(attributes={"a": nested(32)})
    with pytest.raises(ValidationError, match="deeper"):
        planned(attributes={"a": nested(32)}, enable_logging=True)


COMPOSITE = {"pk": "S", "sk": "N"}


@pytest.mark.parametrize(
    ("schema", "record", "key", "name"),
    [
        (ONE_KEY, '{"key":"k"}', {"key": {"S": '{"key":"k"}'}}, '{"key":"k"}'),
        ({"n": "N"}, 7, {"n": {"N": "7"}}, '{"n":{"N":"7"}}'),
        ({"n": "N"}, "7.0", {"n": {"N": "7"}}, '{"n":{"N":"7"}}'),
        ({"n": "N"}, {"n": 0}, {"n": {"N": "0"}}, '{"n":{"N":"0"}}'),
        ({"n": "N"}, '{"n":{"N":"7"}}', {"n": {"N": "7"}}, '{"n":{"N":"7"}}'),
        ({"b": "B"}, "AAEC", {"b": {"B": "AAEC"}}, '{"b":{"B":"AAEC"}}'),
        ({"b": "B"}, {"b": {"B": "AAEC"}}, {"b": {"B": "AAEC"}}, '{"b":{"B":"AAEC"}}'),
        (COMPOSITE, {"sk": 7, "pk": "a"}, {"pk": {"S": "a"}, "sk": {"N": "7"}}, '{"pk":{"S":"a"},"sk":{"N":"7"}}'),
        (COMPOSITE, '{"pk": "a", "sk": 7}', {"pk": {"S": "a"}, "sk": {"N": "7"}}, '{"pk":{"S":"a"},"sk":{"N":"7"}}'),
        (COMPOSITE, '{"pk":{"S":"a"},"sk":{"N":"7"}}', {"pk": {"S": "a"}, "sk": {"N": "7"}}, None),
    ],
)
def test_an_id_names_a_record_of_any_key(schema: dict[str, str], record: Any, key: dict[str, Any], name: Any) -> None:
    made = planned(schema, id=record)
    assert made.key == key
    assert made.record_id == made.answer["updated_id"] == (name or record)
    assert made.update["ExpressionAttributeNames"]["#k"] == next(iter(schema))
    assert planned(schema, id=made.record_id).key == key


@pytest.mark.parametrize(
    ("schema", "record"),
    [
        ({"n": "N"}, "x"),
        ({"n": "N"}, {"m": 1}),
        ({"n": "N"}, "{"),
        ({"b": "B"}, "x"),
        ({"b": "B"}, {"B": 5}),
        (COMPOSITE, "a"),
        (COMPOSITE, {"pk": "a"}),
        (COMPOSITE, {"pk": "a", "sk": 7, "more": 1}),
        (COMPOSITE, {"pk": "", "sk": 7}),
        (COMPOSITE, {"pk": "a", "sk": True}),
        (COMPOSITE, {"pk": "a", "sk": {"S": "7"}}),
        ({"pk": "S", "sk": "S"}, {"pk": "a", "sk": "x" * 1025}),
    ],
)
def test_an_id_that_no_key_has_is_refused(schema: dict[str, str], record: Any) -> None:
    with pytest.raises(InvalidInputError, match="id"):
        planned(schema, id=record)


def test_a_long_id_is_logged_by_its_hash() -> None:
    made = planned({"pk": "S", "sk": "S"}, id={"pk": "a" * 2000, "sk": "b" * 1000}, enable_logging=True)
    record_id = made.body["TransactItems"][1]["Put"]["Item"]["record_id"]["S"]
    assert record_id.startswith("sha256:")
    assert made.answer["updated_id"].startswith('{"pk":{"S":"aaa')


ITEM = {"key": {"S": "k"}, "name": {"S": "old"}}


def test_a_refusal_tells_no_such_record_from_a_condition_that_did_not_hold() -> None:
    made = planned(condition_expression="a = 1", enable_logging=True)
    with pytest.raises(RecordNotFoundError) as missing:
        plan.refused(made, [FAILED, FINE])
    assert missing.value.details == {"id": "k", "table_name": "Configuration"}
    with pytest.raises(ConditionalCheckFailedError) as unmet:
        plan.refused(made, [{**FAILED, "Item": ITEM}, FINE])
    assert unmet.value.details["condition_expression"] == "a = 1"
    statuses = [answers.failure(error.value, NOW_MS) for error in (missing, unmet)]
    assert [(status, told["error"]) for status, told in statuses] == [
        (404, "RecordNotFoundError"),
        (412, "ConditionalCheckFailed"),
    ]


def test_a_condition_that_the_lost_first_try_may_have_made_untrue_is_not_reported_as_unmet() -> None:
    made = planned(condition_expression="attribute_not_exists(name)")
    # Also where the record has other values: they may have been set after the lost first try.
    for found in ({**ITEM, "name": {"S": "x"}}, ITEM):
        with pytest.raises(DatabaseError, match="not known"):
            plan.refused(made, [{**FAILED, "Item": found}], unanswered=True)
    with pytest.raises(ConditionalCheckFailedError):
        plan.refused(made, [{**FAILED, "Item": {**ITEM, "name": {"S": "x"}}}])


# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html: reasons, part by part.
@pytest.mark.parametrize(
    "why", ["ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict", "NewReason"]
)
@pytest.mark.parametrize("found", [{"Item": ITEM}, {}], ids=["condition", "no record"])
@pytest.mark.parametrize("place", ["request", "log"])
def test_a_repeat_is_not_refused_while_nobody_knows_whether_the_request_succeeded(
    why: str, found: dict[str, Any], place: str
) -> None:
    made = planned(condition_expression="attribute_not_exists(name)", request_id="r", enable_logging=True)
    reasons = [
        {**FAILED, **found} if step == "update" else {"Code": why if step == place else "None"} for step in made.steps
    ]
    for unanswered in (False, True):
        with pytest.raises(StoreUnavailableError, match=why) as caught:
            plan.refused(made, reasons, unanswered=unanswered)
        assert caught.value.in_doubt == unanswered
    # The row was looked at, and is not there: the condition was untrue before.
    with pytest.raises((ConditionalCheckFailedError, RecordNotFoundError)):
        plan.refused(made, [FINE, {**FAILED, **found}, FINE])
    # A request without a row to remember it has one truth, whatever became of its log entry.
    plain = planned(condition_expression="attribute_not_exists(name)", enable_logging=True)
    with pytest.raises((ConditionalCheckFailedError, RecordNotFoundError)):
        plan.refused(plain, [{**FAILED, **found}, {"Code": why}])


def test_a_first_answer_is_given_whatever_became_of_the_other_parts() -> None:
    made = planned(request_id="r")
    row = made.body["TransactItems"][0]["Put"]["Item"]
    assert plan.refused(made, [{**FAILED, "Item": row}, {"Code": "TransactionConflict"}]) == made.answer


def test_a_dry_run_with_a_request_id_says_what_became_of_its_condition() -> None:
    made = planned(condition_expression="a = 1", request_id="r")
    for found, error in (({"Item": ITEM}, ConditionalCheckFailedError), ({}, RecordNotFoundError)):
        with pytest.raises(error):
            plan.refused(made, [{**FAILED, **found}], steps=plan.DRY_RUN_STEPS)


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ([TOO_LARGE, FINE], ValidationError),
        ([FINE, {"Code": "ItemCollectionSizeLimitExceeded"}], ValidationError),
        ([{"Code": "TransactionConflict"}, FINE], DatabaseError),
        ([FINE, {"Code": "ThrottlingError"}], DatabaseError),
        ([{**FAILED, "Item": ITEM}, FINE], DatabaseError),
        ([], DatabaseError),
    ],
)
def test_other_refusals(reasons: list[dict[str, Any]], error: type[Exception]) -> None:
    with pytest.raises(error):
        plan.refused(planned(enable_logging=True), reasons)


def test_no_internals_in_a_database_error() -> None:
    for error in (ValueError("secret"), StoreUnavailableError("UpdateItem: InternalServerError (HTTP 500): secret")):
        status, told = answers.failure(error, NOW_MS)
        assert (status, told["error"], told["details"]) == (500, "DatabaseError", {})
        assert "secret" not in json.dumps(told)
    doubtful = StoreUnavailableError("secret")
    doubtful.in_doubt = True
    assert answers.failure(doubtful, NOW_MS)[1]["details"] == {"outcome": "unknown"}


def test_what_the_database_cannot_store_is_a_validation_error() -> None:
    error = RecordRejectedError("UpdateItem: ValidationException (HTTP 400): Item size to update has exceeded")
    status, told = answers.failure(error, NOW_MS)
    assert (status, told["error"]) == (400, "ValidationError")
    assert told["details"] == {"reason": "Item size to update has exceeded"}
    unexplained = RecordRejectedError("UpdateItem: ValidationException (HTTP 400)")
    assert answers.failure(unexplained, NOW_MS)[1]["error"] == "ValidationError"


def test_a_failed_attempt_is_logged_where_logging_is_on() -> None:
    made = planned(enable_logging=True, caller=Caller(ARN))
    entry = log.failed_entry(
        document(),
        SETTINGS,
        Caller(ARN),
        "RecordNotFoundError",
        NOW_MS,
        LOG_ID,
        planned=(made.request, made.record_id),
        rules=(),
    )
    assert entry == {**made.body["TransactItems"][1]["Put"]["Item"], "status": {"S": "RecordNotFoundError"}}
    unlogged = (planned().request, "k")
    failed = log.failed_entry(document(), LOGGED, Caller(), "DatabaseError", NOW_MS, LOG_ID, planned=unlogged, rules=())
    assert failed is None
    assert log.failed_entry(document(), SETTINGS, Caller(), "InvalidInputError", NOW_MS, LOG_ID, rules=()) is None


def test_of_a_wrong_document_is_logged_what_can_be_stored() -> None:
    wrong = {"id": 7, "attributes": {"a": 1, "b": {"SS": []}, "": 2}, "user_agent": 5, "enable_logging": True}
    entry = log.failed_entry(wrong, SETTINGS, Caller(), "InvalidInputError", NOW_MS, LOG_ID, rules=())
    assert entry is not None
    assert entry["updated_attributes"] == {"M": {"a": {"N": "1"}}}
    assert (entry["record_id"], entry["user_agent"]) == ({"S": "7"}, {"S": "lambda-function"})
    entry = log.failed_entry({}, LOGGED, Caller(), "InvalidInputError", NOW_MS, LOG_ID, rules=())
    assert entry is not None
    assert "record_id" not in entry


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = "id attributes enable_logging table_name request_id condition_expression user_agent condition_values reason"
FIELDS = st.sampled_from([*NAMES.split(), "condition_names"])


def refusal_of(found: Any, schema: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
    """Return how a document is refused, None where it is not; an unforeseen kind of error fails the test."""
    try:
        plan.plan(read_request(found, LOGGED), schema, LOGGED, Caller(), NOW_MS, LOG_ID, secret=SECRET, rules=())
    except (InvalidInputError, ValidationError) as error:
        return answers.failure(error, NOW_MS)
    return None


@given(JSON | st.dictionaries(FIELDS, JSON), st.sampled_from([ONE_KEY, COMPOSITE, {"b": "B"}, {"n": "N"}]))
def test_no_document_is_an_internal_error(found: Any, schema: dict[str, str]) -> None:
    refusal = refusal_of(found, schema)
    if refusal:
        status, told = refusal
        assert (status, told["success"]) == (400, False)
        entry = log.failed_entry(found, LOGGED, Caller(), told["error"], NOW_MS, LOG_ID, rules=())
        assert json.dumps([told, entry], ensure_ascii=False).encode()


@given(strategies.attributes)
def test_whatever_is_set_reaches_dynamodb_as_values_only(attributes: dict[str, Any]) -> None:
    from weaudit.items.plain import plain

    try:
        made = planned(attributes={name: plain(value) for name, value in attributes.items()}, settings=LOGGED)
    except (InvalidInputError, ValidationError):
        return
    assert set(made.update["UpdateExpression"]) <= set("SET #:=,0123456789")
    assert made.update["ConditionExpression"] == "attribute_exists(#k)"


def test_a_dry_run_checks_and_writes_nothing() -> None:
    made = planned(condition_expression="name = 'old'", enable_logging=True, request_id="r")
    assert plan.dry_run(made) == {
        "TransactItems": [
            {
                "ConditionCheck": {
                    "TableName": "Configuration",
                    "Key": {"key": {"S": "k"}},
                    "ConditionExpression": "attribute_exists(#k) AND (#c0=:c0)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    "ExpressionAttributeNames": {"#k": "key", "#c0": "name"},
                    "ExpressionAttributeValues": {":c0": {"S": "old"}},
                }
            }
        ]
    }
