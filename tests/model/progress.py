"""The next useful step of a task: what honest participants would do."""

from flchain.chain.spec import rewards, rounds, tasks, token
from flchain.chain.spec.agents import compute_required_stake, get_agent, get_draw_key
from flchain.chain.spec.masked_clock import is_masked
from flchain.chain.spec.proposals import get_rank_holder
from flchain.chain.spec.state import Book, get_round_key
from flchain.chain.spec.votes import get_weight
from flchain.crypto.merkle import compute_proof, compute_root
from flchain.protocol import calls
from flchain.protocol.digests import encode_bitmap, reward_leaf
from flchain.protocol.records import Content, Member, Vote
from flchain.protocol.rewards import Reward
from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Bps,
    Digest,
    Phase,
    Reason,
    Role,
    RoundId,
    TaskId,
    Verdict,
    Wei,
)
from tests.model import masking
from tests.model.actors import ADDRESSES, ETHER, FUNDS, NAME_OF, ROLES, Command, Scene, build_task
from tests.model.drawing import seat
from tests.model.signed import sign_attestation, sign_permit, sign_vote
from tests.model.vrf_keys import find_new_key, prove_possession

MOODS = ("approve",) * 10 + ("worse",) * 3 + ("wrong",) * 3 + ("missing",) * 2 + ("mixed",) * 2


def draw_progress(scene: Scene) -> Command | None:
    """Return a step that the rules allow now, or None if the time must pass first."""
    if not scene.state.books:
        return ADDRESSES["treasury"], calls.CreateTask(build_task(has_token=scene.has_token))
    return step_forward(scene, scene.pick_task())


def step_forward(scene: Scene, task_id: TaskId) -> Command | None:
    """Return a step of one task that the rules allow now."""
    phase = rounds.get_phase(scene.state, task_id, scene.now)
    if is_masked(scene.get_book(task_id)) and phase != Phase.SETTLE:
        return masking.step(scene, task_id)
    steps = {
        Phase.NONE: prepare,
        Phase.ENDED: conclude,
        Phase.SUBMIT: submit,
        Phase.ATTEST: attest,
        Phase.PROPOSE: propose,
        Phase.SEAT: seat,
        Phase.VOTE: vote,
        Phase.SETTLE: settle,
    }
    return steps[phase](scene, task_id)


def prepare(scene: Scene, task_id: TaskId) -> Command | None:
    """Register, enrol, endorse or fund whatever is missing; then open."""
    steps = [*find_lacking(scene, task_id)]
    if steps and scene.rng.random() < 0.85:
        return scene.rng.choice(steps)
    return scene.pick_actor(), calls.OpenRound(task_id)


def find_lacking(scene: Scene, task_id: TaskId) -> list[Command]:
    """Return every step that brings the task closer to its next round."""
    book = scene.get_book(task_id)
    steps: list[Command] = []
    for name, address in ADDRESSES.items():
        if (role := ROLES.get(name[0])) and not name.startswith("g"):
            steps += find_steps_of(scene, task_id, address, role)
    available = rewards.get_budget(scene.state, task_id).available
    if scene.has_token and available < book.task.round_reserve:
        steps += [fund(scene, task_id)] * 2
    return steps


def find_steps_of(scene: Scene, task_id: TaskId, address: Address, role: int) -> list[Command]:
    """Return what one actor should do next before a round, if anything."""
    book, record = scene.get_book(task_id), get_agent(scene.state, address)
    member = book.members.get(address, Member())
    if record.is_suspended:
        return [(ADDRESSES["governance"], calls.SetSuspended(address, suspended=False))]
    if record.roles == 0:
        return [register(scene, address, role)]
    if role == Role.VALIDATOR and (repair := find_repair(scene, task_id, address)):
        return [repair]
    if not tasks.is_enrolled(member):
        is_full = tasks.count_enrolled(book, role) >= book.task.max_agents
        return [] if is_full and role == Role.AGENT else [(address, calls.Enrol(task_id, role))]
    if member.role == Role.VALIDATOR and not member.has_endorsed:
        task = book.task
        return [(address, calls.Endorse(task_id, task.policy_digest, task.initial_state))] * 2
    return []


def find_repair(scene: Scene, task_id: TaskId, address: Address) -> Command | None:
    """Return what a validator should do about its stake or its key, if anything."""
    book, record = scene.get_book(task_id), get_agent(scene.state, address)
    needed = Wei(compute_required_stake(scene.state.config, record.roles))
    if record.stake < needed:
        return add_stake(scene, address, Wei(needed - record.stake))
    if not book.task.committee:
        return None
    digest, _ = get_draw_key(scene.state, address)
    if digest == ZERO_DIGEST:
        owner = find_new_key(scene.state, address)
        return address, calls.RotateKey(*prove_possession(scene, address, owner))
    member = book.members.get(address, Member())
    known = book.draw_keys.get(member.place)
    is_stale = tasks.is_enrolled(member) and known is not None and known.key_hash != digest[:20]
    is_wanted = is_stale and scene.rng.random() < 0.3
    return (scene.pick_actor(), calls.RefreshDrawKey(task_id, address)) if is_wanted else None


