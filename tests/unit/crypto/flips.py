"""Every way to change one public input or one part of a proof.

The walk finds the fields by itself, so that a new one is tested without being listed.
"""

from dataclasses import fields, is_dataclass, replace

from flchain.crypto.bn254 import GENERATOR, ORDER
from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.groups import INFINITY, Point

GROUP = get_backend("fast")


def flip(value):
    """Yield a path and a changed copy for each leaf and each length. Raises on unknown types."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for path, changed in flip(getattr(value, field.name)):
                yield f"{field.name}.{path}", replace(value, **{field.name: changed})
    elif isinstance(value, Point):
        yield "negated", GROUP.negate(value)
        yield "moved", GROUP.add(value, GENERATOR)
        yield "infinity", INFINITY
    elif isinstance(value, tuple):
        yield from flip_tuple(value)
    else:
        yield from flip_leaf(value)


def flip_tuple(value):
    if value:
        yield "shorter", value[:-1]
        yield "longer", (*value, value[-1])
    if len(set(value)) > 1:
        yield "reversed", value[::-1]
    for place, item in enumerate(value):
        for path, changed in flip(item):
            yield f"{place}.{path}", (*value[:place], changed, *value[place + 1 :])


def flip_leaf(value):
    if isinstance(value, int):
        yield "next", value + 1
        yield "plus_order", value + ORDER
        yield "negative", -value - 1
    elif isinstance(value, bytes):
        yield "first_bit", bytes([value[0] ^ 0x80]) + value[1:]
        yield "last_bit", value[:-1] + bytes([value[-1] ^ 1])
        yield "shorter", value[:-1]
    elif isinstance(value, str):
        yield "last_digit", value[:-1] + ("1" if value[-1] != "1" else "2")
    else:
        raise TypeError(f"teach flip to change a {type(value).__name__}")
