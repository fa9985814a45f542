// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {VrfKey, VrfProof} from "../libraries/VRF.sol";

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

/// @notice The newest vote of a task, in one slot that is reused.
/// @param openedAt When proposing opened for this attempt, zero meaning the close of ATTEST; once a proposal is live,
/// when VOTE opens.
/// @param voteClose When VOTE closes, moved forward once no remaining vote can change the result.
/// @param attempt Number of the attempt, from 0.
/// @param startRank First rank that may propose in this attempt.
/// @param rank Rank under which the live proposal was made.
/// @param isLive Whether a proposal is being voted on.
/// @param isExtended Whether the single extension was used.
/// @param approvals Votes that say correct and good enough.
/// @param worse Votes that say correct, but worse than the parent.
/// @param missing Votes that say data is missing.
/// @param cast All votes, by seats as the three before.
/// @param rejectKinds Number of distinct (reason, counter content) pairs among the `Wrong` votes.
/// @param topReject Most votes for one such pair.
/// @param voted Bitmap of the places whose validators have voted, and of the proposer's own, who may not.
struct Ballot {
    uint40 openedAt;
    uint40 voteClose;
    uint8 attempt;
    uint8 startRank;
    uint8 rank;
    bool isLive;
    bool isExtended;
    uint8 approvals;
    uint8 worse;
    uint8 missing;
    uint8 cast;
    uint8 rejectKinds;
    uint8 topReject;
    uint64 voted;
}

/// @notice Who was seated and silent in a vote whose window ran out.
/// @param epoch Epoch in which the round opened.
/// @param voted Bitmap of the places that were not silent: those without a seat too.
struct Absence {
    uint32 epoch;
    uint64 voted;
}

/// @notice The newest draw of a committee, in one slot that is reused.
/// @param round Round of the draw.
/// @param attempt Attempt of the draw.
/// @param entries Seats on the list, those in reserve included.
/// @param isSeeded Whether the seed is known, so that seats can be proven.
/// @param seededAt When the seed became known: SEAT's stages count from there.
/// @param pinnedBlock The block behind the proposal's, whose hash or randomness the seed takes in.
/// @param proposedAt Block time of the proposal.
/// @param totalWeight Weight of all validators active when the round opened.
/// @param beacons Who led the draw before, in order: three places plus one, eight bits each; zero for nobody.
struct Draw {
    uint32 round;
    uint8 attempt;
    uint8 entries;
    bool isSeeded;
    uint40 seededAt;
    uint40 pinnedBlock;
    uint40 proposedAt;
    uint40 totalWeight;
    uint24 beacons;
}

/// @notice What a validator needs to be drawn, in one slot.
/// @param keyHash First 20 bytes of the keccak-256 of its VRF key.
/// @param weight Its stake in thousandths of the stake that a validator needs; zero where there is no stake.
/// @param activeFrom First epoch in which it may be drawn with this key and weight.
/// @param penalties Times that it was silent in a seat.
struct DrawKey {
    bytes20 keyHash;
    uint32 weight;
    uint32 activeFrom;
    uint32 penalties;
}

/// @notice The weight of active validators, with what becomes active in the next two epochs.
/// @param active Weight active now.
/// @param epochA First epoch with pending weight.
/// @param weightA Weight that becomes active in `epochA`.
/// @param epochB Second epoch with pending weight.
/// @param weightB Weight that becomes active in `epochB`.
/// @param atOpening Weight active when the newest round opened.
struct Weights {
    uint40 active;
    uint32 epochA;
    uint40 weightA;
    uint32 epochB;
    uint40 weightB;
    uint40 atOpening;
}

/// @notice A validator's claim to seats; anybody may send it.
/// @param place The validator's place among the task's.
/// @param key Its VRF key.
/// @param proof The proof over the draw's message.
struct SeatProof {
    uint8 place;
    VrfKey key;
    VrfProof proof;
}

/// @notice What an auditor found about an earlier vote.
/// @param round Round of the vote.
/// @param attempt Attempt of the vote.
/// @param validator Who voted.
/// @param claimed The tag in its vote.
/// @param found The tag that the work gives.
struct Audit {
    uint32 round;
    uint8 attempt;
    address validator;
    bytes32 claimed;
    bytes32 found;
}

