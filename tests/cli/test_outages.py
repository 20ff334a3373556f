"""An outage ends a command with exit code 3, whatever the service calls it; a mistake of its user with 2, a no with 1.

The commands are real, and so is boto3: a server on 127.0.0.1 answers as each service of AWS documents its errors.
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.exceptions
import pytest
from botocore.exceptions import ClientError
from botocore.retries import standard
from typer.testing import CliRunner, Result

from tests.aws.scripted_server import Request, ScriptedServer, Step, answer, hang_up, refusal, serving
from weaudit.cli.main import app
from weaudit.cli.printing import output
from weaudit.deploy import change_sets
from weaudit.deploy.destroying import Destroying
from weaudit.doctor import gathering
from weaudit.errors import DeployError, StoreRefusedError, StoreUnavailableError
from weaudit.installation import boto_errors
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target

KEYS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "wJalr"}
_OUTPUTS = {
    "BucketName": "trigger",
    "EvidenceBucketName": "evidence",
    "ConfigurationTableName": "Configuration",
    "AuditTableName": "Audit",
    "AuditLogsTableName": "audit_logs",
    **dict.fromkeys(
        ("AuditProducerAliasArn", "TableUpdateAliasArn", "LambdaFunctionAliasArn", "ImageProcessorAliasArn"),
        "arn:aws:lambda:eu-west-1:123456789012:function:f:live",
    ),
}


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    """Keep the SDK's five tries, and leave out its waits between them."""
    with mock.patch.object(standard.ExponentialBackoff, "delay_amount", return_value=0):
        yield


def xml(code: str, status: int) -> Step:
    """Refuse as S3 does, and, within one more element, CloudFormation and STS."""
    error = f"<Error><Code>{code}</Code><Message>Rate exceeded</Message></Error>"
    return answer(status, f"<ErrorResponse>{error}</ErrorResponse>".encode(), headers={"Content-Type": "text/xml"})


def s3(code: str, status: int) -> Step:
    """Refuse as S3 does."""
    return answer(
        status, f"<Error><Code>{code}</Code><Message>Please reduce your request rate</Message></Error>".encode()
    )


def rest(code: str, status: int) -> Step:
    """Refuse as Lambda does: the code is a header."""
    return answer(status, {"message": "Rate Exceeded."}, headers={"x-amzn-ErrorType": code})


def stack(status: str = "CREATE_COMPLETE", outputs: dict[str, str] = _OUTPUTS) -> Step:
    """Answer DescribeStacks with one that has these outputs: by default, every one that commands look for."""
    rows = "".join(
        f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
        for key, value in outputs.items()
    )
    found = (
        f"<member><StackName>weaudit-dev</StackName><StackStatus>{status}</StackStatus><Outputs>{rows}</Outputs>"
        "<CreationTime>2024-01-01T00:00:00Z</CreationTime></member>"
    )
    text = f"<R><DescribeStacksResult><Stacks>{found}</Stacks></DescribeStacksResult></R>"
    return answer(200, text.encode(), headers={"Content-Type": "text/xml"})


def services(**steps: Step) -> Step:
    """Answer by what is asked: an operation's name, or "other"; the stack is there unless said otherwise."""
    known = {"DescribeStacks": stack(), "DescribeTable": refusal("AccessDeniedException"), **steps}

    def step(request: Request, connection: socket.socket, server: ScriptedServer) -> bool:
        told = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if not told and request.body.startswith(b"Action="):
            told = request.body.decode().partition("Action=")[2].partition("&")[0]
        if request.path.endswith("/invocations"):
            told = "Invoke"
        return known.get(told, known.get("other", hang_up))(request, connection, server)

    return step


def run(server: ScriptedServer, *words: str) -> Result:
    result = CliRunner().invoke(app, list(words), env={**KEYS, "AWS_ENDPOINT_URL": server.url})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


