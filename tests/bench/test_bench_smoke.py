"""Each benchmark runs, with few repetitions, and tells what it found; how fast that was is not judged here."""

import importlib.util
import json
import math
import shutil
import urllib.error
from pathlib import Path
from typing import Any

import botocore
import pytest
from bench.reports import Ratio, Report
from bench.stream_events import modify_event

from bench import __main__ as bench
from bench import batch_handlers, cold_start, figures, image_cost, sealing_cost
from tests.trails import decide
from weaudit.api.routes import BY_KEY
from weaudit.capture import stream


def run(name: str, folder: Path) -> dict[str, Any]:
    assert bench.main([name, "--quick", "--out", str(folder)]) == 0
    text = (folder / f"{name}.json").read_text()
    found: dict[str, Any] = json.loads(text)
    assert found["benchmark"] == name
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["botocore"]
    figures = [figure for row in found["results"].values() for figure in row.values()]
    assert figures
    assert all(math.isfinite(figure) and figure >= 0 for figure in figures)
    assert str(Path.home()) not in text, "results name no path of a machine"
    return found


def test_batch_cost_measures_every_variant_doing_the_same_work(tmp_path: Path) -> None:
    found = run("batch_cost", tmp_path)
    assert found["results"].keys() == batch_handlers.HANDLERS.keys()
    assert len(found["ratios"]) == 8


def test_cold_start_measures_every_variant(tmp_path: Path) -> None:
    missing = [name for name in ("awslambdaric", "aws_lambda_powertools") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed; `make bench` installs it (requirements/bench.txt)")
    found = run("cold_start", tmp_path)
    assert found["results"].keys() == {
        "ours", "empty handler", "one request of http.client", "boto3.client", "boto3 + Powertools",
    }  # fmt: skip
    assert all({"ms", "msTls"} <= row.keys() for row in found["results"].values())


def test_invocation_cost_measures_every_variant(tmp_path: Path) -> None:
    missing = [name for name in ("awslambdaric", "aws_lambda_powertools") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed; `make bench` installs it (requirements/bench.txt)")
    found = run("invocation_cost", tmp_path)
    assert found["results"].keys() == {
        "ours", "empty handler", "one request of http.client", "boto3.client", "boto3 + Powertools", "boto3 put loop",
    }  # fmt: skip
    assert all({"coldMs", "coldMsTls"} <= row.keys() for row in found["results"].values())
    assert len(found["ratios"]) == 6


def test_update_cost_measures_both_functions(tmp_path: Path) -> None:
    results = run("update_cost", tmp_path)["results"]
    assert all({"coldMs", "coldMsTls"} <= row.keys() for row in results.values())


@pytest.mark.engine
def test_command_start_reads_the_same_item_by_both_commands(tmp_path: Path) -> None:
    if shutil.which("aws") is None:
        pytest.skip("there is no AWS CLI: the start of commands was NOT measured")
    assert run("command_start", tmp_path)["results"].keys() == {"weaudit history", "aws dynamodb get-item"}


def test_the_store_with_tls_is_trusted_by_its_own_issuer_alone(tmp_path: Path) -> None:
    with cold_start.stores(tmp_path) as both:
        assert [store.count() for store in both.values()] == [0, 0]
        assert both["Tls"].url.startswith("https://")
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            cold_start.Store(both["Tls"].url, Path(botocore.__file__).with_name("cacert.pem")).count()


@pytest.mark.engine
def test_api_cost_asks_every_route_and_starts_every_function(tmp_path: Path) -> None:
    results = run("api_cost", tmp_path)["results"]
    assert {f"{route} ours" for route in BY_KEY} <= results.keys()
    assert {f"{route.function} bare boto3" for route in BY_KEY.values() if route.method == "GET"} <= results.keys()


@pytest.mark.engine
def test_engine_rate_counts_every_change(tmp_path: Path) -> None:
    assert run("engine_rate", tmp_path)["settings"]["changes"] == 40


def test_ledger_cost_measures_the_tree_and_the_records(tmp_path: Path) -> None:
    results = run("ledger_cost", tmp_path)["results"]
    # The whole of a log is never in memory, so ten times as many entries take as much.
    assert results["root of the log"]["peakMb"] < 2 * results["root of a tenth of it"]["peakMb"]
    assert results["weaudit verify --ledger"]["bytesPerRow"] < 512


def test_sealing_cost_counts_what_is_paid_for(tmp_path: Path) -> None:
    results = run("sealing_cost", tmp_path)["results"]
    assert results[sealing_cost.BUSY]["signatures"] == results[sealing_cost.BUSY]["calls"] == sealing_cost.MINUTES
    assert results[sealing_cost.BUSY]["puts"] < 7 * sealing_cost.MINUTES
    assert results[sealing_cost.IDLE]["gets"] < 2.2 * sealing_cost.MINUTES


@pytest.mark.engine
def test_verify_cost_reads_every_change_by_both(tmp_path: Path) -> None:
    found = run("verify_cost", tmp_path)
    assert found["results"].keys() == {"weaudit verify", "boto3 scan"}
    assert found["settings"]["records"] == 10


@pytest.mark.parametrize("changed", [1, 2, 3])
def test_the_events_are_what_they_claim_to_be(changed: int) -> None:
    event = modify_event(100, changed)
    made = [decide(stream.parse(record)) for record in event["Records"]]
    assert {len(records) for records in made} == {changed}
    assert all(len(record["dynamodb"]["NewImage"]) == 10 for record in event["Records"])


def test_a_missed_gate_fails_a_full_run_and_a_missed_aim_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(gate: bool) -> Any:
        ratios = [Ratio("faster", 1.0, 2.0, gate=gate)]
        return lambda _quick: Report("it", "is it?", {}, {"ours": {"ms": 1.0}}, ratios, 0.0)

    for gate, quick, code in ((True, False, 1), (True, True, 0), (False, False, 0)):
        monkeypatch.setattr(bench, "BENCHMARKS", {"it": missing(gate)})
        monkeypatch.setattr(figures, "RESULTS", Path("/dev/null/never"))
        monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
        monkeypatch.setattr(Path, "write_text", lambda *_: 0)
        assert bench.main(["it"] + ["--quick"] * quick) == code


def test_image_cost_measures_every_variant_doing_the_same_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without node: what npm would install is no part of a test.
    monkeypatch.setattr(image_cost, "_sharp_folder", lambda: None)
    found = run("image_cost", tmp_path)
    variants = ("ours", "plain Pillow", "Pillow, thumbnail()")
    assert found["results"].keys() == {f"{task}: {variant}" for task in image_cost.TASKS for variant in variants}
    assert [ratio["name"] for ratio in found["ratios"]] == ["jpeg to jpeg: faster than plain Pillow"]
