"""Programs that share no code with ours find what we write to be right, and what was altered to be wrong."""

import os
import random
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.ledger.trees import flipped
from weaudit.ledger.entries import Entry, entry
from weaudit.ledger.proofs import build
from weaudit.ledger.tiles import Tail, TileReader

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "strangers"
NAME = "weaudit/111122223333/eu-west-1/dev"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECORD: dict[str, Any] = {"id": {"S": 'a "quoted" \\ one'}, "newValue": {"S": '","record":{"x":"'}}
needs_shell = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("bash", "base64", "od", "openssl", "sed", "sha256sum")),
    reason="bash, coreutils or openssl are not installed: the scripts of examples/strangers were NOT run",
)


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


def receipt(reader: TileReader, index: int, record: bool = True) -> bytes:
    checkpoint = signed(reader.size, reader.root)
    return build(index, reader.inclusion_proof(index), checkpoint, numbered(index), RECORD if record else None)


def script(name: str, text: bytes, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "receipt.tlog-proof").write_bytes(text)
    command = ["bash", str(EXAMPLES / name), "receipt.tlog-proof", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@needs_shell
@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (5, 7), (6, 7), (5, 8), (256, 257), (299, 300)])
def test_a_script_of_a_stranger_finds_the_entry_in_the_log(index: int, size: int, tmp_path: Path) -> None:
    reader, _ = log(size)
    done = script("inclusion.sh", receipt(reader, index, record=index % 2 == 1), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{numbered(index).text.decode()}\nis entry {index} of the {size} entries of {NAME}\n"


@needs_shell
def test_a_script_of_a_stranger_finds_the_signature_right(tmp_path: Path) -> None:
    text = receipt(log(7)[0], 5)
    assert script("signature.sh", text, tmp_path, VERIFIER_KEY).returncode == 0
    other = VERIFIER_KEY.replace("weaudit", "another")
    for wrong in (
        text.replace(b"\n7\n", b"\n6\n"),
        text.replace(b"dev\n7", b"deV\n7"),
        text.rpartition(b"\xe2\x80\x94")[0],
    ):
        assert wrong != text
        assert script("signature.sh", wrong, tmp_path, VERIFIER_KEY).returncode != 0
    assert script("signature.sh", text, tmp_path, other).returncode != 0


@needs_shell
def test_a_script_of_a_stranger_finds_what_was_altered(tmp_path: Path) -> None:
    text = receipt(log(7)[0], 5)
    lines = text.split(b"\n")
    wrongs = [
        text.replace(b"index 5", b"index 4"),
        text.replace(b"index 5", b"index 7"),
        text.replace(b"index 5", b"index x[0]"),
        text.replace(b"\n7\n", b"\n5\n"),
        text.replace(b"\n7\n", b"\n70\n"),
        text.replace(b"@v1", b"@v2"),
        b"\n".join([lines[0], receipt(log(7)[0], 4).split(b"\n")[1], *lines[2:]]),
        *(b"\n".join([*lines[:at], *lines[at + 1 :]]) for at in range(10)),
        *(b"\n".join([*lines[:at], lines[3], *lines[at:]]) for at in (3, 6)),
        *(b"\n".join([*lines[:at], lines[at].swapcase(), *lines[at + 1 :]]) for at in (3, 4, 5, 9)),
    ]
    for wrong in wrongs:
        assert wrong != text
        done = script("inclusion.sh", wrong, tmp_path)
        assert (done.returncode != 0, done.stdout) == (True, ""), wrong


# ---- the verifier of Go's own checksum database


GO_PATH = Path(os.environ.get("GOPATH", "/usr/share/gocode"))
needs_go = pytest.mark.skipif(
    shutil.which("go") is None or not (GO_PATH / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
    reason="go and golang-golang-x-mod-dev are not installed: Go's verifier was NOT run",
)


@needs_go
def test_go_verifies_a_log_and_finds_what_was_altered(tmp_path: Path) -> None:
    program = tmp_path / "verify"
    settings = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(tmp_path / "cache")}
    build_it = ["go", "build", "-o", str(program), str(EXAMPLES / "verify.go")]
    subprocess.run(build_it, env=settings, check=True, timeout=300)

    folder, tail, kept = tmp_path / "log", Tail(), []
    for size in (1, 255, 256, 300, 65_536, 69_999, 70_000):
        since = tail.size
        for path, content in [*tail.append([numbered(at).text for at in range(since, size)]), *tail.partial(since)]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        kept.append(tmp_path / f"checkpoint-{size}")
        kept[-1].write_bytes(signed(size, tail.edge().root()))
    shutil.copy(kept[-1], folder / "checkpoint")

    def verified(*checkpoints: Path) -> bool:
        command = [str(program), str(folder), VERIFIER_KEY, *map(str, checkpoints)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0 or done.stderr.startswith("not verified: ")
        return done.returncode == 0 and done.stdout == f"70000 entries of {NAME} are verified\n"

    assert verified(*kept)
    other = tmp_path / "checkpoint-other"
    other.write_bytes(signed(300, bytes(32)))
    assert not verified(other)
    chosen = random.Random(7)  # noqa: S311
    for path in ["tile/0/007", "tile/0/273.p/112", "tile/1/000", "tile/2/000.p/1", "tile/entries/100", "checkpoint"]:
        sound = (folder / path).read_bytes()
        (folder / path).write_bytes(flipped(sound, chosen.randrange(min(len(sound), 60) * 8)))
        assert not verified(), path
        (folder / path).write_bytes(sound)
    assert verified()
