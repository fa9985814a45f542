"""A validator's part in draws: beacon in turn, and seats that were won."""

from dataclasses import replace
from itertools import pairwise

import pytest

from flchain.chain.spec.committees import STAGES, compute_cap
from flchain.crypto.vrf import load_secret_key, prove, verify
from flchain.protocol import calls, events
from flchain.protocol.records import SeatProof
from flchain.protocol.reverts import NoSeat, VrfProofInvalid
from flchain.protocol.sortition import Electorate, count_seats, draw_message
from flchain.protocol.types import ZERO_DIGEST, Outcome, Phase, RoundId, Timestamp
from flchain.roles.drawing import Drawing, build_proof, is_seated
from flchain.roles.membership import rotate_key
from flchain.roles.upkeep import is_over
from tests.e2e.federation import DRAWN, make_vrf_secret
from tests.unit.roles.drawn import (
    SEATS,
    VALIDATORS,
    WINDOW,
    find_validator,
    get_place,
    get_view,
    list_leaders,
    list_seated,
    listen,
    make_drawn,
    name,
    pass_time,
    reach_seat,
    tick_drawings,
)

FIRST, SECOND = RoundId(1), RoundId(2)
STAKE = DRAWN.network.validator_stake


@pytest.fixture
def second():
    """A federation in the draw of its second round, the first that needs a beacon."""
    federation = make_drawn()
    reach_seat(federation, SECOND)
    return federation


@pytest.fixture
def seeded():
    """A federation whose first draw has its seed and no proofs yet."""
    federation = make_drawn()
    reach_seat(federation)
    federation.orchestrator.tick(federation.watch.observe())
    assert get_view(federation).draw.is_seeded
    return federation


def get_address(validator):
    return validator.context.signer.address


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_beacon__those_before_it_are_silent__its_rank_reveals_and_opens(second, rank):
    leaders = list_leaders(second)
    pass_time(second, rank * WINDOW)
    sent = listen(second)
    others = [v for v in second.validators if v is not leaders[rank]]
    assert tick_drawings(second, *others) == [False] * len(others)
    assert sent == []
    assert tick_drawings(second, leaders[rank]) == [True]
    account = get_address(leaders[rank])
    assert name(sent) == [(account, "RevealSeed"), (account, "OpenSeats")]
    assert sent[0][1].rank == rank
    assert get_view(second).seed != ZERO_DIGEST


def test_beacon__block_is_not_mined__waits():
    federation = make_drawn()
    federation.run_roles(
        federation.roles, lambda seen: seen.round.round == SECOND and seen.phase is Phase.SEAT
    )
    sent, (leader, *_) = listen(federation), list_leaders(federation)
    assert tick_drawings(federation, leader) == [False]
    pass_time(federation, 1)
    assert tick_drawings(federation, leader) == [True]
    assert [type(call) for _, call in sent] == [calls.RevealSeed, calls.OpenSeats]


def test_beacon__nobody_reveals__all_sit_and_the_next_draw_has_no_beacon(second):
    pass_time(second, 3 * WINDOW)
    sent = listen(second)
    assert not any(tick_drawings(second, *second.validators))
    assert sent == []
    second.orchestrator.tick(second.watch.observe())
    assert [type(call) for _, call in sent] == [calls.OpenSeats]
    seen = second.watch.observe()
    assert (seen.phase, seen.round.seats, get_view(second).draw.beacons) == (Phase.VOTE, 0, 0)
    assert all(is_seated(v.context, seen) for v in second.validators)
    past = second.run_roles(second.roles, lambda seen: is_over(seen, SECOND)).past
    assert past.rounds[SECOND].outcome is Outcome.FINALIZED
    assert past.rounds[SECOND].seats == VALIDATORS
    assert {vote.vote.exec_tag for vote in past.rounds[SECOND].votes} == {ZERO_DIGEST}


def test_draw_after_everybody_sat__anybody_starts_the_seed_anew():
    federation = make_drawn(rounds=3)
    reach_seat(federation, SECOND)
    pass_time(federation, 3 * WINDOW)
    seen = federation.run(3)
    opened = [past.draws[0] for past in seen.past.rounds.values()]
    assert [event.seed == ZERO_DIGEST for event in opened] == [False, True, False]
    assert [past.outcome for past in seen.past.rounds.values()] == [Outcome.FINALIZED] * 3


def compute_message(federation):
    """Return what validators prove in the first draw, by the definition alone."""
    return draw_message(
        federation.ledger.chain_id,
        federation.ledger.addresses.round_manager,
        federation.task_id,
        FIRST,
        role=1,
        attempt=0,
        seed=get_view(federation).seed,
    )


