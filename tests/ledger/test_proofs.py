"""A proof file is written in one way, and nothing of it is returned before it is proven."""

from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger import trees
from weaudit.ledger.entries import canonical, entry
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.proofs import MOST_BYTES, Proof, build, opened, parse

HASH = "c7" * 32
RECORD: dict[str, Any] = {"id": {"S": "record-4"}, "newValue": {"M": {"é": {"N": "1.50"}}}}
ENTRIES = [entry("record", "2024-01-01T00:00:00.000Z", id=f"record-{at}", hash=HASH) for at in range(11)]
TREE = [one.text for one in ENTRIES]
INDEX, SIZE, ROOT = 4, len(TREE), trees.tree_hash(TREE)
HASHES = trees.path(INDEX, TREE)
# Signatures are another module's to check.
CHECKPOINT = b"example.com/log\n11\n" + b64encode(ROOT) + b"\n\n\xe2\x80\x94 example.com/log AAAA\n"
FILE = build(INDEX, HASHES, CHECKPOINT, ENTRIES[INDEX], RECORD)


def hash_of(record: dict[str, Any]) -> str:
    return HASH if record == RECORD else "00" * 32


def refused(text: bytes) -> None:
    with pytest.raises(LedgerError):
        parse(text)


def unproven(proof: Proof, size: int = SIZE, root: bytes = ROOT) -> None:
    with pytest.raises(LedgerError):
        opened(proof, size, root, hash_of)


def with_extra(value: Any) -> Proof:
    return parse(FILE)._replace(extra=canonical(value))


def test_the_text_of_a_proof_is_that_of_the_specification() -> None:
    lines = FILE.split(b"\n")
    assert lines[0] == b"c2sp.org/tlog-proof@v1"
    assert b64decode(lines[1].removeprefix(b"extra ")) == canonical({"entry": TREE[4].decode(), "record": RECORD})
    assert lines[2] == b"index 4"
    assert [b64decode(line) for line in lines[3:7]] == HASHES
    assert lines[7] == b""
    assert b"\n".join(lines[8:]) == CHECKPOINT


@pytest.mark.parametrize("index", range(SIZE))
@pytest.mark.parametrize("record", [None, RECORD], ids=["bare", "whole"])
def test_every_entry_is_proven(index: int, record: dict[str, Any] | None) -> None:
    found = parse(build(index, trees.path(index, TREE), CHECKPOINT, ENTRIES[index], record))
    assert (found.index, found.checkpoint) == (index, CHECKPOINT)
    assert opened(found, SIZE, ROOT, hash_of) == (ENTRIES[index], record)
    assert opened(found, SIZE, ROOT) == (ENTRIES[index], None), "nobody has checked the record"


def test_the_only_entry_of_a_log_is_proven_by_its_index() -> None:
    text = build(0, [], b"example.com/log\n1\n\n", ENTRIES[0])
    assert text.split(b"\n")[2:4] == [b"index 0", b""]
    assert opened(parse(text), 1, trees.tree_hash(TREE[:1]))[0] == ENTRIES[0]


def test_a_file_of_another_application_is_read() -> None:
    assert parse(b"c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n") == Proof(0, [], b"note\n", b"")
    assert parse(b"c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\nnote\n").extra == bytes(3)
    unproven(parse(b"c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n"))


# ---- nothing else is taken


