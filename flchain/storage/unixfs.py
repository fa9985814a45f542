"""UnixFS files as trees of blocks: build while reading, check while reading back.

A file of at most one chunk is its leaf. Otherwise parents are filled with `max_links` children
from left to right until one node is left, all leaves at one depth. The profiles are those of
IPIP-499 (https://specs.ipfs.tech/ipips/ipip-0499/); a profile fixes the CID of every file.
Node format: https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/.

Stricter than the standards: a node has one accepted encoding (links before data, shortest
varints, no unknown field), no child is empty, and every Tsize must be right.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from flchain.protocol.types import Digest
from flchain.storage.cid import Cid, Codec
from flchain.storage.dagpb import FileNode, Link, decode_node, encode_node
from flchain.storage.errors import ContentCorrupt, ContentTooLarge, ContentUnavailable, InvalidDag

MAX_BLOCK = 2 << 20
"""Largest block in bytes: what bitswap and Kubo accept since 0.40."""
MAX_DEPTH = 32
FREE_BLOCKS = 4096
"""Blocks that any tree may have; beyond them each must carry 1 KiB of the file on average."""

GetBlock = Callable[[Cid], bytes]
"""Returns the verified block of a CID, or raises a storage error."""


class Block(NamedTuple):
    """A block with the CID that it hashes to."""

    cid: Cid
    data: bytes


@dataclass(frozen=True)
class Profile:
    """The choices that fix a file's CID."""

    name: str
    cid_version: int
    chunk_size: int
    max_links: int
    raw_leaves: bool


V1_2025 = Profile("unixfs-v1-2025", 1, 1 << 20, 1024, raw_leaves=True)
"""What flchain writes."""
V0_2015 = Profile("unixfs-v0-2015", 0, 256 << 10, 174, raw_leaves=False)
"""What Kubo wrote by default for years; flchain only reads it."""


def verify_block(cid: Cid, data: bytes, *, where: str, advice: str = "try another source") -> None:
    """Raise `ContentCorrupt` unless `data` hashes to `cid`."""
    if hashlib.sha256(data).digest() != cid.digest:
        raise ContentCorrupt(cid, cid, where, advice)


def verify_block_size(size: int) -> None:
    """Raise `ContentTooLarge` unless a block may have `size` bytes."""
    if size > MAX_BLOCK:
        raise ContentTooLarge(f"a block of {size} bytes exceeds the limit of {MAX_BLOCK}")


def build_blocks(source: BinaryIO, profile: Profile = V1_2025) -> Iterator[Block]:
    """Yield the blocks of the file read from `source`; the last is the root.

    Holds one chunk and one list of links per level in memory.
    """
    levels: list[list[Link]] = [[]]
    for chunk in _read_chunks(source, profile.chunk_size):
        block, link = _make_leaf(chunk, profile)
        yield block
        yield from _push(levels, 0, link, profile)
    depth = 0
    while depth < len(levels) - 1 or len(levels[depth]) > 1:
        yield from _close(levels, depth, profile)
        depth += 1


def _read_chunks(source: BinaryIO, size: int) -> Iterator[bytes]:
    chunk = _read_full(source, size)
    yield chunk
    while len(chunk) == size:
        chunk = _read_full(source, size)
        if chunk:
            yield chunk


