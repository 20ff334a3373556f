"""Write what follows from the code: functions.md, cli.md, errors.md, benchmarks.md, and tables in other pages.

`make docs` runs this; tests/docs/test_docs.py fails where a page is not what this would write.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from samtranslator.yaml_helper import yaml_parse

from weaudit import errors
from weaudit.cli import main
from weaudit.cli.printing import output
from weaudit.functions import FUNCTIONS, Function
from weaudit.images.filters import FILTERS, Parameter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # bench is no part of the package

from bench import pages as benchmarks  # noqa: E402 only now can they be found
from infra import alarms  # noqa: E402

_NOTICE = "<!-- Written by `make docs`; changes here are lost. -->\n\n"
_TYPES = {"int": "INTEGER", "int range": "INTEGER", "float": "NUMBER", "str": "TEXT", "path": "PATH"}


def pages() -> dict[Path, str]:
    """Return the text of every generated page, by its path."""
    docs = ROOT / "docs"
    found = {
        alarms.TEMPLATE: alarms.template(),
        docs / "functions.md": _NOTICE + _functions(),
        docs / "cli.md": _NOTICE + _commands(),
        docs / "errors.md": _NOTICE + _errors(),
        docs / "benchmarks.md": _NOTICE + benchmarks.page(),
        **_filled(docs / "images.md", filters=_filters()),
        **_filled(docs / "operating.md", alarms=_alarms()),
        **_filled(docs / "deploying.md", parameters=_parameters()),
        **_filled(ROOT / "README.md", functions=_map("docs/functions.md"), figures=benchmarks.short()),
    }
    return {path: text.rstrip("\n") + "\n" for path, text in found.items()}


def _filled(path: Path, **parts: str) -> dict[Path, str]:
    """Return a page with each part written anew between its marks, ``<!-- name -->`` and ``<!-- /name -->``."""
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        head, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition(f"<!-- /{name} -->")
        if not (begin and end):
            raise ValueError(f"{path} has no marks of {name}")
        text = head + begin + part + end + tail
    return {path: text}


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    escaped = ((cell.replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in escaped)


def _filters() -> str:
    rows = []
    for name, parameters in FILTERS.items():
        takes = "; ".join(f"`{each}`: {found.meaning}; {_range(found)}" for each, found in parameters.items())
        rows.append((f"`{name}`", takes or "none"))
    return _table(("filter", "parameters"), rows)


def _range(parameter: Parameter) -> str:
    return parameter.takes() + ("" if parameter.default is None else f", default {parameter.default:g}")


# ---- parameters


def _parameters() -> str:
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text(encoding="utf-8"))
    rows = []
    for name, found in template["Parameters"].items():
        default = found.get("Default", "")
        takes = ", ".join(f"`{value}`" for value in found.get("AllowedValues", ()))
        if "MinValue" in found:
            takes = f"{found['MinValue']} to {found['MaxValue']}"
        takes = takes or found.get("ConstraintDescription", "")
        text = found["Description"] + (f" Takes {takes}." if takes else "")
        rows.append((f"`{name}`", f"`{default}`" if default != "" else "", text))
    return _table(("parameter", "default", ""), rows)


# ---- alarms


def _alarms() -> str:
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text(encoding="utf-8"))
    rows = []
    for found in template["Resources"].values():
        if found["Type"] != "AWS::CloudWatch::Alarm":
            continue
        alarm = found["Properties"]
        name = alarm["AlarmName"]["Fn::Sub"].partition("${EnvironmentSuffix}-")[2]
        text = alarm["AlarmDescription"]["Fn::Sub"].partition(" What to do: ")[0]
        section = alarm["AlarmDescription"]["Fn::Sub"].rpartition("#")[2]
        first = text.partition(". ")[0].rstrip(".")
        means = re.sub(r"\$\{(\w+)[\w.]*\}", lambda match: f"`{match[1]}`", first)
        rows.append((f"[`…-{name}`](#{section})", means))
    return _table(("alarm", "rings where"), rows)


# ---- functions


def _map(folder: str = "") -> str:
    rows = [
        (f"[`{function.name}`]({folder}#{function.name})", function.purpose, ", ".join(function.stores))
        for function in FUNCTIONS
    ]
    return _table(("function", "what it does", "works on"), rows)


def _functions() -> str:
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text(encoding="utf-8"))
    text = "# Functions\n\n" + _map()
    for function in FUNCTIONS:
        text += f"\n## {function.name}\n\n{function.purpose}\n\n" + _function(function, template)
    return text


def _function(function: Function, template: dict[str, Any]) -> str:
    resources = template["Resources"]
    name = {"Fn::Sub": f"${{Prefix}}{function.physical_name}"}
    [found] = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Serverless::Function" and resource["Properties"]["FunctionName"] == name
    ]
    facts = [
        ("code", f"`src/weaudit/handlers/{function.name}.py`"),
        ("called by", f"`src/weaudit/runtime/{function.trigger}.py`"),
        (
            "log group",
            f"`/aws/lambda/{function.deployed_as(suffix='{suffix}')}` (after the prefix, where there is one)",
        ),
        ("memory, timeout", f"{found['MemorySize']} MB, {found['Timeout']} s"),
    ]
    variables = [(f"`{key}`", _value(value)) for key, value in found["Environment"]["Variables"].items()]
    role = resources[found["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]
    allowed = [
        (
            f"`{_ONLY_WITH[condition]}`" if condition else "",
            _words(found["Sid"]),
            ", ".join(f"`{action}`" for action in _listed(found["Action"])),
        )
        for found, condition in _statements(role)
    ]
    return "\n".join(
        (
            _table(("", ""), facts),
            "Its environment:\n\n" + _table(("variable", "value"), variables),
            "It may:\n\n" + _table(("to", "actions", "only with"), [(b, c, a) for a, b, c in allowed]),
        )
    )


def _value(value: Any) -> str:
    if isinstance(value, dict):
        [(kind, name)] = value.items()
        if kind == "Fn::Join":
            mark, parts = name
            names = ", ".join(f"`{part['Ref']}`" for part in _listed(parts))
            return f"{names} of the template, joined by `{mark}`"
        if kind == "Fn::If":
            return " or ".join(_value(part) for part in name[1:])
        return f"`{name}` of the template" if kind == "Ref" else f"`{'.'.join(_listed(name))}`"
    return f"`{value}`"


def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


# The parameter that each condition of a permission asks for.
_ONLY_WITH = {
    "HasKmsKey": "KmsKeyArn",
    "HasUpdatableTables": "UpdatableTableArns",
    "HasWitness": "WitnessFunctionArn",
    "MakesLedgerKey": "LedgerKeyArn",
}


def _statements(value: Any, condition: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(value, list):
        for part in value:
            yield from _statements(part, condition)
    elif isinstance(value, dict) and "Effect" in value:
        yield value, condition
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _statements(part, part[0] if key == "Fn::If" else condition)


# ---- commands


def _commands() -> str:
    program = typer.main.get_command(main.app)
    text = "# Commands\n\n"
    text += "Every command takes `--help`. Data goes to stdout; progress, hints and errors go to stderr.\n\n"
    codes = {
        output.EXIT_FINE: "fine",
        output.EXIT_FAILED: "the answer is no, or the operation failed",
        output.EXIT_USAGE: "the command was not called as it should be",
        output.EXIT_UNREACHABLE: "the engine or AWS is out of reach",
        output.EXIT_INTERRUPTED: "interrupted",
    }
    text += _table(("exit code", "means"), [(str(code), meaning) for code, meaning in codes.items()])
    text += "\nOptions before the command:\n\n" + _options(program)
    for name, command in _leaves(program, ""):
        text += f"\n## weaudit {name}\n\n" + _command(name, command)
    return text


def _leaves(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        path = f"{before} {name}".strip()
        if getattr(command, "commands", None) is None:
            yield path, command
            continue
        if group.commands[name].invoke_without_command:
            yield path, command
        yield from _leaves(command, path)


def _command(name: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join(("weaudit", name, "[OPTIONS]", *(_metavar(argument) for argument in arguments)))
    paragraphs = re.sub(r"\[/?[a-z ]+\]", "", command.help or "").split("\n\n")
    text = ""
    for paragraph in paragraphs:
        example = paragraph.removeprefix("Example: ")
        text += f"Example:\n\n```sh\n{example}\n```\n\n" if example != paragraph else f"{paragraph}\n\n"
    text += f"```\n{usage}\n```\n"
    rows = [(f"`{_metavar(argument)}`", argument.help or "") for argument in arguments]
    if rows:
        text += "\n" + _table(("argument", ""), rows)
    options = _options(command)
    return text + ("\n" + options if options else "")


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs == -1 else "")


def _options(command: Any) -> str:
    rows = []
    for param in command.params:
        if param.param_type_name != "option" or param.hidden:
            continue
        names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
        value = "" if param.is_flag else f" `{param.metavar or _TYPES[param.type.name]}`"
        rows.append((names + value, _explained(param)))
    return _table(("option", ""), rows) if rows else ""


def _explained(param: Any) -> str:
    text = re.sub(r"\[/?[a-z ]+\]", "", param.help or "")
    if isinstance(param.show_default, str):
        text += f" Default: {param.show_default}."
    elif not (param.is_flag or param.default in (None, "", ()) or callable(param.default)):
        text += f" Default: `{param.default}`."
    return f"{text} Environment: `{param.envvar}`." if param.envvar else text


# ---- errors


def _errors() -> str:
    rows = []
    for depth, kind in _kinds(errors.WeauditError, 0):
        meaning = (kind.__doc__ or "").split("\n", 1)[0]
        rows.append(
            (f"{'· ' * depth}`{kind.__name__}`", f"`{kind.code}`", meaning, str(output.exit_code(kind.__new__(kind))))
        )
    return (
        "# Errors\n\nEvery error that WeAudit raises on purpose, from `src/weaudit/errors.py`. Codes are stable: logs\n"
        "and quarantined records carry them. A dot means: a kind of the one above.\n\n"
        + _table(("class", "code", "means", "exit code"), rows)
    )


def _kinds(kind: type[errors.WeauditError], depth: int) -> Iterator[tuple[int, type[errors.WeauditError]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _kinds(child, depth + 1)


if __name__ == "__main__":
    for _path, _text in pages().items():
        if not _path.exists() or _path.read_text(encoding="utf-8") != _text:
            _path.write_text(_text, encoding="utf-8")
            sys.stdout.write(f"wrote {_path.relative_to(ROOT)}\n")
