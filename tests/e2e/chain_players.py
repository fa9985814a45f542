"""Accounts that play rounds on a ledger over Anvil, without any learning."""

from dataclasses import dataclass

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from flchain.chain.anvil import TEST_MNEMONIC
from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import Devnet
from flchain.chain.ethereum import EthereumLedger
from flchain.crypto.merkle import compute_proof, compute_root
from flchain.crypto.signing import LocalSigner, compact_signature
from flchain.protocol.calls import (
    Approve,
    Attest,
    AttestBundle,
    CastVote,
    Claim,
    CreateTask,
    Endorse,
    Enrol,
    Fund,
    OpenRound,
    Propose,
    Register,
    Settle,
    Submit,
    Transfer,
    VoteBundle,
)
from flchain.protocol.digests import encode_bitmap, reward_leaf, round_key
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_attestation, hash_vote
from flchain.protocol.errors import FlchainError
from flchain.protocol.params import ETHER, MINIMAL
from flchain.protocol.records import Content, SignedAttestation, SignedVote, Task, Vote
from flchain.protocol.reverts import WrongPhase
from flchain.protocol.types import (
    Bps,
    Digest,
    Mode,
    Role,
    Seconds,
    TaskId,
    Verdict,
    Wei,
)

RESERVE = Wei(ETHER)
NETWORK, SCHEDULE = MINIMAL.network, MINIMAL.schedule
FIRST_TASK = TaskId(1)
POLICY, INITIAL = Digest(b"\1" * 32), Digest(b"\2" * 32)


def derive_signers(count, mnemonic=TEST_MNEMONIC):
    """Return Anvil's own accounts, which are rich."""
    seed = seed_from_mnemonic(mnemonic, "")
    paths = (f"m/44'/60'/0'/0/{index}" for index in range(count))
    return [LocalSigner(key_from_seed(seed, path)) for path in paths]


def number_digest(kind, number):
    return Digest(kind.encode().ljust(24, b".") + number.to_bytes(8, "big"))


def require(answers):
    """Return receipts. Raises the first error among them."""
    for answer in answers:
        if isinstance(answer, FlchainError):
            raise answer
    return answers


