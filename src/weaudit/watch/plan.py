"""What watching a table takes, as a value and in words: what will be done, and what its owner should know. Pure."""

from dataclasses import dataclass
from typing import Any

from weaudit.capture.configuration import ALWAYS, faults_of, versions_of
from weaudit.capture.rules import Rules
from weaudit.values import replaced

VIEW = "NEW_AND_OLD_IMAGES"


@dataclass(frozen=True, slots=True)
class Plan:
    """What watching a table takes; nothing if ``steps`` is empty. ``notes`` are what its owner should know.

    ``versions`` are all versions of the table's rules, to be written, or () if they stay as they are.
    """

    table: str
    stack: str
    steps: tuple[str, ...]
    notes: tuple[str, ...]
    turn_on: bool
    deploy: bool
    resume: str
    versions: tuple[Rules, ...]
    parameters: dict[str, str]


def versions(
    item: dict[str, Any] | None, default: str, actor: str | None, fresh: str | None, later: str, *, recorded: bool
) -> tuple[Rules, ...]:
    """Return all versions of a table's rules with one more that is in force from ``later``; () if nothing is to write.

    ``item`` is the table's configuration item as it is, and ``default`` the actor attribute of tables without one. None
    leaves the attribute as it is, "" means none. A table's first version is in force always, but of a table whose
    changes are ``recorded`` already it is the rules by which they are recorded now.
    """
    if actor is None and fresh is None:
        return ()
    known = versions_of(item)
    unreadable = bool(faults_of(item))
    last = known[-1] if known else Rules(ALWAYS, default)
    # The rest stays as it is: an item's subject can never change.
    wanted = replaced(
        last,
        since=ALWAYS,
        actor=last.actor if actor is None else actor,
        fresh=last.fresh if fresh is None else fresh,
    )
    same = (last.actor, last.fresh) == (wanted.actor, wanted.fresh)
    if not known and (same or not recorded):
        return (wanted,)
    if same:
        # What cannot be read goes by the next write.
        return known if unreadable else ()
    return (*(known or (last,)), replaced(wanted, since=later))


def steps(
    table: str,
    name: str,
    rules: Rules | None,
    configuration: str,
    *,
    turn_on: bool,
    deploy: bool,
    new: bool,
    resume: str,
) -> tuple[str, ...]:
    """Say what is done to watch ``table``, in this order; ``configuration`` is the table that holds its rules."""
    found = []
    if turn_on:
        found.append(f"turn the stream of {table} on, with old and new images")
    if rules is not None:
        what = (
            f"writers of {table} state who they are in {rules.actor!r}" if rules.actor else f"{table} states no actor"
        )
        confirmed = f", and confirm it by changing {rules.fresh!r}" if rules.fresh else ""
        later = "" if rules.since == ALWAYS else f", from {rules.since} on"
        found.append(f"write into {configuration} that {what}{confirmed}{later}")
    if deploy:
        verb = "create" if new else "update"
        found.append(f"{verb} the stack {name}: audit_producer may read this stream, and gets its changes")
    if resume:
        found.append("switch the mapping on again, which was switched off by hand")
    return tuple(found)


def notes(description: Any, stream: str, other_readers: int, *, new: bool) -> tuple[str, ...]:
    """Say what the table's owner should know; ``description`` is DescribeTable's, ``stream`` "" where it is off."""
    found = []
    if not stream:
        found.append(
            "If a template manages this table, turn the stream on there too, or its next deployment undoes it."
        )
    elif new:
        found.append("The stream is on already: changes of up to 24 hours ago are audited too.")
        if other_readers:
            found.append(
                f"{other_readers} other mapping(s) read this stream. DynamoDB serves two readers; more get throttled."
            )
    if description.get("ItemCount") != 0:
        found.append("Items that are in the table already have a trail from their next change on.")
    if description.get("Replicas"):
        regions = ", ".join(sorted(replica["RegionName"] for replica in description["Replicas"]))
        found.append(
            f"This is a global table (replicas: {regions}). Watch it in this region alone: changes made in the "
            "others arrive here as well, and a second watch would record each of them twice."
        )
    return tuple(found)


def other_view(table: str, view: str) -> str:
    """Say why a stream that shows ``view`` is not turned over for an audit, and what its owner can do."""
    return (
        f"the stream of {table} shows {view}, and an audit needs {VIEW}\n"
        "DynamoDB cannot change a stream in place: it would have to be turned off and on again, as a new stream. Those "
        "who read it now would get nothing more until they are pointed at the new one, and what they had not read by "
        "then would be lost to them. WeAudit does not do that for you: turn it off (`aws dynamodb update-table "
        f"--table-name {table} --stream-specification StreamEnabled=false`), run this again, and point them at the "
        "new stream."
    )
