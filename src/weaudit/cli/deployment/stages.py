"""`weaudit deploy`, `versions`, `rollback`, `outputs`, `destroy`: a stage in your account, and back again."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonOption, PrefixOption, StageOption, YesOption
from weaudit.cli.printing import change_tables, output, panels
from weaudit.errors import DeployError, InvalidInputError

if TYPE_CHECKING:
    from weaudit.deploy.deploying import Deploying, Plan
    from weaudit.deploy.releases import Release


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (deploy, versions, rollback, outputs, destroy):
        app.command(rich_help_panel=panels.DEPLOYMENT)(command)


def deploy(
    stage: StageOption = None,
    prefix: PrefixOption = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameters", "-p", metavar="K=V", help="A template parameter; repeatable."),
    ] = None,
    parameter_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parameters as JSON; --parameters take precedence.")
    ] = None,
    retain: Annotated[
        bool | None,
        typer.Option(
            "--retain/--no-retain",
            help="Protect tables and stack from deletion, or do not.",
            show_default="unchanged; protected at first, except on the embedded engine",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="x86_64 or arm64.", show_default="unchanged; x86_64 at first"),
    ] = None,
    template: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own version of infra/template.yaml.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Deploy the current sources to your account or the embedded engine; parameters that you omit keep their value.

    Shows what would change and asks first. If it fails, the old version keeps running and the first cause is shown.

    Example: weaudit deploy --stage dev --parameters LogLevel=DEBUG
    """
    from weaudit.deploy import parameters as template_parameters

    given = template_parameters.read(parameter_file) if parameter_file is not None else {}
    given |= template_parameters.parsed(parameters or ())
    for name, value in (("Retain", None if retain is None else str(retain).lower()), ("Architecture", architecture)):
        if value is not None and given.setdefault(name, value) != value:
            raise InvalidInputError(
                f"the parameter {name} is given twice, as {given[name]} and as {value}\nGive it once."
            )
    if template is not None and not template.is_file():
        raise InvalidInputError(f"there is no file {template}")
    deploying = _deploying(stage, prefix)
    output.note(f"Packaging for {deploying.stage.stack} on {deploying.target.describe()}")
    with tempfile.TemporaryDirectory() as folder:
        plan = deploying.plan(Path(folder), template=template, given=given)
    _carry_out(deploying, plan, yes=yes, as_json=as_json)


