"""Pedersen commitments open to what went in, and sums of them to sums."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flchain.crypto.bn254 import ORDER, encode_point
from flchain.crypto.bn254_backends import get_backend
from flchain.crypto.commitments import (
    BN254_KEY,
    MAX_SUMMANDS,
    CommitmentKey,
    Opening,
    add_commitments,
    add_openings,
    commit,
    commit_vector,
    derive_vector_key,
    join_blinding,
    split_blinding,
    verify_opening,
    verify_vector_opening,
)
from flchain.crypto.groups import INFINITY, Point
from flchain.protocol.errors import EncodingError

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "pedersen.json").read_text(encoding="utf-8")
)
FAST, PY_ECC = get_backend("fast"), get_backend("py_ecc")
SCALAR = st.integers(0, ORDER - 1)
OPENING = st.builds(Opening, SCALAR, SCALAR)


def parse_point(fields):
    return Point(int(fields["x"], 16), int(fields["y"], 16))


def parse(vector):
    opening = Opening(int(vector["value"], 16), int(vector["blinding"], 16))
    return parse_point(vector["commitment"]), opening


def name(vector):
    return vector["description"]


def test_vectors__counts__are_what_forge_reads():
    assert all(len(VECTORS[kind]) == count for kind, count in VECTORS["counts"].items())


def test_key__published__is_ours():
    published = VECTORS["generators"]
    assert (
        CommitmentKey(parse_point(published["value"]), parse_point(published["blinding"]))
        == BN254_KEY
    )


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=name)
def test_opening__vector__is_accepted(vector):
    commitment, opening = parse(vector)
    assert commit(FAST, BN254_KEY, opening) == commitment
    assert verify_opening(FAST, BN254_KEY, commitment, opening)


@pytest.mark.parametrize("vector", VECTORS["mismatched"] + VECTORS["invalid_scalars"], ids=name)
def test_opening__invalid_twin__is_not_accepted(vector):
    assert not verify_opening(FAST, BN254_KEY, *parse(vector))


@pytest.mark.parametrize("vector", VECTORS["invalid_points"], ids=name)
def test_commitment__invalid_twin__has_no_encoding(vector):
    with pytest.raises(EncodingError, match="curve"):
        encode_point(parse(vector)[0])


@pytest.mark.parametrize("vector", VECTORS["invalid_scalars"], ids=name)
def test_commitment__to_scalars_not_reduced__is_refused(vector):
    with pytest.raises(EncodingError, match="scalars"):
        commit(FAST, BN254_KEY, parse(vector)[1])


def test_sum__of_the_vectors__is_the_published_one():
    commitments = [parse(vector)[0] for vector in VECTORS["valid"]]
    assert add_commitments(FAST, commitments) == parse_point(VECTORS["sum_of_valid"])


@given(opening=OPENING)
@settings(max_examples=3)
def test_opening__any_backend__agrees(opening):
    commitment = commit(FAST, BN254_KEY, opening)
    assert verify_opening(PY_ECC, BN254_KEY, commitment, opening)


@given(openings=st.lists(OPENING, max_size=5))
def test_sum__of_commitments__opens_to_the_sum(openings):
    commitments = [commit(FAST, BN254_KEY, opening) for opening in openings]
    total, opening = add_commitments(FAST, commitments), add_openings(openings, ORDER)
    assert verify_opening(FAST, BN254_KEY, total, opening)
    other = Opening((opening.value + 1) % ORDER, opening.blinding)
    assert not verify_opening(FAST, BN254_KEY, total, other)


def test_sum__of_nothing__is_infinity():
    assert add_commitments(FAST, ()) == INFINITY


@given(blinding=SCALAR)
def test_blinding__split__joins_to_itself(blinding):
    limbs = split_blinding(blinding)
    assert len(limbs) == 16
    assert all(0 <= limb < 2**16 for limb in limbs)
    assert join_blinding(limbs, ORDER) == blinding


@given(blindings=st.lists(SCALAR, min_size=1, max_size=20))
def test_blinding__limbs_added_up__join_to_the_sum(blindings):
    sums = [sum(column) for column in zip(*map(split_blinding, blindings), strict=True)]
    assert join_blinding(sums, ORDER) == sum(blindings) % ORDER


def test_blinding__the_most_summands__just_fit():
    most = (2**16 - 1) * MAX_SUMMANDS
    assert most < 2**32 <= most + 2**16 - 1
    assert join_blinding([most] * 16, ORDER) == MAX_SUMMANDS * (2**256 - 1) % ORDER


@pytest.mark.parametrize("limbs", [[], [0] * 15, [0] * 17, [2**32] + [0] * 15, [-1] + [0] * 15])
def test_blinding__malformed_limbs__are_refused(limbs):
    with pytest.raises(EncodingError, match="blinding"):
        join_blinding(limbs, ORDER)


@pytest.mark.parametrize("blinding", [-1, 2**256])
def test_blinding__of_no_256_bits__is_refused(blinding):
    with pytest.raises(EncodingError, match="256 bits"):
        split_blinding(blinding)


@given(data=st.data(), size=st.integers(0, 6))
@settings(max_examples=20)
def test_vector__any__opens_to_itself_alone(data, size):
    key = derive_vector_key(size)
    values = data.draw(st.lists(SCALAR, min_size=size, max_size=size))
    blinding = data.draw(SCALAR)
    commitment = commit_vector(FAST, key, values, blinding)
    assert verify_vector_opening(FAST, key, commitment, values, blinding)
    for place in range(size):
        others = [*values[:place], (values[place] + 1) % ORDER, *values[place + 1 :]]
        assert not verify_vector_opening(FAST, key, commitment, others, blinding)
    assert not verify_vector_opening(FAST, key, commitment, values, (blinding + 1) % ORDER)
    assert not verify_vector_opening(FAST, key, commitment, [*values, 0], blinding)


def test_vector__permuted_or_not_reduced__is_not_accepted():
    key = derive_vector_key(2)
    commitment = commit_vector(PY_ECC, key, (1, 2), 3)
    assert verify_vector_opening(FAST, key, commitment, (1, 2), 3)
    assert not verify_vector_opening(FAST, key, commitment, (2, 1), 3)
    assert not verify_vector_opening(FAST, key, commitment, (1 + ORDER, 2), 3)


@pytest.mark.parametrize(
    ("values", "blinding"), [((1,), 0), ((1, 2, 3), 0), ((1, ORDER), 0), ((1, 2), -1)]
)
def test_vector__that_does_not_fit__is_refused(values, blinding):
    with pytest.raises(EncodingError):
        commit_vector(FAST, derive_vector_key(2), values, blinding)
