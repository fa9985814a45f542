"""The structs of tasks, rounds, draws, identities and rewards."""

from dataclasses import dataclass, field

from flchain.protocol.types import (
    ZERO_ADDRESS,
    ZERO_DIGEST,
    Address,
    Bitmap,
    Bps,
    Digest,
    Epoch,
    Mode,
    Outcome,
    Reason,
    RoundId,
    Seconds,
    Signature,
    Timestamp,
    Verdict,
    Version,
    Wei,
)

_NEVER = Timestamp(0)
_NO_EPOCH = Epoch(0)
_NO_ROUND = RoundId(0)
_INITIAL = Version(0)
_NOTHING = Wei(0)
_NO_BPS = Bps(0)
_NO_TIME = Seconds(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Everything about a task that never changes."""

    orchestrator: Address
    """First in line to propose in every round."""
    round_reserve: Wei
    """Escrowed from the task's budget when a round opens."""
    proposal_bond: Wei
    """Stake locked while a proposal is voted on; burned if it is proven wrong."""
    max_agents: int
    min_agents: int
    min_survivors: int
    """Fewest updates that may be aggregated."""
    min_validators: int
    w_max: int
    """Largest bucketed weight that a submission may declare."""
    max_attempts: int
    """Most proposals per round."""
    propose_ranks: int
    """Number of proposing windows; the last is open to every member."""
    mode: Mode
    max_share_bps: Bps
    participation_bps: Bps
    """Part of each reward that is paid when the model is rejected for quality."""
    max_rounds: int
    committee: int
    """Seats of a committee that is drawn; zero where every active validator sits."""
    submit_window: Seconds
    attest_window: Seconds
    propose_window: Seconds
    """Duration of each proposing rank."""
    vote_window: Seconds
    """Longest duration of VOTE, and of its single extension."""
    open_delay: Seconds
    """Pause after a round that was not finalised; doubles with each abort."""
    claim_delay: Seconds
    claim_window: Seconds
    forced_window: Seconds
    join_window: Seconds
    shares_window: Seconds
    check_window: Seconds
    unmask_window: Seconds
    seat_window: Seconds
    """Each of the four stages of SEAT; zero where every active validator sits."""
    coordinate_bound: int
    """Largest absolute value of one integer coordinate of an update."""
    finality_delay: Seconds = _NO_TIME
    """Pause before SHARES, SUBMIT and UNMASK, in which a reorganisation shows; secure mode."""
    threshold: int = 0
    """Fewest agents who must release shares in UNMASK; zero in plain mode."""
    max_corrupt: int = 0
    """Most survivors assumed to collude; zero in plain mode."""
    privacy_rounds: int = 0
    """Rounds that the committed privacy budget allows; zero where the task states none."""
    policy_digest: Digest
    initial_state: Digest


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What changes about a task between its rounds."""

    sponsor: Address = ZERO_ADDRESS
    next_open_at: Timestamp = _NEVER
    abort_streak: int = 0
    """Aborts since the last round that ended otherwise; stays at 255."""
    endorsements: int = 0
    """Enrolled validators who attested the policy and the initial state."""
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Population:
    """Members active under each role at one moment."""

    agents: int = 0
    validators: int = 0
    proposers: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """One identity's enrolment in one task; all zero for a stranger."""

    role: int = 0
    active_from: Epoch = _NO_EPOCH
    left_at: Timestamp = _NEVER
    """Time of leaving; zero while enrolled."""
    submitted_round: RoundId = _NO_ROUND
    barred_round: RoundId = _NO_ROUND
    """Newest round in which its proposal was proven wrong."""
    place: int = 0
    """Place in the list of proposers, or among the validators; 0 for an agent."""
    has_endorsed: bool = False
    nonce: int = 0
    """Times that it enrolled: its signatures about this task bind it."""


@dataclass(frozen=True, slots=True)
class Round:
    """The newest round of a task; all zero before the first."""

    round: RoundId = _NO_ROUND
    opened_at: Timestamp = _NEVER
    """The snapshot of members and validators was taken then."""
    submit_close: Timestamp = _NEVER
    attest_close: Timestamp = _NEVER
    members: int = 0
    validators: int = 0
    """Validators active at opening: they attest, and sit where no committee is drawn."""
    attesters: int = 0
    outcome: Outcome = Outcome.NONE
    parent_version: Version = _INITIAL
    w_max: int = 0
    seats: int = 0
    """Seats of the drawn committee; zero where every active validator sits."""


@dataclass(frozen=True, slots=True)
class Submissions:
    """Commitment to the newest round's submissions, in order."""

    commitment: int = 0
    """240 bits of the rolling keccak-256, see `digests.chain_submission`."""
    count: int = 0


@dataclass(frozen=True, slots=True)
class Ballot:
    """The newest vote of a task."""

    opened_at: Timestamp = _NEVER
    """When proposing opened for this attempt, zero meaning the close of ATTEST.

    Once a proposal is live it is when VOTE opens; 2^40 - 1 while no committee is seated.
    """
    vote_close: Timestamp = _NEVER
    attempt: int = 0
    start_rank: int = 0
    """First rank that may propose in this attempt."""
    rank: int = 0
    """Rank under which the live proposal was made."""
    is_live: bool = False
    is_extended: bool = False
    approvals: int = 0
    worse: int = 0
    missing: int = 0
    cast: int = 0
    """All votes; like the three before, a vote counts once for each of its seats."""
    reject_kinds: int = 0
    """Distinct (reason, counter content) pairs among the WRONG votes."""
    top_reject: int = 0
    """Most votes for one such pair."""
    voted: int = 0
    """Bitmap of the places whose validators have voted, and of the proposer's own."""


@dataclass(frozen=True, slots=True)
class VrfKey:
    """A VRF key: the point of secp256k1 at `x` whose y has this parity."""

    x: int
    parity: int


@dataclass(frozen=True, slots=True)
class VrfProof:
    """A proof of RFC 9381 with what spares the EVM roots and inversions.

    Gamma is the output as a point. With H the message's point, Y the key and c the challenge,
    which the contract computes: U = sG - cY, A = sH and B = c Gamma.
    """

    gamma_x: int
    gamma_parity: int
    s: int
    u_x: int
    u_y: int
    a_x: int
    a_y: int
    b_x: int
    b_y: int
    inverse: int
    """The inverse of B.x - A.x in the field."""
    roots: tuple[int, ...]
    """A root of -(x^3 + 7) for each counter whose hash x has no point."""


@dataclass(frozen=True, slots=True)
class SeatProof:
    """A validator's claim to seats; anybody may send it."""

    place: int
    key: VrfKey
    proof: VrfProof


@dataclass(frozen=True, slots=True)
class Draw:
    """The newest draw of a committee; all zero before the first."""

    round: RoundId = _NO_ROUND
    attempt: int = 0
    entries: int = 0
    """Seats on the list, those in reserve included."""
    is_seeded: bool = False
    """Whether the seed is known, or that none will come."""
    seeded_at: Timestamp = _NEVER
    """SEAT's stages count from there."""
    pinned_block: int = 0
    """The block behind the proposal's: its hash or randomness goes into the seed."""
    proposed_at: Timestamp = _NEVER
    total_weight: int = 0
    """Weight of all validators active when the round opened."""
    beacons: int = 0
    """Who led the draw before, in order: three places plus one, eight bits each."""


@dataclass(frozen=True, slots=True)
class DrawView:
    """The newest draw of a task with what it has brought so far."""

    draw: Draw = field(default_factory=Draw)
    seed: Digest = ZERO_DIGEST
    seats: tuple[int, ...] = ()
    """The list: 26 bits of score, 6 of the holder's place, ascending."""
    committee: int = 0
    """Seats held, four bits for each place."""


@dataclass(frozen=True, slots=True)
class DrawKey:
    """What a validator needs to be drawn; all zero for a place that nobody holds."""

    key_hash: bytes = bytes(20)
    """First 20 bytes of the keccak-256 of its VRF key."""
    weight: int = 0
    """Stake in thousandths of what a validator needs; zero where there is no stake."""
    active_from: Epoch = _NO_EPOCH
    penalties: int = 0
    """Times that it was silent in a seat."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The newest proposal of a task."""

    proposal_id: Digest = ZERO_DIGEST
    state_digest: Digest = ZERO_DIGEST
    reward_root: Digest = ZERO_DIGEST
    proposer: Address = ZERO_ADDRESS
    reward_total: Wei = _NOTHING


@dataclass(frozen=True, slots=True)
class Content:
    """The integer results of a round, as a proposer claims them."""

    aggregate_root: Digest
    """sha2-256 of the manifest of the aggregate."""
    state_digest: Digest
    """sha2-256 of the manifest of the new model state."""
    reward_root: Digest
    reward_total: Wei


@dataclass(frozen=True, slots=True)
class Vote:
    """A validator's answer to a proposal."""

    proposal_id: Digest
    verdict: Verdict
    reason: Reason = Reason.NONE
    """What differs; NONE unless the verdict is WRONG."""
    counter_content_id: Digest = ZERO_DIGEST
    """Content of the validator's own re-execution; zero unless WRONG."""
    quality: Bps = _NO_BPS
    """Accuracy on the validator's own held-out data: a judgement."""
    exec_tag: Digest = ZERO_DIGEST


@dataclass(frozen=True, slots=True)
class SignedVote:
    """A vote with the validator's compact EIP-712 signature (ERC-2098), for bundles."""

    validator: Address
    vote: Vote
    r: bytes
    vs: bytes
    """The signature's s, with the parity of its v in the highest bit."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a member of a later committee found about an earlier vote."""

    round: RoundId
    attempt: int
    validator: Address
    claimed: Digest
    """The execution tag in its vote."""
    found: Digest
    """The tag that the work gives."""


@dataclass(frozen=True, slots=True)
class SignedAttestation:
    """An attestation with the validator's EIP-712 signature, for bundles."""

    validator: Address
    bitmap: Bitmap
    signature: Signature


@dataclass(frozen=True, slots=True)
class Agent:
    """One registered identity; all zero for a stranger."""

    stake: Wei = _NOTHING
    """Bonded tokens, those locked as bonds included."""
    locked: Wei = _NOTHING
    active_from: Epoch = _NO_EPOCH
    duties: int = 0
    """Enrolments that must end before unbonding."""
    roles: int = 0
    is_suspended: bool = False
    unbonding: Wei = _NOTHING
    """Waiting to leave; still slashable."""
    unbonds_at: Timestamp = _NEVER
    keys_digest: Digest = ZERO_DIGEST
    """Digest of its public keys document, or the keccak-256 of its VRF key."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of one task."""

    available: Wei = _NOTHING
    reserved: Wei = _NOTHING
    """Reserved by the live round."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Rewards of one round; all zero if it has none."""

    remaining: Wei = _NOTHING
    claimable_from: Timestamp = _NEVER
    expires_at: Timestamp = _NEVER
    payout_bps: Bps = _NO_BPS
    """Part of each leaf that is paid."""
    claimed: int = 0
    """Bitmap of the first 64 leaves; `is_claimed` answers for every leaf."""
    root: Digest = ZERO_DIGEST
