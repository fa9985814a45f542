"""Rounds whose committee is drawn, for committees of several sizes, and the calls around keys.

There are as many validators as seats are expected to be won at first, twice the committee, with
equal stakes. Blocks' hashes differ from run to run, so that seeds would, and with them who wins:
each seed is overwritten, once it is fixed, by one under which the winners that a scene needs do the
usual work. Of proofs of other things those that cost what most do are measured.
"""

from dataclasses import replace
from itertools import count, islice
from random import Random

from eth_utils.crypto import keccak

from flchain.chain.proofs.layout import locate
from flchain.chain.spec.committees import (
    EXPECTED_PER_SEAT,
    build_entry,
    compute_cap,
    get_weight,
)
from flchain.chain.spec.draws import SEAT_ROLE
from flchain.chain.spec.evidence import is_audited
from flchain.crypto.signing import compact_signature
from flchain.crypto.vrf import load_secret_key
from flchain.crypto.vrf_hints import compute_hinted_output
from flchain.protocol import calls as c
from flchain.protocol.digests import compute_quorum, encode_abi
from flchain.protocol.eip712 import hash_vote
from flchain.protocol.records import Audit, SeatProof, SignedVote
from flchain.protocol.sortition import Electorate, compute_seat, count_seats, draw_message
from flchain.protocol.types import ZERO_DIGEST, Outcome, Role, TaskId, Verdict, Wei
from flchain.roles.drawing import build_proof
from flchain.roles.membership import prove_possession
from tests.e2e.gas_chain import NETWORK, PURSE, RESERVE, WINDOW, build_task, hash_text, make_signer
from tests.e2e.gas_scenes import STAKES, Federation, equip
from tests.e2e.gas_winners import Win, find_usual_wins, is_usual

AGENTS = 2
FEWEST_VALIDATORS = 5
DRAWS = {5: (1, 5), 9: (1, 5, 10), 21: (1, 5, 10, 21), 32: (1, 5, 10, 32)}
"""Proofs in one call, by the size of the committee; as many as the last fill it."""
BUNDLE = 32
SUM = "draw, votes and settle"
SEEDS, LAST_SEEDS = 0, 1
"""Slots of the mappings of the source of seeds."""
WEIGHT = 1_000


def make_secret(name):
    return load_secret_key(hash_text(f"vrf {name}"))