def _read_full(source: BinaryIO, size: int) -> bytes:
    """Read `size` bytes unless the source ends; pipes return fewer at a time."""
    data = source.read(size)
    if len(data) in (0, size):
        return data
    parts, left = [data], size - len(data)
    while left and (data := source.read(left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def _make_leaf(chunk: bytes, profile: Profile) -> tuple[Block, Link]:
    if profile.raw_leaves:
        return _make_block(chunk, Codec.RAW, 1, len(chunk), 0)
    node = encode_node(FileNode(data=chunk, size=len(chunk), links=()))
    return _make_block(node, Codec.DAG_PB, profile.cid_version, len(chunk), 0)


def _make_block(
    data: bytes, codec: Codec, version: int, file_size: int, below: int
) -> tuple[Block, Link]:
    """Return the block and the link to it; `below` is its children's Tsize."""
    cid = Cid(Digest(hashlib.sha256(data).digest()), codec, version)
    return Block(cid, data), Link(cid, len(data) + below, file_size)


def _push(levels: list[list[Link]], depth: int, link: Link, profile: Profile) -> Iterator[Block]:
    """Add `link` to a level; a full level becomes a parent first."""
    if depth == len(levels):
        levels.append([])
    if len(levels[depth]) == profile.max_links:
        yield from _close(levels, depth, profile)
    levels[depth].append(link)


def _close(levels: list[list[Link]], depth: int, profile: Profile) -> Iterator[Block]:
    """Turn a level's links into one parent on the level above."""
    links, levels[depth] = tuple(levels[depth]), []
    size = sum(link.file_size for link in links)
    data = encode_node(FileNode(data=b"", size=size, links=links))
    below = sum(link.tsize for link in links)
    block, link = _make_block(data, Codec.DAG_PB, profile.cid_version, size, below)
    yield block
    yield from _push(levels, depth + 1, link, profile)


def iterate_file(root: Cid, get: GetBlock, *, max_size: int) -> Iterator[bytes]:
    """Yield the bytes of the file at `root`, checked piece by piece.

    `max_size` is compared with the size that the root declares before any child is asked for, and
    each child must have the size that its parent declares, so no more than `max_size` bytes ever
    arrive. Raises `InvalidDag`, `ContentTooLarge`, and what `get` raises.
    """
    walk = _Walk(root, get, FREE_BLOCKS + max_size // 1024)
    node, length = walk.load(root)
    if node.size > max_size:
        raise ContentTooLarge(f"{root} declares {node.size} bytes; the limit is {max_size}")
    yield from walk.iterate(root, node, length, 0)


class _Walk:
    """One reading of a tree: counts blocks, names the root in errors."""

    def __init__(self, root: Cid, get: GetBlock, block_budget: int) -> None:
        self._root = root
        self._get = get
        self._budget = block_budget

    def load(self, cid: Cid) -> tuple[FileNode, int]:
        """Return the node at `cid` and the length of its block."""
        self._budget -= 1
        if self._budget < 0:
            raise ContentTooLarge(f"{self._root} has too many blocks for its size")
        block = self._get(cid)
        verify_block_size(len(block))
        return decode_node(cid, block), len(block)

    def iterate(
        self, cid: Cid, node: FileNode, length: int, depth: int
    ) -> Generator[bytes, None, int]:
        """Yield the file bytes below `node`; return its Tsize."""
        if node.data:
            yield node.data
        if node.links and depth == MAX_DEPTH:
            raise InvalidDag(f"{self._root} is deeper than {MAX_DEPTH} levels")
        tsize = length
        for link in node.links:
            child, child_length = self.load(link.cid)
            if child.size != link.file_size:
                raise InvalidDag(f"{link.cid} has {child.size} bytes, {cid} says {link.file_size}")
            child_tsize = yield from self.iterate(link.cid, child, child_length, depth + 1)
            if child_tsize != link.tsize:
                raise InvalidDag(f"{link.cid} has Tsize {child_tsize}, {cid} says {link.tsize}")
            tsize += child_tsize
        return tsize


def iterate_dag(root: Cid, get: GetBlock) -> Iterator[Block]:
    """Yield each distinct block under `root` once, parents first."""
    for cid, data in iterate_cids(root, get):
        yield Block(cid, get(cid) if data is None else data)


def iterate_cids(root: Cid, get: GetBlock) -> Iterator[tuple[Cid, bytes | None]]:
    """Yield each distinct CID under `root`, with its block unless it is raw.

    Raw blocks are leaves, so nothing but their CID is needed to walk on; `get` is not asked.
    """
    seen: set[tuple[Codec, bytes]] = set()
    stack = [(root, 0)]
    while stack:
        cid, depth = stack.pop()
        if (cid.codec, cid.digest) in seen:
            continue
        seen.add((cid.codec, cid.digest))
        if depth > MAX_DEPTH:
            raise InvalidDag(f"{root} is deeper than {MAX_DEPTH} levels")
        if cid.codec is Codec.RAW:
            yield cid, None
            continue
        data = get(cid)
        yield cid, data
        stack += [(link.cid, depth + 1) for link in reversed(decode_node(cid, data).links)]


def iterate_expected(root: Cid, blocks: Iterable[Block]) -> Iterator[Block]:
    """Pass on the blocks of the tree at `root`, parents first; else `InvalidDag`.

    `blocks` are verified; one that no earlier parent links to ends the reading.
    """
    expected: set[Cid] = {root}
    for block in blocks:
        if block.cid not in expected:
            raise InvalidDag(f"{block.cid} is no part of {root}")
        expected.update(link.cid for link in decode_node(*block).links)
        yield block


def verify_complete(root: Cid, blocks: Iterable[Block]) -> Iterator[Block]:
    """Pass on the blocks of an archive; in the end one must have come for each link."""
    wanted, held = {root}, set()
    for block in blocks:
        held.add(block.cid)
        wanted.update(link.cid for link in decode_node(*block).links)
        yield block
    for cid in wanted - held:
        raise ContentUnavailable(cid, "the archive")
