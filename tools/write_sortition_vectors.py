"""Write tests/vectors/sortition.json: draws and messages that Solidity must reproduce.

One digest is over ten thousand cases: case i is made from the words of keccak256(i), and
the contract tests make the same ones. `--check` compares instead of writing and exits 1 on a
difference.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eth_utils.crypto import keccak

from flchain.protocol import sortition
from flchain.protocol.sortition import Electorate
from flchain.protocol.types import Address, Digest, RoundId, TaskId

TARGET = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "sortition.json"
CASES = 10_000
READABLE = 24
REGISTRY = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
ACCOUNT = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")


def to_word(number: int) -> bytes:
    """Return a number as 32 bytes."""
    return number.to_bytes(32, "big")


def build_case(number: int) -> tuple[Electorate, int, bytes, int]:
    """Return electorate, weight, output and level of one case; every eighth is unweighted."""
    hashed = keccak(to_word(number))
    random = int.from_bytes(hashed, "big")
    weight = (random & 2**96 - 1) >> random % 89
    others = (random >> 96 & 2**96 - 1) >> (random >> 8) % 89
    expected, cap = 1 + (random >> 192) % 128, 1 + (random >> 208) % 21
    total = 0 if number % 8 == 0 else weight + others + 1
    members = 1 + (random >> 224) % 500
    return Electorate(total, members, expected, cap), weight, keccak(hashed), (random >> 240) % 5


def compute_case(number: int) -> tuple[int, int, int]:
    """Return a case's seats, the exponential of its rate, and one of its seats as 64 bits."""
    electorate, weight, output, level = build_case(number)
    rate = (electorate.expected * weight << 64) // (electorate.total or 1) % 2**80
    seat = sortition.compute_seat(output, number % 7, number % 2**16)
    return (
        sortition.count_seats(electorate, weight, output, level),
        sortition.compute_exp(rate),
        seat,
    )


def hash_cases() -> Digest:
    """Return the digest over all cases."""
    words = (to_word(value) for number in range(CASES) for value in compute_case(number))
    return Digest(keccak(b"".join(words)))


def describe_case(number: int) -> dict[str, Any]:
    """Return one case to read."""
    electorate, weight, output, level = build_case(number)
    seats, exponential, seat = compute_case(number)
    return {
        "total": str(electorate.total),
        "members": electorate.members,
        "expected": electorate.expected,
        "cap": electorate.cap,
        "weight": str(weight),
        "output": "0x" + output.hex(),
        "level": level,
        "seats": seats,
        "exp": str(exponential),
        "seat": str(seat),
    }


def build_document() -> str:
    """Return the file's text."""
    place = (31337, REGISTRY)
    draw = sortition.draw_message(
        *place, TaskId(1), RoundId(2), role=3, attempt=4, seed=Digest(b"\x05" * 32)
    )
    document = {
        "about": f"The digest is over seats, exp and seat of {CASES} cases."
        " Written by tools/write_sortition_vectors.py.",
        "cases": CASES,
        "digest": "0x" + hash_cases().hex(),
        "first": [describe_case(number) for number in range(READABLE)],
        "draw_message": "0x" + draw.hex(),
        "possession_message": "0x" + sortition.possession_message(*place, ACCOUNT).hex(),
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    """Write the file, or compare it with `--check`; return 1 on a difference."""
    text = build_document()
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
