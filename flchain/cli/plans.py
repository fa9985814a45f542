"""What a demo runs: from options and what is installed to a scenario."""

from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from flchain.chain.anvil import find_anvil
from flchain.cli.objects import load_task
from flchain.cli.rules import Load, Noise, load_ruled
from flchain.cli.sources import PLANS, find_mnist, load_rows, split_evenly, split_shares
from flchain.cli.summary import Outline
from flchain.config import Settings
from flchain.learning.aggregators import build_aggregator, build_rule
from flchain.learning.attacks import get_attack
from flchain.learning.data import Dataset, partition_sites
from flchain.learning.presets import load_preset
from flchain.learning.strategies import DEFAULTS
from flchain.learning.task import LearningTask, check_rows
from flchain.protocol.contribution import METHODS
from flchain.protocol.errors import ConfigError
from flchain.protocol.params import LOCAL, MaskingSchedule, Preset
from flchain.protocol.policy import NO_COMPRESSION, SECURE, Policy
from flchain.protocol.types import Seconds
from flchain.roles.simulation import Scenario

DEFAULT_SEED = 7
MEAN = "weighted-mean"
PLAIN = "plain"
SUBMIT_WINDOW = Seconds(30)
SHORT = MaskingSchedule(
    finality_delay=Seconds(0),
    forced_window=Seconds(1),
    join_window=Seconds(10),
    shares_window=Seconds(15),
    check_window=Seconds(15),
    unmask_window=Seconds(15),
)
"""Windows of a run in which agents are killed: the others wait for them until these end."""
FEWEST_SECURE = 3
"""Fewest agents among whom an update is hidden, none of them corrupt."""


@dataclass(frozen=True)
class Choice:
    """What was asked for; None leaves the choice to what is installed."""

    agents: int
    validators: int
    rounds: int
    seed: int
    alpha: float
    strategy: str
    dataset: str | None = None
    ledger: str | None = None
    is_multiprocess: bool = False
    aggregator: str = MEAN
    byzantine: int | None = None
    attack: str = ""
    attackers: int = 0
    task: str | None = None
    is_batched: bool = False
    mode: str | None = None
    groups: int = 1
    kill: int = 0
    contribution: str = METHODS[0]
    compression: str = "none"
    privacy: str | None = None
    noise_multiplier: float | None = None
    epsilon: float | None = None


@dataclass(frozen=True)
class Plan:
    """A federation to run, and the rows on which its models are shown to be good."""

    outline: Outline
    scenario: Scenario
    test: Dataset
    settings: Settings


def choose(choice: Choice, settings: Settings, command: str) -> tuple[Outline, list[str]]:
    """Return what to run and what had to be replaced, each as half a sentence.

    Raises ConfigError if something that was asked for by name is missing.
    """
    missing: list[str] = []
    _verify_task(choice)
    ledger = choice.ledger or ("memory" if _lacks_anvil(settings, missing) else "anvil")
    dataset = (
        choice.task or choice.dataset or ("digits" if _lacks_mnist(settings, missing) else "mnist")
    )
    if choice.is_multiprocess and ledger != "anvil":
        find_anvil(settings.anvil)
        raise ConfigError("separate processes need a chain that they share: leave out --memory")
    if choice.agents < 1 or choice.validators < 1 or choice.rounds < 1:
        raise ConfigError("agents, validators and rounds must be at least 1")
    if (choice.attackers and not choice.attack) or choice.attackers >= choice.agents:
        raise ConfigError("attackers need an --attack, and an honest agent besides them")
    if choice.byzantine and choice.aggregator == MEAN:
        raise ConfigError(f"{MEAN} withstands no bad update: add --aggregator or lower --byzantine")
    if choice.attack and not choice.attackers:
        raise ConfigError(f"nobody attacks with {choice.attack}: add --attackers 1 or more")
    outline = Outline(
        command=command,
        ledger=ledger,
        dataset=dataset,
        agents=choice.agents,
        validators=choice.validators,
        rounds=choice.rounds,
        alpha=choice.alpha,
        seed=choice.seed,
        strategy=choice.strategy,
        is_multiprocess=choice.is_multiprocess,
        aggregator=choice.aggregator,
        byzantine=choice.attackers if choice.byzantine is None else choice.byzantine,
        attack=choice.attack,
        attackers=choice.attackers,
        mode=_choose_mode(choice, command, missing),
        groups=choice.groups,
        killed=choice.kill,
        contribution=choice.contribution,
        compression=choice.compression,
        noise=Noise(choice.privacy, choice.noise_multiplier, choice.epsilon),
    )
    return outline, missing


