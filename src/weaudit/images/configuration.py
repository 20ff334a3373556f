"""The image pipeline that is in force: what Configuration says, read through a cache, and the last good one."""

from __future__ import annotations

import json
import time

from weaudit.errors import PipelineRefusedError, StoreError, StoreUnavailableError
from weaudit.images import pipeline as image_pipelines
from weaudit.images.pipeline import Pipeline
from weaudit.items import values
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.images.store_renditions import RenditionsBucket
    from weaudit.items.values import Item

TTL_KEY = "CACHE_TTL_SEC"
LAST_GOOD = "pipelines/last-good.json"
_LONGEST_TTL_S = 86_400


def pipeline_of(item: Item, actor_attribute: str = "") -> Pipeline:
    """Return the pipeline that an item describes, whose version is a hash of the whole item.

    ``actor_attribute``, in which a writer states who they are, is no part of the pipeline. Raises PipelineRefusedError.
    """
    described = {name: value for name, value in values.data(item).items() if name != actor_attribute or name == "key"}
    found = image_pipelines.parse(described)
    return Pipeline(image_pipelines.version_of(item), found.renditions, found.algorithms, found.keep_metadata)


def stated_ttl_s(item: Item | None) -> float | None:
    """Return the seconds that the item CACHE_TTL_SEC states; None where it states no number from 0 to a day."""
    stated = (item or {}).get("value", {}).get("N", "")
    try:
        seconds = float(stated)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _LONGEST_TTL_S else None


def kept(version: str) -> str:
    """Return the key under which the item of a pipeline that was in force is kept, in DynamoDB JSON."""
    return f"pipelines/{version}.json"


@value
class InForce:
    """The pipeline that is in force; ``refused`` says why it is not the configured one, "" where it is."""

    pipeline: Pipeline
    refused: str


class PipelineConfiguration:
    """Says which pipeline is in force; what was read serves for as long as the item CACHE_TTL_SEC says.

    A pipeline that is refused is not taken: the last good one stays in force, in other environments and later ones
    too, because the renditions bucket keeps it. Where there never was one it is the built-in one.
    """

    def __init__(
        self,
        call: Callable[[str, dict[str, Any]], dict[str, Any]],
        table_name: str,
        renditions: RenditionsBucket,
        *,
        actor_attribute: str = "",
        ttl_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._name = table_name
        self._renditions = renditions
        self._actor_attribute = actor_attribute
        self._default_ttl_s = ttl_s
        self._clock = clock
        self._known: InForce | None = None
        self._expires = 0.0
        self._kept = ""

    def current(self, wanted: str = "") -> InForce:
        """Return what is in force; ``wanted`` is a version that somebody has seen there, worth a read before its time.

        Raises StoreError where it was never read and cannot be read now; where it was, it stays as it was.
        """
        now = self._clock()
        known = self._known
        if known is not None and now < self._expires and wanted in ("", known.pipeline.version):
            return known
        ttl_s = self._default_ttl_s
        try:
            items = self._read()
            ttl_s = self._ttl_s(items.get(TTL_KEY))
            found = self._decide(items.get(image_pipelines.KEY))
        except StoreError:
            if known is None:
                raise
            found = known
        self._known, self._expires = found, now + ttl_s
        return found

    def _read(self) -> dict[str, Item]:
        if not self._name:
            return {}
        keys = [{"key": {"S": key}} for key in (image_pipelines.KEY, TTL_KEY)]
        request = {"RequestItems": {self._name: {"Keys": keys, "ConsistentRead": True}}}
        answer = self._call("BatchGetItem", request)
        if answer.get("UnprocessedKeys"):
            raise StoreUnavailableError("BatchGetItem: keys were left unprocessed")
        return {item["key"]["S"]: item for item in answer.get("Responses", {}).get(self._name, [])}

    def _ttl_s(self, item: Item | None) -> float:
        stated = stated_ttl_s(item)
        return self._default_ttl_s if stated is None else stated

    def _decide(self, item: Item | None) -> InForce:
        if item is None:
            return InForce(image_pipelines.built_in(), "")
        try:
            pipeline = pipeline_of(item, self._actor_attribute)
        except PipelineRefusedError as error:
            return InForce(self._last_good(), str(error))
        self._keep(item, pipeline.version)
        return InForce(pipeline, "")

    def _last_good(self) -> Pipeline:
        raw = self._renditions.get(LAST_GOOD)
        try:
            return pipeline_of(json.loads(raw), self._actor_attribute) if raw else image_pipelines.built_in()
        except (PipelineRefusedError, ValueError):
            # It was good to an earlier release.
            return image_pipelines.built_in()

    def _keep(self, item: Item, version: str) -> None:
        if version == self._kept:
            return
        body = json.dumps(item, sort_keys=True, ensure_ascii=False).encode()
        if self._renditions.get(LAST_GOOD) != body:
            # In this order: a crash in between leaves the last good one as it was, and this is done again.
            self._renditions.put(kept(version), body, "application/json")
            self._renditions.put(LAST_GOOD, body, "application/json")
        self._kept = version
