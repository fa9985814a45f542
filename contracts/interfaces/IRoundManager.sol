// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Draw, DrawKey, SeatProof} from "../types/DrawTypes.sol";
import {Outcome, Phase, Round, SignedAttestation, Submissions} from "../types/Types.sol";
import {Audit, Ballot, Content, Proposal, SignedVote, Vote} from "../types/VoteTypes.sol";
import {ITasks} from "./ITasks.sol";

/// @title IRoundManager
/// @notice Rounds: submissions by digest, attestations, proposals, votes and finality.
/// @dev Windows are half-open, `[open, close)` in block time. A call outside its phase reverts with `WrongPhase`.
interface IRoundManager is ITasks {
    /// @notice Emitted when a round opens.
    event RoundOpened(
        uint64 indexed taskId, uint32 indexed round, uint32 parentVersion, uint16 members, uint8 validators
    );
    /// @notice Emitted when an agent submits; `index` is its place in the round's submissions.
    event UpdateSubmitted(
        uint64 indexed taskId, uint32 indexed round, address indexed agent, uint16 index, bytes32 digest, uint8 weight
    );
    /// @notice Emitted when a validator attests blobs; `bitmap` holds the submissions that are new, 224 per word.
    event BlobsAttested(uint64 indexed taskId, uint32 indexed round, address indexed validator, uint256[] bitmap);
    /// @notice Emitted when a proposal is recorded.
    event ProposalSubmitted(
        uint64 indexed taskId,
        uint32 indexed round,
        address indexed proposer,
        uint8 attempt,
        uint8 rank,
        bytes32 proposalId,
        bytes32 contentId,
        bytes32 survivorRoot,
        Content content
    );
    /// @notice Emitted when a vote is counted.
    event VoteCast(uint64 indexed taskId, uint32 indexed round, address indexed validator, uint8 attempt, Vote vote);
    /// @notice Emitted when an undecided vote is extended.
    event VoteExtended(uint64 indexed taskId, uint32 indexed round, uint8 attempt, uint40 voteClose);
    /// @notice Emitted when the seed of a draw is known; a zero seed says that every active validator sits.
    event SeatsOpened(uint64 indexed taskId, uint32 indexed round, uint8 attempt, bytes32 seed);
    /// @notice Emitted when proofs win seats: who proved what, and the committee after it, four bits for each place.
    /// @param outputs 0 for a proof that won no seat on the list, which was skipped unverified.
    event SeatsProven(
        uint64 indexed taskId, uint32 indexed round, uint8 attempt, uint8[] places, bytes32[] outputs, uint256 committee
    );
    /// @notice Emitted when silent validators lose their seats to the next on the list.
    event SeatsReplaced(uint64 indexed taskId, uint32 indexed round, uint8 attempt, uint256 committee);
    /// @notice Emitted when a member of a later committee finds another tag than an audited vote claimed.
    event VoteAudited(
        uint64 indexed taskId, uint32 indexed round, address indexed validator, address auditor, Audit finding
    );
    /// @notice Emitted when a validator is punished for an offence.
    event OffencePunished(uint64 indexed taskId, address indexed validator, bytes32 offence, address reporter);
    /// @notice Emitted when a proposal is void and the next attempt begins.
    event ProposalVoided(uint64 indexed taskId, uint32 indexed round, uint8 attempt, bool isProvenWrong);
    /// @notice Emitted when a round ends.
    event RoundSettled(uint64 indexed taskId, uint32 indexed round, Outcome outcome, uint40 nextOpenAt);

    /// @notice Thrown when a call is made outside its phase.
    error WrongPhase(Phase expected, Phase actual);
    /// @notice Thrown when a call names another round than the newest.
    error WrongRound(uint32 expected, uint256 actual);
    /// @notice Thrown when the next round may not open yet.
    error TooEarly(uint40 opensAt);
    /// @notice Thrown when the task has used up its rounds.
    error RoundsExhausted(uint32 maxRounds);
    /// @notice Thrown when the privacy budget committed with the task allows no further round.
    error PrivacyBudgetSpent(uint16 privacyRounds);
    /// @notice Thrown when too few validators have endorsed the task.
    error NotEndorsed(uint8 endorsements, uint256 needed);
    /// @notice Thrown when too few agents are active.
    error TooFewAgents(uint16 agents, uint16 minAgents);
    /// @notice Thrown when too few validators are active.
    error TooFewValidators(uint16 validators, uint8 minValidators);
    /// @notice Thrown when the account has no part in this round.
    error NotEntitled(address account);
    /// @notice Thrown when the agent has submitted to this round.
    error AlreadySubmitted(address agent);
    /// @notice Thrown when an update's digest is zero.
    error InvalidDigest(bytes32 digest);
    /// @notice Thrown when a weight is zero or above the task's bound.
    error InvalidWeight(uint256 weight, uint8 wMax);
    /// @notice Thrown when a bitmap has the wrong length or names a submission that does not exist.
    error InvalidBitmap(uint256 submissions);
    /// @notice Thrown when an attestation adds nothing.
    error AlreadyAttested(address validator);
    /// @notice Thrown when it is another proposer's turn.
    error NotYourRank(address caller, uint256 rank);
    /// @notice Thrown when the proposer's last proposal in this round was proven wrong.
    error Barred(address proposer);
    /// @notice Thrown when proposed rewards exceed the round's reserve.
    error RewardTooHigh(uint96 total, uint96 reserve);
    /// @notice Thrown when a vote names another proposal than the live one.
    error WrongProposal(bytes32 expected, bytes32 actual);
    /// @notice Thrown when a proposer votes on its own proposal.
    error OwnProposal(address proposer);
    /// @notice Thrown when a validator has voted on this attempt.
    error AlreadyVoted(address validator);
    /// @notice Thrown when verdict or reason is unknown, or they and the counter content do not fit together.
    error InvalidVote(uint8 verdict, uint8 reason);
    /// @notice Thrown when a bundle is empty or holds more than 32 entries.
    error InvalidBundle(uint256 length);

