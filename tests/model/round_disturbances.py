"""Odd steps in a running round."""

from dataclasses import replace

from flchain.chain.spec.rounds import get_phase
from flchain.protocol import calls
from flchain.protocol.calls import Call
from flchain.protocol.records import Vote
from flchain.protocol.types import (
    ZERO_DIGEST,
    Bitmap,
    Bps,
    Digest,
    Phase,
    Reason,
    TaskId,
    Verdict,
    Wei,
)
from tests.model import progress
from tests.model.actors import Command, Scene
from tests.model.picks import pick_round
from tests.model.progress import find_seats
from tests.model.signed import sign_attestation, sign_vote


def submit(scene: Scene) -> Command:
    task_id = scene.pick_task()
    digest = scene.rng.choice([scene.draw_digest(), scene.draw_digest(), ZERO_DIGEST])
    weight = scene.rng.choice([0, 1, 8, 9, 255])
    sender = scene.rng.choice([scene.pick_actor(), scene.pick_actor("a")])
    return sender, calls.Submit(task_id, pick_round(scene, task_id), digest, weight)


def pick_bitmap(scene: Scene) -> Bitmap:
    bits = scene.rng.choice([0, 1, 2, 3, 5, 7, 15, 1 << 223, 1 << 224, (1 << 256) - 1])
    return Bitmap(scene.rng.choice([(bits,), (bits,), (bits,), (), (bits, 0)]))


def attest(scene: Scene) -> Command:
    task_id = scene.pick_task()
    sender = scene.rng.choice([scene.pick_actor(), *[scene.pick_actor("v")] * 3])
    return sender, calls.Attest(task_id, pick_round(scene, task_id), pick_bitmap(scene))


def attest_bundle(scene: Scene) -> Call:
    task_id = scene.pick_task()
    number = pick_round(scene, task_id)
    entry = sign_attestation(scene, scene.pick_actor("v"), task_id, number, pick_bitmap(scene))
    length = scene.rng.choice([0, 1, 1, 2, 32, 33])
    return calls.AttestBundle(task_id, number, (entry,) * length)


def propose(scene: Scene) -> Command:
    """Let the wrong one propose, or the right one the wrong thing."""
    task_id, rng = scene.pick_task(), scene.rng
    book = scene.get_book(task_id)
    call = progress.build_proposal(scene, task_id)
    content = rng.choice(
        [
            call.content,
            replace(call.content, state_digest=ZERO_DIGEST),
            replace(call.content, aggregate_root=ZERO_DIGEST),
            replace(call.content, reward_total=Wei(book.task.round_reserve + 1)),
        ]
    )
    barred = [
        address
        for address, member in book.members.items()
        if member.barred_round == book.round.round != 0
    ]
    is_open = get_phase(scene.state, task_id, scene.now) == Phase.PROPOSE
    usual = progress.propose(scene, task_id) if is_open else None
    holder = [usual[0]] * 4 if usual else []
    sender = rng.choice([scene.pick_actor(), *holder, *barred])
    return sender, calls.Propose(task_id, pick_round(scene, task_id), content)


def propose_as_validator(scene: Scene) -> Command:
    """Let a validator propose: it may, in the open window."""
    task_id = scene.pick_task()
    return scene.pick_actor("v"), progress.build_proposal(scene, task_id)


def build_odd_vote(scene: Scene, task_id: TaskId) -> Vote:
    """Return a vote with fields that may not fit together."""
    right = scene.get_book(task_id).proposal.proposal_id
    identity = scene.rng.choice([right] * 5 + [scene.draw_digest()])
    verdict = scene.rng.choice([*Verdict, 5, 255])
    reason = scene.rng.choice([Reason.NONE, *Reason, 5, 255])
    counter = scene.rng.choice([ZERO_DIGEST, Digest(b"\1" * 32)])
    return Vote(identity, verdict, reason, counter, Bps(7), scene.draw_digest())


def vote(scene: Scene) -> Command:
    task_id = scene.pick_task()
    proposer = scene.get_book(task_id).proposal.proposer
    own = [proposer] * 4 if proposer in find_seats(scene, scene.get_book(task_id)) else []
    sender = scene.rng.choice([scene.pick_actor(), *[scene.pick_actor("v")] * 3, *own])
    paper = build_odd_vote(scene, task_id)
    return sender, calls.CastVote(task_id, pick_round(scene, task_id), paper)


def vote_bundle(scene: Scene) -> Call:
    task_id = scene.pick_task()
    number = pick_round(scene, task_id)
    build = scene.rng.choice([build_odd_vote, progress.build_vote])
    proposer = scene.get_book(task_id).proposal.proposer
    is_seated = proposer in find_seats(scene, scene.get_book(task_id))
    voter = proposer if is_seated and scene.rng.random() < 0.5 else scene.pick_actor("v")
    entry = sign_vote(scene, voter, task_id, number, build(scene, task_id))
    length = scene.rng.choice([0, 1, 1, 2, 32, 33])
    return calls.VoteBundle(task_id, number, (entry,) * length)
