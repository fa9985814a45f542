# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
"""A small federation in the executable specification, taken from phase to phase by tests."""

import hashlib
from dataclasses import replace

from flchain.chain.memory import build_config
from flchain.chain.spec import rounds, token
from flchain.chain.spec.proposals import get_rank_holder
from flchain.chain.spec.state import Env, State, get_round_key
from flchain.chain.spec.transition import process
from flchain.chain.spec.votes import get_ballot
from flchain.crypto.merkle import compute_proof, compute_root
from flchain.crypto.signing import LocalSigner
from flchain.protocol import calls
from flchain.protocol.digests import encode_bitmap, reward_leaf
from flchain.protocol.params import NetworkParams
from flchain.protocol.records import Content, Task, Vote
from flchain.protocol.types import ZERO_DIGEST, Mode, Reason, Role, TaskId, Verdict

ETHER = 10**18
TASK_ID = TaskId(1)
START = 1_800_000_000
NETWORK = NetworkParams(
    epoch_length=10,
    unbonding_period=1_000,
    agent_stake=10 * ETHER,
    validator_stake=20 * ETHER,
    proposer_stake=30 * ETHER,
)
FUNDS = 1_000 * ETHER
ROLES = {"a": Role.AGENT, "v": Role.VALIDATOR, "p": Role.PROPOSER, "o": Role.PROPOSER}
AGENTS, VALIDATORS = ("a1", "a2", "a3"), ("v1", "v2", "v3", "v4")
NAMES = ("sponsor", "governance", "stranger", "orchestrator", "p1", *AGENTS, *VALIDATORS)
SIGNERS = {name: LocalSigner(hashlib.sha256(name.encode()).digest()) for name in NAMES}
ADDRESSES = {name: signer.address for name, signer in SIGNERS.items()}
TASK = Task(
    orchestrator=ADDRESSES["orchestrator"],
    round_reserve=1_000,
    proposal_bond=5 * ETHER,
    max_agents=8,
    min_agents=2,
    min_survivors=2,
    min_validators=2,
    w_max=8,
    max_attempts=2,
    propose_ranks=3,
    mode=Mode.PLAIN,
    max_share_bps=10_000,
    participation_bps=2_500,
    max_rounds=5,
    committee=0,
    submit_window=60,
    attest_window=30,
    propose_window=20,
    vote_window=40,
    open_delay=7,
    claim_delay=10,
    claim_window=100,
    forced_window=0,
    join_window=0,
    shares_window=0,
    check_window=0,
    unmask_window=0,
    seat_window=0,
    coordinate_bound=1_000,
    policy_digest=b"\x11" * 32,
    initial_state=b"\x22" * 32,
)
CONTENT = Content(b"\x0a" * 32, b"\x0b" * 32, b"\x0c" * 32, 400)