THROTTLED: list[tuple[str, int]] = [
    # DynamoDB, CloudFormation and STS, S3, Lambda, API Gateway, SQS, SNS and KMS, EC2; what a proxy answers
    ("ProvisionedThroughputExceededException", 400),
    ("ThrottlingException", 400),
    ("RequestLimitExceeded", 400),
    ("TransactionInProgressException", 400),
    ("Throttling", 400),
    ("SlowDown", 503),
    ("RequestTimeout", 400),
    ("TooManyRequestsException", 429),
    ("RequestThrottled", 403),
    ("KMSThrottlingException", 400),
    ("KmsThrottled", 403),
    ("InternalServerError", 500),
    ("ServiceUnavailable", 503),
    ("", 429),
    ("503", 503),
]
REFUSED = [("AccessDeniedException", 400), ("ValidationException", 400), ("NoSuchBucket", 404), ("ExpiredToken", 403)]


def client_error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any")


@pytest.mark.parametrize(("code", "status"), THROTTLED)
def test_every_services_name_for_an_outage_passes(code: str, status: int) -> None:
    assert boto_errors.passes(client_error(code, status))


@pytest.mark.parametrize(("code", "status"), REFUSED)
def test_a_refusal_does_not_pass(code: str, status: int) -> None:
    assert not boto_errors.passes(client_error(code, status))
    assert not boto_errors.passes(ValueError())


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (refusal("ProvisionedThroughputExceededException"), 3),
        (refusal("ThrottlingException"), 3),
        (refusal("RequestLimitExceeded"), 3),
        (refusal("InternalServerError", status=500), 3),
        (hang_up, 3),
        (refusal("AccessDeniedException"), 1),
        (refusal("ResourceNotFoundException"), 1),
    ],
)
def test_reading_the_trail(step: Step, code: int) -> None:
    with serving(services(Query=step)) as server:
        found = run(server, "changes", "--since", "1h")
    assert (found.exit_code, found.stdout) == (code, "")
    assert found.stderr.startswith("Error: ")


@pytest.mark.parametrize(
    "words", [("history", "k"), ("audit-log", "k"), ("put", __file__), ("call", "GET", "/v1/health")]
)
@pytest.mark.parametrize(("error", "code"), [("Throttling", 3), ("AccessDenied", 1)])
def test_finding_the_stack(words: tuple[str, ...], error: str, code: int) -> None:
    with serving(services(DescribeStacks=xml(error, 400), Query=refusal(f"{error}Exception"))) as server:
        found = run(server, *words)
    assert (found.exit_code, found.stdout) == (code, "")


@pytest.mark.parametrize("words", [("objects",), ("images",), ("quarantine",), ("watched",), ("update", "k", "n=1")])
@pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_a_stack_that_was_never_deployed_whole_is_called_so(words: tuple[str, ...], status: str) -> None:
    with serving(services(DescribeStacks=stack(status, {}))) as server:
        found = run(server, *words)
    assert (found.exit_code, found.stdout) == (1, "")
    assert f" is {status}: it was never deployed completely" in found.stderr


INVALID = {"success": False, "error": "InvalidInputError", "message": "limit", "details": {}, "timestamp": "…"}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (answer(429, {"message": "Too Many Requests"}), 3),
        (answer(503, {"message": "Service Unavailable"}), 3),
        (answer(500, {**INVALID, "error": "DatabaseError"}), 3),
        (answer(504, {"message": "Endpoint request timed out"}), 3),
        (rest("TooManyRequestsException", 429), 3),
        (rest("ThrottlingException:http://internal.amazon.com/coral/", 400), 3),
        (refusal("ThrottlingException"), 3),
        (hang_up, 3),
        (answer(400, INVALID), 2),
        (answer(400, {"message": "Bad Request"}), 2),
        (answer(400, b"<html>"), 2),
        (answer(400, b"[" * 100_000), 2),
        (answer(400, ["ThrottlingException"]), 2),
        (answer(403, {"message": "Forbidden"}), 1),
        (answer(404, {**INVALID, "error": "RecordNotFoundError"}), 1),
        (answer(412, {**INVALID, "error": "ConditionalCheckFailed"}), 1),
    ],
)
def test_calling_the_api(step: Step, code: int) -> None:
    with serving(step) as server:
        found = run(server, "call", "GET", "/v1/health", "--url", server.url, "--unsigned")
    assert found.exit_code == code


