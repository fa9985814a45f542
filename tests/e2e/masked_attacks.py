"""A federation in secure mode over Anvil: the chain goes back, nodes lie, agents cheat.

All roles live in this process. Where nobody has anything to do the chain's clock moves to the next
moment that matters.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flchain.chain.base import LoggedEvent, Snapshot
from flchain.chain.ethereum import EthereumLedger
from flchain.crypto.secagg.keys import (
    Secrets,
    derive_randomness,
    encode_keys,
    prove_keys,
)
from flchain.crypto.signing import Signer, compact_signature
from flchain.protocol.calls import AttestRecords
from flchain.protocol.digests import WORD, compute_anchor, encode_bitmap, pack_bits, set_root
from flchain.protocol.events import PhaseClosed, RecordsAttested
from flchain.protocol.records import AnchoredRecord, SignedRecord
from flchain.protocol.types import Address, Bitmap, Digest, Phase, RoundId, Seconds
from flchain.roles.agent import Agent
from flchain.roles.archive import Archive, Sealed
from flchain.roles.context import Notice
from flchain.roles.masked.blobs import join_messages, split_join
from flchain.roles.masked.offers import compute_record_digest
from flchain.roles.masked.past import MaskedPast, apply_masked, chain_events
from flchain.roles.observation import Observation
from flchain.storage.memory import make_memory_store
from tests.e2e.federation import Federation, Site, start_federation
from tests.e2e.masked_stage import PATIENT, list_manifests, make_secure_policy

AGENTS = 6
FEWEST = 4
THRESHOLD = 3
VALIDATORS = 3
MEMBERS = 1 + AGENTS + VALIDATORS
FIRST, SECOND = RoundId(1), RoundId(2)


class Line:
    """A ledger that goes on after the chain behind it has gone back."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.renew()

    def renew(self) -> None:
        """Forget everything that was read of the chain."""
        self._ledger = EthereumLedger(self._site.devnet.rpc, self._site.book)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class LyingNode:
    """A ledger that shows the newest ATTEST set without one place, and its own anchor if asked to.

    What it makes up fits together as far as it can: with `is_thorough`, root and anchor too.
    """

    def __init__(self, line: Line, key: Digest, place: int, *, is_thorough: bool) -> None:
        self._line, self._key, self._place, self._is_thorough = line, key, place, is_thorough

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def get_events(self, **options: Any) -> list[LoggedEvent]:
        return [self._twist(logged) for logged in self._line.get_events(**options)]

    def get_snapshot(self, task_id: int) -> Snapshot:
        seen: Snapshot = self._line.get_snapshot(task_id)
        if not (self._is_thorough and seen.phase is Phase.UNMASK):
            return seen
        (closed,) = (e for e in self.get_events(task_id=task_id) if is_closing(e, Phase.ATTEST))
        assert isinstance(closed.event, PhaseClosed)
        anchor = compute_anchor(closed.event.set_root, Digest(closed.block_hash))
        return replace(seen, masked=replace(seen.masked, anchor=anchor))

    def _twist(self, logged: LoggedEvent) -> LoggedEvent:
        event = logged.event
        if isinstance(event, RecordsAttested) and event.phase is Phase.ATTEST:
            return replace(logged, event=self._leave_out(event))
        if self._is_thorough and isinstance(event, PhaseClosed) and event.phase is Phase.ATTEST:
            return replace(logged, event=replace(event, set_root=self._compute_root(logged)))
        return logged

    def _leave_out(self, event: RecordsAttested) -> RecordsAttested:
        words = list(event.bitmap)
        words[0] &= ~(1 << self._place)
        return replace(event, bitmap=Bitmap(tuple(words)))

    def _compute_root(self, closing: LoggedEvent) -> Digest:
        """Return the root of the smaller set, which the chain does not have."""
        everything = self._line.get_events(task_id=closing.event.task_id)
        events = [each.event for each in everything[: everything.index(closing)]]
        past = MaskedPast(VALIDATORS)
        for event in events:
            past = apply_masked(past, event)
        members = past.get_set(Phase.ATTEST) - {self._place}
        bitmap = Bitmap(pack_bits(members, AGENTS, WORD))
        return set_root(self._key, Phase.ATTEST, chain_events(self._key, events), bitmap)


def is_closing(logged: LoggedEvent, phase: Phase) -> bool:
    return isinstance(logged.event, PhaseClosed) and logged.event.phase is phase


class WithholdingArchive(Archive):
    """An archive that keeps some kinds of messages to itself."""

    def __init__(self, archive: Archive, kinds: Collection[str]) -> None:
        super().__init__(archive.store)
        self._kinds = kinds

    def publish(self, sealed: Sealed, pin: str) -> Digest:
        if sealed.manifest.kind not in self._kinds:
            return super().publish(sealed, pin)
        self._keep(sealed.digest, sealed.manifest, sealed.payload)
        return sealed.digest


