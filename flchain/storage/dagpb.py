"""The dag-pb nodes of UnixFS files, in their one accepted encoding.

A node is PBNode{Links, Data}; Data is UnixFS{Type, Data, filesize, blocksizes}. Sources:
https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from flchain.storage.cid import Cid, Codec, InvalidCid, decode_cid_prefix
from flchain.storage.errors import InvalidDag
from flchain.storage.varint import decode_varint, encode_varint

_TYPE_RAW = 0
_TYPE_FILE = 2
_TYPE_NAMES = {1: "directory", 3: "metadata node", 4: "symbolic link", 5: "sharded directory"}

# Wire types and field numbers of protobuf messages PBNode, PBLink and UnixFS.
_VARINT, _BYTES = 0, 2
_NODE_DATA, _NODE_LINKS = 1, 2
_LINK_FIELDS = [1, 2, 3]  # hash, name, Tsize
_TYPE, _DATA, _FILE_SIZE, _SIZES = 1, 2, 3, 4

_Field = tuple[int, int | bytes]


@dataclass(frozen=True, slots=True)
class Link:
    """A parent's view of a child: its CID and what it declares of it."""

    cid: Cid
    tsize: int
    """Bytes of all blocks of the subtree, counted once per link."""
    file_size: int


@dataclass(frozen=True, slots=True)
class FileNode:
    """A leaf (`data`, no links) or a parent (links, no data)."""

    data: bytes
    size: int
    links: tuple[Link, ...]


def encode_node(node: FileNode) -> bytes:
    """Return the dag-pb block of `node`."""
    links = b"".join(_encode_bytes(0x12, _encode_link(link)) for link in node.links)
    unixfs = b"\x08\x02" + (_encode_bytes(0x12, node.data) if node.data else b"")
    unixfs += b"\x18" + encode_varint(node.size)
    unixfs += b"".join(b"\x20" + encode_varint(link.file_size) for link in node.links)
    return links + _encode_bytes(0x0A, unixfs)


def _encode_link(link: Link) -> bytes:
    return _encode_bytes(0x0A, bytes(link.cid)) + b"\x12\x00\x18" + encode_varint(link.tsize)


def _encode_bytes(tag: int, data: bytes) -> bytes:
    return bytes((tag,)) + encode_varint(len(data)) + data


def decode_node(cid: Cid, block: bytes) -> FileNode:
    """Read the file node that `cid` names; its bytes are not hashed here.

    Raises `InvalidDag` for anything that is not one file's leaf or parent.
    """
    if cid.codec is Codec.RAW:
        return FileNode(data=block, size=len(block), links=())
    try:
        return _decode_dag_pb(block)
    except (InvalidDag, InvalidCid) as error:
        raise InvalidDag(f"{cid} is not a file node: {error}") from error


def _decode_dag_pb(block: bytes) -> FileNode:
    fields = list(_iterate_fields(block))
    if [number for number, _ in fields] != [_NODE_LINKS] * (len(fields) - 1) + [_NODE_DATA]:
        raise InvalidDag("links and then one data field are expected")
    kind, data, size, sizes = _decode_unixfs(_as_bytes(fields[-1]))
    if len(sizes) != len(fields) - 1:
        raise InvalidDag(f"{len(fields) - 1} links but {len(sizes)} sizes")
    if sizes and (data or kind == _TYPE_RAW):
        raise InvalidDag("a parent holds data of its own")
    if 0 in sizes or sum(sizes) + len(data) != size:
        raise InvalidDag("the sizes of the parts do not add up")
    pairs = zip(fields[:-1], sizes, strict=True)
    return FileNode(data, size, tuple(_decode_link(_as_bytes(f), s) for f, s in pairs))


def _decode_link(data: bytes, file_size: int) -> Link:
    fields = list(_iterate_fields(data))
    if [number for number, _ in fields] != _LINK_FIELDS or fields[1][1] != b"":
        raise InvalidDag("a link is not (hash, empty name, size)")
    raw, tsize = _as_bytes(fields[0]), fields[2][1]
    cid, end = decode_cid_prefix(raw)
    if end != len(raw) or not isinstance(tsize, int):
        raise InvalidDag("a link is malformed")
    return Link(cid, tsize, file_size)


def _decode_unixfs(data: bytes) -> tuple[int, bytes, int, list[int]]:
    """Return type, data, file size and the children's sizes."""
    fields = list(_iterate_fields(data))
    numbers = [number for number, _ in fields]
    if numbers != sorted(numbers) or any(numbers.count(n) > 1 for n in (_TYPE, _DATA, _FILE_SIZE)):
        raise InvalidDag("UnixFS fields are repeated or out of order")
    kind = _get_int(fields, _TYPE)
    if kind not in (_TYPE_RAW, _TYPE_FILE):
        raise InvalidDag(f"it is a {_TYPE_NAMES.get(kind, 'node of unknown type')}")
    if set(numbers) - {_TYPE, _DATA, _FILE_SIZE, _SIZES}:
        raise InvalidDag("UnixFS has an unknown field")
    inline = b"".join(_as_bytes(field) for field in fields if field[0] == _DATA)
    if not inline and _DATA in numbers:
        raise InvalidDag("its data field is empty instead of absent")
    sizes = [_as_int(field) for field in fields if field[0] == _SIZES]
    return kind, inline, _get_int(fields, _FILE_SIZE), sizes


def _get_int(fields: list[_Field], number: int) -> int:
    for field in fields:
        if field[0] == number:
            return _as_int(field)
    raise InvalidDag(f"field {number} is missing")


def _as_int(field: _Field) -> int:
    if not isinstance(field[1], int):
        raise InvalidDag(f"field {field[0]} is not a number")
    return field[1]


def _as_bytes(field: _Field) -> bytes:
    if not isinstance(field[1], bytes):
        raise InvalidDag(f"field {field[0]} is not a byte string")
    return field[1]


def _iterate_fields(data: bytes) -> Iterator[_Field]:
    """Yield protobuf fields: numbers for wire type 0, bytes for type 2."""
    at = 0
    while at < len(data):
        tag, at = decode_varint(data, at, InvalidDag)
        value, at = decode_varint(data, at, InvalidDag)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _BYTES and at + value <= len(data):
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            raise InvalidDag("a field is truncated or of an unknown wire type")