/// @notice The newest proposal of a task; the slots are reused.
/// @param proposalId Binds content, attempt and proposer.
/// @param stateDigest Manifest digest of the proposed model state.
/// @param rewardRoot Merkle root of the proposed rewards.
/// @param proposer Who made it.
/// @param rewardTotal Sum of the proposed rewards.
struct Proposal {
    bytes32 proposalId;
    bytes32 stateDigest;
    bytes32 rewardRoot;
    address proposer;
    uint96 rewardTotal;
}

/// @notice The integer results of a round, as a proposer claims them.
/// @param aggregateRoot sha2-256 of the manifest of the aggregate.
/// @param stateDigest sha2-256 of the manifest of the new model state.
/// @param rewardRoot Merkle root of the rewards.
/// @param rewardTotal Sum of the rewards.
struct Content {
    bytes32 aggregateRoot;
    bytes32 stateDigest;
    bytes32 rewardRoot;
    uint96 rewardTotal;
}

/// @notice A validator's answer to a proposal.
/// @param proposalId The proposal: binds content, attempt and proposer.
/// @param verdict The answer, a `Verdict`. Numbers here, since each use of an enum checks its range again.
/// @param reason What differs, a `Reason`; `None` unless the verdict is `Wrong`.
/// @param counterContentId Content of the validator's own re-execution; zero unless `Wrong`.
/// @param quality Accuracy on the validator's own held-out data, in basis points; a judgement.
/// @param execTag Commitment to an intermediate of the re-execution; zero where the task asks for none.
/// @dev Never stored; the order is that of the signed type.
// solhint-disable-next-line gas-struct-packing
struct Vote {
    bytes32 proposalId;
    uint8 verdict;
    uint8 reason;
    bytes32 counterContentId;
    uint16 quality;
    bytes32 execTag;
}

/// @notice A vote with the validator's EIP-712 signature, for bundles.
/// @param validator Who voted.
/// @param vote The vote.
/// @param r First half of the signature.
/// @param vs Second half, with the parity in its highest bit, as in ERC-2098.
struct SignedVote {
    address validator;
    Vote vote;
    bytes32 r;
    bytes32 vs;
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

/// @notice The masked part of a task's newest round.
/// @param round Number of the round.
/// @param phase JOIN to UNMASK, also while its window is over; `Ended` once the part is over.
/// @param opensAt When the phase's window opens.
/// @param closesAt When it ends, moved forward once everybody entitled has acted.
/// @param closeBlock The block that closed the phase before: its hash goes into the anchor.
/// @param expected Agents who may act; in CHECK and ATTEST those of the phase before.
/// @param count Agents who have a record in the newest phase of agents.
/// @param attesters Validators who attested in this phase.
/// @param places Places that were given away.
/// @param batches Batches of records in this round.
/// @param spent Sums revealed in this task.
/// @param revealedVersion Version on which the newest revealed sums were trained.
/// @param revealed Sums revealed for that version.
/// @param commitment Rolling keccak-256 over the records, 240 bits.
/// @param anchor What records of this phase name; zero in the block that closed the phase before.
// solhint-disable-next-line gas-struct-packing
struct MaskedRound {
    uint32 round;
    Phase phase;
    uint40 opensAt;
    uint40 closesAt;
    uint40 closeBlock;
    uint16 expected;
    uint16 count;
    uint8 attesters;
    uint16 places;
    uint16 batches;
    uint32 spent;
    uint32 revealedVersion;
    uint8 revealed;
    uint240 commitment;
    bytes32 anchor;
}

/// @notice A record of secure mode with its agent's EIP-712 signature, for batches.
/// @param digest What the agent records.
/// @param r First half of the signature.
/// @param vs Second half, with the parity in its highest bit, as in ERC-2098.
struct SignedRecord {
    bytes32 digest;
    bytes32 r;
    bytes32 vs;
}

/// @notice A signed record with the anchor that it names, as evidence.
struct AnchoredRecord {
    bytes32 anchor;
    bytes32 digest;
    bytes32 r;
    bytes32 vs;
}