def compute_verified_output(federation, validator):
    message = compute_message(federation)
    secret = make_vrf_secret(get_address(validator))
    return verify(secret.public_key, message, prove(secret, message))


def count_won(federation, validator, stage):
    """Return a validator's seats at a stage by the definition alone."""
    output = compute_verified_output(federation, validator)
    weight = 1_000 * STAKE // DRAWN.network.validator_stake
    electorate = Electorate(weight * VALIDATORS, VALIDATORS, 2 * SEATS, compute_cap(SEATS))
    return count_seats(electorate, weight, output, stage)


@pytest.mark.parametrize("stage", range(STAGES))
def test_claim__at_each_stage__those_who_won_and_nobody_else(seeded, stage):
    pass_time(seeded, stage * WINDOW)
    winners = [v for v in seeded.validators if count_won(seeded, v, stage)]
    sent = listen(seeded)
    claimed = tick_drawings(seeded, *seeded.validators)
    assert [v for v, is_sent in zip(seeded.validators, claimed, strict=True) if is_sent] == winners
    assert name(sent) == [(get_address(v), "ProveSeats") for v in winners]
    if stage == STAGES - 1:
        assert len(winners) == VALIDATORS
    # What is on the list is not claimed again.
    assert not any(tick_drawings(seeded, *seeded.validators))


def test_claim__later_stages__never_take_a_seat_away(seeded):
    found = [
        {get_place(seeded, v) for v in seeded.validators if count_won(seeded, v, stage)}
        for stage in range(STAGES)
    ]
    assert found == sorted(found, key=len)
    assert all(earlier <= later for earlier, later in pairwise(found))


def test_claim__list_is_full_of_lower_scores__sends_nothing():
    # Eight names fit on the list of five seats; nine validators claim.
    federation = make_drawn(validators=9)
    reach_seat(federation)
    federation.orchestrator.tick(federation.watch.observe())
    pass_time(federation, (STAGES - 1) * WINDOW)
    tick_drawings(federation, *federation.validators)
    listed = {entry & 63 for entry in get_view(federation).seats}
    (out,) = set(range(9)) - listed
    sent = listen(federation)
    assert tick_drawings(federation, find_validator(federation, out)) == [False]
    assert sent == []


def forge_skipped(federation, validator, message):
    """Return a proof that nobody made, of an output that wins no seat."""
    key, proof = build_proof(validator.drawing.secret, message)
    while True:
        proof = replace(proof, gamma_x=proof.gamma_x + 1)
        forged = SeatProof(get_place(federation, validator), key, proof)
        call = calls.ProveSeats(federation.task_id, FIRST, (forged,))
        try:
            federation.ledger.send(call, validator.context.signer)
        except VrfProofInvalid:
            continue
        except NoSeat:
            return forged


def test_claim__forged_proof_beside_a_real_one__leaves_no_output(seeded):
    winner = next(v for v in seeded.validators if count_won(seeded, v, 0))
    forger = next(v for v in seeded.validators if v is not winner)
    message = compute_message(seeded)
    forged = forge_skipped(seeded, forger, message)
    real = SeatProof(get_place(seeded, winner), *build_proof(winner.drawing.secret, message))
    call = calls.ProveSeats(seeded.task_id, FIRST, (forged, real, real))
    receipt = seeded.ledger.send(call, forger.context.signer)
    (proven,) = (e for e in receipt.events if isinstance(e, events.SeatsProven))
    assert proven.places == (forged.place, real.place, real.place)
    assert proven.outputs == (ZERO_DIGEST, compute_verified_output(seeded, winner), ZERO_DIGEST)
    assert {entry & 63 for entry in get_view(seeded).seats} == {real.place}


@pytest.mark.parametrize("moment", ["proposed_at", "seeded_at"])
def test_tick__look_from_before_the_draw__does_nothing(seeded, moment):
    pass_time(seeded, (STAGES - 1) * WINDOW)
    seen = seeded.watch.observe()
    before = Timestamp(getattr(get_view(seeded).draw, moment) - 1)
    sent = listen(seeded)
    assert not any(v.drawing.tick(replace(seen, now=before)) for v in seeded.validators)
    assert sent == []
    assert any(v.drawing.tick(seen) for v in seeded.validators)