def invoked(payload: Any, error: str = "") -> Step:
    """Answer an invocation."""
    return answer(200, payload, headers={"X-Amz-Function-Error": error} if error else {})


def answered(error: str) -> Step:
    document = {"success": False, "error": error}
    return invoked({"statusCode": 0, "body": json.dumps(document)})


RAISED = {"errorType": "StoreUnavailableError", "errorMessage": "PutItem: throttled"}
TIMED_OUT = {"errorMessage": "2024-01-01T00:00:00.000Z 7d3c Task timed out after 10.01 seconds"}
BROKEN = {"errorType": "Runtime.ImportModuleError", "errorMessage": "no module"}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (rest("TooManyRequestsException", 429), 3),
        (rest("ServiceException", 500), 3),
        (rest("AccessDeniedException", 403), 1),
        (answered("DatabaseError"), 3),
        (answered("InvalidInputError"), 2),
        (answered("ValidationError"), 2),
        (answered("RecordNotFoundError"), 1),
        (answered("ConditionalCheckFailed"), 1),
        (invoked(RAISED, "Unhandled"), 3),
        (invoked(TIMED_OUT, "Unhandled"), 3),
        (invoked(BROKEN, "Unhandled"), 1),
        (invoked(None), 1),
    ],
)
def test_updating(step: Step, code: int) -> None:
    with serving(services(Invoke=step)) as server:
        assert run(server, "update", "k", "n=1", "--user-agent", "test").exit_code == code


@pytest.mark.parametrize(
    ("reason", "code"), [("ThrottlingError", 3), ("TransactionConflict", 3), ("ValidationError", 2)]
)
def test_trying_an_update(reason: str, code: int) -> None:
    cancelled = {"__type": "TransactionCanceledException", "CancellationReasons": [{"Code": reason}]}
    schema = {
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
    }
    known = {
        "DescribeTable": answer(200, {"Table": schema}),
        "TransactWriteItems": answer(400, cancelled),
        "other": answer(200, {"Environment": {"Variables": {"TABLE_NAME": "Configuration"}}}),
    }
    with serving(services(**known)) as server:
        assert run(server, "update", "k", "n=1", "--dry-run").exit_code == code


@pytest.mark.parametrize(("payload", "code"), [(RAISED, 3), (BROKEN, 1)])
def test_taking_a_record_out_of_quarantine(payload: Any, code: int) -> None:
    kept = answer(200, {"function": "audit_producer", "record": {}})
    with serving(services(Invoke=invoked(payload, "Unhandled"), other=kept)) as server:
        assert run(server, "quarantine", "replay", "raw/quarantine/audit_producer/x.json").exit_code == code


