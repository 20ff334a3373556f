"""A change set, printed for approval."""

from typing import TYPE_CHECKING

from weaudit.cli.printing import output

if TYPE_CHECKING:
    from rich.text import Text

    from weaudit.deploy.change_sets import Change, ChangeSet
    from weaudit.deploy.deploying import Plan


def show(plan: "Plan") -> None:
    """Print to stderr what a deployment would change; replacements and deletions are highlighted."""
    tagged = [change for change in plan.change_set.changes if change.action == "Modify" and change.scope == ("Tags",)]
    versions = [change for change in plan.change_set.changes if change.kind == "AWS::Lambda::Version"]
    shown = [change for change in plan.change_set.changes if change not in tagged and change not in versions]
    release = plan.release
    was = f" over {plan.before.label}" if plan.before is not None else ""
    again = f", which is release {release.reapplies} again" if release.reapplies is not None else ""
    verb = "create" if plan.change_set.creates else "change"
    output.note(f"Release {release.label}{was}{again} would {verb} {len(shown)} resource(s) of {release.stack}:")
    if plan.change_set.creates:
        kinds = sorted({change.kind for change in shown})
        for kind in kinds:
            output.note(f"  {sum(change.kind == kind for change in shown):3} {kind}")
    else:
        rows = ((change.action.lower(), change.resource, change.kind, _remark(change)) for change in shown)
        output.print_table(output.table(("action", "resource", "type", ""), rows), output.stderr())
    if published := sum(change.action == "Add" for change in versions):
        output.note(f"{published} function version(s) are published; earlier versions stay.")
    if tagged:
        output.note(f"{len(tagged)} more resource(s) change only their tags.")
    _warn(plan.change_set)


_DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")


def _remark(change: "Change") -> "str | Text":
    from rich.text import Text

    if change.action == "Remove":
        return "stays, outside the stack" if change.kept else Text("deleted", style="bold red")
    if change.replacement == "True":
        return Text("replaced", style="bold red")
    return Text("maybe replaced", style="red") if change.replacement == "Conditional" else ""


def _warn(change_set: "ChangeSet") -> None:
    for change in change_set.changes:
        if change.kind not in _DATA or change.kept:
            continue
        if change.action == "Remove":
            output.note(f"{change.physical} is deleted, with everything in it.", "bold red")
        elif change.replacement == "True":
            output.note(
                f"{change.physical} is replaced by an empty one; the old one stays, outside the stack.", "bold red"
            )
