"""The objects of the trigger bucket, read while they are still what an event told of."""

from __future__ import annotations

from weaudit.errors import StoreRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from weaudit.adapters.aws import S3

# Whole photographs for the web, and enough to tell what kind of file a larger one is.
FIRST_BYTES = 1024 * 1024
# Replaced by a later one; deleted; shorter than it was.
_CHANGED = frozenset(("PreconditionFailed", "NoSuchKey", "InvalidRange"))


class SourceObject:
    """An object, or the beginning of one: ``content`` is all of it where it has ``bytes`` bytes.

    ``encoding`` is its Content-Encoding: what the uploader says, which S3 keeps and does not look at.
    """

    __slots__ = ("bytes", "content", "content_type", "encoding", "etag", "version_id")

    def __init__(self, content: bytes, total: int, headers: dict[str, str]) -> None:
        self.content = content
        self.bytes = total
        self.etag = headers.get("etag", "").strip('"')
        self.content_type = headers.get("content-type", "")
        self.encoding = headers.get("content-encoding", "")
        self.version_id = headers.get("x-amz-version-id", "")


class SourceObjects:
    """Reads objects in two steps, so that what is no image, or too large for one, is never read whole."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3

    def begin(self, bucket: str, key: str, etag: str) -> SourceObject | None:
        """Return the object's beginning, or None where the object has another ETag by now, or is gone.

        ``etag`` "" takes the object as it is. Raises StoreError.
        """
        try:
            answer = self._s3.read_object(bucket, key, etag=etag, span=f"0-{FIRST_BYTES - 1}")
        except StoreRefusedError as error:
            if error.aws_code == "InvalidRange":  # an empty object has no first byte
                return self._empty(bucket, key, etag)
            if error.aws_code not in _CHANGED:
                raise
            return None
        total = answer.headers.get("content-range", "").rpartition("/")[2]
        size = int(total) if total.isdecimal() and len(total) < 20 else len(answer.body)
        return SourceObject(answer.body, size, answer.headers)

    def _empty(self, bucket: str, key: str, etag: str) -> SourceObject | None:
        try:
            answer = self._s3.read_object(bucket, key, etag=etag)
        except StoreRefusedError as error:
            if error.aws_code not in _CHANGED:
                raise
            return None
        return SourceObject(answer.body, len(answer.body), answer.headers)

    def complete(self, bucket: str, key: str, begun: SourceObject) -> bytes | None:
        """Return the whole object that was begun, or None where it has been replaced or deleted meanwhile."""
        if len(begun.content) >= begun.bytes:
            return begun.content
        try:
            answer = self._s3.read_object(bucket, key, etag=begun.etag, span=f"{len(begun.content)}-")
        except StoreRefusedError as error:
            if error.aws_code not in _CHANGED:
                raise
            return None
        return begun.content + answer.body
