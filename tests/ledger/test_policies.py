"""Policies: the specification's example, ours, what satisfies them, and what is refused."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.keys import SUMDB_KEY, WITNESS_KEY, Signer, signer, witness
from weaudit.ledger import policies
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import VerifierKey

LOG = signer("log.example/one")
WITNESSES = {name: witness(f"{name.lower()}.example") for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")}
X1, X2 = WITNESSES["X1"].key, WITNESSES["X2"].key
# The example of c2sp.org/tlog-policy.
EXAMPLE = f"""\
log {LOG.key}

witness X1 {WITNESSES["X1"].key}
witness X2 {WITNESSES["X2"].key}
witness X3 {WITNESSES["X3"].key}
group X-witnesses 2 X1 X2 X3

witness Y1 {WITNESSES["Y1"].key}
witness Y2 {WITNESSES["Y2"].key}
witness Y3 {WITNESSES["Y3"].key}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def read(text: str) -> policies.Policy:
    return policies.read(text.encode())


def test_the_example_of_the_specification_is_satisfied_by_two_of_one_and_one_of_the_other() -> None:
    policy = read(EXAMPLE)
    assert policy.keys() == [LOG.key, *(one.key for one in WITNESSES.values())]
    for count in range(7):
        for names in combinations(WITNESSES, count):
            enough = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
            signed = {LOG.key: None, **{WITNESSES[name].key: 5 for name in names}}
            assert policy.is_witnessed(signed) == enough
            if enough:
                policy.require("log.example/one", signed)
            else:
                with pytest.raises(LedgerError, match=f"cosigned by {count} of the policy's 6 witnesses"):
                    policy.require("log.example/one", signed)


def test_a_log_must_have_signed_under_its_origin() -> None:
    policy = read(EXAMPLE)
    everyone = [one.key for one in WITNESSES.values()]
    for origin, signed in (("log.example/one", everyone), ("log.example/two", [LOG.key, *everyone])):
        with pytest.raises(LedgerError, match="has its origin as its name"):
            policy.require(origin, signed)


def test_any_of_several_logs_may_have_signed() -> None:
    second = signer("log.example/two")
    policy = read(f"log {LOG.key}\nlog {second.key} https://log.example/two\nquorum none\n")
    policy.require("log.example/one", [LOG.key])
    policy.require("log.example/two", [second.key])
    with pytest.raises(LedgerError, match="has its origin as its name"):
        policy.require("log.example/two", [LOG.key])


def test_our_policy_has_one_log_and_no_witness() -> None:
    text = policies.text_of(LOG.key)
    assert text == f"log {LOG.key}\nquorum none\n"
    for policy in (read(text), policies.of_log(LOG.key)):
        assert policy.keys() == [LOG.key]
        policy.require(LOG.key.name, [LOG.key])


def test_our_policy_may_have_a_witness() -> None:
    policy = read(policies.text_of(LOG.key, X1))
    assert policy.keys() == [LOG.key, X1]
    assert policy.is_witnessed([X1])
    assert not policy.is_witnessed([X2, LOG.key])


def test_white_space_comments_addresses_and_names_are_as_the_specification_has_them() -> None:
    text = f"""
# A comment, größer als ASCII
\t # another
 log\t{SUMDB_KEY}  https://sum.golang.org
witness K {X1} https://x1.example/ü
\twitness \u212a {X2}\t
witness remora {WITNESS_KEY}
group all all K
group two 1 \u212a remora
  quorum two
"""
    policy = read(text)
    assert [str(key) for key in policy.logs] == [SUMDB_KEY]
    assert list(policy.witnesses) == [b"K", b"\xe2\x84\xaa", b"remora"]
    assert policy.is_witnessed([X2])
    assert policy.is_witnessed([VerifierKey.read(WITNESS_KEY)])
    assert not policy.is_witnessed([X1])
    # A no-break space is a part of a name here, and a name need not be UTF-8.
    assert list(policies.read(f"witness a\u00a0b {X1}\nquorum none\n".encode()).witnesses) == [b"a\xc2\xa0b"]
    assert list(policies.read(f"witness \udcff {X1}\nquorum none\n".encode(errors="surrogateescape")).witnesses) == [
        b"\xff"
    ]


def test_a_quorum_may_be_one_witness_and_lines_may_follow_it() -> None:
    policy = read(f"witness X1 {X1}\nquorum X1\nwitness X2 {X2}\nlog {LOG.key}\n")
    assert policy.is_witnessed([X1])
    assert not policy.is_witnessed([X2])