class Stage:
    """A state with named actors; time moves only when a test says so."""

    def __init__(self, *, has_token=True, **changes):
        self.state = State(build_config(NETWORK, ADDRESSES["governance"], has_token=has_token))
        self.addresses = self.state.config.addresses
        self.time = START
        self.block = 0
        self.task = replace(TASK, **changes)
        for name in NAMES if has_token else ():
            token.mint(self.state, ADDRESSES[name], FUNDS)

    @property
    def book(self):
        return self.state.books[TASK_ID]

    @property
    def ballot(self):
        return get_ballot(self.book)

    @property
    def phase(self):
        return rounds.get_phase(self.state, 1, self.time)

    @property
    def key(self):
        return get_round_key(self.state.config, 1, self.book.round.round)

    def send(self, name, call):
        """Apply a call of a named actor and return its events."""
        self.block += 1
        env = Env(ADDRESSES[name], self.time, self.block, self.get_block_hash)
        return process(self.state, env, call)

    def get_block_hash(self, number):
        """Return a hash for each of the last 256 blocks before the current call's."""
        is_known = max(self.block - 257, -1) < number < self.block
        return hashlib.sha256(b"block %d" % number).digest() if is_known else ZERO_DIGEST

    def agent(self, name):
        return self.state.agents[ADDRESSES[name]]

    def member(self, name):
        return self.book.members[ADDRESSES[name]]

    def balance(self, name):
        return token.get_balance(self.state, ADDRESSES[name])

    def register(self, name):
        stake = {1: 10 * ETHER, 2: 20 * ETHER, 4: 30 * ETHER}[ROLES[name[0]]]
        self.send(name, calls.Approve(self.addresses.agent_registry, stake))
        keys = hashlib.sha256(b"keys" + name.encode()).digest()
        return self.send(name, calls.Register(ROLES[name[0]], stake, keys))

    def create(self):
        """Create the task and fund three rounds of it."""
        self.send("sponsor", calls.CreateTask(self.task))
        self.send("sponsor", calls.Approve(self.addresses.reward_distributor, 3_000))
        self.send("sponsor", calls.Fund(1, 3_000))
        return self

    def enrol(self, *names):
        for name in names:
            self.register(name)
            self.send(name, calls.Enrol(1, ROLES[name[0]]))
            if name[0] == "v":
                self.send(name, calls.Endorse(1, self.task.policy_digest, self.task.initial_state))
        return self

    def gather(self):
        """Create the task with everybody in it, active."""
        self.create().enrol("orchestrator", "p1", *AGENTS, *VALIDATORS)
        self.time += 30
        return self

    def open(self):
        self.gather()
        self.send("stranger", calls.OpenRound(1))
        return self

    def submit(self, *names):
        for name in names or AGENTS:
            digest = hashlib.sha256(name.encode()).digest()
            self.send(name, calls.Submit(1, self.book.round.round, digest, 2))
        return self

    def attest(self, *names, held=None):
        count = self.book.submissions.count
        bitmap = encode_bitmap(range(count) if held is None else held, count)
        for name in names or VALIDATORS:
            self.send(name, calls.Attest(1, self.book.round.round, bitmap))
        return self

    def propose(self, name="orchestrator", content=CONTENT):
        return self.send(name, calls.Propose(1, self.book.round.round, content))

    def reach_vote(self):
        """Open a round and bring it to the vote on the orchestrator's proposal."""
        self.open().submit().attest()
        self.propose()
        return self

    def vote(self, name, verdict=Verdict.APPROVE, **fields):
        if verdict == Verdict.WRONG:
            fields = {"reason": Reason.WRONG_MODEL, "counter_content_id": b"\1" * 32} | fields
        paper = Vote(self.book.proposal.proposal_id, verdict, **fields)
        return self.send(name, calls.CastVote(1, self.book.round.round, paper))

    def settle(self):
        return self.send("stranger", calls.Settle(1))

    def finish(self):
        """Bring a fresh stage to a finalised round."""
        self.reach_vote()
        for name in VALIDATORS[:3]:
            self.vote(name)
        self.settle()
        return self

    def get_holder(self):
        rank = rounds.get_rank(self.book, self.time)
        return get_rank_holder(self.state.config, self.book, 1, rank)

    def build_claims(self, amounts):
        """Return content whose rewards are the amounts by name, and a claim for each."""
        config, key = self.state.config, self.key
        rows = [
            (index, ADDRESSES[name], amount) for index, (name, amount) in enumerate(amounts.items())
        ]
        distributor = config.addresses.reward_distributor
        leaves = [
            reward_leaf(config.chain_id, distributor, key, index=index, account=a, amount=amount)
            for index, a, amount in rows
        ]
        content = replace(
            CONTENT, reward_root=compute_root(leaves), reward_total=sum(amounts.values())
        )
        number = self.book.round.round
        claims = {
            name: calls.Claim(1, number, *row, compute_proof(leaves, leaf))
            for name, row, leaf in zip(amounts, rows, leaves, strict=True)
        }
        return content, claims
