"""Smaller updates: lossless coders, few levels, few values, few ranks, and error feedback.

`docs/compression.md` says what each costs and which can be summed under masks.
"""

from flchain.learning.compression.base import Compressor, Frame
from flchain.learning.compression.defaults import build_compression
from flchain.learning.compression.devices import (
    DeviceProfile,
    Selection,
    choose_compression,
)
from flchain.learning.compression.memories import decode_memories, encode_memories
from flchain.learning.compression.registry import (
    ADAPTIVE,
    CHOICES,
    SCHEMES,
    Scheme,
    check_compression,
    get_scheme,
    is_linear,
    is_lossless,
)
from flchain.learning.compression.sections import Memory, decode_section, encode_section
from flchain.learning.compression.sparse import choose_places
from flchain.learning.compression.updates import (
    CompressedUpdate,
    build_frame,
    compress_update,
    decompress_update,
    is_compressed,
)

__all__ = [
    "ADAPTIVE",
    "CHOICES",
    "SCHEMES",
    "CompressedUpdate",
    "Compressor",
    "DeviceProfile",
    "Frame",
    "Memory",
    "Scheme",
    "Selection",
    "build_compression",
    "build_frame",
    "check_compression",
    "choose_compression",
    "choose_places",
    "compress_update",
    "decode_memories",
    "decode_section",
    "decompress_update",
    "encode_memories",
    "encode_section",
    "get_scheme",
    "is_compressed",
    "is_linear",
    "is_lossless",
]
