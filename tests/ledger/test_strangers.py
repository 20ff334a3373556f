"""Programs that share no code with ours find what we write to be right, and what was altered to be wrong.

Each test is skipped, and says so, where the machine does not have its program; `make strangers` fails there.
"""

import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.ledger.strangers import (
    NAME,
    RECORD,
    RUNS,
    VERIFIER_KEY,
    Grown,
    build_go,
    grown,
    growth,
    log,
    need_go,
    need_other_python,
    need_shell,
    numbered,
    other,
    receipt,
    script,
    signed,
)
from tests.ledger.trees import flipped

TILES = ["tile/0/007", "tile/0/273.p/112", "tile/1/000", "tile/2/000.p/1", "checkpoint"]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    return grown(tmp_path_factory.mktemp("log"))


def damaged(folder: Path, path: str, place: int) -> bytes:
    """Flip a bit of a file, and return what it held."""
    sound = (folder / path).read_bytes()
    (folder / path).write_bytes(flipped(sound, place % (min(len(sound), 60) * 8)))
    return sound


# ---- openssl and sha256sum, by scripts


def run(name: str, text: bytes, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    file = folder / "receipt.tlog-proof"
    file.write_bytes(text)
    return script(name, file, *arguments)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (1, 2), (5, 7), (6, 7), (5, 8), (256, 257), (299, 300)])
def test_a_script_of_a_stranger_finds_the_entry_in_the_log(index: int, size: int, tmp_path: Path) -> None:
    need_shell()
    reader, _ = log(size)
    done = run("inclusion.sh", receipt(reader, index, RECORD if index % 2 else None), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{numbered(index).text.decode()}\nis entry {index} of the {size} entries of {NAME}\n"


def test_a_script_of_a_stranger_finds_the_signature_right(tmp_path: Path) -> None:
    need_shell()
    reader, _ = log(7)
    text = receipt(reader, 5)
    assert run("signature.sh", text, tmp_path, VERIFIER_KEY).returncode == 0
    assert run("signature.sh", signed(7, reader.root), tmp_path, VERIFIER_KEY).returncode == 0
    assert run("signature.sh", growth(reader, 3), tmp_path, VERIFIER_KEY).returncode == 0
    for wrong in (
        text.replace(b"\n7\n", b"\n6\n"),
        text.replace(b"dev\n7", b"deV\n7"),
        text.rpartition(b"\xe2\x80\x94")[0],
        signed(7, reader.root).replace(b"\n7\n", b"\n6\n"),
        growth(reader, 3).replace(b"\n7\n", b"\n6\n"),
    ):
        assert run("signature.sh", wrong, tmp_path, VERIFIER_KEY).returncode != 0, wrong
    # Neither another name nor another key passes under the id of this one.
    for another in (VERIFIER_KEY.replace("weaudit", "another"), f"{VERIFIER_KEY[:-2]}B="):
        assert run("signature.sh", text, tmp_path, another).returncode != 0


def test_a_script_of_a_stranger_finds_what_was_altered(tmp_path: Path) -> None:
    need_shell()
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
        done = run("inclusion.sh", wrong, tmp_path)
        assert (done.returncode != 0, done.stdout) == (True, ""), wrong


@pytest.mark.parametrize(
    ("old_size", "size"), [(0, 0), (0, 7), (1, 1), (1, 2), (3, 7), (4, 7), (6, 7), (7, 7), (6, 8), (4, 8), (255, 300)]
)
def test_a_script_of_a_stranger_finds_that_the_log_only_grew(old_size: int, size: int, tmp_path: Path) -> None:
    need_shell()
    kept, reader = tmp_path / "kept", log(size)[0]
    kept.write_bytes(signed(old_size, log(old_size)[0].root))
    (tmp_path / "growth").write_bytes(growth(reader, old_size))
    done = script("consistency.sh", kept, tmp_path / "growth")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"the {size} entries of {NAME} begin with the {old_size} entries of the checkpoint")


