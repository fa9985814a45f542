"""A task as its members see it: the contract's numbers and the policy behind the digest."""

from collections.abc import Iterable
from dataclasses import dataclass

from flchain.chain.base import Ledger
from flchain.learning.aggregation import check_rules, compute_initial_state
from flchain.learning.budgets import compute_privacy_rounds
from flchain.learning.payloads import compute_shape_digest
from flchain.learning.schemas import encode_state, get_state_schema
from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import (
    Policy,
    compute_policy_digest,
    decode_policy,
    encode_policy,
    get_task_scalars,
)
from flchain.protocol.records import Task
from flchain.protocol.types import Address, Digest, Mode, TaskId
from flchain.roles.archive import Sealed, seal_payload
from flchain.storage.base import ContentStore
from flchain.storage.cid import cid_from_digest


@dataclass(frozen=True)
class Terms:
    """What everybody in a task agreed to. Immutable for the task's life."""

    task_id: TaskId
    task: Task
    policy: Policy


@dataclass(frozen=True)
class Floors:
    """What a participant insists on, whatever a task offers.

    `architectures` lists the models it is willing to train; empty means any known one. In secure
    mode at least `min_trusted` of the agents `trusted` must be in every sum that hides its update.
    """

    min_survivors: int = 1
    architectures: tuple[str, ...] = ()
    trusted: frozenset[Address] = frozenset()
    min_trusted: int = 0


def load_terms(ledger: Ledger, store: ContentStore, task_id: TaskId) -> Terms:
    """Fetch and check a task's policy.

    Raises UnknownTask if there is none, ConfigError if the policy and the contract disagree or
    this version cannot run it, and storage errors if the policy cannot be had.
    """
    task = ledger.get_task(task_id)
    policy = decode_policy(store.get_block(cid_from_digest(task.policy_digest)))
    terms = Terms(task_id, task, policy)
    verify_terms(terms)
    return terms


def verify_terms(terms: Terms) -> None:
    """Raise ConfigError, naming the number, unless policy and contract say the same."""
    check_rules(terms.policy)
    scalars = get_task_scalars(terms.policy)
    pairs = {
        name: (getattr(scalars, name), getattr(terms.task, name))
        for name in scalars.__dataclass_fields__
    }
    mode = Mode.SECURE if terms.policy.is_secure else Mode.PLAIN
    pairs["mode"] = (mode, terms.task.mode)
    participation = terms.policy.rewards.participation_bps
    pairs["participation_bps"] = (participation, terms.task.participation_bps)
    for name, (promised, enforced) in pairs.items():
        if promised != enforced:
            raise ConfigError(
                f"task {terms.task_id}: the policy says {name} = {promised}, the contract "
                f"{enforced}; do not take part, its sponsor must create a new task"
            )
    verify_privacy_rounds(terms)


def verify_privacy_rounds(terms: Terms) -> None:
    """Raise ConfigError unless the contract stops the task before its privacy budget is overspent.

    It may stop earlier.
    """
    paid, enforced = compute_privacy_rounds(terms.policy), terms.task.privacy_rounds
    if not min(paid, 1) <= enforced <= paid:
        limit = f"stops after {enforced}" if enforced else "never stops"
        raise ConfigError(
            f"task {terms.task_id}: its privacy budget pays for {paid} rounds, the contract "
            f"{limit}; do not take part, its sponsor must create a new task"
        )


def verify_floors(terms: Terms, floors: Floors) -> None:
    """Raise ConfigError if the task offers less than a participant insists on."""
    if terms.task.min_survivors < floors.min_survivors:
        raise ConfigError(
            f"task {terms.task_id} aggregates as few as {terms.task.min_survivors} updates, "
            f"you ask for at least {floors.min_survivors}"
        )
    if floors.min_trusted > len(floors.trusted):
        raise ConfigError(
            f"you ask for {floors.min_trusted} trusted agents and name {len(floors.trusted)}: name "
            "more with --trust, or lower --min-trusted"
        )
    if floors.min_trusted and not terms.policy.is_secure:
        raise ConfigError(
            f"task {terms.task_id} hides no update in a sum: leave out --trust, or keep away"
        )
    architecture = terms.policy.model.architecture
    if floors.architectures and architecture not in floors.architectures:
        raise ConfigError(f"task {terms.task_id} trains {architecture}, which you do not allow")


def count_trusted(floors: Floors, agents: Iterable[Address]) -> int:
    """Return how many of these agents a participant knows and trusts."""
    return len(floors.trusted.intersection(agents))


def seal_policy(policy: Policy) -> tuple[bytes, Digest]:
    """Return the policy's one block and its digest."""
    return encode_policy(policy), compute_policy_digest(policy)


def seal_initial_state(policy: Policy) -> Sealed:
    """Return model version 0, which everybody derives from the policy alone."""
    payload = encode_state(compute_initial_state(policy), policy)
    return seal_state_bytes(payload, policy, compute_policy_digest(policy), b"")


def seal_state_bytes(
    payload: bytes, policy: Policy, policy_digest: Digest, round_key: bytes
) -> Sealed:
    """Return a model state with its manifest; version 0 has no round key."""
    return seal_payload(
        payload,
        kind="state",
        dtype="int64",
        shape_digest=compute_shape_digest(get_state_schema(policy)),
        round_key=round_key,
        policy_digest=policy_digest,
    )