@pytest.mark.parametrize(
    ("step", "code"),
    [(s3("SlowDown", 503), 3), (s3("RequestTimeout", 400), 3), (hang_up, 3), (s3("AccessDenied", 403), 1)],
)
def test_uploading(step: Step, code: int, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with serving(services(other=step)) as server:
        found = run(server, "put", str(tmp_path / "a.txt"))
        assert found.exit_code == code
        # Something else was wrong as well, which no later try mends.
        assert run(server, "put", str(tmp_path / "a.txt"), str(tmp_path / "none")).exit_code == 1


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_keys")
def test_a_throttled_change_set_is_not_called_refused() -> None:
    parts: dict[str, Any] = {"creates": True, "template": {"TemplateBody": "{}"}, "parameters": [], "tags": {}}
    planned = change_sets.ChangeSet("id", "s", (), True)
    with serving(xml("Throttling", 400)) as server:
        client = Target("eu-west-1", server.url).client("cloudformation")
        with pytest.raises(ClientError, match="Throttling"):
            change_sets.create(client, "s", **parts)
        with pytest.raises(ClientError, match="Throttling"):
            change_sets.execute(client, planned)
        with pytest.raises(ClientError, match="Throttling"):
            change_sets.discard(client, planned)
    with serving(xml("ValidationError", 400)) as server:
        client = Target("eu-west-1", server.url).client("cloudformation")
        with pytest.raises(DeployError, match="refused"):
            change_sets.create(client, "s", **parts)
        with pytest.raises(DeployError, match="refused"):
            change_sets.execute(client, planned)


@pytest.mark.usefixtures("_keys")
def test_an_empty_stack_is_looked_for_until_it_is_known() -> None:
    planned = change_sets.ChangeSet("id", "s", (), True)
    gone = answer(200, b"<R><DeleteChangeSetResult/></R>", headers={"Content-Type": "text/xml"})
    for found, raised in ((xml("Throttling", 400), True), (xml("ValidationError", 400), False)):
        with serving(services(DeleteChangeSet=gone, DescribeStacks=found)) as server:
            client = Target("eu-west-1", server.url).client("cloudformation")
            if raised:
                with pytest.raises(ClientError, match="Throttling"):
                    change_sets.discard(client, planned)
            else:
                change_sets.discard(client, planned)


@pytest.mark.usefixtures("_keys")
def test_a_bucket_that_cannot_be_looked_at_is_not_called_empty() -> None:
    for step, raised in ((s3("SlowDown", 503), True), (s3("AccessDenied", 403), False)):
        with serving(step) as server:
            destroying = Destroying(Target("eu-west-1", server.url), Stage(), lambda _: None)
            if raised:
                with pytest.raises(ClientError, match="SlowDown"):
                    destroying._holds_something("b")
            else:
                assert destroying._holds_something("b") is False


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize(("code", "kind"), [("InternalError", StoreUnavailableError), ("AccessDenied", DeployError)])
def test_objects_that_s3_could_not_delete(code: str, kind: type[Exception]) -> None:
    row = "<Version><Key>k</Key><VersionId>1</VersionId></Version>"
    listed = answer(200, f"<ListVersionsResult><IsTruncated>false</IsTruncated>{row}</ListVersionsResult>".encode())
    error = f"<Error><Key>k</Key><Code>{code}</Code><Message>said</Message></Error>"
    left = answer(200, f"<DeleteResult>{error}</DeleteResult>".encode())
    with serving(listed, left) as server:
        destroying = Destroying(Target("eu-west-1", server.url), Stage(), lambda _: None)
        with pytest.raises(kind, match="b could not be emptied: 'k': said"):
            destroying._empty("b")


def test_doctor_calls_nothing_unreadable_that_was_throttled() -> None:
    def asking(code: str) -> None:
        raise client_error(code, 400)

    unread: dict[str, str] = {}
    with pytest.raises(ClientError):
        gathering._asked(unread, "alarms", lambda: asking("Throttling"), None)
    assert gathering._asked(unread, "alarms", lambda: asking("AccessDenied"), "default") == "default"
    assert unread == {"alarms": "AccessDenied"}


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"AWS_PROFILE": "nobody"}, output.EXIT_USAGE),
        ({"AWS_REGION": ""}, output.EXIT_USAGE),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"}, output.EXIT_UNREACHABLE),
    ],
)
def test_what_the_user_set_wrong_is_no_outage(variables: dict[str, str], code: int, tmp_path: Path) -> None:
    env = {**KEYS, "AWS_EC2_METADATA_DISABLED": "true", "WEAUDIT_STATE_DIR": str(tmp_path), **variables}
    result = CliRunner().invoke(app, ["history", "k"], env=env)
    assert result.exit_code == code, result.stderr
    assert result.stderr.startswith("Error: ")


def test_every_error_of_a_connection_passes_and_none_of_ours() -> None:
    exceptions: Any = botocore.exceptions
    for kind in (exceptions.EndpointConnectionError, exceptions.ReadTimeoutError, exceptions.ConnectionClosedError):
        assert boto_errors.passes(kind(endpoint_url="http://x", error="gone"))
    assert not boto_errors.passes(exceptions.ParamValidationError(report="no"))
    assert isinstance(boto_errors.function_failed(None, "text"), StoreRefusedError)
