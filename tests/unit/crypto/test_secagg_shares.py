"""Shares are read by their holder alone, checked, and complained about with proof."""

from dataclasses import replace

import pytest

from flchain.crypto.backend import Backend
from flchain.crypto.groups import Point
from flchain.crypto.secagg import complaints, shares
from flchain.crypto.secagg.errors import BadShare, ForeignRound, ForeignSender, MalformedMessage
from flchain.crypto.secagg.graph import build_graph
from flchain.crypto.secagg.shares import SharePair
from flchain.crypto.secp256k1 import ORDER, get_group
from flchain.protocol.errors import EncodingError
from tests.unit.crypto.secagg_round import (
    CONTEXT,
    GRAPH_SEED,
    OTHER_ROUND,
    digest,
    flip_bit,
    make_party,
    open_unchecked,
)

PARTY = make_party(6, 4)
ROSTER = PARTY.roster
DEALER, HOLDER, THIRD = PARTY.agents[:3]
SHARING = PARTY.sharings[DEALER]
MESSAGE = shares.encode_sharing(ROSTER, DEALER, SHARING)
RANDOMNESS = digest("complaint")
HEAD = 58


def open_share(sharing, holder=HOLDER, roster=ROSTER):
    return shares.open_share(roster, holder, PARTY.secrets[holder], DEALER, sharing)


def replace_ciphertext(sharing, ciphertext, holder=HOLDER):
    place = ROSTER.graph.get_index(DEALER, holder)
    changed = list(sharing.ciphertexts)
    changed[place] = ciphertext
    return replace(sharing, ciphertexts=tuple(changed))


def lie(pair):
    """Return a sharing that is well encrypted but gives the holder another pair."""
    (agreed,) = shares.agree(PARTY.secrets[DEALER].encryption, [ROSTER.keys[HOLDER].encryption])
    info = shares.build_info("share", ROSTER.round_key, DEALER, HOLDER)
    plain = pair.masking.to_bytes(32, "big") + pair.self_mask.to_bytes(32, "big")
    return replace_ciphertext(
        SHARING, shares._get_cipher(agreed, info).encrypt(bytes(12), plain, info)
    )


RIGHT = open_unchecked(PARTY, HOLDER, DEALER)
LIES = {
    "wrong share of a": lie(replace(RIGHT, masking=(RIGHT.masking + 1) % ORDER)),
    "wrong share of b": lie(replace(RIGHT, self_mask=(RIGHT.self_mask + 1) % ORDER)),
    "exchanged": lie(SharePair(RIGHT.self_mask, RIGHT.masking)),
    "not reduced": lie(replace(RIGHT, masking=2**256 - 1)),
    "another's": lie(open_unchecked(PARTY, THIRD, DEALER)),
    "garbled": replace_ciphertext(SHARING, flip_bit(SHARING.ciphertexts[0])),
    "cut": replace_ciphertext(SHARING, b""),
    "exchanged ciphertexts": replace(SHARING, ciphertexts=SHARING.ciphertexts[::-1]),
    "other polynomials": replace(SHARING, masking=SHARING.self_mask, self_mask=SHARING.masking),
}


def test_share__for_every_holder__opens_to_the_polynomials_values():
    for holder in ROSTER.graph.neighbours[DEALER]:
        assert open_share(SHARING, holder) == open_unchecked(PARTY, holder, DEALER)


def test_share__opened_by_somebody_else__is_refused():
    with pytest.raises(BadShare, match="cannot be decrypted"):
        shares.open_share(ROSTER, HOLDER, PARTY.secrets[THIRD], DEALER, SHARING)


@pytest.mark.parametrize("sharing", LIES.values(), ids=LIES)
def test_share__bad__is_refused(sharing):
    with pytest.raises(BadShare, match=DEALER):
        open_share(sharing)


def test_share__of_another_round__is_refused():
    other = replace(ROSTER, context=replace(CONTEXT, round_key=OTHER_ROUND))
    with pytest.raises(BadShare, match="cannot be decrypted"):
        open_share(SHARING, roster=other)


def test_share_pair__printed__is_hidden():
    assert str(RIGHT.masking) not in repr(RIGHT)


def test_deal__again_after_a_restart__is_the_same_message():
    again = shares.deal_shares(ROSTER, DEALER, PARTY.secrets[DEALER], PARTY.seeds[DEALER])
    assert again == SHARING


def test_deal__of_any_two_pairs__uses_different_keys():
    blobs = {blob for sharing in PARTY.sharings.values() for blob in sharing.ciphertexts}
    assert len(blobs) == 6 * 5


def test_sharing__encoded__is_read_back():
    assert shares.decode_sharing(ROSTER, DEALER, MESSAGE) == SHARING
    assert len(MESSAGE) == HEAD + 4 + 6 * 64 + 5 * 80


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedMessage),
        (MESSAGE[:-1], MalformedMessage),
        (MESSAGE + b"\0", MalformedMessage),
        (flip_bit(MESSAGE, 5), MalformedMessage),
        (flip_bit(MESSAGE, HEAD + 1), MalformedMessage),
        (flip_bit(MESSAGE, HEAD + 3), MalformedMessage),
        (flip_bit(MESSAGE, HEAD + 10), MalformedMessage),
        (flip_bit(MESSAGE, 10), ForeignRound),
        (flip_bit(MESSAGE, HEAD - 1), ForeignSender),
    ],
)
def test_sharing__bad_bytes__are_refused_each_with_its_error(data, error):
    with pytest.raises(error):
        shares.decode_sharing(ROSTER, DEALER, data)


