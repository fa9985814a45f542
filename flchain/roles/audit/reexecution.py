"""Every round again, from the updates' CIDs: is the result what they add up to?"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flchain.learning.aggregation import Aggregate, compute_initial_state, verify_update
from flchain.learning.parameters import State
from flchain.protocol.contribution import SignedScores
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.events import ProposalSubmitted, UpdateSubmitted
from flchain.protocol.types import Address, Digest, Outcome, RoundId, Version
from flchain.roles.archive import Archive
from flchain.roles.assembly import fetch_state
from flchain.roles.audit.claims import audit_claims
from flchain.roles.audit.diagnosis import Dispute, explain_content
from flchain.roles.audit.evidence import Evidence
from flchain.roles.audit.report import Findings
from flchain.roles.execution import (
    RoundInputs,
    RoundResult,
    compute_attesters,
    compute_survivors,
    execute_round,
    fetch_update,
)
from flchain.roles.history import RoundPast
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.inputs import (
    UnlistedReleases,
    build_masked_inputs,
    read_listed_releases,
)
from flchain.roles.masked.unmasking import read_vector
from flchain.roles.scores import is_scored, read_recorded_scores
from flchain.roles.terms import Terms, seal_initial_state
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

_WITH_RESULT = (Outcome.FINALIZED, Outcome.REJECTED_QUALITY)

Progress = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and of how much."""


