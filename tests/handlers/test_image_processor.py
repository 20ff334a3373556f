"""image_processor under what at-least-once delivery and bad days bring; what it decides stands in tests/cases."""

import base64
import gzip
import hashlib
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image_fakes import EVIDENCE, PNG, RENDITIONS, Bench, created, etag_of, one_rendition, stand_in, wish
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.handlers import image_processor
from weaudit.images.pipeline import version_of
from weaudit.images.pixels import working
from weaudit.runtime.event import Invocation
from weaudit.values import replaced


def sequencer(number: int) -> str:
    return f"0055AED6DCD90281E{number:X}"


def processed(bench: Bench, key: str = "a.png", content: bytes = PNG) -> dict[str, Any]:
    bench.upload(key, content)
    [outcome] = bench.deliver(created(key, content, sequencer(1)))
    assert outcome["outcome"] == "processed", outcome
    return bench.tables.rows[key]


# ---- at least once, in any order


@given(st.lists(st.sampled_from([b"one", b"two", b"three"]), min_size=1, max_size=5), st.data())
def test_events_in_any_order_any_number_of_times_leave_the_row_of_the_last_object(
    contents: list[bytes], data: st.DataObject
) -> None:
    events = [created("a.png", PNG + content, sequencer(number)) for number, content in enumerate(contents)]
    once, often = Bench(), Bench()
    once.upload("a.png", PNG + contents[-1])
    once.deliver(events[-1])
    # Each event comes at some time after its object was put, some of them more than once, all of them at last.
    for number, content in enumerate(contents):
        often.upload("a.png", PNG + content)
        often.deliver(*data.draw(st.lists(st.sampled_from(events[: number + 1]), max_size=4)))
    often.deliver(*data.draw(st.permutations(events)))
    assert often.tables.rows == once.tables.rows
    before = often.state, list(often.buckets.writes)
    assert {answer["outcome"] for answer in often.deliver(*events)} == {"unchanged"}
    assert (often.state, often.buckets.writes) == before


def test_a_redelivered_event_costs_a_read_of_the_row_and_a_look_at_what_is_there() -> None:
    bench = Bench()
    processed(bench)
    bench.tables.calls.clear()
    bench.buckets.reads.clear()
    assert bench.deliver(created("a.png", PNG, sequencer(1)))[0]["outcome"] == "unchanged"
    assert bench.tables.calls == ["GetItem"]
    # One byte: the object's headers are what counts. (A crash may have come before the first look.)
    assert bench.buckets.reads == [("a.png", 1)]


def test_sequencers_compare_as_s3_says_and_not_as_texts_of_other_lengths_would() -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    for order, outcome in (
        ("00F0", "processed"),
        ("00F000", "unchanged"),
        ("00EFFF", "unchanged"),
        ("00f1", "processed"),
    ):
        assert bench.deliver(created("a.png", PNG, order))[0]["outcome"] == outcome
    assert bench.tables.rows["a.png"]["sequencer"]["S"] == "00F1".ljust(40, "0")


def test_an_object_that_was_replaced_or_deleted_meanwhile_is_left_to_its_own_event() -> None:
    bench = Bench()
    bench.upload("a.png", PNG + b"newer")
    assert bench.deliver(created("a.png", PNG, sequencer(1)), created("b.png", PNG, sequencer(2))) == [
        {"outcome": "superseded", "sequencer": sequencer(1).ljust(40, "0")},
        {"outcome": "superseded", "sequencer": sequencer(2).ljust(40, "0")},
    ]
    assert not bench.tables.rows
    assert not bench.buckets.writes


def test_an_object_that_is_replaced_while_it_is_read_is_left_to_its_own_event() -> None:
    bench = Bench()
    large = PNG + bytes(2 * 1024 * 1024)
    bench.upload("a.png", large)
    read = bench.buckets.read_object

    def replaced_after_the_first(*words: Any, **options: Any) -> Any:
        answer = read(*words, **options)
        bench.upload("a.png", PNG)
        return answer

    bench.buckets.read_object = replaced_after_the_first  # type: ignore[method-assign]
    assert bench.deliver(created("a.png", large, sequencer(1)))[0]["outcome"] == "superseded"
    assert not bench.tables.rows


# ---- bad days


