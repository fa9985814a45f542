"""The validator: holds the blobs, re-executes the round, judges the model, votes.

It answers two questions. Is the result what the updates add up to? It computes the result
itself and compares digests. Is the model good enough? It measures it on data that nobody else
has, which is a judgement and never slashes.
"""

from dataclasses import dataclass, field, replace

from flchain.crypto.secagg.errors import TooFewShares
from flchain.learning.data import Dataset
from flchain.learning.evaluation import Evaluation, is_good_enough
from flchain.learning.export import get_model_arrays
from flchain.learning.parameters import State
from flchain.learning.personalisation import evaluate_shared
from flchain.learning.randomness import derive_seed
from flchain.learning.training import Trainer
from flchain.protocol.calls import Attest, CastVote, Endorse
from flchain.protocol.digests import encode_bitmap
from flchain.protocol.errors import ProtocolError
from flchain.protocol.events import ProposalSubmitted, UpdateSubmitted
from flchain.protocol.records import Content, Vote
from flchain.protocol.types import (
    ZERO_DIGEST,
    Digest,
    Phase,
    Reason,
    Role,
    RoundId,
    Verdict,
    Version,
)
from flchain.roles.archive import MalformedPayload
from flchain.roles.assembly import (
    assemble_round,
    build_inputs,
    compute_own_content_id,
    fetch_state,
    publish_result,
)
from flchain.roles.context import Context
from flchain.roles.drawing import Drawing, is_seated
from flchain.roles.duties import is_entitled
from flchain.roles.execution import RoundResult, fetch_update
from flchain.roles.masked.checking import Checker
from flchain.roles.observation import Observation, is_overtaken
from flchain.roles.reports import Findings, publish_report
from flchain.roles.retention import name_round_pin, release_old
from flchain.roles.scores import Judge, is_scored, publish_scores
from flchain.roles.tags import Auditing, compute_tag, get_seed
from flchain.roles.terms import Terms, seal_initial_state
from flchain.roles.upkeep import Upkeep
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

WAIT_FOR_BLOBS = 0.5
"""Part of the ATTEST window to wait for missing blobs before attesting the others."""


