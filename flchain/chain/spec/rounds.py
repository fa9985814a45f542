"""The clock of a round, and its way from the opening to the survivor set.

Windows are half-open, `[open, close)` in block time. A window closes early once everybody
entitled has acted. Nothing stores the phase: it follows from the time, the close times and
the counts.
"""

from collections import Counter
from dataclasses import replace

from flchain.chain.spec import models, rewards
from flchain.chain.spec.masked_clock import (
    LAST_WINDOWS,
    get_masked_book,
    get_masked_phase,
    is_masked,
    open_masked,
)
from flchain.chain.spec.signatures import verify_deadline, verify_signed
from flchain.chain.spec.state import (
    Book,
    Config,
    Env,
    State,
    compute_epoch,
    get_book,
    get_round_key,
)
from flchain.chain.spec.tasks import (
    count_active,
    count_endorsements,
    verify_exists,
    verify_no_live_round,
)
from flchain.protocol.calls import Attest, AttestBundle, OpenRound, Submit, SubmitWithSig
from flchain.protocol.digests import (
    WORD,
    chain_submission,
    compute_majority,
    decode_bitmap,
    empty_chain,
    encode_bitmap,
)
from flchain.protocol.eip712 import hash_attestation, hash_update
from flchain.protocol.events import BlobsAttested, Event, RoundOpened, UpdateSubmitted
from flchain.protocol.records import Ballot, Member, Population, Round, Submissions
from flchain.protocol.reverts import (
    AlreadyAttested,
    AlreadySubmitted,
    InvalidBitmap,
    InvalidBundle,
    InvalidDigest,
    InvalidWeight,
    NotEndorsed,
    NotEntitled,
    PrivacyBudgetSpent,
    RoundsExhausted,
    TaskIsClosed,
    TooEarly,
    TooFewAgents,
    TooFewValidators,
    WrongPhase,
    WrongRound,
)
from flchain.protocol.types import (
    ZERO_DIGEST,
    Address,
    Bitmap,
    Mode,
    Outcome,
    Phase,
    Role,
    RoundId,
    TaskId,
    Timestamp,
)

MAX_BUNDLE = 32


def get_round(state: State, task_id: TaskId) -> Round:
    """Return the newest round; all zero before the first."""
    book = get_book(state, task_id)
    return replace(book.round, attesters=len(book.attestations))


def get_phase(state: State, task_id: TaskId, time: Timestamp) -> Phase:
    """Return the phase of the newest round at `time`.

    SETTLE means that nothing but `settle` can go on: the vote is over, or the round is
    doomed, or every proposer's window has passed.
    """
    book = get_book(state, task_id)
    if book.round.round == 0:
        return Phase.NONE
    if book.round.outcome != Outcome.NONE:
        return Phase.ENDED
    if is_masked(book):
        return get_masked_phase(get_masked_book(state, task_id), time)
    return Phase.SUBMIT if time < book.round.submit_close else get_late_phase(book, time)


def get_late_phase(book: Book, time: Timestamp) -> Phase:
    """Return the phase of a live round whose SUBMIT has closed."""
    if book.ballot.is_live:
        if time < book.ballot.opened_at:
            return Phase.SEAT
        return Phase.VOTE if time < book.ballot.vote_close else Phase.SETTLE
    if time < book.round.attest_close:
        return Phase.ATTEST
    if get_doom(book) != Outcome.NONE:
        return Phase.SETTLE
    has_window = get_rank(book, time) < book.task.propose_ranks
    return Phase.PROPOSE if has_window else Phase.SETTLE


def get_doom(book: Book) -> Outcome:
    """Return what makes the round fail once ATTEST has closed; NONE if nothing does."""
    if len(book.attestations) < compute_majority(book.round.validators):
        return Outcome.ABORTED_NO_ATTESTERS
    if len(get_survivors(book)) < book.task.min_survivors:
        return Outcome.ABORTED_TOO_FEW
    return Outcome.NONE


def get_survivors(book: Book) -> frozenset[int]:
    """Return the submissions whose blobs at least h of v validators attested."""
    holders = Counter(index for held in book.attestations.values() for index in held)
    needed = compute_majority(book.round.validators)
    return frozenset(index for index, count in holders.items() if count >= needed)


def get_rank(book: Book, time: Timestamp) -> int:
    """Return the rank whose window it is; `propose_ranks` or more once all are over."""
    is_first = book.ballot.attempt == 0
    opened = book.round.attest_close if is_first else book.ballot.opened_at
    rank = book.ballot.start_rank + (time - opened) // book.task.propose_window
    last = book.task.propose_ranks - 1
    is_long = book.task.mode == Mode.SECURE and last < rank < last + LAST_WINDOWS
    return last if is_long else rank


def is_entitled(config: Config, round_: Round, member: Member, role: Role) -> bool:
    """Return whether `member` had `role` and was active when the round opened."""
    was_active = member.active_from <= compute_epoch(config, round_.opened_at)
    was_enrolled = member.left_at == 0 or member.left_at > round_.opened_at
    return member.role == role and was_active and was_enrolled


