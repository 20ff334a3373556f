"""`weaudit images`: the images in the bucket, and what became of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import limited
from weaudit.cli.printing import output, panels
from weaudit.images import rows as image_rows
from weaudit.images.deletions import NOTICED
from weaudit.items.plain import plain
from weaudit.items.texts import dumps

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation

JsonOption = Annotated[bool, typer.Option("--json", help="Print the rows as JSON (docs/formats/image-row.md).")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.OBJECTS)(images)


def images(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="Show only this image; default: list all.")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Only those that could not be processed.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="List at most this many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List the images that were processed, rejected or deleted, or show one with its renditions.

    Exit code 1 if there is no image with that key.

    Example: weaudit images photographs/cat.jpg
    """
    from weaudit.installation.outputs import Installation
    from weaudit.installation.reading import images_table

    installation = Installation.find()
    if key is not None:
        _show(installation, key, as_json=as_json)
        return
    found = images_table.rows(installation, rejected=rejected)
    shown = [_plain(row) for row in limited(found, limit)]
    more = next(found, None) is not None
    if as_json:
        output.print_text(dumps(shown))
    elif not shown:
        what = "No image was rejected." if rejected else "There are no images yet."
        output.print_text(what)
        output.note("`weaudit put FILE` uploads one.")
    else:
        _print_list(shown)
    if more:
        output.note(f"There are more than {limit:,}: --limit shows more of them.")


def _show(installation: "Installation", key: str, *, as_json: bool) -> None:
    from weaudit.installation.reading import images_table

    row = images_table.row(installation, key)
    if row is None:
        output.note(f"There is no image {output.safe(key)}.")
        output.note("`weaudit images` lists them. An object that is not an image has no row.")
        raise typer.Exit(output.EXIT_FAILED)
    if as_json:
        output.print_text(dumps(_plain(row)))
        return
    for name, value in _lines(_plain(row), installation.outputs["RenditionsBucketName"]):
        output.print_text(f"{name:<12} {output.safe(value)}")


def _plain(row: dict[str, Any]) -> Any:
    return {name: plain(value) for name, value in row.items()}


def _lines(row: dict[str, Any], bucket: str) -> Iterator[tuple[str, str]]:
    yield "image", f"s3://{row['bucket']}/{row['imageKey']}"
    yield "status", _status(row)
    if "rejection" in row:
        yield "why", str(row["rejection"]["reason"])
    if "width" in row:
        pages = f", {row['pages']} pages" if row["pages"] != "1" else ""
        alpha = ", with alpha" if row["hasAlpha"] else ""
        yield "content", f"{row['format']}, {_size(row)}, {row['bitDepth']} bits, {row['colourSpace']}{alpha}{pages}"
    yield "bytes", f"{int(row['bytes']):,}"
    if "sha256" in row:
        yield "sha256", row["sha256"]
    yield "landed", row["eventTime"]
    if row["status"] == image_rows.DELETED:
        yield "deleted", _deletion(row)
    yield "pipeline", row["pipelineVersion"]
    for name, value in row.get("algorithms", {}).items():
        yield name, str(value)
    for rendition in row["renditions"]:
        content = f"{rendition['format']}, {_size(rendition)}, {int(rendition['bytes']):,} bytes"
        yield "rendition", f"{rendition['name']}: {content}"
        yield "", f"s3://{bucket}/{rendition['key']}"
    for warning in row["warnings"]:
        yield "warning", warning
    yield "took", ", ".join(f"{name} {ms} ms" for name, ms in row["timings"].items())


def _deletion(row: dict[str, Any]) -> str:
    deletion = row["deletion"]
    if deletion["reason"] == NOTICED:
        return f"{row['deletedAt']} at the latest: it was found missing, and no event said how"
    how = f"{deletion['reason']}, {deletion['type']}" if "type" in deletion else deletion["reason"]
    return f"{row['deletedAt']}: {how}" + (f", by {deletion['requester']}" if "requester" in deletion else "")


def _status(row: dict[str, Any]) -> str:
    if row["status"] == image_rows.DELETED:
        return str(row["status"])
    return f"rejected ({row['rejection']['code']})" if "rejection" in row else str(row["status"])


def _size(row: dict[str, Any]) -> str:
    return f"{row['width']} x {row['height']}" if "width" in row else ""


def _print_list(shown: list[dict[str, Any]]) -> None:
    headings = ("image", "status", "format", "size", "bytes", "renditions", "pipeline", "landed")
    rows = (
        (
            row["imageKey"],
            _status(row),
            str(row.get("format", "")),
            _size(row),
            f"{int(row['bytes']):,}",
            str(len(row["renditions"])),
            image_rows.short(row["pipelineVersion"]),
            row["eventTime"],
        )
        for row in sorted(shown, key=lambda row: str(row["imageKey"]))
    )
    output.print_table(output.table(headings, rows))
