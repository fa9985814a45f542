import hashlib
import io

import pytest

from flchain.protocol.types import Digest
from flchain.storage.cid import Cid, Codec, compute_raw_cid, decode_cid
from flchain.storage.dagpb import FileNode, Link, decode_node, encode_node
from flchain.storage.errors import ContentTooLarge, InvalidDag
from flchain.storage.unixfs import (
    FREE_BLOCKS,
    MAX_BLOCK,
    MAX_DEPTH,
    Block,
    Profile,
    build_blocks,
    iterate_cids,
    iterate_dag,
    iterate_expected,
    iterate_file,
)
from tests.unit.storage.keystream import LARGE, PROFILES, VECTORS, describe, open_file

TINY = Profile("tiny", 1, chunk_size=2, max_links=3, raw_leaves=True)
FILES = [
    pytest.param(
        vector,
        id=f"{vector['profile']}-{vector.get('size', len(vector.get('hex', '')) // 2)}",
    )
    for vector in VECTORS["files"]
    if vector.get("size", 0) < LARGE
]


def make_block(node):
    data = encode_node(node)
    return Block(Cid(Digest(hashlib.sha256(data).digest()), Codec.DAG_PB), data)


def make_parent(*children, tsizes=None, sizes=None):
    """A parent of blocks, with declarations that may be overridden."""
    own = [decode_node(*child).size for child in children]
    sizes = own if sizes is None else sizes
    tsizes = [len(child.data) for child in children] if tsizes is None else tsizes
    links = [Link(c.cid, t, s) for c, t, s in zip(children, tsizes, sizes, strict=True)]
    return make_block(FileNode(b"", sum(sizes), tuple(links)))


def make_leaf(data):
    return Block(compute_raw_cid(data), data)


def read(blocks, root, max_size=1 << 20):
    held = {block.cid: block.data for block in blocks}
    return b"".join(iterate_file(root, held.__getitem__, max_size=max_size))


@pytest.mark.parametrize("vector", FILES)
def test_build_blocks__golden_file__has_the_published_cid(vector):
    root = None
    for block in build_blocks(open_file(vector), PROFILES[vector["profile"]]):
        root = block.cid
    assert str(root) == vector["cid"]


@pytest.mark.parametrize("case", VECTORS["invalid_nodes"], ids=describe)
def test_decode_node__invalid_twin__is_refused(case):
    cid = Cid(Digest(bytes(32)), Codec.DAG_PB)
    with pytest.raises(InvalidDag, match=str(cid)):
        decode_node(cid, bytes.fromhex(case["hex"]))


def test_decode_node__valid_twin__is_read():
    data = bytes.fromhex(VECTORS["node"]["hex"])
    leaves = [make_leaf(bytes.fromhex(leaf)) for leaf in VECTORS["node"]["leaves"]]
    node = decode_node(Cid(Digest(bytes(32)), Codec.DAG_PB), data)
    assert [link.cid for link in node.links] == [leaf.cid for leaf in leaves]
    assert make_parent(*leaves).data == data


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.DAG_PB])
def test_iterate_file__leaf__is_the_file(codec):
    block = make_leaf(b"data") if codec is Codec.RAW else make_block(FileNode(b"data", 4, ()))
    assert read([block], block.cid) == b"data"


def test_iterate_file__raw_type_leaf__is_read_like_a_file():
    data = b"\x0a\x08\x08\x00\x12\x02hi\x18\x02"
    cid = Cid(Digest(hashlib.sha256(data).digest()), Codec.DAG_PB)
    assert read([Block(cid, data)], cid) == b"hi"


def test_iterate_file__children_swapped__reads_in_link_order():
    left, right = make_leaf(b"left"), make_leaf(b"right")
    root = make_parent(right, left)
    assert read([left, right, root], root.cid) == b"rightleft"


@pytest.mark.parametrize("declared", [3, 5])
def test_iterate_file__child_of_another_size__is_refused(declared):
    leaf = make_leaf(b"four")
    root = make_parent(leaf, leaf, sizes=[4, declared])
    with pytest.raises(InvalidDag, match="4 bytes"):
        read([leaf, root], root.cid)


