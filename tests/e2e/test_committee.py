"""Drawn committees over Anvil against those who would choose, forge, copy, withhold or steal."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from eth_utils.crypto import keccak

from flchain.chain.ethereum import EthereumLedger
from flchain.chain.spec.draws import SEAT_ROLE
from flchain.chain.spec.evidence import is_audited
from flchain.chain.spec.seeds import CHAIN_LABEL, name_draw
from flchain.crypto.signing import compact_signature
from flchain.crypto.vrf import compute_output, load_secret_key, prove
from flchain.protocol import calls, reverts
from flchain.protocol.digests import encode_abi, round_key
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_vote
from flchain.protocol.events import AgentSlashed, OffencePunished, SeatsReplaced, VoteAudited
from flchain.protocol.records import SeatProof, SignedVote, Vote
from flchain.protocol.sortition import draw_message
from flchain.protocol.types import ZERO_DIGEST, Digest, Outcome, Phase, Role, RoundId, Verdict
from flchain.roles.audit import verify_task
from flchain.roles.audit.authenticity import ChainAudit
from flchain.roles.audit.report import Findings
from flchain.roles.audit.storage import _compute_slots
from flchain.roles.drawing import build_proof, hash_secret
from flchain.roles.membership import prove_possession
from flchain.roles.upkeep import is_over
from tests.e2e.federation import (
    DRAWN,
    Behaviour,
    CopyingValidator,
    LazyValidator,
    SilentValidator,
    join,
    make_site_federation,
    make_vrf_secret,
    open_site,
)

pytestmark = [pytest.mark.anvil, pytest.mark.slow]

FIRST, SECOND = RoundId(1), RoundId(2)
AGENTS, MOST = 3, 8
MEMBERS = 1 + AGENTS + MOST
FEDERATIONS = 24
"""One for each test that moves the clock, and one for each vote that another test ended."""
WINDOW = int(DRAWN.schedule.seat_window)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder, accounts = tmp_path_factory.mktemp("committee"), 1 + FEDERATIONS * MEMBERS
    with open_site(folder, DRAWN, accounts) as opened:
        # No block comes by itself: one that came while a test goes back would be lost.
        opened.control.set_mining(is_automatic=True)
        yield opened


@pytest.fixture(scope="module")
def turns():
    """Numbers of federations, so that each has members of its own."""
    return iter(range(FEDERATIONS))


@pytest.fixture
def start(site, turns, tmp_path):
    """A function that starts a federation whose clock moves when nothing is due."""

    def begin(**options):
        first = 1 + MEMBERS * next(turns)
        options.setdefault("preset", DRAWN)
        options.setdefault("validators", 7)
        keys = site.keys[first : first + MEMBERS]
        idle = lambda _seen: site.control.advance_time(1)  # noqa: E731 - a clock, not a function
        federation = make_site_federation(site, tmp_path, keys=keys, idle=idle, **options)
        # Everybody's enrolment counts before the first round opens.
        site.control.advance_time(3)
        return federation

    return begin


def get_address(validator):
    return validator.context.signer.address


def get_place(federation, validator):
    return federation.ledger.get_member(federation.task_id, get_address(validator)).place


def get_view(federation):
    return federation.ledger.get_draw(federation.task_id)


def list_seated(federation):
    word = get_view(federation).committee
    return [v for v in federation.validators if word >> 4 * get_place(federation, v) & 15]


def list_leaders(federation):
    word = get_view(federation).draw.beacons
    places = {get_place(federation, v): v for v in federation.validators}
    return [places[(word >> 8 * rank & 0xFF) - 1] for rank in range(3)]


def get_stakes(federation):
    members = [*federation.agents, *federation.validators, federation.orchestrator.upkeep]
    accounts = [member.context.signer.address for member in members]
    return {account: federation.ledger.get_agent(account).stake for account in accounts}


def get_events(federation, kind):
    """Return the events of a kind about this federation's members."""
    events = [entry.event for entry in federation.ledger.get_events(kinds=(kind,))]
    members = get_stakes(federation)
    return [e for e in events if (e.agent if kind is AgentSlashed else e.validator) in members]


def verify(site, federation):
    return verify_task(
        EthereumLedger(site.devnet.rpc, site.book),
        federation.store,
        federation.task_id,
        rpc=site.devnet.rpc,
        first_block=site.book.first_block,
    )


def require_sound(site, federation):
    report = verify(site, federation)
    assert report.is_sound, [str(check) for check in report.failures]


def reach(federation, number, phase, roles=None):
    return federation.run_roles(
        roles or federation.roles, lambda seen: seen.round.round == number and seen.phase is phase
    )


