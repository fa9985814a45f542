"""Small federations in secure mode, in memory, and their parts taken one by one.

Secrets follow from the account and the number of the draw, so that the proofs which a process has
checked once are the same in every federation with the same round key.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np

from flchain.learning.parameters import QuantizedUpdate
from flchain.learning.payloads import decode_payload
from flchain.learning.schemas import get_aggregate_schema
from flchain.protocol.canonical import decode_canonical
from flchain.protocol.types import Phase, RoundId
from flchain.roles.audit.records import fetch_record
from flchain.roles.context import Notice
from flchain.roles.execution import HEADER_ALLOWANCE
from flchain.roles.history import RoundPast
from flchain.roles.masked.blobs import Messages
from flchain.roles.observation import Observation
from tests.e2e import forgeries
from tests.e2e.federation import Federation, make_memory_federation, make_policy

FIRST = RoundId(1)
Away = Callable[[int, Observation], bool]
"""Whether an agent, by its number, does nothing at a look."""


def make_secure_policy(**overrides):
    """Return a policy for a few agents of whom three must survive; weights are 1 or 2."""
    values = {
        "mode": "secure",
        "min_agents": 3,
        "min_survivors": 3,
        "masking": {"threshold": 2, "max_corrupt": 0},
        "update.w_max": 2,
        "update.bucket": 132,
        **overrides,
    }
    return make_policy(**values)


def make_secure(agents: int = 4, *, rounds: int = 1, **options) -> Federation:
    """Return a federation in secure mode; a `policy` in `options` is the whole of it."""
    options.setdefault("policy", make_secure_policy(**options.pop("overrides", {})))
    federation = make_memory_federation(agents=agents, rounds=rounds, **options)
    for agent in federation.agents:
        agent.entropy = make_entropy(agent.context.signer.address)
    return federation


def make_entropy(account: str) -> Callable[[int], bytes]:
    """Return a source of bytes that are another account's, or another draw's, never."""
    drawn = iter(range(1 << 62))

    def draw(size: int) -> bytes:
        return hashlib.shake_256(f"{account}/{next(drawn)}".encode()).digest(size)

    return draw


def collect_notices(*roles) -> list[Notice]:
    """Return a list that fills with what roles report."""
    notices: list[Notice] = []
    for role in roles:
        change_context(role, report=notices.append)
    return notices


def change_context(role, **changes) -> None:
    """Give a role, before its first look, another context."""
    role.context = replace(role.context, **changes)
    if getattr(role, "upkeep", None) is not None:
        role.upkeep.context = role.context


class Absent:
    """An agent that is away at some looks."""

    def __init__(self, agent, is_away: Callable[[Observation], bool]) -> None:
        self._agent, self._is_away = agent, is_away

    def tick(self, seen: Observation) -> bool:
        return not self._is_away(seen) and self._agent.tick(seen)


def send_away(federation: Federation, phases: Mapping[int, Collection[Phase]]) -> list:
    """Return all roles; agents are away in the phases under their number."""
    return [
        federation.orchestrator,
        *(
            Absent(agent, lambda seen, number=number: seen.phase in phases.get(number, ()))
            for number, agent in enumerate(federation.agents)
        ),
        *federation.validators,
    ]


def reach(federation: Federation, phase: Phase, roles=None) -> Observation:
    """Play until a phase, and let time pass until it is open; nobody has acted in it."""
    roles = federation.roles if roles is None else roles
    seen = federation.run_roles(roles, lambda seen: seen.phase is phase)
    while seen.now < seen.masked.opens_at or not any(seen.masked.anchor):
        federation.idle(seen)
        seen = federation.watch.observe()
    return seen


def look(federation: Federation, seconds: int = 0) -> Observation:
    """Let time pass, then look."""
    for _ in range(seconds):
        federation.idle(federation.watch.observe())
    return federation.watch.observe()


def listen_to_updates(federation: Federation) -> dict[tuple[int, str], tuple[int, QuantizedUpdate]]:
    """Return a mapping that fills with each agent's weight and update, by round and account."""
    made: dict[tuple[int, str], tuple[int, QuantizedUpdate]] = {}
    for agent in federation.agents:
        make = agent._participant.make_update

        def keep(seen, agent=agent, make=make):
            update = make(seen)
            weight = agent._participant.count_weight()
            made[seen.round.round, agent.context.signer.address] = (weight, update)
            return update

        agent._participant.make_update = keep
    return made


def add_up(made, number: int, accounts) -> tuple[dict[str, np.ndarray], int]:
    """Return the plain integer sum of weighted updates, and of the weights."""
    found = [made[number, account] for account in accounts]
    names = found[0][1].sections
    sections = {
        name: sum(weight * update.sections[name].astype(np.int64) for weight, update in found)
        for name in names
    }
    return sections, sum(weight for weight, _ in found)


def read_aggregate(federation: Federation, past: RoundPast) -> tuple[dict[str, np.ndarray], int]:
    """Return the sum that a round's last proposal published, and its total weight."""
    archive, terms = federation.validators[0].context.archive, federation.terms
    record = fetch_record(archive, past.final_proposal.content.aggregate_root)
    limit = 8 * 4 * terms.policy.model.parameters + HEADER_ALLOWANCE
    data = archive.fetch(record.aggregate, max_size=limit, kind="aggregate")
    payload = decode_payload(data, get_aggregate_schema(terms.policy))
    return dict(payload.sections), payload.scalars["total_weight"]


def seal_message(federation: Federation, account: str, phase: Phase, payload: bytes) -> bytes:
    """Store a message as an agent's of the first round; return its digest."""
    context = federation.validators[0].context
    messages = Messages(federation.terms, context.archive, context.get_origin(FIRST))
    sealed = messages.seal(account, phase, payload)
    return context.archive.publish(sealed, f"made up/{account}")


def flip_block(store, cid) -> None:
    """Change one byte of a stored block."""
    block = bytearray(store.blocks.get(cid))
    block[len(block) // 2] ^= 1
    store.blocks.replace_unverified(cid, bytes(block))


def show_set(seen: Observation, phase: Phase, places: Collection[int]) -> Observation:
    """Return a look at a chain whose validators kept these places in CHECK or ATTEST."""
    masked = seen.masked_past
    held = {validator: frozenset(places) for validator in masked.attested[phase]}
    other = replace(masked, attested={**masked.attested, phase: held})
    live = replace(seen.live, masked=other)
    return replace(seen, past=replace(seen.past, rounds={**seen.past.rounds, FIRST: live}))


def tick_all(federation: Federation, roles) -> None:
    """Let each role act once, on a look of its own."""
    for role in roles:
        role.tick(federation.watch.observe())


def flip(payload: bytes, place: int) -> bytes:
    """Return bytes of which one bit is another."""
    changed = bytearray(payload)
    changed[place] ^= 1
    return bytes(changed)


def read_record(federation: Federation, past: RoundPast) -> dict:
    """Return the document that a round's last proposal published."""
    archive = federation.validators[0].context.archive
    root = past.final_proposal.content.aggregate_root
    document = decode_canonical(archive.fetch(root, max_size=1 << 20), max_size=1 << 20)
    assert isinstance(document, dict)
    return document


def forge_unlisted(context, terms, inputs, result):
    """Leave out the first agent's release, and all that follows from it."""
    releases = dict(sorted(inputs.masked.releases.items())[1:])
    other = replace(inputs, masked=replace(inputs.masked, releases=releases))
    counted = result.counted
    paid = tuple(int(each.agent in releases) for each in inputs.survivors)
    return forgeries.rebuild(
        context, terms, other, replace(counted, weights=paid), next_state=result.next_state
    )
