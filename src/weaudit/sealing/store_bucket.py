"""The ledger's bucket, as its one writer sees it: nothing is overwritten but ``checkpoint``, which is a hint."""

from __future__ import annotations

import time

from weaudit.aws.client import S3
from weaudit.errors import StoreRefusedError
from weaudit.items.times import iso_time
from weaudit.ledger.checkpoints import ARCHIVE, CHECKPOINT, archived
from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KIND = "application/octet-stream"
_DAY_MS = 86_400_000
_MISSING = ("NoSuchKey", "NoSuchVersion", "MethodNotAllowed")


def commit_path(before: int) -> str:
    """Return the path of the commit of a log that had this many entries."""
    return f"commits/{before:020d}"


class LedgerBucket:
    """Reads and puts objects. ``lock_days`` is how long full tiles, bundles and checkpoints are locked; 0: not at all.

    ``clock`` returns seconds since 1970. Every method raises StoreError.
    """

    def __init__(
        self, s3: S3, name: str, *, lock_days: int = 0, lock_mode: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self._s3 = s3
        self._name = name
        self._lock_days = lock_days
        self._lock_mode = lock_mode
        self._clock = clock

    def get(self, path: str) -> bytes | None:
        """Return the object at a path, or None if there is none."""
        found = self.read(path)
        return None if found is None else found[0]

    def read(self, path: str) -> tuple[bytes, str] | None:
        """Return the object at a path and its ETag, or None if there is none."""
        try:
            answer = self._s3.read_object(self._name, path)
        except StoreRefusedError as error:
            if error.aws_code in _MISSING:
                return None
            raise
        return answer.body, answer.headers.get("etag", "").strip('"')

    def put_new(self, path: str, body: bytes, *, locked: bool = False) -> bool:
        """Put an object that has one content for ever; return whether it was not there yet.

        Raises LedgerError if there is another.
        """
        mode, until = "", ""
        if locked and self._lock_days:
            mode = self._lock_mode
            until = iso_time(round(self._clock() * 1000) + self._lock_days * _DAY_MS)
        if self._s3.put_new(self._name, path, body, _KIND, lock_mode=mode, locked_until=until):
            return True
        if self.get(path) != body:
            raise LedgerError(f"{path} is there with another content")
        return False

    def put_over(self, path: str, body: bytes, etag: str) -> None:
        """Put an object in place of the one with this ETag."""
        self._s3.replace(self._name, path, body, _KIND, etag=etag)

    def put_hint(self, body: bytes) -> None:
        """Put the newest checkpoint where readers begin."""
        self._s3.put_object(self._name, CHECKPOINT, body, _KIND)

    def archived_after(self, size: int) -> Iterator[bytes]:
        """Yield every version of every checkpoint that was archived of a larger size, hidden ones as well."""
        markers: tuple[str, str] | None = (archived(size), "")
        while markers is not None:
            key, version = markers
            page = self._s3.list_versions(self._name, prefix=ARCHIVE, key_marker=key, version_marker=version)
            for found in page.versions:
                yield self._s3.read_object(self._name, found["Key"], version=found["VersionId"]).body
            markers = page.next_markers