class DrawnFederation(Federation):
    """A task with a drawn committee of so many seats."""

    def __init__(self, chain, task_id, seats, validators=None):
        expected = EXPECTED_PER_SEAT * seats
        super().__init__(chain, agents=AGENTS, validators=validators or expected)
        self.task_id, self.seats = TaskId(task_id), seats
        self.secrets = [make_secret(index) for index in range(len(self.validators))]

    def register(self):
        """Register everybody; what validators pay for their keys is measured."""
        for signer, role in self.members:
            equip(self.chain, signer)
            if role != Role.VALIDATOR:
                plain = c.Register(role, STAKES[role], hash_text(signer.address))
                self.chain.send(plain, signer)
        for signer, secret in zip(self.validators, self.secrets, strict=True):
            proven = prove_possession(self.ledger, signer.address, secret)
            call = c.RegisterWithKey(Role.VALIDATOR, STAKES[Role.VALIDATOR], *proven)
            self.chain.send(call, signer, "registerWithKey" if is_usual(proven[1]) else None)

    def found(self, task):
        """Create and fund the task; everybody enrols and endorses."""
        chain, sponsor = self.chain, self.chain.sponsor
        chain.send(c.CreateTask(task), sponsor)
        chain.send(c.Fund(self.task_id, Wei(20 * RESERVE)), sponsor)
        for signer, role in self.members:
            label = "enrol: drawn" if role == Role.VALIDATOR else None
            chain.send(c.Enrol(self.task_id, role), signer, label)
        for signer in self.validators:
            chain.send(c.Endorse(self.task_id, task.policy_digest, task.initial_state), signer)

    def reach_seat(self):
        self.open("openRound: drawn")
        self.submit()
        for signers in (self.validators[:BUNDLE], self.validators[BUNDLE:]):
            if signers:
                self.bundle_attestations(signers, self.get_bitmap(), None)
        self.propose("propose: drawn")
        self.chain.wait(1)

    @property
    def source(self):
        return self.ledger.addresses.seed_source

    def fix_seed(self):
        """Fix a seed as the protocol does: from a beacon, if there was a draw before."""
        draw = self.ledger.get_draw(self.task_id).draw
        if draw.beacons == 0:
            self.chain.send(c.StartSeed(self.task_id), self.chain.sponsor, "start")
            return
        place = (draw.beacons & 0xFF) - 1
        key, proof = self.find_usual_proof(self.secrets[place])
        call = c.RevealSeed(self.task_id, 0, key, proof)
        self.chain.send(call, self.chain.sponsor, "reveal")

    def find_usual_proof(self, secret):
        """Vary the last seed until the proof costs what most do."""
        slot = locate(LAST_SEEDS, self.task_id)
        for number in count():
            self.chain.devnet.control.set_storage(
                self.source, slot, hash_text(f"last seed {self.number} {number}")
            )
            key, proof = build_proof(secret, self.ledger.get_beacon_message(self.task_id))
            if is_usual(proof):
                return key, proof
        raise AssertionError

    def choose_seed(self, proofs):
        """Overwrite the seed by one whose winners fill the committee, `proofs` of them first.

        Returns these, and those that are left for a second call.
        """
        draw = self.ledger.get_draw(self.task_id).draw
        types = ("uint256", "address", "uint64", "uint32", "uint8")
        manager = self.ledger.addresses.round_manager
        values = (self.ledger.chain_id, manager, self.task_id, draw.round, draw.attempt)
        slot = locate(SEEDS, keccak(encode_abi(types, values)))
        for number in count():
            seed = hash_text(f"seed {self.seats} {self.number} {number}")
            won = [self.compute_win(draw, seed, place) for place in range(len(self.validators))]
            wins = [win for win in won if win.entries]
            first = self.choose_wins(wins, proofs, number)
            rest = [win for win in wins if win not in first][:BUNDLE]
            last = first if proofs == DRAWS[self.seats][-1] else rest
            if first and sum(len(win.entries) for win in last) >= self.seats:
                self.chain.devnet.control.set_storage(self.source, slot, seed)
                return first, rest
        raise AssertionError

    def choose_wins(self, wins, proofs, number):
        """Return so many wins; those of a measured call do the usual work."""
        if self.number == 1:
            return wins[:proofs]
        is_filling = proofs == DRAWS[self.seats][-1]
        random = Random(number)
        return find_usual_wins(wins, proofs, self.seats, random, is_filling=is_filling) or []

    def compute_win(self, draw, seed, place):
        alpha = draw_message(
            *(self.ledger.chain_id, self.ledger.addresses.round_manager),
            *(self.task_id, draw.round),
            role=SEAT_ROLE,
            attempt=draw.attempt,
            seed=seed,
        )
        key, proof = build_proof(self.secrets[place], alpha)
        output = compute_hinted_output(proof)
        won = count_seats(self.electorate, WEIGHT, output, 0)
        entries = tuple(
            build_entry(compute_seat(output, index, place), place) for index in range(won)
        )
        return Win(SeatProof(place, key, proof), entries)

    @property
    def electorate(self):
        expected, cap = EXPECTED_PER_SEAT * self.seats, compute_cap(self.seats)
        return Electorate(len(self.validators) * WEIGHT, len(self.validators), expected, cap)

    def draw(self, proofs):
        """Seat a committee by a call of so many proofs, and another where these are too few."""
        self.reach_seat()
        self.fix_seed()
        first, rest = self.choose_seed(proofs)
        self.chain.send(c.OpenSeats(self.task_id, self.number), self.chain.sponsor, "openSeats")
        self.prove(first, self.name("proveSeats", proofs))
        if proofs != DRAWS[self.seats][-1]:
            self.prove(rest, None)
        self.chain.wait(WINDOW)

    def name(self, action, proofs):
        """Return a label; the first round of a task is not measured."""
        plural = "proof" if proofs == 1 else "proofs"
        return f"{action}: c = {self.seats}, {proofs} {plural}" if self.number > 1 else None

    def prove(self, wins, label):
        call = c.ProveSeats(self.task_id, self.number, tuple(win.proof for win in wins))
        self.chain.send(call, self.chain.sponsor, label)

    def get_seated(self):
        word = self.ledger.get_draw(self.task_id).committee
        return [
            signer for place, signer in enumerate(self.validators) if get_weight(word, place) > 0
        ]

    def play(self, proofs):
        """Play a round; after a draw from single proofs votes are single too."""
        self.draw(proofs)
        vote = self.build_vote(Verdict.APPROVE)
        seated = self.get_seated()
        if proofs == 1:
            self.vote_until_decided(vote, seated)
        else:
            is_whole = proofs == DRAWS[self.seats][-1]
            label = self.name("voteBundle", proofs) if is_whole else None
            self.bundle_votes([(signer, vote) for signer in seated], label)
        self.settle("settle: drawn" if self.number > 1 else None)
        assert self.ledger.get_round(self.task_id).outcome is Outcome.FINALIZED

    def vote_until_decided(self, vote, seated):
        for signer in seated:
            ballot = self.ledger.get_ballot(self.task_id)
            if ballot.cast >= compute_quorum(self.seats) and ballot.vote_close <= self.now:
                return
            call = c.CastVote(self.task_id, self.number, vote)
            self.chain.send(call, signer, "vote: drawn" if self.number > 1 else None)

    @property
    def now(self):
        return self.ledger.get_head().timestamp


def build_drawn_task(orchestrator, seats):
    task = build_task(orchestrator, validators=FEWEST_VALIDATORS)
    return replace(task, committee=seats, seat_window=WINDOW)


