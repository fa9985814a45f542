// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Whether individual updates are visible after SUBMIT closes.
enum Mode {
    Plain,
    Secure
}

/// @notice Stage of a task's newest round, derived from the block time and the round's counts.
/// @dev `Settle` means that no further call can change the result and `settle` will record it.
enum Phase {
    None,
    Join,
    Shares,
    Check,
    Submit,
    Attest,
    Unmask,
    Propose,
    Seat,
    Vote,
    Settle,
    Ended
}

/// @notice How a round ended; `None` while it is live.
enum Outcome {
    None,
    Finalized,
    RejectedQuality,
    AbortedTooFew,
    AbortedNoAttesters,
    AbortedUnmask,
    AbortedNoProposal,
    AbortedNoCommittee,
    AbortedNoQuorum,
    AbortedDataLost,
    AbortedDifferencing
}

/// @notice A validator's answer to "is it correct, and is it good enough on my own data?".
/// @dev Only `Wrong` is objective and can slash; `Worse` says correct, but worse than the parent.
enum Verdict {
    None,
    Approve,
    Worse,
    Wrong,
    DataMissing
}

/// @notice What differs from the validator's own re-execution when the verdict is `Wrong`.
enum Reason {
    None,
    WrongSet,
    WrongAggregate,
    WrongModel,
    WrongReward
}

/// @notice Everything about a task that never changes; windows are in seconds.
/// @param orchestrator First in line to propose in every round.
/// @param roundReserve Tokens escrowed from the task's budget when a round opens.
/// @param proposalBond Stake locked while a proposal is voted on; burned if it is proven wrong.
/// @param maxAgents Most agents that may be enrolled at a time.
/// @param minAgents Fewest active agents with which a round may open.
/// @param minSurvivors Fewest updates that may be aggregated.
/// @param minValidators Fewest active validators with which a round may open.
/// @param wMax Largest bucketed weight that a submission may declare.
/// @param maxAttempts Most proposals per round.
/// @param proposeRanks Number of proposing windows; the last is open to every member.
/// @param mode Plain or secure.
/// @param maxShareBps Largest share of influence and of the reward for one agent, in basis points.
/// @param participationBps Part of each reward that is paid when the model is rejected for quality.
/// @param maxRounds Most rounds the task may open.
/// @param committee Seats of a committee that is drawn; zero where every active validator sits.
/// @param submitWindow Longest duration of SUBMIT.
/// @param attestWindow Longest duration of ATTEST.
/// @param proposeWindow Duration of each proposing rank.
/// @param voteWindow Longest duration of VOTE, and of its single extension.
/// @param openDelay Pause before the next round after one that was not finalised; doubles with each abort.
/// @param claimDelay Pause between a round's end and the first claim.
/// @param claimWindow Duration of claiming; what is left then returns to the task.
/// @param forcedWindow Last part of a window of agents for direct records alone, first of CHECK for complaints; zero in
/// plain mode.
/// @param joinWindow JOIN in secure mode; zero in plain mode.
/// @param sharesWindow SHARES in secure mode; zero in plain mode.
/// @param checkWindow CHECK in secure mode; zero in plain mode.
/// @param unmaskWindow UNMASK in secure mode; zero in plain mode.
/// @param seatWindow Each of the four stages of SEAT; zero where every active validator sits.
/// @param coordinateBound Largest absolute value of one integer coordinate of an update.
/// @param finalityDelay Pause before SHARES, SUBMIT and UNMASK in secure mode; zero in plain mode.
/// @param threshold Fewest agents who must release shares in UNMASK; zero in plain mode.
/// @param maxCorrupt Most survivors assumed to collude; zero in plain mode.
/// @param privacyRounds Rounds that the committed privacy budget allows; zero where the task states none.
/// @param policyDigest sha2-256 of the policy's canonical document.
/// @param initialState sha2-256 of the manifest of model version 0.
// solhint-disable-next-line gas-struct-packing
struct Task {
    // slot 0
    address orchestrator;
    uint96 roundReserve;
    // slot 1
    uint96 proposalBond;
    uint16 maxAgents;
    uint16 minAgents;
    uint16 minSurvivors;
    uint8 minValidators;
    uint8 wMax;
    uint8 maxAttempts;
    uint8 proposeRanks;
    Mode mode;
    uint16 maxShareBps;
    uint16 participationBps;
    uint32 maxRounds;
    uint8 committee;
    // slot 2
    uint32 submitWindow;
    uint32 attestWindow;
    uint32 proposeWindow;
    uint32 voteWindow;
    uint32 openDelay;
    uint32 claimDelay;
    uint32 claimWindow;
    uint32 forcedWindow;
    // slot 3
    uint32 joinWindow;
    uint32 sharesWindow;
    uint32 checkWindow;
    uint32 unmaskWindow;
    uint32 seatWindow;
    uint32 coordinateBound;
    uint16 finalityDelay;
    uint16 threshold;
    uint16 maxCorrupt;
    uint16 privacyRounds;
    // slots 4 and 5
    bytes32 policyDigest;
    bytes32 initialState;
}

