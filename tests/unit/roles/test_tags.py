"""Execution tags and audits: who did the work, and who is found not to have done it."""

from dataclasses import replace

import pytest

from flchain.chain.spec import evidence
from flchain.learning.aggregation import aggregate_updates
from flchain.protocol.calls import AuditVote
from flchain.protocol.errors import AdapterError
from flchain.protocol.events import AgentSlashed, OffencePunished, VoteAudited
from flchain.protocol.types import ZERO_DIGEST, Outcome, Phase, RoundId
from flchain.roles import tags
from flchain.roles.archive import Archive
from flchain.roles.assembly import build_inputs
from flchain.roles.execution import build_submission
from flchain.roles.tags import Auditing, choose_half, compute_tag, get_seed, list_earlier_votes
from flchain.roles.upkeep import is_over
from flchain.storage.errors import ContentUnavailable
from tests.e2e.federation import Behaviour, CopyingValidator, LazyValidator, make_keys
from tests.unit.roles import drawn
from tests.unit.roles.drawn import list_seated, listen, make_drawn

FIRST = RoundId(1)
LAZY = 4
"""A validator who votes in the first round and has no seat in the second."""
VOTERS = [key.address for key in make_keys(40)]
SEEDS = [bytes([number]) * 32 for number in range(1, 41)]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_half__of_any_number__is_half_rounded_up_and_in_order(count):
    places = choose_half(SEEDS[0], VOTERS[0], count)
    assert len(places) == (count + 1) // 2
    assert list(places) == sorted(set(places))
    assert set(places) <= set(range(count))


def test_half__other_voter_or_seed__is_another():
    assert len({choose_half(SEEDS[0], voter, 20) for voter in VOTERS}) == len(VOTERS)
    assert len({choose_half(seed, VOTERS[0], 20) for seed in SEEDS}) == len(SEEDS)
    assert choose_half(SEEDS[0], VOTERS[0], 20) == choose_half(SEEDS[0], VOTERS[0], 20)


def test_half__many_draws__every_update_as_often():
    counts = [0] * 10
    for seed in SEEDS:
        for voter in VOTERS[:10]:
            for place in choose_half(seed, voter, 10):
                counts[place] += 1
    # 400 draws: 200 each expected, with a deviation of 10.
    assert sum(counts) == 5 * 400
    assert all(150 < count < 250 for count in counts)


@pytest.fixture(scope="module")
def played():
    """A federation after its first round, and that round."""
    federation = make_drawn()
    seen = federation.run(1)
    return federation, seen.past, seen.past.rounds[FIRST]


def tag(played, number=0, **changes):
    """Return what a validator computes for its own vote, with some inputs changed."""
    federation, task, past = played
    context, terms = federation.validators[number].context, federation.terms
    inputs = build_inputs(context, terms, task, past)
    archive = context.archive
    given = [build_submission(terms, inputs.round_key, s, archive) for s in inputs.survivors]
    values = {
        "weights": aggregate_updates(given, terms.policy, inputs.round_key).weights,
        "proposal_id": past.final_proposal.proposal_id,
        "seed": get_seed(past, 0),
        "validator": context.signer.address,
        **changes,
    }
    return compute_tag(terms, inputs, archive, **values)


def test_tag__anybody_who_recomputes__finds_that_of_the_vote(played):
    _, _, past = played
    assert len(past.votes) >= 4
    for vote in past.votes:
        for other in range(3):
            assert tag(played, other, validator=vote.validator) == vote.vote.exec_tag
    assert len({vote.vote.exec_tag for vote in past.votes}) == len(past.votes)


def test_tag__other_proposal_validator_or_weight__is_another(played):
    right = tag(played)
    weights = (17, 23, 42)
    seeds = [seed for seed in SEEDS if half(seed) != half(get_seed(played[2], 0))]
    others = [
        tag(played, proposal_id=bytes(32)),
        tag(played, validator=VOTERS[39]),
        tag(played, weights=weights),
        tag(played, seed=seeds[0]),
    ]
    assert len({right, *others}) == 1 + len(others)