def verify_opening(state: State, env: Env, task_id: TaskId) -> Population:
    """Return the members of a round that may open now, or raise what forbids it.

    A majority of the active validators must have endorsed the task, and its budget must
    cover the round's reserve.
    """
    book = get_book(state, task_id)
    verify_exists(book, task_id)
    if book.is_closed:
        raise TaskIsClosed(task_id)
    verify_no_live_round(book, task_id)
    if book.round.round >= book.task.max_rounds:
        raise RoundsExhausted(book.task.max_rounds)
    if env.time < book.next_open_at:
        raise TooEarly(book.next_open_at)
    members = count_active(state.config, book, env.time)
    verify_members(book, members)
    verify_privacy(state, task_id)
    rewards.verify_reserve(state, task_id, book.task.round_reserve)
    return members


def verify_privacy(state: State, task_id: TaskId) -> None:
    """Raise PrivacyBudgetSpent once the committed budget allows no further round.

    In plain mode every opened round counts, in secure mode every sum that was revealed.
    """
    book = get_book(state, task_id)
    is_secure = book.task.mode == Mode.SECURE
    spent = get_masked_book(state, task_id).spent if is_secure else book.round.round
    if 0 < book.task.privacy_rounds <= spent:
        raise PrivacyBudgetSpent(book.task.privacy_rounds)


def verify_members(book: Book, members: Population) -> None:
    """Raise unless enough validators and agents are active and endorsed the task."""
    if members.validators < book.task.min_validators:
        raise TooFewValidators(members.validators, book.task.min_validators)
    endorsements = count_endorsements(book)
    if endorsements < (needed := compute_majority(members.validators)):
        raise NotEndorsed(endorsements, needed)
    if members.agents < book.task.min_agents:
        raise TooFewAgents(members.agents, book.task.min_agents)


def verify_round(book: Book, number: RoundId) -> None:
    """Raise WrongRound unless `number` is the newest round."""
    if book.round.round != number:
        raise WrongRound(book.round.round, number)


def verify_submission(state: State, env: Env, agent: Address, call: Submit | SubmitWithSig) -> None:
    """Raise unless `agent` may submit this digest and weight now.

    It must have been an active agent of the task when the round opened, and submits once.
    """
    book = get_book(state, call.task_id)
    verify_round(book, call.round)
    if book.round.outcome != Outcome.NONE or env.time >= book.round.submit_close:
        raise WrongPhase(Phase.SUBMIT, get_phase(state, call.task_id, env.time))
    member = book.members.get(agent, Member())
    if not is_entitled(state.config, book.round, member, Role.AGENT):
        raise NotEntitled(agent)
    if member.submitted_round == call.round:
        raise AlreadySubmitted(agent)
    if call.digest == ZERO_DIGEST:
        raise InvalidDigest(call.digest)
    if not 0 < call.weight <= book.task.w_max:
        raise InvalidWeight(call.weight, book.task.w_max)


def verify_attesting(state: State, env: Env, task_id: TaskId, number: RoundId) -> None:
    """Raise unless the round is in ATTEST."""
    book = get_book(state, task_id)
    verify_round(book, number)
    is_open = book.round.submit_close <= env.time < book.round.attest_close
    if book.round.outcome != Outcome.NONE or not is_open:
        raise WrongPhase(Phase.ATTEST, get_phase(state, task_id, env.time))


def verify_validator(config: Config, book: Book, validator: Address) -> None:
    """Raise NotEntitled unless `validator` was an active validator when the round opened."""
    member = book.members.get(validator, Member())
    if not is_entitled(config, book.round, member, Role.VALIDATOR):
        raise NotEntitled(validator)


def verify_bitmap(book: Book, bitmap: Bitmap) -> None:
    """Raise InvalidBitmap unless it has the right length and names submissions alone."""
    count = book.submissions.count
    expected = len(encode_bitmap((), count))
    if len(bitmap) != expected:
        raise InvalidBitmap(count)
    for number, word in enumerate(bitmap):
        if word >> min(count - number * WORD, WORD):
            raise InvalidBitmap(count)


def verify_bundle(length: int) -> None:
    """Raise InvalidBundle unless a bundle has 1 to 32 entries."""
    if not 0 < length <= MAX_BUNDLE:
        raise InvalidBundle(length)


def submit(state: State, env: Env, agent: Address, call: Submit | SubmitWithSig) -> list[Event]:
    """Chain a submission; SUBMIT closes with the last member's."""
    book = state.books[call.task_id]
    index = book.submissions.count
    commitment = chain_submission(book.submissions.commitment, agent, call.digest, call.weight)
    book.submissions = Submissions(commitment, index + 1)
    book.members[agent] = replace(book.members[agent], submitted_round=call.round)
    if book.submissions.count == book.round.members:
        attest_close = Timestamp(env.time + book.task.attest_window)
        book.round = replace(book.round, submit_close=env.time, attest_close=attest_close)
    return [UpdateSubmitted(call.task_id, call.round, agent, index, call.digest, call.weight)]


