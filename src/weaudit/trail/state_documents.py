"""Past states as plain JSON, as `--json` prints them and the API returns them (docs/formats/states-json.md)."""

from __future__ import annotations

import json

from weaudit.capture.rules import places_text
from weaudit.items.plain import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.items.differences import Difference
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.states import AsOf, Between


def as_of_document(
    state: AsOf, table: str, item_key: str, *, at: str | None = None, sequence: str | None = None
) -> dict[str, Any]:
    """Return a state and what was asked; ``exists`` is null if the trail does not show whether the item existed."""
    asked = {"at": at} if sequence is None else {"sequence": sequence}
    item = None if state.item is None else plain({"M": state.item})
    return {"tableName": table, "itemKey": item_key, **asked, **_state(state), "item": item}


def between_document(found: Between, table: str, item_key: str, since: str, until: str) -> dict[str, Any]:
    """Return what changed between two states, and everything about each state except the item."""
    return {
        "tableName": table,
        "itemKey": item_key,
        "from": since,
        "to": until,
        "complete": found.complete,
        "differences": [_difference(place) for place in found.differences],
        "unknown": list(found.unknown),
        "before": _state(found.before),
        "after": _state(found.after),
    }


def _state(state: AsOf) -> dict[str, Any]:
    found: dict[str, Any] = {
        "exists": state.exists,
        "complete": state.complete,
        "problems": [{"code": problem.code, "message": problem.message} for problem in state.problems],
        "unknown": list(state.unknown),
    }
    if state.rules is not None and state.rules.digest:
        found["rules"] = json.loads(places_text(state.rules))
    for name, change in (("lastChange", state.last_change), ("nextChange", state.next_change)):
        if change is not None:
            found[name] = _identity(change)
    return found


def _identity(change: AuditedChange) -> dict[str, Any]:
    """Return the fields that identify a change, without its values."""
    found: dict[str, Any] = {
        "modificationTime": change.at,
        "sequenceNumber": change.sequence,
        "eventName": change.event_name,
        "changeId": change.change_id,
        "actor": None if change.actor is None else {"kind": change.actor.kind, "name": change.actor.name},
        "reason": change.reason,
        "recordIds": list(change.record_ids),
    }
    return {name: value for name, value in found.items() if value is not None}


def _difference(place: Difference) -> dict[str, Any]:
    found: dict[str, Any] = {"path": list(place.path)}
    for name, value in (("oldValue", place.old), ("newValue", place.new)):
        if value is not None:
            found[name] = plain(value)
    return {**found, "member": True} if place.member else found
