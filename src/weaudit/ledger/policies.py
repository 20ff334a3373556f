"""Policies (c2sp.org/tlog-policy): the file that says which logs and witnesses a verifier trusts.

Each line defines one thing, and a group or the quorum may use only what is defined above it::

    log <verifier key> [<url>]
    witness <name> <verifier key> [<url>]
    group <name> all|any|<number> <name>...
    quorum none|<name>

A checkpoint is good if one of the logs has signed it under its own name, and the quorum has cosigned it.
"""

from __future__ import annotations

from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import COSIGNATURE, ED25519, VerifierKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LARGEST_POLICY_BYTES = 65_536
"""Of a file that is read: several hundred logs, witnesses and groups; the specification asks for 32 of each."""

NO_WITNESS = b"none"
_ALLOWED_BYTES = bytes([*b"\t\n", *range(0x20, 0x7F), *range(0x80, 0x100)])


class Group:
    """A group of the policy: it has witnessed what at least ``least`` of its members have."""

    __slots__ = ("least", "members")

    def __init__(self, least: int, members: Sequence[bytes]) -> None:
        self.least, self.members = least, tuple(members)


class Policy:
    """What a verifier trusts: logs; witnesses and groups by name, in their order; the name that is the quorum, or none.

    Names are bytes, as the specification has them. `read` makes sure that every name is defined before it is used.
    """

    __slots__ = ("groups", "logs", "quorum", "witnesses")

    def __init__(
        self,
        logs: Sequence[VerifierKey],
        witnesses: dict[bytes, VerifierKey],
        groups: dict[bytes, Group],
        quorum: bytes = NO_WITNESS,
    ) -> None:
        self.logs, self.witnesses, self.groups, self.quorum = tuple(logs), witnesses, groups, quorum

    def keys(self) -> list[VerifierKey]:
        """Return the keys of all logs and witnesses."""
        return [*self.logs, *self.witnesses.values()]

    def require(self, origin: str, signed: Collection[VerifierKey]) -> None:
        """Raise LedgerError unless these keys, by which a checkpoint of this origin is signed, are enough."""
        if not any(log in signed and log.name == origin for log in self.logs):
            raise LedgerError("the checkpoint is not signed by a log of the policy that has its origin as its name")
        if not self.is_witnessed(signed):
            witnesses = sum(key in signed for key in self.witnesses.values())
            raise LedgerError(
                f"the checkpoint is cosigned by {witnesses} of the policy's {len(self.witnesses)} witnesses, "
                "and that is not its quorum"
            )

    def is_witnessed(self, signed: Collection[VerifierKey]) -> bool:
        """Return whether cosignatures by these keys are a quorum."""
        witnessed = {name for name, key in self.witnesses.items() if key in signed} | {NO_WITNESS}
        for name, group in self.groups.items():
            if sum(member in witnessed for member in group.members) >= group.least:
                witnessed.add(name)
        return self.quorum in witnessed


def of_log(log: VerifierKey) -> Policy:
    """Return the policy that trusts this log, and asks for no witness."""
    return Policy([log], {}, {})


def text_of(log: VerifierKey, witness: VerifierKey | None = None) -> str:
    """Return the file of a policy that trusts this log, if this witness, where there is one, has cosigned."""
    if witness is None:
        return f"log {log}\nquorum none\n"
    return f"log {log}\nwitness witness {witness}\nquorum witness\n"


def read(content: bytes) -> Policy:
    """Return the policy of a file; raises LedgerError, with the number of the line, if it is not one."""
    if len(content) > LARGEST_POLICY_BYTES:
        raise LedgerError(f"the policy has more than {LARGEST_POLICY_BYTES} bytes")
    if content.translate(None, _ALLOWED_BYTES):
        raise LedgerError("a policy has no control characters but tabs and newlines")
    # Without its end, the last line might say something weaker.
    if not content.endswith(b"\n"):
        raise LedgerError("every line of a policy is ended by a newline, the last one as well")
    reader = _Reader()
    for number, line in enumerate(content.split(b"\n"), 1):
        if (words := line.split()) and not words[0].startswith(b"#"):
            try:
                reader.take(*words)
            except LedgerError as error:
                raise LedgerError(f"line {number} of the policy: {error}") from None
    if reader.quorum is None:
        raise LedgerError("a policy has one quorum line, and this one has none")
    return Policy(reader.logs, reader.witnesses, reader.groups, reader.quorum)


class _Reader:
    """What the lines read so far define."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[bytes, VerifierKey] = {}
        self.groups: dict[bytes, Group] = {}
        self.quorum: bytes | None = None
        self._members: set[bytes] = set()
        self._public_keys: set[tuple[int, bytes]] = set()

    def take(self, kind: bytes, *words: bytes) -> None:
        """Add what one line defines; raises LedgerError if it cannot be added."""
        match kind, *words:
            case (b"log", key) | (b"log", key, _):
                self.logs.append(self._key(key, ED25519))
            case (b"witness", name, key) | (b"witness", name, key, _):
                self._define(name)
                self.witnesses[name] = self._key(key, COSIGNATURE)
            case (b"group", name, least, *members) if members:
                self._define(name)
                self.groups[name] = self._group(least, members)
            case (b"quorum", name):
                if self.quorum is not None:
                    raise LedgerError("there is a quorum line already")
                if name != NO_WITNESS:
                    self._require_defined(name)
                self.quorum = name
            case _:
                raise LedgerError("this is not a line that defines a log, a witness, a group or the quorum")

    def _define(self, name: bytes) -> None:
        if name == NO_WITNESS or name in self.witnesses or name in self.groups:
            raise LedgerError("the name is defined already")

    def _require_defined(self, name: bytes) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise LedgerError("it uses a name that no line above it defines")

    def _key(self, text: bytes, key_type: int) -> VerifierKey:
        try:
            key = VerifierKey.read(text.decode())
        except UnicodeDecodeError:
            raise LedgerError("the verifier key is not UTF-8") from None
        if key.key_type != key_type:
            raise LedgerError(f"the key must be of type {key_type:#04x}")
        # The same key under two names would count twice.
        if (key_type, key.public_key) in self._public_keys:
            raise LedgerError("another line has the same public key")
        self._public_keys.add((key_type, key.public_key))
        return key

    def _group(self, least: bytes, members: Sequence[bytes]) -> Group:
        for member in members:
            self._require_defined(member)
            if member in self._members:
                raise LedgerError("a name can be a member of one group only, and once")
            self._members.add(member)
        if least in (b"all", b"any"):
            return Group(len(members) if least == b"all" else 1, members)
        # The length first: it bounds the work of reading the number.
        if not least.isdigit() or len(least) > 9 or least[:1] == b"0" or int(least) > len(members):
            raise LedgerError("a group needs 'all', 'any' or a number from 1 to that of its members")
        return Group(int(least), members)
