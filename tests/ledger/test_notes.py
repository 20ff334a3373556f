"""Signed notes: the specification's example, real notes of others, and everything that is refused."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.keys import (
    EXAMPLE_KEY,
    EXAMPLE_NOTE,
    EXAMPLE_TEXT,
    SUMDB_KEY,
    SUMDB_NOTE,
    WITNESS_KEY,
    WITNESSED_NOTE,
    WITNESSED_TIME,
    Signer,
    signer,
    witness,
)
from weaudit.ledger import notes
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import Signature, VerifierKey

LOG = signer("log.example/one")
OTHER = signer("other.example")
WITNESS = witness("witness.example/w1")
TEXT = "one\n\ntwo\n"
NOTE = notes.written(TEXT, [LOG.signature(TEXT)])

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(notes.is_key_name)
texts = st.text(st.characters(codec="utf-8", min_codepoint=0x20) | st.just("\n"), max_size=60).map(
    lambda text: text + "\n"
)


def verified(content: bytes, *keys: str | VerifierKey) -> dict[VerifierKey, int | None]:
    return notes.verified(notes.read(content), [VerifierKey.read(key) if isinstance(key, str) else key for key in keys])


def refused(content: bytes | str, match: str, *keys: VerifierKey) -> None:
    with pytest.raises(LedgerError, match=match):
        verified(content.encode() if isinstance(content, str) else content, *(keys or (LOG.key, OTHER.key)))


def test_the_example_of_the_specification_verifies() -> None:
    note = notes.read(EXAMPLE_NOTE.encode())
    key = VerifierKey.read(EXAMPLE_KEY)
    assert note.text == EXAMPLE_TEXT
    assert (key.name, key.key_id.hex(), key.key_type) == ("example.com/foo", "530d903a", notes.ED25519)
    assert notes.verified(note, [key]) == {key: None}
    refused(EXAMPLE_NOTE.replace("an example", "no example"), "does not fit the text", key)


def test_a_checkpoint_of_the_checksum_database_verifies() -> None:
    assert list(verified(SUMDB_NOTE.encode(), SUMDB_KEY).values()) == [None]
    refused(SUMDB_NOTE.replace("20852163", "20852164"), "does not fit the text", VerifierKey.read(SUMDB_KEY))


def test_a_cosignature_of_a_public_witness_verifies_with_its_time() -> None:
    witness_key = VerifierKey.read(WITNESS_KEY)
    assert witness_key.key_type == notes.COSIGNATURE
    assert verified(WITNESSED_NOTE.encode(), witness_key) == {witness_key: WITNESSED_TIME}
    assert len(notes.read(WITNESSED_NOTE.encode()).signatures) == 6
    refused(WITNESSED_NOTE.replace("1432088532", "1432088533"), "does not fit the text", witness_key)


@pytest.mark.parametrize("key", [EXAMPLE_KEY, SUMDB_KEY, WITNESS_KEY])
def test_a_verifier_key_is_written_as_it_was_read(key: str) -> None:
    assert str(VerifierKey.read(key)) == key
    assert VerifierKey.read(key) == VerifierKey.read(key)
    assert key in repr(VerifierKey.read(key))


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("", "a verifier key is"),
        ("example.com/foo", "a verifier key is"),
        (EXAMPLE_KEY.replace("+", "-"), "a verifier key is"),
        (EXAMPLE_KEY + "\n", "a verifier key is"),
        (EXAMPLE_KEY + "=", "a verifier key is"),
        (EXAMPLE_KEY[:-1], "a verifier key is"),
        (EXAMPLE_KEY[:-1] + "l", "key id"),
        ("example.com/foo+530d903a+", "a verifier key is"),
        (EXAMPLE_KEY.replace("530d903a", "530D903A"), "key id"),
        (EXAMPLE_KEY.replace("530d903a", "530d903b"), "key id"),
        (EXAMPLE_KEY.replace("530d903a", "0530d903a"), "key id"),
        (EXAMPLE_KEY.replace(".com", ".org"), "key id"),
        (EXAMPLE_KEY.removeprefix("example.com/foo"), "the name of a key"),
        (EXAMPLE_KEY.replace("/", " "), "the name of a key"),
        (EXAMPLE_KEY.replace("+Aek", "+Auk"), "type 0x02"),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "type 0x65"),
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", "a verifier key is"),
        # The point of order one, under which one signature would fit every message.
        ("a+00000000+" + notes.to_base64(b"\x01\x01" + bytes(31)), "not a valid Ed25519 public key"),
    ],
)
def test_what_is_no_verifier_key_is_refused(key: str, match: str) -> None:
    with pytest.raises(LedgerError, match=match):
        VerifierKey.read(key)


@given(names, st.binary(min_size=8, max_size=8), st.sampled_from([notes.ED25519, notes.COSIGNATURE]))
def test_verifier_keys_go_round(name: str, seed: bytes, key_type: int) -> None:
    key = signer(name, key_type, seed=seed.hex()).key
    read = VerifierKey.read(str(key))
    assert (read.name, read.public_key, read.key_type, read.key_id) == (name, key.public_key, key_type, key.key_id)
    assert (read == key, hash(read) == hash(key)) == (True, True)
    assert key != signer(name, key_type, seed="another").key


def test_a_name_has_no_white_space_of_unicode() -> None:
    # Unicode's property White_Space, from PropList.txt; those below U+0020 are control characters.
    spaces = [0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
    refused_letters = [code for code in range(sys.maxunicode + 1) if not notes.is_key_name(f"a{chr(code)}b")]
    assert refused_letters == sorted([*range(0x20), *spaces, ord("+"), *range(0xD800, 0xE000)])
    assert all(unicodedata.category(chr(code)) in {"Zs", "Zl", "Zp", "Cc"} for code in spaces)


@given(texts, st.lists(names, min_size=1, max_size=3, unique=True), st.integers(0, notes.LATEST_TIME))
def test_notes_go_round(text: str, signers: list[str], time: int) -> None:
    plain = [signer(name) for name in signers]
    content = notes.written(text, [*(one.signature(text) for one in plain), WITNESS.signature(text, time)])
    note = notes.read(content)
    assert note.text == text
    assert notes.written(note.text, note.signatures) == content
    assert notes.verified(note, [*(one.key for one in plain), WITNESS.key]) == {
        **{one.key: None for one in plain},
        WITNESS.key: time,
    }


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for whole in (content, content + NOTE, NOTE + content, TEXT.encode() + b"\n" + content):
        try:
            note = notes.read(whole)
        except LedgerError:
            continue
        assert notes.written(note.text, note.signatures) == whole


@given(st.integers(0, len(NOTE) * 8 - 1))
def test_no_bit_of_a_note_can_be_changed(bit: int) -> None:
    damaged = bytearray(NOTE)
    damaged[bit // 8] ^= 1 << bit % 8
    refused(bytes(damaged), ".")


def test_signatures_by_other_keys_are_ignored_and_kept() -> None:
    foreign = [Signature("grease.invalid", b"bogu", b"s"), OTHER.signature(TEXT), WITNESS.signature(TEXT, 5)]
    # A name or an id alone does not make a key known, and the same line may be there twice.
    look_alikes = [
        Signature(LOG.key.name, b"\0\0\0\0", bytes(64)),
        Signature(OTHER.key.name, LOG.key.key_id, bytes(64)),
        Signature("grease.invalid", b"bogu", b"s"),
    ]
    content = notes.written(TEXT, [*foreign, LOG.signature(TEXT), *look_alikes])
    assert verified(content, LOG.key) == {LOG.key: None}
    note = notes.read(content)
    assert [(one.name, one.key_id) for one in note.signatures][:1] == [("grease.invalid", b"bogu")]
    assert notes.written(note.text, note.signatures) == content


def test_one_public_key_of_two_types_is_two_keys() -> None:
    first, second = signer("n", notes.ED25519), signer("n", notes.COSIGNATURE)
    assert first.key.public_key == second.key.public_key
    content = notes.written(TEXT, [first.signature(TEXT), second.signature(TEXT, 7)])
    assert verified(content, first.key, second.key) == {first.key: None, second.key: 7}


def test_a_note_has_sixteen_signatures_of_the_largest_kind_and_up_to_a_hundred() -> None:
    large = [Signature(f"witness{number}.example", b"\0\0\0\0", bytes(2428)) for number in range(32)]
    assert verified(notes.written(TEXT, [*large, LOG.signature(TEXT)]), LOG.key)
    small = [Signature("w", b"\0\0\0\0", b"x")] * 99
    assert verified(notes.written(TEXT, [*small, LOG.signature(TEXT)]), LOG.key)
    refused(NOTE + Signature("w", b"\0\0\0\0", b"x").line().encode() * 100, "more than 100 signatures")


def test_a_note_that_is_too_large_is_refused() -> None:
    text = "x" * (notes.LARGEST_NOTE_BYTES - 200) + "\n"
    content = notes.written(text, [LOG.signature(text)])
    assert verified(content, LOG.key)
    refused(b"x" * 200 + content, "more than 262144 bytes")


LINE = LOG.signature(TEXT).line()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "a text, an empty line"),
        (TEXT, "signature line 1"),  # what is below its empty line would have to be signatures
        ("one\ntwo\n", "a text, an empty line"),
        (TEXT + "\n", "a text, an empty line"),
        (LINE, "a text, an empty line"),
        ("\n" + LINE, "a text, an empty line"),
        (f"{TEXT}\n{LINE}"[:-1], "a text, an empty line"),
        (f"{TEXT}{LINE}", "signature line 1"),
        (f"{TEXT}\n{LINE}more\n", "signature line 2"),
        (f"{TEXT}\n{LINE}\n", "a text, an empty line"),
        (f"{TEXT}\n{LINE}".replace("—", "-"), "signature line 1"),
        (f"{TEXT}\n{LINE}".replace("— ", "—  "), "signature line 1"),
        (f"{TEXT}\n{LINE}".replace("— ", "—\u00a0"), "signature line 1"),
        (f"{TEXT}\n {LINE}", "signature line 1"),
        (f"{TEXT}\n{LINE}".replace("log.example", "log example"), "signature line 1"),
        (f"{TEXT}\n{LINE}".replace("log.example", "log+example"), "signature line 1"),
        (f"{TEXT}\n{LINE}".replace("\n— log", "\r\n— log"), "control characters"),
        (f"{TEXT}\n{LINE}".replace("one", "o\tne"), "control characters"),
        (f"{TEXT}\n{LINE}".replace("one", "o\0ne"), "control characters"),
        (f"{TEXT}\n{LINE}"[:-2] + " \n", "signature line 1"),
        (f"{TEXT}\n{LINE}"[:-3] + "\n", "signature line 1"),
        (f"{TEXT}\n— a AAAA\n", "signature line 1"),
        (f"{TEXT}\n— a AAAAAA==\n", "signature line 1"),  # a key id and nothing more
        (f"{TEXT}\n— a AAAAAAB=\n", "signature line 1"),  # five bytes, but not their only text
        (f"{TEXT}\n— a AAAA AAAA\n", "signature line 1"),
        (f"{TEXT}\n— a \n", "signature line 1"),
        (f"{TEXT}\n— a\n", "signature line 1"),
        (f"{TEXT}\n— \n", "signature line 1"),
        (f"{TEXT}\n— a AAAAAAA=\n", "not signed by any key"),
        (f"{TEXT}\n{LINE}{LINE}", "two signatures"),
        (f"{TEXT}\n{LINE}".replace("two", "too"), "does not fit"),
        (f"{TEXT}\n{LINE}".replace(TEXT, TEXT + "\n"), "does not fit"),
    ],
)
def test_what_is_no_note_is_refused(content: str, match: str) -> None:
    refused(content, match)


@pytest.mark.parametrize("content", [b"\xff\n" + NOTE, NOTE.replace(b"one", b"\xed\xa0\x80"), b"\xc0\x8a" + NOTE])
def test_what_is_not_utf_8_is_refused(content: bytes) -> None:
    refused(content, "UTF-8")


@pytest.mark.parametrize("length", [1, 63, 65, 72])
def test_a_signature_of_a_known_key_that_is_malformed_is_an_error(length: int) -> None:
    line = Signature(LOG.key.name, LOG.key.key_id, bytes(length))
    good = OTHER.signature(TEXT)
    assert verified(notes.written(TEXT, [line, good]), OTHER.key)
    refused(notes.written(TEXT, [line, good]), "malformed")


@pytest.mark.parametrize("length", [1, 8, 64, 71, 73])
def test_a_cosignature_of_a_known_key_that_is_malformed_is_an_error(length: int) -> None:
    line = Signature(WITNESS.key.name, WITNESS.key.key_id, bytes(length))
    refused(notes.written(TEXT, [LOG.signature(TEXT), line]), "malformed", LOG.key, WITNESS.key)


def test_one_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    wrong = Signature(OTHER.key.name, OTHER.key.key_id, LOG.sign(TEXT.encode()))
    refused(notes.written(TEXT, [LOG.signature(TEXT), wrong]), "does not fit the text")


def test_the_time_of_a_cosignature_is_signed_and_limited() -> None:
    good = WITNESS.signature(TEXT, notes.LATEST_TIME)
    assert verified(notes.written(TEXT, [good]), WITNESS.key) == {WITNESS.key: notes.LATEST_TIME}
    for time, match in ((5, "does not fit"), (notes.LATEST_TIME + 1, "malformed")):
        moved = Signature(good.name, good.key_id, time.to_bytes(8, "big") + good.content[8:])
        refused(notes.written(TEXT, [moved]), match, WITNESS.key)


def test_two_keys_of_one_name_and_id_are_refused() -> None:
    impostor = VerifierKey(LOG.key.name, OTHER.key.public_key)
    impostor.key_id = LOG.key.key_id  # it takes four billion attempts to find one
    refused(NOTE, "two keys have the name", LOG.key, impostor)
    assert verified(NOTE, LOG.key, LOG.key)


def test_what_a_signer_returns_is_checked() -> None:
    for wrong in (b"", bytes(64), OTHER.sign(TEXT.encode()), LOG.sign(b"another text")):
        with pytest.raises(LedgerError, match="did not return a signature by log"):
            notes.signed_by(LOG.key, lambda _, wrong=wrong: wrong, TEXT)  # type: ignore[misc]


def test_the_message_of_a_cosignature_is_that_of_the_specification() -> None:
    seen = []

    def sign(message: bytes) -> bytes:
        seen.append(message)
        return WITNESS.sign(message)

    notes.signed_by(WITNESS.key, sign, "example.com/behind-the-sofa\n20852163\nCsUY=\n", 1679315147)
    assert seen == [b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUY=\n"]


@pytest.mark.parametrize(
    ("by", "time"),
    [(LOG, 5), (WITNESS, None), (WITNESS, -1), (WITNESS, notes.LATEST_TIME + 1)],
    ids=["signature", "no-time", "negative", "too-late"],
)
def test_a_cosignature_alone_has_a_time(by: Signer, time: int | None) -> None:
    with pytest.raises(LedgerError, match="a cosignature has a time"):
        by.signature(TEXT, time)


@pytest.mark.parametrize(
    ("text", "match"), [("", "newline"), ("a", "newline"), ("a\r\n", "control"), ("\t\n", "control")]
)
def test_what_cannot_be_the_text_of_a_note_is_neither_signed_nor_written(text: str, match: str) -> None:
    with pytest.raises(LedgerError, match=match):
        LOG.signature(text)
    with pytest.raises(LedgerError, match=match):
        notes.written(text, [LOG.signature(TEXT)])


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [Signature("a b", b"abcd", b"x")],
        [Signature("a", b"abcd", b"")],
        [Signature("a\n— b AAAAAAA=\n— c", b"abcd", b"x")],
        [Signature("a", b"abcd", b"x")] * 101,
        [Signature("a", b"abcd", bytes(notes.LARGEST_NOTE_BYTES))],
    ],
    ids=len,
)
def test_signatures_that_could_not_be_read_are_not_written(signatures: list[Signature]) -> None:
    with pytest.raises(LedgerError):
        notes.written(TEXT, signatures)


def test_no_error_quotes_what_is_not_verified() -> None:
    hostile = "click-here.example"
    for content in (f"{hostile}\n", f"{hostile}\n\n{hostile}\n", f"{TEXT}\n— {hostile} AAAAAAA=\n"):
        with pytest.raises(LedgerError) as caught:
            verified(content.encode(), LOG.key)
        assert hostile not in str(caught.value)
