"""A witness cosigns what the sealer publishes, and holds nothing up where it does not."""

import json
from collections.abc import Mapping

import pytest

from tests.ledger.keys import witness
from tests.sealing.worlds import NAME, SIGNER, Killed, World, unanswered
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.handlers import ledger_sealer
from weaudit.ledger import notes, policies
from weaudit.ledger import witness as witnesses
from weaudit.ledger.checkpoints import CHECKPOINT, archived, opened
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT
from weaudit.ledger.witness import RefusedError, Seen
from weaudit.witnessing.asking import Asking, is_finding

WITNESS = witness("witness.example/one")
POLICY = policies.read(f"log {SIGNER.key}\nwitness w {WITNESS.key}\nquorum w\n".encode())
SETTINGS = {"AWS_REGION": "eu-west-1", "WITNESS_URL": "https://abc.lambda-url.eu-central-1.on.aws/"}


class Memory:
    """A witness that remembers one log; ``error`` is raised in place of its answer."""

    def __init__(self) -> None:
        self.seen = witnesses.NOTHING
        self.asked: list[int] = []
        self.error: Exception | None = None

    def post(self, body: bytes) -> tuple[int, bytes]:
        if self.error is not None:
            raise self.error
        request = witnesses.read(body)
        self.asked.append(request.old_size)
        try:
            found = witnesses.approved(request, [SIGNER.key], self.seen)
        except RefusedError as error:
            return error.status, b"%d\n" % error.size if error.status == witnesses.CONFLICT else b""
        self.seen = Seen(found.size, found.root)
        return 200, notes.written(request.note.text, [WITNESS.signature(request.note.text, 5)]).split(b"\n\n")[1]


class Witnessed(World):
    """A world with a witness; each sealer is a new process, which does not know what the witness remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.witness = Memory()
        self.errors: list[Exception] = []
        self.restart()

    def restart(self) -> None:
        self.cosigned = Asking(WITNESS.key, self.witness.post, self.errors.append).cosigned

    def published(self) -> int:
        """Return the size of the published checkpoint, which is cosigned."""
        return opened(self.bucket.body(CHECKPOINT) or b"", POLICY)[0].size


def test_what_is_published_is_cosigned_and_the_archive_has_the_logs_own_note() -> None:
    world = Witnessed()
    sealer = world.sealer()
    sizes = []
    for name in "abc":
        world.log_row(name)
        world.run(sealer)
        sizes.append(world.published())
        [line] = notes.read(world.bucket.body(archived(sizes[-1])) or b"").signatures
        assert line.name == NAME
    assert sizes == [2, 4, 6]
    assert world.witness.asked == [0, 2, 4]
    world.restart()
    world.log_row("d")
    world.run()
    assert world.published() == 8
    assert world.witness.asked[3:] == [0, 6]
    assert world.errors == []
    world.assert_whole()


@pytest.mark.parametrize("error", [unanswered(), StoreRefusedError("no", status=403)], ids=["silent", "denied"])
def test_a_witness_that_does_not_answer_holds_nothing_up(error: Exception) -> None:
    world = Witnessed()
    sealer = world.sealer()
    world.log_row("a")
    world.run(sealer)
    world.witness.error = error
    world.log_row("b")
    assert world.run(sealer).sealed == 1
    assert world.checkpoint().size == 4
    assert world.bucket.body(CHECKPOINT) == world.bucket.body(archived(4))
    assert world.errors == [error]
    assert not is_finding(error)
    world.witness.error = None
    world.log_row("c")
    world.run(sealer)
    assert world.published() == 6
    world.assert_whole()


@pytest.mark.parametrize(("size", "found"), [(1, True), (9, False)], ids=["another", "a longer one"])
def test_a_witness_that_has_seen_another_log_is_a_finding(size: int, *, found: bool) -> None:
    seen = Seen(size, EMPTY_ROOT)
    world = Witnessed()
    world.witness.seen = seen
    world.log_row("a")
    world.run()
    assert world.bucket.body(CHECKPOINT) == world.bucket.body(archived(2))
    [error] = world.errors
    assert is_finding(error) == found
    assert world.witness.seen == seen


def test_a_signature_that_is_none_of_the_witness_is_not_published() -> None:
    world = Witnessed()
    world.log_row("a")
    text = "another\n1\n" + notes.to_base64(EMPTY_ROOT) + "\n"
    forged = notes.written(text, [WITNESS.signature(text, 5)]).split(b"\n\n")[1]
    world.cosigned = Asking(WITNESS.key, lambda _: (200, forged), world.errors.append).cosigned
    world.run()
    assert world.bucket.body(CHECKPOINT) == world.bucket.body(archived(2))
    assert [(type(error), is_finding(error)) for error in world.errors] == [(LedgerError, False)]


def test_a_sealer_that_is_killed_while_the_witness_thinks_leaves_what_the_next_one_publishes() -> None:
    world = Witnessed()
    world.log_row("a")

    def killed(*_: object) -> bytes:
        raise Killed

    world.cosigned = killed
    with pytest.raises(Killed):
        world.run()
    world.restart()
    world.run()
    assert world.checkpoint().size == 2
    world.log_row("b")
    world.run()
    assert (world.published(), world.said()) == (4, [("log", "a"), ("log", "b")])
    world.assert_whole()


# ---- the function


def sealers_witness(settings: Mapping[str, str]) -> object:
    return ledger_sealer.connect(settings)["ledger"]._witness


def test_the_function_asks_the_witness_that_its_settings_name() -> None:
    assert sealers_witness({"AWS_REGION": "eu-west-1"}) is None
    assert isinstance(sealers_witness({**SETTINGS, "WITNESS_KEY": str(WITNESS.key)}), Asking)
    for key in ("", "abc", str(SIGNER.key)):
        with pytest.raises(InvalidInputError, match="WITNESS_KEY"):
            sealers_witness({**SETTINGS, "WITNESS_KEY": key})


def test_a_refusal_is_logged_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    ledger_sealer._not_cosigned(unanswered())
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["level"] == "WARNING"
    assert "findings" not in line
    ledger_sealer._not_cosigned(RefusedError(422, "the witness answers 422"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["findings"] for one in lines if "findings" in one] == [1]