@dataclass
class Players:
    """A deployment with a sponsor, who also orchestrates, agents and validators."""

    devnet: Devnet
    ledger: EthereumLedger
    sponsor: LocalSigner
    agents: list
    validators: list
    task_id: TaskId = FIRST_TASK

    @property
    def members(self):
        return [
            (self.sponsor, Role.PROPOSER, NETWORK.proposer_stake),
            *((signer, Role.AGENT, NETWORK.agent_stake) for signer in self.agents),
            *((signer, Role.VALIDATOR, NETWORK.validator_stake) for signer in self.validators),
        ]

    def register_all(self):
        ledger, registry = self.ledger, self.ledger.addresses.agent_registry
        pay = [(Transfer(who.address, stake), self.sponsor) for who, _, stake in self.members]
        allow = [(Approve(registry, stake), who) for who, _, stake in self.members]
        enter = [
            (Register(role, stake, number_digest("keys", index)), who)
            for index, (who, role, stake) in enumerate(self.members)
        ]
        return [
            receipt for calls in (pay, allow, enter) for receipt in require(ledger.send_all(calls))
        ]

    def create_task(self):
        """Create, fund, enrol, wait for activity and endorse."""
        ledger, sponsor = self.ledger, self.sponsor
        task = build_task(sponsor.address, len(self.agents), len(self.validators))
        self.task_id = ledger.send(CreateTask(task), sponsor).result
        funds = Wei(50 * RESERVE)
        ledger.send(Approve(ledger.addresses.reward_distributor, funds), sponsor)
        ledger.send(Fund(self.task_id, funds), sponsor)
        require(
            ledger.send_all([(Enrol(self.task_id, role), who) for who, role, _ in self.members])
        )
        self.devnet.control.advance_time(Seconds(3 * NETWORK.epoch_length))
        endorse = Endorse(self.task_id, POLICY, INITIAL)
        require(ledger.send_all([(endorse, who) for who in self.validators]))
        return self.task_id

    def open_round(self):
        return self.ledger.send(OpenRound(self.task_id), self.sponsor).result

    def get_key(self, number):
        manager = self.ledger.addresses.round_manager
        return round_key(self.ledger.chain_id, manager, self.task_id, number)

    def submit_all(self, number):
        calls = [
            (Submit(self.task_id, number, number_digest("update", index), 1 + index % 5), who)
            for index, who in enumerate(self.agents)
        ]
        return require(self.ledger.send_all(calls))

    def attest_all(self, number):
        bitmap = encode_bitmap(range(len(self.agents)), len(self.agents))
        call = Attest(self.task_id, number, bitmap)
        return require(self.ledger.send_all([(call, who) for who in self.validators]))

    def attest_bundle(self, number):
        bitmap = encode_bitmap(range(len(self.agents)), len(self.agents))
        digest = self.sign_domain(hash_attestation(self.get_key(number), bitmap))
        bundle = tuple(
            SignedAttestation(who.address, bitmap, who.sign_digest(digest))
            for who in self.validators
        )
        return self.ledger.send(AttestBundle(self.task_id, number, bundle), self.sponsor)

    def get_leaves(self, number):
        share = Wei(RESERVE // len(self.agents))
        where = (
            self.ledger.chain_id,
            self.ledger.addresses.reward_distributor,
            self.get_key(number),
        )
        return [
            reward_leaf(*where, index=index, account=who.address, amount=share)
            for index, who in enumerate(self.agents)
        ]

    def propose(self, number):
        total = Wei(RESERVE // len(self.agents) * len(self.agents))
        root = compute_root(self.get_leaves(number))
        content = Content(
            number_digest("aggregate", number), number_digest("state", number), root, total
        )
        return self.ledger.send(Propose(self.task_id, number, content), self.sponsor)

    def vote_all(self, number, proposal_id, verdict=Verdict.APPROVE):
        call = CastVote(self.task_id, number, Vote(proposal_id, verdict, quality=Bps(9_000)))
        answers = self.ledger.send_all([(call, who) for who in self.validators])
        # The vote closes with the vote that decides.
        return require([answer for answer in answers if not isinstance(answer, WrongPhase)])

    def vote_bundle(self, number, proposal_id):
        vote = Vote(proposal_id, Verdict.APPROVE)
        digest = self.sign_domain(hash_vote(self.get_key(number), 0, vote))
        bundle = tuple(
            SignedVote(who.address, vote, *compact_signature(who.sign_digest(digest)))
            for who in self.validators
        )
        return self.ledger.send(VoteBundle(self.task_id, number, bundle), self.sponsor)

    def settle(self):
        return self.ledger.send(Settle(self.task_id), self.sponsor)

    def claim_all(self, number):
        leaves = self.get_leaves(number)
        share = Wei(RESERVE // len(self.agents))
        calls = []
        for index, who in enumerate(self.agents):
            proof = compute_proof(leaves, leaves[index])
            calls.append((Claim(self.task_id, number, index, who.address, share, proof), who))
        return require(self.ledger.send_all(calls))

    def sign_domain(self, struct_hash):
        domain = Domain(self.ledger.chain_id, self.ledger.addresses.round_manager)
        return compute_signing_digest(domain, struct_hash)


def build_task(orchestrator, agents, validators):
    unused = ("forced_window", "join_window", "shares_window", "check_window", "unmask_window")
    return Task(
        orchestrator=orchestrator,
        round_reserve=RESERVE,
        proposal_bond=SCHEDULE.proposal_bond,
        max_agents=agents,
        min_agents=1,
        min_survivors=1,
        min_validators=validators,
        w_max=10,
        max_attempts=SCHEDULE.max_attempts,
        propose_ranks=SCHEDULE.propose_ranks,
        mode=Mode.PLAIN,
        max_share_bps=Bps(10_000),
        participation_bps=Bps(1_000),
        max_rounds=SCHEDULE.max_rounds,
        submit_window=SCHEDULE.submit_window,
        attest_window=SCHEDULE.attest_window,
        propose_window=SCHEDULE.propose_window,
        vote_window=SCHEDULE.vote_window,
        open_delay=SCHEDULE.open_delay,
        claim_delay=Seconds(0),
        claim_window=SCHEDULE.claim_window,
        **dict.fromkeys((*unused, "seat_window", "committee"), Seconds(0)),
        coordinate_bound=1_000,
        policy_digest=POLICY,
        initial_state=INITIAL,
    )


def gather_players(devnet, agents, validators):
    """Deploy a suite and register everybody."""
    sponsor, *others = derive_signers(1 + agents + validators)
    book = deploy_suite(RpcDeployer(devnet.rpc, sponsor), NETWORK, sponsor.address)
    ledger = EthereumLedger(devnet.rpc, book)
    players = Players(devnet, ledger, sponsor, others[:agents], others[agents:])
    players.register_all()
    return players
