"""What an account needs once before a pipeline deploys to it: the stack of infra/bootstrap.yaml, one a stage.

Planned first and done afterwards, so that a command can say what it will do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from weaudit.deploy import change_sets, stack, templates
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.change_sets import ChangeSet
from weaudit.errors import InvalidInputError
from weaudit.installation import stacks
from weaudit.installation.stacks import DIGEST_TAG, Progress, StackState, describe
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target

PROVIDER = "token.actions.githubusercontent.com"
"""The issuer of the tokens of GitHub's workflows."""


def stack_name(stage: Stage) -> str:
    """Return the name of a stage's bootstrap stack, which no stage's own has: those are 12 letters at most."""
    return f"{stage.prefix}weaudit-bootstrap-of-{stage.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What bootstrapping takes. ``change_set`` is None where nothing is to be done; ``notes`` say what was found."""

    stack: str
    parameters: dict[str, str]
    notes: tuple[str, ...]
    change_set: ChangeSet | None
    before: StackState | None


def plan(target: Target, stage: Stage, given: Mapping[str, str], progress: Progress) -> Plan:
    """Return what it takes to bootstrap ``stage``; parameters that are not given stay as they are.

    What the account has already (the bucket of artefacts, GitHub's provider, the stage's API) is used and not made
    again. Raises InvalidInputError for a repository without its number, DeployError with CloudFormation's reason.
    """
    name = stack_name(stage)
    before = stack.settled(target, name, progress)
    text = templates.path("bootstrap.yaml").read_text(encoding="utf-8")
    declared = stack.parameters_of(text)
    kept = {key: value for key, value in (before.parameters if before else {}).items() if key in declared}
    parameters = {**kept, **given, "Prefix": stage.prefix, "EnvironmentSuffix": stage.name}
    # A stack that failed may have no outputs: callers keep what they have until it says otherwise, or is gone.
    deployed = describe(target, stage.stack)
    parameters["ApiId"] = deployed.outputs.get("ApiId", parameters.get("ApiId", "")) if deployed else ""
    repository = parameters.get("GitHubRepository")
    if repository and not parameters.get("GitHubRepositoryId"):
        raise InvalidInputError(
            "a repository's name alone is not enough: another one may get it some day\n"
            f"Give its number by --repository-id: `gh api repos/{repository} --jq .id` tells it."
        )
    own = {row["LogicalResourceId"] for row in stacks.resources(target, name)} if before else set()
    notes = []
    parameters["CreateArtifactBucket"] = "true"
    if "ArtifactBucket" not in own and (bucket := ArtifactBucket.of(target)).is_there():
        parameters["CreateArtifactBucket"] = "false"
        notes.append(f"The bucket of artefacts is there: {bucket.name} stays as it is.")
    if repository and "OidcProvider" not in own and not parameters.get("OidcProviderArn"):
        parameters["OidcProviderArn"] = _existing_provider(target)
        if parameters["OidcProviderArn"]:
            notes.append(f"The account knows GitHub's tokens: {parameters['OidcProviderArn']} is used.")
    if not repository and not parameters.get("TrustedPrincipalArn"):
        notes.append("Nobody is named who may deploy (--repository, --trust): no deploy role is made.")
    if parameters.get("CallerRoleNames") and not parameters["ApiId"]:
        notes.append("There is no API yet for callers to call: run this again after the first deployment.")
    change_set = change_sets.create(
        target.client("cloudformation"),
        name,
        creates=before is None,
        template={"TemplateBody": text},
        parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())],
        tags={DIGEST_TAG: stack.digest_of(text, parameters), stack.STACK_TAG: name},
    )
    return Plan(name, parameters, tuple(notes), change_set, before)


def apply(target: Target, planned: Plan, progress: Progress) -> dict[str, str]:
    """Do what was planned, and return the stack's outputs. Raises DeployError with the first real cause."""
    if planned.change_set is not None:
        return stack.carry_out(target, planned.change_set, progress).outputs
    return planned.before.outputs if planned.before is not None else {}


def discard(target: Target, planned: Plan) -> None:
    """Leave everything as it was."""
    if planned.change_set is not None:
        change_sets.discard(target.client("cloudformation"), planned.change_set)


def outputs(target: Target, stage: Stage) -> dict[str, str]:
    """Return the outputs of a stage's bootstrap stack; {} where there is none."""
    found = describe(target, stack_name(stage))
    return found.outputs if found is not None else {}


def _existing_provider(target: Target) -> str:
    providers = target.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return next((str(row["Arn"]) for row in providers if row["Arn"].endswith(f":oidc-provider/{PROVIDER}")), "")
