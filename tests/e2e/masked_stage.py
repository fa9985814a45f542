"""Rounds in secure mode over Anvil whose agents are processes that a test kills and starts again.

Orchestrator and validators live in the test. Windows are long; where everybody who is left has
acted, the test moves the chain's clock, so that nothing depends on how fast the machine is.
"""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from flchain.chain.address_book import save_address_book
from flchain.learning.aggregation import compute_weight
from flchain.protocol.errors import EncodingError
from flchain.protocol.manifest import Manifest, decode_manifest
from flchain.protocol.types import Address, Outcome, Phase, RoundId, Seconds, TaskId
from flchain.roles.assembly import Found, build_inputs, fetch_state
from flchain.roles.execution import compute_aggregate, compute_survivors
from flchain.roles.history import RoundPast
from flchain.roles.masked.inputs import read_listed_releases
from flchain.roles.observation import Observation
from flchain.storage.cid import cid_from_digest
from flchain.storage.local import LocalStore
from tests.e2e.federation import QUICK, Federation, Site, make_policy, make_secret
from tests.e2e.masked_child import AgentOptions, Halt, run_agent

AGENTS = 7
SURVIVORS = 5
THRESHOLD = 4
MINUTE = Seconds(60)
PATIENT = replace(
    QUICK,
    network=replace(QUICK.network, unbonding_period=Seconds(100_000)),
    schedule=replace(
        QUICK.schedule,
        submit_window=MINUTE,
        attest_window=MINUTE,
        propose_window=MINUTE,
        vote_window=MINUTE,
        masking=replace(
            QUICK.schedule.masking,
            finality_delay=Seconds(1),
            join_window=MINUTE,
            shares_window=MINUTE,
            check_window=MINUTE,
            unmask_window=MINUTE,
        ),
    ),
)
"""Windows that a slow machine keeps; the test moves the clock."""

ENTITLING = {
    Phase.SHARES: Phase.JOIN,
    Phase.SUBMIT: Phase.CHECK,
    Phase.UNMASK: Phase.CHECK,
}
_LARGEST_MANIFEST = 1 << 16


def make_secure_policy(**overrides):
    """Return the smallest policy in secure mode that loses two of seven agents."""
    return make_policy(
        mode="secure",
        **{
            "min_agents": SURVIVORS,
            "min_survivors": SURVIVORS,
            "masking": {"threshold": THRESHOLD, "max_corrupt": 1},
            **overrides,
        },
    )


@dataclass
class Processes:
    """The agents of a federation, each in a process of its own."""

    site: Site
    folder: Path
    federation: Federation
    last_round: RoundId
    running: dict[int, multiprocessing.process.BaseProcess] = field(default_factory=dict)
    halts: dict[int, Halt] = field(default_factory=dict)
    """Where those stop that have not been killed yet."""

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.e2e.masked_child"])
        save_address_book(self.site.book, self.folder / "book.json")

    def start(self, number: int, halt: Halt | None = None) -> None:
        """Start an agent, or start it again with the journal it left."""
        options = AgentOptions(
            url=self.site.devnet.rpc_url,
            book=self.folder / "book.json",
            store=self.folder / "store",
            task_id=TaskId(self.federation.task_id),
            secret=make_secret(self._find_key(number)),
            journal=self.folder / f"journal-{number}",
            rows=self._get_rows(number),
            last_round=self.last_round,
            flag=self._get_flag(number),
            halt=halt,
        )
        self._get_flag(number).unlink(missing_ok=True)
        process = self._context.Process(target=run_agent, args=(options,))
        process.start()
        self.running[number] = process
        if halt is not None:
            self.halts[number] = halt

    def kill(self, number: int) -> None:
        """End a process at once, wherever it is."""
        process = self.running.pop(number)
        process.kill()
        process.join()
        self.halts.pop(number, None)

    def kill_halted(self) -> list[int]:
        """Kill those that have come to where they stop; return their numbers."""
        halted = [number for number in self.halts if self._get_flag(number).exists()]
        for number in halted:
            self.kill(number)
        return halted

    def get_accounts(self) -> frozenset[Address]:
        """Return the agents that run."""
        return frozenset(
            self.federation.agents[number].context.signer.address for number in self.running
        )

    def stop(self) -> None:
        """Kill everybody who is left."""
        for number in list(self.running):
            self.kill(number)

    def _find_key(self, number: int) -> int:
        account = self.federation.agents[number].context.signer.address
        return [key.address for key in self.site.keys].index(account)

    def _get_rows(self, number: int) -> tuple[int, int]:
        sizes = [len(agent.data) for agent in self.federation.agents]
        end = int(np.cumsum(sizes)[number])
        return end - sizes[number], end

    def _get_flag(self, number: int) -> Path:
        return self.folder / f"halted-{number}"


