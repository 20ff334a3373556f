"""The functions' lean AWS client: DynamoDB, its streams, S3 and KMS over the standard library.

Nothing else in a function talks to AWS.

Requests are retried (see connections.py), so an operation called here must be idempotent. Every write of ours is, or
checks ``in_doubt`` of its error.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from urllib.parse import unquote_plus

from weaudit.aws import endpoints
from weaudit.aws.connections import Call
from weaudit.aws.sigv4 import query_text
from weaudit.aws.transport import UnreadableAnswerError
from weaudit.errors import RecordRejectedError, StoreError, StoreRefusedError
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.aws.connections import Connection
    from weaudit.aws.transport import Answer

# A request never contains itself, and checking for that costs a sixth of the encoding.
_encode = json.JSONEncoder(check_circular=False, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html: 16 MB over the network.
_LARGEST_REQUEST_BYTES = 16 * 1024 * 1024


class Pending:
    """A call under way. It is like a future without a thread: ``result`` itself waits for the response."""

    __slots__ = ("_call", "_connection", "_error")

    def __init__(self, connection: Connection, call: Call | None, error: StoreError | None) -> None:
        self._connection = connection
        self._call = call
        self._error = error

    def result(self) -> dict[str, Any]:
        """Return the response; can be called only once. Raises what ``DynamoDB.call`` raises."""
        if self._call is None:
            raise self._error or RuntimeError("result() was called before, or the call was cancelled: call it once")
        call, self._call = self._call, None
        return self._connection.finish(call).document

    def cancel(self) -> None:
        """Drain and discard the response so that the connection can be reused."""
        if self._call is not None:
            self._connection.drop(self._call)
            self._call = None


class DynamoDB:
    """A client for DynamoDB's JSON protocol: DynamoDB JSON in, DynamoDB JSON out, nothing converted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the response to an operation, such as ``BatchWriteItem``, which must be idempotent as called here.

        Raises StoreUnavailableError when no retries are left, StoreRefusedError, RecordRejectedError and
        ConditionNotMetError. The last is ``in_doubt`` if the condition may have met this request's own earlier attempt,
        to which no response arrived.
        """
        return self.begin(operation, body).result()

    def begin(self, operation: str, body: dict[str, Any]) -> Pending:
        """Send a call without waiting for its response; every error is raised by its ``result``.

        Several calls under way share their waits. Threads would do so too, but cost a function a quarter of its CPU.
        """
        try:
            call = _json_call(self._connection, "1.0", "DynamoDB_20120810", operation, body)
            self._connection.begin(call)
        except StoreError as error:
            return Pending(self._connection, None, error)
        return Pending(self._connection, call, None)


class Streams:
    """A client for DynamoDB's streams: JSON in, JSON out, with items in DynamoDB JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the response to an operation, such as ``GetRecords``; each of them only reads.

        Raises StoreUnavailableError when no retries are left, and StoreRefusedError. Its ``aws_code`` is
        ``TrimmedDataAccessException`` if the position asked for is not in the stream any more,
        ``ExpiredIteratorException`` for an iterator older than 15 minutes, and ``ResourceNotFoundException`` if there
        is no such stream.
        """
        return self._connection.send(
            _json_call(self._connection, "1.0", "DynamoDBStreams_20120810", operation, body)
        ).document


class KMS:
    """A client for keys of KMS that sign by Ed25519; ``key`` is an id, an ARN, or the name or ARN of an alias."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sign(self, key: str, message: bytes) -> bytes:
        """Return the 64 bytes of a key's signature (RFC 8032) of a message of at most 4,096 bytes. Raises StoreError.

        The signature of a message is always the same one, so a retry changes nothing.
        """
        body = {
            "KeyId": key,
            "Message": base64.b64encode(message).decode(),
            "MessageType": "RAW",
            "SigningAlgorithm": "ED25519_SHA_512",
        }
        return base64.b64decode(self._call("Sign", body)["Signature"])

    def public_key(self, key: str) -> bytes:
        """Return a key's public part: a SubjectPublicKeyInfo in DER, of whatever type the key is. Raises StoreError."""
        return base64.b64decode(self._call("GetPublicKey", {"KeyId": key})["PublicKey"])

    def _call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._connection.send(_json_call(self._connection, "1.1", "TrentService", operation, body)).document