@pytest.mark.parametrize("fault", ["unpersisted", "unanswered"])
@pytest.mark.parametrize("operation", ["PutItem", "PutObject"])
def test_a_write_that_fails_is_raised_and_the_next_delivery_completes_it(fault: str, operation: str) -> None:
    def prepared(bench: Bench) -> Bench:
        bench.configure(**one_rendition())
        bench.upload("a.png", PNG)
        return bench

    event = created("a.png", PNG, sequencer(1))
    whole = prepared(Bench())
    whole.deliver(event)
    failures = 0
    for failing in range(10):
        calls: list[str] = []

        def fails(_call: int, what: str, failing: int = failing, calls: list[str] = calls) -> str:
            calls.append(what)
            return fault if what == operation and calls.count(operation) == failing + 1 else ""

        bench = prepared(Bench(fails))
        try:
            bench.deliver(event)
        except StoreUnavailableError:
            failures += 1
            bench.deliver(event)
        assert bench.state == whole.state
    assert failures == {"PutItem": 1, "PutObject": 3}[operation]


def test_an_outage_is_raised_so_that_the_event_comes_again() -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    bench.tables.down = True
    with pytest.raises(StoreUnavailableError):
        bench.deliver(created("a.png", PNG, sequencer(1)))
    bench.tables.down = False
    assert bench.deliver(created("a.png", PNG, sequencer(1)))[0]["outcome"] == "processed"


def test_what_tells_of_no_object_is_quarantined_whole_and_the_others_are_processed() -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    broken = created("a.png", PNG, "not hexadecimal")
    first, second, third = bench.deliver(broken, {"detail": "none"}, created("a.png", PNG, sequencer(1)))
    assert (first["outcome"], second["outcome"], third["outcome"]) == ("quarantined", "quarantined", "processed")
    kept = [json.loads(body) for body in bench.buckets.kept(EVIDENCE).values()]
    assert {entry["function"] for entry in kept} == {"image_processor"}
    assert broken in [json.loads(entry["record"]["body"]) for entry in kept]


def test_what_no_store_can_take_is_quarantined_and_not_tried_again_and_again() -> None:
    bench = Bench()
    event = created("half \ud800.png", PNG, sequencer(1))
    assert bench.deliver(event)[0]["outcome"] == "quarantined"
    assert len(bench.buckets.kept(EVIDENCE)) == 1


# ---- what S3 refuses

_OF_THE_KEY = ("Disabled", "KMSInvalidState", "InvalidState", "NotFound", "InvalidKeyUsage")


@pytest.mark.parametrize(
    ("aws_code", "code", "told"),
    [
        ("InvalidObjectState", "Archived", "GLACIER: restore it, then run `weaudit reprocess`"),
        ("InvalidRequest", "Unreadable", "SSE-C"),
        ("InvalidArgument", "Unreadable", "SSE-C"),
        ("MethodNotAllowed", "Unreadable", "upload it again"),
        *((f"KMS.{name}Exception", "Unreadable", "enable the key") for name in _OF_THE_KEY),
    ],
)
def test_what_no_later_try_can_read_is_rejected_at_once_and_says_what_to_do(
    aws_code: str, code: str, told: str
) -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    bench.buckets.refusals["a.png"] = aws_code
    event = created("a.png", PNG, sequencer(1))
    [outcome] = bench.deliver(event)
    assert (outcome["outcome"], outcome["code"]) == ("rejected", code)
    row = bench.tables.rows["a.png"]
    assert told in row["rejection"]["M"]["reason"]["S"]
    assert row["bytes"] == {"N": str(len(PNG))}
    assert bench.deliver(event)[0]["outcome"] == "unchanged"


@pytest.mark.parametrize("aws_code", ["AccessDenied", "NoSuchBucket", "KMS.ThrottlingException", "PermanentRedirect"])
def test_what_can_be_mended_while_the_event_waits_stays_an_outage(aws_code: str) -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    bench.buckets.refusals["a.png"] = aws_code
    with pytest.raises(StoreRefusedError):
        bench.deliver(created("a.png", PNG, sequencer(1)))
    assert not bench.tables.rows


@pytest.mark.parametrize("aws_code", ["InvalidObjectState", "InvalidRequest"])
def test_what_cannot_be_read_and_does_not_call_itself_an_image_has_no_row(aws_code: str) -> None:
    bench = Bench()
    bench.upload("backup.tar", PNG, "application/x-tar")
    bench.buckets.refusals["backup.tar"] = aws_code
    assert bench.deliver(created("backup.tar", PNG, sequencer(1)))[0]["outcome"] == "not an image"