def _verify_task(choice: Choice) -> None:
    """Raise ConfigError unless a task is named as one, and no data set besides it."""
    if choice.task is None:
        return
    if ":" not in choice.task:
        raise ConfigError(f"task {choice.task!r} is not of the form MODULE:OBJECT")
    if choice.dataset is not None:
        raise ConfigError(f"task {choice.task!r} has its own data: leave out --task or --dataset")


def _choose_mode(choice: Choice, command: str, missing: list[str]) -> str:
    """Return the mode: what was asked for, else "secure" in a demo that can be."""
    mode = choice.mode
    if mode == SECURE and choice.agents < FEWEST_SECURE:
        raise ConfigError(
            f"masks hide nothing among {choice.agents} agents: write --agents {FEWEST_SECURE} or "
            "more, or --mode plain"
        )
    if mode is None:
        obstacle = _find_obstacle(choice)
        mode = SECURE if command == "demo" and not obstacle else PLAIN
        if command == "demo" and obstacle:
            missing.append(f"{obstacle}: updates are plain")
    _verify_groups(choice, mode)
    spare = choice.agents - (count_survivors(choice.agents) if mode == SECURE else 1)
    if choice.kill > spare:
        raise ConfigError(f"{choice.agents} agents can spare {spare}: lower --kill")
    return mode


def _verify_groups(choice: Choice, mode: str) -> None:
    """Raise ConfigError if there can't be so many masked sums."""
    if choice.groups > 1 and mode != SECURE:
        raise ConfigError("--groups divides masked sums: add --mode secure, or leave it out")
    if choice.groups > 1 and choice.agents < choice.groups * FEWEST_SECURE:
        raise ConfigError(
            f"{choice.groups} groups of {FEWEST_SECURE} take {choice.groups * FEWEST_SECURE} "
            "agents: raise --agents or lower --groups"
        )


def _find_obstacle(choice: Choice) -> str:
    """Return why updates cannot be masked, unless that is asked for; empty if they can."""
    if choice.agents < FEWEST_SECURE:
        return f"{choice.agents} agents are too few to hide among"
    if choice.compression != NO_COMPRESSION.name:
        return f"{choice.compression} does not add up under masks"
    if Noise(choice.privacy, choice.noise_multiplier, choice.epsilon).is_wanted:
        return "noise on every single update was asked for"
    return ""


