"""Cosigns checkpoints of the logs that it knows, those that begin with the one before (docs/witness.md)."""

from __future__ import annotations

import time
from binascii import Error, a2b_base64

from weaudit.aws.client import KMS, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import StoreUnavailableError
from weaudit.ledger import notes, witness
from weaudit.ledger.ed25519 import from_spki
from weaudit.ledger.witness import NOTHING, RefusedError, Seen
from weaudit.runtime import logs as log_lines
from weaudit.witnessing.store import Views

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from weaudit.ledger.notes import Note, VerifierKey
    from weaudit.runtime.event import Invocation

_TRIES = 3
# KMS signs 4,096 bytes, of which the lines before the text take some 40.
_MOST_TEXT_BYTES = 4_000


class Cosigner:
    """The key of the witness, which is read from KMS when it is first needed."""

    def __init__(self, kms: KMS, key_arn: str, name: str, clock: Callable[[], float] = time.time) -> None:
        self._kms = kms
        self._key_arn = key_arn
        self._name = name
        self._clock = clock
        self._key: VerifierKey | None = None

    def key(self) -> VerifierKey:
        """Return the verifier key. Raises StoreError."""
        if self._key is None:
            public_key = from_spki(self._kms.public_key(self._key_arn))
            self._key = notes.VerifierKey(self._name, public_key, notes.COSIGNATURE)
        return self._key

    def line(self, note: Note) -> str:
        """Return the line of a cosignature of a note, as of now. Raises StoreError."""
        found = notes.signed_by(
            self.key(), lambda message: self._kms.sign(self._key_arn, message), note.text, int(self._clock())
        )
        return found.line()


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: VIEWS_TABLE, WITNESS_KEY (an ARN in KMS), WITNESS_NAME, LOG_KEYS (verifier keys of logs)."""
    dynamodb, kms = (Connection.from_environment(service, environment) for service in ("dynamodb", "kms"))
    for connection in (dynamodb, kms):
        connection.deadline_s = 5.0
    return {
        "views": Views(DynamoDB(dynamodb).call, environment.get("VIEWS_TABLE", "")),
        "cosigner": Cosigner(KMS(kms), environment.get("WITNESS_KEY", ""), environment.get("WITNESS_NAME", "")),
        "logs": tuple(map(notes.VerifierKey.read, environment.get("LOG_KEYS", "").split())),
    }


def handle(
    event: Any, invocation: Invocation, *, views: Views, cosigner: Cosigner, logs: tuple[VerifierKey, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the HTTP response to a request to cosign a checkpoint. Raises StoreError."""
    try:
        line = _cosigned(_body(event), views, cosigner, logs, invocation.request_id)
    except RefusedError as error:
        size = error.status == witness.CONFLICT
        body = f"{error.size}\n" if size else f"{error}\n"
        return _response(error.status, body, witness.SIZE_TYPE if size else "text/plain; charset=utf-8")
    return _response(200, line, "text/plain; charset=utf-8")


def _cosigned(body: bytes, views: Views, cosigner: Cosigner, logs: tuple[VerifierKey, ...], request_id: str) -> str:
    request = witness.read(body)
    if len(request.note.text.encode()) > _MOST_TEXT_BYTES:
        raise RefusedError(400, f"this witness cosigns texts of {_MOST_TEXT_BYTES} bytes at most")
    known = any(key.name == request.origin for key in logs)
    for _ in range(_TRIES):
        seen = views.seen(request.origin) if known else NOTHING
        try:
            checkpoint = witness.approved(request, logs, seen)
        except RefusedError as error:
            if error.status == 422:  # the log has signed it: it may be the proof of a second history
                shown = _signed_by_its_log(request.note, request.origin)
                log_lines.write("WARNING", "refused", requestId=request_id, why=str(error), checkpoint=shown)
            raise
        # Remembered before it is signed: a crash between the two costs a request, and never a second history.
        if views.advance(request.origin, seen, Seen(checkpoint.size, checkpoint.root)):
            return cosigner.line(request.note)
    raise StoreUnavailableError("other requests of this log came first")


def _signed_by_its_log(note: Note, origin: str) -> str:
    lines = [signature.line() for signature in note.signatures if signature.name == origin]
    return f"{note.text}\n{''.join(lines)}"


def _body(event: Any) -> bytes:
    """Return the body of a request in the format of function URLs. Raises RefusedError for another request."""
    # https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload
    http = event["requestContext"]["http"]
    if event["rawPath"] != "/add-checkpoint":
        raise RefusedError(404, "there is only /add-checkpoint")
    if http["method"] != "POST":
        raise RefusedError(405, "add-checkpoint takes POST")
    body = event.get("body", "").encode()
    if not event["isBase64Encoded"]:
        return bytes(body)
    try:
        return a2b_base64(body)
    except Error:
        raise RefusedError(400, "the body is not base64") from None


def _response(status: int, body: str, content_type: str) -> tuple[dict[str, Any], dict[str, Any]]:
    headers = {"content-type": content_type, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return {"statusCode": status, "headers": headers, "body": body}, {"status": status, "cosigned": int(status == 200)}
