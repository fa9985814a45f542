"""A whole federation: its accounts, its task and every role, on any ledger and store.

The accounts follow from one mnemonic and everything random from the policy's seed, so that the
same scenario gives the same models, whatever the ledger and however many threads.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

from flchain.chain.base import Ledger
from flchain.chain.memory import MemoryLedger, build_config
from flchain.crypto.keys import build_mnemonic, derive_private_key, derive_vrf_secret
from flchain.crypto.signing import LocalSigner, Signer
from flchain.crypto.vrf import SecretKey, load_secret_key
from flchain.learning.attacks import Attack
from flchain.learning.data import Dataset
from flchain.learning.training import Trainer, get_trainer, is_dense
from flchain.protocol.calls import Transfer
from flchain.protocol.errors import ConfigError, FlchainError
from flchain.protocol.params import ETHER, Preset
from flchain.protocol.policy import Policy
from flchain.protocol.types import Address, Role, TaskId, Timestamp, Wei
from flchain.roles.agent import Agent
from flchain.roles.archive import Archive
from flchain.roles.batching import Batching, Prepared, PreparedTrainer
from flchain.roles.collusion import Collusion
from flchain.roles.context import Context, Report, ignore_notice
from flchain.roles.drawing import Drawing
from flchain.roles.journal import Journal, MemoryJournal
from flchain.roles.membership import (
    compute_cushioned_stake,
    enrol,
    register,
    register_with_key,
)
from flchain.roles.orchestrator import Orchestrator
from flchain.roles.production import Produce
from flchain.roles.scaling import Pool, RemoteTrainer
from flchain.roles.task_setup import build_task, create_task, fund_task
from flchain.roles.terms import Terms, load_terms
from flchain.roles.upkeep import Upkeep
from flchain.roles.validator import Validator
from flchain.storage.base import ContentStore

SUPPLY = Wei(10**9 * ETHER)
"""Stake tokens of a local network, all of them the sponsor's at first."""
SIMULATED_START = Timestamp(1_767_225_600)
"""2026-01-01 00:00 UTC: where simulated time begins, so that runs are alike."""


@dataclass(frozen=True)
class Cast:
    """Everybody's key. The sponsor deploys the contracts, creates the task and pays for it."""

    sponsor: Signer
    orchestrator: Signer
    validators: tuple[Signer, ...]
    agents: tuple[Signer, ...]
    vrf_keys: tuple[SecretKey, ...]
    """One for each validator."""

    @property
    def members(self) -> tuple[tuple[Signer, Role], ...]:
        """Everybody who enrols, with the role."""
        return (
            (self.orchestrator, Role.PROPOSER),
            *((signer, Role.VALIDATOR) for signer in self.validators),
            *((signer, Role.AGENT) for signer in self.agents),
        )


@dataclass(frozen=True)
class Scenario:
    """What a federation trains, by which rules, on whose data.

    With an `attack`, the first `attackers` agents collude in it.
    """

    policy: Policy
    preset: Preset
    rounds: int
    shares: tuple[Dataset, ...]
    """One data set for each agent."""
    held_out: tuple[Dataset, ...]
    """One data set for each validator."""
    attack: Attack | None = None
    attackers: int = 0
    build_model: Callable[[], Trainer] | None = None
    """Makes a trainer for the policy's model, where that is none of the shipped ones."""

    is_batched: bool = False
    """Trains the agents together, which a dense model alone allows."""
    pool: Pool | None = None
    """Where the agents train; None is in this process."""

    def build_trainer(self) -> Trainer:
        """Return a new trainer; no two roles share one."""
        return self.trainer_factory()

    def build_agent_trainer(self) -> Trainer:
        """Return a new trainer of an agent, which trains where the scenario says."""
        trainer = self.build_trainer()
        if self.pool is None:
            return trainer
        return RemoteTrainer(trainer, self.pool, self.trainer_factory)

    @property
    def trainer_factory(self) -> Callable[[], Trainer]:
        """Makes trainers and holds no data, so that it can be sent elsewhere."""
        return self.build_model or partial(get_trainer, self.policy.model)


@dataclass(frozen=True)
class Federation:
    """All roles of one task, ready to run."""

    terms: Terms
    orchestrator: Orchestrator
    validators: tuple[Validator, ...]
    agents: tuple[Agent, ...]
    batching: Batching | None = None

    @property
    def roles(self) -> tuple[Orchestrator | Validator | Agent, ...]:
        """Every role, in the order in which they act."""
        return (*self.agents, *self.validators, self.orchestrator)


class SimulatedClock:
    """A clock that moves only when it is told to."""

    def __init__(self, start: Timestamp = SIMULATED_START) -> None:
        """Stand at `start`."""
        self._now = float(start)

    def __call__(self) -> float:
        """Return the time in seconds since the Unix epoch."""
        return self._now

    def advance(self, seconds: float = 1.0) -> None:
        """Move ahead."""
        self._now += seconds


def derive_mnemonic(seed: int) -> str:
    """Return the phrase behind a simulation's accounts. Anybody can derive it: no real money."""
    return build_mnemonic(hashlib.sha256(f"flchain simulation {seed}".encode()).digest()[:16])


def derive_cast(mnemonic: str, agents: int, validators: int) -> Cast:
    """Return the keys at the first `2 + validators + agents` places of the mnemonic."""
    places = count()

    def derive() -> LocalSigner:
        return LocalSigner(derive_private_key(mnemonic, next(places)))

    return Cast(
        sponsor=derive(),
        orchestrator=derive(),
        validators=tuple(derive() for _ in range(validators)),
        agents=tuple(derive() for _ in range(agents)),
        vrf_keys=tuple(
            load_secret_key(derive_vrf_secret(mnemonic, index)) for index in range(validators)
        ),
    )


