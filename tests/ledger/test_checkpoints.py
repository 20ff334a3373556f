"""Checkpoints: how they are written and read, and when one is opened."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.keys import (
    SUMDB_KEY,
    SUMDB_NOTE,
    WITNESS_KEY,
    WITNESSED_NOTE,
    WITNESSED_TIME,
    signer,
    witness,
)
from weaudit.ledger import checkpoints, notes, policies
from weaudit.ledger.checkpoints import Checkpoint
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import VerifierKey

ORIGIN = "weaudit/123456789012/eu-west-1/weaudit-dev"
LOG = signer(ORIGIN)
WITNESS = witness("witness.example/w1")
ROOT = sha256(b"root").digest()
BASE64 = notes.to_base64(ROOT)
TEXT = checkpoints.text_of(ORIGIN, 70_000, ROOT)
NOTE = notes.written(TEXT, [LOG.signature(TEXT)])

origins = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(notes.is_key_name)
roots = st.binary(min_size=32, max_size=32)
sizes = st.integers(1, checkpoints.LARGEST_SIZE)


def test_a_checkpoint_has_three_lines() -> None:
    assert f"{ORIGIN}\n70000\n{BASE64}\n" == TEXT
    assert checkpoints.read(TEXT) == Checkpoint(ORIGIN, 70_000, ROOT)
    assert repr(checkpoints.read(TEXT)).startswith(f"Checkpoint('{ORIGIN}', 70000, ")


def test_the_example_of_the_specification_is_read() -> None:
    checkpoint = checkpoints.read(
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.root.hex() == "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62"


@given(origins, sizes, roots)
def test_checkpoints_go_round(origin: str, size: int, root: bytes) -> None:
    checkpoint = checkpoints.read(checkpoints.text_of(origin, size, root))
    assert checkpoint == Checkpoint(origin, size, root)
    assert hash(checkpoint) == hash(Checkpoint(origin, size, root))
    assert checkpoint != Checkpoint(origin, size - 1, root)


@given(st.text(max_size=60) | st.from_regex(r"[a-z ]{0,3}\n[0-9]{0,21}\n[A-Za-z0-9+/]{42,44}=?\n([a-z]{0,2}\n)?"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        checkpoint = checkpoints.read(text)
    except LedgerError:
        return
    lines = [checkpoint.origin, str(checkpoint.size), notes.to_base64(checkpoint.root), *checkpoint.extensions]
    assert "".join(line + "\n" for line in lines) == text


def test_extension_lines_are_kept() -> None:
    assert checkpoints.read(TEXT + "one\ntwo \n").extensions == ("one", "two ")
    assert checkpoints.read(TEXT + "one\n") != checkpoints.read(TEXT)


def test_a_log_of_no_entries_has_the_hash_of_nothing() -> None:
    empty = checkpoints.text_of(ORIGIN, 0, sha256().digest())
    assert checkpoints.read(empty).size == 0
    with pytest.raises(LedgerError, match="hash of nothing"):
        checkpoints.read(f"{ORIGIN}\n0\n{BASE64}\n")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "at least three lines"),
        ("o\n1\n", "at least three lines"),
        (TEXT[:-1], "at least three lines"),
        (TEXT + "\n", "at least three lines"),
        (TEXT + "\nextension\n", "at least three lines"),
        (f"\n1\n{BASE64}\n", "at least three lines"),
        (f"o\n\n{BASE64}\n", "at least three lines"),
        *(
            (f"o\n{size}\n{BASE64}\n", "a number without leading zeros")
            for size in ["01", "00", "-1", "+1", " 1", "1 ", "1_0", "1.0", "0x1", "१", "²", "1e3"]
        ),
        (f"o\n{2**63}\n{BASE64}\n", "at most"),
        (f"o\n{'9' * 5000}\n{BASE64}\n", "at most"),
        (f"o\n1\n{BASE64[:-1]}\n", "a hash of 32 bytes"),
        (f"o\n1\n{BASE64} \n", "a hash of 32 bytes"),
        (f"o\n1\n{BASE64[:-2]}B=\n", "a hash of 32 bytes"),  # the same bytes by another text
        (f"o\n1\n{notes.to_base64(ROOT[:31])}\n", "a hash of 32 bytes"),
        (f"o\n1\n{notes.to_base64(ROOT + ROOT)}\n", "a hash of 32 bytes"),
        (f"o\n1\n{ROOT.hex()}\n", "a hash of 32 bytes"),
        ("o\n1\n-_8=\n", "a hash of 32 bytes"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str, match: str) -> None:
    with pytest.raises(LedgerError, match=match):
        checkpoints.read(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, ROOT),
        ("a b", 1, ROOT),
        ("a+b", 1, ROOT),
        ("a\nb", 1, ROOT),
        ("a\tb", 1, ROOT),
        (ORIGIN, -1, ROOT),
        (ORIGIN, 2**63, ROOT),
        (ORIGIN, 0, ROOT),
        (ORIGIN, 1, ROOT[:31]),
        (ORIGIN, 1, b""),
    ],
)
def test_a_checkpoint_that_could_not_be_read_is_not_written(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(LedgerError):
        checkpoints.text_of(origin, size, root)


def test_a_checkpoint_is_opened_by_the_key_of_its_log() -> None:
    checkpoint, signed = checkpoints.opened(NOTE, policies.of_log(LOG.key))
    assert checkpoint == Checkpoint(ORIGIN, 70_000, ROOT)
    assert signed == {LOG.key: None}


def test_a_checkpoint_is_opened_with_the_cosignature_that_the_policy_asks_for() -> None:
    policy = policies.read(policies.text_of(LOG.key, WITNESS.key).encode())
    cosigned = notes.written(TEXT, [*notes.read(NOTE).signatures, WITNESS.signature(TEXT, 1_790_000_000)])
    assert checkpoints.opened(cosigned, policy)[1] == {LOG.key: None, WITNESS.key: 1_790_000_000}
    with pytest.raises(LedgerError, match="cosigned by 0 of the policy's 1 witnesses"):
        checkpoints.opened(NOTE, policy)
    # The log's own key, used as a witness would use it, is not the witness.
    by_log = notes.written(TEXT, [LOG.signature(TEXT), witness(ORIGIN).signature(TEXT, 5)])
    with pytest.raises(LedgerError, match="cosigned by 0"):
        checkpoints.opened(by_log, policy)


def test_real_checkpoints_are_opened_only_by_a_log_that_has_their_origin() -> None:
    # Go's checksum database signs by the name sum.golang.org, and its origin is another.
    with pytest.raises(LedgerError, match="has its origin as its name"):
        checkpoints.opened(SUMDB_NOTE.encode(), policies.of_log(VerifierKey.read(SUMDB_KEY)))
    # Of this one only the witness's key is of a kind that is supported: it proves no log.
    policy = policies.Policy([LOG.key], {b"remora": VerifierKey.read(WITNESS_KEY)}, {}, b"remora")
    assert notes.verified(notes.read(WITNESSED_NOTE.encode()), policy.keys()).popitem()[1] == WITNESSED_TIME
    with pytest.raises(LedgerError, match="has its origin as its name"):
        checkpoints.opened(WITNESSED_NOTE.encode(), policy)


def test_a_log_cannot_sign_for_another_log_of_the_policy() -> None:
    other = signer("other.example/log")
    policy = policies.Policy([LOG.key, other.key], {}, {})
    assert checkpoints.opened(NOTE, policy)[0].origin == ORIGIN
    with pytest.raises(LedgerError, match="has its origin as its name"):
        checkpoints.opened(notes.written(TEXT, [other.signature(TEXT)]), policy)


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace(b"70000", b"70001"),
        NOTE.replace(b"70000\n", b"70000\n\n"),
        NOTE.replace(b"\n70000", b" \n70000"),
        b"\n" + NOTE,
        TEXT.encode(),
        notes.written(TEXT, [signer("other.example").signature(TEXT)]),
        notes.written(TEXT, [signer(ORIGIN, seed="another key").signature(TEXT)]),
        notes.written("no checkpoint\n", [LOG.signature("no checkpoint\n")]),
    ],
)
def test_what_proves_no_checkpoint_is_refused(note: bytes) -> None:
    with pytest.raises(LedgerError):
        checkpoints.opened(note, policies.of_log(LOG.key))