def test_claim__proposer_who_is_a_validator__gets_no_seat_and_asks_for_none():
    federation = make_drawn(patience=10_000)
    proposer = federation.validators[2]
    others = [*federation.agents, *federation.validators]
    federation.run_roles(federation.roles, lambda seen: seen.phase is Phase.ATTEST)
    federation.run_roles(others, lambda seen: seen.phase is Phase.PROPOSE)
    while federation.ledger.get_proposer(federation.task_id)[0] < 2:
        pass_time(federation, 1)
    proposer.upkeep.patience = 0
    assert proposer.upkeep.tick(federation.watch.observe())
    pass_time(federation, 1)
    pass_time(federation, 1)
    federation.orchestrator.tick(federation.watch.observe())
    pass_time(federation, (STAGES - 1) * WINDOW)
    sent = listen(federation)
    assert tick_drawings(federation, proposer) == [False]
    assert sent == []
    tick_drawings(federation, *federation.validators)
    assert proposer not in list_seated(federation)
    seen = federation.run_roles(
        [federation.orchestrator, *others], lambda seen: is_over(seen, FIRST)
    )
    past = seen.past.rounds[FIRST]
    assert past.outcome is Outcome.FINALIZED
    assert past.final_proposal.proposer == get_address(proposer)
    assert get_address(proposer) not in {vote.validator for vote in past.votes}


def test_claim__key_was_rotated_in_the_task__the_old_one_asks_for_nothing(seeded):
    validator = seeded.validators[0]
    signer = validator.context.signer
    rotate_key(seeded.ledger, signer, load_secret_key(b"\7" * 32))
    pass_time(seeded, (STAGES - 1) * WINDOW)
    # The task still has the old key on record: it is drawn with that.
    assert tick_drawings(seeded, validator) == [True]
    other = seeded.validators[1]
    account = other.context.signer
    rotate_key(seeded.ledger, account, load_secret_key(b"\10" * 32))
    seeded.ledger.send(calls.RefreshDrawKey(seeded.task_id, account.address), account)
    sent = listen(seeded)
    assert tick_drawings(seeded, other) == [False]
    new = Drawing(other.context, load_secret_key(b"\10" * 32))
    # Two epochs later is after this round's opening, so the new key waits for the next one.
    assert new.tick(seeded.watch.observe()) is False
    assert sent == []


def test_beacon__key_was_rotated_after_the_proposal__neither_key_reveals(second):
    leader = list_leaders(second)[0]
    account, fresh = leader.context.signer, load_secret_key(b"\7" * 32)
    rotate_key(second.ledger, account, fresh)
    second.ledger.send(calls.RefreshDrawKey(second.task_id, account.address), account)
    assert tick_drawings(second, leader) == [False]
    assert not Drawing(leader.context, fresh).tick(second.watch.observe())


def test_draw__stranger_starts_the_seed_and_leaves__the_orchestrator_goes_on():
    federation = make_drawn()
    reach_seat(federation)
    stranger = federation.agents[0].context.signer
    (fixed,) = federation.ledger.send(calls.StartSeed(federation.task_id), stranger).events
    seen = federation.run(1)
    past = seen.past.rounds[FIRST]
    assert past.outcome is Outcome.FINALIZED
    assert isinstance(past.draws[0], events.SeatsOpened)
    assert past.draws[0].seed == fixed.seed
    assert past.seeds == (fixed,)


def test_draw__beacon_dies_after_its_reveal__the_orchestrator_opens_at_once(second):
    leader = list_leaders(second)[0]
    message = second.ledger.get_beacon_message(second.task_id)
    proven = build_proof(leader.drawing.secret, message)
    second.ledger.send(calls.RevealSeed(second.task_id, 0, *proven), leader.context.signer)
    before = second.ledger.get_time()
    second.orchestrator.tick(second.watch.observe())
    assert get_view(second).draw.is_seeded
    assert second.ledger.get_time() - before < WINDOW


def test_draw__block_too_old_for_a_seed__all_sit_once_the_windows_are_over():
    # A block a second: after 256 of them nobody can read the hash that goes into the seed.
    schedule = replace(DRAWN.schedule, seat_window=20)
    network = replace(DRAWN.network, unbonding_period=2_000)
    federation = make_drawn(preset=replace(DRAWN, schedule=schedule, network=network))
    reach_seat(federation)
    for _ in range(300):
        pass_time(federation, 1)
    seen = federation.run(1)
    past = seen.past.rounds[FIRST]
    assert past.outcome is Outcome.FINALIZED
    assert [event.seed for event in past.draws] == [ZERO_DIGEST]


def test_round__drawn_twice_from_the_same_keys__same_committee():
    words = []
    for _ in range(2):
        federation = make_drawn(rounds=2)
        seen = federation.run(2)
        words.append([past.committee for past in seen.past.rounds.values()])
        assert [past.seats for past in seen.past.rounds.values()] == [SEATS] * 2
    assert words[0] == words[1]
    assert words[0][0] != words[0][1]