/// @notice A task's amounts and delays in one slot, copied so that a settlement reads no other of its parameters.
struct Terms {
    uint96 roundReserve;
    uint96 proposalBond;
    uint32 claimDelay;
    uint32 claimWindow;
}

/// @notice What changes about a task between its rounds.
/// @param sponsor Who created the task and receives what is left of its budget.
/// @param nextOpenAt Earliest time of the next `openRound`.
/// @param abortStreak Aborts since the last round that ended otherwise.
/// @param endorsements Validators who attested the policy and the initial state.
/// @param isClosed Whether the sponsor has closed the task.
struct TaskStatus {
    address sponsor;
    uint40 nextOpenAt;
    uint8 abortStreak;
    uint8 endorsements;
    bool isClosed;
}

/// @notice Number of active members of one kind, with those that become active in the next two epochs.
/// @param active Members active now.
/// @param epochA First epoch with pending members.
/// @param countA Members who become active in `epochA`.
/// @param epochB Second epoch with pending members.
/// @param countB Members who become active in `epochB`.
/// @param seats Bitmap of the seats that enrolled validators hold; zero under the other roles.
struct Population {
    uint16 active;
    uint32 epochA;
    uint16 countA;
    uint32 epochB;
    uint16 countB;
    uint64 seats;
}

/// @notice One identity's enrolment in one task: all that a round needs, in one slot.
/// @param role Role bit under which it is enrolled; zero for a stranger.
/// @param activeFrom First epoch in which it counts.
/// @param leftAt Time of leaving; zero while enrolled.
/// @param submittedRound Newest round it submitted to.
/// @param barredRound Newest round in which its proposal was proven wrong.
/// @param place Place in the list of proposers, or the validator's seat: no two enrolled validators share one.
/// @param hasEndorsed Whether it attested the policy and the initial state.
/// @param nonce Number of times it has enrolled: bound by its signatures, so that none works twice.
struct Member {
    uint8 role;
    uint32 activeFrom;
    uint40 leftAt;
    uint32 submittedRound;
    uint32 barredRound;
    uint8 place;
    bool hasEndorsed;
    uint32 nonce;
}

/// @notice The newest round of a task, in one slot that is reused from round to round.
/// @param round Number of the round, from 1.
/// @param openedAt Block time of opening: the snapshot of members and validators.
/// @param submitClose When SUBMIT closes, moved forward once every member has submitted.
/// @param attestClose When ATTEST closes, moved forward once every validator has attested.
/// @param members Agents active at opening.
/// @param validators Validators active at opening: they attest, and sit where no committee is drawn.
/// @param attesters Validators who have attested; in storage it is zero, see `Attestations`.
/// @param outcome How the round ended.
/// @param parentVersion Model version from which the agents train.
/// @param wMax The task's largest weight, copied so that a submission reads one slot.
/// @param seats Seats of the drawn committee; zero where every active validator sits.
/// @dev The fields fill one slot in any order; this one reads as the round runs.
// solhint-disable-next-line gas-struct-packing
struct Round {
    uint32 round;
    uint40 openedAt;
    uint40 submitClose;
    uint40 attestClose;
    uint16 members;
    uint8 validators;
    uint8 attesters;
    Outcome outcome;
    uint32 parentVersion;
    uint8 wMax;
    uint8 seats;
}

/// @notice The submissions of the newest round, in one slot that is reused.
/// @param commitment Rolling keccak-256 commitment to them, in order; 240 bits, so one slot holds it and the count.
/// @param count Number of submissions.
struct Submissions {
    uint240 commitment;
    uint16 count;
}

/// @notice An attestation with the validator's EIP-712 signature, for bundles.
struct SignedAttestation {
    address validator;
    uint256[] bitmap;
    bytes signature;
}

/// @notice One registered identity; its id is the account that it registered with.
/// @param stake Bonded tokens, those locked as bonds included.
/// @param locked Part of `stake` locked as bonds of live proposals.
/// @param activeFrom First epoch in which the roles count.
/// @param duties Number of enrolments that must end before unbonding.
/// @param roles Role bits.
/// @param isSuspended Whether governance or a slash has suspended it.
/// @param unbonding Tokens waiting to leave; still slashable.
/// @param unbondsAt When they may be withdrawn.
/// @param keysDigest sha2-256 of the identity's public keys document.
struct Agent {
    // slot 0
    uint96 stake;
    uint96 locked;
    uint32 activeFrom;
    uint16 duties;
    uint8 roles;
    bool isSuspended;
    // slot 1
    uint96 unbonding;
    uint40 unbondsAt;
    // slot 2
    bytes32 keysDigest;
}