def test_a_policy_of_thirty_two_of_each_is_read() -> None:
    witnesses = [witness(f"w{number}.example").key for number in range(32)]
    lines = [f"log {signer(f'log{number}.example').key}" for number in range(32)]
    lines += [f"witness w{number} {key}" for number, key in enumerate(witnesses)]
    lines += [f"group g0 {32} {' '.join(f'w{number}' for number in range(32))}"]
    lines += [f"group g{number} any g{number - 1}" for number in range(1, 32)]
    policy = read("\n".join([*lines, "quorum g31\n"]))
    assert len(policy.keys()) == 64
    assert policy.is_witnessed(witnesses)
    assert not policy.is_witnessed(witnesses[:31])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "ended by a newline"),
        ("quorum none", "ended by a newline"),
        ("\n", "this one has none"),
        (f"log {LOG.key}\n", "this one has none"),
        ("quorum none\nquorum none\n", "line 2 .* quorum line already"),
        ("quorum\n", "line 1 .* not a line"),
        ("quorum none none\n", "line 1 .* not a line"),
        ("\n\nquorum X1\n", "line 3 .* no line above"),
        (f"quorum X1\nwitness X1 {X1}\n", "line 1 .* no line above"),
        ("Quorum none\n", "not a line"),
        ("quorum none # why\n", "not a line"),
        ("log\nquorum none\n", "not a line"),
        (f"log {LOG.key} https://a b\n", "not a line"),
        (f"log {X1}\n", "type 0x01"),
        (f"witness X1 {LOG.key}\n", "type 0x04"),
        ("log example.com+00000000+AAAA\n", "line 1 .* type 0x00"),
        ("log vkey\n", "line 1 .* a verifier key is"),
        (f"log {LOG.key}\nlog {LOG.key}\n", "line 2 .* same public key"),
        (f"log {LOG.key}\nlog {signer('another.name', seed='log.example/one').key}\n", "line 2 .* same public key"),
        (f"witness X1 {X1}\nwitness X2 {X1}\n", "line 2 .* same public key"),
        (f"witness X1 {X1}\nwitness X1 {X2}\n", "line 2 .* defined already"),
        (f"witness none {X1}\n", "defined already"),
        (f"witness X1 {X1}\ngroup X1 any X1\n", "line 2 .* defined already"),
        (f"witness X1 {X1}\ngroup none any X1\n", "line 2 .* defined already"),
        (f"witness X1 {X1}\ngroup g any X1\ngroup g any X1\n", "line 3 .* defined already"),
        (f"witness {X1}\n", "not a line"),
        ("group g any\n", "not a line"),
        ("group g any none\n", "no line above"),
        ("group g any g\n", "no line above"),
        (f"witness X1 {X1}\ngroup g any X1 X1\n", "once"),
        (f"witness X1 {X1}\ngroup g any X1\ngroup h any X1\n", "line 3 .* once"),
        *(
            (f"witness X1 {X1}\nwitness X2 {X2}\ngroup g {least} X1 X2\n", "line 3 .* a number from 1")
            for least in ["0", "3", "-1", "01", "1.0", "ALL", "most", "²", "9" * 5000]
        ),
        (f"log {LOG.key}\r\nquorum none\r\n", "control characters"),
        (f"log {LOG.key}\x0bquorum none\n", "control characters"),
        ("quorum none\0\n", "control characters"),
        ("quorum none\x7f\n", "control characters"),
        ("#" * policies.LARGEST_POLICY_BYTES + "\nquorum none\n", "more than 65536 bytes"),
    ],
)
def test_what_is_no_policy_is_refused(text: str, match: str) -> None:
    with pytest.raises(LedgerError, match=match):
        read(text)


def test_a_key_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(LedgerError, match=r"line 1 .* not UTF-8"):
        policies.read(b"log \xff" + str(LOG.key).encode() + b"\nquorum none\n")


@given(st.data())
def test_any_change_of_a_policy_is_read_or_refused(data: st.DataObject) -> None:
    content = EXAMPLE.encode()
    at = data.draw(st.integers(0, len(content)))
    damaged = content[:at] + data.draw(st.binary(max_size=3)) + content[data.draw(st.integers(at, len(content))) :]
    try:
        policy = policies.read(damaged)
    except LedgerError:
        return
    # Whatever is read can be asked, and needs the quorum that it names.
    assert policy.is_witnessed([one.key for one in WITNESSES.values()])
    assert policy.is_witnessed([]) == (policy.quorum == b"none")


@given(st.lists(st.sampled_from(sorted(WITNESSES)), unique=True), st.integers(1, 6))
def test_a_group_counts_its_members(names: list[str], least: int) -> None:
    every: dict[str, Signer] = WITNESSES
    lines = [f"witness {name} {one.key}" for name, one in every.items()]
    policy = read("\n".join([*lines, f"group g {least} {' '.join(every)}", "quorum g\n"]))
    assert policy.is_witnessed([every[name].key for name in names]) == (len(names) >= least)
