"""A published round is read, checked and unmasked to the same bytes; its twins are refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from flchain.crypto.secagg import (
    complaints,
    errors,
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
from flchain.protocol.errors import ProofError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "secagg.json").read_text(encoding="utf-8")
)


def parse(data):
    return bytes.fromhex(data[2:])


ROUND_KEY = parse(VECTORS["context"]["round_key"])
AGENTS = [record["agent"] for record in VECTORS["agents"]]
SEEDS = {record["agent"]: parse(record["seed"]) for record in VECTORS["agents"]}
VALID = VECTORS["valid"]
SURVIVORS = frozenset(VALID["masked"])
MAX_WEIGHT = 7


def make_context(agent):
    return Context(**{**VECTORS["context"], "round_key": ROUND_KEY}, agent=agent)


PROVEN = {a: keys.decode_keys(parse(data), make_context(a)) for a, data in VALID["keys"].items()}
ROSTER = roster.build_roster(
    make_context(AGENTS[0]),
    keys.collect_keys(PROVEN, make_context(AGENTS[0])),
    parse(VECTORS["graph_seed"]),
    degree=3,
    threshold=2,
)
SECRETS = {agent: keys.derive_secrets(SEEDS[agent], make_context(agent)) for agent in AGENTS}
SHARINGS = {
    a: shares.decode_sharing(ROSTER, a, parse(data)) for a, data in VALID["sharings"].items()
}
ENDING = unmasking.Unmasking(ROSTER, SHARINGS, SURVIVORS)


def read_releases(changed=()):
    told = {**VALID["releases"], **dict(changed)}
    return {a: releases.decode_release(ROSTER, a, parse(data)) for a, data in told.items()}


def test_round__published__is_made_again_from_its_seeds():
    for record in VECTORS["agents"]:
        agent = record["agent"]
        dealt = shares.deal_shares(ROSTER, agent, SECRETS[agent], SEEDS[agent])
        assert dealt == SHARINGS[agent]
        _, opening = weights.commit_weight(
            record["weight"], MAX_WEIGHT, make_context(agent), SEEDS[agent]
        )
        words = weights.append_weight(np.array(record["update"], np.int32), opening)
        masked = masking.mask_input(ROSTER, agent, SECRETS[agent], frozenset(AGENTS), words)
        if agent in SURVIVORS:
            assert masking.encode_words(masked) == parse(VALID["masked"][agent])


def test_round__published__has_shares_that_open_and_releases_that_follow():
    for holder, data in VALID["releases"].items():
        held, bad = shares.open_shares(ROSTER, holder, SECRETS[holder], SHARINGS)
        assert bad == {}
        told = releases.release_shares(ROSTER, holder, held, frozenset(AGENTS), SURVIVORS)
        assert releases.encode_release(ROSTER.round_key, holder, told) == parse(data)


def test_round__published__unmasks_to_its_sum_and_opens_its_weights():
    told = read_releases()
    assert unmasking.find_bad_shares(ENDING, told) == {}
    vectors = [masking.decode_words(parse(data), 20) for data in VALID["masked"].values()]
    corrections = unmasking.build_corrections(ENDING, unmasking.restore_secrets(ENDING, told))
    total = unmasking.unmask(vectors, corrections, 20)
    assert masking.encode_words(total) == parse(VALID["sum"])
    found = weights.split_sum(total)
    records = [record for record in VECTORS["agents"] if record["agent"] in SURVIVORS]
    assert found.weight == sum(record["weight"] for record in records)
    assert found.update.tolist() == np.sum([record["update"] for record in records], 0).tolist()
    points = [read_weight(agent).point for agent in SURVIVORS]
    weights.verify_weight_sum(points, found.weight, found.limbs)


def read_weight(agent, data=None):
    context = make_context(agent)
    found = weights.decode_weight(parse(data or VALID["weights"][agent]), MAX_WEIGHT, context)
    weights.verify_weight(found, MAX_WEIGHT, context)
    return found


def test_complaint__published__is_about_a_right_share():
    found = complaints.decode_complaint(ROSTER, AGENTS[1], parse(VALID["complaint"]))
    verdict = complaints.verify_complaint(ROSTER, AGENTS[1], found, SHARINGS[AGENTS[0]])
    assert verdict.guilty == AGENTS[1]


def test_circle__published__is_drawn_again():
    circle = VECTORS["circle"]
    graph = build_graph(
        circle["neighbours"], circle["degree"], ROUND_KEY, parse(VECTORS["graph_seed"])
    )
    assert {agent: list(others) for agent, others in graph.neighbours.items()} == (
        circle["neighbours"]
    )


def test_mask__published__is_expanded_again():
    vector = VECTORS["mask"]
    assert masks.expand_mask(parse(vector["key"]), 8).tobytes() == parse(vector["words"])


def check_keys(sender, data):
    keys.decode_keys(parse(data), make_context(sender))


def check_sharing(sender, data):
    sharing = shares.decode_sharing(ROSTER, sender, parse(data))
    for holder in ROSTER.graph.neighbours[sender]:
        shares.open_share(ROSTER, holder, SECRETS[holder], sender, sharing)


def check_release(sender, data):
    for error in unmasking.find_bad_shares(ENDING, read_releases({sender: data}.items())).values():
        raise error


CHECKS = {
    "keys": check_keys,
    "sharings": check_sharing,
    "weights": read_weight,
    "releases": check_release,
}


@pytest.mark.parametrize("twin", VECTORS["invalid"], ids=lambda twin: twin["description"])
def test_message__invalid_twin__meets_its_error(twin):
    expected = {**vars(errors), "ProofError": ProofError}[twin["error"]]
    with pytest.raises(expected) as caught:
        CHECKS[twin["message"]](twin["sender"], twin["data"])
    assert type(caught.value) is expected
    CHECKS[twin["message"]](twin["sender"], VALID[twin["message"]][twin["sender"]])
