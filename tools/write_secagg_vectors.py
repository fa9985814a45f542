"""Write tests/vectors/secagg.json: a whole round of secure aggregation, and its invalid twins.

Everything follows from the seeds in it. `--check` compares instead of writing and exits 1 on a
difference.
"""

import json
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from eth_utils.address import to_checksum_address

from flchain.crypto.secagg import (
    complaints,
    keys,
    masking,
    masks,
    releases,
    roster,
    shares,
    unmasking,
    weights,
)
from flchain.crypto.secagg.graph import build_graph
from flchain.crypto.sigma.statements import Context
from flchain.protocol.types import Address, Digest

TARGET = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "secagg.json"
THRESHOLD, MAX_WEIGHT = 2, 7
UPDATES = ((1, -2, 3), (-(2**20), 2**20, 0), (7, 7, 7), (0, -1, 1))
WEIGHTS = (1, 7, 3, 5)
AGENTS = tuple(
    Address(to_checksum_address(sha256(b"flchain secagg agent %d" % number).digest()[:20]))
    for number in range(4)
)
SEEDS = {agent: sha256(b"flchain secagg seed" + agent.encode()).digest() for agent in AGENTS}
GRAPH_SEED = sha256(b"flchain secagg graph").digest()
CONTEXT = Context(
    chain_id=31337,
    contract=AGENTS[0],
    round_key=Digest(sha256(b"flchain secagg round").digest()),
    agent=AGENTS[0],
)
CONTEXTS = {agent: replace(CONTEXT, agent=agent) for agent in AGENTS}
SURVIVORS = frozenset(AGENTS[:3])


def to_hex(data: bytes) -> str:
    """Return 0x and the bytes in hexadecimal."""
    return "0x" + data.hex()


def build_round() -> dict[str, Any]:
    """Return every message of one round in which the last agent drops out, and the sum."""
    secrets = {agent: keys.derive_secrets(SEEDS[agent], CONTEXTS[agent]) for agent in AGENTS}
    proven = {
        agent: keys.prove_keys(secrets[agent], CONTEXTS[agent], SEEDS[agent]) for agent in AGENTS
    }
    public = keys.collect_keys(proven, CONTEXT)
    known = roster.build_roster(CONTEXT, public, GRAPH_SEED, degree=3, threshold=THRESHOLD)
    sharings = {
        agent: shares.deal_shares(known, agent, secrets[agent], SEEDS[agent]) for agent in AGENTS
    }
    committed = {
        agent: weights.commit_weight(weight, MAX_WEIGHT, CONTEXTS[agent], SEEDS[agent])
        for agent, weight in zip(AGENTS, WEIGHTS, strict=True)
    }
    masked = {
        agent: masking.mask_input(
            known,
            agent,
            secrets[agent],
            frozenset(AGENTS),
            weights.append_weight(np.array(update, np.int32), committed[agent][1]),
        )
        for agent, update in zip(AGENTS, UPDATES, strict=True)
    }
    told = {}
    for holder in sorted(SURVIVORS):
        held, _ = shares.open_shares(known, holder, secrets[holder], sharings)
        told[holder] = releases.release_shares(known, holder, held, frozenset(AGENTS), SURVIVORS)
    ending = unmasking.Unmasking(known, sharings, SURVIVORS)
    corrections = unmasking.build_corrections(ending, unmasking.restore_secrets(ending, told))
    total = unmasking.unmask((masked[agent] for agent in SURVIVORS), corrections, 20)
    complaint = complaints.complain(
        known, AGENTS[1], secrets[AGENTS[1]], AGENTS[0], SEEDS[AGENTS[1]]
    )
    return {
        "keys": {a: to_hex(keys.encode_keys(proven[a], CONTEXTS[a])) for a in AGENTS},
        "sharings": {a: to_hex(shares.encode_sharing(known, a, sharings[a])) for a in AGENTS},
        "weights": {a: to_hex(weights.encode_weight(committed[a][0], CONTEXTS[a])) for a in AGENTS},
        "masked": {a: to_hex(masking.encode_words(masked[a])) for a in sorted(SURVIVORS)},
        "releases": {
            a: to_hex(releases.encode_release(known.round_key, a, told[a]))
            for a in sorted(SURVIVORS)
        },
        "complaint": to_hex(complaints.encode_complaint(known, AGENTS[1], complaint)),
        "sum": to_hex(masking.encode_words(total)),
    }


def build_circle() -> dict[str, Any]:
    """Return the neighbours of a few agents on a circle."""
    agents = [Address(to_checksum_address(bytes(19) + bytes([n]))) for n in range(1, 10)]
    graph = build_graph(agents, 4, CONTEXT.round_key, GRAPH_SEED)
    return {"degree": 4, "neighbours": {agent: list(graph.neighbours[agent]) for agent in agents}}


def flip(data: str, at: int) -> str:
    """Return the bytes with one bit changed."""
    changed = bytearray.fromhex(data[2:])
    changed[at] ^= 1
    return to_hex(bytes(changed))


def list_twins(messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Return messages that differ in one place, each with the error that it must meet."""
    dealer = AGENTS[0]
    changes = (
        ("keys", 0, "MalformedMessage", "not a message at all"),
        ("keys", 6, "ForeignRound", "another round key"),
        ("keys", 57, "ForeignSender", "another sender"),
        ("keys", 59, "MalformedMessage", "a point off the curve"),
        ("keys", 537, "UnprovenKeys", "a response that proves nothing"),
        ("sharings", 59, "MalformedMessage", "another threshold"),
        ("sharings", 70, "MalformedMessage", "a commitment off the curve"),
        ("sharings", 191, "BadShare", "a ciphertext with a flipped bit"),
        ("weights", 6, "ForeignRound", "another round key"),
        ("weights", 60, "MalformedMessage", "a point off the curve"),
        ("weights", -1, "ProofError", "a response that proves nothing"),
        ("releases", 59, "MalformedMessage", "another count"),
        ("releases", 61, "MalformedMessage", "an owner who is no neighbour"),
        ("releases", 80, "MalformedMessage", "no kind of share"),
        ("releases", 112, "BadShare", "a share with a flipped bit"),
    )
    return [
        {
            "description": description,
            "message": name,
            "sender": dealer,
            "data": flip(messages[name][dealer], at),
            "error": error,
        }
        for name, at, error, description in changes
    ]


def build_document() -> dict[str, Any]:
    """Return the whole file."""
    messages = build_round()
    return {
        "about": (
            "A round of secure aggregation among four agents, of whom the last drops out after it "
            "shared. Degree 3, threshold 2, weights of 1 to 7. Each twin is one message with one "
            "bit changed and the error that reading or checking it must meet."
        ),
        "context": {
            "chain_id": CONTEXT.chain_id,
            "contract": CONTEXT.contract,
            "round_key": to_hex(CONTEXT.round_key),
        },
        "graph_seed": to_hex(GRAPH_SEED),
        "agents": [
            {"agent": agent, "seed": to_hex(SEEDS[agent]), "weight": weight, "update": update}
            for agent, weight, update in zip(AGENTS, WEIGHTS, UPDATES, strict=True)
        ],
        "circle": build_circle(),
        "mask": {
            "key": to_hex(bytes(range(16))),
            "words": to_hex(masks.expand_mask(bytes(range(16)), 8).tobytes()),
        },
        "valid": messages,
        "invalid": list_twins(messages),
    }


def main() -> int:
    """Write or check the file."""
    text = json.dumps(build_document(), indent=1) + "\n"
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