def test_a_script_of_a_stranger_finds_that_the_log_was_written_anew(tmp_path: Path) -> None:
    need_shell()
    kept, reader = tmp_path / "kept", log(7)[0]
    kept.write_bytes(receipt(log(6)[0], 2))  # a receipt keeps a checkpoint, too
    text = growth(reader, 6)
    lines = text.split(b"\n")
    assert run("consistency.sh", text, tmp_path).returncode != 0  # not a checkpoint that was kept
    wrongs = [
        text.replace(b"old 6", b"old 5"),
        text.replace(b"old 6", b"old x[0]"),
        text.replace(b"\n7\n", b"\n5\n"),
        text.replace(b"\n7\n", b"\n9\n"),
        text.replace(NAME.encode(), b"another"),
        growth(reader, 5),
        *(b"\n".join([*lines[:at], *lines[at + 1 :]]) for at in range(7)),
        *(b"\n".join([*lines[:at], lines[at], *lines[at:]]) for at in (1, 3)),
        *(b"\n".join([*lines[:at], lines[at].swapcase(), *lines[at + 1 :]]) for at in (1, 2, 3, 7)),
    ]
    new = tmp_path / "growth"
    new.write_bytes(text)
    assert script("consistency.sh", kept, new).returncode == 0
    for wrong in wrongs:
        assert wrong != text
        new.write_bytes(wrong)
        done = script("consistency.sh", kept, new)
        assert (done.returncode != 0, done.stdout) == (True, ""), wrong
    for old_size, root in ((6, bytes(32)), (7, log(6)[0].root)):
        kept.write_bytes(signed(old_size, root))
        new.write_bytes(growth(reader, old_size))
        assert script("consistency.sh", kept, new).returncode != 0


def test_scripts_of_a_stranger_check_a_log_of_many_tiles(sealed: Grown, tmp_path: Path) -> None:
    need_shell()
    for index in (65_536, 69_999):
        text = receipt(sealed.reader, index)
        assert run("inclusion.sh", text, tmp_path).returncode == 0
        assert run("signature.sh", text, tmp_path, VERIFIER_KEY).returncode == 0
    for kept, size in list(zip(sealed.checkpoints, RUNS, strict=True))[3::2]:
        (tmp_path / "growth").write_bytes(growth(sealed.reader, size))
        assert script("signature.sh", kept, VERIFIER_KEY).returncode == 0
        assert script("consistency.sh", kept, tmp_path / "growth").returncode == 0


# ---- the verifier of Go's own checksum database


def test_go_verifies_a_log_and_finds_what_was_altered(sealed: Grown, tmp_path: Path) -> None:
    need_go()
    program = tmp_path / "verify"
    build_go(program)

    def verified(*checkpoints: Path) -> bool:
        command = [str(program), str(sealed.folder), VERIFIER_KEY, *map(str, checkpoints)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0 or done.stderr.startswith("not verified: ")
        return done.returncode == 0 and done.stdout == f"70000 entries of {NAME} are verified\n"

    assert verified(*sealed.checkpoints)
    forked = tmp_path / "checkpoint-forked"
    forked.write_bytes(signed(300, bytes(32)))
    assert not verified(forked)
    chosen = random.Random(7)  # noqa: S311
    for path in [*TILES, "tile/entries/100"]:
        sound = damaged(sealed.folder, path, chosen.randrange(8192))
        assert not verified(), path
        (sealed.folder / path).write_bytes(sound)
    assert verified()


# ---- aics-tlog


def test_aics_tlog_verifies_a_log_and_finds_what_was_altered(sealed: Grown, tmp_path: Path) -> None:
    need_other_python()
    trusted = ("--tiles", sealed.folder, "--log-key", VERIFIER_KEY, "--origin", NAME)

    def verified(command: str, *arguments: str | Path) -> bool:
        done = other("aics_tlog", command, *trusted, *arguments)
        found = json.loads(done.stdout)["ok"] is True
        assert found == (done.returncode == 0), done
        return found

    def includes(index: int) -> bool:
        (tmp_path / "entry").write_bytes(numbered(index).text)
        return verified("verify-inclusion", "--leaf", tmp_path / "entry", "--index", str(index))

    assert verified("verify-checkpoint")
    assert all(map(includes, (0, 65_536, 69_999)))
    assert all(verified("verify-consistency", "--old-checkpoint", kept) for kept in sealed.checkpoints)

    forked = tmp_path / "checkpoint-forked"
    forked.write_bytes(signed(300, bytes(32)))
    assert not verified("verify-consistency", "--old-checkpoint", forked)
    (tmp_path / "entry").write_bytes(numbered(4).text)
    assert not verified("verify-inclusion", "--leaf", tmp_path / "entry", "--index", "5")
    for place, path in enumerate(TILES):
        sound = damaged(sealed.folder, path, 77 * place)
        assert not includes(69_999 if "." in path else 7 * 256), path
        (sealed.folder / path).write_bytes(sound)
    assert verified("verify-checkpoint")