    /// @notice Thrown when the newest draw has a seed already.
    error AlreadySeeded();
    /// @notice Thrown when seats are claimed before the seed is known.
    error NotSeeded();
    /// @notice Thrown when the seed is not known; from `deadline` on every active validator sits without one.
    error SeedNotReady(uint40 deadline);
    /// @notice Thrown when the validator at a place cannot be drawn in this round.
    error NotDrawable(uint8 place);
    /// @notice Thrown when a proof is under another key than the one on record.
    error WrongKey(uint8 place);
    /// @notice Thrown when no proof of a call wins a seat that its validator did not have.
    error NoSeat(uint8 place);

    /// @notice Thrown when what is reported is no offence.
    error NoOffence(address validator);
    /// @notice Thrown when an offence was punished before.
    error AlreadyPunished(address validator);
    /// @notice Thrown when an auditor repeats itself.
    error AlreadyAudited(address auditor);

    /// @notice Open the task's next round; anybody may call.
    function openRound(uint64 taskId) external returns (uint32 round);

    /// @notice Record the digest of the caller's update.
    function submit(uint256 taskId, uint256 round, bytes32 digest, uint256 weight) external;

    /// @notice Record the digest of `agent`'s update on its signature.
    /// @dev The round key and the rule "once per round" stand in for a nonce.
    function submitWithSig(
        address agent,
        uint64 taskId,
        uint32 round,
        bytes32 digest,
        uint8 weight,
        uint40 deadline,
        bytes calldata signature
    ) external;

    /// @notice Attest that the caller holds, has verified and will serve the blobs of a set of submissions.
    /// @param bitmap Bit i of word w stands for submission 224 * w + i; additive over several calls.
    function attest(uint256 taskId, uint256 round, uint256[] calldata bitmap) external;

    /// @notice Record up to 32 signed attestations; skips those that add nothing, reverts on invalid ones.
    function attestBundle(uint64 taskId, uint32 round, SignedAttestation[] calldata attestations) external;

    /// @notice Propose the round's result; locks the bond.
    function propose(uint64 taskId, uint32 round, Content calldata content) external returns (bytes32 proposalId);

    /// @notice Fix the seed of the newest draw, so that seats can be proven; anybody may call.
    function openSeats(uint64 taskId, uint32 round) external;

    /// @notice Enter the seats that up to 32 proofs win; anybody may send them.
    function proveSeats(uint64 taskId, uint32 round, SeatProof[] calldata proofs) external;

    /// @notice Vote on the live proposal.
    function vote(uint256 taskId, uint256 round, Vote calldata ballotPaper) external;

    /// @notice Record up to 32 signed votes; skips those already counted, reverts on invalid ones.
    function voteBundle(uint256 taskId, uint256 round, SignedVote[] calldata votes) external;

    /// @notice Punish a validator that signed two different votes for one attempt; a tenth goes to the reporter.
    function reportDoubleVote(
        uint64 taskId,
        uint32 round,
        uint8 attempt,
        SignedVote calldata first,
        SignedVote calldata second
    ) external;

    /// @notice Say, as a member of the newest committee, that an audited vote's tag is not what its work gives.
    function auditVote(uint64 taskId, Audit calldata finding) external;

    /// @notice Record whatever the time and the counts have decided; anybody may call.
    function settle(uint64 taskId) external;

    /// @notice Return the phase of the task's newest round at this block's time.
    function getPhase(uint64 taskId) external view returns (Phase);

    /// @notice Return the newest round.
    function getRound(uint64 taskId) external view returns (Round memory);

    /// @notice Return the newest draw, its seed, its list of seats by score and who sits, four bits for each place.
    function getDraw(uint64 taskId)
        external
        view
        returns (Draw memory draw, bytes32 seed, uint256[] memory list, uint256 committee);

    /// @notice Return what a validator needs to be drawn, by its place, and who it is.
    function getDrawKey(uint64 taskId, uint8 place) external view returns (DrawKey memory, address holder);

    /// @notice Return the weight of all validators when the newest round opened.
    function getTotalWeight(uint64 taskId) external view returns (uint256);

    /// @notice Return the newest ballot.
    function getBallot(uint64 taskId) external view returns (Ballot memory);

    /// @notice Return the newest proposal.
    function getProposal(uint64 taskId) external view returns (Proposal memory);

    /// @notice Return the newest round's submissions.
    function getSubmissions(uint64 taskId) external view returns (Submissions memory);

    /// @notice Return the survivors of the newest round as a bitmap of 32 submissions per word.
    function getSurvivors(uint64 taskId) external view returns (uint256[] memory words, uint256 count);

    /// @notice Return which rank may propose now, and who holds it; zero when any member may.
    function getProposer(uint64 taskId) external view returns (uint256 rank, address holder);

    /// @notice Return the domain value of a round.
    function computeRoundKey(uint64 taskId, uint32 round) external view returns (bytes32);
}
