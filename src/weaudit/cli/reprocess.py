"""`weaudit reprocess`: images that an earlier pipeline processed are processed again."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from weaudit.cli import images
from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels
from weaudit.errors import InvalidInputError, PipelineRefusedError, StoreRefusedError
from weaudit.images import rows as image_rows
from weaudit.images.events import REPROCESSING
from weaudit.images.pixels import sniffing, unpacking
from weaudit.installation import payloads

if TYPE_CHECKING:
    from weaudit.images.store_sources import SourceObjects
    from weaudit.installation.outputs import Installation

# Concurrent calls: enough to keep the function busy, and far below an account's concurrency limit.
_PARALLEL = 4
_LOOKED_AT_ONCE = 16
_MEANINGS = {
    "processed": "processed",
    "rejected": "rejected, as their rows say",
    "deleted": "deleted, as their rows say now",
    "unchanged": "were done already",
    "superseded": "replaced or deleted meanwhile",
    "not an image": "are no images",
}
_PLANNED = {
    "processed": "would be processed",
    "rejected": "would be rejected",
    "deleted": "are gone, and their rows would say so",
    "unchanged": "are done already",
    "superseded": "have been replaced, and are left to their own events",
    "not an image": "are no images",
    "failed": "cannot be looked at",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.OBJECTS)(reprocess)


def reprocess(
    every_object: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every object of the bucket, even without a row, and every row without an object."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and to which images.")
    ] = False,
    as_json: JsonDocumentOption = False,
) -> None:
    """Process the images again whose pipeline is not the one that IMAGE_PIPELINE describes, or that S3 failed to give.

    If it is interrupted, run it again: it continues where it was. Exit code 1 if any image failed or cannot be read.

    Example: weaudit reprocess --dry-run
    """
    from weaudit.installation.outputs import Installation

    installation = Installation.find()
    version = current_version(installation)
    output.note(f"The pipeline in force is {version}.")
    counts: Counter[str] = Counter()
    if every_object:
        requests = list(_requests_for_objects(installation, version, counts))
    else:
        requests = [_request_for(row, version) for row in images.rows(installation) if _is_due(row, version)]
    if dry_run:
        _say_plan(installation, version, requests, counts, as_json=as_json)
    failures = _run(installation, requests, counts)
    if as_json:
        output.print_json({"pipelineVersion": version, "counts": dict(counts), "failed": failures})
    elif not counts:
        output.print_text("Every image is of the pipeline in force: there is nothing to do.")
    else:
        for name, count in counts.most_common():
            output.print_text(f"{count:,} {_MEANINGS.get(name, name)}")
    _note(failures)
    if failures:
        output.note("`weaudit logs image_processor` shows more; run it again to try them again.")
    raise typer.Exit(output.EXIT_FAILED if failures else output.EXIT_FINE)


def _note(failures: list[dict[str, str]]) -> None:
    for failure in failures[:20]:
        output.note(output.safe(f"{failure['key']}: {failure['why']}"))


def _say_plan(
    installation: "Installation", version: str, requests: "list[_Request]", counts: Counter[str], *, as_json: bool
) -> NoReturn:
    """Print which images would be processed, and what would become of all others that are looked at."""
    from weaudit.images.store_sources import SourceObjects
    from weaudit.installation import clients

    sources = SourceObjects(clients.s3(installation.target))
    with ThreadPoolExecutor(_LOOKED_AT_ONCE) as pool:
        expected = list(pool.map(lambda request: _look(request, sources), requests))
    counts.update(outcome for outcome, _ in expected)
    planned = list(zip(requests, expected, strict=True))
    keys = sorted(request.key for request, (outcome, _) in planned if outcome == "processed")
    failures = [{"key": request.key, "why": why} for request, (outcome, why) in planned if outcome == "failed"]
    if as_json:
        document = {"pipelineVersion": version, "images": keys, "counts": dict(counts), "failed": failures}
        output.print_json(document)
    else:
        for key in keys:
            output.print_text(output.safe(key))
        for outcome, what in _PLANNED.items():
            if counts[outcome] or outcome == "processed":
                output.note(f"{counts[outcome]:,} {what}.")
    _note(failures)
    raise typer.Exit(output.EXIT_FAILED if failures else output.EXIT_FINE)


def _look(request: "_Request", sources: "SourceObjects") -> tuple[str, str]:
    """Return the expected outcome of one image, and S3's reason if it is ``failed``."""
    try:
        return request.expected(sources), ""
    except StoreRefusedError as error:
        return "failed", str(error)


