"""The one table says what the benchmarks found, all of it, and why what is missed is missed."""

import json

import pytest
from bench.figures import FIGURES, RESULTS, UNEXPLAINED, kept, lines, tally, text, verdict

from bench import __main__ as bench

CLAIMS = [(name, claim["name"]) for name, result in kept().items() for claim in result["ratios"]]


def test_every_benchmark_has_its_results_and_figures() -> None:
    assert kept().keys() == bench.BENCHMARKS.keys()
    assert {figure.benchmark for figure in FIGURES} == bench.BENCHMARKS.keys()


@pytest.mark.parametrize(("benchmark", "claim"), CLAIMS)
def test_every_claim_of_a_benchmark_is_in_the_table_once(benchmark: str, claim: str) -> None:
    assert [figure.ratio for figure in FIGURES if figure.benchmark == benchmark].count(claim) == 1


def test_every_figure_is_read_from_the_results_that_are_kept() -> None:
    assert [line.what for line in lines(kept())] == [figure.what for figure in FIGURES]


def test_what_is_missed_says_why() -> None:
    missed = [line for line in lines(kept()) if line.met is False]
    assert [line.what for line in missed if line.why in {"", UNEXPLAINED}] == []
    assert all(line.why.replace("`", "") in text(missed) for line in missed)


def test_a_miss_that_nobody_explained_says_so() -> None:
    results = {"api_cost": kept()["api_cost"]}
    for claim in results["api_cost"]["ratios"]:
        claim["met"] = False
    assert {line.why for line in lines(results) if line.target} == {UNEXPLAINED}


def test_a_reference_that_did_not_run_leaves_its_figures_out() -> None:
    results = json.loads((RESULTS / "image_cost.json").read_text(encoding="utf-8"))
    results["results"] = {name: row for name, row in results["results"].items() if not name.endswith("sharp")}
    found = lines({"image_cost": results})
    assert [line.reference.partition("(")[2] for line in found] == ["plain Pillow)"]


def test_a_claim_is_judged_as_the_benchmark_judged_it() -> None:
    results = {"cold_start": kept()["cold_start"]}
    for claim in results["cold_start"]["ratios"]:
        claim["met"] = not claim["met"]
    turned = {line.what + line.target: verdict(line) for line in lines(results) if line.target}
    straight = {line.what + line.target: verdict(line) for line in lines(kept()) if line.benchmark == "cold_start"}
    assert turned.keys() <= straight.keys()
    assert all({turned[name], straight[name]} == {"met", "MISSED"} for name in turned)
    now_met = list(turned.values()).count("met")
    assert tally(lines(results)) == f"{now_met} of 4 targets met."
