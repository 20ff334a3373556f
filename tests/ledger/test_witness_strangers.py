"""A witness that shares no code with ours cosigns our log, and a verifier of others counts its cosignature.

The test is skipped, and says so, where the machine does not have it; `make strangers` fails there.
"""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ledger.strangers import NAME, OTHER_PYTHON, VERIFIER_KEY, log, need_other_python, other, signed
from weaudit.ledger import checkpoints, policies
from weaudit.ledger.notes import VerifierKey
from weaudit.ledger.witness import RefusedError, cosigned

WITNESS = "witness.example/one"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, VerifierKey]]:
    """Run the witness of others on a port that is free; return its address and its key."""
    config = folder / "witness.json"
    made = other("aics_witness", "init", "--config", config, "--name", WITNESS, "--listen", "127.0.0.1:0")
    assert made.returncode == 0, made
    added = other("aics_witness", "add-log", "--config", config, "--origin", NAME, "--vkey", VERIFIER_KEY)
    assert added.returncode == 0, added
    command = [str(OTHER_PYTHON), "-I", "-u", "-m", "aics_witness", "serve", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        yield line[line.index("http://") :].split()[0], VerifierKey.read(made.stdout.strip())
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def test_a_witness_of_others_cosigns_our_log_and_no_fork_of_it(tmp_path: Path) -> None:
    need_other_python()
    readers = {size: log(size)[0] for size in (5, 8, 300)}
    with serving(tmp_path) as (address, key):

        def post(body: bytes) -> tuple[int, bytes]:
            request = urllib.request.Request(f"{address.rstrip('/')}/add-checkpoint", body)  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        def ask(size: int, old_size: int) -> bytes:
            reader = readers[size]
            return cosigned(signed(size, reader.root), key, old_size, reader.consistency_proof, post)

        for size, old_size in ((5, 0), (8, 5), (300, 0), (300, 300)):  # the third has to be asked twice
            note = ask(size, old_size)
            trusted = policies.read(policies.text_of(VerifierKey.read(VERIFIER_KEY), key).encode())
            found, by = checkpoints.opened(note, trusted)
            assert (found.size, set(by)) == (size, {VerifierKey.read(VERIFIER_KEY), key})
        (tmp_path / "note").write_bytes(note)
        for quorum, ok in (("1", True), ("2", False)):
            done = other(
                "aics_tlog", "verify-checkpoint", "--note", tmp_path / "note", "--origin", NAME, "--log-key",
                VERIFIER_KEY, "--witness-key", str(key), "--quorum", quorum,
            )  # fmt: skip
            assert (done.returncode == 0) == ok, done
        with pytest.raises(RefusedError) as refused:
            ask(8, 5)
        assert (refused.value.status, refused.value.size) == (409, 300)
        with pytest.raises(RefusedError) as refused:
            cosigned(signed(300, readers[8].root), key, 300, readers[300].consistency_proof, post)
        assert refused.value.status == 422
