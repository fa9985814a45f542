"""The masked part of a round: what honest participants do, and what others try."""

from dataclasses import replace

from flchain.chain.spec import agents, rounds
from flchain.chain.spec.masked_clock import get_masked, get_masked_book
from flchain.chain.spec.masked_penalties import MISSABLE, get_missing
from flchain.chain.spec.masked_records import select_new
from flchain.chain.spec.masked_state import ENTITLING, RECORDED, Batch, MaskedBook
from flchain.chain.spec.state import get_round_key
from flchain.crypto.merkle import compute_listed_proof
from flchain.crypto.signing import compact_signature
from flchain.protocol import calls
from flchain.protocol.calls import Call
from flchain.protocol.digests import WORD, decode_bitmap, encode_bitmap, pack_bits, record_leaf
from flchain.protocol.eip712 import hash_masked_attestation, hash_record
from flchain.protocol.records import AnchoredRecord, MaskedRound, SignedAttestation, SignedRecord
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Bitmap,
    Digest,
    Mode,
    Phase,
    Role,
    TaskId,
)
from tests.model.actors import ADDRESSES, Command, Scene
from tests.model.picks import pick_round
from tests.model.signed import sign

PHASES = tuple(Phase)


def get_seen(scene: Scene, task_id: TaskId) -> MaskedRound:
    """Return what a call in the pending block would see."""
    return get_masked(scene.state, scene.get_env(ZERO_ADDRESS), task_id)


def pick_masked(scene: Scene) -> TaskId:
    """Return a task in secure mode, if there is one."""
    secure = [
        task_id for task_id, book in scene.state.books.items() if book.task.mode == Mode.SECURE
    ]
    return scene.rng.choice(secure) if secure else scene.pick_task()


def is_due(scene: Scene, task_id: TaskId) -> bool:
    """Return whether calls of the newest phase are allowed in the pending block."""
    seen, book = get_seen(scene, task_id), scene.get_book(task_id)
    wait = book.task.forced_window if seen.phase == Phase.CHECK else 0
    return scene.time >= seen.opens_at + wait and seen.anchor != ZERO_DIGEST


def step(scene: Scene, task_id: TaskId) -> Command | None:
    """Return a step of the masked part that the rules allow now, or None if time must pass."""
    masked = get_masked_book(scene.state, task_id)
    forced = scene.get_book(task_id).task.forced_window
    is_heard = masked.phase == Phase.CHECK and 0 <= scene.time - masked.opens_at < forced
    if is_heard and scene.rng.random() < 0.5:
        return complain(scene, task_id)
    if not is_due(scene, task_id):
        return (scene.pick_actor(), calls.PinAnchor(task_id)) if scene.rng.random() < 0.1 else None
    if masked.phase not in RECORDED:
        return attest(scene, task_id)
    waiting = find_waiting(scene, task_id)
    if not waiting:
        return None
    if scene.rng.random() < 0.25 and (batch := relay(scene, task_id, waiting)):
        return batch
    return scene.rng.choice(waiting), build_record(scene, task_id)


def find_waiting(scene: Scene, task_id: TaskId) -> list[Address]:
    """Return the agents that may make a record now and have none."""
    book, masked = scene.get_book(task_id), get_masked_book(scene.state, task_id)
    done = {masked.holders[place] for place in masked.get_set(masked.phase)}
    if masked.phase == Phase.JOIN:
        entitled = [
            address
            for address, member in book.members.items()
            if rounds.is_entitled(scene.state.config, book.round, member, Role.AGENT)
        ]
    else:
        entitled = [masked.holders[place] for place in masked.get_set(ENTITLING[masked.phase])]
    return sorted(set(entitled) - done)


def build_record(scene: Scene, task_id: TaskId) -> calls.PostRecord:
    seen = get_seen(scene, task_id)
    return calls.PostRecord(task_id, seen.round, seen.phase, seen.anchor, scene.draw_digest())


def sign_record(
    scene: Scene, task_id: TaskId, seen: MaskedRound, agent: Address, digest: Digest
) -> SignedRecord:
    """Sign a record for an agent, now and then as somebody else."""
    key = get_round_key(scene.state.config, task_id, seen.round)
    contract = scene.state.config.addresses.masked_rounds
    struct_hash = hash_record(key, seen.phase, seen.anchor, digest)
    return SignedRecord(digest, *compact_signature(sign(scene, agent, contract, struct_hash)))