def half(seed):
    return choose_half(seed, make_keys(16)[5].address, 3)


def test_tag__one_integer_of_an_update_in_the_half__is_another(played, monkeypatch):
    federation, _, past = played
    voter = federation.validators[0].context.signer.address
    inside = choose_half(get_seed(past, 0), voter, 3)
    right, agents = tag(played), [s.agent for s in past.submissions]
    read = tags.read_update

    def alter(terms, round_key, submission, archive):
        update = read(terms, round_key, submission, archive)
        if submission.agent != agents[altered]:
            return update
        sections = {name: section.copy() for name, section in update.sections.items()}
        next(iter(sections.values()))[4] += 1
        return replace(update, sections=sections)

    monkeypatch.setattr(tags, "read_update", alter)
    for altered in range(3):
        assert (tag(played) != right) == (altered in inside)


def audit_all(monkeypatch):
    """Let every vote be audited."""
    monkeypatch.setattr(evidence, "AUDITED_IN", 1)


def get_events(federation, *kinds):
    logged = federation.ledger.get_events(kinds=kinds)
    return [entry.event for entry in logged]


def test_audit__zero_and_copied_tags__exactly_these_are_punished_once(monkeypatch):
    audit_all(monkeypatch)
    kinds = {3: LazyValidator, 6: CopyingValidator}
    federation = make_drawn(validators=9, rounds=5, behaviour=Behaviour(kinds=kinds))
    stakes = {v.context.signer.address: get_stake(federation, v) for v in federation.validators}
    seen = federation.run(5)
    liars = {federation.validators[number].context.signer.address for number in kinds}
    assert {past.outcome for past in seen.past.rounds.values()} == {Outcome.FINALIZED}
    # The last draw's votes have no later committee that could look.
    voted = {
        (vote.round, vote.attempt, vote.validator)
        for past in seen.past.rounds.values()
        for vote in past.votes
        if vote.validator in liars and vote.round < 5
    }
    assert {validator for *_, validator in voted} == liars
    punished = get_events(federation, OffencePunished)
    assert len(punished) == len({event.offence for event in punished}) == len(voted)
    assert {event.validator for event in punished} == liars
    found = get_events(federation, VoteAudited)
    assert {(e.finding.round, e.finding.attempt, e.validator) for e in found} == voted
    left = {v.context.signer.address: get_stake(federation, v) for v in federation.validators}
    assert {account for account in stakes if left[account] < stakes[account]} == liars


def get_stake(federation, validator):
    return federation.ledger.get_agent(validator.context.signer.address).stake


def reach_audit(monkeypatch):
    """Return a federation whose second committee is to look at a vote without a tag."""
    audit_all(monkeypatch)
    federation = make_drawn(behaviour=Behaviour(kinds={LAZY: LazyValidator}))
    seen = federation.run_roles(
        federation.roles, lambda seen: seen.round.round == 2 and seen.phase is Phase.VOTE
    )
    voters = {vote.validator for vote in seen.past.rounds[FIRST].votes}
    assert federation.validators[LAZY].context.signer.address in voters
    return federation, seen


def get_auditors(federation):
    lazy = federation.validators[LAZY]
    return [v for v in list_seated(federation) if v is not lazy]


def make_auditing(federation, validator, **changes):
    return Auditing(replace(validator.context, **changes), federation.terms)


def test_audit__fifth_auditor_of_a_punished_vote__is_overtaken_and_goes_on(monkeypatch):
    federation, seen = reach_audit(monkeypatch)
    sent = listen(federation)
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 2))
    for _ in range(3):
        for validator in federation.validators:
            validator.tick(seen)
    reports = [account for account, call in sent if isinstance(call, AuditVote)]
    assert len(reports) == len(set(reports)) == 4
    assert len(get_events(federation, OffencePunished)) == 1
    assert len(get_events(federation, AgentSlashed)) == 1


def test_audit__vote_not_chosen__nobody_looks(monkeypatch):
    federation, seen = reach_audit(monkeypatch)
    monkeypatch.setattr(evidence, "AUDITED_IN", 1 << 200)
    sent = listen(federation)
    assert not any(make_auditing(federation, v).tick(seen) for v in federation.validators)
    assert sent == []


