"""The agent in a masked round: joins, shares, complains, submits under masks, releases shares.

It acts on what the chain has decided and on nothing that anybody tells it, and names in each record
the set and the block before: on another fork the record is refused. Where that happens, or where
the sets that were fixed are below the task's or its own limits, it sends nothing more in the round.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from flchain.crypto.secagg.complaints import complain, encode_complaint
from flchain.crypto.secagg.keys import (
    Secrets,
    derive_randomness,
    derive_secrets,
    encode_keys,
    prove_keys,
)
from flchain.crypto.secagg.masking import encode_words, mask_input
from flchain.crypto.secagg.releases import Release, encode_release, release_shares
from flchain.crypto.secagg.roster import Roster
from flchain.crypto.secagg.shares import (
    Sharing,
    deal_shares,
    encode_sharing,
    is_dealt_to,
    open_shares,
)
from flchain.crypto.secagg.weights import append_weight, build_opening, commit_weight, encode_weight
from flchain.learning.masked_vectors import build_row
from flchain.learning.parameters import QuantizedUpdate
from flchain.protocol.calls import Complain
from flchain.protocol.errors import AdapterError, EncodingError, ProofError
from flchain.protocol.reverts import StaleView
from flchain.protocol.types import ZERO_DIGEST, Address, Digest, Outcome, Phase, RoundId
from flchain.roles.context import Context
from flchain.roles.masked.blobs import Messages, Origin, join_messages
from flchain.roles.masked.groups import Grouping, group_round
from flchain.roles.masked.posting import DroppedOut, Posting, publish_message
from flchain.roles.masked.rosters import JoinReader, build_round_roster
from flchain.roles.masked.standing import Standing
from flchain.roles.masked.unmasking import encode_blank, read_sharing
from flchain.roles.masked.vault import KeptRecord, Secret, Vault
from flchain.roles.masked.views import verify_view
from flchain.roles.observation import Observation
from flchain.roles.terms import Floors, Terms, count_trusted

WAIT_FOR_KEYS = 0.5
"""Part of the SHARES window to wait for missing keys before dealing without them."""
_NO_ROUND = RoundId(0)


@dataclass
class Participant:
    """One agent's part in the masked rounds of one task."""

    context: Context
    terms: Terms
    vault: Vault
    count_weight: Callable[[], int]
    """Returns the weight of the agent's data, asked for when it joins."""
    make_update: Callable[[Observation], QuantizedUpdate]
    """Trains, bounds, adds noise; called once in a round."""
    is_due: Callable[[Observation], bool]
    """Returns whether the agent may join and wants to."""
    floors: Floors = field(default_factory=Floors)
    is_relayed: bool = False
    """Whether records are offered to relayers, and sent only where none takes them in time."""
    _reader: JoinReader | None = None
    _out: RoundId = _NO_ROUND
    """The newest round that the agent dropped out of."""
    _checked: RoundId = _NO_ROUND
    """The newest round whose shares are all opened, with nothing left to complain about."""
    _wiped: RoundId = _NO_ROUND

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was done."""
        if not _is_masked(seen):
            self._wipe(seen)
            return False
        self._standing.explain_absence(seen)
        is_open = seen.now >= seen.masked.opens_at and seen.masked.anchor != ZERO_DIGEST
        if not is_open or self._out == seen.round.round:
            return False
        try:
            return self._act(seen)
        except (ProofError, EncodingError, StaleView) as error:
            self._drop_out(seen, str(error))
            return False

    def _act(self, seen: Observation) -> bool:
        match seen.phase:
            case Phase.JOIN:
                return self._record(seen, self._join)
            case Phase.SHARES:
                return self._record(seen, self._share)
            case Phase.CHECK:
                return self._check(seen)
            case Phase.SUBMIT:
                return self._record(seen, self._submit)
            case Phase.UNMASK:
                return self._record(seen, self._release)
            case _:
                return False

    def _record(self, seen: Observation, make: Callable[[Observation], bytes | None]) -> bool:
        """Bring this phase's record, made now or written down before, onto the chain."""
        kept = self.vault.get_record(seen.round.round, Phase(seen.phase))
        if kept is None:
            if self._posting.verify_place(seen):
                return True
            kept = self._make(seen, make)
        if kept is None:
            return False
        if kept.anchor != seen.masked.anchor:
            raise DroppedOut("the chain went another way after a record was made")
        return self._posting.post(seen, kept)

    def _make(
        self, seen: Observation, make: Callable[[Observation], bytes | None]
    ) -> KeptRecord | None:
        """Make this phase's record and write it down; None if there is nothing to make yet."""
        number, phase = seen.round.round, Phase(seen.phase)
        if self.vault.is_closed(number):
            raise DroppedOut("the round was over once, and its secrets are gone")
        start = self.context.stopwatch()
        payload = make(seen) if self._belongs(seen) else None
        if payload is None:
            return None
        sealed = self._messages(seen).seal(self._account, phase, payload)
        kept = KeptRecord(seen.masked.anchor, sealed.digest, payload)
        self.vault.keep_record(number, phase, kept)
        self.context.notify(f"make-{phase.name.lower()}", number, self._since(start))
        return kept

    def _belongs(self, seen: Observation) -> bool:
        """Return whether the phase is for this agent, with the secrets that it joined with."""
        if seen.phase is Phase.JOIN:
            return self.is_due(seen)
        number, entitling = seen.round.round, _ENTITLING[Phase(seen.phase)]
        if self._place(seen) not in seen.masked_past.get_set(entitling):
            return False
        kept = self.vault.get_record(number, Phase.JOIN)
        if kept is None or self._find_digest(seen, Phase.JOIN) != kept.digest:
            raise DroppedOut("the journal does not have the secrets of the keys on the chain")
        key, places = self._origin(seen).round_key, len(seen.past.holders)
        verify_view(seen.masked_past, key, seen.masked.anchor, places)
        self._verify_anchors(seen)
        return True

    def _verify_anchors(self, seen: Observation) -> None:
        """Raise DroppedOut if a record of this round was made under another view."""
        for phase, anchor in seen.masked_past.anchors.items():
            kept = self.vault.get_record(seen.round.round, phase)
            if kept is not None and kept.anchor != anchor:
                raise DroppedOut("the chain went another way after a record was made")

    def _join(self, seen: Observation) -> bytes:
        secret = self.vault.begin(seen.round.round, self.count_weight())
        if secret.weight < 1:
            raise DroppedOut("there are no rows to train on")
        proof_context = self._origin(seen).bind(self._account)
        keys = prove_keys(
            derive_secrets(secret.seed, proof_context),
            proof_context,
            derive_randomness(secret.seed, proof_context, "keys"),
        )
        most = self.terms.policy.update.w_max
        commitment, _ = commit_weight(secret.weight, most, proof_context, secret.seed)
        return join_messages(
            encode_keys(keys, proof_context), encode_weight(commitment, proof_context)
        )

    def _share(self, seen: Observation) -> bytes | None:
        missing = self._read_joined(seen)
        if missing and not self._is_late(seen):
            return None
        roster = self._build_roster(seen)
        secret, secrets = self._secrets(seen)
        sharing = deal_shares(roster, self._account, secrets, secret.seed)
        return encode_sharing(roster, self._account, sharing)

    def _check(self, seen: Observation) -> bool:
        """Complain about every bad share that was sent to this agent.

        Not about zeros: their sender had no keys of this agent, and a complaint would make the
        shares public that this agent gave to it.
        """
        closes_at = seen.masked.opens_at + self.terms.task.forced_window
        is_done = self._checked == seen.round.round
        if is_done or seen.now >= closes_at or not self._belongs(seen):
            return False
        roster, secrets, sharings = self._read_sharings(seen, Phase.SHARES)
        dealt = {d: s for d, s in sharings.items() if is_dealt_to(roster, d, self._account, s)}
        _, bad = open_shares(roster, self._account, secrets, dealt)
        known = {c.accused for c in seen.masked_past.complaints if c.agent == self._account}
        due = [dealer for dealer in bad if seen.find_place(dealer) not in known]
        dealers = seen.name_set(Phase.SHARES) & self._get_own(seen) & roster.keys.keys()
        if not due and sharings.keys() == dealers:
            self._checked = seen.round.round
        for dealer in due:
            self._complain(seen, roster, secrets, dealer)
        return bool(due)

    def _complain(
        self, seen: Observation, roster: Roster, secrets: Secrets, dealer: Address
    ) -> None:
        number, secret = seen.round.round, self._secrets(seen)[0]
        bound = self._origin(seen).bind(self._account)
        randomness = derive_randomness(secret.seed, bound, f"complaint/{dealer}")
        complaint = complain(roster, self._account, secrets, dealer, randomness)
        evidence = encode_complaint(roster, self._account, complaint)
        digest = publish_message(self.context, self.terms, number, Phase.CHECK, evidence)
        accused = seen.find_place(dealer)
        if accused is not None:
            call = Complain(self.context.task_id, number, seen.masked.anchor, accused, digest)
            self.context.send(call, number)

    def _submit(self, seen: Observation) -> bytes | None:
        grouping, members = self._group(seen), seen.name_set(Phase.CHECK) & self._get_own(seen)
        if grouping.is_divided and len(members) < grouping.fewest:
            # Nobody can open it, and who sends none pays for that.
            return encode_blank(self.terms.policy)
        self._check_trust(members, "shared")
        if members & self._read_joined(seen):
            return None
        roster = self._build_roster(seen)
        if not members <= roster.keys.keys():
            raise DroppedOut("validators attested keys that are not valid")
        secret, secrets = self._secrets(seen)
        bound, policy = self._origin(seen).bind(self._account), self.terms.policy
        opening = build_opening(secret.weight, bound, secret.seed)
        row = build_row(self.make_update(seen), policy, bound.round_key, secret.weight)
        words = append_weight(row, opening)
        return encode_words(mask_input(roster, self._account, secrets, members, words))

    def _release(self, seen: Observation) -> bytes | None:
        grouping, members = self._group(seen), seen.name_set(Phase.CHECK) & self._get_own(seen)
        survivors = grouping.find_opened(self._account, seen.name_set(Phase.ATTEST))
        if grouping.is_divided and not survivors:
            # Shares would tell on too few; the chain wants a record all the same.
            return encode_release(self._origin(seen).round_key, self._account, Release(()))
        self._check_trust(survivors, "survived")
        roster, secrets, sharings = self._read_sharings(seen, Phase.CHECK)
        if sharings.keys() < members:
            return None
        held, _ = open_shares(roster, self._account, secrets, sharings)
        release = release_shares(roster, self._account, held, members, survivors)
        return encode_release(roster.round_key, self._account, release)

    def _read_sharings(
        self, seen: Observation, phase: Phase
    ) -> tuple[Roster, Secrets, dict[Address, Sharing]]:
        """Return the sharings of this agent's group that can be had and are well-formed."""
        self._read_joined(seen)
        roster = self._build_roster(seen)
        digests, found = seen.name_records(Phase.SHARES), {}
        messages = self._messages(seen)
        for dealer in sorted(seen.name_set(phase) & self._get_own(seen) & roster.keys.keys()):
            try:
                found[dealer] = read_sharing(messages, roster, dealer, digests[dealer])
            except (AdapterError, EncodingError, ProofError):
                continue
        return roster, self._secrets(seen)[1], found

    def _read_joined(self, seen: Observation) -> AbstractSet[Address]:
        """Read the keys of this agent's group; return whose are still missing."""
        messages, own = self._messages(seen), self._get_own(seen)
        if self._reader is None or self._reader.messages != messages:
            self._reader = JoinReader(messages)
        records = seen.name_records(Phase.JOIN)
        return self._reader.read_all({agent: records[agent] for agent in own})

    def _group(self, seen: Observation) -> Grouping:
        """Return how the round is divided."""
        number, seed = seen.round.round, self._get_seed(seen)
        return group_round(self.terms.policy, seen.past, number, seed)

    def _get_own(self, seen: Observation) -> AbstractSet[Address]:
        """Return this agent's group: its masks, its shares and its sum concern nobody else."""
        return self._group(seen).find_group(self._account)

    def _build_roster(self, seen: Observation) -> Roster:
        reader = self._reader or JoinReader(self._messages(seen))
        if self._account in reader.refused:
            raise DroppedOut("the message that this agent joined with is not valid")
        if self._account not in reader.found:
            raise AdapterError(
                "the store does not give back the message that this agent joined with; start it, "
                "or restore what it lost",
                is_retryable=True,
            )
        keys = {agent: each.keys for agent, each in reader.found.items()}
        joined, seed = seen.name_records(Phase.JOIN), self._get_seed(seen)
        groups = self._group(seen).groups
        return build_round_roster(
            self.terms, self._origin(seen), joined, keys, seed=seed, groups=groups
        )

    def _get_seed(self, seen: Observation) -> Digest:
        """Return the seed of groups and graph, which nobody chose."""
        is_first = seen.phase is Phase.SHARES
        return seen.masked.anchor if is_first else seen.masked_past.anchors[Phase.SHARES]

    def _secrets(self, seen: Observation) -> tuple[Secret, Secrets]:
        secret = self.vault.get_secret(seen.round.round)
        if secret is None:
            raise DroppedOut("the journal has no secrets of this round")
        return secret, derive_secrets(secret.seed, self._origin(seen).bind(self._account))

    def _check_trust(self, agents: AbstractSet[Address], verb: str) -> None:
        """Raise DroppedOut unless there are enough agents, and enough that this one knows."""
        fewest = max(self.terms.task.min_survivors, self.floors.min_survivors)
        if len(agents) < fewest:
            raise DroppedOut(f"{len(agents)} agents have {verb}, {fewest} must have")
        known, least = count_trusted(self.floors, agents), self.floors.min_trusted
        if known < least:
            raise DroppedOut(f"{known} agents that you trust have {verb}, you ask for {least}")

    def _is_late(self, seen: Observation) -> bool:
        window = self.terms.task.shares_window
        return seen.now >= seen.masked.opens_at + WAIT_FOR_KEYS * window

    def _drop_out(self, seen: Observation, reason: str) -> None:
        self._out = seen.round.round
        self.context.notify("drop-out", seen.round.round, 0.0, detail=reason)

    def _wipe(self, seen: Observation) -> None:
        """Forget all secrets once nothing more can be asked of them."""
        if self._wiped != seen.round.round:
            self._serve_release(seen)
            self.vault.close(seen.round.round)
            self.vault.wipe(seen.round.round)
            self._posting.withdraw()
            self._wiped, self._reader = seen.round.round, None

    def _serve_release(self, seen: Observation) -> None:
        """Store a release whose record was the last thing that the agent did before a crash."""
        kept = self.vault.get_record(seen.round.round, Phase.UNMASK)
        if kept is not None and self._find_digest(seen, Phase.UNMASK) == kept.digest:
            self._posting.serve_release(seen.round.round, kept)

    @cached_property
    def _standing(self) -> Standing:
        return Standing(self.context)

    @cached_property
    def _posting(self) -> Posting:
        return Posting(self.context, self.terms, self.vault, self.is_relayed)

    def _messages(self, seen: Observation) -> Messages:
        return Messages(self.terms, self.context.archive, self._origin(seen))

    def _origin(self, seen: Observation) -> Origin:
        return self.context.get_origin(seen.round.round)

    def _place(self, seen: Observation) -> int | None:
        return seen.find_place(self._account)

    def _find_digest(self, seen: Observation, phase: Phase) -> Digest | None:
        """Return what stands on the chain for this agent in a phase, its own or forged."""
        return seen.name_records(phase).get(self._account)

    def _since(self, start: float) -> float:
        return self.context.stopwatch() - start

    @property
    def _account(self) -> Address:
        return self.context.signer.address


def _is_masked(seen: Observation) -> bool:
    """Return whether the newest round is live and in its masked part."""
    is_live = seen.round.outcome is Outcome.NONE and seen.masked.round == seen.round.round
    return is_live and Phase.JOIN <= seen.masked.phase <= Phase.UNMASK


_ENTITLING = {
    Phase.SHARES: Phase.JOIN,
    Phase.CHECK: Phase.SHARES,
    Phase.SUBMIT: Phase.CHECK,
    Phase.UNMASK: Phase.CHECK,
}
"""Whose set may act in a phase."""
