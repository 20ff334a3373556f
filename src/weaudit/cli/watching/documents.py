"""A table's rules as the commands print them."""

from typing import TYPE_CHECKING, Any

from weaudit.capture.rules import PLACES
from weaudit.items.paths import path_text

if TYPE_CHECKING:
    from weaudit.capture.rules import Rules


def rules_document(rules: "Rules") -> dict[str, Any]:
    """Return rules as JSON shows them, with the places by the names of the options."""
    return {
        "from": rules.since,
        "actor": rules.actor,
        "fresh": rules.fresh,
        "subject": rules.subject,
        "requireReason": rules.requires_reason,
        **{name: [path_text(path) for path in getattr(rules, field)] for name, field in PLACES.items()},
    }


def compact(rules: "Rules") -> str:
    """Return how many places rules have of each kind, such as ``2 exclude, 1 redact``; "" if they have none."""
    counts = {name: len(getattr(rules, field)) for name, field in PLACES.items()}
    said = [f"{count} {name}" for name, count in counts.items() if count]
    return ", ".join([*said, *(["reason"] if rules.requires_reason else [])])
