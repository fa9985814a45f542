import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.protocol.types import Digest
from flchain.storage.cid import Cid, Codec
from flchain.storage.dagpb import FileNode, Link, decode_node, encode_node
from flchain.storage.errors import ContentCorrupt, ContentTooLarge, ContentUnavailable, InvalidDag
from flchain.storage.local import LocalStore
from flchain.storage.memory import MemoryBlocks
from flchain.storage.pins import PinTable
from flchain.storage.unixfs import Profile, build_blocks, iterate_cids, iterate_file

profiles = st.builds(
    Profile,
    name=st.just("random"),
    cid_version=st.just(1),
    chunk_size=st.integers(1, 9),
    max_links=st.integers(2, 5),
    raw_leaves=st.booleans(),
)
files = st.binary(max_size=300)


def compute_levels(data, profile):
    """The tree by the book, level by level: an oracle without streaming."""
    chunks = [data[i : i + profile.chunk_size] for i in range(0, len(data), profile.chunk_size)]
    level = [make_leaf(chunk, profile) for chunk in chunks or [b""]]
    while len(level) > 1:
        groups = [level[i : i + profile.max_links] for i in range(0, len(level), profile.max_links)]
        level = [make_parent(group) for group in groups]
    return level[0].cid


def make_leaf(chunk, profile):
    if profile.raw_leaves:
        return Link(Cid(Digest(hashlib.sha256(chunk).digest())), len(chunk), len(chunk))
    return make_link(encode_node(FileNode(chunk, len(chunk), ())), 0, len(chunk))


def make_parent(links):
    size = sum(link.file_size for link in links)
    data = encode_node(FileNode(b"", size, tuple(links)))
    return make_link(data, sum(link.tsize for link in links), size)


def make_link(data, below, size):
    digest = Digest(hashlib.sha256(data).digest())
    return Link(Cid(digest, Codec.DAG_PB), len(data) + below, size)


@given(files, profiles)
def test_build_blocks__any_file__is_the_balanced_tree_and_reads_back(data, profile):
    blocks = list(build_blocks(io.BytesIO(data), profile))
    held = {block.cid: block.data for block in blocks}
    root = blocks[-1].cid
    assert root == compute_levels(data, profile)
    assert b"".join(iterate_file(root, held.__getitem__, max_size=len(data))) == data
    assert {cid for cid, _ in iterate_cids(root, held.__getitem__)} == set(held)
    if data:
        with pytest.raises(ContentTooLarge):
            list(iterate_file(root, held.__getitem__, max_size=len(data) - 1))


@pytest.mark.parametrize("links", [1, 2, 1023, 1024, 1025, 2048, 2049])
def test_build_blocks__edges_of_the_fan_out__are_the_balanced_tree(links):
    profile = Profile("edges", 1, chunk_size=1, max_links=1024, raw_leaves=True)
    data = bytes(index % 251 for index in range(links))
    *_, root = build_blocks(io.BytesIO(data), profile)
    assert root.cid == compute_levels(data, profile)


@given(files.filter(len), profiles, st.data())
def test_read__any_bit_of_any_block_flipped__is_detected(data, profile, choice):
    blocks = list(build_blocks(io.BytesIO(data), profile))
    held = MemoryBlocks()
    for block in blocks:
        held.put(*block)
    victim = choice.draw(st.sampled_from(blocks))
    at = choice.draw(st.integers(0, len(victim.data) - 1))
    bit = 1 << choice.draw(st.integers(0, 7))
    damaged = bytearray(victim.data)
    damaged[at] ^= bit
    held.replace_unverified(victim.cid, bytes(damaged))
    store = LocalStore(held, PinTable(None))
    with pytest.raises(ContentCorrupt):
        store.read(blocks[-1].cid, max_size=len(data))
    store.close()


@given(files, profiles, st.data())
def test_read__any_block_missing__is_unavailable(data, profile, choice):
    blocks = list(build_blocks(io.BytesIO(data), profile))
    held = MemoryBlocks()
    for block in blocks:
        held.put(*block)
    victim = choice.draw(st.sampled_from(blocks))
    held.delete(victim.cid)
    store = LocalStore(held, PinTable(None))
    assert not store.has(blocks[-1].cid)
    with pytest.raises(ContentUnavailable) as caught:
        store.read(blocks[-1].cid, max_size=len(data))
    assert caught.value.cid.digest == victim.cid.digest
    store.close()


@given(st.binary(max_size=200))
def test_decode_node__any_bytes__are_refused_cleanly(data):
    cid = Cid(Digest(bytes(32)), Codec.DAG_PB)
    try:
        node = decode_node(cid, data)
    except InvalidDag:
        return
    assert node.size == len(node.data) + sum(link.file_size for link in node.links)


@given(files.filter(len), profiles, st.data())
def test_decode_node__any_node_mutated__has_one_encoding_or_is_refused(data, profile, choice):
    block = choice.draw(st.sampled_from(list(build_blocks(io.BytesIO(data), profile))))
    cid = Cid(block.cid.digest, Codec.DAG_PB)
    at = choice.draw(st.integers(0, len(block.data)))
    mutated = block.data[:at] + choice.draw(st.binary(max_size=3)) + block.data[at + 1 :]
    try:
        node = decode_node(cid, mutated)
    except InvalidDag:
        return
    # Leaves of the older type Raw (0) are read too, but written as File (2).
    pairs = zip(encode_node(node), mutated, strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] in ([], [(2, 0)])