def relay(scene: Scene, task_id: TaskId, wanted: list[Address]) -> Command | None:
    """Relay for some agents that have a place; a forged signature is remembered with the rest."""
    masked, seen = get_masked_book(scene.state, task_id), get_seen(scene, task_id)
    known = [address for address in wanted if address in masked.holders]
    relayers = [
        ADDRESSES[name]
        for name in ("orchestrator", "p1", "p2")
        if agents.is_eligible(scene.state, ADDRESSES[name], Role.PROPOSER)
    ]
    if not known or not relayers:
        return None
    chosen = scene.rng.sample(known, scene.rng.randint(1, len(known)))
    records = {}
    for agent in chosen:
        forger = scene.pick_actor() if scene.rng.random() < 0.25 else agent
        digest = scene.draw_digest() if scene.rng.random() < 0.97 else ZERO_DIGEST
        place = masked.holders.index(agent)
        records[place] = sign_record(scene, task_id, seen, forger, digest)
    call = build_batch(masked, task_id, seen, records)
    remember(scene, masked, call)
    return scene.rng.choice(relayers), call


def remember(scene: Scene, masked: MaskedBook, call: calls.RelayRecords) -> None:
    """Keep a batch that may be recorded next, with the places that would count."""
    listed = list(zip(sorted(decode_bitmap(call.places)), call.records, strict=True))
    added = tuple(place for place, _ in select_new(masked, listed))
    scene.relayed[call.task_id, call.round, len(masked.batches)] = (call, added)


def build_batch(
    masked: MaskedBook, task_id: TaskId, seen: MaskedRound, records: dict[int, SignedRecord]
) -> calls.RelayRecords:
    places = sorted(records)
    words = Bitmap(pack_bits(places, len(masked.holders), WORD))
    listed = tuple(records[place] for place in places)
    return calls.RelayRecords(task_id, seen.round, seen.phase, seen.anchor, words, listed)


def attest(scene: Scene, task_id: TaskId) -> Command | None:
    """Let validators attest most blobs, one by one or in a bundle."""
    book, masked = scene.get_book(task_id), get_masked_book(scene.state, task_id)
    done = masked.attestations.get(masked.phase, {})
    waiting = [
        address
        for address, member in book.members.items()
        if rounds.is_entitled(scene.state.config, book.round, member, Role.VALIDATOR)
        and address not in done
    ]
    if not waiting:
        return None
    chosen = scene.rng.sample(waiting, scene.rng.randint(1, len(waiting)))
    known = masked.get_set(ENTITLING[masked.phase])
    held = {place for place in known if scene.rng.random() < 0.95}
    return build_attestation(scene, task_id, chosen, encode_bitmap(held, len(masked.holders)))


def build_attestation(
    scene: Scene, task_id: TaskId, validators: list[Address], bitmap: Bitmap
) -> Command:
    seen = get_seen(scene, task_id)
    if scene.rng.random() < 0.6:
        call = calls.AttestRecords(task_id, seen.round, seen.phase, seen.anchor, bitmap)
        return validators[0], call
    key = get_round_key(scene.state.config, task_id, seen.round)
    struct_hash = hash_masked_attestation(key, seen.phase, seen.anchor, bitmap)
    contract = scene.state.config.addresses.masked_rounds
    entries = tuple(
        SignedAttestation(address, bitmap, sign(scene, address, contract, struct_hash))
        for address in validators
    )
    bundle = calls.AttestRecordsBundle(task_id, seen.round, seen.phase, seen.anchor, entries)
    return scene.pick_actor(), bundle


def disturb(scene: Scene) -> Command | None:
    """Return an odd step of the masked part, mostly one that fits the phase."""
    masked = get_masked_book(scene.state, pick_masked(scene))
    if find_owing(scene) and scene.rng.random() < 0.3:
        return punish(scene)
    if scene.rng.random() < 0.2:
        return scene.rng.choice(DISTURBANCES)(scene)
    if masked.phase in RECORDED:
        if (voided := void(scene)) and scene.rng.random() < 0.5:
            return voided
        return scene.rng.choice([post, relay_oddly, report, punish, punish_complaint])(scene)
    if masked.phase == Phase.CHECK:
        return scene.rng.choice([complain, complain, attest_oddly, punish])(scene)
    return scene.rng.choice([attest_oddly, void, punish, punish_complaint, pin])(scene)


