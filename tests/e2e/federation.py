"""A small federation for tests, over any ledger: three agents, three validators, two rounds.

With a committee in the preset's schedule the validators have VRF keys and are drawn.

`start_federation` sets everything up; `Federation.run` plays the rounds in this process. The
`Behaviour` of a federation says who cheats, and how.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from eth_utils.crypto import keccak

from flchain.chain.address_book import AddressBook
from flchain.chain.base import Ledger
from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import Devnet, DevnetConfig, start_devnet
from flchain.chain.devnet_control import DevnetControl
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.memory import MemoryLedger, build_config
from flchain.crypto.signing import LocalSigner, Signer
from flchain.crypto.vrf import SecretKey, load_secret_key
from flchain.learning.data import Dataset
from flchain.learning.data.digits import load_digits
from flchain.learning.data.partition import partition_iid
from flchain.learning.presets import load_preset
from flchain.learning.training import DenseTrainer
from flchain.protocol.calls import Transfer
from flchain.protocol.events import ProposalSubmitted, VoteCast
from flchain.protocol.params import ETHER, MINIMAL, Preset
from flchain.protocol.policy import Policy
from flchain.protocol.records import Vote
from flchain.protocol.reverts import Barred
from flchain.protocol.types import (
    Address,
    Role,
    RoundId,
    Seconds,
    TaskId,
    Verdict,
    Wei,
)
from flchain.roles.agent import Agent
from flchain.roles.archive import Sealed
from flchain.roles.assembly import build_inputs
from flchain.roles.context import Context
from flchain.roles.daemon import run_federation
from flchain.roles.drawing import Drawing
from flchain.roles.execution import RoundInputs, RoundResult
from flchain.roles.membership import enrol, register, register_with_key
from flchain.roles.observation import Observation, Watch
from flchain.roles.orchestrator import Orchestrator
from flchain.roles.reports import Findings
from flchain.roles.task_setup import build_task, create_task, fund_task
from flchain.roles.terms import Terms, load_terms
from flchain.roles.upkeep import Upkeep, is_over
from flchain.roles.validator import Validator
from flchain.storage.base import ContentStore
from flchain.storage.disk import DiskStore
from flchain.storage.memory import make_memory_store

Forge = Callable[[Context, Terms, RoundInputs, RoundResult], RoundResult]
"""Makes a wrong result of a right one."""
Idle = Callable[[Observation], None]

SMALL, MANY = 3, 12
STAKE_FUNDS = Wei(1_000 * ETHER)
TASK_FUNDS = Wei(100_000 * ETHER)
SUPPLY = Wei(1_000_000 * ETHER)

QUICK = Preset(
    "quick",
    replace(MINIMAL.network, epoch_length=Seconds(1)),
    replace(
        MINIMAL.schedule,
        submit_window=Seconds(20),
        attest_window=Seconds(6),
        propose_window=Seconds(6),
        vote_window=Seconds(12),
        open_delay=Seconds(1),
        claim_delay=Seconds(0),
        claim_window=Seconds(10_000),
        max_attempts=3,
    ),
)
"""Windows for a real clock: long enough for a slow machine, short enough to sit out."""

DRAWN = replace(
    QUICK,
    schedule=replace(
        QUICK.schedule,
        committee=5,
        min_validators=5,
        seat_window=Seconds(10),
        propose_ranks=3,
        vote_window=Seconds(100),
    ),
)
"""Five seats, drawn in stages of ten seconds, for a clock that a test moves."""


@dataclass(frozen=True)
class Behaviour:
    """Who cheats. Numbers are positions among the agents or validators.

    `forge` maps rounds to what the orchestrator makes of their result; `colluders` approve of
    anything; `kinds` says which other validators are of a kind of their own; `withholders` never
    serve their update; `absent` maps agents to the rounds that
    they miss; all agents train on wrong labels in the rounds of `poisoned`; an orchestrator that
    `is_silent` does nothing.
    """

    forge: Mapping[RoundId, Forge] = field(default_factory=dict)
    colluders: Collection[int] = ()
    kinds: Mapping[int, type[Validator]] = field(default_factory=dict)
    withholders: Collection[int] = ()
    absent: Mapping[int, Collection[RoundId]] = field(default_factory=dict)
    poisoned: Collection[RoundId] = ()
    is_silent: bool = False


HONEST = Behaviour()


@dataclass
class ForgingUpkeep(Upkeep):
    """An orchestrator's upkeep that proposes what `forge` makes of the result."""

    forge: Mapping[RoundId, Forge] = field(default_factory=dict)

    def tick(self, seen: Observation) -> bool:
        try:
            return super().tick(seen)
        except Barred:
            # A liar does not give up; the contract refuses it.
            return False

    def propose_result(self, seen: Observation, result: RoundResult) -> None:
        forge = self.forge.get(seen.round.round)
        if forge is not None:
            inputs = build_inputs(self.context, self.terms, seen.past, seen.live)
            result = forge(self.context, self.terms, inputs, result)
        super().propose_result(seen, result)


