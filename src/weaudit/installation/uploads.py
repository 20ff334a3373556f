"""Uploads local files to a bucket: chooses the key of each, and transfers it."""

import mimetypes
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaudit.errors import InvalidInputError

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_LONGEST_KEY_BYTES = 1024
_CONCURRENT_FILES = 8
_CONCURRENT_PARTS = 4
# Types that are missing from Python's own list, or from that of a minimal system.
_TYPES = {".avif": "image/avif", ".heic": "image/heic", ".heif": "image/heif", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the key that it will have."""

    path: Path
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that was not uploaded, and why; ``passes`` says that the same upload may succeed later."""

    path: Path
    why: str
    passes: bool = False


def plan(paths: Sequence[Path], prefix: str) -> tuple[list[Upload], list[Failed]]:
    """Return the files to upload, and those that cannot be. A key is ``prefix`` and the file's name or path.

    The path begins with the given folder: ``2024/a.jpg`` in the folder ``photos`` becomes
    ``<prefix>photos/2024/a.jpg``. Raises InvalidInputError if two files would have the same key.
    """
    uploads: dict[str, Upload] = {}
    failed: list[Failed] = []
    for given in paths:
        for path, name in _files(given, failed):
            planned = _planned(path, prefix + name)
            if isinstance(planned, Failed):
                failed.append(planned)
            elif planned.key in uploads and uploads[planned.key].path.resolve() != path.resolve():
                raise InvalidInputError(
                    f"two files would have the key {planned.key!r}: {uploads[planned.key].path} and {path}\n"
                    "Upload the folder that contains both, or upload each by itself with its own --prefix."
                )
            else:
                uploads[planned.key] = planned
    return list(uploads.values()), failed


def _files(given: Path, failed: list[Failed]) -> Iterator[tuple[Path, str]]:
    """Yield files, sorted, with the names for their keys; links to folders are not followed."""
    if not given.is_dir():
        yield given, given.name
        return
    top = "" if given.name in ("", "..") else f"{given.name}/"
    count = 0
    unread: list[OSError] = []
    for folder, folders, names in os.walk(given, onerror=unread.append):
        folders.sort()
        for name in sorted(names):
            count += 1
            path = Path(folder, name)
            yield path, top + path.relative_to(given).as_posix()
    failed += [Failed(Path(str(error.filename)), error.strerror or "it cannot be read") for error in unread]
    if not count and not unread:
        failed.append(Failed(given, "the folder is empty"))


def _planned(path: Path, key: str) -> Upload | Failed:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return Failed(path, "it is not a regular file")
        size = len(key.encode())
    except UnicodeEncodeError:
        return Failed(path, "its name is not UTF-8, as a key must be")
    except OSError as error:
        return Failed(path, error.strerror or str(error))
    if size > _LONGEST_KEY_BYTES:
        return Failed(path, f"its key would have {size} bytes; S3 allows {_LONGEST_KEY_BYTES:,}")
    return Upload(path, key, found.st_size)


def content_type(path: Path) -> str:
    """Return the media type for a file's name, ``application/octet-stream`` if the name suggests none."""
    return _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def transfer(
    client: Any, bucket: str, uploads: Sequence[Upload], advance: Callable[[int], None]
) -> Iterator[Upload | Failed]:
    """Upload files concurrently, large ones in parts; yield each when it is uploaded or has failed.

    Several threads call ``advance`` with the number of bytes just sent. A failure stops no other file.
    """
    from boto3.exceptions import Boto3Error
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import BotoCoreError

    from weaudit.installation import boto_errors

    config = TransferConfig(max_concurrency=_CONCURRENT_PARTS)

    def one(upload: Upload) -> Upload | Failed:
        try:
            client.upload_file(
                str(upload.path), bucket, upload.key, Callback=advance, Config=config,
                ExtraArgs={"ContentType": content_type(upload.path)},
            )  # fmt: skip
        except (Boto3Error, BotoCoreError) as error:  # before OSError, which botocore's timeouts are as well
            return Failed(upload.path, str(error), boto_errors.passes(error))
        except OSError as error:
            return Failed(upload.path, error.strerror or str(error))
        return upload

    pool = ThreadPoolExecutor(_CONCURRENT_FILES)
    try:
        for done in as_completed([pool.submit(one, upload) for upload in uploads]):
            yield done.result()
    finally:
        # After an interrupt, no further upload begins.
        pool.shutdown(cancel_futures=True)