def test_an_object_that_is_archived_while_it_is_read_is_rejected() -> None:
    bench = Bench()
    large = PNG + bytes(2 * 1024 * 1024)
    bench.upload("a.png", large)
    read = bench.buckets.read_object

    def archived_after_the_first(*words: Any, **options: Any) -> Any:
        answer = read(*words, **options)
        bench.buckets.refusals["a.png"] = "InvalidObjectState"
        return answer

    bench.buckets.read_object = archived_after_the_first  # type: ignore[method-assign]
    assert bench.deliver(created("a.png", large, sequencer(1)))[0]["code"] == "Archived"


def test_a_restored_image_is_processed_when_it_is_asked_for_again_by_the_same_pipeline() -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    bench.buckets.refusals["a.png"] = "InvalidObjectState"
    bench.deliver(created("a.png", PNG, sequencer(1)))
    version = bench.tables.rows["a.png"]["pipelineVersion"]["S"]
    archived = bench.state
    assert bench.deliver(wish("a.png", version))[0] == {
        "outcome": "rejected",
        "code": "Archived",
        "sequencer": sequencer(1).ljust(40, "0"),
    }
    assert bench.state == archived
    del bench.buckets.refusals["a.png"]
    assert bench.deliver(wish("a.png", version))[0]["outcome"] == "processed"
    assert "rejection" not in bench.tables.rows["a.png"]
    assert bench.deliver(wish("a.png", version))[0]["outcome"] == "unchanged"


# ---- what is an image


@pytest.mark.parametrize(
    ("key", "content", "content_type", "code"),
    [
        ("a.txt", b"hello", "text/plain", None),
        ("noname", b"", "binary/octet-stream", None),
        ("a.png", b"hello", "text/plain", "NotAnImage"),
        ("A.JPG", b"", "binary/octet-stream", "NotAnImage"),
        ("noname", b"hello", "image/png", "NotAnImage"),
        ("a.txt", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text/plain", "UnsupportedFormat"),
        ("a.txt", PNG + b"corrupt", "text/plain", "Corrupt"),
    ],
)
def test_content_name_and_type_decide_whether_there_is_a_row(
    key: str, content: bytes, content_type: str, code: str | None
) -> None:
    bench = Bench()
    bench.upload(key, content, content_type)
    [outcome] = bench.deliver(created(key, content, sequencer(1)))
    if code is None:
        assert outcome["outcome"] == "not an image"
        assert not bench.tables.rows
        return
    assert (outcome["outcome"], outcome["code"]) == ("rejected", code)
    row = bench.tables.rows[key]
    assert row["status"] == {"S": "rejected"}
    assert row["rejection"]["M"]["code"] == {"S": code}
    assert row["renditions"] == {"L": []}
    assert bench.deliver(created(key, content, sequencer(1)))[0]["outcome"] == "unchanged"


# ---- what is packed


def test_gzip_that_says_so_is_unpacked_and_the_row_is_of_what_is_stored() -> None:
    worked_on: list[bytes] = []

    def work(source: bytes, *words: Any) -> working.Worked:
        worked_on.append(source)
        return stand_in(source, *words)

    # Beyond what is read at first, packed and unpacked.
    for number, content in enumerate((PNG, PNG + hashlib.shake_128(PNG).digest(3 * 1024 * 1024))):
        bench = Bench(work=work)
        packed = gzip.compress(content)
        bench.upload("a.png", packed, encoding="gzip")
        [outcome] = bench.deliver(created("a.png", packed, sequencer(1)))
        assert (outcome["outcome"], outcome["bytes"]) == ("processed", len(packed))
        assert worked_on[number] == content
        row = bench.tables.rows["a.png"]
        assert (row["bytes"], row["format"]) == ({"N": str(len(packed))}, {"S": "png"})
        assert row["sha256"] == {"S": hashlib.sha256(packed).hexdigest()}
        assert row["eTag"] == {"S": etag_of(packed)}
        assert "/{}/".format(row["sha256"]["S"]) in row["renditions"]["L"][0]["M"]["key"]["S"]
        [told] = row["warnings"]["L"]
        assert told["S"].startswith(f"gzip by its Content-Encoding, {len(content):,} bytes without it; ")
        assert bench.deliver(created("a.png", packed, sequencer(1)))[0]["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("content", "encoding", "code", "reason"),
    [
        (gzip.compress(PNG, mtime=0), "", "NotAnImage", "it is gzip, and its Content-Encoding does not say so: "),
        (gzip.compress(gzip.compress(PNG, mtime=0), mtime=0), "gzip", "NotAnImage", "it is gzip within gzip"),
        (
            gzip.compress(PNG + bytes(3_000_000), mtime=0),
            "gzip",
            "TooManyBytes",
            "its gzip holds more than the 2,097,152 byte",
        ),
        (gzip.compress(PNG, mtime=0)[:-4], "gzip", "Corrupt", "its gzip is cut short"),
        (gzip.compress(b"<svg/>", mtime=0), "gzip", "UnsupportedFormat", "svg is not processed"),
        (gzip.compress(b"text", mtime=0), "gzip", "NotAnImage", "its content is of no kind of image"),
        (base64.b64encode(PNG), "", "NotAnImage", "it is the base64 text of png: upload the bytes themselves"),
        (PNG, "gzip", None, ""),
        (PNG, "undefined", None, ""),
    ],
)
def test_what_says_gzip_or_is_text_is_rejected_as_what_it_is(
    content: bytes, encoding: str, code: str | None, reason: str
) -> None:
    bench = Bench(bytes=2 * 1024 * 1024)
    bench.upload("a.png", content, encoding=encoding)
    [outcome] = bench.deliver(created("a.png", content, sequencer(1)))
    assert outcome.get("code") == code
    if code is not None:
        assert bench.tables.rows["a.png"]["rejection"]["M"]["reason"]["S"].startswith(reason)
        assert bench.tables.rows["a.png"]["bytes"] == {"N": str(len(content))}


def test_what_takes_an_images_place_takes_its_row_too() -> None:
    bench = Bench()
    processed(bench, "photograph")
    bench.upload("photograph", b"a text", "text/plain")
    [outcome] = bench.deliver(created("photograph", b"a text", sequencer(2)))
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "NotAnImage")