@dataclass
class Reexecution:
    """One audit of a task's rounds; `parent` is the newest version that was derived here."""

    evidence: Evidence
    terms: Terms
    archive: Archive
    findings: Findings
    is_partial: bool = False
    """Whether rounds are left out on purpose."""
    parent: tuple[Version, State] | None = None

    def audit_initial(self) -> None:
        """Derive version 0 from the policy and compare it with what the chain recorded."""
        sealed = seal_initial_state(self.terms.policy)
        recorded = self.evidence.past.versions.get(Version(0))
        if recorded is None or recorded.state_digest != sealed.digest:
            found = "nothing" if recorded is None else recorded.state_digest.hex()
            self.findings.failed(
                "version 0",
                f"the policy gives {sealed.digest.hex()}, the chain recorded {found}",
            )
            return
        self.parent = (Version(0), compute_initial_state(self.terms.policy))
        self.findings.passed("version 0", "derived anew from the policy's seed, same digest")

    def audit_round(self, number: RoundId) -> None:
        """Execute one round again and compare everything that its proposal claims."""
        past = self.evidence.past.rounds[number]
        if past.outcome not in _WITH_RESULT:
            self._audit_fruitless(past)
            return
        result = self._execute(past)
        if result is not None:
            is_right = self._compare(past, result)
            audit_claims(self.evidence, past, result, self.findings)
            self._audit_slashed(past, result)
            if is_right and past.outcome is Outcome.FINALIZED:
                version = Version(past.opened.parent_version + 1)
                self.parent = (version, result.next_state)
                return
        if past.outcome is Outcome.FINALIZED:
            self.parent = None

    def _audit_fruitless(self, past: RoundPast) -> None:
        """Note a round without result; a bond may have been burned in it all the same."""
        number = past.opened.round
        state = "is still live" if past.outcome is Outcome.NONE else f"ended {past.outcome.name}"
        self.findings.noted("result", f"none to execute again, the round {state}", number)
        if self.evidence.get_slashed(number):
            result = self._execute(past)
            if result is not None:
                self._audit_slashed(past, result)

    def _execute(
        self, past: RoundPast, proposal: ProposalSubmitted | None = None
    ) -> RoundResult | None:
        """Return the round's true result; None, with the reason recorded, if there is none.

        Where contributions are scored, or updates masked, it follows from the scores or releases
        that `proposal` recorded, by default the last one.
        """
        parent = self._get_parent(past)
        if parent is None or not self._check_updates(past):
            return None
        number, version = past.opened.round, past.opened.parent_version
        inputs = RoundInputs(
            round=number,
            round_key=self.evidence.get_round_key(number),
            parent_digest=self.evidence.past.versions[version].state_digest,
            parent=parent,
            survivors=compute_survivors(past),
            attesters=compute_attesters(past),
            scores=self._read_scores(past, proposal or past.final_proposal),
            validators=past.opened.validators,
            masked=build_masked_inputs(
                self.evidence.get_origin(number),
                self.terms.policy,
                self.evidence.past,
                past,
                self._read_releases(past, proposal or past.final_proposal),
            ),
        )
        try:
            return execute_round(self.terms, inputs, self.archive, self.evidence.ids)
        except (AdapterError, EncodingError, ProofError) as error:
            if inputs.masked is None:
                raise
            report = self.findings.failed if proposal is None else self.findings.noted
            report("masked sum", f"it can't be unmasked here: {error}", number)
            return None

    def _read_releases(
        self, past: RoundPast, proposal: ProposalSubmitted
    ) -> dict[Address, Digest] | None:
        """Return the releases that a proposal counts; all that were posted if it lists none."""
        try:
            return read_listed_releases(self.archive, self.evidence.past.holders, past, proposal)
        except (ContentUnavailable, ContentCorrupt, UnlistedReleases):
            return None

    def _read_scores(
        self, past: RoundPast, proposal: ProposalSubmitted
    ) -> tuple[SignedScores, ...]:
        """Return the scores in a proposal's record; none if it can't be had."""
        origin = (self.evidence.ids, self.evidence.get_round_key(past.opened.round))
        try:
            return read_recorded_scores(self.archive, self.terms, past, proposal, origin)
        except (ContentUnavailable, ContentCorrupt):
            return ()

    def _get_parent(self, past: RoundPast) -> State | None:
        """Return the version that the round trained from: derived here, or else as published."""
        version, number = past.opened.parent_version, past.opened.round
        if self.parent is not None and self.parent[0] == version:
            return self.parent[1]
        subject = f"version {version}"
        recorded = self.evidence.past.versions.get(version)
        if recorded is None:
            self.findings.failed(subject, "the round's parent was never published", number)
            return None
        try:
            state = fetch_state(self.archive, recorded.state_digest, self.terms)
        except (ContentUnavailable, ContentCorrupt, EncodingError, ProofError) as error:
            self.findings.failed(subject, f"the round's parent can't be had: {error}", number)
            return None
        why = "audit all rounds to go back to version 0" if self.is_partial else "see above"
        self.findings.noted(subject, f"parent taken as published, not derived anew: {why}", number)
        self.parent = (version, state)
        return state

    def _check_updates(self, past: RoundPast) -> bool:
        """Fetch every surviving update, block by block; return whether all could be had."""
        number, survivors = past.opened.round, compute_survivors(past)
        verdicts = [self._check_update(number, item) for item in survivors]
        if None in verdicts:
            return False
        left_out = len(past.submissions) - len(survivors)
        unit = "masked vectors add up" if past.masked else "count"
        text = f"{sum(map(bool, verdicts))} of {len(survivors)} {unit}"
        text += f", {left_out} left out for missing" if left_out else ""
        self.findings.passed("updates", f"{text}; fetched by CID, every block hashed", number)
        return True

    def _check_update(self, number: RoundId, item: UpdateSubmitted) -> bool | None:
        """Return whether an update counts; None if it can't be had."""
        subject = f"update {item.index} of {item.agent}"
        try:
            self._read_update(number, item)
        except (ContentUnavailable, ContentCorrupt) as error:
            self.findings.failed(subject, f"manifest {item.digest.hex()}: {error}", number)
            return None
        except EncodingError as error:
            self.findings.noted(subject, f"counts for nothing: {error}", number)
            return False
        return True

    def _read_update(self, number: RoundId, item: UpdateSubmitted) -> None:
        """Fetch and check one update. Raises what is wrong with it."""
        if self.terms.policy.is_secure:
            messages = Messages(self.terms, self.archive, self.evidence.get_origin(number))
            read_vector(messages, item)
            return
        key, agent = self.evidence.get_round_key(number), item.agent
        data = fetch_update(self.terms, key, item, self.archive)
        verify_update(data, self.terms.policy, round_key=key, agent=agent, weight=item.weight)

    def _compare(self, past: RoundPast, result: RoundResult) -> bool:
        """Compare the accepted proposal with the true result; return whether it is right."""
        number, proposal = past.opened.round, past.final_proposal
        ids = self.evidence.compute_ids(past, proposal)
        if ids != (proposal.content_id, proposal.proposal_id):
            self.findings.failed("proposal id", "it does not bind this content", number)
        self._compare_version(past, proposal)
        if result.content == proposal.content:
            self.findings.passed("result", _describe_result(past, result.counted), number)
            return True
        dispute = Dispute(self.terms, self.archive, self.evidence, past, result, proposal.content)
        for subject, detail in explain_content(dispute, self._read_version):
            self.findings.failed(subject, detail, number)
        return False

    def _compare_version(self, past: RoundPast, proposal: ProposalSubmitted) -> None:
        """Compare what was published as the new version with what was voted on."""
        if past.outcome is not Outcome.FINALIZED:
            return
        number, version = past.opened.round, Version(past.opened.parent_version + 1)
        published = self.evidence.past.versions.get(version)
        expected: tuple[RoundId, Digest, Digest] = (
            number,
            proposal.content.state_digest,
            proposal.proposal_id,
        )
        found = published and (published.round, published.state_digest, published.proposal_id)
        if found != expected:
            detail = f"version {version} was not published by this round's proposal"
            self.findings.failed("lineage", detail, number)

    def _audit_slashed(self, past: RoundPast, result: RoundResult) -> None:
        """Find bonds that were burned although the proposal was right."""
        number = past.opened.round
        for proposal in self.evidence.get_slashed(number):
            subject = f"slashed bond of {proposal.proposer}"
            has_choices = is_scored(self.terms) or past.masked is not None
            own = self._execute(past, proposal) if has_choices else result
            if own is not None and proposal.content == own.content:
                text = f"its proposal of attempt {proposal.attempt} was right"
                self.findings.failed(subject, text, number)
            else:
                text = f"its proposal of attempt {proposal.attempt} was wrong indeed"
                self.findings.passed(subject, text, number)

    def _read_version(self, version: Version) -> State | None:
        """Return a published version for comparison, if it can be had."""
        if version == 0:
            return compute_initial_state(self.terms.policy)
        recorded = self.evidence.past.versions[version].state_digest
        try:
            return fetch_state(self.archive, recorded, self.terms)
        except (AdapterError, EncodingError, ProofError):
            return None


def _describe_result(past: RoundPast, counted: Aggregate) -> str:
    """Return in words what a right result is: the sum and the groups in it, or a fault."""
    if counted.fault:
        return counted.fault
    masks = "masks off, the commitments open: " if past.masked else ""
    text = f"{masks}sum of weight {counted.total_weight}"
    if len(counted.groups) > 1:
        faults = [group.fault for group in counted.groups if group.fault]
        good = len(counted.groups) - len(faults)
        text += f" of {good} of {len(counted.groups)} groups"
        text += f" ({', '.join(faults)})" if faults else ""
    return f"{text}, state and rewards"


def audit_rounds(audit: Reexecution, rounds: Collection[RoundId], progress: Progress) -> None:
    """Execute `rounds` again, in order."""
    audit.audit_initial()
    for done, number in enumerate(sorted(rounds)):
        progress("execute rounds again", done, len(rounds))
        audit.audit_round(number)
    progress("execute rounds again", len(rounds), len(rounds))