def rollback(
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="N", min=1, help="The release to go back to.", show_default="the last good one"),
    ] = None,
    stage: StageOption = None,
    prefix: PrefixOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier release, with its stored template, parameters and zips; nothing is built.

    Shows what would change and asks first. The trail and all other data stay as they are.

    Example: weaudit rollback --to 3
    """
    deploying = _deploying(stage, prefix)
    _carry_out(deploying, deploying.plan_rollback(to), yes=yes, as_json=as_json)


def _deploying(stage: str | None, prefix: str | None) -> "Deploying":
    from weaudit.deploy.deploying import Deploying
    from weaudit.installation.stages import Stage
    from weaudit.installation.targets import Target

    return Deploying(Target.resolve(), Stage.of(stage, prefix), output.note)


def _carry_out(deploying: "Deploying", plan: "Plan | None", *, yes: bool, as_json: bool) -> None:
    from weaudit.deploy.releases import DEPLOYED
    from weaudit.installation import stacks

    name = deploying.stage.stack
    if plan is None:
        found = stacks.describe(deploying.target, name)
        if as_json:
            output.print_json({"stack": name, "changed": False, "outputs": found.outputs if found else {}})
        else:
            output.print_text(f"There is nothing to do: {name} is up to date.")
        return
    try:
        change_tables.show(plan)
        agreed = output.agreed(f"Deploy release {plan.release.number} of {name}?", yes=yes)
    except BaseException:
        deploying.discard(plan)
        raise
    if not agreed:
        deploying.discard(plan)
        output.note("Nothing was changed.")
        raise typer.Exit(output.EXIT_FAILED)
    release = _applied(deploying, plan)
    found = stacks.describe(deploying.target, name)
    outputs = found.outputs if found is not None else {}
    if as_json:
        output.print_json({"stack": name, "changed": True, **release.document(), "outputs": outputs})
        return
    what = f"release {release.label}" + (f", which is release {release.reapplies} again" if release.reapplies else "")
    output.print_text(f"{name} is {what}.")
    if "ApiUrl" in outputs:
        output.note(f"Its API: {outputs['ApiUrl']}; try `weaudit call GET /v1/health`{_hint(deploying)}.")
    if plan.before is not None and plan.before.outcome == DEPLOYED:
        output.note(f"To go back: weaudit rollback --to {plan.before.number} {deploying.stage.options}")


def _hint(deploying: "Deploying") -> str:
    stage = deploying.stage
    names = (("WEAUDIT_STAGE", stage.name, "dev"), ("WEAUDIT_PREFIX", stage.prefix, ""))
    words = [f"{name}={value}" for name, value, default in names if value != default]
    return f" with {' '.join(words)}" if words else ""


def _applied(deploying: "Deploying", plan: "Plan") -> "Release":
    try:
        return deploying.apply(plan)
    except KeyboardInterrupt:
        output.note(f"{plan.release.stack} continues without this command. `weaudit versions` shows how it ended.")
        raise
    except DeployError as error:
        if plan.before is None or "is UPDATE_ROLLBACK_COMPLETE" not in str(error):
            raise
        raise DeployError(f"{error}\nRelease {plan.before.label} keeps running; nothing was lost.") from error


def versions(stage: StageOption = None, prefix: PrefixOption = None, as_json: JsonOption = False) -> None:
    """List the releases of a stage, newest first: when, which revision, by whom, and the outcome.

    Example: weaudit versions --json
    """
    from weaudit.deploy import releases
    from weaudit.deploy.artifacts import ArtifactBucket
    from weaudit.installation import stacks

    deploying = _deploying(stage, prefix)
    name = deploying.stage.stack
    found = stacks.describe(deploying.target, name)
    current = releases.current_number(found)
    log = releases.ReleaseLog(ArtifactBucket.of(deploying.target), name)
    if as_json:
        rows = (releases.settled(row, found) for row in log.newest_first())
        output.print_json_list({**row.document(), "current": row.number == current} for row in rows)
        return
    listed = [releases.settled(row, found) for row in log.newest_first()]
    if not listed:
        output.note(f"Nothing was deployed as {name} on {deploying.target.describe()} yet.")
        output.note(f"Deploy it: weaudit deploy {deploying.stage.options}")
        return
    from rich.text import Text

    cells = []
    for row, older in zip(listed, [*listed[1:], None], strict=True):
        mark = Text("now" if row.number == current else "", style="bold green")
        cells.append((mark, row.label, row.at, row.by.rpartition(":")[2], _new_versions(row, older), _outcome(row)))
    output.print_table(output.table(("", "release", "at", "by", "published", "outcome"), cells))


def _new_versions(row: "Release", older: "Release | None") -> str:
    """Return the functions' versions that a release published; the JSON lists all that it ran."""
    before = older.functions if older is not None else {}
    new = {name: one["version"] for name, one in row.functions.items() if before.get(name) != one}
    if len(new) > 2 and len(set(new.values())) == 1:
        return f"version {next(iter(new.values()))} of {len(new)} functions"
    return ", ".join(f"version {version} of {name}" for name, version in new.items())


def _outcome(row: "Release") -> str:
    back = f" (release {row.reapplies} again)" if row.reapplies is not None else ""
    return row.outcome + back + (f": {row.reason}" if row.reason else "")


def outputs(stage: StageOption = None, prefix: PrefixOption = None, as_json: JsonOption = False) -> None:
    """Print the stack's outputs: names of tables, buckets and functions, and the URL of the API.

    Example: weaudit outputs --json
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.stages import Stage

    found = Installation.find(stage=Stage.of(stage, prefix)).outputs
    if as_json:
        output.print_json(dict(sorted(found.items())))
        return
    width = max(map(len, found), default=0)
    for name, value in sorted(found.items()):
        output.print_text(f"{name:{width}}  {output.safe(value)}")


def destroy(
    stage: StageOption = None,
    prefix: PrefixOption = None,
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Delete protected data too: tables and buckets with everything in them."),
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a stage from your account: its stack with all tables and buckets. Asks you to type the stack's name.

    If it is interrupted or fails, run it again. The artefact bucket stays, with the releases.

    Example: weaudit destroy --stage dev
    """
    from weaudit.deploy.destroying import Destroying, confirmed

    deploying = _deploying(stage, prefix)
    destroying = Destroying(deploying.target, deploying.stage, output.note)
    removal = destroying.plan(delete_data=delete_data)
    name = deploying.stage.stack
    if removal is None:
        if as_json:
            output.print_json({"stack": name, "removed": False})
        else:
            output.print_text(f"There is no stack {name} on {deploying.target.describe()}: nothing to remove.")
        return
    output.note(f"WeAudit will remove {name} from {deploying.target.describe()}, with everything in")
    for table in removal.tables:
        output.note(f"  the table {output.safe(table)}")
    for bucket in removal.buckets:
        output.note(f"  the bucket {output.safe(bucket)}")
    if not yes:
        confirmed(output.answer("Type the stack's name to go ahead"), removal)
    destroying.apply(removal)
    if as_json:
        document: dict[str, Any] = {
            "stack": name,
            "removed": True,
            "tables": removal.tables,
            "buckets": removal.buckets,
        }
        output.print_json(document)
    else:
        output.print_text(f"{name} is gone.")