def test_iterate_file__wrong_tsize__is_refused():
    leaf = make_leaf(b"four")
    root = make_parent(leaf, tsizes=[5])
    with pytest.raises(InvalidDag, match="Tsize"):
        read([leaf, root], root.cid)


def test_iterate_file__declared_size_over_the_cap__asks_for_no_child():
    root = make_parent(make_leaf(b"four"), make_leaf(b"more"))
    with pytest.raises(ContentTooLarge, match="declares 8 bytes; the limit is 7"):
        read([root], root.cid, max_size=7)


def test_iterate_file__raw_block_over_the_cap__is_refused():
    leaf = make_leaf(b"four")
    with pytest.raises(ContentTooLarge):
        read([leaf], leaf.cid, max_size=3)


def test_iterate_file__oversized_block__is_refused():
    leaf = make_leaf(bytes(MAX_BLOCK + 1))
    with pytest.raises(ContentTooLarge, match="block"):
        read([leaf], leaf.cid, max_size=1 << 30)


def make_chain(length):
    """A leaf under `length` parents with one child each."""
    blocks = [make_leaf(b"x")]
    tsize = 1
    for _ in range(length):
        blocks.append(make_parent(blocks[-1], tsizes=[tsize]))
        tsize += len(blocks[-1].data)
    return blocks


def test_iterate_file__deepest_allowed_tree__is_read():
    blocks = make_chain(MAX_DEPTH)
    assert read(blocks, blocks[-1].cid) == b"x"


def test_iterate_file__too_deep_tree__is_refused():
    blocks = make_chain(MAX_DEPTH + 1)
    with pytest.raises(InvalidDag, match="deeper"):
        read(blocks, blocks[-1].cid)
    held = {block.cid: block.data for block in blocks}
    with pytest.raises(InvalidDag, match="deeper"):
        list(iterate_cids(blocks[-1].cid, held.__getitem__))


def test_iterate_file__many_tiny_blocks__stops_at_the_budget():
    leaf = make_leaf(b"x")
    asked = []
    root = make_parent(*[leaf] * (FREE_BLOCKS + 10))
    held = {leaf.cid: leaf.data, root.cid: root.data}

    def get(cid):
        asked.append(cid)
        return held[cid]

    with pytest.raises(ContentTooLarge, match="too many blocks"):
        list(iterate_file(root.cid, get, max_size=FREE_BLOCKS + 10))
    assert len(asked) <= FREE_BLOCKS + 10


def test_iterate_dag__repeated_chunk__comes_once_and_parents_first():
    data = b"abababab" + b"cd"
    blocks = list(build_blocks(io.BytesIO(data), TINY))
    root = blocks[-1].cid
    held = {block.cid: block.data for block in blocks}
    walked = list(iterate_dag(root, held.__getitem__))
    assert walked[0].cid == root
    assert len(walked) == len(held)
    assert dict(walked) == held


def test_iterate_expected__foreign_block__is_refused():
    blocks = list(build_blocks(io.BytesIO(b"abcdefgh"), TINY))
    foreign = make_leaf(b"foreign")
    with pytest.raises(InvalidDag, match="no part of"):
        list(iterate_expected(blocks[-1].cid, [blocks[-1], foreign]))


def test_build_blocks__pipe_with_short_reads__gives_the_same_cid():
    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size or 0, 7))

    data = bytes(range(256)) * 20
    profile = Profile("small", 1, chunk_size=100, max_links=4, raw_leaves=True)
    fast = list(build_blocks(io.BytesIO(data), profile))
    assert list(build_blocks(Slow(data), profile)) == fast


def test_read__golden_file_flipped_anywhere__has_another_cid():
    data = bytearray(b"hello world")
    data[4] ^= 1
    *_, root = build_blocks(io.BytesIO(data))
    assert root.cid != decode_cid(VECTORS["files"][1]["cid"])
