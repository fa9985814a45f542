"""Odd steps with VRF keys, guardians, draws and evidence."""

from dataclasses import replace

from flchain.chain.spec.evidence import is_audited
from flchain.chain.spec.state import get_round_key
from flchain.chain.spec.tasks import is_enrolled
from flchain.crypto.signing import compact_signature
from flchain.protocol import calls
from flchain.protocol.eip712 import Domain, compute_signing_digest, hash_vote
from flchain.protocol.records import Audit, Member, SeatProof, SignedVote, Vote
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Bps,
    Digest,
    Role,
    RoundId,
    TaskId,
    Verdict,
)
from tests.model.actors import ADDRESSES, NAME_OF, SIGNERS, Command, Scene
from tests.model.drawing import build_claim, find_beacon_message, get_alpha, get_rank
from tests.model.picks import pick_amount, pick_role, pick_round
from tests.model.signed import sign_vote
from tests.model.vrf_keys import (
    Proven,
    disturb,
    find_new_key,
    find_owner,
    prove_possession,
)


def pick_possession(scene: Scene, agent: Address) -> Proven:
    """Return what registers a key that is new, or that was used before."""
    owner = find_new_key(scene.state, agent)
    if scene.rng.random() < 0.15:
        owner = (owner[0], 0)
    return prove_possession(scene, agent, owner)


def pick_registered(scene: Scene) -> Address:
    """Return who is registered, now and then anybody."""
    registered = [address for address, record in scene.state.agents.items() if record.roles]
    return scene.rng.choice([*registered * 4, scene.pick_actor()])


def register_with_key(scene: Scene) -> Command:
    sender = scene.pick_actor()
    proven = pick_possession(scene, sender)
    return sender, calls.RegisterWithKey(pick_role(scene), pick_amount(scene), *proven)


def rotate_key(scene: Scene) -> Command:
    sender = pick_registered(scene)
    return sender, calls.RotateKey(*pick_possession(scene, sender))


def set_guardian(scene: Scene) -> Command:
    guardian = scene.rng.choice([scene.pick_actor()] * 4 + [ZERO_ADDRESS])
    return pick_registered(scene), calls.SetGuardian(guardian)


def announce_recovery(scene: Scene) -> Command | None:
    """Let a guardian announce a key, or somebody who is none."""
    guarded = list(scene.state.guardians.items())
    if not guarded and scene.rng.random() < 0.8:
        return set_guardian(scene)
    if not guarded or scene.rng.random() < 0.1:
        agent, guardian = scene.pick_actor(), scene.pick_actor()
    else:
        agent, guardian = scene.rng.choice(guarded)
    if guardian == ZERO_ADDRESS:
        return None
    return guardian, calls.AnnounceRecovery(agent, *pick_possession(scene, agent))


def cancel_recovery(scene: Scene) -> Command | None:
    if not scene.state.recoveries and scene.rng.random() < 0.8:
        return announce_recovery(scene)
    return pick_recovering(scene), calls.CancelRecovery()


def execute_recovery(scene: Scene) -> Command | None:
    if not scene.state.recoveries and scene.rng.random() < 0.7:
        return announce_recovery(scene)
    return scene.pick_actor(), calls.ExecuteRecovery(pick_recovering(scene))


def pick_recovering(scene: Scene) -> Address:
    return scene.rng.choice([*list(scene.state.recoveries) * 6, scene.pick_actor()])


def recover(scene: Scene) -> Command | None:
    """Take an identity step by step through the recovery of its key."""
    due = [
        address
        for address, pending in scene.state.recoveries.items()
        if pending.executable_from <= scene.time
    ]
    if due:
        return scene.pick_actor(), calls.ExecuteRecovery(scene.rng.choice(due))
    if scene.state.recoveries:
        return scene.rng.choice([execute_recovery, cancel_recovery])(scene)
    return announce_recovery(scene) if scene.state.guardians else set_guardian(scene)