class S3:
    """A client for whole objects of S3, which checks what is put by its SHA-256."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object; when this returns it is stored. Raises StoreError."""
        self._put(bucket, key, body, {"Content-Type": content_type})

    def put_new(
        self, bucket: str, key: str, body: bytes, content_type: str, *, lock_mode: str = "", locked_until: str = ""
    ) -> bool:
        """Store an object unless the key has one; return True if this call stored it, and False if there is one.

        False does not say whose object it is: it may be this call's own, stored by an attempt whose response was lost.
        Read it back and compare the bytes. A key whose latest version is a delete marker has no object.

        With ``lock_mode`` (``GOVERNANCE`` or ``COMPLIANCE``) the version is locked until ``locked_until``, such as
        ``2024-01-01T00:00:00Z``. Only a bucket with Object Lock takes it.

        Raises StoreUnavailableError when no retries are left. If it is ``in_doubt``, nothing is known: a response was
        lost, or S3 reported another write of the same key under way (409). Read the key, or call this again. If it is
        not, nothing was stored. Raises StoreRefusedError if S3 refused the request, for which nothing was stored
        either unless it is ``in_doubt``.
        """
        headers = {"Content-Type": content_type, "If-None-Match": "*"}
        if lock_mode:
            headers |= {"X-Amz-Object-Lock-Mode": lock_mode, "X-Amz-Object-Lock-Retain-Until-Date": locked_until}
        return self._put_if(bucket, key, body, headers)

    def replace(self, bucket: str, key: str, body: bytes, content_type: str, *, etag: str) -> bool:
        """Store an object over the one with this ETag (without quotes); return False if there is not that one any more.

        As with ``put_new``, what replaced it may be this call's own object: read it back. Errors are those of
        ``put_new`` as well.
        """
        return self._put_if(bucket, key, body, {"Content-Type": content_type, "If-Match": f'"{etag}"'})

    def _put_if(self, bucket: str, key: str, body: bytes, headers: dict[str, str]) -> bool:
        try:
            self._put(bucket, key, body, headers)
        except StoreRefusedError as error:
            # A missing object is no match for an ETag, and S3 says so in another way.
            if error.aws_code in ("PreconditionFailed", "NoSuchKey"):
                return False
            raise
        return True

    def _put(self, bucket: str, key: str, body: bytes, headers: dict[str, str]) -> None:
        digest = hashlib.sha256(body)
        # S3 keeps the hash with the object. It requires the second header for an object that Object Lock protects.
        checksum = base64.b64encode(digest.digest()).decode()
        headers = {**headers, "X-Amz-Checksum-Sha256": checksum, "X-Amz-Sdk-Checksum-Algorithm": "SHA256"}
        address = endpoints.object_address(self._connection.endpoint, bucket, key)
        self._connection.send(Call("PutObject", "PUT", address, headers, body, _explain_xml, digest.hexdigest()))

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object; a missing object is no error. Raises StoreError."""
        address = endpoints.object_address(self._connection.endpoint, bucket, key)
        self._connection.send(Call("DeleteObject", "DELETE", address, {}, b"", _explain_xml))

    def get_object(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes. Raises StoreError: StoreRefusedError with ``NoSuchKey`` if there is none."""
        return self.read_object(bucket, key).body

    def get_or_none(self, bucket: str, key: str) -> bytes | None:
        """Return an object's bytes, or None if there is none. Raises StoreError.

        A caller that may not list the bucket gets StoreRefusedError, ``AccessDenied``, for a missing object.
        """
        try:
            return self.get_object(bucket, key)
        except StoreRefusedError as error:
            if error.aws_code == "NoSuchKey":
                return None
            raise

    def read_object(self, bucket: str, key: str, *, etag: str = "", span: str = "", version: str = "") -> Answer:
        """Return the response to GetObject, with its headers, of the newest or this ``version``. Raises StoreError.

        With ``etag`` (without quotes), an object with another ETag raises StoreRefusedError, ``PreconditionFailed``.
        ``span``, such as ``0-1023`` or ``1024-``, reads only these bytes; Content-Range then says how many there are.
        """
        headers = {"If-Match": f'"{etag}"'} if etag else {}
        if span:
            headers["Range"] = f"bytes={span}"
        host, path = endpoints.object_address(self._connection.endpoint, bucket, key)
        address = (host, f"{path}?{query_text({'versionId': version})}" if version else path)
        return self._connection.send(Call("GetObject", "GET", address, headers, b"", _explain_object))

    def head_object(self, bucket: str, key: str) -> Answer:
        """Return the response to HeadObject: the headers of an object, even of an archived one. Raises StoreError.

        The error has a status and no code, because the response to HEAD has no body to hold one.
        """
        address = endpoints.object_address(self._connection.endpoint, bucket, key)
        return self._connection.send(Call("HeadObject", "HEAD", address, {}, b"", _explain_xml))

    def list_objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", after: str = "", limit: int = 1000
    ) -> Listing:
        """Return at most ``limit`` (1 to 1,000) objects and groups after the key ``after``, in the order of their keys.

        With a delimiter, keys are one group if they are equal up to its first occurrence after the prefix. The group
        that contains ``after`` is returned again. Raises StoreError.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        options = {"prefix": prefix, "delimiter": delimiter, "start-after": after, "max-keys": str(limit)}
        return listing(self._list("ListObjectsV2", bucket, {"list-type": "2"}, options))

    def list_versions(
        self, bucket: str, *, prefix: str = "", key_marker: str = "", version_marker: str = "", limit: int = 1000
    ) -> VersionListing:
        """Return at most ``limit`` (1 to 1,000) versions and delete markers, in the order of their keys, newest first.

        The markers are ``next_markers`` of the page before. Raises StoreError.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        options = {
            "prefix": prefix,
            "key-marker": key_marker,
            "version-id-marker": version_marker,
            "max-keys": str(limit),
        }
        return version_listing(self._list("ListObjectVersions", bucket, {"versions": ""}, options))

    def _list(self, operation: str, bucket: str, what: dict[str, str], options: dict[str, str]) -> str:
        # XML cannot hold some characters that a key may have, so keys come percent-encoded.
        query = {**what, "encoding-type": "url", **{name: value for name, value in options.items() if value}}
        host, path = endpoints.object_address(self._connection.endpoint, bucket, "")
        address = (host, f"{path}?{query_text(query)}")
        return self._connection.send(Call(operation, "GET", address, {}, b"", _explain_listing)).body.decode()

    def link(self, bucket: str, key: str, seconds: int) -> str:
        """Return a URL with which anyone can read an object during the next ``seconds``; makes no request."""
        return self._connection.link(endpoints.object_address(self._connection.endpoint, bucket, key), seconds)


