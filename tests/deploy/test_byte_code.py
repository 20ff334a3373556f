"""The byte code in the zips: the same each time, that of the sources beside it, used, and no condition of anything."""

import hashlib
import importlib.util
import marshal
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from weaudit.deploy import byte_code, packaging
from weaudit.functions import FUNCTIONS

_TAG = str(sys.implementation.cache_tag)
_STARTING = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def _unpacked(tmp_path: Path, place: int = 0) -> Path:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(packaging.build(FUNCTIONS[place], tmp_path / "out").path) as archive:
        archive.extractall(folder)
    return folder


def _run(folder: Path, script: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        *flags,
        "-c",
        f"import sys; sys.path.insert(0, {str(folder)!r})\n{script}",
    ]
    return subprocess.run(command, env=_STARTING, capture_output=True, text=True, check=False)


_DIGESTS = """
import hashlib, sys
if sys.argv[2] == "loaded":  # what is in memory already shares its texts with what is compiled
    import weaudit.handlers.read_trail, weaudit.handlers.audit_producer, weaudit.cli.main, decimal, email.message
from pathlib import Path
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS
for function in FUNCTIONS if sys.argv[3] == "forwards" else reversed(FUNCTIONS):
    print(function.name, packaging.build(function, Path(sys.argv[1])).sha256)
"""


def test_the_bytes_depend_neither_on_hashes_nor_on_what_is_in_memory(tmp_path: Path) -> None:
    found = []
    for seed, state, order in (
        ("0", "fresh", "forwards"),
        ("1", "loaded", "backwards"),
        ("4242", "fresh", "backwards"),
    ):
        command = [sys.executable, "-c", _DIGESTS, str(tmp_path / seed), state, order]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPYCACHEPREFIX": str(tmp_path / "elsewhere")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(sorted(done.stdout.splitlines()))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == len(FUNCTIONS)


def test_sets_among_the_constants_come_out_in_one_order() -> None:
    source = b"def f(x):\n    return x in {'mq_one', 'mq_two', 'mq_three', 'mq_four', 1, 2.5, None, (1, 'mq_one')}\n"
    script = (
        "import sys, hashlib; from weaudit.deploy import byte_code\n"
        "mq_three = sys.argv[1] and {sys.intern(text): 1 for text in sys.argv[1:]}\n"
        f"print(hashlib.sha256(byte_code.beside({{'a.py': {source!r}}}).popitem()[1]).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script, *held],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, held in enumerate((["x"], ["mq_three"], ["mq_one", "mq_four"]))
    }
    assert found == {hashlib.sha256(byte_code.beside({"a.py": source}).popitem()[1]).hexdigest() + "\n"}


def test_each_source_has_its_own_byte_code_and_no_path_of_this_machine(tmp_path: Path) -> None:
    for place, function in enumerate(FUNCTIONS):
        folder = _unpacked(tmp_path / function.name, place)
        sources = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}
        assert len(sources) == len(list(folder.rglob("*.pyc"))) > 10
        for name, source in sources.items():
            cached = (folder / name).parent / "__pycache__" / f"{Path(name).stem}.{_TAG}.pyc"
            content = cached.read_bytes()
            assert content[:4] == importlib.util.MAGIC_NUMBER
            # PEP 552: bit 0 says that a hash follows, bit 1 that it is to be checked.
            assert int.from_bytes(content[4:8], "little") == 1
            assert content[8:16] == importlib.util.source_hash(source)
            assert marshal.loads(content[16:]) == compile(source, name, "exec", dont_inherit=True)  # noqa: S302 our own
            assert str(Path(packaging.__file__).parents[2]).encode() not in content


def test_a_change_of_one_source_changes_the_zips_that_hold_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {function.name: packaging.build(function, tmp_path / "one").sha256 for function in FUNCTIONS}
    changed = "handlers/list_objects.py"
    compiled = byte_code._compiled
    monkeypatch.setattr(
        byte_code,
        "_compiled",
        lambda name, source: compiled(name, source + b"_more = 1\n" if name.endswith(changed) else source),
    )
    after = {function.name: packaging.build(function, tmp_path / "two").sha256 for function in FUNCTIONS}
    assert {name for name in before if before[name] != after[name]} == {"list_objects"}


def test_an_import_takes_the_byte_code_and_leaves_the_folder_as_it_is(tmp_path: Path) -> None:
    folder = _unpacked(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = _run(folder, "import index; print(index.lambda_handler)", "-v")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    taken = {line.rpartition("code object from ")[2].strip("'\"") for line in lines if "# code object from" in line}
    ours = {path for path in taken if path.startswith(str(folder))}
    assert ours == {str(path) for path in before if path.suffix == ".pyc"}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    # Not even read: with other sources beside it, the same is imported.
    for path in folder.rglob("*.py"):
        path.write_text("this is no Python\n")
    assert _run(folder, "import index; print(index.lambda_handler)").returncode == 0


@pytest.mark.parametrize("tag", ["cpython-399", "pypy39"])
def test_byte_code_of_another_python_is_passed_by(tmp_path: Path, tag: str) -> None:
    folder = _unpacked(tmp_path)
    for path in list(folder.rglob("*.pyc")):
        path.with_name(path.name.replace(_TAG, tag)).write_bytes(b"\0" * 16 + path.read_bytes())
        path.unlink()
    done = _run(folder, "import index; print(index.lambda_handler)")
    assert "lambda_handler" in done.stdout, done.stderr


def test_a_traceback_names_the_file_on_lambda_and_shows_its_line(tmp_path: Path) -> None:
    folder = _unpacked(tmp_path)
    done = _run(
        folder,
        "from weaudit.items import values\n"
        "from weaudit.runtime import logs\n"
        "try: values.spelled({'N': 'x'})\n"
        "except ValueError as error: print(logs.cause(error))\n"
        "values.spelled({'N': 'x'})",
    )
    assert f'File "{folder}/weaudit/items/values.py", line ' in done.stderr
    assert 'raise ValueError("not a DynamoDB number")' in done.stderr
    [told] = done.stdout.splitlines()
    assert told.startswith("ValueError at values.py:")


def test_what_is_no_python_has_no_byte_code() -> None:
    files = {"a/data.json": b"{}", "a/template.py": b"{{ name }} = ", "a/nul.py": b"a = 1\0", "b.py": b"a = '\\d'\n"}
    assert list(byte_code.beside(files)) == [f"__pycache__/b.{_TAG}.pyc"]


def test_what_cannot_be_written_or_is_nested_too_deep_has_no_byte_code(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b"a = " + b"-" * 100_000 + b"1\n"
    assert byte_code.beside({"deep.py": deep}) == {}

    def unmarshallable(code: object, version: int) -> bytes:
        raise ValueError("unmarshallable object")  # as Python 3.14 says of a[1:2] below version 5

    monkeypatch.setattr(marshal, "dumps", unmarshallable)
    assert byte_code.beside({"slice.py": b"b = 'sliced'[1:2]\n"}) == {}