def test_audit__no_seat__reports_nothing(monkeypatch):
    federation, seen = reach_audit(monkeypatch)
    out = [v for v in federation.validators if v not in list_seated(federation)]
    assert out
    assert not any(make_auditing(federation, v).tick(seen) for v in out)


class EmptyArchive(Archive):
    """An archive from which everything is lost."""

    def fetch(self, digest, **_):
        raise ContentUnavailable(digest.hex(), "an empty archive")


def test_audit__updates_are_gone__is_no_case(monkeypatch):
    federation, seen = reach_audit(monkeypatch)
    sent, auditor = listen(federation), get_auditors(federation)[0]
    blind = make_auditing(federation, auditor, shared_archive=EmptyArchive(federation.store))
    assert blind.tick(seen) is False
    assert sent == []
    assert make_auditing(federation, auditor).tick(seen) is True


class LateArchive(Archive):
    """An archive that has nothing for a while."""

    is_empty = True

    def fetch(self, digest, **options):
        if self.is_empty:
            raise ContentUnavailable(digest.hex(), "an empty archive")
        return super().fetch(digest, **options)


def test_audit__updates_come_later__are_looked_at_again_but_not_all_the_time(monkeypatch):
    federation, seen = reach_audit(monkeypatch)
    archive = LateArchive(federation.store)
    auditing = make_auditing(federation, get_auditors(federation)[0], shared_archive=archive)
    assert auditing.tick(seen) is False
    archive.is_empty = False
    assert auditing.tick(seen) is False
    assert auditing.tick(replace(seen, now=seen.now + tags.RETRY)) is True


def test_audit__draw_without_votes_in_between__the_one_before_is_looked_at(monkeypatch):
    _, seen = reach_audit(monkeypatch)
    newest = (seen.draw.draw.round, seen.draw.draw.attempt)
    before = list_earlier_votes(seen.past, newest)
    silent = replace(seen.past.rounds[FIRST], votes=())
    assert before
    known = {name: item for name, item in seen.past.rounds.items() if name == FIRST}
    only = replace(
        seen.past, rounds={**known, RoundId(2): replace(silent, opened=seen.live.opened)}
    )
    assert list_earlier_votes(only, (RoundId(3), 0)) == before


def test_audit__chain_cannot_be_reached__is_tried_again(monkeypatch):
    federation, seen = reach_audit(monkeypatch)
    send, failures = federation.ledger.send, [AdapterError("no answer", is_retryable=True)]

    def fail_once(call, signer):
        if failures:
            raise failures.pop()
        return send(call, signer)

    federation.ledger.send = fail_once
    auditing = make_auditing(federation, get_auditors(federation)[0])
    with pytest.raises(AdapterError):
        auditing.tick(seen)
    assert auditing.tick(seen) is True
    assert auditing.tick(seen) is False


def test_audit__newest_draw_has_no_seed__waits_for_one_that_has(monkeypatch):
    audit_all(monkeypatch)
    federation = make_drawn(rounds=3, behaviour=Behaviour(kinds={LAZY: LazyValidator}))
    drawn.reach_seat(federation, RoundId(2))
    drawn.pass_time(federation, 3 * drawn.WINDOW)
    federation.orchestrator.tick(federation.watch.observe())
    assert drawn.get_view(federation).draw.beacons == 0
    sent = listen(federation)
    seen = federation.run(3)
    assert list_earlier_votes(seen.past, (RoundId(3), 0))[0][0].opened.round == FIRST
    audits = [call.finding for _, call in sent if isinstance(call, AuditVote)]
    assert {(finding.round, finding.claimed) for finding in audits} == {(FIRST, ZERO_DIGEST)}
    opened = next(i for i, (_, call) in enumerate(sent) if type(call).__name__ == "StartSeed")
    first = next(i for i, (_, call) in enumerate(sent) if isinstance(call, AuditVote))
    assert first > opened
