"""Federations in secure mode whose records are relayed, honestly and otherwise."""

from dataclasses import dataclass, field, replace

from flchain.crypto.signing import compact_signature
from flchain.protocol.events import RecordPosted, RecordsRelayed
from flchain.protocol.records import SignedRecord
from flchain.protocol.types import Digest, Outcome, Phase
from flchain.roles.agent import Agent
from flchain.roles.context import Context
from flchain.roles.daemon import run_federation
from flchain.roles.masked.offers import Offer, compute_record_digest
from flchain.roles.masked.relaying import Relaying
from tests.e2e.federation import make_memory_federation, make_policy

AGENTS = 6
RECORDED = (Phase.JOIN, Phase.SHARES, Phase.SUBMIT, Phase.UNMASK)


def make_secure_policy(**overrides):
    values = {
        "mode": "secure",
        "min_agents": 5,
        "min_survivors": 5,
        "masking": {"threshold": 4, "max_corrupt": 1},
        **overrides,
    }
    return make_policy(**values)


def make_federation(relayed=range(AGENTS), relaying=None, **options):
    """Return a federation of six agents; `relaying` takes the place of the orchestrator's."""
    options = {"policy": make_secure_policy(), "agents": AGENTS, "rounds": 1, **options}
    federation = make_memory_federation(**options)
    for number in relayed:
        federation.agents[number].is_relayed = True
    if relaying is not None:
        upkeep = federation.orchestrator.upkeep
        upkeep.relaying = relaying(upkeep.context, upkeep.terms)
    return federation


def run_until(federation, until, roles=None):
    roles = federation.roles if roles is None else roles
    return run_federation(roles, federation.watch, until=until, idle=federation.idle)


def run_to(federation, phase, number=1):
    """Play until a phase of a round has opened, before anybody has acted in it."""

    def is_there(seen):
        is_open = seen.now >= seen.masked.opens_at and seen.masked.anchor != Digest(bytes(32))
        return seen.round.round == number and seen.phase is phase and is_open

    return run_until(federation, is_there)


def list_events(federation, kind, *, number=1, phase=None):
    events = [entry.event for entry in federation.ledger.get_events(kinds=(kind,))]
    events = [event for event in events if getattr(event, "round", number) == number]
    return [event for event in events if phase is None or event.phase is phase]


def list_posters(federation, phase, number=1):
    """Return who posted directly in a phase."""
    return {
        each.agent for each in list_events(federation, RecordPosted, number=number, phase=phase)
    }


def get_times(federation, kind, phase, number=1):
    """Return the times of a phase's events."""
    return [
        federation.ledger._blocks[entry.block_number].timestamp
        for entry in federation.ledger.get_events(kinds=(kind,))
        if (entry.event.round, entry.event.phase) == (number, phase)
    ]


def get_accounts(members):
    return [member.context.signer.address for member in members]


def is_finalized(seen, number=1):
    return seen.past.rounds[number].outcome is Outcome.FINALIZED


def sign(context: Context, seen, phase, digest, anchor=None) -> Offer:
    """Return what the context's account would offer for a digest."""
    anchor = seen.masked.anchor if anchor is None else anchor
    signed = compute_record_digest(context, seen.round.round, phase, anchor, digest)
    r, vs = compact_signature(context.signer.sign_digest(signed))
    return Offer(phase, anchor, SignedRecord(digest, r, vs))


def rebuild(agent: Agent, **changes) -> Agent:
    """Return an agent started again over the same journal."""
    context = replace(agent.context, **changes)
    return replace(agent, context=context, upkeep=None, _paid=set(), _made=None)


class Silent(Relaying):
    """A relayer that relays nothing."""

    def tick(self, seen):
        return False


@dataclass
class Skipping(Relaying):
    """A relayer that leaves out the agent at one place."""

    skipped: int = 1

    def gather(self, seen):
        found = super().gather(seen)
        return {place: record for place, record in found.items() if place != self.skipped}


@dataclass
class Forging(Relaying):
    """A relayer that forges one record of one phase, once, as soon as others are there."""

    victim: int = 1
    phase: Phase = Phase.SHARES
    has_own_digest: bool = True
    """Whether the victim's digest stands under the wrong signature, or another one."""
    forged: list[SignedRecord] = field(default_factory=list)

    def gather(self, seen):
        found = super().gather(seen)
        if self.forged or seen.phase is not self.phase or len(found) < AGENTS - 1:
            return found
        own = found.get(self.victim)
        digest = own.digest if own and self.has_own_digest else Digest(b"\7" * 32)
        self.forged.append(sign(self.context, seen, self.phase, digest).record)
        return {**found, self.victim: self.forged[0]}


def list_relayed_places(federation, phase, number=1):
    return [
        each.added for each in list_events(federation, RecordsRelayed, number=number, phase=phase)
    ]