@pytest.mark.parametrize("sharing", LIES.values(), ids=LIES)
def test_complaint__about_a_bad_share__convicts_the_dealer(sharing):
    made = complaints.complain(ROSTER, HOLDER, PARTY.secrets[HOLDER], DEALER, RANDOMNESS)
    verdict = complaints.verify_complaint(ROSTER, HOLDER, made, sharing)
    assert verdict.guilty == DEALER
    assert DEALER in verdict.reason


COMPLAINT = complaints.complain(ROSTER, HOLDER, PARTY.secrets[HOLDER], DEALER, RANDOMNESS)
BAD = LIES["garbled"]


def test_complaint__about_a_right_share__convicts_the_accuser():
    verdict = complaints.verify_complaint(ROSTER, HOLDER, COMPLAINT, SHARING)
    assert verdict == complaints.Verdict(HOLDER, "the share complained about is right")


def test_complaint__with_py_ecc__has_the_same_verdict():
    group = get_group(Backend.REFERENCE)
    assert complaints.verify_complaint(ROSTER, HOLDER, COMPLAINT, BAD, group).guilty == DEALER


@pytest.mark.parametrize(
    "forged",
    [
        replace(COMPLAINT, common=ROSTER.keys[THIRD].masking),
        replace(COMPLAINT, common=Point(0, 0)),
        replace(COMPLAINT, proof=replace(COMPLAINT.proof, responses=(7,))),
        replace(COMPLAINT, proof=replace(COMPLAINT.proof, responses=(ORDER,))),
        replace(COMPLAINT, dealer=THIRD),
    ],
    ids=["other point", "infinity", "other response", "not reduced", "other dealer"],
)
def test_complaint__not_proven__convicts_the_accuser_whatever_the_share(forged):
    verdict = complaints.verify_complaint(ROSTER, HOLDER, forged, BAD)
    assert verdict.guilty == HOLDER
    assert "not proven" in verdict.reason


def test_complaint__of_somebody_else_repeated__convicts_who_repeats_it():
    assert complaints.verify_complaint(ROSTER, THIRD, COMPLAINT, BAD).guilty == THIRD


def test_complaint__of_another_round__convicts_the_accuser():
    other = replace(ROSTER, context=replace(CONTEXT, round_key=OTHER_ROUND))
    assert complaints.verify_complaint(other, HOLDER, COMPLAINT, BAD).guilty == HOLDER


def test_complaint__about_no_neighbour__is_refused():
    circle = build_graph(PARTY.agents, 2, CONTEXT.round_key, GRAPH_SEED)
    roster = replace(ROSTER, graph=circle)
    stranger = next(
        each for each in PARTY.agents if each != HOLDER and each not in circle.neighbours[HOLDER]
    )
    with pytest.raises(EncodingError, match="no neighbour"):
        complaints.verify_complaint(roster, HOLDER, replace(COMPLAINT, dealer=stranger), BAD)


ENCODED = complaints.encode_complaint(ROSTER, HOLDER, COMPLAINT)


def test_complaint__encoded__is_read_back():
    assert complaints.decode_complaint(ROSTER, HOLDER, ENCODED) == COMPLAINT
    assert len(ENCODED) == 302


@pytest.mark.parametrize(
    ("data", "accuser", "error"),
    [
        (ENCODED[:-1], HOLDER, MalformedMessage),
        (ENCODED + b"\0", HOLDER, MalformedMessage),
        (flip_bit(ENCODED, HEAD), HOLDER, MalformedMessage),
        (flip_bit(ENCODED, HEAD + 30), HOLDER, MalformedMessage),
        (ENCODED[:-32] + b"\xff" * 32, HOLDER, MalformedMessage),
        (ENCODED, THIRD, ForeignSender),
        (flip_bit(ENCODED, 6), HOLDER, ForeignRound),
        (MESSAGE, HOLDER, MalformedMessage),
    ],
)
def test_complaint__bad_bytes__are_refused_each_with_its_error(data, accuser, error):
    with pytest.raises(error):
        complaints.decode_complaint(ROSTER, accuser, data)


def open_all(sharing=SHARING):
    sharings = PARTY.sharings | {DEALER: sharing}
    return shares.open_shares(ROSTER, HOLDER, PARTY.secrets[HOLDER], sharings)


def test_open_shares__all_right__returns_what_each_dealer_gave():
    good, bad = open_all()
    assert good == PARTY.open_shares(HOLDER)
    assert bad == {}


@pytest.mark.parametrize("sharing", LIES.values(), ids=LIES)
def test_open_shares__one_bad__returns_the_others(sharing):
    good, bad = open_all(sharing)
    expected = PARTY.open_shares(HOLDER)
    del expected[DEALER]
    assert good == expected
    assert list(bad) == [DEALER]
    assert type(bad[DEALER]) is BadShare


def test_open_shares__nothing_shared__returns_nothing():
    assert shares.open_shares(ROSTER, HOLDER, PARTY.secrets[HOLDER], {}) == ({}, {})


def test_weights__of_another_seed__are_others_and_never_zero():
    found = shares._derive_weights(digest("weights"), 2000)
    assert found != shares._derive_weights(digest("other"), 2000)
    assert 0 < min(found) < 2**13 < 2**20 - 2**12 < max(found) < 2**20
