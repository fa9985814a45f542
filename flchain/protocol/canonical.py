"""Canonical JSON: one value has one encoding, and only that one decodes.

RFC 8785 (JCS) restricted to objects, arrays, strings, booleans and integers below 2^53 in
absolute value. There are no floats and no null; a schema that needs larger integers writes
them as decimal strings.
"""

import json
import re
from collections.abc import Mapping
from typing import NoReturn, TypeAlias, Union

from flchain.protocol.errors import EncodingError

CanonicalValue: TypeAlias = Union[
    bool,
    int,
    str,
    "list[CanonicalValue]",
    "tuple[CanonicalValue, ...]",
    "Mapping[str, CanonicalValue]",
]

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 16
MAX_SIZE = 65_536
_MAX_DIGITS = len(str(MAX_INTEGER)) + 1
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)
"""Strings, and the brackets outside of them."""


def encode_canonical(value: CanonicalValue) -> bytes:
    """Return the only canonical encoding of `value`.

    Raises EncodingError on floats, null, integers of 2^53 or more, keys that are not
    strings, lone surrogates and nesting deeper than 16.
    """
    ordered = _order(value, depth=0)
    text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise EncodingError("canonical JSON: a string holds a lone surrogate") from error


def decode_canonical(data: bytes, *, max_size: int = MAX_SIZE) -> CanonicalValue:
    """Return the value whose canonical encoding is exactly `data`.

    Raises EncodingError on anything else, including duplicate keys and other spellings.
    """
    if len(data) > max_size:
        raise EncodingError(f"canonical JSON: {len(data)} bytes, at most {max_size} are allowed")
    _verify_depth(data)
    value = _parse(data)
    if encode_canonical(value) != data:
        raise EncodingError("canonical JSON: this is not the canonical spelling (RFC 8785)")
    return value


def _order(value: CanonicalValue, depth: int) -> CanonicalValue:
    """Return `value` with every object's keys in UTF-16 order, or refuse it."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return _check_integer(value)
    if depth >= MAX_DEPTH:
        raise EncodingError(f"canonical JSON: nested deeper than {MAX_DEPTH}")
    if isinstance(value, (list, tuple)):
        return [_order(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {key: _order(value[key], depth + 1) for key in sorted(value, key=_sort_key)}
    raise EncodingError(
        f"canonical JSON: {type(value).__name__} is not allowed; "
        "use objects, arrays, strings, integers and booleans"
    )


def _sort_key(key: str) -> bytes:
    """RFC 8785 section 3.2.3: keys are sorted by their UTF-16 code units."""
    if not isinstance(key, str):
        raise EncodingError(f"canonical JSON: key {key!r} is not a string")
    return key.encode("utf-16-be", "surrogatepass")


def _check_integer(value: int) -> int:
    if abs(value) > MAX_INTEGER:
        raise EncodingError("canonical JSON: integers of 2^53 or more are written as strings")
    return int(value)


def _parse(data: bytes) -> CanonicalValue:
    try:
        value: CanonicalValue = json.loads(
            data.decode(),
            object_pairs_hook=_decode_object,
            parse_float=_refuse_float,
            parse_int=_decode_integer,
            parse_constant=_refuse_float,
        )
    except UnicodeDecodeError as error:
        raise EncodingError("canonical JSON: the bytes are not UTF-8") from error
    except json.JSONDecodeError as error:
        raise EncodingError(f"canonical JSON: {error.msg} at byte {error.pos}") from error
    return value


def _verify_depth(data: bytes) -> None:
    """Raise EncodingError on deep nesting before the parser meets it.

    Python's recursion limit is no guard: libraries raise it for the whole process, and then the
    parser would overflow the stack.
    """
    depth = 0
    for token in _TOKENS.finditer(data):
        first = token[0][:1]
        depth += (first in b"[{") - (first in b"]}")
        if depth > MAX_DEPTH:
            raise EncodingError(f"canonical JSON: nested deeper than {MAX_DEPTH}")


def _decode_object(pairs: list[tuple[str, CanonicalValue]]) -> dict[str, CanonicalValue]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        raise EncodingError("canonical JSON: an object holds the same key twice")
    return decoded


def _decode_integer(text: str) -> int:
    # Checked before int() so that a long run of digits costs nothing.
    if len(text) > _MAX_DIGITS:
        raise EncodingError("canonical JSON: integers of 2^53 or more are written as strings")
    return int(text)


def _refuse_float(text: str) -> NoReturn:
    raise EncodingError(f"canonical JSON: {text[:32]} is not an integer")
