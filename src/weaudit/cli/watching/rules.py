"""`weaudit rules`: by which rules a table is recorded, what others would do, and what is older than they are."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.capture.rules import PLACES
from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels
from weaudit.cli.watching.documents import rules_document
from weaudit.cli.watching.options import (
    ActorOption,
    ExcludeOption,
    FreshOption,
    HashOption,
    IgnoreOption,
    OnlyOption,
    ReasonOption,
    RedactOption,
    TableArgument,
)
from weaudit.errors import InvalidInputError

if TYPE_CHECKING:
    from weaudit.capture.rules import Rules
    from weaudit.watch.reviewing import Older, Review
    from weaudit.watch.trying import Trial

_FATES = {
    "exclude": "not recorded",
    "only": "not recorded",
    "redact": "redacted",
    "hash": "hashed",
    "ignore": "ignored",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.WATCHED_TABLES)(rules)


def rules(
    table: TableArgument,
    try_: Annotated[
        bool,
        typer.Option("--try", help="Say what the rules would make of the latest changes; change nothing."),
    ] = False,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many changes of the trail to look at.")] = 100,
    actor: ActorOption = None,
    fresh: FreshOption = None,
    exclude: ExcludeOption = None,
    ignore: IgnoreOption = None,
    redact: RedactOption = None,
    hash_: HashOption = None,
    only: OnlyOption = None,
    require_reason: ReasonOption = None,
    as_json: JsonDocumentOption = False,
) -> None:
    """Show the rules by which a table's changes are recorded, and what in the trail is older than a rule.

    Exit code 1 if some of them are not valid.

    With --try, applies the latest rules, or what the options would make of them, to changes that are in the trail. The
    options are those of `weaudit watch`.

    Example: weaudit rules orders --try --ignore updatedAt --redact card.number
    """
    from weaudit.installation.outputs import Installation
    from weaudit.watch.reviewing import Review
    from weaudit.watch.wishes import Wish

    wish = Wish.of(actor, fresh, require_reason, exclude=exclude, ignore=ignore, redact=redact, hash=hash_, only=only)
    if wish.given and not try_:
        raise InvalidInputError(
            "this command shows rules and sets none\n"
            "Add --try to see what these would do; `weaudit watch` sets them, by the same options."
        )
    review = Review.of(Installation.find(), table)
    if try_:
        tried = review.wished(wish)
        _show_trial(review, tried, review.tried(tried, last), as_json=as_json)
        return
    older = review.older(last)
    if as_json:
        output.print_json(_document(review, older))
    else:
        _show(review, older)
    raise typer.Exit(output.EXIT_FAILED if review.ruling.faults else output.EXIT_FINE)


def _document(review: "Review", older: "list[Older]") -> dict[str, Any]:
    ruling = review.ruling
    return {
        "table": review.table,
        "versions": [{**rules_document(rules), "state": _state(review, rules)} for rules in ruling.versions],
        "faults": list(ruling.faults),
        "older": [
            {
                "place": one.place,
                "rule": one.rule,
                "since": one.since,
                "lookedAt": one.looked_at,
                "inTheClear": one.changes,
                **({"latest": one.latest} if one.changes else {}),
            }
            for one in older
        ],
    }


def _state(review: "Review", rules: "Rules") -> str:
    if rules == review.ruling.in_force:
        return "in force"
    return "pending" if rules.since > review.ruling.now else "past"


def _show(review: "Review", older: "list[Older]") -> None:
    table, ruling = review.table, review.ruling
    if ruling.versions:
        rows = (
            (
                rules.since, _state(review, rules), rules.actor or "-", rules.fresh or "-", rules.subject or "-",
                "required" if rules.requires_reason else "-", _places(rules) or "-",
            )
            for rules in ruling.versions
        )  # fmt: skip
        output.print_table(output.table(("from", "state", "actor", "fresh", "subject", "reason", "places"), rows))
    elif ruling.item is None:
        who = (
            f"writers state who they are in {ruling.default.actor!r}" if ruling.default.actor else "it states no actor"
        )
        output.print_text(f"{table} has no rules of its own: {who}, by the stack's parameter ActorAttribute.")
    else:
        output.print_text(f"{table} has no valid rules, and so its changes wait to be recorded.")
    for fault in ruling.faults:
        output.print_text(f"Not valid: {fault}")
    if ruling.faults:
        output.note(f"Name the rules anew: `weaudit watch {table}` with the options that are right.")
    for one in older:
        if one.looked_at:
            output.print_text(_older(table, one))


def _places(rules: "Rules") -> str:
    document = rules_document(rules)
    return "; ".join(f"{name} {', '.join(document[name])}" for name in PLACES if document[name])


def _older(table: str, one: "Older") -> str:
    looked = f"of the last {one.looked_at:,} changes before {one.since}"
    if not one.changes:
        return f"{one.place} ({one.rule}): {looked}, none holds it in the clear."
    holds = "holds" if one.changes == 1 else "hold"
    return (
        f"{one.place} ({one.rule}): {looked}, {one.changes:,} {holds} it in the clear, the latest at {one.latest}. "
        f"`weaudit changes --table {table} --until {one.latest} --newest-first` shows them."
    )


def _show_trial(review: "Review", rules: "Rules", trial: "Trial", *, as_json: bool) -> None:
    if as_json:
        document = {name: value for name, value in rules_document(rules).items() if name != "from"}
        output.print_json({"table": review.table, "rules": document, **_trial_document(trial)})
        return
    if not trial.changes:
        output.print_text(f"No change of {review.table} is in the trail: there is nothing to try the rules on.")
        return
    output.print_text(
        f"The last {trial.changes:,} changes of {review.table} in the trail, made from {trial.first} to {trial.last}, "
        f"under: {_places(rules) or 'no rules about places'}"
    )
    output.print_text(f"  {trial.silent:,} would make no record at all")
    fewer = trial.records - trial.records_then
    output.print_text(
        f"  all together would make {trial.records_then:,} record(s); they made {trial.records:,}"
        + (f", which is {fewer:,} more" if fewer > 0 else "")
    )
    if trial.places:
        rows = ((one.place, _FATES[one.rule], f"{one.changes:,}") for one in trial.places)
        output.print_table(output.table(("place", "would be", "in changes"), rows))
    if trial.incomplete:
        output.note(
            f"Of {trial.incomplete:,} of these changes the trail does not hold all values: they were masked, erased or "
            "lost. Such a value counts as changed."
        )
    output.note(
        "The trail holds what the rules of the time kept: what they left out cannot be tried. Nothing was changed."
    )


def _trial_document(trial: "Trial") -> dict[str, Any]:
    return {
        "changes": trial.changes,
        "first": trial.first,
        "last": trial.last,
        "silent": trial.silent,
        "records": trial.records,
        "recordsThen": trial.records_then,
        "incomplete": trial.incomplete,
        "places": [dataclasses.asdict(one) for one in trial.places],
    }
