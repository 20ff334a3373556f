"""The evidence bucket: values too large for a record, and records that could not be processed."""

from weaudit.aws.client import S3
from weaudit.errors import StoreRefusedError


class EvidenceBucket:
    """Keeps objects under keys that are derived from their content: putting one again changes nothing."""

    def __init__(self, s3: S3, name: str) -> None:
        self._s3 = s3
        self.name = name

    def put(self, key: str, body: bytes) -> None:
        """Keep a JSON document; when this returns it is stored. Raises StoreError."""
        if not self.name:
            raise StoreRefusedError("no evidence bucket is configured: set EVIDENCE_BUCKET")
        self._s3.put_object(self.name, key, body, "application/json")

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return a spilled value's object; None where there is none, or none that may be read. Raises StoreError.

        Whatever a record says, nothing but spilled values of this very bucket is read.
        """
        if bucket != self.name or not key.startswith("spill/"):
            return None
        try:
            return self._s3.get_object(bucket, key)
        except StoreRefusedError as error:
            # To whom may not list the bucket, S3 says that an object is denied which is not there. One that a rule of
            # the bucket has archived must not keep all else of a trail from who reads it.
            if error.aws_code in ("NoSuchKey", "AccessDenied", "InvalidObjectState"):
                return None
            raise
