"""What watching a table takes, as a value and in words: what will be done, and what its owner should know. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from weaudit.capture.configuration import ALWAYS, watch_item
from weaudit.capture.rules import PLACES, Rules
from weaudit.errors import InvalidInputError
from weaudit.items.paths import Path, path_text
from weaudit.items.sizes import LARGEST_ITEM_BYTES, item_bytes
from weaudit.values import replaced
from weaudit.watch.ruling import Ruling
from weaudit.watch.wishes import Wish

VIEW = "NEW_AND_OLD_IMAGES"
_MEANINGS = {
    "exclude": ("excluded", "in no record and no hash"),
    "ignore": ("ignored", "changes of nothing else make no record"),
    "redact": ("redacted", "records show a change, and no value"),
    "hash": ("hashed", "records show keyed hashes in place of values"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What watching a table takes; nothing if ``steps`` is empty. ``notes`` are what its owner should know.

    ``versions`` are all versions of the table's rules, to be written, or () if they stay as they are. They follow from
    the ``wish`` and from ``item``, which Configuration held (None if it held none), of a table with this ``key``;
    ``recorded`` says whether its changes are recorded already.
    """

    table: str
    stack: str
    steps: tuple[str, ...]
    notes: tuple[str, ...]
    turn_on: bool = False
    deploy: bool = False
    resume: str = ""
    versions: tuple[Rules, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    wish: Wish = field(default_factory=Wish)
    item: dict[str, Any] | None = None
    key: tuple[str, ...] = ()
    recorded: bool = False


def versions(ruling: Ruling, wish: Wish, later: str, key: Collection[str], *, recorded: bool) -> tuple[Rules, ...]:
    """Return all versions of a table's rules with one more that is in force from ``later``; () if nothing is to write.

    ``key`` are the table's key attributes. A table's first version is in force always, but of a table whose changes are
    ``recorded`` already it is the rules by which they are recorded now. If the item holds versions and none is valid,
    changes wait for rules: they must not be recorded by such as hide nothing, so the new version governs all of them.
    Raises InvalidInputError, which says what would be right, if the new rules are not valid.
    """
    if not wish.given:
        return ()
    last = replaced(ruling.latest, since=ruling.latest.since or ALWAYS)
    wished = wish.applied(last, key)
    same = wished == last
    if not ruling.versions and (ruling.item is not None or same or not recorded):
        return (replaced(wished, since=ALWAYS),)
    if same:
        # What is not valid goes by the next write.
        return ruling.versions if ruling.faults else ()
    # One that was still to come is a part of the new one, which every function has read by then.
    earlier = [rules for rules in ruling.versions or (last,) if rules.since < later]
    return (*earlier, replaced(wished, since=later))


def check_size(table: str, found: tuple[Rules, ...]) -> None:
    """Raise InvalidInputError if an item of DynamoDB cannot hold these versions of a table's rules."""
    size = item_bytes(watch_item(table, found))
    if size > LARGEST_ITEM_BYTES:
        raise InvalidInputError(
            f"the rules of {table} would take {size:,} bytes in {len(found)} versions, and an item holds "
            f"{LARGEST_ITEM_BYTES:,}\n"
            "Name fewer or shorter places. A version that another replaced more than 30 days ago governs nothing that "
            f"can still be delivered: it may be removed from the item WATCH/{table}."
        )


def steps(
    table: str, name: str, rules: Iterable[str], *, turn_on: bool, deploy: bool, new: bool, resume: str
) -> tuple[str, ...]:
    """Say what is done to watch ``table``, in this order; ``rules`` is what :func:`rules_steps` says."""
    found = []
    if turn_on:
        found.append(f"turn the stream of {table} on, with old and new images")
    found.extend(rules)
    if deploy:
        verb = "create" if new else "update"
        found.append(f"{verb} the stack {name}: audit_producer may read this stream, and gets its changes")
    if resume:
        found.append("switch the mapping on again, which was switched off by hand")
    return tuple(found)


def rules_steps(table: str, ruling: Ruling, found: tuple[Rules, ...], configuration: str) -> tuple[str, ...]:
    """Say what is written of a table's rules, of which ``found`` are to be all versions, () if they stay.

    ``configuration`` is the table that holds them.
    """
    if not found:
        return ()
    said = [f"drop from {configuration} what is not valid of the rules of {table}: {fault}" for fault in ruling.faults]
    said += [
        f"drop from {configuration} the rules of {table} that were to be in force from {rules.since} on"
        for rules in ruling.versions
        if rules not in found
    ]
    first = len(found) == 1 and found != ruling.versions
    if words := _differences(table, None if first else ruling.latest, found[-1]):
        later = "" if found[-1].since == ALWAYS else f", from {found[-1].since} on,"
        said.append(f"write into {configuration} that{later} {'; '.join(words)}")
    return tuple(said)


def _differences(table: str, before: Rules | None, after: Rules) -> list[str]:
    """Say what rules say otherwise than those before, or all that they say if there are none before."""
    old = before or Rules()
    said = []
    if before is None or (old.actor, old.fresh) != (after.actor, after.fresh):
        actor = (
            f"writers of {table} state who they are in {after.actor!r}" if after.actor else f"{table} states no actor"
        )
        said.append(actor + (f", and confirm it by changing {after.fresh!r}" if after.fresh else ""))
    for name, (word, meaning) in _MEANINGS.items():
        earlier, later = (set(getattr(rules, PLACES[name])) for rules in (old, after))
        if new := later - earlier:
            said.append(f"{_listed(new)} {_are(new)} {word} ({meaning})")
        if gone := earlier - later:
            said.append(f"{_listed(gone)} {_are(gone)} no longer {word}")
    if set(old.only) != set(after.only):
        said.append(
            f"only the key and {_listed(after.only)} are recorded" if after.only else "all attributes are recorded"
        )
    if old.requires_reason != after.requires_reason:
        must = "must" if after.requires_reason else "need not"
        said.append(f"an update through table-update-function {must} say why")
    return said


def _listed(places: Iterable[Path]) -> str:
    texts = [f"'{path_text(path)}'" for path in sorted(places, key=path_text)]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _are(places: Collection[Path]) -> str:
    return "is" if len(places) == 1 else "are"


def rules_notes(
    table: str, ruling: Ruling, found: tuple[Rules, ...], description: Any, *, holds_rules: bool
) -> tuple[str, ...]:
    """Say what the table's owner should know of rules, of which ``found`` are to be all versions, () if they stay.

    ``description`` is DescribeTable's; ``holds_rules`` says that the table is Configuration itself.
    """
    if not found:
        if not ruling.faults:
            return ()
        others = "those before stay in force" if ruling.versions else "no other is, so the changes of the table wait"
        return (
            f"Not all rules of {table} are valid, and {others}: {'; '.join(ruling.faults)}. Name the rules anew, as "
            f"options; `weaudit rules {table}` shows what there is.",
        )
    said = []
    after, before = found[-1], ruling.latest
    if ruling.item is not None and not ruling.versions:
        said.append(
            f"No version of these rules was valid: the changes of {table} that wait are recorded by the new one."
        )
    if after.digest != before.digest:
        if after.since != ALWAYS:
            said.append(
                f"Records that were made before stay as they are: `weaudit rules {table}` shows what in the trail is "
                "older than a rule."
            )
        if holds_rules:
            said.append("The items WATCH/… and HOLD/… are recorded whole all the same.")
        hidden = sorted(_index_keys(description) & {path[0] for path in after.excluded + after.masked})
        if hidden:
            said.append(
                f"No record will have the keys of indexes {', '.join(map(repr, hidden))}: a deleted item could not be "
                "put back from its record. --ignore leaves them in the records, and makes none for them alone."
            )
    return tuple(said)


def _index_keys(description: Any) -> set[str]:
    indexes = [*description.get("GlobalSecondaryIndexes", ()), *description.get("LocalSecondaryIndexes", ())]
    names = {part["AttributeName"] for index in indexes for part in index["KeySchema"]}
    return names - {part["AttributeName"] for part in description["KeySchema"]}


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
