"""A witness never cosigns two logs that differ, whatever it is sent and in whatever order."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.keys import Signer, signer, witness
from tests.ledger.trees import damaged
from weaudit.ledger import checkpoints, ed25519, notes
from weaudit.ledger import witness as witnesses
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.tiles import Tail, TileReader
from weaudit.ledger.witness import NOTHING, RefusedError, Request, Seen, approved, cosigned, read, written


@pytest.fixture(autouse=True)
def quick_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ed25519, "verify", functools.cache(ed25519.verify))


NAME = "weaudit/111122223333/eu-west-1/dev"
LOG = signer(NAME)
WITNESS = witness("witness.example/one")
LOGS = [signer("another.example").key, LOG.key]


@functools.cache
def tree(leaves: tuple[bytes, ...]) -> TileReader:
    tail = Tail()
    objects = dict([*tail.append(leaves), *tail.partial(0)])
    return TileReader(len(leaves), tail.edge().root(), objects.get)


def leaves(count: int, fork: int = 100) -> tuple[bytes, ...]:
    """Return the leaves of a log, in which those from ``fork`` on are others."""
    return tuple(b"%d%s" % (at, b"'" if at >= fork else b"") for at in range(count))


def seen(count: int, fork: int = 100) -> Seen:
    return Seen(count, tree(leaves(count, fork)).root)


def note(count: int, fork: int = 100, by: Signer = LOG, name: str = NAME) -> bytes:
    text = checkpoints.text_of(name, count, tree(leaves(count, fork)).root)
    return notes.written(text, [witness("other.example").signature(text, 5), by.signature(text)])


@functools.cache
def request(old_size: int, count: int, fork: int = 100) -> bytes:
    return written(old_size, tree(leaves(count, fork)).consistency_proof(old_size), note(count, fork))


def status(body: bytes, before: Seen) -> int:
    try:
        approved(read(body), LOGS, before)
    except RefusedError as error:
        return error.status
    return 200


def test_a_request_is_written_as_the_specification_shows_it() -> None:
    proof = tree(leaves(7)).consistency_proof(3)
    body = request(3, 7)
    head = "".join(f"{notes.to_base64(one)}\n" for one in proof)
    assert body == f"old 3\n{head}\n".encode() + note(7)
    asked = read(body)
    assert (asked.old_size, asked.proof, asked.origin) == (3, proof, NAME)


def test_a_witness_cosigns_a_log_that_grows() -> None:
    for old_size, count in ((0, 0), (0, 1), (0, 7), (3, 7), (4, 7), (7, 7), (7, 64)):
        before = seen(old_size)
        assert approved(read(request(old_size, count)), LOGS, before) == checkpoints.Checkpoint(NAME, *seen(count))
    assert seen(0) == NOTHING


@pytest.mark.parametrize(
    ("body", "before", "answer"),
    [
        (b"", NOTHING, 400),
        (b"old 0\n", NOTHING, 400),
        (b"old 0\n\n", NOTHING, 400),
        (request(3, 7).replace(b"old 3", b"old 03"), seen(3), 400),
        (request(3, 7).replace(b"old 3", b"old -3"), seen(3), 400),
        (request(3, 7).replace(b"old 3", b"new 3"), seen(3), 400),
        (request(3, 7).replace(b"old 3\n", b"old 3\nAAAA\n"), seen(3), 400),
        (request(3, 7).replace(b"old 3\n", b"old 3\n" + b"A" * 43 + b"=\n" * 60), seen(3), 400),
        (request(3, 7).replace(b"old 3\n", b"old 3\n" + (b"A" * 43 + b"=\n") * 61), seen(3), 400),
        (b"old 8\n\n" + note(7), seen(8), 400),
        (b"old 8\n\n" + note(7), NOTHING, 400),
        (written(0, [], note(7, name="unknown.example", by=signer("unknown.example"))), NOTHING, 404),
        (written(0, [], note(7, by=signer(NAME, seed="other"))), NOTHING, 403),
        (written(0, [], note(7)).replace(b"\n7\n", b"\n6\n"), NOTHING, 403),
        (request(3, 7), seen(4), 409),
        (request(3, 7), NOTHING, 409),
        (request(0, 7), seen(3), 409),
        (request(0, 7).replace(b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n"), NOTHING, 422),
        (request(7, 7).replace(b"old 7\n", b"old 7\n" + b"A" * 43 + b"=\n"), seen(7), 422),
        (b"old 3\n\n" + note(7), seen(3), 422),
        (request(3, 7, fork=2), seen(3), 422),
        (request(3, 3, fork=2), seen(3), 422),
        (written(3, tree(leaves(6)).consistency_proof(3), note(7)), seen(3), 422),
    ],
)
def test_a_witness_says_what_is_wrong_as_the_specification_does(body: bytes, before: Seen, answer: int) -> None:
    assert status(body, before) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"{NAME}\n0\n{notes.to_base64(bytes(32))}\n", 422),
        (f"{NAME}\n0\n{notes.to_base64(NOTHING.root)}\n", 200),
        (f"{NAME}\n00\n{notes.to_base64(NOTHING.root)}\n", 400),
        (f"{NAME}\n5\n", 400),
        (f"{NAME}\n5\n{notes.to_base64(bytes(31))}\n", 400),
    ],
)
def test_a_witness_cosigns_checkpoints_alone(text: str, answer: int) -> None:
    assert status(b"old 0\n\n" + notes.written(text, [LOG.signature(text)]), NOTHING) == answer


def test_a_witness_cosigns_no_proof_that_is_damaged() -> None:
    proof = tree(leaves(7)).consistency_proof(3)
    asked = read(request(3, 7))
    for wrong in damaged(proof)[::7]:
        with pytest.raises(RefusedError) as refused:
            approved(Request(3, wrong, asked.note, NAME), LOGS, seen(3))
        assert refused.value.status == 422


@functools.cache
def cosignature(text: str) -> bytes:
    return WITNESS.signature(text, 7).line().encode()


class Witness:
    """A witness with a memory, and a way to let others in between its two steps."""

    def __init__(self) -> None:
        self.seen, self.cosigned = NOTHING, set[tuple[int, bytes]]()
        self.between: Callable[[], Any] = lambda: None

    def post(self, body: bytes) -> tuple[int, bytes]:
        while True:
            before = self.seen
            try:
                found = approved(asked := read(body), LOGS, before)
            except RefusedError as error:
                return error.status, b"%d\n" % error.size if error.status == 409 else b""
            between, self.between = self.between, lambda: None
            between()
            if self.seen == before:  # and in one step:
                self.seen = Seen(found.size, found.root)
                self.cosigned.add((found.size, found.root))
                return 200, cosignature(asked.note.text)


SIZES = st.integers(0, 9)
# Old size, size, the leaf from which on the log is another one, and whether the next request comes in between.
REQUESTS = st.lists(st.tuples(SIZES, SIZES, st.sampled_from([0, 3, 6, 100]), st.booleans()), max_size=15)


@given(REQUESTS)
@settings(max_examples=60, deadline=None)
def test_a_witness_never_cosigns_a_fork(asked: list[tuple[int, int, int, bool]]) -> None:
    one, sizes = Witness(), []
    for old_size, count, fork, together in asked:
        if old_size > count:
            continue

        def send(old_size: int = old_size, count: int = count, fork: int = fork) -> None:
            # Once as it is asked, and once from where the witness is: that is the request which may succeed.
            for from_size in dict.fromkeys((old_size, min(one.seen.size, count))):
                one.post(request(from_size, count, fork))
                sizes.append(one.seen.size)

        if together:
            one.between = send
        else:
            send()
    assert sizes == sorted(sizes)
    logs = [fork for fork in (0, 3, 6, 100) if all(seen(size, fork).root == root for size, root in one.cosigned)]
    assert logs, "all that was cosigned is of one log"


# ---- what a log makes of it


def ask(post: Any, count: int = 7, old_size: int = 0, fork: int = 100) -> bytes:
    return cosigned(note(count, fork), WITNESS.key, old_size, tree(leaves(count, fork)).consistency_proof, post)


def signers(content: bytes) -> dict[notes.VerifierKey, int | None]:
    return notes.verified(notes.read(content), [LOG.key, WITNESS.key])


def test_a_log_has_its_checkpoints_cosigned() -> None:
    one = Witness()
    found = ask(one.post, 7)
    assert found.startswith(note(7))
    assert signers(found) == {LOG.key: None, WITNESS.key: 7}
    # What the witness remembers is not known here: it says so, and is asked again.
    assert signers(ask(one.post, 9, old_size=2)) == {LOG.key: None, WITNESS.key: 7}
    assert one.seen == seen(9)
    # Its older cosignature is replaced.
    again = cosigned(ask(one.post, 9, old_size=9), WITNESS.key, 9, tree(leaves(9)).consistency_proof, one.post)
    assert again.count("— witness.example/one".encode()) == 1


def test_a_log_that_was_written_anew_is_refused() -> None:
    one = Witness()
    ask(one.post, 7)
    for count in (7, 9):
        with pytest.raises(RefusedError) as refused:
            ask(one.post, count, fork=5)
        assert refused.value.status == 422
    with pytest.raises(RefusedError) as refused:
        ask(one.post, 6)
    assert (refused.value.status, refused.value.size) == (409, 7)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"\n"),
        (200, b"\xff"),
        (200, WITNESS.signature("another text\n", 7).line().encode()),
        (200, witness("stranger.example").signature(notes.read(note(7)).text, 7).line().encode()),
        (200, 2 * WITNESS.signature(notes.read(note(7)).text, 7).line().encode()),
        (200, b"text\n\n" + WITNESS.signature(notes.read(note(7)).text + "\ntext\n", 7).line().encode()),
        (409, b""),
        (409, b"3 \n"),
        (409, b"9" * 5000),
        (500, b""),
        (404, b"no such log"),
    ],
)
def test_a_log_believes_no_witness_that_does_not_cosign(answer: tuple[int, bytes]) -> None:
    asked = []

    def post(body: bytes) -> tuple[int, bytes]:
        asked.append(body)
        return answer

    with pytest.raises(LedgerError):
        ask(post)
    assert len(asked) == 1


def test_a_log_ignores_what_strangers_cosign_besides() -> None:
    text = notes.read(note(7)).text
    lines = witness("stranger.example").signature(text, 7).line() + WITNESS.signature(text, 8).line()
    found = ask(lambda _: (200, lines.encode()))
    assert signers(found) == {LOG.key: None, WITNESS.key: 8}
    assert b"stranger.example" not in found


@given(st.binary(max_size=200))
def test_a_body_is_a_request_or_is_refused(body: bytes) -> None:
    for one in (body, b"old 3\n" + body, b"old 3\n\n" + body):
        try:
            asked = read(one)
        except RefusedError:
            pass
        else:
            content = notes.written(asked.note.text, asked.note.signatures)
            assert witnesses.written(asked.old_size, asked.proof, content) == one
