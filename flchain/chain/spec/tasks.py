"""Tasks, enrolment, endorsement and dismissal: what exists before a round and outlives it."""

from dataclasses import replace

from flchain.chain.spec import agents, draw_keys, models, rewards
from flchain.chain.spec.signatures import verify_deadline, verify_signed
from flchain.chain.spec.state import Book, Config, Env, State, compute_epoch, get_book
from flchain.chain.spec.task_rules import MAX_SEATS, verify_task
from flchain.protocol.calls import (
    CloseTask,
    CreateTask,
    Dismiss,
    Endorse,
    EndorseWithSig,
    Enrol,
    EnrolWithSig,
    LeaveTask,
    LeaveTaskWithSig,
    RefreshDrawKey,
)
from flchain.protocol.eip712 import hash_endorsement, hash_enrolment, hash_leave
from flchain.protocol.events import (
    Event,
    MemberEnrolled,
    MemberLeft,
    TaskClosed,
    TaskCreated,
    TaskEndorsed,
)
from flchain.protocol.records import DrawKey, Member, Population, TaskStatus
from flchain.protocol.reverts import (
    AlreadyEndorsed,
    AlreadyEnrolled,
    InvalidRoles,
    NotEnrolled,
    NothingDrawn,
    NotSponsor,
    RoundIsLive,
    StillInGoodStanding,
    TaskFull,
    TaskIsClosed,
    UnknownTask,
    WrongEndorsement,
)
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Digest,
    Outcome,
    Role,
    RoundId,
    TaskId,
    Timestamp,
)

MISSED_VOTES = 3
"""A validator who was silent in so many votes in a row may be dismissed by anybody."""
TASK_ROLES = (Role.AGENT, Role.VALIDATOR, Role.PROPOSER)


def get_task_status(state: State, task_id: TaskId) -> TaskStatus:
    """Return what changes about a task between its rounds."""
    book = get_book(state, task_id)
    return TaskStatus(
        book.sponsor, book.next_open_at, book.abort_streak, count_endorsements(book), book.is_closed
    )


def get_member(state: State, task_id: TaskId, address: Address) -> Member:
    """Return an identity's enrolment; all zero for a stranger."""
    return get_book(state, task_id).members.get(address, Member())


def count_endorsements(book: Book) -> int:
    """Return the enrolled validators who endorsed the task."""
    return sum(member.has_endorsed for member in book.members.values())


def count_enrolled(book: Book, role: int) -> int:
    """Return the members enrolled under `role`, active or not yet."""
    return sum(is_enrolled(member) and member.role == role for member in book.members.values())


def count_active(config: Config, book: Book, time: Timestamp) -> Population:
    """Return the members active at `time` under each role."""
    roles = [member.role for member in book.members.values() if is_active(config, member, time)]
    return Population(*(roles.count(role) for role in TASK_ROLES))


def find_place(book: Book, role: int) -> int:
    """Return the lowest free seat, the end of the proposers' line, or 0 for an agent."""
    if role != Role.VALIDATOR:
        return len(book.proposers) if role == Role.PROPOSER else 0
    taken = {
        member.place
        for member in book.members.values()
        if is_enrolled(member) and member.role == Role.VALIDATOR
    }
    return min(set(range(MAX_SEATS)) - taken)


def is_drawn(book: Book, role: int) -> bool:
    """Return whether members under `role` are drawn into committees."""
    return role == Role.VALIDATOR and book.task.committee != 0


def is_enrolled(member: Member) -> bool:
    """Return whether the member has a role and has not left."""
    return member.role != 0 and member.left_at == 0


def is_active(config: Config, member: Member, time: Timestamp) -> bool:
    """Return whether the member is enrolled and its epoch has come."""
    return is_enrolled(member) and member.active_from <= compute_epoch(config, time)


def is_inactive_validator(book: Book, member: Member) -> bool:
    """Return whether a validator was silent in the last votes whose window ran out.

    Votes that were decided early do not count, or else the slowest honest validator could be
    evicted; nor do votes of rounds in which it did not yet hold its seat.
    """
    newest = book.absences[-MISSED_VOTES:]
    silent = [
        absence.epoch >= member.active_from and member.place not in absence.heard
        for absence in newest
    ]
    if book.task.committee:
        known = book.draw_keys.get(member.place, DrawKey())
        return member.role == Role.VALIDATOR and known.penalties >= MISSED_VOTES
    return member.role == Role.VALIDATOR and len(newest) == MISSED_VOTES and all(silent)


def verify_exists(book: Book, task_id: TaskId) -> None:
    """Raise UnknownTask unless the task was created."""
    if book.sponsor == ZERO_ADDRESS:
        raise UnknownTask(task_id)