@pytest.mark.parametrize(
    "wrong",
    [
        [b"c2sp.org/tlog-proof@v2", b"index 0", b"", b"n"], [b" c2sp.org/tlog-proof@v1", b"index 0", b"", b"n"],
        [b"", b"index 0", b"", b"n"], [b"", b"c2sp.org/tlog-proof@v1", b"index 0", b"", b"n"],
        [b"c2sp.org/tlog-proof@v1"], [b"c2sp.org/tlog-proof@v1", b"", b"n"],
        [b"c2sp.org/tlog-proof@v1", b"index 0"], [b"c2sp.org/tlog-proof@v1", b"index 0", b"", b""],
        [b"c2sp.org/tlog-proof@v1\r", b"index 0\r", b"\r", b"n"],
        *(
            [b"c2sp.org/tlog-proof@v1", *lines, b"", b"n"]
            for lines in (
                [b"index"], [b"index "], [b"index 00"], [b"index 01"], [b"index -1"], [b"index +1"], [b"index 1 "],
                [b"index  1"], [b"index 1.0"], [b"index 9223372036854775807"], [b"index " + b"9" * 5_000], [b"Index 1"],
                ["index \u0661".encode()], [b"extra AAAA"], [b"index 0", b"extra AAAA"], [b"extra", b"index 0"],
                [b"extra ", b"index 0"], [b"extra AAA", b"index 0"], [b"extra AAA=", b"index 0", b"x"],
                [b"extra AAB=", b"index 0"], [b"extra A-_A", b"index 0"], [b"extra AA AA", b"index 0"],
                [b"extra AAAA", b"extra AAAA", b"index 0"], [b"index 0", b"index 0"],
                [b"index 0", b64encode(bytes(31))],
                [b"index 0", b64encode(bytes(33))], [b"index 0", b64encode(bytes(32)) + b" "],
                [b"index 0", b64encode(bytes(32)).replace(b"A=", b"B=")], [b"index 0", *[b64encode(bytes(32))] * 64],
                [b"index 0", *[b"AA"] * 100_000],
            )
        ),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(wrong: list[bytes]) -> None:
    refused(b"\n".join(wrong))


def test_a_file_that_is_too_large_is_refused() -> None:
    refused(FILE + bytes(MOST_BYTES))
    with pytest.raises(LedgerError):
        build(INDEX, HASHES, CHECKPOINT, ENTRIES[INDEX], {"newValue": "x" * MOST_BYTES})
    largest: dict[str, Any] = {"newValue": {"S": "\x01" * 400_000}}
    assert parse(build(INDEX, HASHES, CHECKPOINT, ENTRIES[INDEX], largest)).index == INDEX


@pytest.mark.parametrize(
    ("index", "hashes", "checkpoint"),
    [(-1, HASHES, CHECKPOINT), (2**63, HASHES, CHECKPOINT), (4, [b"short"], CHECKPOINT), (4, HASHES, b"")],
)
def test_nothing_is_written_that_would_not_be_read(index: int, hashes: list[bytes], checkpoint: bytes) -> None:
    with pytest.raises(LedgerError):
        build(index, hashes, checkpoint, ENTRIES[INDEX])


@given(st.integers(0, len(FILE) - len(CHECKPOINT) - 1), st.integers(0, 7))
def test_a_file_with_a_changed_bit_is_refused_or_unproven(at: int, bit: int) -> None:
    changed = trees.flipped(FILE, at * 8 + bit)
    with pytest.raises(LedgerError):
        opened(parse(changed), SIZE, ROOT, hash_of)


def test_altered_hashes_and_roots_prove_nothing() -> None:
    sound = parse(FILE)
    for wrong in trees.damaged(HASHES):
        unproven(sound._replace(hashes=wrong))
    for bit in range(256):
        unproven(sound, root=trees.flipped(ROOT, bit))
    for size in (0, INDEX, INDEX + 1, SIZE + 10, -1):
        unproven(sound, size=size)
    for index in {*range(SIZE + 1)} - {INDEX}:
        unproven(sound._replace(index=index))


@pytest.mark.parametrize(
    "extra",
    [
        None, [], "", {}, {"entry": None}, {"entry": {}}, {"entry": ""}, {"record": RECORD}, TREE[INDEX].decode(),
        {"entry": TREE[INDEX].decode() + "\n"}, {"entry": TREE[INDEX + 1].decode()}, {"entry": ENTRIES[INDEX].fields},
        {"entry": TREE[INDEX].decode(), "other": 1}, {"entry": TREE[INDEX].decode(), "record": None},
        {"entry": TREE[INDEX].decode(), "record": {}}, {"entry": TREE[INDEX].decode(), "record": [RECORD]},
        {"entry": TREE[INDEX].decode(), "record": {**RECORD, "newValue": {"N": "2"}}},
    ],
)  # fmt: skip
def test_another_entry_or_record_is_not_returned(extra: Any) -> None:
    unproven(with_extra(extra))


def test_extra_that_is_not_canonical_is_refused() -> None:
    sound = parse(FILE)
    for wrong in [
        sound.extra + b"\n",
        b" " + sound.extra,
        sound.extra.replace(b'"entry"', b'"entry":"","entry"'),
        b"\xff",
    ]:
        unproven(sound._replace(extra=wrong))


def test_a_leaf_that_is_not_an_entry_proves_nothing() -> None:
    leaves = [b"{}", *TREE[1:]]
    proof = Proof(0, trees.path(0, leaves), CHECKPOINT, canonical({"entry": "{}"}))
    unproven(proof, root=trees.tree_hash(leaves))


def test_a_record_is_hashed_only_once_the_entry_is_proven() -> None:
    def never(record: dict[str, Any]) -> str:
        raise AssertionError

    with pytest.raises(LedgerError):
        opened(parse(FILE), SIZE, bytes(32), never)
