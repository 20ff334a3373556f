"""The ledger as docs/formats/ledger.md says where everything is: nothing of the product reads it here."""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.e2e.commands import client
from tests.ledger.trees import tree_hash


def fetched(path: str, of: str) -> bytes:
    """Return an object of the bucket ``of``."""
    body: bytes = client("s3").get_object(Bucket=of, Key=path)["Body"].read()
    return body


def head(of: str) -> tuple[int, bytes]:
    """Return size and root by the object ``checkpoint``."""
    return _said(fetched("checkpoint", of))


def texts(of: str) -> list[bytes]:
    """Return the text of every entry."""
    count, found = head(of)[0], []
    for index in range(-(-count // 256)):
        width = min(256, count - index * 256)
        content = fetched(f"tile/entries/{index:03}" + (f".p/{width}" if width < 256 else ""), of)
        while content:
            end = 2 + int.from_bytes(content[:2], "big")
            found.append(content[2:end])
            content = content[end:]
    assert len(found) == count
    return found


def log(of: str) -> list[dict[str, Any]]:
    """Return every entry."""
    return [json.loads(text) for text in texts(of)]


def faults(of: str) -> Iterator[str]:
    """Yield what is not as it has to be of a log whose every version is still there, and of all that was ever signed.

    Computed from the entries by the recursion of RFC 6962.
    """
    leaves, signed = texts(of), defaultdict[int, set[bytes]](set)
    versions: Counter[str] = Counter()
    for page in client("s3").get_paginator("list_object_versions").paginate(Bucket=of):
        for found in page.get("Versions", []):
            versions[found["Key"]] += 1
            if found["Key"].startswith("checkpoint"):
                answer = client("s3").get_object(Bucket=of, Key=found["Key"], VersionId=found["VersionId"])
                size, root = _said(answer["Body"].read())
                signed[size].add(root)
    yield from (f"{key} was put {count} times" for key, count in versions.items() if count > 1 and key != "checkpoint")
    for size, roots in sorted(signed.items()):
        if len(roots) > 1:
            yield f"{len(roots)} roots of {size} entries were signed"
        if size > len(leaves) or roots != {tree_hash(leaves[:size])}:
            yield f"a checkpoint of {size} entries is of no beginning of the log, which has {len(leaves)}"
    since = 0
    for at, text in enumerate(leaves):
        entry = json.loads(text)
        if entry["kind"] == "seal":
            if entry["n"] != at - since:
                yield f"the seal at {at} says {entry['n']} entries, and {at - since} came"
            since = at + 1
    if since != len(leaves):
        yield "the last entry is no seal"


def _said(note: bytes) -> tuple[int, bytes]:
    lines = note.splitlines()
    return int(lines[1]), base64.b64decode(lines[2])
