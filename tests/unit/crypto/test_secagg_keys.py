"""Keys are proven for one round and agent, made for it alone, and never come twice."""

from dataclasses import replace
from hashlib import sha256

import pytest

from flchain.crypto.backend import Backend
from flchain.crypto.curves import Point, encode_point
from flchain.crypto.secagg import keys
from flchain.crypto.secagg.errors import (
    ForeignRound,
    ForeignSender,
    KeyReused,
    MalformedMessage,
    UnprovenKeys,
)
from flchain.crypto.secp256k1 import ORDER, get_group
from flchain.protocol.errors import EncodingError
from tests.unit.crypto.flips import flip
from tests.unit.crypto.secagg_round import (
    CONTEXT,
    OTHER_ROUND,
    address,
    digest,
    flip_bit,
    make_context,
)

SEED, RANDOMNESS = digest("seed"), digest("randomness")
SECRETS = keys.derive_secrets(SEED, CONTEXT)
PROVEN = keys.prove_keys(SECRETS, CONTEXT, RANDOMNESS)
MESSAGE = keys.encode_keys(PROVEN, CONTEXT)


def prove(agent, seed=None):
    context = make_context(agent)
    return keys.prove_keys(
        keys.derive_secrets(seed or digest("seed", agent), context), context, RANDOMNESS
    )


def test_secrets__of_one_seed_and_round__are_the_same_and_distinct():
    assert keys.derive_secrets(SEED, CONTEXT) == SECRETS
    scalars = (SECRETS.encryption, SECRETS.masking, SECRETS.self_mask)
    assert len(set(scalars)) == 3
    assert all(0 < scalar < ORDER for scalar in scalars)


@pytest.mark.parametrize("change", [{"round_key": OTHER_ROUND}, {"agent": address(1)}])
def test_secrets__of_a_seed_used_again_elsewhere__are_others(change):
    other = keys.derive_secrets(SEED, replace(CONTEXT, **change))
    mine = {SECRETS.encryption, SECRETS.masking, SECRETS.self_mask}
    assert mine.isdisjoint({other.encryption, other.masking, other.self_mask})


def test_secrets__printed__are_hidden():
    assert str(SECRETS.masking) not in repr(SECRETS)


@pytest.mark.parametrize("seed", [b"", SEED[:-1], SEED + b"\0"])
def test_secrets__of_a_seed_of_another_length__are_refused(seed):
    with pytest.raises(EncodingError, match="it must have 32"):
        keys.derive_secrets(seed, CONTEXT)


def test_keys__encoded__are_read_back():
    assert keys.decode_keys(MESSAGE, CONTEXT) == PROVEN
    assert len(MESSAGE) == 538


def test_keys__with_py_ecc__verify():
    keys.verify_keys(PROVEN, CONTEXT, get_group(Backend.REFERENCE))


@pytest.mark.parametrize(("path", "changed"), list(flip(PROVEN)), ids=lambda value: str(value)[:40])
def test_keys__any_part_changed__are_refused(path, changed):
    with pytest.raises((UnprovenKeys, EncodingError)):
        keys.verify_keys(changed, CONTEXT)


@pytest.mark.parametrize(
    "change",
    [
        {"round_key": OTHER_ROUND},
        {"agent": address(1)},
        {"chain_id": 1},
        {"contract": address("other")},
    ],
    ids=str,
)
def test_keys__proven_elsewhere__are_refused(change):
    with pytest.raises(UnprovenKeys, match="has not proven"):
        keys.verify_keys(PROVEN, replace(CONTEXT, **change))


@pytest.mark.parametrize(
    ("data", "context", "error"),
    [
        (MESSAGE, replace(CONTEXT, round_key=OTHER_ROUND), ForeignRound),
        (MESSAGE, replace(CONTEXT, agent=address(1)), ForeignSender),
        (b"", CONTEXT, MalformedMessage),
        (MESSAGE[:57], CONTEXT, MalformedMessage),
        (MESSAGE[:-1], CONTEXT, MalformedMessage),
        (MESSAGE + b"\0", CONTEXT, MalformedMessage),
        (flip_bit(MESSAGE, 0), CONTEXT, MalformedMessage),
        (flip_bit(MESSAGE, 5), CONTEXT, MalformedMessage),
        (flip_bit(MESSAGE, 60), CONTEXT, MalformedMessage),
        (MESSAGE[:-32] + b"\xff" * 32, CONTEXT, MalformedMessage),
        (flip_bit(MESSAGE), CONTEXT, UnprovenKeys),
    ],
)
def test_keys__bad_bytes__are_refused_each_with_its_error(data, context, error):
    with pytest.raises(error):
        keys.decode_keys(data, context)


def test_collect__everybody_with_new_keys__returns_them():
    proven = {agent: prove(agent) for agent in map(address, range(3))}
    collected = keys.collect_keys(proven, CONTEXT)
    assert collected == {agent: each.keys for agent, each in proven.items()}


def test_collect__key_of_an_earlier_round__is_refused():
    with pytest.raises(KeyReused, match="used before"):
        keys.collect_keys({CONTEXT.agent: PROVEN}, CONTEXT, used=[PROVEN.keys.self_mask])


def test_collect__negative_of_a_used_key__is_refused():
    negative = get_group().negate(PROVEN.keys.masking)
    with pytest.raises(KeyReused):
        keys.collect_keys({CONTEXT.agent: PROVEN}, CONTEXT, used=[negative])


def test_collect__one_key_for_two_uses__is_refused():
    secrets = replace(SECRETS, self_mask=SECRETS.masking)
    proven = keys.prove_keys(secrets, CONTEXT, RANDOMNESS)
    with pytest.raises(KeyReused):
        keys.collect_keys({CONTEXT.agent: proven}, CONTEXT)


def test_collect__two_agents_with_one_key__is_refused():
    other = make_context(address(1))
    copied = keys.prove_keys(SECRETS, other, RANDOMNESS)
    with pytest.raises(KeyReused, match=address(1)):
        keys.collect_keys({CONTEXT.agent: PROVEN, other.agent: copied}, CONTEXT)


def test_collect__copied_keys_without_their_secrets__are_refused():
    with pytest.raises(UnprovenKeys):
        keys.collect_keys({address(1): PROVEN}, CONTEXT)


def test_agree__from_either_side__is_the_hash_of_the_common_point():
    other = keys.derive_secrets(digest("other"), CONTEXT)
    theirs = keys.get_public_keys(other)
    point = get_group().multiply(theirs.masking, SECRETS.masking)
    expected = sha256(encode_point(Point(*point))).digest()
    assert keys.agree(SECRETS.masking, [theirs.masking]) == [expected]
    assert keys.agree(other.masking, [PROVEN.keys.masking]) == [expected]
