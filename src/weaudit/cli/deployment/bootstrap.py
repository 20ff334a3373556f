"""`weaudit bootstrap`: what an account needs once before a pipeline deploys to it."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import PrefixOption, StageOption, YesOption
from weaudit.cli.printing import output, panels

if TYPE_CHECKING:
    from weaudit.deploy.change_sets import ChangeSet


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.DEPLOYMENT)(bootstrap)


def bootstrap(
    stage: StageOption = None,
    prefix: PrefixOption = None,
    repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="The GitHub repository whose workflows may deploy.")
    ] = None,
    repository_id: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The repository's number: gh api repos/OWNER/NAME --jq .id")
    ] = None,
    owner_id: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The owner's number: gh api repos/OWNER/NAME --jq .owner.id")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The GitHub environment of the deploying job.", show_default="the stage"),
    ] = None,
    trust: Annotated[
        str | None, typer.Option(metavar="ARN", help="Another principal that may assume the deploy role.")
    ] = None,
    kms_key: Annotated[
        str | None, typer.Option(metavar="new|ARN", help="Create a key for data and logs, or let the role use yours.")
    ] = None,
    boundary: Annotated[
        str | None,
        typer.Option(
            metavar="ARN", help="The permissions boundary of every deployed role.", show_default="one made to fit"
        ),
    ] = None,
    other_tables: Annotated[
        str | None, typer.Option(metavar="ARN,…", help="Tables that deployments name in UpdatableTableArns.")
    ] = None,
    callers: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Roles that may call every route of the API, once it is deployed."),
    ] = None,
    may_delete_data: Annotated[
        bool | None,
        typer.Option(
            "--may-delete-data/--may-not-delete-data",
            help="Whether the deploy role may delete tables, empty buckets, and change what protects their data.",
            show_default="may",
        ),
    ] = None,
    yes: YesOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outputs as JSON.")] = False,
) -> None:
    """Prepare an account for a CI pipeline: artefact bucket, deploy role for GitHub, boundary, and optionally a key.

    You need permission to create roles. Run it again to change something: options that you omit keep their value.

    Example: weaudit bootstrap --stage production --repository acme/audit --repository-id 123456789
    """
    from weaudit.deploy import bootstrapping
    from weaudit.installation.stages import Stage
    from weaudit.installation.targets import Target

    where = Stage.of(stage, prefix)
    given = {
        "GitHubRepository": repository,
        "GitHubRepositoryId": repository_id,
        "GitHubOwnerId": owner_id,
        "GitHubEnvironment": environment,
        "TrustedPrincipalArn": trust,
        "PermissionsBoundaryArn": boundary,
        "OtherTableArns": other_tables,
        "CallerRoleNames": callers,
        "MayDeleteData": None if may_delete_data is None else str(may_delete_data).lower(),
        **_key(kms_key),
    }
    target = Target.resolve()
    planned = bootstrapping.plan(
        target, where, {name: value for name, value in given.items() if value is not None}, output.note
    )
    for line in planned.notes:
        output.note(line)
    if planned.change_set is None:
        output.note(f"The stack {planned.stack} is up to date.")
    else:
        agreed = False
        try:
            _show(planned.stack, planned.change_set, target.describe())
            agreed = output.agreed("Do this?", yes=yes)
        finally:
            if not agreed:
                bootstrapping.discard(target, planned)
        if not agreed:
            output.note("Nothing was changed.")
            raise typer.Exit(output.EXIT_FAILED)
    found = bootstrapping.apply(target, planned, output.note)
    if as_json:
        output.print_json(found)
    else:
        for name, value in sorted(found.items()):
            output.print_text(f"{name}: {value}")
    _say_what_next(where.name, where.prefix, planned.parameters, found, target.region)


def _key(kms_key: str | None) -> dict[str, str]:
    if kms_key is None:
        return {}
    if kms_key == "new":
        return {"CreateKmsKey": "true", "KmsKeyArn": ""}
    return {"CreateKmsKey": "false", "KmsKeyArn": kms_key}


def _show(stack: str, change_set: "ChangeSet", where: str) -> None:
    output.note(f"The stack {stack} on {where}:")
    for change in change_set.changes:
        replaced = " (replaced)" if change.replacement == "True" else ""
        output.note(f"  {change.action:6} {change.resource}  {change.kind}{replaced}")


def _say_what_next(stage: str, prefix: str, parameters: Any, found: dict[str, str], region: str | None) -> None:
    if "DeployRoleArn" not in found:
        return
    variables = {
        "AWS_REGION": region or found["ArtifactBucketName"].split("-", 3)[-1],
        "AWS_DEPLOY_ROLE_ARN": found["DeployRoleArn"],
        "WEAUDIT_STAGE": stage,
        "WEAUDIT_PREFIX": prefix,
        "WEAUDIT_BOUNDARY_ARN": found["PermissionsBoundaryArn"],
        "WEAUDIT_LEDGER_KEY_ARN": found["LedgerKeyArn"],
        "WEAUDIT_KMS_KEY_ARN": found.get("KmsKeyArn", ""),
        "TERRAFORM_STATE_BUCKET": found["ArtifactBucketName"],
    }
    options = "" if not prefix else f" --prefix {prefix}"
    output.note(
        "\nDeployments by that role must set the permissions boundary and the ledger's key:\n  weaudit deploy --stage "
        f"{stage}{options} --parameters PermissionsBoundaryArn={found['PermissionsBoundaryArn']} "
        f"--parameters LedgerKeyArn={found['LedgerKeyArn']}"
    )
    if repository := parameters.get("GitHubRepository"):
        environment = parameters.get("GitHubEnvironment") or stage
        output.note(
            f"\nVariables that .github/workflows/main.yml reads in the environment {environment} of {repository}:"
        )
        for name, value in variables.items():
            if value:
                output.note(
                    f"  gh variable set {name} --repo {repository} --env {environment} --body {shlex.quote(value)}"
                )
        output.note(f"  gh variable set DEPLOY_ENVIRONMENT --repo {repository} --body {environment}")