def add_stake(scene: Scene, address: Address, amount: Wei) -> Command:
    """Return what brings a stake that was slashed back to what is needed."""
    registry = scene.state.config.addresses.agent_registry
    if token.get_allowance(scene.state, address, registry) >= amount:
        return address, calls.IncreaseStake(amount)
    return address, calls.Approve(registry, FUNDS)


def register(scene: Scene, address: Address, role: int) -> Command:
    """Return what brings an actor to a registration: allowance, allow-list or the call."""
    registry = scene.state.config.addresses.agent_registry
    if not scene.has_token:
        if address in scene.state.allowed:
            return enter(scene, address, role, Wei(0))
        return ADDRESSES["governance"], calls.SetAllowed(address, allowed=True)
    more = scene.rng.choice([0, 0, 0, 7, 7 * ETHER])
    stake = Wei(compute_required_stake(scene.state.config, role) + more)
    keys = scene.draw_digest()
    if token.get_allowance(scene.state, address, registry) >= stake:
        return enter(scene, address, role, stake)
    permit = sign_permit(scene, address, registry, stake)
    if scene.rng.random() < 0.4:
        deadline, v, r, s = permit.deadline, permit.v, permit.r, permit.s
        return address, calls.RegisterWithPermit(role, stake, keys, deadline, v, r, s)
    if scene.rng.random() < 0.3:
        return scene.pick_actor(), permit
    return address, calls.Approve(registry, scene.rng.choice([stake, FUNDS, Wei(token.UNLIMITED)]))


def enter(scene: Scene, address: Address, role: int, stake: Wei) -> Command:
    """Return a registration, of most validators with a VRF key."""
    if role != Role.VALIDATOR or scene.rng.random() < 0.2:
        return address, calls.Register(role, stake, scene.draw_digest())
    proven = prove_possession(scene, address, find_new_key(scene.state, address))
    return address, calls.RegisterWithKey(role, stake, *proven)


def fund(scene: Scene, task_id: TaskId) -> Command:
    """Return a funding, or the approval that it needs."""
    treasury, distributor = ADDRESSES["treasury"], scene.state.config.addresses.reward_distributor
    amount = Wei(scene.rng.choice([1_000, 1_000, 1_500, 1_500, 10_000]))
    if token.get_allowance(scene.state, treasury, distributor) < amount:
        return treasury, calls.Approve(distributor, Wei(10**6))
    return treasury, calls.Fund(task_id, amount)


def conclude(scene: Scene, task_id: TaskId) -> Command | None:
    """Claim what the ended rounds owe, or go on to the next round."""
    if scene.rng.random() < 0.4 and (step := claim(scene, task_id)):
        return step
    return prepare(scene, task_id)


def claim(scene: Scene, task_id: TaskId) -> Command | None:
    """Return a claim that is not yet paid."""
    rounds_with = [number for task, number in scene.state.distributions if task == task_id]
    if not rounds_with:
        return None
    number = scene.rng.choice(rounds_with)
    distribution = scene.state.distributions[task_id, number]
    owed = [
        reward
        for reward in scene.trees[distribution.root]
        if not rewards.is_claimed(scene.state, task_id, number, reward.index)
    ]
    if not owed:
        return None
    return scene.pick_actor(), build_claim(scene, task_id, number, scene.rng.choice(owed))


def build_claim(scene: Scene, task_id: TaskId, number: RoundId, reward: Reward) -> calls.Claim:
    """Return the claim of one leaf of the round's tree."""
    root = scene.state.distributions[task_id, number].root
    leaves = compute_leaves(scene, task_id, number, scene.trees[root])
    proof = compute_proof(leaves, leaves[reward.index])
    return calls.Claim(task_id, number, reward.index, reward.account, reward.amount, proof)


def compute_leaves(
    scene: Scene, task_id: TaskId, number: RoundId, listed: tuple[Reward, ...]
) -> list[Digest]:
    config = scene.state.config
    key = get_round_key(config, task_id, number)
    return [
        reward_leaf(
            config.chain_id,
            config.addresses.reward_distributor,
            key,
            index=reward.index,
            account=reward.account,
            amount=reward.amount,
        )
        for reward in listed
    ]


def submit(scene: Scene, task_id: TaskId) -> Command | None:
    """Let an entitled agent submit."""
    book = scene.get_book(task_id)
    waiting = [
        address
        for address, member in book.members.items()
        if rounds.is_entitled(scene.state.config, book.round, member, Role.AGENT)
        and member.submitted_round != book.round.round
    ]
    if not waiting:
        return None
    weight = scene.rng.randint(1, book.task.w_max)
    update = calls.Submit(task_id, book.round.round, scene.draw_digest(), weight)
    return scene.rng.choice(waiting), update


