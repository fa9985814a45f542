"""Execution tags: what shows that a voter did the work, and the audits that look.

A tag commits to the weighted sum of half of the round's updates. Which half follows from the
draw's seed and the voter, so one voter's tag is of no use to another, and it cannot be had without
adding up. It is a weighted sum whatever the policy's aggregator is: what it shows is that the voter
read the updates. An auditor that holds them recomputes it. A tag does not show that the voter
looked at the result that it voted on: `docs/committee.md` says what this cannot catch.
"""

from dataclasses import dataclass, field

import numpy as np
from eth_utils.crypto import keccak

from flchain.chain.spec.evidence import is_audited
from flchain.learning.aggregation import count_updates
from flchain.learning.integers import add_scaled
from flchain.learning.schemas import get_update_schema
from flchain.protocol.calls import AuditVote
from flchain.protocol.digests import encode_abi
from flchain.protocol.errors import ProtocolError
from flchain.protocol.events import SeatsOpened, VoteCast
from flchain.protocol.manifest import compute_content_root
from flchain.protocol.records import Audit
from flchain.protocol.reverts import AlreadyAudited, AlreadyPunished
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Digest,
    Phase,
    RoundId,
    Timestamp,
    Verdict,
)
from flchain.roles.archive import Archive
from flchain.roles.assembly import build_inputs
from flchain.roles.context import Context
from flchain.roles.drawing import is_seated
from flchain.roles.execution import RoundInputs, build_submission, read_update
from flchain.roles.history import RoundPast, TaskPast
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.unmasking import sum_vectors
from flchain.roles.observation import Observation
from flchain.roles.terms import Terms
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

LABEL = "flchain.tag.v1"
JUDGED = (Verdict.APPROVE, Verdict.WORSE, Verdict.WRONG)
"""Verdicts that claim to have executed the round."""
RETRY = 30
"""Seconds of block time before a vote that could not be settled is looked at again."""


def get_seed(past: RoundPast, attempt: int) -> Digest:
    """Return the seed of an attempt's draw; zero where nobody was drawn."""
    seeds = [
        event.seed
        for event in past.draws
        if isinstance(event, SeatsOpened) and event.attempt == attempt
    ]
    return seeds[-1] if seeds else ZERO_DIGEST


