"""The rules of a watched table, and what else governs how a change is recorded."""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.capture.masking import Path


@value
class Rules:
    """The rules of a table from one time on: a change is recorded by the rules of its own time, however late it comes.

    ``actor`` names the attribute in which the table's writers name themselves, "" if there is none; a write that
    changes the attribute ``fresh`` confirms what the actor attribute says. ``masked`` are the places whose values are
    not kept, and ``digest`` (8 bytes) names these rules in the records, b"" if nothing is masked. ``subject`` says
    what the subject of an item is (capture.subjects), "" if it has none.
    """

    since: str = ""  # ISO 8601, UTC; "" for always
    actor: str = ""
    fresh: str = ""
    masked: tuple[Path, ...] = ()
    digest: bytes = b""
    subject: str = ""


@value
class Erasure:
    """Who erased the values of a subject, and when (ISO 8601, UTC)."""

    by: str
    at: str


@value
class Terms:
    """All that governs how one change is recorded, besides the change.

    ``secret`` (32 bytes) hides the item's values, and ``kid`` names it; an ``erasure`` has taken the secret away.
    ``origin`` (32 bytes) marks records as ours. A value whose canonical text is longer than ``inline_bytes`` goes to
    the evidence bucket, ``bucket``.
    """

    rules: Rules
    secret: bytes
    kid: bytes
    origin: bytes
    bucket: str
    inline_bytes: int
    erasure: Erasure | None = None
