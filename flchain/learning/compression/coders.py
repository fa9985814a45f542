"""Lossless coders behind a compressor: none, zlib, gzip and zstd.

Decoders are told how many bytes must come out. They hold no more than that, and refuse
streams that end early, late or in something else.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flchain.learning.compression.base import check_length
from flchain.protocol.errors import ConfigError, EncodingError

_GZIP_WINDOW = 31  # 15 bits of window, plus 16 for gzip's header
_ZSTD_LEVEL = 19


@dataclass(frozen=True)
class Coder:
    """A pair of functions on bytes; `decode(encode(x), len(x))` is `x`."""

    name: str
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes, int], bytes]


def check_coder(name: str) -> None:
    """Raise ConfigError, with the way out, if a coder is not installed here."""
    if name == "zstd":
        _load_zstandard()


def _keep(data: bytes) -> bytes:
    return data


def _check(data: bytes, size: int) -> bytes:
    check_length(data, size, "update")
    return data


def _deflate(window: int) -> Callable[[bytes], bytes]:
    def encode(data: bytes) -> bytes:
        # Noise has nothing that repeats: Huffman codes alone are then smaller than LZ77's.
        strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY)
        return min((_compress(data, window, strategy) for strategy in strategies), key=len)

    return encode


def _compress(data: bytes, window: int, strategy: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, window, 9, strategy)
    return stream.compress(data) + stream.flush()


def _inflate(window: int, name: str) -> Callable[[bytes, int], bytes]:
    def decode(data: bytes, size: int) -> bytes:
        stream = zlib.decompressobj(window)
        try:
            # One byte more than is wanted, to see the end of the stream.
            found = stream.decompress(data, size + 1)
        except zlib.error as error:
            raise EncodingError(f"update: no {name} stream: {error}") from error
        if len(found) != size or not stream.eof or stream.unused_data:
            raise EncodingError(f"update: the {name} stream does not hold exactly {size} bytes")
        return found

    return decode


def _encode_zstd(data: bytes) -> bytes:
    compressed: bytes = _load_zstandard().ZstdCompressor(level=_ZSTD_LEVEL).compress(data)
    return compressed


def _decode_zstd(data: bytes, size: int) -> bytes:
    library = _load_zstandard()
    try:
        # The frame's own claim decides how much memory is taken.
        claimed = library.frame_content_size(data)
        if claimed != size:
            raise EncodingError(f"update: the zstd frame claims {claimed} bytes, expected {size}")
        found: bytes = library.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except library.ZstdError as error:
        raise EncodingError(f"update: no zstd frame: {error}") from error
    return _check(found, size)


def _load_zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ModuleNotFoundError as error:
        if error.name != "zstandard":
            raise
        raise ConfigError(
            "policy: compression with zstd needs zstandard: pip install 'flchain[zstd]'"
        ) from error


CODERS: dict[str, Coder] = {
    coder.name: coder
    for coder in (
        Coder("", _keep, _check),
        Coder("zlib", _deflate(zlib.MAX_WBITS), _inflate(zlib.MAX_WBITS, "zlib")),
        Coder("gzip", _deflate(_GZIP_WINDOW), _inflate(_GZIP_WINDOW, "gzip")),
        Coder("zstd", _encode_zstd, _decode_zstd),
    )
}
