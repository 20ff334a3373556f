"""The secrets on which the hashes of records depend: the table of keys (docs/formats/audit-record.md, Secrets).

Whoever reads the trail and not this table cannot find a masked value by trying. The two secrets of the installation are
made once, by whoever needs them first, and never change. Those of a subject come in generations, so that one can be
erased and the next be in force.
"""

from __future__ import annotations

import base64
import os
import time

from weaudit.aws.batches import put_absent, read_items
from weaudit.capture.configuration import ALWAYS
from weaudit.capture.rules import Erasure
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.items.hashes import kid
from weaudit.items.secret_rows import SECRET_BYTES, secret_of, secret_row, secret_value
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from weaudit.aws.client import DynamoDB

    Generations = tuple["Generation", ...]

ROOT, ORIGIN = "ROOT", "ORIGIN"

EQUAL = "EQUAL/"
"""What precedes the name of a table in the id of the secret by which its hashed places show that values are equal."""

_TRIES = 5
_SUBJECTS_KEPT = 1000


@value
class Secrets:
    """``root`` hides the values of items, and ``kid`` names it; ``origin`` marks records as ours: 32 bytes, 8, 32."""

    root: bytes
    kid: bytes
    origin: bytes

    @classmethod
    def of(cls, root: bytes, origin: bytes) -> Secrets:
        """Return the secrets, with the name of the root."""
        return cls(root, kid(root), origin)


@value
class Generation:
    """A secret of a subject (32 bytes), which governs changes made from ``since`` on until the next one governs.

    Of an erased one the ``secret`` is gone, b"", and ``erasure`` says who erased it, and when.
    """

    since: str
    secret: bytes
    kid: bytes
    erasure: Erasure | None = None


def generation_at(generations: Generations, at: str) -> Generation:
    """Return the generation that governs a change made at a time, ISO 8601, in UTC: the first one has no beginning."""
    return next((found for found in reversed(generations) if found.since <= at), generations[0])


class SecretTable:
    """Reads the secrets: of the installation once, and of subjects again after ``ttl_s`` seconds.

    A secret that is erased may be used for so long, and no longer. ``clock`` returns seconds since 1970. A clock that
    stands still while Lambda freezes the function would let it use a secret for hours.
    """

    def __init__(
        self, dynamodb: DynamoDB, name: str, *, ttl_s: float = 60.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._ttl_s = ttl_s
        self._clock = clock
        self._known: Secrets | None = None
        self._subjects: dict[str, tuple[Generations, float]] = {}
        self._equal: dict[str, bytes] = {}

    def secrets(self) -> Secrets:
        """Return the secrets; make them if the table has none yet. Raises StoreError."""
        if self._known is None:
            self._known = self._made()
        return self._known

    def _made(self) -> Secrets:
        if not self._name:
            raise StoreRefusedError("no table of keys is configured: set KEYS_TABLE")
        for _ in range(_TRIES):
            found = self.read()
            if found is not None:
                return found
            put_absent(self._dynamodb, self._name, "id", map(_new_row, (ROOT, ORIGIN)))
        raise StoreUnavailableError(f"the table {self._name} does not return the secrets that were put into it")

    def read(self) -> Secrets | None:
        """Return the secrets, or None if they were not made yet. Raises StoreError."""
        keys = [{"id": {"S": name}} for name in (ROOT, ORIGIN)]
        request = {"RequestItems": {self._name: {"Keys": keys, "ConsistentRead": True}}}
        answer = self._dynamodb.call("BatchGetItem", request)
        if answer.get("UnprocessedKeys"):
            raise StoreUnavailableError(f"the table {self._name} is throttled")
        rows = {row["id"]["S"]: row for row in answer["Responses"].get(self._name, [])}
        if rows.keys() != {ROOT, ORIGIN}:
            return None
        return Secrets.of(*(secret_of(rows[name]) for name in (ROOT, ORIGIN)))

    def origin(self) -> bytes:
        """Return the secret ORIGIN alone; make it if need be. Raises StoreError."""
        return secret_of(self._made_rows([ORIGIN], _new_row)[ORIGIN])

    def equal(self, table: str) -> bytes:
        """Return the secret by which the hashed places of a table show equality; make it if need be. Raises StoreError.

        Each table has its own, so that equal values of two tables do not look alike.
        """
        name = EQUAL + table
        if name not in self._equal:
            self._equal[name] = secret_of(self._made_rows([name], _new_row)[name])
        return self._equal[name]

    def equals(self) -> dict[str, bytes]:
        """Return the secrets of all tables by which hashed places show equality, by the id of their rows, sorted.

        Reads the whole table of keys. Raises StoreError.
        """
        request: dict[str, Any] = {
            "TableName": self._name,
            "FilterExpression": "begins_with(id, :equal)",
            "ExpressionAttributeValues": {":equal": {"S": EQUAL}},
            "ConsistentRead": True,
        }
        found: dict[str, bytes] = {}
        while True:
            answer = self._dynamodb.call("Scan", request)
            found |= {row["id"]["S"]: secret_of(row) for row in answer["Items"]}
            if not answer.get("LastEvaluatedKey"):
                return dict(sorted(found.items()))
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def subjects(self, ids: Iterable[str]) -> dict[str, Generations]:
        """Return the generations of these subjects, by id; make the first one of a new subject. Raises StoreError."""
        now, wanted = self._clock(), list(dict.fromkeys(ids))
        if len(self._subjects) > _SUBJECTS_KEPT:
            self._subjects = {}
        due = [one for one in wanted if one not in self._subjects or now - self._subjects[one][1] >= self._ttl_s]
        rows = self._made_rows(due, _new_subject)
        self._subjects |= {one: (_generations(rows[one]), now) for one in due}
        return {one: self._subjects[one][0] for one in wanted}

    def _made_rows(self, ids: list[str], new: Callable[[str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the rows with these ids, by id; ``new`` makes those that are not there yet. Raises StoreError."""
        rows = self._rows(ids)
        missing = [one for one in ids if one not in rows]
        put_absent(self._dynamodb, self._name, "id", map(new, missing))
        rows |= self._rows(missing)
        if len(rows) < len(ids):
            raise StoreUnavailableError(f"the table {self._name} does not return the secrets that were put into it")
        return rows

    def _rows(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        return read_items(self._dynamodb.call, self._name, "id", ids, ConsistentRead=True)


def _new_row(name: str) -> dict[str, Any]:
    return secret_row(name, os.urandom(SECRET_BYTES))


def _new_subject(name: str) -> dict[str, Any]:
    first = {"from": {"S": ALWAYS}, "secret": secret_value(os.urandom(SECRET_BYTES))}
    return {"id": {"S": name}, "generations": {"L": [{"M": first}]}}


def _generations(row: dict[str, Any]) -> Generations:
    """Return the generations of a subject's row, the earliest first. Raises StoreRefusedError if it is not readable."""
    try:
        found = [_generation(part["M"]) for part in row["generations"]["L"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        found = []
    if not found:
        # To leave one out would record changes under the wrong secret.
        raise StoreRefusedError(f"the row {row['id']['S']} of the table of keys does not hold generations of a secret")
    return tuple(sorted(found, key=lambda one: one.since))


def _generation(part: dict[str, Any]) -> Generation:
    since, erased = part["from"]["S"], part.get("erased")
    if erased is not None:
        said = erased["M"]
        return Generation(since, b"", base64.b64decode(said["kid"]["B"]), Erasure(said["by"]["S"], said["at"]["S"]))
    secret = base64.b64decode(part["secret"]["B"])
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret does not have {SECRET_BYTES} bytes")
    return Generation(since, secret, kid(secret))
