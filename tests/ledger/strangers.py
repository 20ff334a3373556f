"""A log that is made for strangers to check, and the programs of others that check it where a machine has them."""

import os
import shutil
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from weaudit.ledger.entries import Entry, entry
from weaudit.ledger.proofs import build
from weaudit.ledger.tiles import Tail, TileReader

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "strangers"
NAME = "weaudit/111122223333/eu-west-1/dev"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECORD: dict[str, Any] = {"id": {"S": 'a "quoted" \\ one'}, "newValue": {"S": '","record":{"x":"'}}
RUNS = (1, 255, 256, 300, 65_536, 69_999, 70_000)
GO_PATH = Path(os.environ.get("GOPATH", "/usr/share/gocode"))
OTHER_PYTHON = Path(os.environ.get("STRANGERS", ROOT / ".venv" / "strangers")) / "bin" / "python"


# ---- the log


def typed_key() -> bytes:
    return b"\x01" + KEY.public_key().public_bytes_raw()


def key_id() -> bytes:
    return sha256(NAME.encode() + b"\n" + typed_key()).digest()[:4]


VERIFIER_KEY = f"{NAME}+{key_id().hex()}+{b64encode(typed_key()).decode()}"


def signed(size: int, root: bytes) -> bytes:
    """Return a checkpoint, signed by another than the log first, and then by the log."""
    text = f"{NAME}\n{size}\n{b64encode(root).decode()}\n".encode()
    lines = [(b"example.com/witness", bytes(76)), (NAME.encode(), key_id() + KEY.sign(text))]
    return text + b"\n" + b"".join(b"\xe2\x80\x94 %s %s\n" % (name, b64encode(found)) for name, found in lines)


def numbered(at: int) -> Entry:
    identity = 'é "quoted" \\ \n' if at == 5 else f"record-{at}"
    return entry("record", "2024-01-01T00:00:00.000Z", id=identity, hash="c7" * 32)


def log(size: int) -> tuple[TileReader, dict[str, bytes]]:
    tail = Tail()
    objects = dict([*tail.append([numbered(at).text for at in range(size)]), *tail.partial(0)])
    return TileReader(size, tail.edge().root(), objects.get), objects


def receipt(reader: TileReader, index: int, record: dict[str, Any] | None = None) -> bytes:
    return build(index, reader.inclusion_proof(index), signed(reader.size, reader.root), numbered(index), record)


def growth(reader: TileReader, old_size: int) -> bytes:
    """Return the proof that the log grew from a size, in the form of a request to a witness."""
    hashes = b"".join(b64encode(one) + b"\n" for one in reader.consistency_proof(old_size))
    return b"old %d\n%s\n%s" % (old_size, hashes, signed(reader.size, reader.root))


class Grown(NamedTuple):
    """A copy of a log on disk that was sealed in several runs, and the checkpoint of each."""

    folder: Path
    checkpoints: list[Path]
    reader: TileReader


def grown(folder: Path) -> Grown:
    """Write a log of 70,000 entries, sealed in seven runs."""
    tail, kept = Tail(), []
    for size in RUNS:
        since = tail.size
        for path, content in [*tail.append([numbered(at).text for at in range(since, size)]), *tail.partial(since)]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        kept.append(folder / f"checkpoint-{size}")
        kept[-1].write_bytes(signed(size, tail.edge().root()))
    shutil.copy(kept[-1], folder / "checkpoint")

    def fetch(path: str) -> bytes | None:
        return (folder / path).read_bytes() if (folder / path).exists() else None

    return Grown(folder, kept, TileReader(tail.size, tail.edge().root(), fetch))


# ---- the strangers


def missing(who: str, there: bool, how: str) -> None:
    """Skip a test whose stranger this machine does not have; `make strangers` fails instead."""
    if there:
        return
    if os.environ.get("ALL_STRANGERS"):
        pytest.fail(f"{who} is missing: {how}")
    pytest.skip(f"{who} is missing, so it was NOT asked: {how}")


def need_shell() -> None:
    programs = ("bash", "base64", "od", "openssl", "realpath", "sed", "sha256sum")
    absent = [program for program in programs if shutil.which(program) is None]
    missing(" and ".join(absent), not absent, "install bash, coreutils, sed and openssl 3")


def need_go() -> None:
    there = shutil.which("go") is not None and (GO_PATH / "src/golang.org/x/mod/sumdb/tlog").is_dir()
    missing("Go's x/mod", there, "apt-get install golang-go golang-golang-x-mod-dev, or set GOPATH to where x/mod is")


def need_other_python() -> None:
    there = OTHER_PYTHON.exists()
    missing("aics-tlog", there, "install Python 3.12 or later and run make strangers (STRANGERS_PYTHON=… names it)")


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def other(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a module of the other Python."""
    command = [str(OTHER_PYTHON), "-I", "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def build_go(program: Path) -> None:
    settings = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(program.parent / "cache")}
    command = ["go", "build", "-o", str(program), str(EXAMPLES / "verify.go")]
    subprocess.run(command, env=settings, check=True, timeout=300, stdout=sys.stderr)
