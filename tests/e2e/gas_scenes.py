"""Every action of a federation, once what it writes to is no longer empty.

Ten agents, five validators, an orchestrator and a second proposer play one round that is not
measured, then the rounds that are: call by call, in bundles, with a wrong proposal, with a worse
model, and with a vote that nobody decides.
"""

from flchain.crypto.merkle import compute_proof, compute_root
from flchain.crypto.signing import compact_signature
from flchain.protocol import calls as c
from flchain.protocol.digests import encode_bitmap, reward_leaf, round_key
from flchain.protocol.eip712 import (
    hash_attestation,
    hash_endorsement,
    hash_enrolment,
    hash_leave,
    hash_permit,
    hash_registration,
    hash_stake_increase,
    hash_unbonding,
    hash_update,
    hash_vote,
)
from flchain.protocol.params import ETHER
from flchain.protocol.records import Content, SignedAttestation, SignedVote, Vote
from flchain.protocol.types import Bps, Outcome, Reason, Role, RoundId, Verdict, Wei
from tests.e2e.gas_chain import (
    CLAIM_WINDOW,
    FIRST_TASK,
    FOR_EVER,
    NETWORK,
    PURSE,
    RESERVE,
    WINDOW,
    build_task,
    hash_text,
    make_signer,
)

STAKES = {
    Role.AGENT: NETWORK.agent_stake,
    Role.VALIDATOR: NETWORK.validator_stake,
    Role.PROPOSER: NETWORK.proposer_stake,
}
WEIGHT = 10
SHARE = Wei(RESERVE // 20)
TOP_UP = Wei(ETHER)


class Federation:
    """The members of one task and what they do in a round."""

    def __init__(self, chain, *, agents=10, validators=5):
        self.chain, self.ledger = chain, chain.ledger
        self.task_id = FIRST_TASK
        self.agents = [make_signer(f"agent {index}") for index in range(agents)]
        self.validators = [make_signer(f"validator {index}") for index in range(validators)]
        self.proposers = [make_signer("orchestrator"), make_signer("proposer")]
        self.number = RoundId(0)

    @property
    def members(self):
        return [
            *((signer, Role.AGENT) for signer in self.agents),
            *((signer, Role.VALIDATOR) for signer in self.validators),
            *((signer, Role.PROPOSER) for signer in self.proposers),
        ]

    @property
    def payees(self):
        return [*self.agents, *self.validators][: RESERVE // SHARE]

    @property
    def key(self):
        manager = self.ledger.addresses.round_manager
        return round_key(self.ledger.chain_id, manager, self.task_id, self.number)

    def found(self, task):
        """Create and fund the task; everybody registers, enrols and endorses."""
        chain, sponsor = self.chain, self.chain.sponsor
        chain.send(c.CreateTask(task), sponsor)
        chain.send(c.Approve(self.ledger.addresses.reward_distributor, PURSE), sponsor)
        chain.send(c.Fund(self.task_id, Wei(100 * RESERVE)), sponsor)
        for signer, role in self.members:
            equip(chain, signer)
            chain.send(c.Register(role, STAKES[role], hash_text(signer.address)), signer)
            chain.send(c.Enrol(self.task_id, role), signer)
        chain.wait_epochs(3)
        policy = (task.policy_digest, task.initial_state)
        for signer in self.validators[:-1]:
            chain.send(c.Endorse(self.task_id, *policy), signer, "endorse")
        last = self.validators[-1]
        signature = chain.sign(last, hash_endorsement(self.task_id, *policy, FOR_EVER))
        twin = c.EndorseWithSig(last.address, self.task_id, *policy, FOR_EVER, signature)
        chain.send(twin, sponsor, "endorseWithSig")

    def open(self, label=None):
        self.chain.wait(2)
        self.number = self.chain.send(c.OpenRound(self.task_id), self.chain.sponsor, label).result

    def submit(self, *labels):
        """Submit for every agent; the first but one by its signature, the last closes."""
        direct, signed, closing = labels or (None, None, None)
        for place, signer in enumerate(self.agents):
            values = (self.task_id, self.number, hash_text(f"{self.number} {place}"), WEIGHT)
            if place == 1:
                signature = self.chain.sign(
                    signer, hash_update(self.key, values[2], WEIGHT, FOR_EVER)
                )
                twin = c.SubmitWithSig(signer.address, *values, FOR_EVER, signature)
                self.chain.send(twin, self.chain.sponsor, signed)
            else:
                label = closing if place == len(self.agents) - 1 else direct
                self.chain.send(c.Submit(*values), signer, label)

    def get_bitmap(self):
        return encode_bitmap(range(len(self.agents)), len(self.agents))

    def attest(self, *labels):
        direct, closing = labels or (None, None)
        call = c.Attest(self.task_id, self.number, self.get_bitmap())
        for place, signer in enumerate(self.validators):
            label = closing if place == len(self.validators) - 1 else direct
            self.chain.send(call, signer, label)

    def bundle_attestations(self, signers, bitmap, label):
        struct_hash = hash_attestation(self.key, bitmap)
        bundle = tuple(
            SignedAttestation(signer.address, bitmap, self.chain.sign(signer, struct_hash))
            for signer in signers
        )
        call = c.AttestBundle(self.task_id, self.number, bundle)
        self.chain.send(call, self.chain.sponsor, label)

    def get_rewards(self):
        where = (self.ledger.chain_id, self.ledger.addresses.reward_distributor, self.key)
        return [
            reward_leaf(*where, index=index, account=payee.address, amount=SHARE)
            for index, payee in enumerate(self.payees)
        ]

    def propose(self, label=None, rank=0):
        leaves = self.get_rewards()
        aggregate, state = (hash_text(f"{kind} {self.number}") for kind in ("sum", "state"))
        content = Content(aggregate, state, compute_root(leaves), Wei(SHARE * len(leaves)))
        call = c.Propose(self.task_id, self.number, content)
        self.chain.send(call, self.proposers[rank], label)

    def build_vote(self, verdict, reason=Reason.NONE, counter=bytes(32)):
        proposal_id = self.ledger.get_proposal(self.task_id).proposal_id
        return Vote(proposal_id, verdict, reason, counter, Bps(9_500))

    def vote(self, vote, *labels, voters=4):
        """Vote with so many validators: four of five decide when they agree."""
        direct, closing = labels or (None, None)
        call = c.CastVote(self.task_id, self.number, vote)
        for place, signer in enumerate(self.validators[:voters]):
            self.chain.send(call, signer, closing if place == voters - 1 else direct)

    def bundle_votes(self, signed, label):
        attempt = self.ledger.get_ballot(self.task_id).attempt
        bundle = tuple(
            SignedVote(signer.address, vote, *compact_signature(signature))
            for signer, vote in signed
            for signature in [self.chain.sign(signer, hash_vote(self.key, attempt, vote))]
        )
        call = c.VoteBundle(self.task_id, self.number, bundle)
        self.chain.send(call, self.chain.sponsor, label)

    def settle(self, label=None):
        self.chain.send(c.Settle(self.task_id), self.chain.sponsor, label)

    def claim(self, label=None):
        leaves = self.get_rewards()
        for index, payee in enumerate(self.payees):
            proof = compute_proof(leaves, leaves[index])
            call = c.Claim(self.task_id, self.number, index, payee.address, SHARE, proof)
            self.chain.send(call, payee, label)


def equip(chain, signer):
    """Give an account coins, tokens and an allowance for the registry."""
    chain.enrich(signer)
    chain.send(c.Transfer(signer.address, PURSE), chain.sponsor)
    chain.send(c.Approve(chain.ledger.addresses.agent_registry, PURSE), signer)


def play_first_round(fed):
    fed.open()
    fed.submit()
    fed.attest()
    fed.propose()
    fed.vote(fed.build_vote(Verdict.APPROVE))
    fed.settle()
    fed.claim()


def play_direct_round(fed):
    fed.open("openRound")
    fed.submit("submit", "submitWithSig", "submit: last of the round")
    fed.attest("attest", "attest: last of the round")
    fed.propose("propose")
    fed.vote(fed.build_vote(Verdict.APPROVE), "vote", "vote: the one that decides")
    fed.settle("settle")
    assert fed.ledger.get_round(FIRST_TASK).outcome is Outcome.FINALIZED
    fed.claim("claim")


def play_bundled_round(fed):
    fed.open()
    fed.submit()
    fed.bundle_attestations(fed.validators, fed.get_bitmap(), "attestBundle: five")
    fed.propose()
    vote = fed.build_vote(Verdict.APPROVE)
    fed.bundle_votes([(signer, vote) for signer in fed.validators], "voteBundle: five")
    fed.settle("settle")


def play_wrong_then_worse_round(fed):
    """Slash the orchestrator's bond, then reject the next proposal for its quality."""
    fed.open()
    fed.submit()
    fed.attest()
    fed.propose()
    wrong = fed.build_vote(Verdict.WRONG, Reason.WRONG_AGGREGATE, hash_text("counter"))
    fed.vote(wrong, "vote: wrong", "vote: wrong")
    fed.settle("settle: proven wrong")
    fed.chain.wait(WINDOW)
    fed.propose("propose: next attempt", rank=1)
    fed.vote(fed.build_vote(Verdict.WORSE), "vote: worse", "vote: worse")
    fed.settle("settle: rejected for quality")
    assert fed.ledger.get_round(FIRST_TASK).outcome is Outcome.REJECTED_QUALITY


def play_undecided_round(fed):
    """Let a vote run out, and the proposing windows after it."""
    fed.open()
    fed.submit()
    fed.attest()
    fed.propose()
    fed.vote(fed.build_vote(Verdict.APPROVE), voters=2)
    fed.chain.wait(WINDOW)
    fed.settle("settle: extended")
    fed.chain.wait(WINDOW)
    fed.settle("settle: void")
    fed.chain.wait(3 * WINDOW)
    fed.settle("settle: aborted")
    assert fed.ledger.get_round(FIRST_TASK).outcome is Outcome.ABORTED_NO_PROPOSAL


def play_newcomers(fed):
    """Register, enrol, leave and unbond: directly, by signature and by permit."""
    chain, ledger = fed.chain, fed.ledger
    direct, signed, permitted = (make_signer(name) for name in ("direct", "signed", "permitted"))
    stake, registry = NETWORK.agent_stake, ledger.addresses.agent_registry
    for signer in (direct, signed):
        equip(chain, signer)
    chain.enrich(permitted)
    chain.send(c.Transfer(permitted.address, PURSE), chain.sponsor, "transfer")
    digests = [hash_text(f"keys {place}") for place in range(3)]
    chain.send(c.Register(Role.AGENT, stake, digests[0]), direct, "register")
    text = hash_registration(Role.AGENT, stake, digests[1], FOR_EVER)
    entry = (signed.address, Role.AGENT, stake, digests[1], FOR_EVER)
    chain.send(
        c.RegisterWithSig(*entry, chain.sign(signed, text, registry)),
        chain.sponsor,
        "registerWithSig",
    )
    permit = sign_permit(chain, permitted, stake)
    call = c.RegisterWithPermit(Role.AGENT, stake, digests[2], FOR_EVER, *permit)
    chain.send(call, permitted, "registerWithPermit")
    chain.send(c.Approve(registry, PURSE), permitted, "approve")
    raise_stakes(chain, direct, signed)
    come_and_go(chain, direct, signed)
    chain.send(c.Enrol(FIRST_TASK, Role.AGENT), permitted)
    chain.send(c.SetSuspended(permitted.address, True), chain.sponsor, "setSuspended")
    chain.send(c.Dismiss(FIRST_TASK, permitted.address), chain.sponsor, "dismiss")
    unbond(chain, direct, signed, digests[1])


def sign_permit(chain, owner, value):
    registry, token = chain.ledger.addresses.agent_registry, chain.ledger.addresses.token
    text = hash_permit(owner.address, registry, value, 0, FOR_EVER)
    raw = chain.sign(owner, text, token)
    return raw[64], raw[:32], raw[32:64]


def raise_stakes(chain, direct, signed):
    """Add to stakes; the second signature counts, when the nonce is no longer zero."""
    registry = chain.ledger.addresses.agent_registry
    for nonce in range(2):
        chain.send(c.IncreaseStake(TOP_UP), direct, "increaseStake")
        text = hash_stake_increase(TOP_UP, nonce, FOR_EVER)
        signature = chain.sign(signed, text, registry)
        call = c.IncreaseStakeWithSig(signed.address, TOP_UP, FOR_EVER, signature)
        chain.send(call, chain.sponsor, "increaseStakeWithSig" if nonce else None)


def come_and_go(chain, direct, signed):
    chain.send(c.Enrol(FIRST_TASK, Role.AGENT), direct, "enrol")
    signature = chain.sign(signed, hash_enrolment(FIRST_TASK, Role.AGENT, 0, FOR_EVER))
    entry = c.EnrolWithSig(signed.address, FIRST_TASK, Role.AGENT, FOR_EVER, signature)
    chain.send(entry, chain.sponsor, "enrolWithSig")
    chain.send(c.LeaveTask(FIRST_TASK), direct, "leaveTask")
    signature = chain.sign(signed, hash_leave(FIRST_TASK, 1, FOR_EVER))
    leave = c.LeaveTaskWithSig(signed.address, FIRST_TASK, FOR_EVER, signature)
    chain.send(leave, chain.sponsor, "leaveTaskWithSig")


def unbond(chain, direct, signed, keys_digest):
    chain.send(c.BeginUnbonding(), direct, "beginUnbonding")
    text = hash_unbonding(keys_digest, FOR_EVER)
    signature = chain.sign(signed, text, chain.ledger.addresses.agent_registry)
    call = c.BeginUnbondingWithSig(signed.address, FOR_EVER, signature)
    chain.send(call, chain.sponsor, "beginUnbondingWithSig")
    chain.wait(NETWORK.unbonding_period)
    chain.send(c.Withdraw(direct.address), direct, "withdraw")


def play_end(fed):
    """Return unclaimed rewards and close; then what needs a task or an account of its own."""
    chain, sponsor = fed.chain, fed.chain.sponsor
    chain.wait(CLAIM_WINDOW)
    chain.send(c.Sweep(FIRST_TASK, RoundId(3)), sponsor, "sweep")
    chain.send(c.CloseTask(FIRST_TASK), sponsor, "closeTask")
    chain.send(c.CreateTask(build_task(fed.proposers[0].address)), sponsor, "createTask")
    chain.send(c.Approve(fed.ledger.addresses.reward_distributor, PURSE), sponsor)
    chain.send(c.Fund(FIRST_TASK, RESERVE), sponsor, "fund")
    chain.send(c.SetAllowed(fed.agents[0].address, True), sponsor, "setAllowed")
    values = (fed.agents[0].address, sponsor.address, TOP_UP)
    text = hash_permit(*values, 0, FOR_EVER)
    raw = chain.sign(fed.agents[0], text, fed.ledger.addresses.token)
    permit = c.Permit(*values, FOR_EVER, raw[64], raw[:32], raw[32:64])
    chain.send(permit, sponsor, "permit")
    chain.send(c.TransferFrom(values[0], sponsor.address, TOP_UP), sponsor, "transferFrom")


def measure_gas(chain):
    """Play everything and return the gas of every action by label."""
    fed = Federation(chain)
    chain.enrich(chain.sponsor)
    fed.found(build_task(fed.proposers[0].address))
    play_first_round(fed)
    play_direct_round(fed)
    play_bundled_round(fed)
    play_wrong_then_worse_round(fed)
    play_undecided_round(fed)
    play_newcomers(fed)
    play_end(fed)
    return dict(sorted(chain.gas.items()))