def test_a_file_over_the_limit_is_not_read_whole() -> None:
    bench = Bench(bytes=2 * 1024 * 1024)
    content = PNG + bytes(3 * 1024 * 1024)
    bench.upload("a.png", content)
    [outcome] = bench.deliver(created("a.png", content, sequencer(1)))
    assert outcome["code"] == "TooManyBytes"
    assert bench.buckets.reads == [("a.png", 1024 * 1024), ("a.png", 1)]
    assert bench.tables.rows["a.png"]["bytes"] == {"N": str(len(content))}
    assert "sha256" not in bench.tables.rows["a.png"]


def test_an_object_is_read_in_two_parts_that_make_the_whole() -> None:
    seen: list[bytes] = []

    def work(source: bytes, *words: Any) -> working.Worked:
        seen.append(source)
        return stand_in(source, *words)

    bench = Bench(work=work)
    content = PNG + bytes(range(256)) * 5000
    processed(bench, content=content)
    assert seen == [content]


def test_a_result_that_no_row_can_hold_is_a_recorded_rejection() -> None:
    def work(source: bytes, *words: Any) -> working.Worked:
        return replaced(stand_in(source, *words), algorithms={"much": "x" * 500_000})

    bench = Bench(work=work)
    bench.upload("a.png", PNG)
    [outcome] = bench.deliver(created("a.png", PNG, sequencer(1)))
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "RowRejected")


def test_a_result_that_dynamodb_cannot_hold_is_left_out_with_a_warning() -> None:
    def work(source: bytes, *words: Any) -> working.Worked:
        found = {"broken": float("nan"), "fine": [1, 0.5, {"a": None}]}
        return replaced(stand_in(source, *words), algorithms=found)

    row = processed(Bench(work=work))
    assert row["algorithms"]["M"] == {"fine": {"L": [{"N": "1"}, {"N": "0.5"}, {"M": {"a": {"NULL": True}}}]}}
    assert "broken" in row["warnings"]["L"][0]["S"]


def test_the_work_ends_before_lambda_ends_the_function() -> None:
    seen: list[float] = []

    def work(source: bytes, pipeline: Any, limits: working.Limits) -> working.Worked:
        seen.append(limits.wall_seconds)
        return stand_in(source, pipeline, limits)

    bench = Bench(work=work)
    bench.upload("a.png", PNG)
    event = created("a.png", PNG, sequencer(1))
    hurried = Invocation("f", "r", lambda: 45_000)
    image_processor.handle(event, hurried, **bench.stores)
    bench.deliver(created("a.png", PNG, sequencer(2)))
    assert seen == [15.0, working.Limits().wall_seconds]


# ---- the pipeline


