"""The bucket of renditions, and of the pipelines that were in force."""

from __future__ import annotations

from weaudit.errors import StoreRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.aws.client import S3


class RenditionsBucket:
    """Keeps objects under keys that are derived from what they are made of: putting one again changes nothing."""

    def __init__(self, s3: S3, name: str) -> None:
        self._s3 = s3
        self.name = name

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Keep an object; when this returns it is stored. Raises StoreError."""
        if not self.name:
            raise StoreRefusedError("no bucket for renditions is configured: set RENDITIONS_BUCKET")
        self._s3.put_object(self.name, key, body, content_type)

    def get(self, key: str) -> bytes | None:
        """Return an object, or None where there is none, or one that was archived. Raises StoreError."""
        if not self.name:
            return None
        try:
            return self._s3.get_object(self.name, key)
        except StoreRefusedError as error:
            if error.aws_code not in ("NoSuchKey", "InvalidObjectState"):
                raise
            return None

    def remove(self, prefix: str, before: str = "") -> None:
        """Remove the objects whose keys have this prefix and, where it is given, sort before ``before``.

        When this returns they are gone. A crash leaves some of them, which the next call removes. Raises StoreError.
        """
        if not self.name:
            return
        after = ""
        while True:
            page = self._s3.list_objects(self.name, prefix=prefix, after=after)
            keys = [found["Key"] for found in page.objects if not before or found["Key"] < before]
            for key in keys:
                self._s3.delete_object(self.name, key)
            if not page.truncated or len(keys) < len(page.objects):
                return
            after = keys[-1]