def sign(federation, validator, vote, *, number=FIRST, attempt=0, chain_id=None):
    """Return a vote with its validator's signature, for this chain or another."""
    ledger = federation.ledger
    manager, chain = ledger.addresses.round_manager, chain_id or ledger.chain_id
    key = round_key(chain, manager, federation.task_id, number)
    digest = compute_signing_digest(Domain(chain, manager), hash_vote(key, attempt, vote))
    signature = compact_signature(validator.context.signer.sign_digest(digest))
    return SignedVote(get_address(validator), vote, *signature)


@pytest.fixture(scope="module")
def votings():
    """Federations that were brought to a vote."""
    return []


@pytest.fixture
def voting(site, turns, tmp_path_factory, votings):
    """A federation in the vote of its first round, in which nobody has voted.

    Tests that move the clock may have ended an earlier one's.
    """
    if votings and votings[-1].ledger.get_phase(votings[-1].task_id) is Phase.VOTE:
        return votings[-1]
    first = 1 + MEMBERS * next(turns)
    federation = make_site_federation(
        site,
        tmp_path_factory.mktemp("voting"),
        keys=site.keys[first : first + MEMBERS],
        idle=lambda _seen: site.control.advance_time(1),
        preset=DRAWN,
        validators=7,
        rounds=1,
    )
    reach(federation, FIRST, Phase.VOTE)
    votings.append(federation)
    return federation


def make_vote(federation, **changes):
    proposal_id = federation.ledger.get_proposal(federation.task_id).proposal_id
    return replace(Vote(proposal_id, Verdict.APPROVE), **changes)