def build_memory_ledger(cast: Cast, preset: Preset, clock: Callable[[], float]) -> MemoryLedger:
    """Return a ledger in memory whose tokens are all the sponsor's."""
    config = build_config(preset.network, cast.sponsor.address)
    return MemoryLedger(config, clock, {cast.sponsor.address: SUPPLY})


def found_federation(ledger: Ledger, store: ContentStore, cast: Cast, scenario: Scenario) -> TaskId:
    """Stake and register everybody, create and fund the task, enrol; return the task's id.

    Raises the first error that the ledger or the store gives.
    """
    stake_members(ledger, cast)
    register_members(ledger, cast)
    policy = scenario.policy
    schedule, orchestrator = scenario.preset.schedule, cast.orchestrator.address
    task = build_task(policy, schedule, orchestrator, len(cast.validators))
    task_id = create_task(ledger, store, cast.sponsor, task, policy)
    if policy.round_reserve:
        fund_task(ledger, cast.sponsor, task_id, Wei(scenario.rounds * policy.round_reserve))
    for signer, role in cast.members:
        enrol(ledger, signer, task_id, role)
    return task_id


def register_members(ledger: Ledger, cast: Cast) -> None:
    """Register everybody, validators with their VRF keys."""
    keys = dict(zip(cast.validators, cast.vrf_keys, strict=True))
    for signer, role in cast.members:
        if signer in keys:
            register_with_key(ledger, signer, role, keys[signer])
        else:
            register(ledger, signer, role)


def stake_members(ledger: Ledger, cast: Cast) -> None:
    """Send every member the tokens that its role needs, from the sponsor."""
    transfers = [
        (Transfer(signer.address, _compute_stake(ledger, role)), cast.sponsor)
        for signer, role in cast.members
    ]
    for answer in ledger.send_all(transfers):
        if isinstance(answer, FlchainError):
            raise answer


def _compute_stake(ledger: Ledger, role: Role) -> Wei:
    if role is Role.VALIDATOR:
        return compute_cushioned_stake(ledger, role)
    return ledger.compute_required_stake(int(role))


def is_everybody_active(ledger: Ledger, task_id: TaskId, cast: Cast) -> bool:
    """Return whether every enrolment counts by now."""
    active = ledger.count_active(task_id)
    wanted = (len(cast.agents), len(cast.validators), 1)
    return (active.agents, active.validators, active.proposers) == wanted


def build_validator(
    context: Context,
    terms: Terms,
    secret: SecretKey,
    data: Dataset,
    trainer: Trainer | None = None,
) -> Validator:
    """Return a validator that takes part in draws."""
    trainer = trainer or get_trainer(terms.policy.model)
    return Validator(context, terms, trainer, data, drawing=Drawing(context, secret))


def list_producers(scenario: Scenario) -> list[Produce | None]:
    """Return what makes each agent's update: the attack for colluders, None for training."""
    count_honest = len(scenario.shares) - scenario.attackers
    if scenario.attack is None or not scenario.attackers:
        return [None] * len(scenario.shares)
    collusion = Collusion(scenario.attack, scenario.shares[: scenario.attackers])
    malicious = [partial(collusion.produce, place) for place in range(scenario.attackers)]
    return [*malicious, *[None] * count_honest]


def build_federation(
    ledger: Ledger,
    store: ContentStore,
    cast: Cast,
    scenario: Scenario,
    task_id: TaskId,
    *,
    report: Report = ignore_notice,
    open_journal: Callable[[Address], Journal] = lambda _: MemoryJournal(),
    archive: Archive | None = None,
) -> Federation:
    """Return the roles of a task. Each has a trainer of its own, so they may run in threads.

    With an `archive` all share what it has verified, which only a simulation may: whoever is to
    find out that a store lies needs his own.
    """
    terms = load_terms(ledger, store, task_id)

    def build_context(name: str, signer: Signer) -> Context:
        journal = open_journal(signer.address)
        return Context(
            name, ledger, store, signer, task_id, journal, report, shared_archive=archive
        )

    upkeep = Upkeep(build_context("orchestrator", cast.orchestrator), terms, rounds=scenario.rounds)
    validators = zip(cast.validators, cast.vrf_keys, scenario.held_out, strict=True)
    shares = [(s.address, data) for s, data in zip(cast.agents, scenario.shares, strict=True)]
    prepared = Prepared()

    def build_agent_trainer() -> Trainer:
        trainer = scenario.build_agent_trainer()
        return PreparedTrainer(trainer, prepared) if scenario.is_batched else trainer

    if scenario.is_batched:
        _verify_batched(scenario, terms)
    agents = zip(cast.agents, scenario.shares, list_producers(scenario), strict=True)
    return Federation(
        terms,
        Orchestrator(upkeep),
        tuple(
            build_validator(
                build_context("validator", signer), terms, secret, data, scenario.build_trainer()
            )
            for signer, secret, data in validators
        ),
        tuple(
            Agent(
                build_context("agent", signer), terms, build_agent_trainer(), data, produce=produce
            )
            for signer, data, produce in agents
        ),
        Batching(build_context("batch", cast.orchestrator), terms, shares, prepared)
        if scenario.is_batched
        else None,
    )


def _verify_batched(scenario: Scenario, terms: Terms) -> None:
    """Raise ConfigError unless one batched product does what the agents' own training would."""
    if scenario.build_model is not None:
        # What trains them together is no model of the user's, whatever its layers.
        raise ConfigError(
            "agents that train a model of your own can't be trained together: leave out --batched"
        )
    if not is_dense(terms.policy.model.layers):
        raise ConfigError(
            f"model {terms.policy.model.architecture} is no chain of dense layers, so agents "
            "can't be trained together: leave out --batched"
        )
