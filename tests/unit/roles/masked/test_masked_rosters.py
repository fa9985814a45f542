"""The roster of a round: the same for everybody, whoever's keys can be had."""

import itertools

import pytest

from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.types import Digest, Phase
from flchain.roles.archive import Archive
from flchain.roles.masked.blobs import Messages, split_join
from flchain.roles.masked.rosters import JoinReader, build_round_roster, choose_graph, decode_join
from flchain.storage.cid import cid_from_digest
from tests.unit.roles.masked.scenes import (
    FIRST,
    flip_block,
    make_secure,
    make_secure_policy,
    reach,
    seal_message,
)

SEED = Digest(b"s" * 32)


@pytest.fixture(scope="module")
def joined():
    """A federation whose agents have joined, and their digests."""
    federation = make_secure(4)
    seen = reach(federation, Phase.SHARES)
    return federation, seen.name_records(Phase.JOIN)


def make_reader(federation):
    context = federation.validators[0].context
    archive = Archive(federation.store)
    return JoinReader(Messages(federation.terms, archive, context.get_origin(FIRST)))


def build(reader, joined):
    keys = {agent: each.keys for agent, each in reader.found.items()}
    return build_round_roster(
        reader.messages.terms, reader.messages.origin, joined, keys, seed=SEED
    )


def test_roster__everybody_here__has_all_keys(joined):
    federation, digests = joined
    reader = make_reader(federation)
    assert reader.read_all(digests) == frozenset()
    roster = build(reader, digests)
    assert roster.keys.keys() == digests.keys()
    assert roster.threshold == 2
    assert all(len(roster.graph.neighbours[agent]) == 3 for agent in digests)


@pytest.mark.parametrize("what", ["missing", "altered", "malformed"])
def test_roster__somebodys_keys_cannot_be_used__it_keeps_its_place(joined, what):
    federation, digests = joined
    whole = make_reader(federation)
    whole.read_all(digests)
    victim = sorted(digests)[1]
    changed, block = dict(digests), None
    if what == "malformed":
        changed[victim] = seal_message(federation, victim, Phase.JOIN, b"keys of mine")
    else:
        block = federation.store.blocks.get(cid_from_digest(digests[victim]))
        if what == "missing":
            federation.store.blocks.delete(cid_from_digest(digests[victim]))
        else:
            flip_block(federation.store, cid_from_digest(digests[victim]))
    reader = make_reader(federation)
    try:
        missing = reader.read_all(changed)
    finally:
        if block is not None:
            federation.store.blocks.replace_unverified(cid_from_digest(digests[victim]), block)
    assert missing == (frozenset() if what == "malformed" else {victim})
    assert reader.refused.keys() == ({victim} if what == "malformed" else set())
    roster, full = build(reader, changed), build(whole, digests)
    assert roster.graph == full.graph
    assert roster.keys == {agent: key for agent, key in full.keys.items() if agent != victim}
    # What comes later is read later, what is wrong stays so.
    assert reader.read_all(changed) == frozenset()
    assert (victim in reader.found) == (what != "malformed")


def test_roster__any_order_of_reading__is_the_same(joined):
    federation, digests = joined
    rosters = []
    for order in itertools.islice(itertools.permutations(digests), 0, 24, 7):
        reader = make_reader(federation)
        for agent in order:
            reader.read_all({agent: digests[agent]})
        rosters.append(build(reader, digests))
    assert all(each == rosters[0] for each in rosters)


def test_join__other_agents_message__is_refused(joined):
    federation, digests = joined
    first, second = sorted(digests)[:2]
    reader = make_reader(federation)
    reader.read_all({first: digests[second], second: digests[second]})
    assert "agent" in reader.refused[first]
    assert second in reader.found


@pytest.mark.parametrize("place", [40, 60, 100, 300, 537, 538 + 60, 538 + 200, -1])
def test_join__flipped_byte__is_refused(joined, place):
    federation, digests = joined
    reader = make_reader(federation)
    agent = min(digests)
    data = bytearray(reader.messages.fetch(agent, Phase.JOIN, digests[agent]))
    most, origin = federation.terms.policy.update.w_max, reader.messages.origin
    decode_join(bytes(data), most, origin.bind(agent))
    data[place] ^= 1
    with pytest.raises((EncodingError, ProofError)):
        decode_join(bytes(data), most, origin.bind(agent))


@pytest.mark.parametrize("size", [0, 1, 537, 538, 539, 800])
def test_join__cut_short__is_refused(joined, size):
    federation, digests = joined
    reader = make_reader(federation)
    agent = min(digests)
    data = reader.messages.fetch(agent, Phase.JOIN, digests[agent])[:size]
    keys, weight = split_join(data)
    assert keys + weight == data
    with pytest.raises((EncodingError, ProofError)):
        decode_join(data, federation.terms.policy.update.w_max, reader.messages.origin.bind(agent))


@pytest.mark.parametrize("agents", [3, 10, 64, 65, 66, 100, 300])
@pytest.mark.parametrize(("fewest", "corrupt"), [(5, 2), (40, 13)])
def test_graph__any_number_that_joined__has_parameters(agents, fewest, corrupt):
    masking = {"threshold": fewest - 1, "max_corrupt": corrupt}
    policy = make_secure_policy(
        min_survivors=fewest, min_agents=fewest, max_agents=400, masking=masking
    )
    degree, threshold = choose_graph(policy, agents)
    if agents <= 64:
        assert (degree, threshold) == (agents - 1, fewest - 1)
    else:
        assert corrupt < threshold <= degree <= agents - 1