FORGERIES = {
    "under another's name": lambda f, mine, other: (
        replace(sign(f, mine, make_vote(f)), validator=get_address(other)),
        reverts.SignatureInvalid,
    ),
    "for another round": lambda f, mine, _: (
        sign(f, mine, make_vote(f), number=SECOND),
        reverts.SignatureInvalid,
    ),
    "for another attempt": lambda f, mine, _: (
        sign(f, mine, make_vote(f), attempt=1),
        reverts.SignatureInvalid,
    ),
    "for another proposal": lambda f, mine, _: (
        sign(f, mine, make_vote(f, proposal_id=Digest(bytes(31) + b"1"))),
        reverts.WrongProposal,
    ),
    "from another chain": lambda f, mine, _: (
        sign(f, mine, make_vote(f), chain_id=1),
        reverts.SignatureInvalid,
    ),
    "by a validator that was not drawn": lambda f, *_: (
        sign(f, next(v for v in f.validators if v not in list_seated(f)), make_vote(f)),
        reverts.NotEntitled,
    ),
    "by an agent": lambda f, *_: (
        sign(f, f.agents[0], make_vote(f)),
        reverts.NotEntitled,
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_vote__in_a_bundle__is_refused_with_its_own_error(voting, forgery):
    mine, other, *_ = list_seated(voting)
    signed, error = FORGERIES[forgery](voting, mine, other)
    with pytest.raises(error):
        voting.ledger.send(calls.VoteBundle(voting.task_id, FIRST, (signed,)), voting.sponsor)
    assert voting.ledger.get_ballot(voting.task_id).cast == 0


def test_forged_vote__cast_directly__is_refused_with_its_own_error(voting):
    seated, vote = list_seated(voting), make_vote(voting)
    out = next(v for v in voting.validators if v not in seated)
    cases = [
        (FIRST, vote, out, reverts.NotEntitled),
        (FIRST, vote, voting.agents[0], reverts.NotEntitled),
        (SECOND, vote, seated[0], reverts.WrongRound),
        (FIRST, replace(vote, proposal_id=bytes(31) + b"1"), seated[0], reverts.WrongProposal),
    ]
    for number, paper, who, error in cases:
        with pytest.raises(error):
            voting.ledger.send(calls.CastVote(voting.task_id, number, paper), who.context.signer)


def test_double_vote__two_signed_papers__cost_half_the_stake_once_with_a_bounty(site, start):
    federation = start(rounds=1)
    reach(federation, FIRST, Phase.VOTE)
    liar, reporter = list_seated(federation)[0], federation.agents[0].context.signer
    papers = (make_vote(federation), make_vote(federation, verdict=Verdict.WORSE))
    first, second = (sign(federation, liar, paper) for paper in papers)
    before, ledger = get_stakes(federation), federation.ledger
    held = ledger.get_balance(reporter.address)
    with pytest.raises(reverts.NoOffence):
        ledger.send(calls.ReportDoubleVote(federation.task_id, FIRST, 0, first, first), reporter)
    report = calls.ReportDoubleVote(federation.task_id, FIRST, 0, first, second)
    ledger.send(report, reporter)
    with pytest.raises(reverts.AlreadyPunished):
        ledger.send(report, reporter)
    half = DRAWN.network.validator_stake // 2
    assert ledger.get_balance(reporter.address) - held == half // 10
    after = get_stakes(federation)
    taken = {account: before[account] - after[account] for account in before}
    assert taken == {a: half if a == get_address(liar) else 0 for a in before}
    federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    require_sound(site, federation)


def prove_for(federation, account, secret):
    return prove_possession(federation.ledger, account, secret)


def test_guardian__who_tries_to_steal__gets_the_vrf_key_at_most(site, voting):
    ledger, owner, thief = voting.ledger, voting.validators[0], voting.agents[1].context.signer
    account, signer = get_address(owner), owner.context.signer
    stolen = load_secret_key(b"\7" * 32)
    announce = calls.AnnounceRecovery(account, *prove_for(voting, account, stolen))
    with pytest.raises(reverts.NotGuardian):
        ledger.send(announce, thief)
    ledger.send(calls.SetGuardian(thief.address), signer)
    record, key = ledger.get_agent(account), ledger.get_proven_key(account)
    ledger.send(announce, thief)
    with pytest.raises(reverts.RecoveryNotDue):
        ledger.send(calls.ExecuteRecovery(account), thief)
    ledger.send(calls.CancelRecovery(), signer)
    site.control.advance_time(DRAWN.network.unbonding_period)
    with pytest.raises(reverts.NothingAnnounced):
        ledger.send(calls.ExecuteRecovery(account), thief)
    assert (ledger.get_agent(account), ledger.get_proven_key(account)) == (record, key)
    ledger.send(announce, thief)
    site.control.advance_time(DRAWN.network.unbonding_period)
    held = ledger.get_balance(thief.address)
    ledger.send(calls.ExecuteRecovery(account), thief)
    assert ledger.get_proven_key(account) == hash_secret(stolen) != key
    assert replace(ledger.get_agent(account), keys_digest=key) == record
    assert ledger.get_balance(thief.address) == held


@pytest.mark.parametrize("silent", [1, 3])
def test_beacon__some_or_all_withhold__the_next_or_everybody_decides(site, start, silent):
    federation = start()
    before = get_stakes(federation)
    reach(federation, SECOND, Phase.SEAT)
    withholders = list_leaders(federation)[:silent]
    for validator in withholders:
        validator.drawing._reveal = lambda *_: False
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 2))
    past = seen.past.rounds[SECOND]
    assert past.outcome is Outcome.FINALIZED
    if silent == 3:
        assert past.seeds == ()
        assert [event.seed for event in past.draws] == [ZERO_DIGEST]
        assert past.seats == len(federation.validators)
    else:
        assert [fixed.rank for fixed in past.seeds] == [1]
        assert past.draws[0].seed == past.seeds[0].seed != ZERO_DIGEST
        assert past.seats == DRAWN.schedule.committee
    # Withholding a seed costs nothing: nobody can prove that it was had.
    assert get_stakes(federation) == before
    require_sound(site, federation)


def test_silence__a_third_of_six_seats__the_round_finishes_and_only_they_pay(site, start):
    schedule = replace(DRAWN.schedule, committee=6, min_validators=6)
    federation = start(preset=replace(DRAWN, schedule=schedule), validators=8, rounds=1)
    before = get_stakes(federation)
    reach(federation, FIRST, Phase.VOTE)
    silent = list_seated(federation)[:2]
    for validator in silent:
        validator._vote = lambda _seen: False
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    past = seen.past.rounds[FIRST]
    assert past.outcome is Outcome.FINALIZED
    replaced = [event for event in past.draws if isinstance(event, SeatsReplaced)]
    assert replaced
    for validator in silent:
        assert replaced[0].committee >> 4 * get_place(federation, validator) & 15 == 0
    penalty = DRAWN.network.validator_stake // 100
    accounts = {get_address(validator) for validator in silent}
    after = get_stakes(federation)
    taken = {account: before[account] - after[account] for account in before}
    assert taken == {a: penalty if a in accounts else 0 for a in before}
    for validator in silent:
        known, _ = federation.ledger.get_draw_key(
            federation.task_id, get_place(federation, validator)
        )
        assert known.penalties == 1
    require_sound(site, federation)


