"""The validator in a masked round: checks keys, shares and vectors, and attests what it holds.

It counts as joined only whose message it had while agents waited for it. Somebody who showed its
keys to nobody until they had dealt could else accuse everybody of having sent it no share.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from flchain.crypto.secagg.complaints import decode_complaint, verify_complaint
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import Sharing, is_dealt_to
from flchain.learning.cohorts import is_in_cohort
from flchain.protocol.calls import AttestRecords
from flchain.protocol.digests import encode_bitmap
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.events import ComplaintPosted
from flchain.protocol.types import ZERO_DIGEST, Address, Phase, Role, RoundId, Seconds
from flchain.roles.archive import MalformedPayload
from flchain.roles.context import Context
from flchain.roles.duties import is_entitled
from flchain.roles.masked.blobs import Messages
from flchain.roles.masked.groups import Grouping, group_round
from flchain.roles.masked.keyring import Keyring
from flchain.roles.masked.participant import WAIT_FOR_KEYS
from flchain.roles.masked.rosters import Joined, JoinReader, build_round_roster
from flchain.roles.masked.standing import Standing, choose_left_out
from flchain.roles.masked.unmasking import read_sharing, read_vector
from flchain.roles.observation import Observation
from flchain.roles.retention import name_round_pin, release_old
from flchain.roles.terms import Terms
from flchain.storage.errors import ContentCorrupt, ContentUnavailable

_NO_ROUND = RoundId(0)
WAIT_FOR_BLOBS = 0.5
"""Part of a window to wait for missing blobs before attesting the others."""


@dataclass(frozen=True)
class Checked:
    """The places whose blobs are here and right, and whether others may still come."""

    good: frozenset[int]
    missing: bool


Check = Callable[[Observation], Checked]
_ATTESTED = {Phase.CHECK: Phase.SHARES, Phase.ATTEST: Phase.SUBMIT}


@dataclass
class Checker:
    """One validator's part in the masked rounds of one task."""

    context: Context
    terms: Terms
    _reader: JoinReader | None = None
    _timely: dict[RoundId, frozenset[Address]] = field(default_factory=dict)
    _shared: set[tuple[RoundId, Address]] = field(default_factory=set)
    """Whose sharing was here before complaints closed."""
    _listened: RoundId = _NO_ROUND
    """The newest round in which it looked while complaints were open."""
    _keyring: Keyring | None = None
    _standing: Standing | None = None

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was sent."""
        if seen.now < seen.masked.opens_at or seen.masked.anchor == ZERO_DIGEST:
            return False
        if seen.phase is Phase.SHARES:
            self._note_timely(seen)
            self._note_shared(seen)
            return False
        if seen.phase is Phase.CHECK:
            if seen.now >= seen.masked.opens_at + self.terms.task.forced_window:
                return self._attest(seen, self._check_shares)
            self._listened = seen.round.round
            self._note_shared(seen)
            return False
        return seen.phase is Phase.ATTEST and self._attest(seen, self._check_vectors)

    def _attest(self, seen: Observation, check: Check) -> bool:
        """Attest what is new; wait for the missing while there is time."""
        phase = Phase(seen.phase)
        given = seen.masked_past.attested.get(phase, {}).get(self.context.signer.address)
        wanted = seen.masked_past.get_set(_ATTESTED[phase])
        if given is not None and given >= wanted:
            return False
        if not is_entitled(self.context, seen, Role.VALIDATOR):
            return False
        start = self.context.stopwatch()
        found = check(seen)
        self.context.notify("check", seen.round.round, self.context.stopwatch() - start)
        is_new = given is None or bool(found.good - given)
        if not is_new or (found.missing and not self._is_late(seen)):
            return False
        self._send(seen, phase, found.good)
        return True

    def _send(self, seen: Observation, phase: Phase, good: frozenset[int]) -> None:
        """Keep the blobs of these places, then promise to serve them."""
        number, past = seen.round.round, seen.masked_past
        phases = (Phase.JOIN, Phase.SHARES) if phase is Phase.CHECK else (Phase.SUBMIT,)
        digests = [past.get_records(each)[place] for each in phases for place in sorted(good)]
        self.context.archive.pin(digests, name_round_pin(self.context, number))
        bitmap = encode_bitmap(good, seen.masked.places)
        task_id, anchor = self.context.task_id, seen.masked.anchor
        self.context.send(AttestRecords(task_id, number, phase, anchor, bitmap), number)
        release_old(self.context, self.terms, seen)

    def _note_timely(self, seen: Observation) -> None:
        """Read the keys of all who joined, and remember who showed them in time."""
        number, window = seen.round.round, self.terms.task.shares_window
        is_late = seen.now >= seen.masked.opens_at + WAIT_FOR_KEYS * window
        if not (is_late and number in self._timely):
            self._timely[number] = frozenset(self._read_joined(seen).found)

    def _note_shared(self, seen: Observation) -> None:
        """Remember whose sharing is here while complaints can still be made."""
        messages, number = self._messages(seen), seen.round.round
        for agent, digest in seen.name_records(Phase.SHARES).items():
            if (number, agent) in self._shared:
                continue
            try:
                messages.fetch(agent, Phase.SHARES, digest)
            except (ContentUnavailable, ContentCorrupt):
                continue
            except MalformedPayload:
                pass
            self._shared.add((number, agent))

    def _is_shared_in_time(self, seen: Observation, agent: Address) -> bool:
        """Return whether a sharing counts; every one does where nobody looked in time."""
        number = seen.round.round
        return self._listened != number or (number, agent) in self._shared

    def _check_shares(self, seen: Observation) -> Checked:
        reader = self._read_joined(seen)
        timely = self._timely.get(seen.round.round, frozenset(reader.found))
        self._timely = {seen.round.round: timely}
        honest = {agent: reader.found[agent] for agent in timely if agent in reader.found}
        counted = self._select_joined(seen, honest)
        roster = self._build_roster(seen, counted)
        sharings, is_short = self._read_sharings(seen, roster)
        convicted, is_open = self._convict(seen, roster, sharings)
        right = sharings.keys() - convicted - find_undealt(roster, sharings)
        members = right - self._find_unwanted(seen, right)
        good = {seen.find_place(agent) for agent in members}
        return Checked(frozenset(p for p in good if p is not None), missing=is_short or is_open)

    def _find_unwanted(self, seen: Observation, right: AbstractSet[Address]) -> frozenset[Address]:
        """Return whom to leave out although all of its messages are right.

        In the second sum of a version whoever makes the two sets too unlike. Else who was in
        failing groups too often, which would do that.
        """
        policy, grouping = self.terms.policy, self._group(seen)
        if grouping.first:
            return grouping.find_unfit(right)
        if self._standing is None:
            self._standing = Standing(self.context)
        suspects = self._standing.find_suspects(seen)
        parts = [group & right for group in grouping.groups]
        # No more than may be corrupt: who spoils a victim's groups alone makes a suspect of it.
        most = max(1, policy.masking.max_corrupt)
        return choose_left_out(suspects, parts, policy.min_survivors, most=most)

    def _group(self, seen: Observation) -> Grouping:
        seed = seen.masked_past.anchors[Phase.SHARES]
        return group_round(self.terms.policy, seen.past, seen.round.round, seed)

    def _select_joined(
        self, seen: Observation, found: Mapping[Address, Joined]
    ) -> dict[Address, Joined]:
        """Return those of the round's cohort whose keys are new."""
        key, policy = self.context.get_round_key(seen.round.round), self.terms.policy
        invited = {agent: each for agent, each in found.items() if is_in_cohort(policy, key, agent)}
        if self._keyring is None:
            self._keyring = Keyring(self.context)
        used = self._keyring.find_used(seen.round.round, invited)
        return {agent: each for agent, each in invited.items() if agent not in used}

    def _build_roster(self, seen: Observation, joined: Mapping[Address, Joined]) -> Roster:
        keys = {agent: each.keys for agent, each in joined.items()}
        everybody, seed = seen.name_records(Phase.JOIN), seen.masked_past.anchors[Phase.SHARES]
        origin, groups = self._messages(seen).origin, self._group(seen).groups
        return build_round_roster(self.terms, origin, everybody, keys, seed=seed, groups=groups)

    def _read_sharings(
        self, seen: Observation, roster: Roster
    ) -> tuple[dict[Address, Sharing], bool]:
        """Return the well-formed sharings of who joined well, and whether some are missing."""
        found: dict[Address, Sharing] = {}
        missing, messages = False, self._messages(seen)
        for agent, digest in seen.name_records(Phase.SHARES).items():
            if agent not in roster.keys or not self._is_shared_in_time(seen, agent):
                continue
            try:
                found[agent] = read_sharing(messages, roster, agent, digest)
            except (ContentUnavailable, ContentCorrupt):
                missing = True
            except (EncodingError, ProofError):
                continue
        return found, missing

    def _convict(
        self, seen: Observation, roster: Roster, sharings: Mapping[Address, Sharing]
    ) -> tuple[frozenset[Address], bool]:
        """Return the senders against whom there is evidence, and whether some is missing."""
        guilty: set[Address] = set()
        missing = False
        for complaint in seen.masked_past.complaints:
            try:
                if self._is_proven(seen, roster, sharings, complaint):
                    guilty.add(seen.past.holders[complaint.accused])
            except (AdapterError, ContentCorrupt):
                missing = True
        return frozenset(guilty), missing

    def _is_proven(
        self,
        seen: Observation,
        roster: Roster,
        sharings: Mapping[Address, Sharing],
        complaint: ComplaintPosted,
    ) -> bool:
        """Return what the evidence shows. Raises AdapterError or ContentCorrupt without it."""
        accuser, dealer = complaint.agent, seen.past.holders[complaint.accused]
        if accuser not in roster.keys or dealer not in sharings:
            return False
        try:
            data = self._messages(seen).fetch(accuser, Phase.CHECK, complaint.digest)
            evidence = decode_complaint(roster, accuser, data)
        except ContentCorrupt:
            raise
        except (EncodingError, ProofError):
            return False
        if evidence.dealer != dealer:
            return False
        verdict = verify_complaint(roster, accuser, evidence, sharings[dealer])
        return verdict.guilty == dealer

    def _check_vectors(self, seen: Observation) -> Checked:
        messages, missing = self._messages(seen), False
        good: dict[Address, int] = {}
        for submission in seen.live.submissions:
            try:
                read_vector(messages, submission)
            except (ContentUnavailable, ContentCorrupt):
                missing = True
            except (MalformedPayload, EncodingError):
                continue
            else:
                good[submission.agent] = submission.index
        # Whoever submitted nothing may have made the sets of two sums too unlike.
        unfit = self._group(seen).find_unfit(good.keys())
        kept = frozenset(place for agent, place in good.items() if agent not in unfit)
        return Checked(kept, missing)

    def _read_joined(self, seen: Observation) -> JoinReader:
        messages = self._messages(seen)
        if self._reader is None or self._reader.messages != messages:
            self._reader = JoinReader(messages)
        self._reader.read_all(seen.name_records(Phase.JOIN))
        return self._reader

    def _is_late(self, seen: Observation) -> bool:
        task = self.terms.task
        if seen.phase is Phase.CHECK:
            start = task.forced_window
            window = Seconds(task.check_window - start)
        else:
            start, window = Seconds(0), task.attest_window
        return seen.now >= seen.masked.opens_at + start + WAIT_FOR_BLOBS * window

    def _messages(self, seen: Observation) -> Messages:
        origin = self.context.get_origin(seen.round.round)
        return Messages(self.terms, self.context.archive, origin)


def find_undealt(roster: Roster, sharings: Mapping[Address, Sharing]) -> frozenset[Address]:
    """Return who is to be left out where zeros stand for shares.

    Of half of its dealers or more: the holder, who did not show them its keys in time. And then
    dealers of whose secrets fewer than t others have a share.
    """
    neighbours = roster.graph.neighbours
    holders = {
        holder
        for holder in roster.keys
        if (dealers := [each for each in neighbours[holder] if each in sharings])
        and 2 * sum(is_dealt_to(roster, each, holder, sharings[each]) for each in dealers)
        <= len(dealers)
    }
    left = roster.keys.keys() - holders
    dealers_out = {
        dealer
        for dealer, sharing in sharings.items()
        if sum(
            is_dealt_to(roster, dealer, holder, sharing)
            for holder in neighbours[dealer]
            if holder in left
        )
        < roster.threshold
    }
    return frozenset(holders | dealers_out)