def refresh_draw_key(scene: Scene) -> Command:
    """Refresh somebody, mostly an enrolled validator."""
    task_id = scene.pick_task()
    enrolled = [
        address
        for address, member in scene.get_book(task_id).members.items()
        if is_enrolled(member) and member.role == Role.VALIDATOR
    ]
    validator = scene.rng.choice([*enrolled * 3, scene.pick_actor()])
    sender = scene.rng.choice([validator, validator, scene.pick_actor()])
    return sender, calls.RefreshDrawKey(task_id, validator)


def open_seats(scene: Scene) -> Command:
    task_id = scene.pick_task()
    return scene.pick_actor(), calls.OpenSeats(task_id, pick_round(scene, task_id))


def start_seed(scene: Scene) -> Command:
    return scene.pick_actor(), calls.StartSeed(scene.pick_task())


def reveal_seed(scene: Scene) -> Command | None:
    """Reveal under any rank and any key."""
    task_id = scene.pick_task()
    book = scene.get_book(task_id)
    if not book.task.committee:
        return None
    message = find_beacon_message(scene, task_id) or scene.draw_digest()
    known = scene.rng.choice(list(book.draw_keys.values())) if book.draw_keys else None
    owner = find_owner(known.key_hash) if known else None
    ranks = [min(get_rank(scene, book), 255)] * 3 + [0, 1, 2, 3, 255]
    proven = disturb(scene, owner or ("v1", 0), message)
    return scene.pick_actor(), calls.RevealSeed(task_id, scene.rng.choice(ranks), *proven)


def prove_seats(scene: Scene) -> Command | None:
    """Prove seats for places that may have none, in bundles of any length."""
    task_id, rng = scene.pick_task(), scene.rng
    if not scene.get_book(task_id).draw.is_seeded:
        return scene.pick_actor(), calls.ProveSeats(task_id, pick_round(scene, task_id), ())
    places = rng.choices(range(5), k=rng.choice([1, 1, 2, 3]))
    claims = tuple(build_odd_claim(scene, task_id, place) for place in places)
    if rng.random() < 0.1:
        claims = rng.choice([(), claims[:1] * 33, claims[:1] * 32])
    return scene.pick_actor(), calls.ProveSeats(task_id, pick_round(scene, task_id), claims)


def build_odd_claim(scene: Scene, task_id: TaskId, place: int) -> SeatProof:
    """Return a claim to seats that is right, another's, or wrong."""
    claim = build_claim(scene, task_id, place)
    if claim is not None and scene.rng.random() < 0.4:
        return claim
    owner = (NAME_OF[scene.pick_actor("v")], 0)
    proven = disturb(scene, owner, get_alpha(scene, task_id))
    return SeatProof(scene.rng.choice([place, place, 63, 255]), *proven)


def prove_too_early(scene: Scene) -> Command:
    """Claim seats before there is a seed."""
    task_id = scene.pick_task()
    key, proof = disturb(scene, ("v1", 0), scene.draw_digest())
    claim = SeatProof(0, key, proof)
    return scene.pick_actor(), calls.ProveSeats(task_id, pick_round(scene, task_id), (claim,))


def report_double_vote(scene: Scene) -> Command:
    """Report two votes that contradict each other, mostly; now and then nothing of the kind."""
    task_id, rng = scene.pick_task(), scene.rng
    number, validator = pick_round(scene, task_id), scene.pick_actor("v")
    attempt = scene.get_book(task_id).ballot.attempt
    first = Vote(scene.draw_digest(), Verdict.APPROVE, quality=Bps(1))
    second = first if rng.random() < 0.1 else replace(first, verdict=rng.choice([2, 3, 255]))
    signed = [sign_vote(scene, validator, task_id, number, vote) for vote in (first, second)]
    if rng.random() < 0.1:
        signed[1] = replace(signed[1], validator=scene.pick_actor())
    if rng.random() < 0.1:
        attempt += 1
    call = calls.ReportDoubleVote(task_id, number, attempt, signed[0], signed[1])
    return scene.pick_actor(), call


