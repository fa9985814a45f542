"""What an action may cost, what it cost when the file was written, and what others publish."""

import json
import re
from pathlib import Path

from flchain.protocol import calls

FILE = Path(__file__).with_name("gas.json")
BLOCK_LIMIT = 16_700_000
TWIN_SURCHARGE = 12_000
RECORDED = ("join", "shares", "submit", "unmask")
"""Phases of secure mode in which agents make records."""
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
    "registerWithKey": 160_000,
    **{f"relayRecords: 100, {phase}": 500_000 for phase in RECORDED},
    **{f"voidRecord: {phase}": 120_000 for phase in (*RECORDED, "submit, in attest")},
    "one proof verified: a transaction of its own": 55_000,
    "vote: drawn": 45_000,
    "voteBundle: c = 5, 5 proofs": 100_000,
    "settle: drawn": 150_000,
    "draw, votes and settle: c = 5, 5 proofs": 470_000,
    "draw, votes and settle: c = 9, 10 proofs": 630_000,
}
"""Whole transactions, 21,000 and calldata included, from the second round on.

A relayed record may cost 5,000, with a hundred in a batch.
"""
DRAW, DRAW_PER_PROOF = 51_000, 32_000
"""What a call with proofs of seats may cost, and more for each proof."""
MISSED = {
    "voteBundle: c = 5, 5 proofs": 101_729,
}
"""Targets that are missed: what is measured is the bound, so that it cannot get worse."""
VERIFIER = Path(__file__).parents[1] / "contracts" / "snapshots" / "VRF.json"
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
VRF_FIELD = (
    ("Chainlink's bound for verifying one VRF proof", 200_000),
    ("witnet's vrf-solidity, mean of fastVerify for one proof", 151_000),
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


def get_target(label, gas):
    """Return what an action should cost at most; None where nothing is said of it."""
    if label in TWINS:
        return gas[TWINS[label]] + TWIN_SURCHARGE
    if proofs := get_proofs(label):
        return DRAW + DRAW_PER_PROOF * proofs
    return LIMITS.get(label)


def get_proofs(label):
    """Return how many proofs a call has whose label says so; 0 for others."""
    found = re.fullmatch(r"proveSeats: c = \d+, (\d+) proofs?", label)
    return int(found[1]) if found else 0


def get_limit(label, gas):
    return MISSED.get(label) or get_target(label, gas)


def load_verifier_gas():
    """Return what verifying costs in a transaction that does nothing else.

    The mean over the published vectors, measured by the verifier's own test in Solidity.
    """
    mean = int(json.loads(VERIFIER.read_text())["verify, mean"])
    return {"one proof verified: a transaction of its own": mean}


def get_excesses(gas):
    return {
        label: (cost, limit)
        for label, cost in gas.items()
        if (limit := get_limit(label, gas)) is not None and cost > limit
    }


LUCKY = ("relayRecords", "voidRecord", "reportEquivocation")
LUCK_BPS = 20
"""These sort hashes that are others in every run, and one order is dearer than the other."""


def get_rises(gas, committed):
    """Return what is dearer than the committed file says, or not in it."""
    return {
        label: (cost, committed.get(label))
        for label, cost in gas.items()
        if cost > compute_most(label, committed.get(label, 0))
    }


def compute_most(label, committed):
    """Return the most that a call may cost."""
    luck = LUCK_BPS if label.startswith(LUCKY) else 0
    return committed + committed * luck // 10_000


def load_gas(path=FILE):
    return json.loads(path.read_text())


def build_document(compiler, gas):
    return json.dumps({"compiler": compiler, "gas": gas}, indent=2) + "\n"


def format_table(gas, committed):
    lines = [f"{'action':<46}{'gas':>10}{'committed':>11}{'limit':>11}"]
    for label, cost in gas.items():
        target = get_target(label, gas)
        cells = f"{cost:>10,}{committed.get(label, 0):>11,}" + (f"{target:>11,}" if target else "")
        note = f"  target missed by {cost - target:,}" if label in MISSED else ""
        lines.append(f"{label:<46}{cells}{note}")
    lines += [f"{'elsewhere: ' + what:<66}{cost:>10,}" for what, cost in FIELD]
    return "\n".join(lines)


def format_draws(gas):
    """Return what draws cost by the size of the committee, beside what others need per proof."""
    heads = ("proofs", "draw", "limit", "per proof", "votes", "settle", "sum", "limit")
    lines = ["committee   " + "".join(f"{head:>11}" for head in heads)]
    lines += [format_draw(gas, label) for label in sorted(gas, key=get_order) if get_proofs(label)]
    lines += [f"{'elsewhere: ' + what:<66}{cost:>10,}" for what, cost in VRF_FIELD]
    return "\n".join(lines)


def get_order(label):
    return [int(number) for number in re.findall(r"\d+", label)]


def format_draw(gas, label):
    proofs, cost, where = get_proofs(label), gas[label], label.partition(": ")[2]
    cells = [proofs, cost, get_target(label, gas), cost // proofs]
    total = f"draw, votes and settle: {where}"
    if total in gas:
        votes = gas[f"voteBundle: {where}"]
        cells += [votes, gas["settle: drawn"], gas[total], LIMITS.get(total, 0)]
    return f"{where.partition(',')[0]:<12}" + "".join(f"{cell:>11,}" for cell in cells)
