"""CARv1 archives, streamed: a header with the roots, then CID and block pairs.

Source: https://ipld.io/specs/transport/car/carv1/. Reading verifies every block and accepts only
the canonical header with at most `MAX_ROOTS` roots.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from flchain.storage.cid import Cid, InvalidCid, decode_cid_prefix
from flchain.storage.errors import ContentTooLarge, InvalidCar
from flchain.storage.unixfs import MAX_BLOCK, Block, verify_block
from flchain.storage.varint import MAX_VARINT, decode_varint, encode_varint, is_varint_end

MAX_ROOTS = 23
"""What one byte of CBOR can count; flchain writes one root."""
_MAX_HEADER = 17 + MAX_ROOTS * 41
_MAX_SECTION = 36 + MAX_BLOCK
_ROOTS = b"\xa2\x65roots"
_VERSION = b"\x67version\x01"


def encode_car_header(roots: tuple[Cid, ...]) -> bytes:
    """Return the header, length included, of an archive with `roots`."""
    if len(roots) > MAX_ROOTS:
        raise InvalidCar(f"an archive has at most {MAX_ROOTS} roots here")
    body = _ROOTS + bytes((0x80 + len(roots),))
    body += b"".join(_encode_root(root) for root in roots) + _VERSION
    return encode_varint(len(body)) + body


def _encode_root(root: Cid) -> bytes:
    data = b"\x00" + bytes(root)
    return b"\xd8\x2a\x58" + bytes((len(data),)) + data


def encode_car_section(block: Block) -> bytes:
    """Return one section: length, CID, block."""
    cid = bytes(block.cid)
    return encode_varint(len(cid) + len(block.data)) + cid + block.data


def encode_car(roots: tuple[Cid, ...], blocks: Iterable[Block]) -> Iterator[bytes]:
    """Yield the archive of `blocks` piece by piece."""
    yield encode_car_header(roots)
    for block in blocks:
        yield encode_car_section(block)


def decode_car_header(source: BinaryIO) -> tuple[Cid, ...]:
    """Read the header from `source` and return the roots; else `InvalidCar`."""
    size = _read_length(source)
    if size is None or size > _MAX_HEADER:
        raise InvalidCar("the archive has no CARv1 header")
    body = _read_exact(source, size)
    roots = _decode_roots(body[len(_ROOTS) : -len(_VERSION)])
    if encode_car_header(roots) != encode_varint(size) + body:
        raise InvalidCar("the header is not the canonical CARv1 header")
    return roots


def _decode_roots(data: bytes) -> tuple[Cid, ...]:
    """Read as many roots as fit; the caller compares the header made from them."""
    roots, at = [], 1
    while at < len(data):
        try:
            cid, length = decode_cid_prefix(data[at + 5 :])
        except InvalidCid as error:
            raise InvalidCar(f"a root is not an accepted CID: {error}") from error
        roots.append(cid)
        at += 5 + length
    return tuple(roots)


def iterate_car_blocks(source: BinaryIO, *, max_size: int, where: str) -> Iterator[Block]:
    """Yield the verified blocks that follow the header in `source`.

    Raises `InvalidCar`, `ContentCorrupt`, or `ContentTooLarge` before the sections read exceed
    `max_size` bytes. `where` names the archive in errors.
    """
    total = 0
    while (size := _read_length(source)) is not None:
        total += size
        if size > _MAX_SECTION or total > max_size:
            raise ContentTooLarge(f"{where}: a section of {size} bytes exceeds the limit")
        section = _read_exact(source, size)
        yield _decode_section(section, where)


def _decode_section(section: bytes, where: str) -> Block:
    try:
        cid, length = decode_cid_prefix(section)
    except InvalidCid as error:
        raise InvalidCar(f"{where}: a block is not under an accepted CID: {error}") from error
    data = section[length:]
    if len(data) > MAX_BLOCK:
        raise ContentTooLarge(f"{where}: {cid} exceeds the block limit of {MAX_BLOCK}")
    verify_block(cid, data, where=where)
    return Block(cid, data)


def _read_length(source: BinaryIO) -> int | None:
    """Return the next varint, or None at the end of the archive."""
    data = b""
    while len(data) < MAX_VARINT:
        byte = source.read(1)
        if not byte and not data:
            return None
        data += byte
        if not byte or is_varint_end(byte[0]):
            break
    size, _ = decode_varint(data, 0, InvalidCar)
    return size


def _read_exact(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    while 0 < len(data) < size and (more := source.read(size - len(data))):
        data += more
    if len(data) != size:
        raise InvalidCar("the archive is truncated")
    return data