def attest(scene: Scene, task_id: TaskId) -> Command | None:
    """Let seated validators attest most blobs, one by one or in a bundle."""
    book = scene.get_book(task_id)
    count, number = book.submissions.count, book.round.round
    if count < book.task.min_survivors and scene.rng.random() < 0.5:
        return scene.pick_actor(), calls.Settle(task_id)
    waiting = [address for address in find_seats(scene, book) if address not in book.attestations]
    if not waiting:
        return None
    chosen = scene.rng.sample(waiting, scene.rng.randint(1, len(waiting)))
    attested = [
        (address, encode_bitmap({i for i in range(count) if scene.rng.random() < 0.9}, count))
        for address in chosen
    ]
    if scene.rng.random() < 0.4:
        entries = tuple(
            sign_attestation(scene, address, task_id, number, bitmap)
            for address, bitmap in attested
        )
        return scene.pick_actor(), calls.AttestBundle(task_id, number, entries)
    address, bitmap = attested[0]
    return address, calls.Attest(task_id, number, bitmap)


def find_seats(scene: Scene, book: Book) -> list[Address]:
    """Return the validators who hold seats in the newest round."""
    return [
        address
        for address, member in book.members.items()
        if rounds.is_entitled(scene.state.config, book.round, member, Role.VALIDATOR)
    ]


def propose(scene: Scene, task_id: TaskId) -> Command | None:
    """Let whoever's turn it is propose; in some attempts nobody does before all may."""
    book = scene.get_book(task_id)
    rank = rounds.get_rank(book, scene.now)
    holder = get_rank_holder(scene.state.config, book, task_id, rank)
    attempt = scene.get_attempt(task_id)
    if holder != ZERO_ADDRESS and scene.silences.setdefault(attempt, scene.rng.random() < 0.2):
        return None
    active = [
        address
        for address, member in book.members.items()
        if tasks.is_active(scene.state.config, member, scene.now)
    ]
    if holder == ZERO_ADDRESS and active:
        holder = scene.rng.choice(active)
    return (holder, build_proposal(scene, task_id)) if holder in NAME_OF else None


def build_proposal(scene: Scene, task_id: TaskId) -> calls.Propose:
    """Return a proposal with a few random rewards, sometimes promising too much."""
    book, rng = scene.get_book(task_id), scene.rng
    number = book.round.round
    part = book.task.round_reserve // 4
    rewards_ = tuple(
        Reward(index, scene.pick_actor(), Wei(rng.randint(0, part)))
        for index in range(rng.choice([1, 2, 3, 4, 4]))
    )
    root = compute_root(compute_leaves(scene, task_id, number, rewards_))
    scene.trees[root] = rewards_
    promised = sum(reward.amount for reward in rewards_)
    total = promised // 3 if rng.random() < 0.15 else promised
    content = Content(scene.draw_digest(), scene.draw_digest(), root, Wei(total))
    return calls.Propose(task_id, number, content)


def vote(scene: Scene, task_id: TaskId) -> Command | None:
    """Let validators vote in the committee's mood, one by one or in a bundle."""
    book = scene.get_book(task_id)
    waiting = find_voters(scene, task_id)
    if not waiting:
        return None
    number = book.round.round
    if scene.rng.random() < 0.4:
        chosen = scene.rng.sample(waiting, scene.rng.randint(1, len(waiting)))
        entries = tuple(
            sign_vote(scene, address, task_id, number, build_vote(scene, task_id))
            for address in chosen
        )
        return scene.pick_actor(), calls.VoteBundle(task_id, number, entries)
    return scene.rng.choice(waiting), calls.CastVote(task_id, number, build_vote(scene, task_id))


def find_voters(scene: Scene, task_id: TaskId) -> list[Address]:
    """Return who may vote still and wants to; in some attempts somebody keeps silent."""
    book = scene.get_book(task_id)
    seats = [address for address in find_seats(scene, book) if get_weight(book, address)]
    sleeper = scene.rng.choice(seats) if seats and scene.rng.random() < 0.2 else None
    asleep = scene.sleepers.setdefault(scene.get_attempt(task_id), sleeper)
    out = {*book.votes, book.proposal.proposer, asleep}
    return [address for address in seats if address not in out]


def build_vote(scene: Scene, task_id: TaskId) -> Vote:
    """Return a vote in the mood of this attempt."""
    book, rng = scene.get_book(task_id), scene.rng
    mood = scene.moods.setdefault(scene.get_attempt(task_id), rng.choice(MOODS))
    if mood == "mixed":
        mood = rng.choice(MOODS[:-2])
    identity, quality = book.proposal.proposal_id, Bps(rng.randint(0, 10_000))
    if mood == "wrong":
        counter = Digest(bytes([rng.choice([1, 1, 1, 2])]) * 32)
        return Vote(identity, Verdict.WRONG, Reason.WRONG_MODEL, counter, quality)
    verdicts = {
        "approve": Verdict.APPROVE,
        "worse": Verdict.WORSE,
        "missing": Verdict.DATA_MISSING,
    }
    return Vote(identity, verdicts[mood], quality=quality)


def settle(scene: Scene, task_id: TaskId) -> Command:
    """Let anybody settle."""
    return scene.pick_actor(), calls.Settle(task_id)