def report_earlier_vote(scene: Scene) -> Command:
    """Report an offence in an attempt that nobody ever saw, as signatures alone count."""
    if scene.reports and scene.rng.random() < 0.6:
        return scene.pick_actor(), scene.rng.choice(scene.reports)
    task_id, validator = scene.pick_task(), scene.pick_actor("v")
    number, attempt = RoundId(1), scene.rng.choice([0, 1, 7])
    key = get_round_key(scene.state.config, task_id, number)
    votes = [Vote(scene.draw_digest(), Verdict.WORSE) for _ in range(2)]
    signed = [sign_struct(scene, validator, vote, hash_vote(key, attempt, vote)) for vote in votes]
    scene.reports.append(calls.ReportDoubleVote(task_id, number, attempt, *signed))
    return scene.pick_actor(), scene.reports[-1]


def sign_struct(scene: Scene, validator: Address, vote: Vote, struct_hash: Digest) -> SignedVote:
    config = scene.state.config
    domain = Domain(config.chain_id, config.addresses.round_manager)
    signature = SIGNERS[NAME_OF[validator]].sign_digest(compute_signing_digest(domain, struct_hash))
    return SignedVote(validator, vote, *compact_signature(signature))


def audit_vote(scene: Scene) -> Command | None:
    """Let a member of the committee audit an earlier vote, mostly one that others audited."""
    task_id = scene.pick_task()
    book = scene.get_book(task_id)
    seated = [
        address
        for address, member in book.members.items()
        if book.committee.get(member.place) and member.role == Role.VALIDATOR
    ]
    if not seated and scene.rng.random() < 0.9:
        return None
    newest = (book.draw.round, book.draw.attempt)
    open_findings = [
        finding
        for finding, *draw in book.audits
        if tuple(draw) == newest and is_open(scene, task_id, finding)
    ]
    finding = scene.rng.choice([build_finding(scene, task_id), *open_findings * 4])
    sender = scene.rng.choice([*seated * 4, scene.pick_actor("v")])
    return sender, calls.AuditVote(task_id, finding)


def is_open(scene: Scene, task_id: TaskId, finding: Audit) -> bool:
    """Return whether the newest draw's seed picks a finding's vote."""
    book = scene.get_book(task_id)
    key = get_round_key(scene.state.config, task_id, finding.round)
    return is_audited(book.seed, key, finding.attempt, finding.validator)


def build_finding(scene: Scene, task_id: TaskId) -> Audit:
    """Return a finding about a vote that is picked for audit, mostly, of an earlier attempt."""
    book, rng = scene.get_book(task_id), scene.rng
    number = RoundId(rng.randint(0, max(book.draw.round - 1, 0)))
    wanted = [
        Audit(number, attempt, validator, ZERO_DIGEST, Digest(b"\x01" * 32))
        for attempt in range(10)
        for validator in ADDRESSES.values()
        if NAME_OF[validator].startswith("v")
    ]
    chosen = [finding for finding in wanted if is_open(scene, task_id, finding)]
    finding = rng.choice(chosen * 3 or wanted)
    if rng.random() < 0.15:
        return rng.choice([rng.choice(wanted), replace(finding, found=ZERO_DIGEST)])
    return finding if rng.random() < 0.9 else replace(finding, round=book.draw.round, attempt=0)


def replace_validator(scene: Scene) -> Command | None:
    """Let a validator of a drawn task leave, or another take its place."""
    for task_id, book in scene.state.books.items():
        if not book.task.committee:
            continue
        # Who is no validator has no key.
        prefix = scene.rng.choice("vva")
        outside = [
            address
            for name, address in ADDRESSES.items()
            if name.startswith(prefix) and not is_enrolled(book.members.get(address, Member()))
        ]
        if outside:
            return scene.rng.choice(outside), calls.Enrol(task_id, Role.VALIDATOR)
        return scene.pick_actor("v"), calls.LeaveTask(task_id)
    return None