def test_silence__nobody_but_silent_ones_in_reserve__draws_anew(site, start):
    """Two of five are silent, and so is whoever replaces them: a new attempt, a new draw."""
    federation = start(validators=8, rounds=1)
    before = get_stakes(federation)
    reach(federation, FIRST, Phase.VOTE)
    silent = list_seated(federation)[:2]
    spare = [v for v in federation.validators if v not in list_seated(federation)]
    for validator in (*silent, *spare):
        validator._vote = lambda seen, v=validator: (
            seen.ballot.attempt > 0 and SilentValidator.__mro__[1]._vote(v, seen)
        )
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    past = seen.past.rounds[FIRST]
    assert past.outcome is Outcome.FINALIZED
    seeds = {event.attempt: event.seed for event in past.seeds}
    assert set(seeds) == {0, 1}
    assert seeds[0] != seeds[1]
    after = get_stakes(federation)
    paid = {account for account in before if after[account] < before[account]}
    voted = {vote.validator for vote in past.votes if vote.attempt == 0}
    assert {get_address(v) for v in silent} <= paid
    assert not paid & voted
    assert paid <= {get_address(v) for v in (*silent, *spare)}
    require_sound(site, federation)


def compute_next_seed(federation, leader):
    """Return the seed that a beacon will give, by the definition alone."""
    ledger, view = federation.ledger, get_view(federation)
    message = ledger.get_beacon_message(federation.task_id)
    output = compute_output(prove(make_vrf_secret(get_address(leader)), message))
    config = SimpleNamespace(chain_id=ledger.chain_id, addresses=ledger.addresses)
    name = name_draw(config, federation.task_id, view.draw)
    types = ("string", "bytes32", "bytes32")
    return Digest(keccak(encode_abi(types, (CHAIN_LABEL, name, Digest(output)))))


def mine_until_audited(site, federation, liar):
    """Mine a block behind the proposal's whose hash lets the liar's first vote be audited.

    One vote in ten is: a producer of blocks who tries many could arrange that, or the opposite.
    """
    ledger, rpc = federation.ledger, site.devnet.rpc
    (leader, *_) = list_leaders(federation)
    key = round_key(ledger.chain_id, ledger.addresses.round_manager, federation.task_id, FIRST)
    for number in range(300):
        snapshot = site.control.take_snapshot()
        rpc.call("anvil_setCoinbase", f"0x{number + 1:040x}")
        site.control.mine()
        seed = compute_next_seed(federation, leader)
        if is_audited(seed, key, 0, get_address(liar)):
            return seed
        site.control.revert(snapshot)
    raise AssertionError("no block in 300 gives an audit of this vote")


@pytest.mark.parametrize("kind", [LazyValidator, CopyingValidator])
def test_lazy_vote__no_tag_or_anothers__an_audit_slashes_it_and_nobody_else(site, start, kind):
    # Six validators for five seats: five honest ones are left to audit.
    federation = start(validators=6, behaviour=Behaviour(kinds={3: kind}))
    liar = federation.validators[3]
    seen = reach(federation, FIRST, Phase.VOTE)
    if liar not in list_seated(federation):
        # By chance it has no seat: then it is another who is lazy.
        liar = federation.validators[4]
        liar.__class__ = kind
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    (lie,) = [v for v in seen.past.rounds[FIRST].votes if v.validator == get_address(liar)]
    tags = [v.vote.exec_tag for v in seen.past.rounds[FIRST].votes if v is not lie]
    assert lie.vote.exec_tag == ZERO_DIGEST if kind is LazyValidator else lie.vote.exec_tag in tags
    before = get_stakes(federation)
    reach(federation, SECOND, Phase.SEAT)
    seed = mine_until_audited(site, federation, liar)
    seen = reach(federation, SECOND, Phase.VOTE)
    assert get_view(federation).seed == seed
    federation.run_roles(federation.roles, lambda seen: is_over(seen, 2))
    for validator in federation.validators:
        validator.tick(federation.watch.observe())
    (offence,) = get_events(federation, OffencePunished)
    assert offence.validator == get_address(liar)
    audits = get_events(federation, VoteAudited)
    assert {audit.validator for audit in audits} == {get_address(liar)}
    assert {audit.finding.claimed for audit in audits} == {lie.vote.exec_tag}
    after = get_stakes(federation)
    half = DRAWN.network.validator_stake // 2
    taken = {account: before[account] - after[account] for account in before}
    assert taken == {a: half if a == get_address(liar) else 0 for a in before}
    require_sound(site, federation)


