"""Steps that honest participants would not take, or not now."""

from collections.abc import Callable
from dataclasses import replace

from flchain.chain.spec.agents import is_eligible
from flchain.chain.spec.rounds import get_phase
from flchain.chain.spec.tasks import is_enrolled, is_inactive_validator
from flchain.protocol import calls, reserved
from flchain.protocol.calls import Call
from flchain.protocol.records import Member, Vote
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Bitmap,
    Bps,
    Digest,
    Mode,
    Phase,
    Reason,
    Role,
    RoundId,
    Seconds,
    TaskId,
    Verdict,
    Wei,
)
from tests.model import progress
from tests.model.actors import ADDRESSES, ETHER, FUNDS, Command, Scene, build_task
from tests.model.progress import find_seats
from tests.model.signed import sign_attestation, sign_permit, sign_vote

Draw = Callable[[Scene], Command | None]
MAX_UINT96 = Wei(2**96 - 1)
BROKEN_TASKS: tuple[dict[str, object], ...] = (
    {"orchestrator": ZERO_ADDRESS},
    {"max_agents": 0},
    {"max_agents": 1025},
    {"min_agents": 0},
    {"min_agents": 9},
    {"min_survivors": 0},
    {"min_survivors": 2},
    {"min_validators": 0},
    {"min_validators": 65},
    {"w_max": 0},
    {"coordinate_bound": 0},
    {"max_attempts": 0},
    {"max_attempts": 4},
    {"propose_ranks": 0},
    {"propose_ranks": 9},
    {"max_share_bps": 0},
    {"max_share_bps": 10_001},
    {"participation_bps": 10_001},
    {"max_rounds": 0},
    {"max_rounds": 2**24},
    {"submit_window": 0},
    {"attest_window": 0},
    {"propose_window": 0},
    {"vote_window": 0},
    {"claim_window": 0},
    {"join_window": 1},
    {"shares_window": 1},
    {"check_window": 1},
    {"unmask_window": 1},
    {"forced_window": 1},
    {"seat_window": 1},
    {"mode": Mode.SECURE},
    {"policy_digest": ZERO_DIGEST},
    {"initial_state": ZERO_DIGEST},
)
TOO_LARGE: tuple[dict[str, object], ...] = (
    {"coordinate_bound": 2**31 // 24 + 1},
    {"coordinate_bound": 2**32 - 1, "max_agents": 1024, "w_max": 255},
    {"vote_window": 38},
    {"submit_window": 2**32 - 1, "vote_window": 2**32 - 1},
)
SOUND_TASKS: tuple[dict[str, object], ...] = (
    {},
    {"max_rounds": 1},
    {"min_agents": 2, "min_survivors": 2},
    {"min_validators": 4},
    {"propose_ranks": 1, "max_attempts": 3},
    {"proposal_bond": Wei(0), "open_delay": 0},
    {"proposal_bond": Wei(10 * ETHER), "participation_bps": 10_000},
    {"claim_delay": 0, "claim_window": 10, "round_reserve": Wei(0)},
    {"coordinate_bound": 2**31 // 24, "max_rounds": 2**24 - 1},
    {"vote_window": 37},
    {"orchestrator": ADDRESSES["a1"], "max_agents": 1},
    {"orchestrator": ADDRESSES["v1"], "propose_ranks": 2},
)


def draw_disturbance(scene: Scene) -> Command | None:
    """Return one odd step, half of the time one that fits the phase."""
    if scene.rng.random() < 0.5:
        phase = get_phase(scene.state, scene.pick_task(), scene.now)
        group = MEDDLING.get(phase, BETWEEN_ROUNDS)
    else:
        group = scene.rng.choices(GROUPS, weights=[weight for weight, _ in GROUPS])[0][1]
    return scene.rng.choice(group)(scene)


def at_random(build: Callable[[Scene], Call | None]) -> Draw:
    """Let any actor send what `build` returns."""

    def draw(scene: Scene) -> Command | None:
        call = build(scene)
        return None if call is None else (scene.pick_actor(), call)

    return draw


def pick_digest(scene: Scene) -> Digest:
    """Return a digest: new, zero, or one that was used before."""
    used = sorted(scene.state.used_keys)
    if used and scene.rng.random() < 0.4:
        return scene.rng.choice(used)
    return scene.rng.choice([scene.draw_digest(), scene.draw_digest(), ZERO_DIGEST])


def pick_amount(scene: Scene) -> Wei:
    """Return an amount: nothing, little, a stake, too much, or the largest there is."""
    return Wei(scene.rng.choice([0, 1, 10 * ETHER, 20 * ETHER, 30 * ETHER, FUNDS * 2]))


def pick_round(scene: Scene, task_id: TaskId) -> RoundId:
    """Return the newest round, now and then another."""
    newest = scene.get_book(task_id).round.round
    return RoundId(scene.rng.choice([newest] * 6 + [0, newest + 1, max(newest - 1, 0)]))


def pick_role(scene: Scene) -> int:
    return scene.rng.choice([1, 1, 2, 2, 4, 4, 0, 3, 8, 255])


def register(scene: Scene) -> Command:
    call = calls.Register(pick_role(scene), pick_amount(scene), pick_digest(scene))
    return scene.pick_actor(), call


def register_with_permit(scene: Scene) -> Command:
    sender, stake = scene.pick_actor(), pick_amount(scene)
    permit = sign_permit(scene, sender, scene.state.config.addresses.agent_registry, stake)
    keys, deadline = pick_digest(scene), permit.deadline
    role = pick_role(scene)
    call = calls.RegisterWithPermit(role, stake, keys, deadline, permit.v, permit.r, permit.s)
    return sender, call


def increase_stake(scene: Scene) -> Command:
    amount = scene.rng.choice([Wei(0), Wei(1), Wei(5 * ETHER), Wei(2 * FUNDS), MAX_UINT96])
    return scene.pick_actor(), calls.IncreaseStake(amount)


def drop_out(scene: Scene) -> Command | None:
    """Let the proposer of a live vote leave its tasks, then try to unbond."""
    proposers = [
        book.proposal.proposer for book in scene.state.books.values() if book.ballot.is_live
    ]
    if not proposers:
        return None
    # Whoever is nearest to unbonding goes on with it.
    fewest = min(proposers, key=lambda address: scene.state.agents[address].duties)
    return leave_or_unbond(scene, fewest)


def leave_or_unbond(scene: Scene, address: Address) -> Command:
    """Let an actor leave a task that it is in, or unbond if there is none."""
    for task_id, book in scene.state.books.items():
        if is_enrolled(book.members.get(address, Member())):
            return address, calls.LeaveTask(task_id)
    return address, calls.BeginUnbonding()


def retire(scene: Scene) -> Command:
    """Take an actor step by step through leaving, unbonding and coming back."""
    registered = [address for address, record in scene.state.agents.items() if record.roles]
    if registered and scene.rng.random() < 0.7:
        # Whoever is nearest to unbonding goes on with it.
        fewest = min(registered, key=lambda address: scene.state.agents[address].duties)
        return leave_or_unbond(scene, scene.rng.choice([fewest, scene.rng.choice(registered)]))
    if scene.rng.random() < 0.4:
        return scene.pick_actor(), calls.Register(1, Wei(10 * ETHER), scene.draw_digest())
    return withdraw(scene)


def withdraw(scene: Scene) -> Command:
    waiting = [address for address, record in scene.state.agents.items() if record.unbonding]
    agent = scene.rng.choice(waiting) if waiting else scene.pick_actor()
    return scene.pick_actor(), calls.Withdraw(agent)


def set_allowed(scene: Scene) -> Command:
    sender = scene.rng.choice([ADDRESSES["governance"], scene.pick_actor()])
    return sender, calls.SetAllowed(scene.pick_actor(), scene.rng.random() < 0.7)


def set_suspended(scene: Scene) -> Command:
    sender = scene.rng.choice([ADDRESSES["governance"], scene.pick_actor()])
    return sender, calls.SetSuspended(scene.pick_actor(), scene.rng.random() < 0.5)


def create_task(scene: Scene) -> Call:
    kinds = scene.rng.choice([BROKEN_TASKS, BROKEN_TASKS, TOO_LARGE, SOUND_TASKS, SOUND_TASKS])
    changes = scene.rng.choice(kinds)
    return calls.CreateTask(build_task(has_token=scene.has_token, **changes))


def close_task(scene: Scene) -> Command | None:
    """Close the newest task, or try to; the first is wanted for better things."""
    task_id = TaskId(len(scene.state.books))
    if scene.rng.random() < 0.3:
        return scene.pick_actor(), calls.CloseTask(scene.pick_task())
    return (scene.get_book(task_id).sponsor, calls.CloseTask(task_id)) if task_id > 1 else None


def dismiss(scene: Scene) -> Command:
    """Dismiss anybody, or somebody who may be dismissed."""
    task_id = scene.pick_task()
    book = scene.get_book(task_id)
    fallen = [
        address
        for address, member in book.members.items()
        if is_enrolled(member)
        and (
            is_inactive_validator(book, member)
            or not is_eligible(scene.state, address, member.role)
        )
    ]
    member = scene.rng.choice([scene.pick_actor("v"), *fallen * 4])
    return scene.pick_actor(), calls.Dismiss(task_id, member)


def endorse(scene: Scene) -> Command:
    """Endorse, sometimes another policy or model; mostly for who has not yet."""
    task_id = scene.pick_task()
    book = scene.get_book(task_id)
    waiting = [
        address
        for address, member in book.members.items()
        if is_enrolled(member) and member.role == Role.VALIDATOR and not member.has_endorsed
    ]
    right = book.task.policy_digest, book.task.initial_state
    wrong = [(scene.draw_digest(), right[1]), (right[0], scene.draw_digest())]
    sender = scene.rng.choice([scene.pick_actor("v"), *waiting])
    return sender, calls.Endorse(task_id, *scene.rng.choice([right, right, *wrong]))


def enrol(scene: Scene) -> Command:
    """Enrol under any role, or as an agent where there may be no place left."""
    if scene.rng.random() < 0.5:
        return scene.pick_actor(), calls.Enrol(scene.pick_task(), pick_role(scene))
    task_id = scene.pick_task()
    members = scene.get_book(task_id).members
    outside = [
        address
        for name, address in ADDRESSES.items()
        if name.startswith("a") and not is_enrolled(members.get(address, Member()))
    ]
    return scene.rng.choice(outside or [scene.pick_actor()]), calls.Enrol(task_id, Role.AGENT)


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


def fund(scene: Scene) -> Command:
    amount = scene.rng.choice([Wei(0), Wei(500), Wei(1_000), MAX_UINT96])
    sender = scene.rng.choice([scene.pick_actor(), ADDRESSES["treasury"]])
    return sender, calls.Fund(scene.pick_task(), amount)


def claim(scene: Scene) -> Command | None:
    """Claim something that is paid, unpaid, altered or never promised."""
    if not scene.state.distributions and scene.rng.random() < 0.8:
        return None
    if not scene.state.distributions or scene.rng.random() < 0.1:
        task_id = scene.pick_task()
        return scene.pick_actor(), calls.Claim(
            task_id, pick_round(scene, task_id), 0, scene.pick_actor(), Wei(1), ()
        )
    task_id, number = scene.rng.choice(list(scene.state.distributions))
    root = scene.state.distributions[task_id, number].root
    listed = scene.trees[root]
    paid = [reward for reward in listed if (task_id, number, reward.index) in scene.state.claimed]
    reward = scene.rng.choice(paid if paid and scene.rng.random() < 0.3 else listed)
    call = progress.build_claim(scene, task_id, number, reward)
    odd = scene.rng.choice(
        [
            call,
            call,
            replace(call, amount=Wei(call.amount + 1)),
            replace(call, account=scene.pick_actor()),
            replace(call, index=scene.rng.choice([63, 64, 300])),
            replace(call, proof=(*call.proof, scene.draw_digest())),
        ]
    )
    return scene.pick_actor(), odd


def sweep(scene: Scene) -> Call | None:
    if not scene.state.distributions and scene.rng.random() < 0.8:
        return None
    if not scene.state.distributions or scene.rng.random() < 0.1:
        task_id = scene.pick_task()
        return calls.Sweep(task_id, pick_round(scene, task_id))
    return calls.Sweep(*scene.rng.choice(list(scene.state.distributions)))


def approve(scene: Scene) -> Command | None:
    addresses = scene.state.config.addresses
    spender = scene.rng.choice(
        [addresses.agent_registry, addresses.reward_distributor, scene.pick_actor(), ZERO_ADDRESS]
    )
    amount = scene.rng.choice([Wei(0), Wei(1_000), FUNDS])
    return (scene.pick_actor(), calls.Approve(spender, amount)) if scene.has_token else None


def permit(scene: Scene) -> Command | None:
    if not scene.has_token:
        return None
    spender = scene.rng.choice([scene.pick_actor(), scene.pick_actor(), ZERO_ADDRESS])
    return scene.pick_actor(), sign_permit(scene, scene.pick_actor(), spender, Wei(50))


def transfer(scene: Scene) -> Command | None:
    to = scene.rng.choice([scene.pick_actor(), scene.pick_actor(), ZERO_ADDRESS])
    amount = scene.rng.choice([Wei(0), Wei(5), MAX_UINT96])
    return (scene.pick_actor(), calls.Transfer(to, amount)) if scene.has_token else None


def transfer_from(scene: Scene) -> Command | None:
    if not scene.has_token:
        return None
    given = scene.state.token.allowances
    mine = [(owner, spender) for owner, spender in given if spender in ADDRESSES.values()]
    strangers = (scene.rng.choice([ZERO_ADDRESS, scene.pick_actor()]), scene.pick_actor())
    owner, sender = scene.rng.choice([*mine, strangers])
    to = scene.rng.choice([scene.pick_actor(), scene.pick_actor(), ZERO_ADDRESS])
    return sender, calls.TransferFrom(owner, to, Wei(scene.rng.choice([0, 5, 5_000])))


def call_reserved(scene: Scene) -> Call:
    """Try what only the round manager may do."""
    task_id, agent, amount = scene.pick_task(), scene.pick_actor(), Wei(1)
    number, digest = RoundId(1), scene.draw_digest()
    return scene.rng.choice(
        [
            reserved.AddDuty(agent, 1),
            reserved.RemoveDuty(agent),
            reserved.LockBond(agent, amount),
            reserved.ReleaseBond(agent, amount),
            reserved.SlashBond(agent, amount),
            reserved.PublishInitial(task_id, digest),
            reserved.PublishVersion(task_id, number, digest, digest),
            reserved.Reserve(task_id, amount),
            reserved.Release(task_id),
            reserved.PublishRewards(
                task_id, number, digest, amount, Bps(1), Seconds(1), Seconds(1)
            ),
            reserved.Refund(task_id, agent),
        ]
    )


BETWEEN_ROUNDS: tuple[Draw, ...] = (
    retire,
    retire,
    withdraw,
    increase_stake,
    register,
    enrol,
    endorse,
    endorse,
    fund,
    claim,
    claim,
    at_random(sweep),
    permit,
    dismiss,
)
MEDDLING: dict[Phase, tuple[Draw, ...]] = {
    Phase.SUBMIT: (submit,),
    Phase.ATTEST: (attest, attest, at_random(attest_bundle)),
    Phase.PROPOSE: (propose, propose, propose_as_validator),
    Phase.VOTE: (vote, vote, vote, at_random(vote_bundle), drop_out, drop_out, drop_out),
}
GROUPS: list[tuple[int, tuple[Draw, ...]]] = [
    (8, (register, register_with_permit, increase_stake, retire, withdraw)),
    (2, (set_allowed, set_suspended)),
    (
        5,
        (
            enrol,
            at_random(lambda s: calls.LeaveTask(s.pick_task())),
            at_random(lambda _: calls.BeginUnbonding()),
            dismiss,
            endorse,
            drop_out,
        ),
    ),
    (
        8,
        (
            submit,
            attest,
            at_random(attest_bundle),
            propose,
            propose_as_validator,
            vote,
            at_random(vote_bundle),
            at_random(lambda s: calls.OpenRound(s.pick_task())),
            at_random(lambda s: calls.Settle(s.pick_task())),
        ),
    ),
    (6, (fund, claim, claim, at_random(sweep))),
    (4, (approve, permit, transfer, transfer_from)),
    (2, (at_random(create_task), close_task)),
    (1, (at_random(call_reserved),)),
]
