"""The functions' lean AWS client: DynamoDB and S3 over the standard library. Nothing else in a function talks to AWS.

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
from weaudit.errors import RecordRejectedError, StoreError
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
        endpoint = self._connection.endpoint
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        address = (endpoint.host, endpoint.path + "/")
        try:
            call = Call(operation, "POST", address, headers, _encoded(operation, body), _explain_json)
            self._connection.begin(call)
        except StoreError as error:
            return Pending(self._connection, None, error)
        return Pending(self._connection, call, None)


class S3:
    """A client for whole objects of S3, which checks what is put by its SHA-256."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object; when this returns it is stored. Raises StoreError."""
        digest = hashlib.sha256(body)
        # Buckets with Object Lock require such a header, and S3 keeps the hash with the object.
        checksum = base64.b64encode(digest.digest()).decode()
        headers = {"Content-Type": content_type, "X-Amz-Checksum-Sha256": checksum}
        address = endpoints.object_address(self._connection.endpoint, bucket, key)
        self._connection.send(Call("PutObject", "PUT", address, headers, body, _explain_xml, digest.hexdigest()))

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object; a missing object is no error. Raises StoreError."""
        address = endpoints.object_address(self._connection.endpoint, bucket, key)
        self._connection.send(Call("DeleteObject", "DELETE", address, {}, b"", _explain_xml))

    def get_object(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes. Raises StoreError: StoreRefusedError with ``NoSuchKey`` if there is none."""
        return self.read_object(bucket, key).body

    def read_object(self, bucket: str, key: str, *, etag: str = "", span: str = "") -> Answer:
        """Return the response to GetObject, with its headers. Raises StoreError.

        With ``etag`` (without quotes), an object with another ETag raises StoreRefusedError, ``PreconditionFailed``.
        ``span``, such as ``0-1023`` or ``1024-``, reads only these bytes; Content-Range then says how many there are.
        """
        headers = {"If-Match": f'"{etag}"'} if etag else {}
        if span:
            headers["Range"] = f"bytes={span}"
        address = endpoints.object_address(self._connection.endpoint, bucket, key)
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
        # XML cannot hold some characters that a key may have, so keys come percent-encoded.
        query = {"list-type": "2", "encoding-type": "url", **{name: value for name, value in options.items() if value}}
        host, path = endpoints.object_address(self._connection.endpoint, bucket, "")
        address = (host, f"{path}?{query_text(query)}")
        answer = self._connection.send(Call("ListObjectsV2", "GET", address, {}, b"", _explain_listing))
        return listing(answer.body.decode())

    def link(self, bucket: str, key: str, seconds: int) -> str:
        """Return a URL with which anyone can read an object during the next ``seconds``; makes no request."""
        return self._connection.link(endpoints.object_address(self._connection.endpoint, bucket, key), seconds)


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
    if answer.status < 300 and not answer.body.rstrip().endswith(b"</ListBucketResult>"):
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
