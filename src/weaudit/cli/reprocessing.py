"""`weaudit reprocess`: images that an earlier pipeline made are made again."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli import images, output, panels, payloads
from weaudit.cli.options import JsonDocumentOption
from weaudit.errors import InvalidInputError, PipelineRefusedError
from weaudit.events.object_created import REPROCESSING

if TYPE_CHECKING:
    from weaudit.deploy.installation import Installation

# As many at one time: enough to keep a function busy, and far from an account's concurrency.
_PARALLEL = 4
_MEANINGS = {
    "processed": "processed",
    "rejected": "rejected, as their rows say",
    "unchanged": "were done already",
    "superseded": "replaced or deleted meanwhile",
    "not an image": "are no images",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.OBJECTS)(reprocess)


def reprocess(
    every_object: Annotated[
        bool, typer.Option("--all", help="Look at every object of the bucket, also at those that have no row.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which images that would be.")] = False,
    as_json: JsonDocumentOption = False,
) -> None:
    """Process the images again whose pipeline is not the one that IMAGE_PIPELINE describes now.

    Stopped half way, it goes on where it was when it is run again. Exit code 1 where any image failed.

    Example: weaudit reprocess --dry-run
    """
    from weaudit.deploy.installation import Installation

    installation = Installation.find()
    version = current_version(installation)
    output.note(f"The pipeline in force is {version}.")
    wishes = list(_wishes_for_objects(installation, version) if every_object else _wishes(installation, version))
    if dry_run:
        keys = sorted(wish["detail"]["object"]["key"] for wish in wishes)
        if as_json:
            output.print_json({"pipelineVersion": version, "images": keys})
            return
        for key in keys:
            output.print_text(output.safe(key))
        output.note(f"{len(keys):,} would be processed.")
        return
    counts, failures = _run(installation, wishes)
    if as_json:
        output.print_json({"pipelineVersion": version, "counts": dict(counts), "failed": failures})
    elif not wishes:
        output.print_text("Every image is of the pipeline in force: there is nothing to do.")
    else:
        for name, count in counts.most_common():
            output.print_text(f"{count:,} {_MEANINGS.get(name, name)}")
    for failure in failures[:20]:
        output.note(output.safe(f"{failure['key']}: {failure['why']}"))
    if failures:
        output.note("`weaudit logs image_processor` shows more; run it again to try them again.")
    raise typer.Exit(output.EXIT_FAILED if failures else output.EXIT_FINE)


def current_version(installation: "Installation") -> str:
    """Return the version of the pipeline that Configuration describes. InvalidInputError where it is refused."""
    from weaudit.adapters.pipeline_configuration import pipeline_of
    from weaudit.deploy.targets import wire
    from weaudit.domain import image_pipelines

    key = {"key": {"S": image_pipelines.KEY}}
    client = installation.target.client("dynamodb")
    found = client.get_item(TableName=installation.configuration_table, Key=key, ConsistentRead=True).get("Item")
    if found is None:
        return image_pipelines.built_in().version
    configured = installation.target.client("lambda").get_function_configuration(
        FunctionName=installation.outputs["ImageProcessorAliasArn"]
    )
    try:
        return pipeline_of(wire(found), configured["Environment"]["Variables"].get("ACTOR_ATTRIBUTE", "")).version
    except PipelineRefusedError as error:
        raise InvalidInputError(
            f"the item {image_pipelines.KEY} is refused: {error}\n"
            "Until it is mended the last good pipeline stays in force, and there is nothing to process again."
        ) from error


def _wish(version: str, bucket: str, key: str, size: int, time: str) -> dict[str, Any]:
    found = {"key": key, "size": size}
    detail = {"bucket": {"name": bucket}, "object": found, "pipeline-version": version}
    source, kind = REPROCESSING
    return {"source": source, "detail-type": kind, "time": time, "detail": detail}


def _wishes(installation: "Installation", version: str) -> Iterator[dict[str, Any]]:
    for row in images.rows(installation):
        if row["pipelineVersion"]["S"] != version:
            time = row["eventTime"]["S"]
            yield _wish(version, row["bucket"]["S"], row["imageKey"]["S"], int(row["bytes"]["N"]), time)


def _wishes_for_objects(installation: "Installation", version: str) -> Iterator[dict[str, Any]]:
    from datetime import UTC

    bucket = installation.outputs["BucketName"]
    for page in installation.target.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            at = found["LastModified"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield _wish(version, bucket, found["Key"], found["Size"], at)


def _run(installation: "Installation", wishes: list[dict[str, Any]]) -> tuple[Counter[str], list[dict[str, str]]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counts: Counter[str] = Counter()
    failures = []
    client = installation.target.client("lambda", payloads.LONGEST_CALL_S)
    function = installation.outputs["ImageProcessorAliasArn"]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.stderr()
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(_PARALLEL) as pool,
    ):
        task = progress.add_task("processing", total=len(wishes))
        asked = {pool.submit(_ask, client, function, wish): wish for wish in wishes}
        try:
            for done in as_completed(asked):
                outcome, why = done.result()
                counts[outcome] += 1
                if outcome == "failed":
                    failures.append({"key": asked[done]["detail"]["object"]["key"], "why": why})
                progress.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return counts, failures


def _ask(client: Any, function: str, wish: dict[str, Any]) -> tuple[str, str]:
    """Return the outcome of one image, and why it failed where it is ``failed``."""
    answer = client.invoke(FunctionName=function, Payload=payloads.payload(wish))
    said = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        return "failed", str(said.get("errorMessage", "no reason given"))
    found = _one_image(said)
    if found["outcome"] == "quarantined":
        return "failed", str(found["reason"])
    return str(found["outcome"]), ""


def _one_image(answer: Any) -> dict[str, Any]:
    """Return what image_processor says of the one image that it was asked for. Raises InvalidInputError."""
    found = answer.get("images") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != 1 or "outcome" not in found[0]:
        raise InvalidInputError("image_processor answered with something else than one image")
    return dict(found[0])
