"""The page of the witness makes the verifier key as the code reads it."""

import re
import subprocess
from base64 import b64encode
from pathlib import Path

from tests.ledger.keys import witness
from tests.ledger.strangers import ROOT, need_shell
from weaudit.ledger.ed25519 import to_spki


def test_the_verifier_key_is_made_from_what_kms_says(tmp_path: Path) -> None:
    need_shell()
    key = witness("audit.example.com/witness").key
    page = (ROOT / "docs" / "witness.md").read_text(encoding="utf-8")
    [block] = [one for one in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "name=" in one]
    aws = f"aws() {{ echo {b64encode(to_spki(key.public_key)).decode()}; }}\n"
    done = subprocess.run(["bash", "-euc", aws + block], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{key}\n"