@dataclass
class MaskedStage:
    """Plays rounds in which agents are killed."""

    site: Site
    federation: Federation
    processes: Processes

    def play(
        self, number: RoundId, halts: Mapping[int, tuple[Phase, str]], *, comes_back: bool = False
    ) -> Observation:
        """Play one round; who stops is killed there, and started again if it `comes_back`."""
        for agent in range(len(self.federation.agents)):
            if agent in self.processes.running and agent in halts:
                self.processes.kill(agent)
            if agent not in self.processes.running:
                where = Halt(number, *halts[agent]) if agent in halts else None
                self.processes.start(agent, where)
        return self._run(number, comes_back=comes_back)

    def _run(self, number: RoundId, *, comes_back: bool) -> Observation:
        roles = [self.federation.orchestrator, *self.federation.validators]
        for upkeep in (roles[0].upkeep, *(role.upkeep for role in roles[1:])):
            upkeep.rounds = number
        while True:
            seen = self.federation.watch.observe()
            for agent in self.processes.kill_halted():
                if comes_back:
                    self.processes.start(agent)
            is_over = seen.round.round == number and seen.round.outcome is not Outcome.NONE
            acted = [role.tick(seen) for role in roles]
            if any(acted):
                continue
            if is_over:
                return seen
            wait = self._compute_wait(seen)
            if wait > 0:
                self.site.control.advance_time(Seconds(wait))
            else:
                time.sleep(0.05)

    def _compute_wait(self, seen: Observation) -> int:
        """Return the seconds that nobody who is left has any use for."""
        if seen.phase in (Phase.NONE, Phase.ENDED):
            status = self.federation.ledger.get_task_status(self.federation.task_id)
            return status.next_open_at - seen.now
        if any(halt.phase == seen.phase for halt in self.processes.halts.values()):
            return 0
        if Phase.JOIN <= seen.phase <= Phase.UNMASK:
            return self._wait_masked(seen)
        return 0

    def _wait_masked(self, seen: Observation) -> int:
        masked, phase = seen.masked, Phase(seen.phase)
        if seen.now < masked.opens_at:
            return masked.opens_at - seen.now
        if phase in (Phase.CHECK, Phase.ATTEST):
            return 1
        living = self.processes.get_accounts()
        due = living if phase is Phase.JOIN else living & seen.name_set(ENTITLING[phase])
        if due <= seen.name_records(phase).keys():
            return masked.closes_at - seen.now
        return 0


@dataclass(frozen=True)
class Sums:
    """What a round added up, by what is on record, and what it should have."""

    federation: Federation
    seen: Observation
    past: RoundPast

    @cached_property
    def survivors(self) -> list[Address]:
        return [each.agent for each in compute_survivors(self.past)]

    def read(self) -> dict:
        """Return the sum's sections, unmasked with the releases that the proposal counted."""
        context, holders = self.federation.orchestrator.upkeep.context, self.seen.past.holders
        proposal = self.past.final_proposal
        found = Found(releases=read_listed_releases(context.archive, holders, self.past, proposal))
        terms, archive = self.federation.terms, context.archive
        inputs = build_inputs(context, terms, self.seen.past, self.past, found)
        return compute_aggregate(terms, inputs, archive).sections

    def add(self, agents: list[Address]) -> dict:
        """Return the plain sum of what these agents train in this round."""
        terms, total = self.federation.terms, {}
        version = self.past.opened.parent_version
        digest = self.seen.past.versions[version].state_digest
        for agent in self.federation.agents:
            if agent.context.signer.address not in agents:
                continue
            state = fetch_state(agent.context.archive, digest, terms)
            number = self.past.opened.round
            made = agent._production.make_update(self.seen.past, number, state).published
            weight = compute_weight(len(agent.data), terms.policy)
            for name, section in made.sections.items():
                part = section.astype(np.int64) * weight
                total[name] = total.get(name, 0) + part
        return total


def list_manifests(store: LocalStore) -> Iterator[Manifest]:
    """Yield every manifest in a store, whoever put it there."""
    for held in store.blocks.iterate():
        if held.size <= _LARGEST_MANIFEST:
            try:
                yield decode_manifest(store.blocks.get(cid_from_digest(held.digest)))
            except EncodingError:
                continue