def current_version(installation: "Installation") -> str:
    """Return the version of the pipeline that Configuration describes. Raises InvalidInputError if it is refused."""
    from weaudit.images import pipeline
    from weaudit.images.configuration import pipeline_of
    from weaudit.installation.targets import wire

    key = {"key": {"S": pipeline.KEY}}
    client = installation.target.client("dynamodb")
    found = client.get_item(TableName=installation.configuration_table, Key=key, ConsistentRead=True).get("Item")
    if found is None:
        return pipeline.built_in().version
    configured = installation.target.client("lambda").get_function_configuration(
        FunctionName=installation.outputs["ImageProcessorAliasArn"]
    )
    try:
        return pipeline_of(wire(found), configured["Environment"]["Variables"].get("ACTOR_ATTRIBUTE", "")).version
    except PipelineRefusedError as error:
        raise InvalidInputError(
            f"the item {pipeline.KEY} is refused: {error}\n"
            "Until it is fixed the last good pipeline stays in force, and there is nothing to process again."
        ) from error


class _Request:
    """A request to image_processor to check one image, with the image's row, or None if it has none."""

    def __init__(self, version: str, bucket: str, key: str, size: int, time: str, row: dict[str, Any] | None) -> None:
        self.key = key
        self._bucket = bucket
        self._row = row
        source, kind = REPROCESSING
        detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": size}, "pipeline-version": version}
        self.event = {"source": source, "detail-type": kind, "time": time, "detail": detail}

    def expected(self, sources: "SourceObjects") -> str:
        """Return the expected outcome; only processing an image shows whether its content can be processed."""
        row = self._row
        gone = row is not None and image_rows.is_deleted(row)
        etag = row["eTag"]["S"] if row is not None and not gone else ""
        begun = sources.begin(self._bucket, self.key, etag, first_bytes=sniffing.BYTES_NEEDED)
        if begun is None:
            there = etag and sources.look(self._bucket, self.key)
            return "superseded" if there or row is None or gone else "deleted"
        kind = sniffing.sniff(unpacking.inside(begun.encoding, begun.content))
        if kind is None and (row is None or gone) and not image_rows.claims(self.key, begun.content_type):
            return "not an image"
        return "processed" if kind in sniffing.SUPPORTED and begun.refusal is None else "rejected"


def _is_due(row: dict[str, Any], version: str) -> bool:
    return not (image_rows.is_deleted(row) or image_rows.is_current(row, version))


def _request_for(row: dict[str, Any], version: str) -> _Request:
    key, size, time = row["imageKey"]["S"], int(row["bytes"]["N"]), row["eventTime"]["S"]
    return _Request(version, row["bucket"]["S"], key, size, time, row)


def _requests_for_objects(installation: "Installation", version: str, counts: Counter[str]) -> Iterator[_Request]:
    """Yield a request for each object whose row is missing or outdated, and for each row whose object is gone.

    The others are counted as unchanged.
    """
    from datetime import UTC

    bucket = installation.trigger_bucket
    rows = {row["imageKey"]["S"]: row for row in images.rows(installation)}
    for page in installation.target.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            row = rows.pop(found["Key"], None)
            etag = found["ETag"].strip('"')
            if row is not None and image_rows.is_current(row, version) and row["eTag"]["S"] == etag:
                counts["unchanged"] += 1
                continue
            at = found["LastModified"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            yield _Request(version, bucket, found["Key"], found["Size"], at, row)
    for row in rows.values():
        if not image_rows.is_deleted(row):
            yield _request_for(row, version)


def _run(installation: "Installation", requests: list[_Request], counts: Counter[str]) -> list[dict[str, str]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    failures = []
    client = installation.target.client("lambda", payloads.LONGEST_CALL_S)
    function = installation.outputs["ImageProcessorAliasArn"]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.stderr()
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(_PARALLEL) as pool,
    ):
        task = progress.add_task("processing", total=len(requests))
        asked = {pool.submit(_ask, client, function, request.event): request for request in requests}
        try:
            for done in as_completed(asked):
                outcome, why = done.result()
                counts[outcome] += 1
                if outcome == "failed":
                    failures.append({"key": asked[done].key, "why": why})
                progress.advance(task)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return failures


def _ask(client: Any, function: str, request: dict[str, Any]) -> tuple[str, str]:
    """Return the outcome of one image, and the reason if it is ``failed``."""
    answer = client.invoke(FunctionName=function, Payload=payloads.payload(request))
    said = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        return "failed", str(said.get("errorMessage", "no reason given"))
    found = _one_image(said)
    if found["outcome"] == "quarantined":
        return "failed", str(found["reason"])
    return str(found["outcome"]), ""


def _one_image(answer: Any) -> dict[str, Any]:
    """Return image_processor's result for the one requested image. Raises InvalidInputError."""
    found = answer.get("images") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != 1 or "outcome" not in found[0]:
        raise InvalidInputError("image_processor did not return exactly one image")
    return dict(found[0])