def verify_no_live_round(book: Book, task_id: TaskId) -> None:
    """Raise RoundIsLive until the newest round has ended."""
    if book.round.round != 0 and book.round.outcome == Outcome.NONE:
        raise RoundIsLive(task_id, book.round.round)


def verify_enrolled(book: Book, task_id: TaskId, address: Address) -> Member:
    """Return the enrolment of a member who has not left, or raise NotEnrolled."""
    member = book.members.get(address, Member())
    if not is_enrolled(member):
        raise NotEnrolled(task_id, address)
    return member


def verify_enrolment(state: State, address: Address, task_id: TaskId, role: int) -> None:
    """Raise unless `address` may enrol: open task, one role, free place, eligible."""
    book = get_book(state, task_id)
    verify_exists(book, task_id)
    if book.is_closed:
        raise TaskIsClosed(task_id)
    if role not in TASK_ROLES:
        raise InvalidRoles(role)
    if is_enrolled(get_member(state, task_id, address)):
        raise AlreadyEnrolled(task_id, address)
    limit = book.task.max_agents if role == Role.AGENT else MAX_SEATS
    if count_enrolled(book, role) >= limit:
        raise TaskFull(task_id, role)
    if is_drawn(book, role):
        draw_keys.verify_proven_key(state, address)
    agents.verify_duty(state, address, role)


def verify_endorsement(
    book: Book, validator: Address, task_id: TaskId, policy_digest: Digest, initial_state: Digest
) -> None:
    """Raise unless an enrolled validator endorses the task's own blobs, once."""
    member = verify_enrolled(book, task_id, validator)
    if member.role != Role.VALIDATOR:
        raise NotEnrolled(task_id, validator)
    if member.has_endorsed:
        raise AlreadyEndorsed(task_id, validator)
    if (policy_digest, initial_state) != (book.task.policy_digest, book.task.initial_state):
        raise WrongEndorsement(policy_digest, initial_state)


def enrol(state: State, env: Env, address: Address, task_id: TaskId, role: int) -> list[Event]:
    """Record an enrolment, a duty, and a seat or a place in line."""
    book = state.books[task_id]
    former = get_member(state, task_id, address)
    member = replace(
        former,
        role=role,
        active_from=agents.compute_activation(state.config, env.time),
        left_at=Timestamp(0),
        place=find_place(book, role),
        has_endorsed=False,
        nonce=former.nonce + 1,
    )
    if role == Role.PROPOSER:
        book.proposers.append(address)
    book.members[address] = member
    agents.add_duties(state, address, 1)
    enrolled = MemberEnrolled(task_id, address, role, member.active_from)
    if not is_drawn(book, role):
        return [enrolled]
    return [enrolled, draw_keys.add_key(state, env, task_id, address, member.place)]


def leave(
    state: State, env: Env, address: Address, task_id: TaskId, *, is_dismissed: bool
) -> list[Event]:
    """Record that a member left; its endorsement and its place in line go with it."""
    book = state.books[task_id]
    if book.members[address].role == Role.PROPOSER:
        remove_proposer(book, address)
    member = book.members[address]
    keys = (
        [draw_keys.remove_key(book, task_id, member.place)] if is_drawn(book, member.role) else []
    )
    book.members[address] = replace(member, left_at=env.time, has_endorsed=False)
    agents.add_duties(state, address, -1)
    return [*keys, MemberLeft(task_id, address, is_dismissed)]


def remove_proposer(book: Book, address: Address) -> None:
    """Take a proposer out of line; the last in line takes its place."""
    place = book.members[address].place
    last = book.proposers.pop()
    if last != address:
        book.proposers[place] = last
        book.members[last] = replace(book.members[last], place=place)


def endorse(state: State, validator: Address, task_id: TaskId) -> list[Event]:
    """Record an endorsement."""
    book = state.books[task_id]
    book.members[validator] = replace(book.members[validator], has_endorsed=True)
    return [TaskEndorsed(task_id, validator)]


def process_create_task(state: State, env: Env, call: CreateTask) -> list[Event]:
    """Create a task with its version 0; the sender becomes its sponsor."""
    verify_task(state.config, call.task)
    task_id = TaskId(len(state.books) + 1)
    opens_at = Timestamp(env.time + call.task.open_delay)
    state.books[task_id] = Book(task=call.task, sponsor=env.sender, next_open_at=opens_at)
    initial = models.publish_version(
        state, task_id, RoundId(0), call.task.initial_state, ZERO_DIGEST
    )
    return [TaskCreated(task_id, env.sender, call.task), initial]