class ColludingValidator(Validator):
    """A validator that looks at nothing and approves."""

    def _judge(self, seen: Observation, proposal: ProposalSubmitted) -> Findings:
        return Findings(Vote(proposal.proposal_id, Verdict.APPROVE))


class SilentValidator(Validator):
    """A validator that claims its seats and never votes."""

    def _vote(self, seen: Observation) -> bool:
        return False


class LazyValidator(Validator):
    """A validator whose votes have no execution tag."""

    def _judge(self, seen: Observation, proposal: ProposalSubmitted) -> Findings:
        return Findings(Vote(proposal.proposal_id, Verdict.APPROVE))


class CopyingValidator(Validator):
    """A validator that votes as another has, with the other's execution tag."""

    def _vote(self, seen: Observation) -> bool:
        return bool(self._find_votes()) and super()._vote(seen)

    def _judge(self, seen: Observation, proposal: ProposalSubmitted) -> Findings:
        return Findings(self._find_votes()[-1])

    def _find_votes(self) -> list[Vote]:
        """Return the votes on the live proposal; the look that is acted upon is older."""
        context = self.context
        live = context.ledger.get_proposal(context.task_id).proposal_id
        logged = context.ledger.get_events(task_id=context.task_id, kinds=(VoteCast,))
        votes = [entry.event.vote for entry in logged if isinstance(entry.event, VoteCast)]
        return [vote for vote in votes if vote.proposal_id == live]


class WithholdingAgent(Agent):
    """An agent that submits a digest and never serves what it names."""

    def _serve(self, number: RoundId) -> bool:
        return False


@dataclass
class MoodyAgent(Agent):
    """An agent that stays away from some rounds, and trains on wrong labels in others."""

    absent: Collection[RoundId] = ()
    poisoned: Collection[RoundId] = ()

    def tick(self, seen: Observation) -> bool:
        return seen.round.round not in self.absent and super().tick(seen)

    def _make_update(self, seen: Observation) -> Sealed:
        if seen.round.round not in self.poisoned:
            return super()._make_update(seen)
        data = self.data
        self.data = replace(data, labels=data.classes - 1 - data.labels)
        try:
            return super()._make_update(seen)
        finally:
            self.data = data


class SilentOrchestrator(Orchestrator):
    """An orchestrator that is enrolled and does nothing."""

    def tick(self, seen: Observation) -> bool:
        return False


@dataclass(frozen=True)
class Federation:
    """A task with its members, ready to run."""

    ledger: Ledger
    store: ContentStore
    task_id: TaskId
    terms: Terms
    sponsor: Signer
    agents: Sequence[Agent]
    validators: Sequence[Validator]
    orchestrator: Orchestrator
    idle: Idle

    @cached_property
    def watch(self) -> Watch:
        return Watch(self.ledger, self.task_id)

    @property
    def roles(self) -> list:
        return [self.orchestrator, *self.agents, *self.validators]

    def run(self, rounds: int = 2, *, claims: bool = True) -> Observation:
        """Play rounds until `rounds` have ended; then let the agents claim."""
        return self.run_roles(self.roles, lambda seen: is_over(seen, rounds), claims=claims)

    def run_roles(
        self, roles: Sequence, until: Callable[[Observation], bool], *, claims: bool = False
    ) -> Observation:
        seen = run_federation(roles, self.watch, until=until, idle=self.idle)
        if claims:
            for agent in self.agents:
                agent.claim_rewards(self.watch.observe())
            seen = self.watch.observe()
        return seen


class Clock:
    """Simulated time for the ledger in memory."""

    def __init__(self, start: int = 1_700_000_000) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def pass_second(self, seen: Observation) -> None:
        self.now += 1