@dataclass
class Validator:
    """One member of the committee, with its own held-out data."""

    context: Context
    terms: Terms
    trainer: Trainer
    held_out: Dataset
    upkeep: Upkeep | None = None
    drawing: Drawing | None = None
    """Takes part in draws; without it the validator attests, and sits where all do."""
    _auditing: Auditing | None = None
    _checker: Checker | None = None
    _quality: dict[Digest, Evaluation] = field(default_factory=dict)

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was done."""
        try:
            acted = self._act(seen)
        except ProtocolError as error:
            if not is_overtaken(error):
                raise
            acted = False
        return acted or (self.upkeep is not None and self.upkeep.tick(seen))

    def endorse(self) -> None:
        """Accept the task; see the function of this name."""
        endorse(self.context, self.terms)

    def _act(self, seen: Observation) -> bool:
        if self._check(seen):
            return True
        if seen.phase is Phase.SEAT:
            return self.drawing is not None and self.drawing.tick(seen)
        if seen.phase is Phase.VOTE and self._vote(seen):
            return True
        return seen.phase is not Phase.NONE and self._audit(seen)

    def _check(self, seen: Observation) -> bool:
        """Attest what is due in this phase."""
        if not self.terms.policy.is_secure:
            return seen.phase is Phase.ATTEST and self._attest(seen)
        if self._checker is None:
            self._checker = Checker(self.context, self.terms)
        return self._checker.tick(seen)

    def _audit(self, seen: Observation) -> bool:
        if self._auditing is None:
            self._auditing = Auditing(self.context, self.terms)
        return self._auditing.tick(seen)

    def _attest(self, seen: Observation) -> bool:
        attested = seen.live.attested.get(self.context.signer.address)
        if attested is not None and len(attested) == len(seen.live.submissions):
            return False
        if not is_entitled(self.context, seen, Role.VALIDATOR):
            return False
        start = self.context.stopwatch()
        held = frozenset(s.index for s in seen.live.submissions if self._is_held(seen, s))
        self.context.notify("check", seen.round.round, self.context.stopwatch() - start)
        is_new = attested is None or bool(held - attested)
        if not is_new or (len(held) < len(seen.live.submissions) and not self._is_late(seen)):
            return False
        if is_scored(self.terms):
            self._score(seen, [s for s in seen.live.submissions if s.index in held])
        bitmap = encode_bitmap(held, len(seen.live.submissions))
        number = seen.round.round
        # Kept before it is promised: who attests must serve until the policy lets go.
        digests = [s.digest for s in seen.live.submissions if s.index in held]
        self.context.archive.pin(digests, name_round_pin(self.context, number))
        self.context.send(Attest(self.context.task_id, number, bitmap), number)
        release_old(self.context, self.terms, seen)
        return True

    def _score(self, seen: Observation, held: list[UpdateSubmitted]) -> None:
        """Sign and publish what the updates contributed, for whoever proposes."""
        start = self.context.stopwatch()
        digest = seen.past.versions[seen.round.parent_version].state_digest
        state = fetch_state(self.context.archive, digest, self.terms)
        judge = Judge(self.trainer, self.held_out, state, seen.past, seen.round.round)
        publish_scores(self.context, self.terms, judge, held)
        self.context.notify("score", seen.round.round, self.context.stopwatch() - start)

    def _is_held(self, seen: Observation, submission: UpdateSubmitted) -> bool:
        """Return whether every byte behind a submission is here, well-formed or not."""
        key = self.context.get_round_key(seen.round.round)
        try:
            fetch_update(self.terms, key, submission, self.context.archive)
        except MalformedPayload:
            return True
        except (ContentUnavailable, ContentCorrupt):
            return False
        return True

    def _is_late(self, seen: Observation) -> bool:
        window = seen.round.attest_close - seen.round.submit_close
        return seen.now >= seen.round.submit_close + WAIT_FOR_BLOBS * window

    def _vote(self, seen: Observation) -> bool:
        proposal = seen.live.final_proposal
        voter = self.context.signer.address
        has_voted = any(
            vote.validator == voter and vote.attempt == proposal.attempt for vote in seen.live.votes
        )
        if has_voted or proposal.proposer == voter or not is_seated(self.context, seen):
            return False
        if not is_entitled(self.context, seen, Role.VALIDATOR):
            return False
        found = self._judge(seen, proposal)
        publish_report(self.context, self.terms, seen.live, proposal, found)
        number = seen.round.round
        self.context.send(CastVote(self.context.task_id, number, found.vote), number)
        return True

    def _judge(self, seen: Observation, proposal: ProposalSubmitted) -> Findings:
        try:
            result = assemble_round(self.context, self.terms, seen.past, seen.live, proposal)
        except (ContentUnavailable, ContentCorrupt, TooFewShares):
            return Findings(Vote(proposal.proposal_id, Verdict.DATA_MISSING))
        tag = self._compute_tag(seen, proposal, result)
        reason = compare_content(result.content, proposal.content)
        if reason is not Reason.NONE:
            own = compute_own_content_id(self.context, self.terms, seen.live, result)
            vote = Vote(proposal.proposal_id, Verdict.WRONG, reason, own, exec_tag=tag)
            return Findings(vote, result)
        publish_result(self.context, result, Version(seen.round.parent_version + 1))
        found = self._judge_quality(seen, proposal, result)
        return replace(found, vote=replace(found.vote, exec_tag=tag))

    def _compute_tag(
        self, seen: Observation, proposal: ProposalSubmitted, result: RoundResult
    ) -> Digest:
        """Return the vote's execution tag; zero where nobody was drawn."""
        seed = get_seed(seen.live, proposal.attempt)
        if seed == ZERO_DIGEST:
            return ZERO_DIGEST
        return compute_tag(
            self.terms,
            build_inputs(self.context, self.terms, seen.past, seen.live),
            self.context.archive,
            weights=result.counted.weights,
            proposal_id=proposal.proposal_id,
            seed=seed,
            validator=self.context.signer.address,
        )

    def _judge_quality(
        self, seen: Observation, proposal: ProposalSubmitted, result: RoundResult
    ) -> Findings:
        if result.counted.fault:
            # There is no sum to judge: the round ends without a version, and nobody is at fault.
            return Findings(Vote(proposal.proposal_id, Verdict.WORSE), result)
        start = self.context.stopwatch()
        parent_digest = seen.past.versions[seen.round.parent_version].state_digest
        parent = self._evaluate(parent_digest, None)
        candidate = self._evaluate(result.state.digest, result.next_state)
        self.context.notify(
            "evaluate",
            seen.round.round,
            self.context.stopwatch() - start,
            values={"accuracy": candidate.accuracy, "loss": candidate.loss},
        )
        tolerance = self.terms.policy.quality.tolerance_bps
        is_good = is_good_enough(candidate.accuracy_bps, parent.accuracy_bps, tolerance)
        verdict = Verdict.APPROVE if is_good else Verdict.WORSE
        vote = Vote(proposal.proposal_id, verdict, quality=candidate.accuracy_bps)
        return Findings(vote, result, parent, candidate)

    def _evaluate(self, digest: Digest, state: State | None) -> Evaluation:
        """Return the quality of a version on the held-out data; each is measured once."""
        if digest not in self._quality:
            state = state or fetch_state(self.context.archive, digest, self.terms)
            arrays = get_model_arrays(state, self.terms.policy)
            policy = self.terms.policy
            seed = derive_seed(policy.seed, "judgement", self.context.signer.address.lower())
            self._quality[digest] = evaluate_shared(
                self.trainer, arrays, self.held_out, policy, seed
            )
        return self._quality[digest]


def endorse(context: Context, terms: Terms) -> None:
    """Accept a task's policy and version 0, after deriving version 0 from the policy.

    The contract refuses with WrongEndorsement if the task's version 0 is another one.
    """
    initial = seal_initial_state(terms.policy)
    context.archive.publish(initial, f"task/{context.task_id}/version/0")
    call = Endorse(context.task_id, terms.task.policy_digest, initial.digest)
    context.send(call, RoundId(0))


def compare_content(own: Content, proposed: Content) -> Reason:
    """Return the first part of a proposal that differs from one's own result.

    The survivor set is not compared: the contract computes it.
    """
    if own.aggregate_root != proposed.aggregate_root:
        return Reason.WRONG_AGGREGATE
    if own.state_digest != proposed.state_digest:
        return Reason.WRONG_MODEL
    if (own.reward_root, own.reward_total) != (proposed.reward_root, proposed.reward_total):
        return Reason.WRONG_REWARD
    return Reason.NONE