def post(scene: Scene) -> Command:
    """Post as anybody, in any phase, for any round, with any anchor."""
    task_id, rng = pick_masked(scene), scene.rng
    seen = get_seen(scene, task_id)
    call = calls.PostRecord(
        task_id,
        pick_round(scene, task_id),
        seen.phase if rng.random() < 0.8 else rng.choice(PHASES),
        rng.choice([seen.anchor] * 8 + [scene.draw_digest()]),
        rng.choice([scene.draw_digest()] * 8 + [ZERO_DIGEST]),
    )
    return rng.choice([scene.pick_actor("a")] * 3 + [scene.pick_actor()]), call


def relay_oddly(scene: Scene) -> Command | None:
    """Relay what is not wanted: other places, other counts, other senders."""
    task_id, rng = pick_masked(scene), scene.rng
    masked, seen = get_masked_book(scene.state, task_id), get_seen(scene, task_id)
    known = [address for address in masked.holders if rng.random() < 0.5]
    records = {
        masked.holders.index(agent): sign_record(scene, task_id, seen, agent, scene.draw_digest())
        for agent in known
    }
    call = build_batch(masked, task_id, seen, records)
    if seen.phase in RECORDED:
        remember(scene, masked, call)
    odd = replace(
        call,
        places=rng.choice([call.places] * 3 + [(), (1 << 9,), (*call.places, 0), (2**256 - 1,)]),
        records=rng.choice([call.records] * 3 + [call.records[1:]]),
        phase=rng.choice([call.phase] * 6 + [Phase.CHECK, Phase.UNMASK]),
        anchor=rng.choice([call.anchor] * 6 + [scene.draw_digest()]),
    )
    return rng.choice([ADDRESSES["p1"], ADDRESSES["orchestrator"], scene.pick_actor()]), odd


def void(scene: Scene) -> Command | None:
    """Void a record of a known batch, sound or not."""
    task_id, rng = pick_masked(scene), scene.rng
    masked = get_masked_book(scene.state, task_id)
    found = [
        option
        for number, batch in enumerate(masked.batches)
        for option in build_voids(scene, masked, task_id, number, batch)
    ]
    if not found:
        return None
    odd = rng.choice(found)
    if rng.random() < 0.2:
        strange = scene.draw_digest()
        options = ({"batch": 99}, {"place": 900}, {"proof": (strange,)}, {"anchor": strange})
        odd = replace(odd, **rng.choice(options))
    return scene.pick_actor(), odd


def build_voids(
    scene: Scene, masked: MaskedBook, task_id: TaskId, number: int, batch: Batch
) -> list[calls.VoidRecord]:
    """Return the calls that void the records of a batch, mostly of those that are in force."""
    if (task_id, masked.round, number) not in scene.relayed:
        return []
    call, added = scene.relayed[task_id, masked.round, number]
    records = dict(zip(sorted(decode_bitmap(call.places)), call.records, strict=True))
    leaves = [record_leaf(call.anchor, place, records[place]) for place in added]
    in_force = masked.get_set(batch.phase) & masked.get_relayed(batch.phase)
    return [
        calls.VoidRecord(
            *(task_id, masked.round, number, call.anchor, place, records[place]),
            compute_listed_proof(leaves, index),
        )
        for index, place in enumerate(added)
        if place in in_force or scene.rng.random() < 0.2
    ]


def complain(scene: Scene, task_id: TaskId | None = None) -> Command:
    """Complain about a sender, now and then about nobody or again."""
    task_id, rng = task_id or pick_masked(scene), scene.rng
    masked, seen = get_masked_book(scene.state, task_id), get_seen(scene, task_id)
    senders = sorted(masked.get_set(Phase.SHARES)) or [0]
    accuser = masked.holders[rng.choice(senders)] if masked.holders else scene.pick_actor("a")
    accused = rng.choice([*senders, *senders, 3, 900])
    digest = rng.choice([scene.draw_digest()] * 6 + [ZERO_DIGEST])
    repeated = [pair for pair in sorted(masked.complaints) if rng.random() < 0.5]
    if repeated:
        accuser, accused = masked.holders[repeated[0][0]], repeated[0][1]
    anchor = rng.choice([seen.anchor] * 8 + [scene.draw_digest()])
    call = calls.Complain(task_id, pick_round(scene, task_id), anchor, accused, digest)
    return rng.choice([accuser] * 8 + [scene.pick_actor()]), call


