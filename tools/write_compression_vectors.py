"""Write tests/vectors/compression.json: compressed updates and the integers that they hold.

`--check` decodes every vector and exits 1 if an integer differs; encoders use floats, so their
bytes may differ from machine to machine, while what bytes decode to may not.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flchain.protocol.policy import RuleSpec
from tests.unit.learning.schemes import RULES, compress, decompress, make_policy, make_update

TARGET = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "compression.json"
START = 8 + 32 + 8 + 4


def show_rule(rule: RuleSpec) -> dict[str, Any]:
    """Return a rule as JSON has it."""
    return {"name": rule.name, "parameters": dict(rule.parameters)}


def build_valid(rule: RuleSpec) -> dict[str, Any]:
    """Return what one rule makes of the same update."""
    policy = make_policy(rule)
    payload = compress(make_update(), policy).payload
    delta = decompress(payload, policy).sections["delta"]
    return {
        "description": rule.name,
        "rule": show_rule(rule),
        "payload": payload.hex(),
        "delta": delta.tolist(),
        "digest": hashlib.sha256(delta.astype("<i4").tobytes()).hexdigest(),
    }


def spoil(vector: dict[str, Any], description: str, error: str, **change: Any) -> dict[str, Any]:
    """Return an invalid twin: `at` and `bytes` to replace, or another `end`."""
    payload = bytearray.fromhex(vector["payload"])
    if "end" in change:
        payload = payload[: change["end"]]
    else:
        new, at = change["new"], change["at"] % len(payload)
        payload[at : at + len(new)] = new
    return {
        "description": f"{vector['description']}: {description}",
        "rule": vector["rule"],
        "payload": payload.hex(),
        "error": error,
    }


def build_invalid(valid: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return twins of some vectors with one thing wrong each."""
    levels, nibbles, top = valid["int8"], valid["int4"], valid["top-k"]
    power, coded = valid["powersgd"], valid["powersgd/zlib"]
    return [
        spoil(levels, "other magic", "do not begin", at=0, new=b"F"),
        spoil(levels, "other context", "another round", at=8, new=b"\0\0"),
        spoil(levels, "samples beyond 2^53", "samples", at=40, new=b"\xff" * 8),
        spoil(levels, "cut short", "bytes, expected", end=-1),
        spoil(levels, "step of zero", "a step is 0", at=START, new=bytes(4)),
        spoil(levels, "step of 2^31", "a step is", at=START, new=b"\0\0\0\x80"),
        spoil(levels, "level of -128", "a level is beyond", at=START + 12, new=b"\x80"),
        spoil(nibbles, "level of -8", "a level is beyond", at=START + 12, new=b"\x88"),
        spoil(top, "place beyond the end", "names place", at=-2, new=b"\xff"),
        spoil(power, "scale beyond 2^40", "a scale is", at=START + 5, new=b"\x02"),
        spoil(power, "level of -128", "a level is beyond", at=START + 24, new=b"\x80"),
        spoil(coded, "broken stream", "zlib stream", at=-1, new=b"\0"),
    ]


def build() -> dict[str, Any]:
    """Return the whole file."""
    valid = {rule.name: build_valid(rule) for rule in RULES}
    return {"valid": list(valid.values()), "invalid": build_invalid(valid)}


def is_reproduced(document: dict[str, Any]) -> bool:
    """Return whether every payload of the file decodes to its integers here."""
    for vector in document["valid"]:
        rule = RuleSpec(vector["rule"]["name"], tuple(vector["rule"]["parameters"].items()))
        if rule.name not in {known.name for known in RULES}:
            continue
        found = decompress(bytes.fromhex(vector["payload"]), make_policy(rule))
        if found.sections["delta"].tolist() != vector["delta"]:
            return False
    return True


def main() -> int:
    """Write the file, or check it."""
    if "--check" in sys.argv:
        is_same = is_reproduced(json.loads(TARGET.read_text(encoding="utf-8")))
        print("compression vectors are right" if is_same else "compression vectors differ")
        return 0 if is_same else 1
    TARGET.write_text(json.dumps(build(), separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {TARGET.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
