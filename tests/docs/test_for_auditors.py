"""The page for auditors shows what its commands print, and the script of the record finds what is wrong."""

import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.strangers import EXAMPLES, ROOT, VERIFIER_KEY, growth, need_shell, numbered, signed
from tests.strategies import change
from tests.trails import decide
from weaudit.capture.hashes import committed_value, from_base64, record_hash
from weaudit.items.values import Item
from weaudit.ledger.entries import entry
from weaudit.ledger.proofs import build
from weaudit.ledger.tiles import Tail, TileReader

PAGE = ROOT / "docs" / "proof" / "for-auditors.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LEFT_OUT = {"salt", "origin", "historyKey", "changesKey", "changesOrder"}


def in_receipt(record: Item) -> dict[str, Any]:
    """Return a record as a receipt has it: without the item's salt, long values by their commitments."""
    found = {name: value for name, value in record.items() if name not in LEFT_OUT}
    for name in {"oldValue", "newValue"} & record.keys():
        attribute = record["updatedAttribute"]["S"] if "updatedAttribute" in record else None
        found[name] = json.loads(committed_value(from_base64(record["salt"]), attribute, record[name]))
    return found


def receipt(record: Item, at: int = 2, size: int = 5) -> bytes:
    """Return the receipt of a record that is an entry of a small log."""
    stated = record_hash(record, record.get("oldValue"), record.get("newValue"))
    entries = [numbered(index) for index in range(size)]
    entries[at] = entry("record", "2024-01-01T12:00:00.000Z", id=record["id"]["S"], hash=stated.hex())
    tree = tree_of([one.text for one in entries])
    return build(at, tree.inclusion_proof(at), signed(size, tree.root), entries[at], in_receipt(record))


def tree_of(texts: list[bytes]) -> TileReader:
    tail = Tail()
    objects = dict([*tail.append(texts), *tail.partial(0)])
    return TileReader(len(texts), tail.edge().root(), objects.get)


def price(**new: Any) -> Item:
    old = {"key": {"S": "k"}, "price": {"N": "10"}, "by": {"S": "ada"}}
    [record] = decide(change(old, {**old, "price": {"N": "12"}, **new}), actor="by")
    return record


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    need_shell()
    for name in ("signature.sh", "inclusion.sh", "consistency.sh", "record.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    text = receipt(price())
    (tmp_path / "record.tlog-proof").write_bytes(text)
    (tmp_path / "key").write_text(f"{VERIFIER_KEY}\n", encoding="utf-8")
    entries = [numbered(index).text for index in range(5)]
    entries[2] = json.loads(b64decode(text.split(b"\n")[1][6:]))["entry"].encode()
    later = tree_of([*entries, *(numbered(index).text for index in range(5, 9))])
    (tmp_path / "growth").write_bytes(growth(later, 5))

    shown = "".join(CONSOLE.findall(PAGE.read_text(encoding="utf-8")))
    printed = ""
    commands = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        printed += f"$ {command}\n{done.stdout}"
    assert len(commands) == 5
    assert printed == shown


def checked(text: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "file").write_bytes(text)
    command = [sys.executable, "-I", str(EXAMPLES / "record.py"), str(folder / "file")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "record",
    [
        price(price={"S": "é \u2028 \x7f \x1b[31m" * 80}),
        price(price={"M": {"z": {"SS": ["b", "a"]}, "é": {"NULL": True}}}),
        *decide(change(None, {"key": {"S": "k"}, "short": {"N": "1"}, "long": {"S": "x" * 2000}})),
        *decide(change({"key": {"S": "k"}, "pin": {"S": "4711"}}, None)),
    ],
    ids=["a long value", "a map", "an item", "a deleted item"],
)
def test_the_script_finds_the_record_of_the_entry_and_nothing_that_is_not(record: Item, tmp_path: Path) -> None:
    text = receipt(record)
    done = checked(text, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is the record of the entry" in done.stdout
    assert "\x1b" not in done.stdout

    lines = text.split(b"\n")
    held = json.loads(b64decode(lines[1][6:]))
    for name, value in held["record"].items():
        if name in ("historyKey", "expiresAt"):
            continue
        ((kind, plain),) = value.items()
        other = {kind: f"{plain}0" if kind in "SN" else b64encode(b"another").decode() if kind == "B" else {}}
        changed = {**held, "record": {**held["record"], name: other}}
        wrong = b"\n".join([lines[0], b"extra " + b64encode(json.dumps(changed).encode()), *lines[2:]])
        assert checked(wrong, tmp_path).returncode == 1, name
