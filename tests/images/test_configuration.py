"""The pipeline in force: what Configuration says, for as long as it says, and the last good one."""

from typing import Any, cast

import pytest

from tests.image_fakes import RENDITIONS, PolicingBuckets, PolicingTables, one_rendition
from weaudit.errors import StoreUnavailableError
from weaudit.images import pipeline as image_pipelines
from weaudit.images.configuration import LAST_GOOD, PipelineConfiguration, kept
from weaudit.images.store_renditions import RenditionsBucket


class Cached:
    """A configuration with its clock."""

    def __init__(self, tables: PolicingTables | None = None, buckets: PolicingBuckets | None = None) -> None:
        self.tables, self.buckets = tables or PolicingTables(), buckets or PolicingBuckets()
        self.now = 0.0
        self.pipelines = PipelineConfiguration(
            self.tables.call,
            "Configuration",
            RenditionsBucket(cast("Any", self.buckets), RENDITIONS),
            actor_attribute="updatedBy",
            ttl_s=60.0,
            clock=lambda: self.now,
        )

    def configure(self, **attributes: Any) -> str:
        item = {"key": {"S": "IMAGE_PIPELINE"}, **attributes}
        self.tables.configuration["IMAGE_PIPELINE"] = item
        return image_pipelines.version_of(item)

    @property
    def version(self) -> str:
        return self.pipelines.current().pipeline.version


def test_without_an_item_the_built_in_pipeline_is_in_force() -> None:
    cached = Cached()
    assert cached.version == image_pipelines.built_in().version
    assert not cached.buckets.writes


def test_both_items_are_read_by_one_request_and_serve_for_the_time_that_one_of_them_says() -> None:
    cached = Cached()
    first = cached.configure(**one_rendition())
    cached.tables.configuration["CACHE_TTL_SEC"] = {"key": {"S": "CACHE_TTL_SEC"}, "value": {"N": "10"}}
    assert cached.version == first
    second = cached.configure(**one_rendition("large"))
    cached.now = 9.9
    assert cached.version == first
    assert cached.tables.calls == ["BatchGetItem"]
    cached.now = 10.0
    assert cached.version == second
    assert cached.tables.calls == ["BatchGetItem"] * 2


@pytest.mark.parametrize("value", [{"S": "10"}, {"N": "-1"}, {"N": "1E9"}, {"N": "NaN"}, {"M": {}}])
def test_a_time_that_makes_no_sense_is_not_taken(value: Any) -> None:
    cached = Cached()
    cached.tables.configuration["CACHE_TTL_SEC"] = {"key": {"S": "CACHE_TTL_SEC"}, "value": value}
    for now in (0.0, 59.9, 60.0):
        cached.now = now
        assert cached.version
    assert cached.tables.calls == ["BatchGetItem"] * 2


def test_what_was_read_serves_through_an_outage_and_nothing_else_does() -> None:
    cached = Cached()
    cached.tables.down = True
    with pytest.raises(StoreUnavailableError):
        cached.pipelines.current()
    cached.tables.down = False
    first = cached.configure(**one_rendition())
    assert cached.version == first
    cached.tables.down = True
    cached.now = 1000.0
    assert cached.version == first
    # Not asked again for each image: an outage must not take the function's time.
    calls = len(cached.tables.calls)
    assert cached.version == first
    assert len(cached.tables.calls) == calls


def test_keys_that_were_left_unprocessed_are_an_outage() -> None:
    unread = PipelineConfiguration(
        lambda _operation, body: {"Responses": {}, "UnprocessedKeys": body["RequestItems"]},
        "Configuration",
        RenditionsBucket(cast("Any", PolicingBuckets()), RENDITIONS),
    )
    with pytest.raises(StoreUnavailableError):
        unread.current()


def test_each_pipeline_that_was_in_force_is_kept_once() -> None:
    cached = Cached()
    first = cached.configure(**one_rendition())
    assert cached.version == first
    assert sorted(cached.buckets.kept()) == sorted((kept(first), LAST_GOOD))
    again = Cached(cached.tables, cached.buckets)
    writes = list(cached.buckets.writes)
    assert again.version == first
    assert cached.buckets.writes == writes


def test_the_writers_name_is_no_field_of_the_pipeline_and_part_of_its_version() -> None:
    cached = Cached()
    version = cached.configure(**one_rendition(), updatedBy={"S": "ada"})
    found = cached.pipelines.current()
    assert (found.pipeline.version, found.refused) == (version, "")
    cached.now = 1000.0
    cached.configure(**one_rendition(), someoneElses={"S": "ada"})
    assert "someoneElses" in cached.pipelines.current().refused
    assert cached.version == version


def test_a_last_good_one_that_is_good_no_more_leaves_the_built_in_one() -> None:
    cached = Cached()
    cached.configure(renditions={"S": "many"})
    for damaged in (b"{", b'{"key": {"S": "IMAGE_PIPELINE"}, "renditions": {"S": "few"}}'):
        cached.buckets.objects[RENDITIONS, LAST_GOOD] = damaged
        cached.now += 1000.0
        assert cached.version == image_pipelines.built_in().version
