"""Weights are hidden, in range, and their sum is the one committed to."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import Opening
from flchain.crypto.secagg import weights
from flchain.crypto.secagg.errors import (
    CapacityExceeded,
    ForeignRound,
    ForeignSender,
    MalformedMessage,
    WeightSumMismatch,
)
from flchain.crypto.secagg.masking import to_words
from flchain.crypto.secagg.masks import sum_words
from flchain.protocol.errors import EncodingError, ProofError
from tests.unit.crypto.secagg_round import (
    CONTEXT,
    OTHER_ROUND,
    address,
    digest,
    flip_bit,
    make_context,
    make_inputs,
    make_party,
)

MAX = 7
AGENTS = [address(number) for number in range(4)]
WEIGHTS = dict(zip(AGENTS, (1, 7, 3, 5), strict=True))


@lru_cache
def commit(agent):
    return weights.commit_weight(WEIGHTS[agent], MAX, make_context(agent), digest(agent))


COMMITMENT, OPENING = commit(AGENTS[2])
CONTEXT_OF = make_context(AGENTS[2])
MESSAGE = weights.encode_weight(COMMITMENT, CONTEXT_OF)
POINTS = [commit(agent)[0].point for agent in AGENTS]


def sum_up(inputs, openings):
    words = [
        weights.append_weight(update, opening)
        for update, opening in zip(inputs, openings, strict=True)
    ]
    return weights.split_sum(sum_words(words, len(words[0])))


def test_weight__in_range__is_proven():
    for agent in AGENTS:
        weights.verify_weight(commit(agent)[0], MAX, make_context(agent))


@pytest.mark.parametrize("weight", [-1, 0, MAX + 1])
def test_weight__out_of_range__cannot_be_proven(weight):
    with pytest.raises((ProofError, EncodingError)):
        weights.commit_weight(weight, MAX, CONTEXT_OF, digest("seed"))


@pytest.mark.parametrize(
    ("context", "maximum"),
    [
        (replace(CONTEXT_OF, round_key=OTHER_ROUND), MAX),
        (make_context(AGENTS[0]), MAX),
        (CONTEXT_OF, MAX - 1),
    ],
)
def test_weight__proven_elsewhere_or_for_another_range__is_refused(context, maximum):
    with pytest.raises(ProofError):
        weights.verify_weight(COMMITMENT, maximum, context)


def test_weight__same_in_another_round__has_another_commitment():
    again, _ = weights.commit_weight(
        WEIGHTS[AGENTS[2]], MAX, replace(CONTEXT_OF, round_key=OTHER_ROUND), digest(AGENTS[2])
    )
    assert again.point != COMMITMENT.point


def test_weight_sum__as_committed__opens():
    inputs = make_inputs(AGENTS, 9)
    found = sum_up(inputs.values(), [commit(agent)[1] for agent in AGENTS])
    assert found.weight == sum(WEIGHTS.values())
    assert np.array_equal(found.update, sum(inputs.values()))
    weights.verify_weight_sum(POINTS, found.weight, found.limbs)


def test_weight_sum__with_py_ecc__opens():
    found = sum_up([np.zeros(0, np.int32)], [OPENING])
    group = get_backend("py_ecc")
    weights.verify_weight_sum([COMMITMENT.point], found.weight, found.limbs, group)


@pytest.mark.parametrize(
    "change",
    [
        lambda opening: Opening(opening.value + 1, opening.blinding),
        lambda opening: Opening(opening.value, opening.blinding - 1),
        lambda opening: Opening(0, 0),
    ],
    ids=["another weight", "another blinding", "nothing"],
)
def test_weight_sum__one_masks_another_than_committed__is_a_mismatch(change):
    openings = [commit(agent)[1] for agent in AGENTS]
    openings[1] = change(openings[1])
    found = sum_up([np.zeros(2, np.int32)] * 4, openings)
    with pytest.raises(WeightSumMismatch, match="4 survivors"):
        weights.verify_weight_sum(POINTS, found.weight, found.limbs)


def test_weight_sum__of_other_survivors__is_a_mismatch():
    found = sum_up([np.zeros(2, np.int32)] * 4, [commit(agent)[1] for agent in AGENTS])
    with pytest.raises(WeightSumMismatch):
        weights.verify_weight_sum(POINTS[:3], found.weight, found.limbs)


def test_weight_sum__largest_limbs_of_1024_agents__do_not_overflow():
    largest = Opening(1, 2**256 - 1)
    words = weights.append_weight(np.zeros(0, np.int32), largest)
    total = weights.split_sum(sum_words([words] * 1024, len(words)))
    assert total.weight == 1024
    assert set(total.limbs) == {1024 * 65_535}


def test_weight_sum__of_too_many_agents__is_refused():
    with pytest.raises(CapacityExceeded, match="overflow"):
        weights.verify_weight_sum([COMMITMENT.point] * 65_538, 1, (0,) * 16)


def test_weight_sum__other_number_of_limbs__is_refused():
    with pytest.raises(EncodingError, match="16"):
        weights.verify_weight_sum(POINTS, 16, (0,) * 15)


def test_split_sum__too_short_or_of_another_kind__is_refused():
    with pytest.raises(EncodingError, match="17"):
        weights.split_sum(np.zeros(16, "<u4"))
    with pytest.raises(EncodingError, match="little-endian"):
        weights.split_sum(np.zeros(20, np.int32))


def test_weight__encoded__is_read_back():
    assert weights.decode_weight(MESSAGE, MAX, CONTEXT_OF) == COMMITMENT


@pytest.mark.parametrize(
    ("data", "context", "error"),
    [
        (b"", CONTEXT_OF, MalformedMessage),
        (MESSAGE[:60], CONTEXT_OF, MalformedMessage),
        (MESSAGE[:-1], CONTEXT_OF, MalformedMessage),
        (MESSAGE + b"\0", CONTEXT_OF, MalformedMessage),
        (flip_bit(MESSAGE, 60), CONTEXT_OF, MalformedMessage),
        (MESSAGE[:-32] + b"\xff" * 32, CONTEXT_OF, MalformedMessage),
        (MESSAGE, CONTEXT, ForeignSender),
        (MESSAGE, replace(CONTEXT_OF, round_key=OTHER_ROUND), ForeignRound),
    ],
)
def test_weight__bad_bytes__are_refused_each_with_its_error(data, context, error):
    with pytest.raises(error):
        weights.decode_weight(data, MAX, context)


def test_weight_sum__through_masks_and_a_dropout__opens():
    party = make_party(4, 2)
    inputs = make_inputs(party.agents, 5)
    openings = {agent: commit(agent)[1] for agent in AGENTS}
    masked = {
        agent: party.mask(agent, weights.append_weight(inputs[agent], openings[agent]))
        for agent in party.agents[:3]
    }
    released = {agent: party.release(agent, masked) for agent in masked}
    found = weights.split_sum(party.unmask(masked, released))
    points = [commit(agent)[0].point for agent in masked]
    weights.verify_weight_sum(points, found.weight, found.limbs)
    assert np.array_equal(found.update, sum(inputs[agent] for agent in masked))
    assert to_words(found.update).dtype == np.dtype("<u4")