def attest_oddly(scene: Scene) -> Command:
    task_id, rng = pick_masked(scene), scene.rng
    masked = get_masked_book(scene.state, task_id)
    bits = rng.choice([0, 1, 3, 7, 15, 16, 1 << 230])
    bitmap = rng.choice([(bits,), (bits,), (bits,), (), (bits, 0)])
    validator = rng.choice([scene.pick_actor("v")] * 3 + [scene.pick_actor()])
    sender, call = build_attestation(scene, task_id, [validator], Bitmap(bitmap))
    if rng.random() < 0.2:
        phase = rng.choice([Phase.JOIN, Phase.CHECK, Phase.ATTEST, masked.phase])
        assert isinstance(call, calls.AttestRecords | calls.AttestRecordsBundle)
        call = replace(call, phase=phase, round=pick_round(scene, task_id))
    if isinstance(call, calls.AttestRecordsBundle) and rng.random() < 0.2:
        call = replace(call, attestations=call.attestations * rng.choice([0, 2, 33]))
    return sender, call


def find_owing(scene: Scene) -> list[calls.PunishMissing]:
    """Return a call for each agent that owes the penalty of a round."""
    return [
        calls.PunishMissing(task_id, masked.round, phase, (place,))
        for task_id, masked in scene.state.masked.items()
        for phase in MISSABLE
        for place in sorted(get_missing(masked, phase) - masked.punished)
    ]


def punish(scene: Scene) -> Command:
    """Punish who missed a step, or somebody who did not."""
    task_id, rng = pick_masked(scene), scene.rng
    phase = rng.choice([*MISSABLE, *MISSABLE, Phase.JOIN])
    number, place = pick_round(scene, task_id), rng.choice([0, 1, 2, 3, 900])
    usual = calls.PunishMissing(task_id, number, phase, (place,))
    call = rng.choice(find_owing(scene) or [usual]) if rng.random() < 0.8 else usual
    places = rng.choice([call.places] * 8 + [call.places * 2, (), call.places * 33])
    return scene.pick_actor(), replace(call, places=places)


def punish_complaint(scene: Scene) -> Command:
    task_id, rng = pick_masked(scene), scene.rng
    masked = get_masked_book(scene.state, task_id)
    kept = [pair for pair in sorted(masked.complaints) if pair[1] in masked.get_set(Phase.CHECK)]
    pairs = [*kept * 4, *sorted(masked.complaints), (rng.randrange(4), rng.randrange(4)), (900, 0)]
    call = calls.PunishComplaint(task_id, pick_round(scene, task_id), *rng.choice(pairs))
    return scene.pick_actor(), call


def report(scene: Scene) -> Command:
    """Report two records of one agent, or what is no offence."""
    task_id, rng = pick_masked(scene), scene.rng
    seen, agent = get_seen(scene, task_id), scene.pick_actor("a")
    if rng.random() < 0.2:
        agent = scene.pick_actor()
    digests = (b"\1" * 32, rng.choice([b"\1" * 32, b"\2" * 32, b"\2" * 32]))
    signed = [sign_record(scene, task_id, seen, agent, Digest(digest)) for digest in digests]
    first, second = (AnchoredRecord(seen.anchor, one.digest, one.r, one.vs) for one in signed)
    call: Call = calls.ReportEquivocation(task_id, seen.round, seen.phase, agent, first, second)
    return scene.pick_actor(), call


def pin(scene: Scene) -> Command:
    return scene.pick_actor(), calls.PinAnchor(scene.pick_task())


DISTURBANCES = (
    *(post, post, post, relay_oddly, relay_oddly, void, void, void),
    *(complain, complain, attest_oddly, attest_oddly, punish, punish),
    *(punish_complaint, punish_complaint, report, pin),
)
