"""Validators' signed scores from the data they hold to the rewards that are paid."""

from dataclasses import replace

import pytest

from flchain.protocol.contribution import SignedScores, compute_medians, compute_reward_weights
from flchain.protocol.errors import EncodingError
from flchain.protocol.types import Outcome
from flchain.roles.assembly import assemble_round, build_inputs
from flchain.roles.execution import encode_scores, execute_round, fetch_rewards
from flchain.roles.scores import decode_scores, gather_scores, read_recorded_scores
from tests.e2e.federation import make_memory_federation, make_policy


@pytest.fixture(scope="module")
def played():
    policy = make_policy(**{"rewards.contribution": "leave-one-out"})
    federation = make_memory_federation(policy=policy, rounds=2)
    return federation, federation.run(2, claims=False)


def read(federation, past):
    context = federation.validators[0].context
    origin = (context.ids, context.get_round_key(past.opened.round))
    terms, proposal = federation.terms, past.final_proposal
    return read_recorded_scores(context.archive, terms, past, proposal, origin)


def test_scores__all_validators__are_in_the_record_and_decide_the_pay(played):
    federation, seen = played
    for past in seen.past.rounds.values():
        assert past.outcome is Outcome.FINALIZED
        signed = read(federation, past)
        assert [item.validator for item in signed] == sorted(past.attested)
        medians = compute_medians(signed, [s.index for s in past.submissions], 3)
        weights = compute_reward_weights([1, 1, 1], medians, "leave-one-out")
        archive = federation.agents[0].context.archive
        rewards = fetch_rewards(archive, past.final_proposal.content.aggregate_root)
        paid = {reward.account: reward.amount for reward in rewards}
        amounts = [paid.get(s.agent, 0) for s in past.submissions]
        ranks = sorted(range(3), key=lambda index: (weights[index], index))
        assert [amounts[i] for i in ranks] == sorted(amounts)
        assert len(set(amounts)) > 1


def test_scores__executed_again__give_the_content_that_was_voted_on(played):
    federation, seen = played
    past, context = seen.past.rounds[2], federation.agents[1].context
    again = assemble_round(context, federation.terms, seen.past, past, past.final_proposal)
    assert again.content == past.final_proposal.content
    inputs = build_inputs(context, federation.terms, seen.past, past)
    without = execute_round(federation.terms, inputs, context.archive, context.ids)
    assert without.content.reward_root != again.content.reward_root
    assert without.content.state_digest == again.content.state_digest


def test_scores__gathered_by_a_proposer__are_all_that_were_published(played):
    federation, seen = played
    past = seen.past.rounds[2]
    found = gather_scores(federation.orchestrator.upkeep.context, federation.terms, past)
    assert found == read(federation, past)
    stranger = replace(past, attested={})
    context = federation.orchestrator.upkeep.context
    assert gather_scores(context, federation.terms, stranger) == ()


def test_scores__one_altered__makes_the_whole_record_count_for_nothing(played):
    federation, seen = played
    past = seen.past.rounds[1]
    first = next(iter(past.attested))
    assert read(federation, replace(past, attested={first: past.attested[first]})) == ()


def test_scores__policy_without_them__asks_for_none():
    federation = make_memory_federation()
    seen = federation.run(1, claims=False)
    context = federation.validators[0].context
    assert gather_scores(context, federation.terms, seen.past.rounds[1]) == ()
    assert not list(context.store.pins("task/1/scores/"))


def test_scores__document__reads_back(played):
    federation, seen = played
    signed = read(federation, seen.past.rounds[1])
    assert decode_scores(encode_scores(signed)) == signed


ACCOUNT = "0x" + "11" * 20
VALID = [ACCOUNT, [[0, 5], [2, 10_000]], "ab" * 65]


def test_decode__valid_row__is_read():
    (row,) = decode_scores([VALID])
    assert row == SignedScores(ACCOUNT, ((0, 5), (2, 10_000)), b"\xab" * 65)


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {},
        [1],
        [[ACCOUNT, [], "ab" * 64]],
        [["0xnobody", [[0, 5]], "ab" * 65]],
        [[ACCOUNT, [[0, 10_001]], "ab" * 65]],
        [[ACCOUNT, [[-1, 5]], "ab" * 65]],
        [[ACCOUNT, [[0, True]], "ab" * 65]],
        [[ACCOUNT, [[1, 5], [0, 5]], "ab" * 65]],
        [[ACCOUNT, [[0, 5], [0, 5]], "ab" * 65]],
        [[ACCOUNT, [[0, 5, 6]], "ab" * 65]],
        [[ACCOUNT, [[0, 5]], "zz" * 65]],
    ],
)
def test_decode__anything_else__is_refused(rows):
    with pytest.raises(EncodingError, match="scores"):
        decode_scores(rows)
