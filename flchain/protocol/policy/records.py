"""The records of a policy: integers and strings only.

Decimal fractions are integers in millionths ("micros"). Update magnitudes are integers in
quantised units: one unit is 2^-shift of a model parameter.
"""

import math
from dataclasses import dataclass

from flchain.protocol.types import Bps, Wei

WHOLE_BPS = Bps(10_000)
MICROS = 1_000_000
"""Fixed-point scale of rates: 1,000,000 is 1.0."""


@dataclass(frozen=True)
class Layer:
    """One named array of the model, in the order in which the arrays are flattened."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ModelSpec:
    """Which model is trained. `parameters` is the sum of the layers' sizes.

    Each agent has its own `local_layers`: their values never leave it, and stay as in version 0
    in the model that all share.
    """

    architecture: str
    parameters: int
    layers: tuple[Layer, ...]
    local_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSpec:
    """What the agents train on; a label for people, no rule depends on it."""

    dataset: str


@dataclass(frozen=True)
class TrainingSpec:
    """How an agent trains locally. An epoch is one pass over its own data."""

    optimizer: str
    local_epochs: int
    batch_size: int
    learning_rate_micros: int
    momentum_micros: int


@dataclass(frozen=True)
class UpdateSpec:
    """What an update may look like.

    `coordinate_bound` and `clip` (of the L2 norm) are in quantised units, `bucket` in samples;
    an update weighs min(w_max, ceil(samples / bucket)).
    """

    shift: int
    coordinate_bound: int
    clip: int
    bucket: int
    w_max: int


@dataclass(frozen=True)
class RuleSpec:
    """A strategy, aggregator or compression: registered name and integer parameters."""

    name: str
    parameters: tuple[tuple[str, int], ...] = ()

    def get(self, name: str) -> int:
        """Return one parameter; KeyError if the rule has none of that name."""
        return dict(self.parameters)[name]


SECURE = "secure"
"""The mode in which updates are masked."""
NO_COMPRESSION = RuleSpec("none")
"""Updates as plain integers: what a policy without a `compression` key means."""


@dataclass(frozen=True)
class RewardSpec:
    """How a round's reserve is split: the validators' share, and the rest to agents by weight.

    `participation_bps` is the part of each reward that is paid even if the model is rejected
    for its quality. `contribution` says how the updates' contributions are measured, see
    `flchain.protocol.contribution`.
    """

    validator_share_bps: Bps
    participation_bps: Bps
    contribution: str = "participation"


@dataclass(frozen=True)
class QualitySpec:
    """How much worse than its parent a model may be on a validator's own data."""

    tolerance_bps: Bps


@dataclass(frozen=True)
class PrivacySpec:
    """Which mechanism adds noise; the other fields are 0 if none does.

    `clip`, in quantised units, bounds the norm (L1 for "laplace", else L2) of each section;
    `noise_micros` is the noise's deviation ("laplace": its b) over the clip; delta is
    1 / `delta_inverse`; `budget_micros` is the epsilon that the whole task may spend.
    """

    mechanism: str
    clip: int = 0
    noise_micros: int = 0
    delta_inverse: int = 0
    budget_micros: int = 0


@dataclass(frozen=True)
class MaskingSpec:
    """How many shares restore a secret, and how many survivors may collude; 0 in plain mode.

    Who releases shares has none of its own secrets, so that `threshold` + 1 agents must release.
    Above 64 agents, where not everybody is everybody's neighbour, the shares that restore follow
    from the number of agents. A round is divided into up to `groups`, each with a sum of its own.
    """

    threshold: int = 0
    max_corrupt: int = 0
    groups: int = 1


NO_MASKING = MaskingSpec()


@dataclass(frozen=True)
class TaskScalars:
    """Numbers that the contract needs too; the Task struct holds the same ones."""

    max_agents: int
    min_agents: int
    min_survivors: int
    threshold: int
    """Fewest who must release shares."""
    max_corrupt: int
    w_max: int
    coordinate_bound: int
    max_share_bps: Bps
    round_reserve: Wei


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Everything that re-execution needs. Immutable for the life of a task.

    `seed` is 32 bytes in hex; `round_reserve` is in wei of the stake token.
    """

    mode: str
    seed: str
    model: ModelSpec
    data: DataSpec
    training: TrainingSpec
    update: UpdateSpec
    strategy: RuleSpec
    aggregator: RuleSpec
    rewards: RewardSpec
    quality: QualitySpec
    privacy: PrivacySpec
    max_agents: int
    min_agents: int
    min_survivors: int
    max_share_bps: Bps
    round_reserve: Wei
    retention_rounds: int
    compression: RuleSpec = NO_COMPRESSION
    cohort_bps: Bps = WHOLE_BPS
    """Chance of each agent to be in a round's cohort; who is not counts for nothing."""
    masking: MaskingSpec = NO_MASKING

    @property
    def is_secure(self) -> bool:
        """Whether updates are masked, so that nobody sees more than their sum."""
        return self.mode == SECURE


def get_task_scalars(policy: Policy) -> TaskScalars:
    """Return the numbers that the on-chain task must repeat."""
    return TaskScalars(
        max_agents=policy.max_agents,
        min_agents=policy.min_agents,
        min_survivors=policy.min_survivors,
        threshold=policy.masking.threshold + policy.is_secure,
        max_corrupt=policy.masking.max_corrupt,
        w_max=policy.update.w_max,
        coordinate_bound=policy.update.coordinate_bound,
        max_share_bps=policy.max_share_bps,
        round_reserve=policy.round_reserve,
    )
