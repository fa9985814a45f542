"""The largest rounds fit into a block: 1,024 submissions, 64 validators, bundles of 32.

The submissions beyond the first two are written into the storage, since who made them does not
matter to the calls that are measured.
"""

import pytest

from flchain.chain.proofs.layout import locate
from flchain.crypto.signing import LocalSigner
from flchain.protocol.calls import Approve, CastVote, Enrol, OpenSeats, ProveSeats, Register
from flchain.protocol.digests import encode_bitmap
from flchain.protocol.params import ETHER
from flchain.protocol.reverts import TaskFull
from flchain.protocol.types import Outcome, Phase, Reason, Role, Verdict, Wei
from tests.e2e.gas_chain import FIRST_TASK, WINDOW, build_task, hash_text, start_gas_chain
from tests.e2e.gas_draws import BUNDLE as MOST_PROOFS
from tests.e2e.gas_draws import DrawnFederation, build_drawn_task
from tests.e2e.gas_scenes import STAKES, Federation, equip
from tests.e2e.gas_table import BLOCK_LIMIT

pytestmark = pytest.mark.anvil

AGENTS, VALIDATORS, BUNDLE = 1_024, 64, 32
SINGLE_VOTES = 20
PAGES, SUBMISSIONS = 3, 8
"""Slot of the round manager's mapping of tasks, and a task's slot of submissions."""
COUNT_SHIFT = 240


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    started = start_gas_chain(tmp_path_factory.mktemp("largest"))
    yield started
    started.devnet.stop()


@pytest.fixture(scope="module")
def fed(chain):
    """A task with every seat taken, whose round has as many submissions as a round may have."""
    fed = Federation(chain, agents=2, validators=VALIDATORS)
    chain.enrich(chain.sponsor)
    chain.devnet.control.set_balance(chain.sponsor.address, Wei(100_000 * ETHER))
    fed.found(build_task(fed.proposers[0].address, agents=AGENTS))
    fed.open("openRound")
    fed.submit("submit", "submitWithSig", "submit: last of the round")
    manager = fed.ledger.addresses.round_manager
    slot = locate(PAGES, FIRST_TASK) + SUBMISSIONS
    word = int.from_bytes(chain.devnet.control.get_storage(manager, slot), "big")
    assert word >> COUNT_SHIFT == 2
    word |= AGENTS << COUNT_SHIFT
    chain.devnet.control.set_storage(manager, slot, (word - (2 << COUNT_SHIFT)).to_bytes(32, "big"))
    assert fed.ledger.get_submissions(FIRST_TASK).count == AGENTS
    return fed


def object_differently(fed, place):
    return fed.build_vote(Verdict.WRONG, Reason.WRONG_MODEL, hash_text(f"counter {place}"))


def test_largest_round__every_call__fits_a_block(fed, chain):
    bitmap = encode_bitmap(range(AGENTS), AGENTS)
    for start in (0, BUNDLE):
        signers = fed.validators[start : start + BUNDLE]
        fed.bundle_attestations(signers, bitmap, "attestBundle")
    assert fed.ledger.get_survivors(FIRST_TASK) == frozenset(range(AGENTS))
    assert fed.ledger.get_phase(FIRST_TASK) is Phase.PROPOSE
    fed.propose("propose")
    for place, signer in enumerate(fed.validators[:SINGLE_VOTES]):
        call = CastVote(FIRST_TASK, fed.number, object_differently(fed, place))
        chain.send(call, signer, "vote: wrong")
    signed = [
        (signer, object_differently(fed, place))
        for place, signer in enumerate(fed.validators)
        if SINGLE_VOTES <= place < SINGLE_VOTES + BUNDLE
    ]
    fed.bundle_votes(signed, "voteBundle")
    ballot = fed.ledger.get_ballot(FIRST_TASK)
    assert (ballot.reject_kinds, ballot.top_reject) == (SINGLE_VOTES + BUNDLE, 1)
    fed.settle("settle: void")
    chain.wait(3 * WINDOW)
    fed.settle("settle: aborted")
    assert fed.ledger.get_round(FIRST_TASK).outcome is Outcome.ABORTED_NO_PROPOSAL
    print(f"\n{chain.gas}")
    assert chain.gas.keys() >= {"attestBundle", "propose", "voteBundle", "settle: aborted"}
    assert max(chain.gas.values()) < BLOCK_LIMIT


def test_seats__sixty_fifth_validator__refused(fed, chain):
    late = LocalSigner(hash_text("one too many"))
    equip(chain, late)
    chain.send(Register(Role.VALIDATOR, STAKES[Role.VALIDATOR], hash_text("late")), late)
    with pytest.raises(TaskFull):
        chain.send(Enrol(FIRST_TASK, Role.VALIDATOR), late)


LARGEST_COMMITTEE = 64
LAST_STAGE = 3


def find_proofs(fed):
    """Return a proof of every validator for the seed that is on record."""
    view = fed.ledger.get_draw(fed.task_id)
    return [fed.compute_win(view.draw, view.seed, place).proof for place in range(VALIDATORS)]


def test_largest_committee__every_call__fits_a_block(tmp_path):
    """Everybody proves a seat in the last stage; nobody votes, and all are punished."""
    chain = start_gas_chain(tmp_path)
    try:
        chain.enrich(chain.sponsor)
        play_largest_draw(chain)
    finally:
        chain.devnet.stop()
    print(f"\n{chain.gas}")
    assert chain.gas.keys() >= {"proveSeats", "settle: extended", "settle: void"}
    assert max(chain.gas.values()) < BLOCK_LIMIT


def play_largest_draw(chain):
    fed = DrawnFederation(chain, FIRST_TASK, LARGEST_COMMITTEE, validators=VALIDATORS)
    budget = chain.ledger.addresses.reward_distributor
    chain.send(Approve(budget, Wei(1_000 * ETHER)), chain.sponsor)
    fed.register()
    fed.found(build_drawn_task(fed.proposers[0].address, LARGEST_COMMITTEE))
    chain.wait_epochs(3)
    fed.reach_seat()
    fed.fix_seed()
    chain.send(OpenSeats(FIRST_TASK, fed.number), chain.sponsor, "openSeats")
    chain.wait(LAST_STAGE * WINDOW)
    proofs = find_proofs(fed)
    for start in range(0, VALIDATORS, MOST_PROOFS):
        part = tuple(proofs[start : start + MOST_PROOFS])
        chain.send(ProveSeats(FIRST_TASK, fed.number, part), chain.sponsor, "proveSeats")
    assert len(fed.ledger.get_draw(FIRST_TASK).seats) > LARGEST_COMMITTEE
    chain.wait(2 * WINDOW)
    fed.settle("settle: extended")
    chain.wait(WINDOW)
    fed.settle("settle: void")
