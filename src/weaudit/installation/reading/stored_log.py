"""The objects of a ledger, as its bucket has them, or a folder that `weaudit ledger copy` made."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from weaudit.errors import StoreRefusedError
from weaudit.installation import clients
from weaudit.installation.pool import ReadingPool

if TYPE_CHECKING:
    from weaudit.installation.targets import Target

Argument = TypeVar("Argument")
Found = TypeVar("Found")

_THREADS = 16
_AHEAD = 64


@dataclass(frozen=True, slots=True)
class StoredLog:
    """``fetch`` returns the object at a path, or None if there is none; ``listed`` the paths that begin with a prefix.

    Both raise StoreError. Several threads may call them.
    """

    fetch: Callable[[str], bytes | None]
    listed: Callable[[str], Iterable[str]]


def of_bucket(target: "Target", bucket: str) -> StoredLog:
    """Return the log that a bucket holds."""
    s3 = clients.s3(target)

    def fetch(path: str) -> bytes | None:
        try:
            return s3.get_object(bucket, path)
        except StoreRefusedError as error:
            if error.aws_code != "NoSuchKey":
                raise
            return None

    def listed(prefix: str) -> Iterator[str]:
        after, more = "", True
        while more:
            page = s3.list_objects(bucket, prefix=prefix, after=after)
            yield from (found["Key"] for found in page.objects)
            more = page.truncated
            after = page.objects[-1]["Key"] if page.objects else ""

    return StoredLog(fetch, listed)


def of_folder(folder: Path) -> StoredLog:
    """Return the log that a folder holds, each object in the file of its path."""

    def fetch(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreRefusedError(f"{folder / path} cannot be read: {error}") from error

    def listed(prefix: str) -> list[str]:
        return [found.relative_to(folder).as_posix() for found in (folder / prefix).glob("*")]

    return StoredLog(fetch, listed)


def ahead(call: Callable[[Argument], Found], arguments: Iterable[Argument]) -> Iterator[Found]:
    """Yield what ``call`` returns for each argument, in their order, with some calls under way for those to come."""
    with ReadingPool(_THREADS, "weaudit-ledger") as pool:
        waiting = deque[Future[Found]]()
        for argument in arguments:
            waiting.append(pool.submit(call, argument))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