def found_all(chain):
    """Return a federation for each size, the same people in all."""
    federations = [DrawnFederation(chain, place, seats) for place, seats in enumerate(DRAWS, 1)]
    chain.send(c.Approve(chain.ledger.addresses.reward_distributor, PURSE), chain.sponsor)
    federations[-1].register()
    for fed in federations:
        fed.found(build_drawn_task(fed.proposers[0].address, fed.seats))
    chain.wait_epochs(3)
    return federations


def play_silence(fed):
    """Let all but two of a committee be silent, then nobody prove a seat."""
    fed.draw(10)
    vote = fed.build_vote(Verdict.APPROVE)
    fed.bundle_votes([(signer, vote) for signer in fed.get_seated()[:2]], None)
    fed.chain.wait(WINDOW)
    fed.settle("settle: extended, silent seats replaced")
    fed.chain.wait(WINDOW)
    fed.settle("settle: void, silent seats punished")
    fed.chain.wait(WINDOW)
    fed.propose(rank=1)
    fed.chain.wait(1)
    fed.fix_seed()
    fed.choose_seed(1)
    fed.chain.send(c.OpenSeats(fed.task_id, fed.number), fed.chain.sponsor)
    fed.chain.wait(4 * WINDOW)
    fed.settle("settle: no committee")
    assert fed.ledger.get_round(fed.task_id).outcome is Outcome.ABORTED_NO_COMMITTEE


def play_evidence(fed):
    """Report a double vote, and audit a vote until a quorum has found the same."""
    first, second = fed.validators[-2:]
    votes = [fed.build_vote(verdict) for verdict in (Verdict.APPROVE, Verdict.WORSE)]
    for signer in (first, second):
        hashes = [hash_vote(fed.key, 0, vote) for vote in votes]
        signed = [
            SignedVote(signer.address, vote, *compact_signature(fed.chain.sign(signer, digest)))
            for vote, digest in zip(votes, hashes, strict=True)
        ]
        call = c.ReportDoubleVote(fed.task_id, fed.number, 0, *signed)
        fed.chain.send(call, fed.chain.sponsor, "reportDoubleVote")
    audit(fed, fed.validators[0])


def audit(fed, accused):
    """Let members of the newest committee audit a vote that its seed picks."""
    view = fed.ledger.get_draw(fed.task_id)
    fed.number = fed.number - 1
    attempt = next(n for n in count() if is_audited(view.seed, fed.key, n, accused.address))
    values = (fed.number, attempt, accused.address, ZERO_DIGEST, hash_text("found"))
    fed.number = fed.number + 1
    seats = 0
    for place, signer in enumerate(fed.validators):
        weight = get_weight(view.committee, place)
        seats += weight
        is_last = seats >= compute_quorum(fed.seats)
        label = "auditVote: the one that decides" if is_last else "auditVote"
        if weight:
            fed.chain.send(c.AuditVote(fed.task_id, Audit(*values)), signer, label)
        if is_last:
            return


def play_keys(fed):
    """Rotate a key, and recover one; of calls that are sent twice the second counts."""
    chain, ledger, owner = fed.chain, fed.ledger, fed.validators[1]
    guardian = make_signer("guardian")
    chain.enrich(guardian)
    secrets = (make_secret(f"key {number}") for number in count())
    pairs = (prove_possession(ledger, owner.address, secret) for secret in secrets)
    proofs = list(islice((pair for pair in pairs if is_usual(pair[1])), 4))
    for name in (None, "setGuardian"):
        chain.send(
            c.SetGuardian(chain.sponsor.address if name is None else guardian.address), owner, name
        )
    for proven, name in ((proofs[0], None), (proofs[1], "rotateKey")):
        chain.send(c.RotateKey(*proven), owner, name)
    for label in (None, "refreshDrawKey"):
        chain.send(c.RefreshDrawKey(fed.task_id, owner.address), owner, label)
    for proven, name in ((proofs[2], "announceRecovery"), (proofs[3], "announceRecovery")):
        chain.send(c.AnnounceRecovery(owner.address, *proven), guardian, name)
    chain.send(c.CancelRecovery(), owner, "cancelRecovery")
    chain.send(c.AnnounceRecovery(owner.address, *proofs[2]), guardian, "announceRecovery")
    chain.wait(NETWORK.unbonding_period)
    chain.send(c.ExecuteRecovery(owner.address), chain.sponsor, "executeRecovery")


def measure_draws(chain):
    """Play everything and return the gas of every action by label."""
    federations = found_all(chain)
    for fed in federations:
        for proofs in (max(DRAWS[fed.seats]), *DRAWS[fed.seats]):
            fed.play(proofs)
    play_evidence(federations[0])
    play_silence(federations[1])
    play_keys(federations[2])
    return dict(sorted((chain.gas | compute_sums(chain.gas)).items()))


def compute_sums(gas):
    """Return what a whole draw costs together with the votes in a bundle and settling."""
    return {
        f"{SUM}: {circumstance}": gas[f"proveSeats: {circumstance}"] + votes + gas["settle: drawn"]
        for label, votes in gas.items()
        for action, _, circumstance in [label.partition(": ")]
        if action == "voteBundle" and circumstance.startswith("c = ")
    }