def test_the_row_names_the_configuration_change_that_made_it() -> None:
    bench = Bench()
    bench.configure(**one_rendition(), updatedBy={"S": "ada"}, _weaudit={"S": "log-id"})
    row = processed(bench)
    item = bench.tables.configuration["IMAGE_PIPELINE"]
    version = version_of(item)
    assert row["pipelineVersion"] == {"S": version}
    [rendition] = row["renditions"]["L"]
    image = sha256(b"a.png").hexdigest()
    beginning = f"images/{image}/{sequencer(1).ljust(40, '0')}/{row['sha256']['S']}"
    assert rendition["M"]["key"]["S"] == f"{beginning}/{version[:16]}/small.webp"
    assert rendition["M"]["key"]["S"] in bench.buckets.kept(RENDITIONS)


def test_a_refused_pipeline_leaves_the_last_good_one_in_force_in_new_environments_too() -> None:
    bench = Bench()
    bench.configure(**one_rendition())
    good = processed(bench)["pipelineVersion"]["S"]
    bench.configure(renditions={"S": "many"})
    bench.environment()
    row = processed(bench, "b.png")
    assert row["pipelineVersion"] == {"S": good}
    assert [made["M"]["name"]["S"] for made in row["renditions"]["L"]] == ["small"]
    assert "renditions" in row["warnings"]["L"][0]["S"]
    bench.configure(**one_rendition("large"))
    bench.environment()
    assert processed(bench, "c.png")["renditions"]["L"][0]["M"]["name"] == {"S": "large"}


def test_a_pipeline_that_was_never_good_leaves_the_built_in_one() -> None:
    bench = Bench()
    bench.configure(renditions={"S": "many"})
    row = processed(bench)
    assert row["pipelineVersion"]["S"].startswith("built-in-")
    assert row["warnings"]["L"]


# ---- again, with another pipeline


def test_a_wish_makes_an_image_again_once_by_the_pipeline_that_is_in_force_now() -> None:
    bench = Bench()
    bench.configure(**one_rendition())
    first = processed(bench)
    bench.configure(**one_rendition("large"))
    version = version_of(bench.tables.configuration["IMAGE_PIPELINE"])
    # The cache would not be read anew yet, but the wish names what its writer has seen.
    assert bench.deliver(wish("a.png", version))[0]["outcome"] == "processed"
    second = bench.tables.rows["a.png"]
    assert second["pipelineVersion"] == {"S": version}
    for unchanged in ("sequencer", "eTag", "eventTime", "sha256"):
        assert second[unchanged] == first[unchanged]
    assert bench.deliver(wish("a.png", version))[0]["outcome"] == "unchanged"
    # The event itself, delivered once more, does not bring the work of an environment with an older pipeline.
    assert bench.deliver(created("a.png", PNG, sequencer(1)))[0]["outcome"] == "unchanged"


def test_a_wish_for_an_object_that_was_replaced_is_left_to_that_objects_event() -> None:
    bench = Bench()
    processed(bench)
    bench.configure(**one_rendition())
    bench.upload("a.png", PNG + b"newer")
    version = version_of(bench.tables.configuration["IMAGE_PIPELINE"])
    assert bench.deliver(wish("a.png", version))[0]["outcome"] == "superseded"
    assert bench.deliver(created("a.png", PNG + b"newer", sequencer(2)))[0]["outcome"] == "processed"


def test_a_wish_for_an_object_without_a_row_makes_one_that_any_event_replaces() -> None:
    bench = Bench()
    bench.upload("a.png", PNG)
    assert bench.deliver(wish("a.png", "any"))[0]["outcome"] == "processed"
    assert bench.tables.rows["a.png"]["sequencer"] == {"S": "0" * 40}
    assert bench.deliver(created("a.png", PNG, sequencer(1)))[0]["outcome"] == "processed"
    assert bench.tables.rows["a.png"]["sequencer"]["S"] == sequencer(1).ljust(40, "0")


def test_the_variables_that_the_function_reads_have_the_documented_defaults() -> None:
    environment = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    stores = image_processor.connect(environment)
    assert stores["images"]._name == "Images"
    assert stores["renditions"].name == stores["evidence"].name == ""
    assert stores["limits"].bytes == working.Limits().bytes
    limited = image_processor.connect({**environment, "IMAGE_MAX_BYTES": "7", "IMAGE_MAX_PIXELS": "9"})["limits"]
    assert (limited.bytes, limited.pixels) == (7, 9)