def make_secret(number: int) -> bytes:
    return keccak(text=f"member {number}")


def make_vrf_secret(account: Address) -> SecretKey:
    """Return the key with which a test's account is drawn."""
    return load_secret_key(keccak(text=f"vrf {account}"))


@cache
def make_key(number: int) -> LocalSigner:
    return LocalSigner(make_secret(number))


def make_keys(count: int) -> list[LocalSigner]:
    return [make_key(number) for number in range(count)]


def make_memory_federation(**options) -> Federation:
    """Return a federation whose ledger and store live in this process."""
    clock = Clock()
    keys = options.pop("keys", None) or make_keys(16)
    preset = options.setdefault("preset", QUICK)
    config = build_config(preset.network, keys[0].address)
    ledger = MemoryLedger(config, clock, {keys[0].address: SUPPLY})
    return start_federation(ledger, make_memory_store(), keys, idle=clock.pass_second, **options)


@dataclass(frozen=True)
class Site:
    """A chain in a process of its own, with the contracts on it."""

    devnet: Devnet
    book: AddressBook
    ledger: EthereumLedger
    keys: Sequence[LocalSigner]

    @property
    def control(self) -> DevnetControl:
        return DevnetControl(self.devnet.rpc)


@contextmanager
def open_site(folder: Path, preset: Preset = QUICK, members: int = 16) -> Iterator[Site]:
    """Start Anvil in `folder`, give everybody coins and deploy the contracts."""
    with start_devnet(DevnetConfig(folder=folder / "chain", port=0)) as devnet:
        keys = make_keys(members)
        for key in keys:
            DevnetControl(devnet.rpc).set_balance(key.address, Wei(100 * ETHER))
        book = deploy_suite(RpcDeployer(devnet.rpc, keys[0]), preset.network, keys[0].address)
        yield Site(devnet, book, EthereumLedger(devnet.rpc, book), keys)


def make_site_federation(site: Site, folder: Path, **options) -> Federation:
    """Return a federation over Anvil and a block folder on disk.

    `keys` are the members', by default always the same ones.
    """
    store = DiskStore(folder / "store", durable=False)
    keys = [site.keys[0], *options.pop("keys", site.keys[1:])]
    options.setdefault("idle", wait)
    return start_federation(site.ledger, store, keys, **options)


def wait(_seen: Observation) -> None:
    """Let a little real time pass."""
    time.sleep(0.05)


def make_policy(strategy: str = "fedavg", **overrides) -> Policy:
    """Return a small policy: one softmax layer, one short local epoch."""
    values = {
        "mode": "plain",
        "model.architecture": "softmax-digits-v1",
        "training.local_epochs": 1,
        "min_agents": 3,
        "min_survivors": 2,
        "quality.tolerance_bps": 10_000,
        **overrides,
    }
    if strategy == "mimelite":
        values |= {"strategy": {"name": "mimelite", "parameters": {"beta_micros": 900_000}}}
    return load_preset("digits", values)


def start_federation(
    ledger: Ledger,
    store: ContentStore,
    keys: Sequence[Signer],
    *,
    idle: Idle,
    preset: Preset = QUICK,
    policy: Policy | None = None,
    agents: int = 3,
    validators: int = 3,
    rounds: int = 2,
    behaviour: Behaviour = HONEST,
    patience: int = 3,
    held_out: Dataset | None = None,
    stores: Callable[[], ContentStore] | None = None,
) -> Federation:
    """Register and enrol everybody, create and fund the task, endorse it.

    `keys` are the sponsor's (it holds the tokens), the orchestrator's, the agents' and the
    validators', in this order. `stores` opens one store for each role; by default they share.
    """
    policy = policy or make_policy()
    sponsor, boss, *rest = keys
    agent_keys, validator_keys = rest[:agents], rest[agents : agents + validators]
    task = build_task(policy, preset.schedule, boss.address)
    task_id = create_task(ledger, store, sponsor, task, policy)
    fund_task(ledger, sponsor, task_id, TASK_FUNDS)
    join(ledger, sponsor, [boss], Role.PROPOSER, task_id)
    join(ledger, sponsor, agent_keys, Role.AGENT, task_id)
    join(ledger, sponsor, validator_keys, Role.VALIDATOR, task_id)
    terms = load_terms(ledger, store, task_id)
    build = _Builder(ledger, store, task_id, terms, behaviour, rounds, patience, stores)
    federation = Federation(
        ledger=ledger,
        store=store,
        task_id=task_id,
        terms=terms,
        sponsor=sponsor,
        agents=build.make_agents(agent_keys),
        validators=build.make_validators(validator_keys, held_out),
        orchestrator=build.make_orchestrator(boss),
        idle=idle,
    )
    for validator in federation.validators:
        validator.endorse()
    return federation


