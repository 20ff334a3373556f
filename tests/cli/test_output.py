"""No text from outside steers the terminal, whichever way it is printed; and there is no other way to print."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

import weaudit
from weaudit.cli.printing import output
from weaudit.errors import StoreRefusedError
from weaudit.items.texts import escaped

# Escape sequences of one and of two bytes, DEL, BEL, a carriage return, the end of the screen's line; what turns the
# direction of writing, or separates lines elsewhere; half of a surrogate pair; markup and emoji codes of rich.
HOSTILE = (
    *(
        "\x1b]0;owned\x07",
        "\x1b[2J",
        "\x9b31m",
        "\x7f",
        "a\rb",
        "\x85",
        "\u202e",
        "\u2066",
        "\u2028",
        "\u200f",
        "\ud800",
    ),
    *("\U000e0001", "[bold]x[/bold]", "[/x]", ":warning:", "\N{NO-BREAK SPACE}", "a\tb"),
)


WAYS: dict[str, Callable[[str], object]] = {
    "text": output.print_text,
    "note": output.note,
    "a note with a style": lambda text: output.note(text, "bold red"),
    "table": lambda text: output.print_table(output.table((text,), [(text,), (Text(text, style="red"),)])),
    "table of stderr": lambda text: output.print_table(output.table((text,), [(text,)]), output.stderr()),
    "error": lambda text: output.fail(StoreRefusedError(f"could not: {text}\nDo {text}.")),
    "traceback": lambda text: output.print_traceback(ValueError(text)),
    "json": lambda text: output.print_json({text: [text, Path(text)]}),
    "json list": lambda text: output.print_json_list([{text: text}, text]),
    "json page": lambda text: output.print_json_page(text, [text], output._indented, lambda: {text + "2": text}),
    "json line": lambda text: output.print_json_line({text: text}),
}


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Tell what was written to either stream."""
    for console in (output.stdout, output.stderr):
        console.cache_clear()
    yield lambda: "".join(capsys.readouterr())
    for console in (output.stdout, output.stderr):
        console.cache_clear()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_text_cannot_steer_the_terminal(way: str, text: str, printed: Callable[[], str]) -> None:
    WAYS[way](text)
    found = printed()
    assert [char for char in found if not char.isprintable() and char not in "\n\t"] == []
    if "json" not in way and "\t" not in text:
        assert output.safe(text) in found


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_printed_json_is_read_back_as_it_was(text: str, printed: Callable[[], str]) -> None:
    output.print_json({text: [text]})
    assert json.loads(printed()) == {text: [text]}


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaped_json_means_the_same_and_obeys_nothing(value: object) -> None:
    for indent in (None, 2):
        text = escaped(json.dumps(value, ensure_ascii=False, indent=indent))
        assert json.loads(text) == value
        assert all(char.isprintable() or char == "\n" for char in text)


def test_questions_are_made_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(text: str, **_more: object) -> str:
        asked.append(text)
        return ""

    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.confirm", ask)
    monkeypatch.setattr("typer.prompt", ask)
    output.agreed("Watch \x1b[2J?", yes=False)
    output.answer("The name of \x9b1m")
    assert asked == ["Watch \\x1b[2J?", "The name of \\x9b1m"]


PRINTING = {"echo", "secho", "print", "write", "confirm", "prompt", "print_exc", "print_exception"}
# A Rendering has a method of this name, which prints tables by output.py.
ALLOWED = {"output.py": PRINTING, "demo.py": {"print"}, "trail.py": {"print"}}
# The tour of the demo prints as well, by what the command gives to it.
SPEAKING = [
    path for room in ("cli", "demo") for path in sorted(Path(weaudit.__file__).parent.joinpath(room).rglob("*.py"))
]


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: path.name)
def test_commands_print_by_one_module_alone(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
    named = {func.attr for func in calls if isinstance(func, ast.Attribute)}
    named |= {func.id for func in calls if isinstance(func, ast.Name)}
    assert named & PRINTING <= ALLOWED.get(path.name, set())
