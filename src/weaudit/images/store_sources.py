"""The objects of the trigger bucket, read while they are still what an event told of."""

from __future__ import annotations

from weaudit.errors import ImageRejectedError, StoreRefusedError
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from weaudit.aws.transport import Answer

    class Readable(Protocol):
        """S3 as aws.client has it, as far as objects are read."""

        def read_object(self, bucket: str, key: str, *, etag: str = "", span: str = "") -> Answer:
            """Return the answer to GetObject. Raises StoreError."""

        def head_object(self, bucket: str, key: str) -> Answer:
            """Return the answer to HeadObject. Raises StoreError."""


# Whole photographs for the web, and enough to tell what kind of file a larger one is.
FIRST_BYTES = 1024 * 1024
# Replaced by a later one; deleted; shorter than it was.
_CHANGED = frozenset(("PreconditionFailed", "NoSuchKey", "InvalidRange"))
# Refusals that stay, however often S3 is asked: the code of the rejection, and what to do. AccessDenied is not among
# them: a permission can be mended while the event waits. InvalidRequest and InvalidArgument have one cause here,
# because the request is always the same and only SSE-C asks for more.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_SSE_C = "it is encrypted with its uploader's own key (SSE-C), which only the uploader has: upload it without SSE-C"
_KEY = "its KMS key is disabled, deleted or waiting to be deleted: enable the key, then run `weaudit reprocess`"
_REFUSED = {
    "InvalidObjectState": ("Archived", "its storage class is {}: restore it, then run `weaudit reprocess`"),
    "InvalidRequest": ("Unreadable", _SSE_C),
    "InvalidArgument": ("Unreadable", _SSE_C),
    "KMS.DisabledException": ("Unreadable", _KEY),
    "KMS.InvalidKeyUsageException": ("Unreadable", _KEY),
    "KMS.InvalidStateException": ("Unreadable", _KEY),
    "KMS.KMSInvalidStateException": ("Unreadable", _KEY),
    "KMS.NotFoundException": ("Unreadable", _KEY),
    "MethodNotAllowed": ("Unreadable", "S3 does not allow it to be read: upload it again"),
}


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _iso_time(text: str) -> str:
    """Return a time of HTTP (``Wed, 21 Oct 2015 07:28:00 GMT``) in ISO 8601, "" where it is none."""
    parts = text.split(" ")
    if len(parts) != 6 or parts[2] not in _MONTHS:
        return ""
    _weekday, day, month, year, clock, _zone = parts
    return f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{clock}.000Z"


@value
class SourceObject:
    """An object, or the beginning of one: ``content`` is all of it where it has ``bytes`` bytes.

    ``encoding`` is its Content-Encoding: what the uploader says, which S3 keeps and does not look at. ``refusal`` says
    why S3 does not give the content of an object that is there, and never will as it is; then there is no content, and
    what S3 does not say is "" or 0. ``modified`` is when it landed, ISO 8601 in whole seconds.
    """

    content: bytes
    bytes: int
    etag: str
    content_type: str
    encoding: str
    version_id: str
    modified: str
    refusal: ImageRejectedError | None = None


def _object(
    content: bytes, total: int, headers: dict[str, str], refusal: ImageRejectedError | None = None
) -> SourceObject:
    return SourceObject(
        content,
        total,
        etag=headers.get("etag", "").strip('"'),
        content_type=headers.get("content-type", ""),
        encoding=headers.get("content-encoding", ""),
        version_id=headers.get("x-amz-version-id", ""),
        modified=_iso_time(headers.get("last-modified", "")),
        refusal=refusal,
    )


class SourceObjects:
    """Reads objects in two steps, so that what is no image, or too large for one, is never read whole."""

    def __init__(self, s3: Readable) -> None:
        self._s3 = s3

    def look(self, bucket: str, key: str) -> SourceObject | None:
        """Return the object that is there now, without its content, or None where there is none. Raises StoreError."""
        return self.begin(bucket, key, "", first_bytes=1)

    def begin(self, bucket: str, key: str, etag: str, *, first_bytes: int = FIRST_BYTES) -> SourceObject | None:
        """Return the object's beginning, or None where the object has another ETag by now, or is gone.

        ``etag`` "" takes the object as it is. An object whose content S3 refuses for good has its ``refusal``. Raises
        StoreError where a later try may do better.
        """
        try:
            answer = self._s3.read_object(bucket, key, etag=etag, span=f"0-{first_bytes - 1}")
        except StoreRefusedError as error:
            if error.aws_code == "InvalidRange":  # an empty object has no first byte
                return self._empty(bucket, key, etag)
            if error.aws_code in _REFUSED:
                return self._refused(bucket, key, etag, error.aws_code)
            if error.aws_code not in _CHANGED:
                raise
            return None
        total = answer.headers.get("content-range", "").rpartition("/")[2]
        size = int(total) if total.isdecimal() and len(total) < 20 else len(answer.body)
        return _object(answer.body, size, answer.headers)

    def _empty(self, bucket: str, key: str, etag: str) -> SourceObject | None:
        try:
            answer = self._s3.read_object(bucket, key, etag=etag)
        except StoreRefusedError as error:
            if error.aws_code not in _CHANGED:
                raise
            return None
        return _object(answer.body, len(answer.body), answer.headers)

    def _refused(self, bucket: str, key: str, etag: str, aws_code: str) -> SourceObject | None:
        """Return what is known of an object whose content S3 refuses to give, or None where it is another by now."""
        headers: dict[str, str] = {}
        try:
            headers = self._s3.head_object(bucket, key).headers
        except StoreRefusedError as error:
            if error.status == 404:
                return None
            if error.status not in (400, 405):  # as S3 refuses the content itself; it says nothing else then
                raise
        found = headers.get("etag", "").strip('"')
        if etag and found and found != etag:
            return None
        code, reason = _REFUSED[aws_code]
        storage_class = headers.get("x-amz-storage-class", "an archive")
        if "x-amz-archive-status" in headers:  # a tier of INTELLIGENT_TIERING
            storage_class += f" ({headers['x-amz-archive-status']})"
        length = headers.get("content-length", "")
        refusal = ImageRejectedError(code, reason.format(storage_class))
        return _object(b"", int(length) if length.isdecimal() else 0, headers, refusal)

    def complete(self, bucket: str, key: str, begun: SourceObject) -> bytes | None:
        """Return the whole object that was begun, or None where it has been replaced or deleted meanwhile.

        Raises StoreError, and ImageRejectedError where S3 will not give it as it is.
        """
        if len(begun.content) >= begun.bytes:
            return begun.content
        try:
            answer = self._s3.read_object(bucket, key, etag=begun.etag, span=f"{len(begun.content)}-")
        except StoreRefusedError as error:
            if error.aws_code in _REFUSED:  # since its beginning was read
                refused = self._refused(bucket, key, begun.etag, error.aws_code)
                if refused is not None and refused.refusal is not None:
                    raise refused.refusal from error
            elif error.aws_code not in _CHANGED:
                raise
            return None
        return begun.content + answer.body