def _choose_sizes(agents: int) -> tuple[int, int]:
    """Return how many of 600 rows the first agent gets, and how many more each one after it."""
    if agents <= SMALL:
        return 120, 60
    return (600 // agents - 20, 2) if agents <= MANY else (600 // agents, 0)


def join(
    ledger: Ledger,
    sponsor: Signer,
    members: Sequence[Signer],
    role: Role,
    task_id: TaskId,
) -> None:
    """Enrol members under `role`; who is new gets tokens and is registered first."""
    for member in members:
        if not ledger.get_agent(member.address).roles:
            ledger.send(Transfer(member.address, STAKE_FUNDS), sponsor)
            if role is Role.VALIDATOR and is_drawn(ledger, task_id):
                register_with_key(ledger, member, role, make_vrf_secret(member.address))
            else:
                register(ledger, member, role)
        enrol(ledger, member, task_id, role)


def is_drawn(ledger: Ledger, task_id: TaskId) -> bool:
    """Return whether the task's votes are those of a drawn committee."""
    return ledger.get_task(task_id).committee > 0


@dataclass(frozen=True)
class _Builder:
    ledger: Ledger
    store: ContentStore
    task_id: TaskId
    terms: Terms
    behaviour: Behaviour
    rounds: int
    patience: int
    stores: Callable[[], ContentStore] | None

    @cached_property
    def trainer(self) -> DenseTrainer:
        return DenseTrainer(self.terms.policy.model.layers)

    def make_context(self, role: str, signer: Signer) -> Context:
        store = self.stores() if self.stores else self.store
        return Context(role, self.ledger, store, signer, self.task_id)

    def make_upkeep(self, context: Context) -> Upkeep:
        return Upkeep(context, self.terms, Seconds(self.patience), self.rounds)

    def make_agents(self, keys: Sequence[Signer]) -> list[Agent]:
        data = load_digits(0, 600)
        # Parts of different sizes, so that the updates have different weights.
        least, more = _choose_sizes(len(keys))
        sizes = [least + more * n for n in range(len(keys))]
        ends = np.cumsum(sizes)
        parts = [data.select(slice(end - n, end)) for n, end in zip(sizes, ends, strict=True)]
        return [self._make_agent(n, key, parts[n]) for n, key in enumerate(keys)]

    def _make_agent(self, number: int, key: Signer, data: Dataset) -> Agent:
        context = self.make_context("agent", key)
        upkeep = self.make_upkeep(context)
        if number in self.behaviour.withholders:
            return WithholdingAgent(context, self.terms, self.trainer, data, upkeep)
        return MoodyAgent(
            context,
            self.terms,
            self.trainer,
            data,
            upkeep,
            absent=self.behaviour.absent.get(number, ()),
            poisoned=self.behaviour.poisoned,
        )

    def make_validators(self, keys: Sequence[Signer], held_out: Dataset | None) -> list[Validator]:
        data = held_out or load_digits(1_200, 1_500)
        rows = partition_iid(len(data), len(keys), np.random.default_rng(7))
        return [
            self._make_validator(number, key, data.select(rows[number]))
            for number, key in enumerate(keys)
        ]

    def _make_validator(self, number: int, key: Signer, data: Dataset) -> Validator:
        kind = ColludingValidator if number in self.behaviour.colluders else Validator
        kind = self.behaviour.kinds.get(number, kind)
        context = self.make_context("validator", key)
        drawing = None
        if self.terms.task.committee:
            drawing = Drawing(context, make_vrf_secret(key.address))
        upkeep = self.make_upkeep(context)
        return kind(context, self.terms, self.trainer, data, upkeep, drawing)

    def make_orchestrator(self, key: Signer) -> Orchestrator:
        context = self.make_context("orchestrator", key)
        forge = self.behaviour.forge
        upkeep = ForgingUpkeep(context, self.terms, Seconds(0), self.rounds, forge=forge)
        return (SilentOrchestrator if self.behaviour.is_silent else Orchestrator)(upkeep)
