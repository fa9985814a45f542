"""Pushing a round forward: open, propose, settle. Anybody may, so no role can hold it up.

The orchestrator does these at once. Every other member waits `patience` seconds first, so that
it steps in only when the orchestrator is silent. Who cannot bond leaves proposing to others.
"""

from dataclasses import dataclass, field
from functools import cached_property

from flchain.chain.spec.committees import SEED_WINDOWS
from flchain.crypto.secagg.errors import TooFewShares
from flchain.protocol.calls import OpenRound, OpenSeats, Propose, Settle, StartSeed
from flchain.protocol.errors import ProtocolError
from flchain.protocol.params import ETHER
from flchain.protocol.records import Draw, TaskStatus
from flchain.protocol.reverts import NoBlockHash, PrivacyBudgetSpent
from flchain.protocol.types import (
    Outcome,
    Phase,
    RoundId,
    Seconds,
    Timestamp,
    Version,
)
from flchain.roles.assembly import assemble_round, publish_result
from flchain.roles.context import Context
from flchain.roles.duties import get_free_stake, may_propose
from flchain.roles.execution import RoundResult
from flchain.roles.masked.inputs import gather_releases, name_releases
from flchain.roles.masked.relaying import Relaying
from flchain.roles.masked.tending import Tending
from flchain.roles.observation import Observation, is_overtaken
from flchain.roles.retention import release_old
from flchain.roles.terms import Terms

WAIT_FOR_RELEASES = 0.5
"""Part of the first proposer's window to wait for the bytes of releases."""
_NONE = Seconds(0)
_NO_ROUND = RoundId(0)
_NOW = Timestamp(0)
RETRY = 5
"""Seconds until a round that could not be executed here is looked at again."""


