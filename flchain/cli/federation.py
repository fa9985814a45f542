"""Running a planned federation from the first account to the last reward."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from flchain.chain.base import Ledger
from flchain.cli.casualties import build_victims, is_killing_time
from flchain.cli.draws import read_holders
from flchain.cli.plans import Plan
from flchain.cli.scores import Scoreboard
from flchain.cli.screen import Screen
from flchain.cli.summary import Results, build_summary
from flchain.cli.tally import PhaseClock, Tally, meter
from flchain.protocol.events import RewardClaimed
from flchain.protocol.types import Address, TaskId, Version, Wei
from flchain.roles.agent import Agent
from flchain.roles.archive import Archive
from flchain.roles.context import Notice
from flchain.roles.daemon import run_federation
from flchain.roles.observation import Observation, Watch
from flchain.roles.payouts import claim_rewards
from flchain.roles.simulation import (
    Cast,
    Federation,
    build_federation,
    found_federation,
    is_everybody_active,
)
from flchain.roles.terms import load_terms
from flchain.roles.upkeep import is_over
from flchain.roles.validator import Validator
from flchain.storage.base import ContentStore

WORKERS = 2


@dataclass(frozen=True)
class Venue:
    """Where a federation runs. `idle` lets time pass; `measure` returns bytes on disk.

    `rpc_url` is empty for a ledger in memory; only there do the roles share an archive.
    """

    ledger: Ledger
    store: ContentStore
    cast: Cast
    idle: Callable[[], None]
    measure: Callable[[], int]
    rpc_url: str = ""
    archive: Archive | None = None


@dataclass
class Progress:
    """Watches a federation for the screen and the summary."""

    screen: Screen
    tally: Tally = field(default_factory=Tally)
    clock: PhaseClock = field(default_factory=PhaseClock)
    seconds: dict[str, float] = field(default_factory=dict)
    scoreboard: Scoreboard | None = None

    def note(self, notice: Notice) -> None:
        """Take one notice of a role."""
        self.tally.add(notice)
        self.screen.note(notice)

    def observe(self, seen: Observation) -> None:
        """Take one look at the chain; evaluate and show what is new."""
        self.clock.observe(seen)
        self.screen.observe(seen)
        if self.scoreboard is not None:
            for version in self.scoreboard.evaluate(seen.past):
                self._show(version, seen)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one stage of the run."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start

    def _show(self, version: Version, seen: Observation) -> None:
        score = self.scoreboard.scores[version] if self.scoreboard else None
        number = seen.past.versions[version].round
        if score is None or version == 0:
            return
        past = seen.past.rounds[number]
        seconds = sum(self.clock.rounds[number].values())
        self.screen.say(
            f"round {number:>3}  accuracy {score.accuracy:.4f}  loss {score.loss:.4f}  "
            f"{len(past.submissions)} updates  {len(past.votes)} votes  {seconds:.1f} s"
        )


class RunRounds(Protocol):
    """Runs all rounds of a founded task, claims the rewards and returns the last observation."""

    def __call__(
        self, plan: Plan, venue: Venue, task_id: TaskId, progress: Progress
    ) -> Observation:
        """Run until the plan's number of rounds has ended."""


def found(plan: Plan, venue: Venue, progress: Progress) -> TaskId:
    """Register everybody, create the task and wait until all enrolments count."""
    ledger = meter(venue.ledger, "setup", progress.note)
    with progress.stage("setup"), progress.screen.step("members and task"):
        task_id = found_federation(ledger, venue.store, venue.cast, plan.scenario)
        while not is_everybody_active(venue.ledger, task_id, venue.cast):
            venue.idle()
    return task_id


def play(
    plan: Plan, venue: Venue, task_id: TaskId, progress: Progress, run_rounds: RunRounds
) -> dict[str, Any]:
    """Run a founded federation to its last reward; return the summary document."""
    terms = load_terms(venue.ledger, venue.store, task_id)
    progress.scoreboard = Scoreboard(venue.store, terms, plan.test, plan.scenario.build_trainer())
    seen = run_rounds(plan, venue, task_id, progress)
    results = Results(
        past=seen.past,
        scores=progress.scoreboard.scores,
        tally=progress.tally,
        clock=progress.clock,
        seconds=progress.seconds,
        rewards=sum_rewards(venue.ledger, task_id),
        disk_bytes=venue.measure(),
        holders=read_holders(venue.ledger, task_id),
        task=terms.task,
    )
    return build_summary(plan.outline, results, venue.store)


def run_here(plan: Plan, venue: Venue, task_id: TaskId, progress: Progress) -> Observation:
    """Run every role in this process."""
    federation = build_federation(
        venue.ledger,
        venue.store,
        venue.cast,
        plan.scenario,
        task_id,
        report=progress.note,
        archive=venue.archive,
    )
    for validator in federation.validators:
        validator.endorse()
    watch = Watch(venue.ledger, task_id)
    victims = build_victims(federation, plan.outline.killed)

    def until(seen: Observation) -> bool:
        progress.observe(seen)
        if not victims.are_dead and is_killing_time(seen, plan.outline):
            victims.are_dead = True
            progress.screen.say(f"killed {plan.outline.killed} agents in round {seen.round.round}")
        if federation.batching is not None:
            # Before the agents, whose turns may be in several threads.
            federation.batching.tick(seen)
        return is_over(seen, plan.outline.rounds)

    with progress.stage("rounds"):
        pool = plan.scenario.pool
        workers = max(WORKERS, pool.size) if pool else WORKERS
        run_federation(
            victims.roles, watch, until=until, idle=lambda _: venue.idle(), workers=workers
        )
    with progress.stage("claims"):
        _claim_all(plan, federation, watch, venue, progress)
    return watch.observe()


def sum_rewards(ledger: Ledger, task_id: TaskId) -> dict[Address, Wei]:
    """Return what each account was paid."""
    paid: dict[Address, int] = defaultdict(int)
    for logged in ledger.get_events(task_id=task_id, kinds=(RewardClaimed,)):
        if isinstance(logged.event, RewardClaimed):
            paid[logged.event.account] += logged.event.amount
    return {account: Wei(amount) for account, amount in paid.items()}


def _claim_all(
    plan: Plan, federation: Federation, watch: Watch, venue: Venue, progress: Progress
) -> None:
    """Claim for every agent and validator, once every round's rewards are due."""
    seen = watch.observe()
    published = (past.rewards for past in seen.past.rounds.values())
    due = max((item.claimable_from for item in published if item), default=seen.now)
    while seen.now < due:
        venue.idle()
        seen = watch.observe()
    agents = federation.agents[: len(federation.agents) - plan.outline.killed]
    members: tuple[Agent | Validator, ...] = (*agents, *federation.validators)
    with progress.screen.step("claiming rewards", len(members)) as bar:
        for member in members:
            claim_rewards(member.context, seen, set())
            bar.advance()