def attest(book: Book, task_id: TaskId, validator: Address, bitmap: Bitmap) -> list[Event]:
    """Add to the blobs that a validator holds; nothing new gives no event.

    The first attestation counts even if it names no submission.
    """
    is_first = validator not in book.attestations
    held = book.attestations.get(validator, frozenset())
    added = decode_bitmap(bitmap) - held
    book.attestations[validator] = held | added
    if not is_first and not added:
        return []
    new = encode_bitmap(added, book.submissions.count)
    return [BlobsAttested(task_id, book.round.round, validator, new)]


def close_attesting(book: Book, env: Env) -> None:
    """Close ATTEST once every validator has attested."""
    if len(book.attestations) == book.round.validators:
        book.round = replace(book.round, attest_close=env.time)


def process_open_round(state: State, env: Env, call: OpenRound) -> list[Event]:
    """Open the task's next round; anybody may send this.

    Fixes the base model, the members and the validators, and escrows the reserve.
    """
    members = verify_opening(state, env, call.task_id)
    book = state.books[call.task_id]
    number = RoundId(book.round.round + 1)
    parent = models.get_latest_version(state, call.task_id)
    submit_close = Timestamp(env.time + book.task.submit_window)
    is_plain = book.task.mode == Mode.PLAIN
    book.round = Round(
        round=number,
        opened_at=env.time,
        # Zero until the masked part is over: plain calls find their windows closed.
        submit_close=Timestamp(submit_close * is_plain),
        attest_close=Timestamp((submit_close + book.task.attest_window) * is_plain),
        members=members.agents,
        validators=members.validators,
        parent_version=parent,
        w_max=book.task.w_max,
        seats=book.task.committee,
    )
    epoch = compute_epoch(state.config, env.time)
    weights = (key.weight for key in book.draw_keys.values() if key.active_from <= epoch)
    book.total_weight = sum(weights)
    book.submissions = Submissions(empty_chain(get_round_key(state.config, call.task_id, number)))
    book.attestations, book.votes, book.weights, book.heard = {}, {}, {}, frozenset()
    book.ballot = Ballot()
    if not is_plain:
        open_masked(state, env, call.task_id)
    rewards.reserve(state, call.task_id, book.task.round_reserve)
    return [RoundOpened(call.task_id, number, parent, members.agents, members.validators)]


def process_submit(state: State, env: Env, call: Submit) -> list[Event]:
    """Record the digest and the declared weight of the sender's update."""
    verify_submission(state, env, env.sender, call)
    return submit(state, env, env.sender, call)


def process_submit_with_sig(state: State, env: Env, call: SubmitWithSig) -> list[Event]:
    """Record `agent`'s update on its signature.

    The round key and the rule "once per round" stand in for a nonce.
    """
    verify_deadline(env, call.deadline)
    key = get_round_key(state.config, call.task_id, call.round)
    signed = hash_update(key, call.digest, call.weight, call.deadline)
    manager = state.config.addresses.round_manager
    verify_signed(state.config, manager, call.agent, signed, call.signature)
    verify_submission(state, env, call.agent, call)
    return submit(state, env, call.agent, call)


def process_attest(state: State, env: Env, call: Attest) -> list[Event]:
    """Attest that the sender holds, has verified and will serve these blobs.

    Attestations add up; one that adds nothing is refused.
    """
    verify_attesting(state, env, call.task_id, call.round)
    book = state.books[call.task_id]
    verify_validator(state.config, book, env.sender)
    verify_bitmap(book, call.bitmap)
    held = book.attestations.get(env.sender)
    if held is not None and decode_bitmap(call.bitmap) <= held:
        raise AlreadyAttested(env.sender)
    events = attest(book, call.task_id, env.sender, call.bitmap)
    close_attesting(book, env)
    return events


def process_attest_bundle(state: State, env: Env, call: AttestBundle) -> list[Event]:
    """Record up to 32 signed attestations.

    Those that add nothing are skipped; an invalid one refuses the whole bundle.
    """
    verify_bundle(len(call.attestations))
    verify_attesting(state, env, call.task_id, call.round)
    book = state.books[call.task_id]
    manager = state.config.addresses.round_manager
    key = get_round_key(state.config, call.task_id, call.round)
    for entry in call.attestations:
        signed = hash_attestation(key, entry.bitmap)
        verify_signed(state.config, manager, entry.validator, signed, entry.signature)
        verify_validator(state.config, book, entry.validator)
        verify_bitmap(book, entry.bitmap)
    events = [
        event
        for entry in call.attestations
        for event in attest(book, call.task_id, entry.validator, entry.bitmap)
    ]
    close_attesting(book, env)
    return events