def choose_half(seed: Digest, validator: Address, count: int) -> tuple[int, ...]:
    """Return the places of the updates that a voter's tag is about: half of them, rounded up."""
    types = ("string", "bytes32", "address", "uint256")

    def rank(place: int) -> bytes:
        return bytes(keccak(encode_abi(types, (LABEL, seed, validator, place))))

    return tuple(sorted(sorted(range(count), key=rank)[: -(-count // 2)]))


def compute_tag(
    terms: Terms,
    inputs: RoundInputs,
    archive: Archive,
    *,
    weights: tuple[int, ...],
    proposal_id: Digest,
    seed: Digest,
    validator: Address,
) -> Digest:
    """Return the execution tag of a vote; `weights` are what the survivors counted for.

    In secure mode the masked vectors are added up as they are, without weights. Raises
    ContentUnavailable or ContentCorrupt if an update can't be had here.
    """
    half = choose_half(seed, validator, len(inputs.survivors))
    if inputs.masked is not None:
        messages = Messages(terms, archive, inputs.masked.origin)
        total = sum_vectors(messages, [inputs.survivors[place] for place in half]).tobytes()
    else:
        total = _sum_half(terms, inputs, archive, {place: weights[place] for place in half})
    types = ("bytes32", "address", "bytes32")
    root = compute_content_root(total)
    return Digest(keccak(encode_abi(types, (proposal_id, validator, root))))


def _sum_half(
    terms: Terms, inputs: RoundInputs, archive: Archive, weights: dict[int, int]
) -> bytes:
    """Return the weighted sum of the updates at some places, section after section."""
    sections = get_update_schema(terms.policy).sections
    sums = {name: np.zeros(size, np.int64) for name, size in sections}
    for place, weight in weights.items():
        if weight:
            update = read_update(terms, inputs.round_key, inputs.survivors[place], archive)
            for name, section in update.sections.items():
                add_scaled(sums[name], section, weight)
    return b"".join(sums[name].astype("<i8").tobytes() for name, _ in sections)


@dataclass
class Auditing:
    """Looks, as a member of the newest committee, at the votes of the one before."""

    context: Context
    terms: Terms
    _done: set[tuple[int, int, Address]] = field(default_factory=set)
    _later: dict[tuple[int, int, Address], Timestamp] = field(default_factory=dict)
    """When to look again at votes that could not be settled."""

    def tick(self, seen: Observation) -> bool:
        """Report one earlier vote whose tag is wrong; return whether there was one."""
        view = seen.draw
        newest = (view.draw.round, view.draw.attempt)
        past = seen.past.rounds.get(view.draw.round)
        # The committee of a draw without a seed, everybody, does not audit.
        is_drawn = past is not None and get_seed(past, view.draw.attempt) != ZERO_DIGEST
        is_settled = view.draw.entries != 0 and seen.phase is not Phase.SEAT
        if seen.round.seats == 0 or not (is_drawn and is_settled):
            return False
        if not is_seated(self.context, seen):
            return False
        for past, vote in list_earlier_votes(seen.past, newest):
            if self._is_due(seen, vote) and self._audit(seen, past, vote):
                return True
        return False

    def _is_due(self, seen: Observation, vote: VoteCast) -> bool:
        name = _name_vote(vote)
        is_own = vote.validator == self.context.signer.address
        if is_own or name in self._done or seen.now < self._later.get(name, 0):
            return False
        key = self.context.get_round_key(vote.round)
        return is_audited(seen.draw.seed, key, vote.attempt, vote.validator)

    def _audit(self, seen: Observation, past: RoundPast, vote: VoteCast) -> bool:
        """Look at a vote; again later, if its updates or this seat's turn are still to come."""
        name, later = _name_vote(vote), Timestamp(seen.now + RETRY)
        try:
            is_reported = self._report(seen.past, past, vote)
        except (ContentUnavailable, ContentCorrupt):
            self._later[name] = later
            return False  # no case without the updates
        except (AlreadyAudited, AlreadyPunished):
            self._done.add(name)
            raise
        except ProtocolError:
            self._later[name] = later
            raise
        self._done.add(name)
        return is_reported

    def _report(self, task: TaskPast, past: RoundPast, vote: VoteCast) -> bool:
        found = self._recompute(task, past, vote)
        claimed = Digest(vote.vote.exec_tag)
        if found == claimed:
            return False
        finding = Audit(vote.round, vote.attempt, vote.validator, claimed, found)
        self.context.send(AuditVote(self.context.task_id, finding), vote.round)
        return True

    def _recompute(self, task: TaskPast, past: RoundPast, vote: VoteCast) -> Digest:
        inputs = build_inputs(self.context, self.terms, task, past)
        return compute_tag(
            self.terms,
            inputs,
            self.context.archive,
            weights=self._count(inputs),
            proposal_id=vote.vote.proposal_id,
            seed=get_seed(past, vote.attempt),
            validator=vote.validator,
        )

    def _count(self, inputs: RoundInputs) -> tuple[int, ...]:
        """Return what the survivors counted for; under masks all count alike."""
        archive, policy = self.context.archive, self.terms.policy
        if inputs.masked is not None:
            return (1,) * len(inputs.survivors)
        submissions = [
            build_submission(self.terms, inputs.round_key, item, archive)
            for item in inputs.survivors
        ]
        return count_updates(submissions, policy, inputs.round_key)


def _name_vote(vote: VoteCast) -> tuple[int, int, Address]:
    return int(vote.round), vote.attempt, vote.validator


def list_earlier_votes(
    task: TaskPast, newest: tuple[RoundId, int]
) -> list[tuple[RoundPast, VoteCast]]:
    """Return the votes of the draw before the `newest`, whose committee audits them.

    A draw that ended without a vote to look at is passed over.
    """
    votes = [
        ((past.opened.round, vote.attempt), past, vote)
        for past in task.rounds.values()
        for vote in past.votes
        if vote.vote.verdict in JUDGED and get_seed(past, vote.attempt) != ZERO_DIGEST
    ]
    earlier = max((draw for draw, *_ in votes if draw < newest), default=None)
    return [(past, vote) for draw, past, vote in votes if draw == earlier]
