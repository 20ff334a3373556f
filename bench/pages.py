"""What the committed results say, in Markdown: docs/benchmarks.md, and the lines of it in README.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import Line, kept, lines, tally, verdict

_ORDER = (
    "cold_start", "batch_cost", "update_cost", "invocation_cost", "image_cost", "api_cost", "command_start",
    "verify_cost", "cost_model", "engine_rate", "package_size",
)  # fmt: skip
_INTRODUCTION = """# Benchmarks

Each figure stands beside its reference, measured in the same run by turns. A target that is missed says why.
`make bench` measures it all again and ends with this table.

Cold starts are measured over plain HTTP and with TLS, which every Lambda has. The empty handler opens no connection, so
TLS costs it nothing; *one request of http.client* is an empty handler that makes one, the least that any function pays
for TLS. The API's own cold starts (`api_cost`) are over HTTP: the embedded engine has no TLS.

"""
_REPRODUCING = """
## Measure it yourself

```sh
make bench                       # some minutes; writes bench/results/*.json
make bench ARGS=cold_start       # one of them
make bench ARGS="--quick"        # shows that everything runs, judges nothing
make docs                        # this page, from bench/results
```

A quiet machine gives steady figures: beside other work all times grow, and not evenly. How each is measured, and what
the references do and do not do, is in [bench/README.md](../bench/README.md). `image_cost` measures sharp where there is
`node`, and says so where there is none. The exit code is 1 where a gate is missed.
"""
_README = (
    ("cold_start", "`audit_producer`"), ("batch_cost", "event of 100 changes, time"), ("update_cost", "`table_update`"),
    ("image_cost", "two renditions of 12 MP, jpeg to jpeg, time"), ("engine_rate", ""),
)  # fmt: skip

# Of cold starts: over HTTP and with TLS.
_SHOWN = {"cold_start": 5, "engine_rate": 2}


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def page() -> str:
    """Return docs/benchmarks.md: the one table, the missed targets, how to reproduce, machine, all figures."""
    results = kept()
    found = lines(results)
    text = _INTRODUCTION + _all(found)
    missed = [line for line in found if line.met is False]
    if missed:
        reasons: dict[str, list[str]] = {}
        for line in missed:
            reasons.setdefault(line.why, []).append(f"{line.what} ({line.ratio or line.ours}, asked {line.target})")
        text += "\n## What is missed, and why\n\n"
        text += "".join(f"- {'; '.join(dict.fromkeys(names))}: {why}.\n" for why, names in reasons.items())
    text += _REPRODUCING + "\n## Where it was measured\n\n" + _machines(results) + "\n## Everything that was measured\n"
    return text + "".join(
        _details(results[name]) for name in (*_ORDER, *sorted(set(results) - set(_ORDER))) if name in results
    )


def _all(found: list[Line]) -> str:
    rows = [["", "ours", "reference", "ratio", "target", "", "benchmark"]]
    rows += [
        [line.what, line.ours, line.reference, line.ratio, line.target, verdict(line), f"`{line.benchmark}`"]
        for line in found
    ]  # fmt: skip
    return _table(rows) + f"\n{tally(found)} Where nothing was asked, the ratio says how many times better ours is.\n"


def _machines(results: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [["benchmark", "machine", "Python", "load before", "versions"]]
    for name, result in results.items():
        machine = result["machine"]
        versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items() if version)
        where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
        rows.append([f"`{name}`", where, machine["python"], f"{machine['loadBefore']}", versions])
    return _table(rows)


def _details(result: Mapping[str, Any]) -> str:
    columns = list(dict.fromkeys(column for row in result["results"].values() for column in row))
    rows = [["", *columns]]
    for name, row in result["results"].items():
        rows.append([name, *(f"{row[column]:,.2f}" if column in row else "" for column in columns)])
    settings = ", ".join(f"{name} {value}" for name, value in result["settings"].items())
    return f"\n### {result['benchmark']}\n\n{result['question']} ({settings})\n\n" + _table(rows)


def short() -> str:
    """Return the README's lines: a few figures with their references, and how many targets are met."""
    found = lines(kept())
    chosen: list[Line] = []
    for benchmark, beginning in _README:
        of_it = [line for line in found if line.benchmark == benchmark and line.what.startswith(beginning)]
        chosen += of_it[: _SHOWN.get(benchmark, 1)]
    rows = [["", "ours", "reference", "ratio", "target", ""]]
    rows += [[line.what, line.ours, line.reference, line.ratio, line.target, verdict(line)] for line in chosen]
    return (
        _table(rows) + f"\n{tally(found)} [All figures, and why some are missed](docs/benchmarks.md): `make bench`.\n"
    )
