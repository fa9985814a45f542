"""What an audit argues from: a task's events, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from flchain.chain.base import Ledger, LoggedEvent
from flchain.protocol.digests import (
    chain_submission,
    content_id,
    empty_chain,
    proposal_id,
    round_key,
    survivor_root,
)
from flchain.protocol.errors import ConfigError
from flchain.protocol.events import (
    ProposalSubmitted,
    ProposalVoided,
    RecordPosted,
    RewardClaimed,
    TaskCreated,
)
from flchain.protocol.records import Content, Task
from flchain.protocol.types import Address, Digest, RoundId, TaskId
from flchain.roles.execution import LedgerIds, compute_survivors
from flchain.roles.history import RoundPast, TaskPast, apply_event
from flchain.roles.masked.blobs import Origin
from flchain.roles.masked.past import chain_events


@dataclass(frozen=True)
class Evidence:
    """One task's events in the chain's order, and the deployment that they are of."""

    task_id: TaskId
    chain_id: int
    round_manager: Address
    distributor: Address
    masked_rounds: Address
    events: tuple[LoggedEvent, ...]
    task: Task
    past: TaskPast

    @property
    def ids(self) -> LedgerIds:
        """What a reward leaf binds besides its round."""
        return LedgerIds(self.chain_id, self.distributor)

    def get_round_key(self, number: RoundId) -> Digest:
        """Return the domain value of a round."""
        return round_key(self.chain_id, self.round_manager, self.task_id, number)

    def get_origin(self, number: RoundId) -> Origin:
        """Return where messages and proofs of a masked round count."""
        return Origin(self.chain_id, self.masked_rounds, self.get_round_key(number))

    def find_round(self, block: int) -> RoundId | None:
        """Return the newest round that had opened by a block."""
        opened = [n for n, past in self.past.rounds.items() if past.block <= block]
        return max(opened, default=None)

    def get_claims(self, number: RoundId) -> tuple[RewardClaimed, ...]:
        """Return what was paid for a round."""
        found = (logged.event for logged in self.events)
        return tuple(e for e in found if isinstance(e, RewardClaimed) and e.round == number)

    def get_slashed(self, number: RoundId) -> tuple[ProposalSubmitted, ...]:
        """Return the proposals of a round whose bond was burned."""
        found = (logged.event for logged in self.events)
        attempts = {
            e.attempt
            for e in found
            if isinstance(e, ProposalVoided) and e.round == number and e.is_proven_wrong
        }
        proposals = self.past.rounds[number].proposals
        return tuple(proposal for proposal in proposals if proposal.attempt in attempts)

    def compute_ids(self, past: RoundPast, proposal: ProposalSubmitted) -> tuple[Digest, Digest]:
        """Return the content id and the proposal id that a proposal's content must have."""
        content = self.compute_content_id(past, proposal.content)
        return content, proposal_id(content, proposal.attempt, proposal.proposer)

    def compute_content_id(self, past: RoundPast, content: Content) -> Digest:
        """Return the content id of a result of a round."""
        key = self.get_round_key(past.opened.round)
        chained, count = self._chain_submissions(past)
        indices = [submission.index for submission in compute_survivors(past)]
        root = survivor_root(key, chained, indices, count)
        return content_id(key, root, content, self.task.policy_digest, past.opened.parent_version)

    def _chain_submissions(self, past: RoundPast) -> tuple[int, int]:
        """Return the commitment to a round's submissions and how many numbers they have."""
        number = past.opened.round
        if past.masked is not None:
            return self._chain_records(number), self._count_places(number)
        chained = empty_chain(self.get_round_key(number))
        for item in past.submissions:
            chained = chain_submission(chained, item.agent, item.digest, item.weight)
        return chained, len(past.submissions)

    def _chain_records(self, number: RoundId) -> int:
        """Return the commitment to the records of UNMASK, which covers all those before."""
        events = (each.event for each in self.events if getattr(each.event, "round", 0) == number)
        return chain_events(self.get_round_key(number), events)

    def _count_places(self, number: RoundId) -> int:
        """Return how many places there were when a round ended."""
        events = (logged.event for logged in self.events)
        joins = (e for e in events if isinstance(e, RecordPosted) and e.round <= number)
        return 1 + max((event.place for event in joins), default=-1)


def gather_evidence(ledger: Ledger, task_id: TaskId, events: Sequence[LoggedEvent]) -> Evidence:
    """Sort out the events of one task; nothing else is taken from the ledger but its identity.

    Raises ConfigError if no event creates the task.
    """
    own = tuple(e for e in events if getattr(e.event, "task_id", None) == task_id)
    created = [e.event for e in own if isinstance(e.event, TaskCreated)]
    if not created:
        raise ConfigError(f"there is no task {task_id} on this chain: give the id of another")
    past = TaskPast()
    for logged in own:
        past = apply_event(past, logged)
    return Evidence(
        task_id=task_id,
        chain_id=ledger.chain_id,
        round_manager=ledger.addresses.round_manager,
        distributor=ledger.addresses.reward_distributor,
        masked_rounds=ledger.addresses.masked_rounds,
        events=own,
        task=created[0].task,
        past=past,
    )