@dataclass
class Upkeep:
    """Keeps one task moving on behalf of one member.

    `rounds` is how many rounds the task should open at most; None leaves it to the contract.
    """

    context: Context
    terms: Terms
    patience: Seconds = _NONE
    rounds: int | None = None
    _since: tuple[object, Timestamp] = field(default=(None, Timestamp(0)))
    _unbonded: RoundId = _NO_ROUND
    """The newest round in which it could not bond."""
    _later: Timestamp = _NOW
    """When to try again to execute a round whose releases did not suffice here."""
    _has_ended: bool = False
    """Whether it has reported that no sum can be revealed any more."""
    _is_spent: bool = False
    """Whether the contract has said that the privacy budget is."""

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was done."""
        if seen.now < self._measure_start(seen) + self.patience:
            return False
        try:
            return self._act(seen)
        except ProtocolError as error:
            if is_overtaken(error):
                return False
            raise

    def _measure_start(self, seen: Observation) -> Timestamp:
        """Return since when the task has been as it is."""
        situation = (seen.round.round, seen.phase, seen.ballot.attempt, seen.ballot.is_extended)
        if self._since[0] != situation:
            self._since = (situation, seen.now)
        return self._since[1]

    def _act(self, seen: Observation) -> bool:
        if self._tending.tick(seen) or self.relaying.tick(seen):
            return True
        if seen.phase in (Phase.NONE, Phase.ENDED):
            return self._open(seen)
        if seen.phase is Phase.PROPOSE:
            return self._propose(seen)
        if seen.phase is Phase.SEAT:
            return self._open_seats(seen)
        if seen.phase is Phase.SETTLE or self._has_too_few(seen):
            self.context.send(Settle(self.context.task_id), seen.round.round)
            return True
        return False

    def _has_too_few(self, seen: Observation) -> bool:
        """Return whether a round of plain mode has come to ATTEST with too few updates."""
        is_attesting = seen.phase is Phase.ATTEST and not self.terms.policy.is_secure
        return is_attesting and len(seen.live.submissions) < self.terms.task.min_survivors

    @cached_property
    def _tending(self) -> Tending:
        return Tending(self.context)

    @cached_property
    def relaying(self) -> Relaying:
        """What sends the records that agents offer, where this account is a proposer."""
        return Relaying(self.context, self.terms)

    def _open(self, seen: Observation) -> bool:
        status = self.context.ledger.get_task_status(self.context.task_id)
        number = RoundId(seen.round.round + 1)
        if self._is_spent or not self._may_open(seen, status, number):
            return False
        try:
            self.context.send(OpenRound(self.context.task_id), number)
        except PrivacyBudgetSpent as error:
            self._note_spent(error, number)
            return False
        return True

    def _note_spent(self, error: PrivacyBudgetSpent, number: RoundId) -> None:
        """Report, once, that no round will open again: nothing refills a budget."""
        self._is_spent = True
        values = {"rounds": float(error.privacy_rounds)}
        self.context.notify("privacy-budget-spent", number, 0.0, values=values)

    def _may_open(self, seen: Observation, status: TaskStatus, number: RoundId) -> bool:
        wanted = self.terms.task.max_rounds if self.rounds is None else self.rounds
        if status.is_closed or number > min(wanted, self.terms.task.max_rounds):
            return False
        if seen.now < status.next_open_at or self._is_at_an_end(seen):
            return False
        active = self.context.ledger.count_active(self.context.task_id)
        task = self.terms.task
        is_manned = active.agents >= task.min_agents and active.validators >= task.min_validators
        is_endorsed = status.endorsements > active.validators // 2
        budget = self.context.ledger.get_budget(self.context.task_id).available
        return is_manned and is_endorsed and budget >= task.round_reserve

    def _is_at_an_end(self, seen: Observation) -> bool:
        """Return whether no masked round could reveal anything any more; report that once."""
        version = max(seen.past.versions, default=Version(0))
        if not self.terms.policy.is_secure or not seen.is_revealed(version):
            return False
        if not self._has_ended:
            self._has_ended = True
            text = (
                f"two sums of version {version} are known and neither became a version: no more "
                f"of it may be revealed, so task {self.context.task_id} has come to its end; its "
                "sponsor can close it and create another"
            )
            self.context.notify("task-at-its-end", seen.round.round, 0.0, detail=text)
        return True

    def _open_seats(self, seen: Observation) -> bool:
        """Open a draw whose seed is known, or that gets none because all beacons were silent."""
        task_id, number = self.context.task_id, seen.round.round
        draw = self.context.ledger.get_draw(task_id).draw
        if draw.is_seeded or not self._fix_seed(seen, draw):
            return False
        self.context.send(OpenSeats(task_id, number), number)
        return True

    def _fix_seed(self, seen: Observation, draw: Draw) -> bool:
        """Return whether a draw can go on, after fixing its seed where no beacon has to."""
        if any(fixed.attempt == draw.attempt for fixed in seen.live.seeds):
            return True
        if not draw.beacons and self.context.ledger.get_head().number > draw.pinned_block:
            try:
                self.context.send(StartSeed(self.context.task_id), seen.round.round)
            except NoBlockHash:
                # The block is too old by now: the draw goes on without a seed at the deadline.
                pass
            else:
                return True
        return seen.now >= draw.proposed_at + SEED_WINDOWS * self.terms.task.seat_window

    def _propose(self, seen: Observation) -> bool:
        if seen.now < self._later:
            return False
        if not may_propose(self.context, seen) or not self._can_bond(seen):
            return False
        if self._awaits_releases(seen):
            return False
        try:
            result = assemble_round(self.context, self.terms, seen.past, seen.live)
        except TooFewShares as error:
            return self._put_off(seen, str(error))
        self.propose_result(seen, result)
        release_old(self.context, self.terms, seen)
        return True

    def _awaits_releases(self, seen: Observation) -> bool:
        """Return whether bytes of releases may still come: they are stored after their records."""
        window = WAIT_FOR_RELEASES * self.terms.task.propose_window
        if seen.live.masked is None or seen.now >= seen.round.attest_close + window:
            return False
        held = gather_releases(self.context, self.terms, seen.past, seen.live)
        return len(held) < len(name_releases(seen.live, seen.past.holders))

    def _put_off(self, seen: Observation, reason: str) -> bool:
        """Leave proposing to who holds more releases; look again later, for they may come."""
        self._later = Timestamp(seen.now + RETRY)
        self.context.notify("cannot-propose", seen.round.round, 0.0, detail=reason)
        return False

    def _can_bond(self, seen: Observation) -> bool:
        """Return whether the free stake covers the bond; if not, report it once a round."""
        free, bond = get_free_stake(self.context), self.terms.task.proposal_bond
        number = seen.round.round
        if free < bond and self._unbonded != number:
            self._unbonded = number
            values = {"free": free / ETHER, "bond": bond / ETHER}
            self.context.notify("bond-too-high", number, 0.0, values=values)
        return free >= bond

    def propose_result(self, seen: Observation, result: RoundResult) -> None:
        """Publish a result, then propose it: a proposal never names what is not stored."""
        publish_result(self.context, result, Version(seen.round.parent_version + 1))
        number = seen.round.round
        self.context.send(Propose(self.context.task_id, number, result.content), number)


def is_over(seen: Observation, rounds: int) -> bool:
    """Return whether `rounds` rounds were opened and the last has ended."""
    return seen.round.round >= rounds and seen.round.outcome is not Outcome.NONE
