"""Steps that honest participants would not take, or not now."""

from collections.abc import Callable

from flchain.chain.spec.agents import is_eligible
from flchain.chain.spec.rewards import get_budget
from flchain.chain.spec.rounds import get_phase
from flchain.chain.spec.tasks import is_enrolled, is_inactive_validator
from flchain.protocol import calls, reserved
from flchain.protocol.calls import Call
from flchain.protocol.records import Member
from flchain.protocol.types import (
    Address,
    Bps,
    Mode,
    Phase,
    Role,
    RoundId,
    Seconds,
    TaskId,
    Version,
    Wei,
)
from tests.model import masking
from tests.model.actors import ADDRESSES, ETHER, FUNDS, Command, Scene, build_task
from tests.model.draw_disturbances import (
    announce_recovery,
    audit_vote,
    cancel_recovery,
    execute_recovery,
    open_seats,
    prove_seats,
    prove_too_early,
    recover,
    refresh_draw_key,
    register_with_key,
    replace_validator,
    report_double_vote,
    report_earlier_vote,
    reveal_seed,
    rotate_key,
    set_guardian,
    start_seed,
)
from tests.model.picks import MAX_UINT96, pick_amount, pick_digest, pick_role
from tests.model.round_disturbances import (
    attest,
    attest_bundle,
    propose,
    propose_as_validator,
    submit,
    vote,
    vote_bundle,
)
from tests.model.signed import sign_permit
from tests.model.task_variants import BROKEN_TASKS, SOUND_TASKS, TOO_LARGE
from tests.model.token_disturbances import (
    approve,
    claim,
    fund,
    permit,
    sweep,
    transfer,
    transfer_from,
)

Draw = Callable[[Scene], Command | None]


def draw_disturbance(scene: Scene) -> Command | None:
    """Return one odd step, half of the time one that fits the phase."""
    if scene.rng.random() < 0.5:
        task_id = scene.pick_task()
        phase = get_phase(scene.state, task_id, scene.now)
        if scene.get_book(task_id).task.mode == Mode.SECURE and scene.rng.random() < 0.7:
            return masking.disturb(scene)
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


def open_poor(scene: Scene) -> Command | None:
    """Open a round of a task whose budget does not cover it."""
    poor = [
        task_id
        for task_id, book in scene.state.books.items()
        if get_budget(scene.state, task_id).available < book.task.round_reserve
        and not book.is_closed
    ]
    return (scene.pick_actor(), calls.OpenRound(poor[0])) if poor else None


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
            reserved.PunishOffence(agent, scene.pick_actor()),
            reserved.PunishSilence(agent),
            reserved.PublishInitial(task_id, digest),
            reserved.PublishVersion(task_id, number, digest, digest),
            reserved.Reserve(task_id, amount),
            reserved.Release(task_id),
            reserved.PublishRewards(
                task_id, number, digest, amount, Bps(1), Seconds(1), Seconds(1)
            ),
            reserved.Refund(task_id, agent),
            reserved.OpenMasked(task_id, number, 1, 1, Version(0)),
            reserved.SettleMasked(task_id),
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
    recover,
    recover,
    refresh_draw_key,
    audit_vote,
    audit_vote,
    open_poor,
)
MEDDLING: dict[Phase, tuple[Draw, ...]] = {
    Phase.SUBMIT: (submit,),
    Phase.ATTEST: (attest, attest, at_random(attest_bundle)),
    Phase.PROPOSE: (propose, propose, propose_as_validator),
    Phase.SEAT: (open_seats, *[prove_seats] * 4, prove_too_early, start_seed, reveal_seed),
    Phase.VOTE: (
        audit_vote,
        vote,
        vote,
        vote,
        at_random(vote_bundle),
        drop_out,
        drop_out,
        drop_out,
    ),
}
GROUPS: list[tuple[int, tuple[Draw, ...]]] = [
    (8, (register, register_with_permit, increase_stake, retire, withdraw)),
    (2, (set_allowed, set_suspended)),
    (
        4,
        (
            register_with_key,
            rotate_key,
            set_guardian,
            announce_recovery,
            recover,
            cancel_recovery,
            execute_recovery,
            refresh_draw_key,
            replace_validator,
        ),
    ),
    (3, (masking.disturb,)),
    (4, (report_double_vote, *[report_earlier_vote] * 3, audit_vote, audit_vote)),
    (2, (open_seats, prove_seats, start_seed, reveal_seed)),
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