def count_survivors(agents: int) -> int:
    """Return how many of so many agents a round of secure mode needs: four of five."""
    return max(FEWEST_SECURE, -(-4 * agents // 5))


def build_plan(outline: Outline, settings: Settings, *, is_batched: bool = False) -> Plan:
    """Load the rows, split them and write the policy. Raises ConfigError."""
    plan = _build_plan(outline, settings)
    return replace(plan, scenario=replace(plan.scenario, is_batched=is_batched))


def _build_plan(outline: Outline, settings: Settings) -> Plan:
    if ":" in outline.dataset:
        return _build_task_plan(outline, settings)
    rows = PLANS[outline.dataset]
    train = load_rows(rows.agents, settings.mnist)
    held_out = load_rows(rows.validators, settings.mnist)
    scenario = Scenario(
        policy=build_policy(outline),
        preset=_build_preset(outline),
        rounds=outline.rounds,
        shares=split_shares(train, outline.agents, outline.alpha, outline.seed),
        held_out=split_evenly(held_out, outline.validators),
        attack=get_attack(outline.attack) if outline.attack else None,
        attackers=outline.attackers,
    )
    return Plan(outline, scenario, load_rows(rows.test, settings.mnist), settings)


def build_policy(outline: Outline) -> Policy:
    """Return the data set's preset with the seed, the strategy and the numbers of this run."""
    load = partial(load_preset, outline.dataset)
    return _load_policy(outline, load)


def _load_policy(outline: Outline, load: Load) -> Policy:
    overrides = _build_overrides(outline, load({}))
    return load_ruled(load, overrides, outline.compression, outline.noise, outline.rounds)


def _build_task_plan(outline: Outline, settings: Settings) -> Plan:
    """Plan a task of the user's own: validators hold a fifth of its training rows."""
    task = load_task(outline.dataset)
    rng = np.random.default_rng(outline.seed)
    order = rng.permutation(len(task.train))
    held, rows = np.sort(order[: len(order) // 5]), np.sort(order[len(order) // 5 :])
    parts = split_evenly(task.train.select(held), outline.validators)
    held_out = tuple(task.prepare_rows(part) for part in parts)
    for part in held_out:
        if len(part):
            check_rows(part, task.build_model(), outline.dataset)
    scenario = Scenario(
        policy=_load_policy(outline, task.build_policy),
        preset=_build_preset(outline),
        rounds=outline.rounds,
        shares=tuple(map(task.prepare_rows, _split_task(task, rows, outline))),
        held_out=held_out,
        build_model=task.build_model,
        attack=get_attack(outline.attack) if outline.attack else None,
        attackers=outline.attackers,
    )
    return Plan(outline, scenario, task.prepare_rows(task.test), settings)


def _split_task(
    task: LearningTask, rows: NDArray[np.int64], outline: Outline
) -> tuple[Dataset, ...]:
    """Return one share for each agent: its site's rows, or a Dirichlet part."""
    train = task.train.select(rows)
    if task.sites is None:
        return split_shares(train, outline.agents, outline.alpha, outline.seed)
    parts = partition_sites(task.sites[rows])
    if len(parts) != outline.agents:
        raise ConfigError(
            f"task {outline.dataset!r} has {len(parts)} sites: write --agents {len(parts)}"
        )
    return tuple(train.select(part) for part in parts.values())


def _build_overrides(outline: Outline, preset: Policy) -> dict[str, object]:
    """Return what this run writes over the preset."""
    overrides: dict[str, object] = {"seed": f"{outline.seed:064x}", "mode": outline.mode}
    if outline.agents > preset.max_agents:
        overrides["max_agents"] = outline.agents
    if outline.mode == SECURE:
        fewest = count_survivors(outline.agents // outline.groups)
        overrides |= {"min_agents": count_survivors(outline.agents), "min_survivors": fewest}
        overrides["masking.groups"] = outline.groups
        if outline.noise.is_wanted:
            # The weight of noised updates would tell on them.
            overrides["update.w_max"] = 1
    if outline.agents < preset.min_agents:
        overrides |= {"min_agents": outline.agents, "min_survivors": outline.agents}
        overrides["max_share_bps"] = 10_000
    parameters = DEFAULTS[outline.strategy]
    overrides["strategy"] = {"name": outline.strategy, "parameters": parameters}
    if outline.contribution != METHODS[0]:
        overrides["rewards.contribution"] = outline.contribution
    if outline.aggregator != MEAN:
        overrides |= _choose_aggregator(outline, preset.min_agents)
    return overrides


def _choose_aggregator(outline: Outline, min_agents: int) -> dict[str, object]:
    """Return the rule with usual parameters, and as many updates a round as it needs."""
    aggregator = build_aggregator(outline.aggregator)
    rule = build_rule(aggregator, outline.byzantine, outline.agents)
    settings = dict(rule.parameters)
    if outline.groups > 1:
        # Its rows are groups; the policy is checked against what it needs.
        return {"aggregator": {"name": rule.name, "parameters": settings}}
    least = aggregator.compute_least(settings, outline.agents)
    if least is None:
        raise ConfigError(
            f"{rule.name} cannot withstand {outline.byzantine} bad updates among {outline.agents} "
            "agents: add agents, lower --byzantine or choose another --aggregator"
        )
    least = min(max(least, min_agents), outline.agents)
    return {
        "aggregator": {"name": rule.name, "parameters": settings},
        "min_agents": least,
        "min_survivors": least,
    }


def _build_preset(outline: Outline) -> Preset:
    schedule = LOCAL.schedule
    enough = min(schedule.min_validators, outline.validators)
    if outline.killed:
        schedule = replace(schedule, submit_window=SUBMIT_WINDOW, masking=SHORT)
    return replace(LOCAL, schedule=replace(schedule, min_validators=enough))


def _lacks_anvil(settings: Settings, missing: list[str]) -> bool:
    try:
        find_anvil(settings.anvil)
    except ConfigError:
        if settings.anvil is not None:
            raise
        missing.append("Anvil is not installed: the ledger is in memory")
        return True
    return False


def _lacks_mnist(settings: Settings, missing: list[str]) -> bool:
    reasons = []
    if find_spec("torch") is None:
        reasons.append("torch")
    if find_mnist(settings.mnist) is None:
        reasons.append("MNIST")
    if reasons:
        verb = "is" if len(reasons) == 1 else "are"
        names = " and ".join(reasons)
        missing.append(f"{names} {verb} not installed: the data are scikit-learn's digits")
    return bool(reasons)