def _json_call(connection: Connection, version: str, target: str, operation: str, body: dict[str, Any]) -> Call:
    """Return a request in AWS's JSON protocol, version 1.0 or 1.1. Raises RecordRejectedError."""
    headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": f"{target}.{operation}"}
    address = (connection.endpoint.host, connection.endpoint.path + "/")
    return Call(operation, "POST", address, headers, _encoded(operation, body), _explain_json)


def _encoded(operation: str, body: dict[str, Any]) -> bytes:
    try:
        data = _encode(body).encode()
    except UnicodeEncodeError:
        raise RecordRejectedError(f"{operation}: a string holds half of a surrogate pair") from None
    if len(data) > _LARGEST_REQUEST_BYTES:
        raise RecordRejectedError(f"{operation}: a request of {len(data)} bytes is over DynamoDB's 16 MB")
    return data


def _explain_json(answer: Answer) -> tuple[str, str]:
    checksum = answer.headers.get("x-amz-crc32")
    if checksum and str(zlib.crc32(answer.body)) != checksum.strip():
        raise UnreadableAnswerError("its checksum does not match")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        if answer.status < 300:
            raise UnreadableAnswerError("its body is not a JSON document")
        document = {}
    answer.document = document
    if answer.status < 300:
        return "", ""
    kind = document.get("__type") or document.get("code") or answer.headers.get("x-amzn-errortype") or ""
    code = str(kind).rpartition("#")[2].partition(":")[0]
    return code, str(document.get("message") or document.get("Message") or "")