def test_poker__early_late_and_twice__the_seed_stays_the_same(site, start):
    federation = start(rounds=1)
    ledger, task_id, control = federation.ledger, federation.task_id, site.control
    pokers = [agent.context.signer for agent in federation.agents[:2]]
    reach(federation, FIRST, Phase.SEAT)
    # The proposer cannot know more: the seed needs the hash of a block yet to come.
    assert get_view(federation).draw.pinned_block == ledger.get_head().number + 1
    with pytest.raises(reverts.NoBlockHash):
        ledger.get_beacon_message(task_id)
    with pytest.raises(reverts.NoBlockHash):
        ledger.send(calls.StartSeed(task_id), pokers[0])
    with pytest.raises(reverts.SeedNotReady):
        ledger.send(calls.OpenSeats(task_id, FIRST), pokers[0])
    control.mine(2)
    snapshot = control.take_snapshot()
    early = poke(federation, pokers[0])
    control.revert(snapshot)
    control.advance_time(7)
    assert poke(federation, pokers[1]) == early != ZERO_DIGEST
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    assert seen.past.rounds[FIRST].outcome is Outcome.FINALIZED
    require_sound(site, federation)


def poke(federation, who):
    """Fix the seed, which works once, and return it."""
    ledger, task_id = federation.ledger, federation.task_id
    ledger.send(calls.StartSeed(task_id), who)
    with pytest.raises(reverts.SeedIsFixed):
        ledger.send(calls.StartSeed(task_id), who)
    ledger.send(calls.OpenSeats(task_id, FIRST), who)
    with pytest.raises(reverts.AlreadySeeded):
        ledger.send(calls.OpenSeats(task_id, FIRST), who)
    return get_view(federation).seed


def test_last_joiner__between_proposal_and_seed__is_not_drawn(site, start):
    federation, late = start(rounds=1), site.keys[-1]
    ledger, task_id = federation.ledger, federation.task_id
    reach(federation, FIRST, Phase.SEAT)
    weight = ledger.get_total_weight(task_id)
    join(ledger, federation.sponsor, [late], Role.VALIDATOR, task_id)
    place = ledger.get_member(task_id, late.address).place
    assert get_view(federation).seed == ZERO_DIGEST
    poke(federation, late)
    assert ledger.get_total_weight(task_id) == get_view(federation).draw.total_weight == weight
    # In the last stage everybody has a seat, whose key counted when the round opened.
    site.control.advance_time(3 * WINDOW)
    manager, seed = ledger.addresses.round_manager, get_view(federation).seed
    place_in_draw = {"role": SEAT_ROLE, "attempt": 0, "seed": seed}
    message = draw_message(ledger.chain_id, manager, task_id, FIRST, **place_in_draw)
    proven = build_proof(make_vrf_secret(late.address), message)
    with pytest.raises(reverts.NotDrawable):
        ledger.send(calls.ProveSeats(task_id, FIRST, (SeatProof(place, *proven),)), late)
    seen = federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    assert seen.past.rounds[FIRST].outcome is Outcome.FINALIZED
    assert seen.past.rounds[FIRST].committee >> 4 * place & 15 == 0
    require_sound(site, federation)


def test_verify__altered_committee_and_seeds__names_every_word(site, start):
    federation = start(rounds=1)
    federation.run_roles(federation.roles, lambda seen: is_over(seen, 1))
    findings = Findings()
    book = site.book
    chain = ChainAudit(
        site.devnet.rpc,
        EthereumLedger(site.devnet.rpc, book),
        federation.task_id,
        book.first_block,
        None,
        findings,
        lambda *_: None,
    ).prove()
    ours = {"seed", "committee", "last"}
    found = [
        (address, at, slot)
        for name in ("RoundManager", "ChainSeeds")
        for address in [getattr(federation.ledger.addresses, ADDRESS_OF[name])]
        for at, slot in _compute_slots(chain, name).items()
        if slot.task_id == federation.task_id and ours & set(re.split(r"[.\[]", slot.name))
    ]
    assert len(found) == 3
    right = {(address, at): site.control.get_storage(address, at) for address, at, _ in found}
    for address, at, slot in found:
        word = right[address, at]
        assert int.from_bytes(word, "big") == slot.value != 0
        site.control.set_storage(address, at, word[:-1] + bytes([word[-1] ^ 1]))
    site.control.mine()
    report = verify(site, federation)
    wrong = {check.subject.partition(".")[2] for check in report.failures}
    assert {slot.name for *_, slot in found} <= wrong
    for (address, at), word in right.items():
        site.control.set_storage(address, at, word)
    site.control.mine()


ADDRESS_OF = {"RoundManager": "round_manager", "ChainSeeds": "seed_source"}