def process_close_task(state: State, env: Env, call: CloseTask) -> list[Event]:
    """Close a task without a live round; the sponsor gets the rest of its budget.

    Closing again collects rewards that were swept since.
    """
    book = get_book(state, call.task_id)
    verify_exists(book, call.task_id)
    if env.sender != book.sponsor:
        raise NotSponsor(env.sender)
    verify_no_live_round(book, call.task_id)
    book.is_closed = True
    return [TaskClosed(call.task_id), rewards.refund(state, call.task_id, env.sender)]


def process_enrol(state: State, env: Env, call: Enrol) -> list[Event]:
    """Enrol the sender under one role; it counts from two epochs later."""
    verify_enrolment(state, env.sender, call.task_id, call.role)
    return enrol(state, env, env.sender, call.task_id, call.role)


def process_enrol_with_sig(state: State, env: Env, call: EnrolWithSig) -> list[Event]:
    """Enrol `member` on its signature, which names how often it has enrolled before."""
    manager = state.config.addresses.round_manager
    verify_deadline(env, call.deadline)
    nonce = get_member(state, call.task_id, call.member).nonce
    signed = hash_enrolment(call.task_id, call.role, nonce, call.deadline)
    verify_signed(state.config, manager, call.member, signed, call.signature)
    verify_enrolment(state, call.member, call.task_id, call.role)
    return enrol(state, env, call.member, call.task_id, call.role)


def process_leave_task(state: State, env: Env, call: LeaveTask) -> list[Event]:
    """Leave a task; what the member may do in the live round it still may."""
    verify_enrolled(get_book(state, call.task_id), call.task_id, env.sender)
    return leave(state, env, env.sender, call.task_id, is_dismissed=False)


def process_leave_task_with_sig(state: State, env: Env, call: LeaveTaskWithSig) -> list[Event]:
    """Leave a task on the member's signature, which is about its newest enrolment."""
    manager = state.config.addresses.round_manager
    verify_deadline(env, call.deadline)
    nonce = get_member(state, call.task_id, call.member).nonce
    signed = hash_leave(call.task_id, nonce, call.deadline)
    verify_signed(state.config, manager, call.member, signed, call.signature)
    verify_enrolled(get_book(state, call.task_id), call.task_id, call.member)
    return leave(state, env, call.member, call.task_id, is_dismissed=False)


def process_endorse(state: State, env: Env, call: Endorse) -> list[Event]:
    """Attest that the sender holds the policy and version 0 and accepts them."""
    book = get_book(state, call.task_id)
    verify_endorsement(book, env.sender, call.task_id, call.policy_digest, call.initial_state)
    return endorse(state, env.sender, call.task_id)


def process_endorse_with_sig(state: State, env: Env, call: EndorseWithSig) -> list[Event]:
    """Endorse a task on the validator's signature."""
    manager = state.config.addresses.round_manager
    verify_deadline(env, call.deadline)
    signed = hash_endorsement(call.task_id, call.policy_digest, call.initial_state, call.deadline)
    verify_signed(state.config, manager, call.validator, signed, call.signature)
    book = get_book(state, call.task_id)
    verify_endorsement(book, call.validator, call.task_id, call.policy_digest, call.initial_state)
    return endorse(state, call.validator, call.task_id)


def process_refresh_draw_key(state: State, env: Env, call: RefreshDrawKey) -> list[Event]:
    """Copy a validator's key and stake anew, for draws from two epochs later.

    Others than the validator may send this only if its key or weight is out of date.
    """
    book = get_book(state, call.task_id)
    member = verify_enrolled(book, call.task_id, call.validator)
    if book.task.committee == 0:
        raise NothingDrawn(call.task_id)
    if member.role != Role.VALIDATOR:
        raise NotEnrolled(call.task_id, call.validator)
    draw_keys.verify_refresh(state, env, book, call.validator, member.place)
    removed = draw_keys.remove_key(book, call.task_id, member.place)
    penalties = book.draw_keys[member.place].penalties
    added = draw_keys.add_key(
        state, env, call.task_id, call.validator, member.place, penalties=penalties
    )
    return [removed, added]


def process_dismiss(state: State, env: Env, call: Dismiss) -> list[Event]:
    """Remove a member whose registration lapsed, or an inactive validator.

    Anybody may send this; a member in good standing stays.
    """
    book = get_book(state, call.task_id)
    member = verify_enrolled(book, call.task_id, call.member)
    has_lapsed = not agents.is_eligible(state, call.member, member.role)
    if not has_lapsed and not is_inactive_validator(book, member):
        raise StillInGoodStanding(call.task_id, call.member)
    return leave(state, env, call.member, call.task_id, is_dismissed=True)
