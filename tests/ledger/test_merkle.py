"""The tree is that of RFC 6962: its known vectors, its definition by recursion, and no proof but the right one."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger import trees
from weaudit.ledger import merkle
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT, Edge, check_consistency, check_inclusion

# The eight leaves with which implementations of Certificate Transparency are tested, and the roots of the trees of the
# first 0, 1 … 8 of them.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in [
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]
]  # fmt: skip
ROOTS = [
    bytes.fromhex(root)
    for root in [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
]
# (index, size): the proof, the leaf's sibling first.
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
MOST = 70
ENTRIES = [b"entry %d" % number for number in range(300)]
NAIVE_ROOTS = [trees.tree_hash(ENTRIES[:size]) for size in range(MOST + 1)]


def edge(entries: list[bytes]) -> Edge:
    return Edge().extended(merkle.leaf_hashes(entries))


def nodes(entries: list[bytes]) -> Callable[[int, int], bytes]:
    """Return the nodes of a tree; no part of it that is not a whole node can be asked for."""

    def node(level: int, index: int) -> bytes:
        start, end = index << level, index + 1 << level
        assert 0 <= start < end <= len(entries)
        return trees.tree_hash(entries[start:end])

    return node


def refused_inclusion(*args: object) -> None:
    with pytest.raises(LedgerError):
        check_inclusion(*args)  # type: ignore[arg-type]


def refused_consistency(*args: object) -> None:
    with pytest.raises(LedgerError):
        check_consistency(*args)  # type: ignore[arg-type]


# ---- known vectors


def test_the_roots_are_those_that_are_known() -> None:
    assert ROOTS[0] == EMPTY_ROOT
    assert [edge(LEAVES[:size]).root() for size in range(9)] == ROOTS
    assert merkle.leaf_hash(b"") == ROOTS[1]
    assert merkle.node_hash(ROOTS[1], merkle.leaf_hash(b"\0")) == ROOTS[2]
    assert edge(LEAVES[:7]).hashes == (ROOTS[4], trees.tree_hash(LEAVES[4:6]), merkle.leaf_hash(LEAVES[6]))


@pytest.mark.parametrize("of", INCLUSION, ids=str)
def test_inclusion_proofs_are_those_that_are_known(of: tuple[int, int]) -> None:
    index, size = of
    expected = [bytes.fromhex(one) for one in INCLUSION[of]]
    assert merkle.inclusion_proof(index, size, nodes(LEAVES[:size])) == expected
    check_inclusion(index, size, merkle.leaf_hash(LEAVES[index]), expected, ROOTS[size])


@pytest.mark.parametrize("of", CONSISTENCY, ids=str)
def test_consistency_proofs_are_those_that_are_known(of: tuple[int, int]) -> None:
    old_size, size = of
    expected = [bytes.fromhex(one) for one in CONSISTENCY[of]]
    assert merkle.consistency_proof(old_size, size, nodes(LEAVES[:size])) == expected
    check_consistency(old_size, ROOTS[old_size], size, ROOTS[size], expected)


# ---- the definition


def test_roots_are_those_of_the_definition() -> None:
    assert [edge(ENTRIES[:size]).root() for size in range(MOST + 1)] == NAIVE_ROOTS


@given(st.lists(st.integers(0, 70), max_size=8))
def test_a_tree_grown_in_steps_is_the_tree_grown_at_once(steps: list[int]) -> None:
    grown, size = Edge(), 0
    for step in steps:
        leaves = [b"%d" % number for number in range(size, size + step)]
        grown, size = grown.extended(merkle.leaf_hashes(leaves)), size + step
    whole = edge([b"%d" % number for number in range(size)])
    assert (grown.size, grown.hashes) == (size, whole.hashes)
    assert grown.root() == trees.tree_hash([b"%d" % number for number in range(size)])
    assert grown.hashes == tuple(
        trees.tree_hash([b"%d" % number for number in range(index << level, index + 1 << level)])
        for level, index in merkle.nodes_between(0, size)
    )


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_inclusion_proofs_of_every_leaf_are_those_of_the_definition(size: int) -> None:
    tree, node = ENTRIES[:size], nodes(ENTRIES[:size])
    for index in range(size):
        found = merkle.inclusion_proof(index, size, node)
        assert found == trees.path(index, tree)
        check_inclusion(index, size, merkle.leaf_hash(tree[index]), found, NAIVE_ROOTS[size])


@pytest.mark.parametrize("size", range(MOST + 1))
def test_consistency_proofs_from_every_size_are_those_of_the_definition(size: int) -> None:
    tree, node = ENTRIES[:size], nodes(ENTRIES[:size])
    for old_size in range(size + 1):
        found = merkle.consistency_proof(old_size, size, node)
        assert found == (trees.proof(old_size, tree) if old_size else [])
        check_consistency(old_size, NAIVE_ROOTS[old_size], size, NAIVE_ROOTS[size], found)


def taken(check: Callable[..., None], *args: object) -> bool:
    try:
        check(*args)
    except LedgerError:
        return False
    return True


@given(st.data())
def test_the_steps_of_the_page_take_the_same_inclusion_proofs(data: st.DataObject) -> None:
    size, claimed = data.draw(st.integers(1, MOST)), data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    leaf, root, right = merkle.leaf_hash(ENTRIES[index]), NAIVE_ROOTS[size], trees.path(index, ENTRIES[:size])
    for proof in (right, data.draw(st.sampled_from(trees.damaged(right)))):
        for n in (size, claimed):
            assert taken(check_inclusion, index, n, leaf, proof, root) == trees.includes(index, n, leaf, proof, root)


@given(st.data())
def test_the_steps_of_the_page_take_the_same_consistency_proofs(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    old_size = data.draw(st.integers(1, size - 1))
    claimed = data.draw(st.integers(old_size + 1, MOST + 1))
    old_root, root, right = NAIVE_ROOTS[old_size], NAIVE_ROOTS[size], trees.proof(old_size, ENTRIES[:size])
    for proof in (right, data.draw(st.sampled_from(trees.damaged(right)))):
        for n in (size, claimed):
            expected = trees.begins(old_size, old_root, n, root, proof)
            assert taken(check_consistency, old_size, old_root, n, root, proof) == expected


@given(st.data())
def test_larger_trees_have_the_proofs_of_the_definition(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(ENTRIES)))
    index, old_size = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    tree, node = ENTRIES[:size], nodes(ENTRIES[:size])
    included = merkle.inclusion_proof(index, size, node)
    assert included == trees.path(index, tree)
    check_inclusion(index, size, merkle.leaf_hash(tree[index]), included, trees.tree_hash(tree))
    consistent = merkle.consistency_proof(old_size, size, node)
    assert consistent == trees.proof(old_size, tree)
    check_consistency(old_size, trees.tree_hash(tree[:old_size]), size, trees.tree_hash(tree), consistent)


# ---- nothing else is taken


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (6, 7), (3, 8), (32, 33), (20, 37)])
def test_an_altered_inclusion_proof_is_refused(index: int, size: int) -> None:
    tree, root, leaf = ENTRIES[:size], NAIVE_ROOTS[size], merkle.leaf_hash(ENTRIES[index])
    right = trees.path(index, tree)
    for wrong in trees.damaged(right):
        refused_inclusion(index, size, leaf, wrong, root)
    for bit in range(256):
        refused_inclusion(index, size, trees.flipped(leaf, bit), right, root)
        refused_inclusion(index, size, leaf, right, trees.flipped(root, bit))
    for other in range(-1, size + 2):
        if other != index:
            refused_inclusion(other, size, leaf, right, root)
    # For some other sizes the same proof is right as well, since the way to the leaf is the same. That helps nobody: a
    # root is signed together with its size.
    for other in (0, index, -1):
        refused_inclusion(index, other, leaf, right, root)


@pytest.mark.parametrize(("old_size", "size"), [(1, 2), (2, 3), (4, 7), (6, 8), (7, 8), (32, 33), (21, 37)])
def test_an_altered_consistency_proof_is_refused(old_size: int, size: int) -> None:
    old_root, root = NAIVE_ROOTS[old_size], NAIVE_ROOTS[size]
    right = trees.proof(old_size, ENTRIES[:size])
    for wrong in trees.damaged(right):
        refused_consistency(old_size, old_root, size, root, wrong)
    for bit in range(256):
        refused_consistency(old_size, trees.flipped(old_root, bit), size, root, right)
        refused_consistency(old_size, old_root, size, trees.flipped(root, bit), right)
    for other in (-1, 0, size, size + 1):
        refused_consistency(other, old_root, size, root, right)
    refused_consistency(size, root, old_size, old_root, right)


def test_trees_of_one_size_have_one_root_and_the_empty_tree_begins_each() -> None:
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    check_consistency(0, EMPTY_ROOT, 5, NAIVE_ROOTS[5], [])
    check_consistency(5, NAIVE_ROOTS[5], 5, NAIVE_ROOTS[5], [])
    refused_consistency(0, NAIVE_ROOTS[1], 0, NAIVE_ROOTS[1], [])
    refused_consistency(0, EMPTY_ROOT, 0, NAIVE_ROOTS[1], [])
    refused_consistency(0, NAIVE_ROOTS[1], 5, NAIVE_ROOTS[5], [])
    refused_consistency(5, NAIVE_ROOTS[4], 5, NAIVE_ROOTS[5], [])
    refused_consistency(0, EMPTY_ROOT, 5, NAIVE_ROOTS[5], [NAIVE_ROOTS[5]])
    refused_consistency(5, NAIVE_ROOTS[5], 5, NAIVE_ROOTS[5], [NAIVE_ROOTS[5]])


def test_two_trees_that_part_are_not_consistent() -> None:
    other = [*ENTRIES[:10], b"another", *ENTRIES[11:40]]
    for old_size, size in itertools.combinations(range(1, 40), 2):
        if old_size > 10:
            tree = other[:size]
            found = trees.proof(old_size, tree)
            refused_consistency(old_size, NAIVE_ROOTS[old_size], size, trees.tree_hash(tree), found)


def test_what_no_tree_has_is_refused() -> None:
    for bad in [-1, merkle.MOST_LEAVES + 1]:
        with pytest.raises(LedgerError):
            Edge(bad)
        refused_inclusion(0, bad, ROOTS[1], [], ROOTS[1])
        refused_consistency(bad, ROOTS[1], bad, ROOTS[1], [])
    with pytest.raises(LedgerError):
        Edge(3, [ROOTS[1]])
    with pytest.raises(LedgerError):
        Edge(1, [b"short"])
    with pytest.raises(LedgerError):
        Edge().extended(bytes(33))
    with pytest.raises(LedgerError):
        Edge(merkle.MOST_LEAVES, [ROOTS[1]] * 63).extended(bytes(32))
    refused_inclusion(0, 1, b"short", [], b"short")


def test_a_proof_is_never_long_however_large_the_tree() -> None:
    def node(level: int, index: int) -> bytes:
        return bytes(32)

    for size in [merkle.MOST_LEAVES, 1 << 62, (1 << 62) + 1]:
        assert len(merkle.inclusion_proof(0, size, node)) <= 63
        assert len(merkle.inclusion_proof(size - 1, size, node)) <= 63
        assert len(merkle.consistency_proof(size // 3, size, node)) <= 64
        assert len(merkle.consistency_proof(size - 1, size, node)) <= 64