def _explain_xml(answer: Answer) -> tuple[str, str]:
    if answer.status < 300:
        return "", ""
    text = answer.body.decode("utf-8", "replace")
    return _element(text, "Code"), _element(text, "Message")


def _explain_object(answer: Answer) -> tuple[str, str]:
    # A proxy may forward a truncated body as if it were whole; without this check the object would look damaged.
    # https://www.rfc-editor.org/rfc/rfc9110#field.content-range: "bytes 0-1023/4096", both ends included.
    span = answer.headers.get("content-range", "").rpartition(" ")[2].partition("/")[0]
    first, _, last = span.partition("-")
    if answer.status == 206 and first.isdecimal() and last.isdecimal() and len(span) < 40:
        expected = int(last) - int(first) + 1
        if len(answer.body) != expected:
            raise UnreadableAnswerError(f"its body has {len(answer.body)} bytes, its Content-Range {expected}")
    return _explain_xml(answer)


def _explain_listing(answer: Answer) -> tuple[str, str]:
    # A connection that is lost within a chunked body may look like the end of the body.
    if answer.status < 300 and not answer.body.rstrip().endswith((b"</ListBucketResult>", b"</ListVersionsResult>")):
        raise UnreadableAnswerError("its body is not a listing")
    return _explain_xml(answer)


def _elements(text: str, name: str) -> list[str]:
    return [part.partition(f"</{name}>")[0] for part in text.split(f"<{name}>")[1:]]


def _element(text: str, name: str) -> str:
    found = text.partition(f"<{name}>")[2].partition(f"</{name}>")[0]
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        found = found.replace(entity, character)
    return found


@value
class Listing:
    """A page of a bucket's objects.

    ``objects`` are ``{"Key", "LastModified", "ETag", "Size", "StorageClass"}``, all texts. ``groups`` are the prefixes
    that several keys share.
    """

    objects: list[dict[str, str]]
    groups: list[str]
    truncated: bool


def listing(text: str) -> Listing:
    """Parse the XML document of a response to ListObjectsV2."""
    decoded = unquote_plus if _element(text, "EncodingType") == "url" else str
    fields = ("Key", "LastModified", "ETag", "Size", "StorageClass")
    objects = [{name: _element(part, name) for name in fields} for part in _elements(text, "Contents")]
    for found in objects:
        found["Key"] = decoded(found["Key"])
    groups = [decoded(_element(part, "Prefix")) for part in _elements(text, "CommonPrefixes")]
    return Listing(objects, groups, truncated=_element(text, "IsTruncated") == "true")


@value
class VersionListing:
    """A page of a bucket's versions.

    ``versions`` are ``{"Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size"}``, all texts, and ``deletions``
    are the delete markers, without the last two. ``next_markers`` are the key and the version that the next page comes
    after, or None if this is the last one.
    """

    versions: list[dict[str, str]]
    deletions: list[dict[str, str]]
    next_markers: tuple[str, str] | None


def version_listing(text: str) -> VersionListing:
    """Parse the XML document of a response to ListObjectVersions."""
    decoded = unquote_plus if _element(text, "EncodingType") == "url" else str
    fields = ("Key", "VersionId", "IsLatest", "LastModified")
    versions, deletions = (
        [{name: _element(part, name) for name in (*fields, *more)} for part in _elements(text, kind)]
        for kind, more in (("Version", ("ETag", "Size")), ("DeleteMarker", ()))
    )
    for found in (*versions, *deletions):
        found["Key"] = decoded(found["Key"])
    markers = (decoded(_element(text, "NextKeyMarker")), _element(text, "NextVersionIdMarker"))
    return VersionListing(versions, deletions, markers if _element(text, "IsTruncated") == "true" else None)