@dataclass(frozen=True)
class Arena:
    """A federation and what can be done to its chain."""

    site: Site
    federation: Federation
    line: Line
    notices: list[Notice] = field(default_factory=list)

    def go_back(self, snapshot: str) -> None:
        """Take the chain back; everybody else sees that only as others would."""
        self.site.control.revert(snapshot)
        self.site.devnet.rpc.call("anvil_dropAllTransactions")
        self.line.renew()

    def attest(self, phase: Phase, accounts: Collection[Address]) -> None:
        """Let all validators attest these agents' blobs, whatever they hold."""
        seen = self.federation.watch.observe()
        places = [seen.find_place(account) for account in accounts]
        bitmap = encode_bitmap(places, seen.masked.places)
        for validator in self.federation.validators:
            call = AttestRecords(
                self.federation.task_id, seen.round.round, phase, seen.masked.anchor, bitmap
            )
            print(self.line.get_snapshot(1).masked, self.line.get_head())
            self.line.send(call, validator.context.signer)

    def get_account(self, number: int) -> Address:
        return self.federation.agents[number].context.signer.address

    def get_accounts(self, numbers: Collection[int] = range(AGENTS)) -> set[Address]:
        return {self.get_account(number) for number in numbers}

    def get_stake(self, account: Address) -> int:
        return self.federation.ledger.get_agent(account).stake

    def get_reasons(self, number: int) -> list[str]:
        """Return why an agent dropped out of rounds."""
        account = self.get_account(number)
        return [n.detail for n in self.notices if (n.account, n.action) == (account, "drop-out")]

    def list_messages(self, kind: str, number: RoundId = FIRST) -> list[str]:
        """Return the authors of a kind of messages in the store, in lower case."""
        key = self.federation.agents[0].context.get_round_key(number).hex()
        found = list_manifests(self.federation.store)
        return [each.agent for each in found if (each.kind, each.round_key) == (kind, key)]


def make_arena(site: Site, keys: Sequence[Signer], *, rounds: int = 1, **overrides: Any) -> Arena:
    """Return six agents of whom four must survive, three validators and an orchestrator."""
    line = Line(site)
    policy = make_secure_policy(
        min_agents=FEWEST,
        min_survivors=FEWEST,
        masking={"threshold": THRESHOLD, "max_corrupt": 1},
        **overrides,
    )
    federation = start_federation(
        line,
        make_memory_store(),
        [site.keys[0], *keys],
        idle=lambda seen: site.control.advance_time(Seconds(compute_wait(seen))),
        preset=PATIENT,
        policy=policy,
        agents=AGENTS,
        validators=VALIDATORS,
        rounds=rounds,
    )
    arena = Arena(site, federation, line)
    for agent in federation.agents:
        change_context(agent, report=arena.notices.append)
    return arena


def change_context(role: Any, **changes: Any) -> None:
    """Give a role, before its first look, another context."""
    role.context = role.upkeep.context = replace(role.context, **changes)


def compute_wait(seen: Observation) -> int:
    """Return how long it is to the next moment at which somebody may have something to do."""
    masked, task = seen.masked, PATIENT.schedule
    forced = task.masking.forced_window
    if not Phase.JOIN <= seen.phase <= Phase.UNMASK:
        return 2 if seen.phase in (Phase.NONE, Phase.ENDED) else 20
    opens, closes = masked.opens_at, masked.closes_at
    start = opens + forced if seen.phase is Phase.CHECK else opens
    moments = (opens, opens + forced, (start + closes + 1) // 2, closes - forced, closes)
    return min((moment - seen.now for moment in moments if moment > seen.now), default=1)


def forge_message(agent: Agent, name: str, change: Callable[[bytes], bytes]) -> None:
    """Let an agent send what `change` makes of its message; `name` is what makes that."""
    part: Any = agent._participant
    make = getattr(part, name)

    def forge(seen: Observation) -> bytes | None:
        payload = make(seen)
        return payload if payload is None else change(payload)

    setattr(part, name, forge)


def use_keys(agent: Agent, secrets: Secrets) -> None:
    """Let an agent bring these keys into every round, with a proof that is valid."""
    part: Any = agent._participant
    join, get = part._join, part._secrets

    def join_with(seen: Observation) -> bytes:
        bound = part._origin(seen).bind(agent.context.signer.address)
        _, weight = split_join(join(seen))
        proven = prove_keys(secrets, bound, derive_randomness(bytes(32), bound, "keys"))
        return join_messages(encode_keys(proven, bound), weight)

    part._join = join_with
    part._secrets = lambda seen: (get(seen)[0], secrets)


def sign_record(
    agent: Agent, seen: Observation, digest: Digest, signer: Signer | None = None
) -> AnchoredRecord:
    """Return a record of this phase with a signature, by default the agent's."""
    number, phase, anchor = seen.round.round, Phase(seen.phase), seen.masked.anchor
    signed = compute_record_digest(agent.context, number, phase, anchor, digest)
    r, vs = compact_signature((signer or agent.context.signer).sign_digest(signed))
    return AnchoredRecord(anchor, digest, r, vs)


def strip_anchor(record: AnchoredRecord) -> SignedRecord:
    return SignedRecord(record.digest, record.r, record.vs)
