"""The packaged template: uploaded with its zips, for those who deploy it by other tools."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from weaudit.deploy import stack
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.packaging import Artifact
from weaudit.installation.targets import Target


def published(
    target: Target,
    bucket_name: str | None,
    artifacts: Sequence[Artifact],
    template: Path,
    parameters: Mapping[str, str],
) -> tuple[str, str]:
    """Upload zips and the template that names them; return the template's text and its URL.

    ``bucket_name`` None is the account's own bucket of artefacts, made where it is not there. ``parameters`` are those
    that the stack will be deployed with: see ``stack.point_at``.
    """
    bucket = ArtifactBucket.of(target)
    if bucket_name is None:
        bucket.ensure()
    else:
        bucket = dataclasses.replace(bucket, name=bucket_name)
    stack.upload(bucket, artifacts)
    text = stack.point_at(template.read_text(encoding="utf-8"), bucket.name, artifacts, parameters)
    return text, bucket.put_template(text.encode())
