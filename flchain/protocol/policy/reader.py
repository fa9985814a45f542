"""Reading one table of an untrusted document, key by key."""

import re
from collections.abc import Mapping

from flchain.protocol.errors import EncodingError

_NAME = re.compile(r"[a-z][a-z0-9_./-]{0,63}")


class TableReader:
    """Takes typed values out of a table and refuses what is left.

    Every error names the key and what to write instead.
    """

    def __init__(self, table: object, path: str = "") -> None:
        """Read from `table`; `path` is the key that leads to it, "" for the document."""
        if not isinstance(table, Mapping):
            raise EncodingError(f"policy: {path or 'the document'} must be a table of keys")
        self._left = dict(table)
        self._path = path

    def name_key(self, key: str) -> str:
        """Return the full name of `key`, as the errors show it."""
        return f"{self._path}.{key}" if self._path else key

    def has_key(self, key: str) -> bool:
        """Return whether `key` has not been read yet."""
        return key in self._left

    def read(self, key: str, expected: str) -> object:
        """Take the value of `key`, whatever its type."""
        if key not in self._left:
            raise EncodingError(f"policy: {self.name_key(key)} is missing; write {expected}")
        return self._left.pop(key)

    def read_integer(self, key: str, low: int, high: int) -> int:
        """Take an integer between `low` and `high`, both included."""
        expected = f"an integer from {low} to {high}"
        value = self.read(key, expected)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.build_error(key, value, expected)
        return value

    def read_amount(self, key: str, high: int) -> int:
        """Take an integer from 0 to `high`, written as a decimal string."""
        expected = f'a decimal string from "0" to "{high}"'
        value = self.read(key, expected)
        is_plain = isinstance(value, str) and re.fullmatch(r"0|[1-9][0-9]{0,77}", value)
        if not is_plain or int(str(value)) > high:
            raise self.build_error(key, value, expected)
        return int(str(value))

    def read_decimal(self, key: str, low: int, high: int, scale: int) -> int:
        """Take a decimal string such as "0.03" as an integer number of 1/scale.

        `low` and `high` are in units of 1/scale; `scale` is a power of ten.
        """
        digits = len(str(scale)) - 1
        expected = f'a quoted decimal such as "0.03" from {low / scale:g} to {high / scale:g}'
        value = self.read(key, expected)
        pattern = rf"(0|[1-9][0-9]{{0,9}})(?:\.([0-9]{{1,{digits}}}))?"
        match = re.fullmatch(pattern, value) if isinstance(value, str) else None
        if match is None:
            raise self.build_error(key, value, expected)
        number = int(match[1]) * scale + int((match[2] or "").ljust(digits, "0"))
        if not low <= number <= high:
            raise self.build_error(key, value, expected)
        return number

    def read_choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Take one of the strings in `choices`."""
        expected = " or ".join(f'"{choice}"' for choice in choices)
        value = self.read(key, expected)
        if not isinstance(value, str) or value not in choices:
            raise self.build_error(key, value, expected)
        return value

    def read_pattern(self, key: str, pattern: str, expected: str) -> str:
        """Take a string that matches the whole of `pattern`."""
        value = self.read(key, expected)
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise self.build_error(key, value, expected)
        return value

    def read_name(self, key: str) -> str:
        """Take a short name in lower case."""
        return self.read_pattern(
            key, _NAME.pattern, "a name of at most 64 of a-z, 0-9 and _ . / -, letter first"
        )

    def read_table(self, key: str) -> "TableReader":
        """Take a nested table."""
        return TableReader(self.read(key, "a table"), self.name_key(key))

    def read_tables(self, key: str, most: int) -> list["TableReader"]:
        """Take an array of 1 to `most` tables."""
        expected = f"an array of 1 to {most} tables"
        value = self.read(key, expected)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise self.build_error(key, value, expected)
        name = self.name_key(key)
        return [TableReader(item, f"{name}[{index}]") for index, item in enumerate(value)]

    def read_integers(self) -> tuple[tuple[str, int], ...]:
        """Take all that is left as named integers, in the order of their names."""
        for key in self._left:
            if not isinstance(key, str) or _NAME.fullmatch(key) is None:
                raise EncodingError(f"policy: {self.name_key(str(key))} is not a valid name")
        limit = 2**53 - 1
        return tuple((key, self.read_integer(key, -limit, limit)) for key in sorted(self._left))

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in sorted(map(str, self._left)):
            raise EncodingError(
                f"policy: {self.name_key(key)} is not a known key; remove it or correct its name"
            )

    def build_error(self, key: str, value: object, expected: str) -> EncodingError:
        """Return the error that says what `key` holds and what it should."""
        shown = "true" if value is True else "false" if value is False else repr(value)
        return EncodingError(f"policy: {self.name_key(key)} is {shown[:80]}; write {expected}")
