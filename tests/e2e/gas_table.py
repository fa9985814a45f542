"""What an action may cost, what it cost when the file was written, and what others publish."""

import json
from pathlib import Path

from flchain.protocol import calls

FILE = Path(__file__).with_name("gas.json")
BLOCK_LIMIT = 16_700_000
TWIN_SURCHARGE = 12_000
LIMITS = {
    "submit": 38_000,
    "submit: last of the round": 42_000,
    "register": 125_000,
    "vote": 45_000,
    "vote: the one that decides": 45_000,
    "voteBundle: five": 100_000,
    "attest": 45_000,
    "attest: last of the round": 47_500,
    "settle": 150_000,
    "claim": 65_000,
}
"""Whole transactions, 21,000 and calldata included, from the second round on."""
TWINS = {
    "submitWithSig": "submit",
    "registerWithSig": "register",
    "increaseStakeWithSig": "increaseStake",
    "beginUnbondingWithSig": "beginUnbonding",
    "enrolWithSig": "enrol",
    "leaveTaskWithSig": "leaveTask",
    "endorseWithSig": "endorse",
}
FIELD = (
    ("a typical update in public designs: a struct with two strings", 231_850),
    ("an update as published, the lower end (arXiv 2407.06862)", 128_574),
)


def get_functions():
    """Return the names of all functions that a person can send."""
    kinds = (getattr(calls, name) for name in dir(calls))
    return {
        kind.function
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, calls.Call) and hasattr(kind, "function")
    }


def get_missing(gas):
    """Return functions without a row; a label is a function's name, or name and circumstance."""
    return sorted(get_functions() - {label.partition(":")[0] for label in gas})


def get_limit(label, gas):
    if label in TWINS:
        return gas[TWINS[label]] + TWIN_SURCHARGE
    return LIMITS.get(label)


def get_excesses(gas):
    return {
        label: (cost, limit)
        for label, cost in gas.items()
        if (limit := get_limit(label, gas)) is not None and cost > limit
    }


def get_rises(gas, committed):
    """Return what is dearer than the committed file says, or not in it."""
    return {
        label: (cost, committed.get(label))
        for label, cost in gas.items()
        if cost > committed.get(label, 0)
    }


def load_gas(path=FILE):
    return json.loads(path.read_text())


def build_document(compiler, gas):
    return json.dumps({"compiler": compiler, "gas": gas}, indent=2) + "\n"


def format_table(gas, committed):
    lines = [f"{'action':<38}{'gas':>10}{'committed':>11}{'limit':>9}"]
    for label, cost in gas.items():
        limit = get_limit(label, gas)
        cells = f"{cost:>10,}{committed.get(label, 0):>11,}" + (f"{limit:>9,}" if limit else "")
        lines.append(f"{label:<38}{cells}")
    lines += [f"{'elsewhere: ' + what:<66}{cost:>10,}" for what, cost in FIELD]
    return "\n".join(lines)
