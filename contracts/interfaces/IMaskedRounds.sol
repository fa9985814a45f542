// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {AnchoredRecord, MaskedRound, SignedRecord} from "../types/MaskedTypes.sol";
import {Outcome, Phase, SignedAttestation} from "../types/Types.sol";

/// @title IMaskedRounds
/// @notice The masked part of a round in secure mode: JOIN, SHARES, CHECK, SUBMIT, ATTEST and UNMASK.
/// @dev A place is an agent's number in the task, for ever; bitmaps of places have 224 per word.
interface IMaskedRounds {
    /// @notice Emitted when a phase closes with a set of so many places; the next one opens at `opensAt`.
    event PhaseClosed(
        uint64 indexed taskId, uint32 indexed round, Phase phase, bytes32 setRoot, uint16 members, uint40 opensAt
    );
    /// @notice Emitted when what records of a phase name is fixed.
    event AnchorPinned(uint64 indexed taskId, uint32 indexed round, Phase phase, bytes32 anchor);
    /// @notice Emitted when an agent records a digest itself.
    event RecordPosted(
        uint64 indexed taskId, uint32 indexed round, address indexed agent, Phase phase, uint16 place, bytes32 digest
    );
    /// @notice Emitted when a batch is recorded; of its `places` those in `added` count, and make up the root.
    event RecordsRelayed(
        uint64 indexed taskId,
        uint32 indexed round,
        address indexed relayer,
        Phase phase,
        uint16 batch,
        bytes32 root,
        uint256[] places,
        uint256[] added,
        SignedRecord[] records
    );
    /// @notice Emitted when a relayed record was false and is removed.
    event RecordVoided(
        uint64 indexed taskId, uint32 indexed round, address indexed agent, Phase phase, uint16 batch, uint16 place
    );
    /// @notice Emitted when an agent says that the one at place `accused` sent it a bad share.
    event ComplaintPosted(
        uint64 indexed taskId, uint32 indexed round, address indexed agent, uint16 accused, bytes32 digest
    );
    /// @notice Emitted when a validator attests blobs; `bitmap` holds the new places alone.
    event RecordsAttested(
        uint64 indexed taskId, uint32 indexed round, address indexed validator, Phase phase, uint256[] bitmap
    );
    /// @notice Emitted when an agent owes the penalty of a round; in CHECK for a failed complaint.
    event AgentMissed(uint64 indexed taskId, uint32 indexed round, address indexed agent, Phase phase);
    /// @notice Emitted when an agent is punished for two records in one phase.
    event EquivocationPunished(uint64 indexed taskId, address indexed agent, bytes32 offence, address reporter);

    /// @notice Thrown when a call is reserved for the round manager.
    error ReservedForRoundManager(address caller);
    /// @notice Thrown when a call names another anchor than this phase has.
    error StaleView(bytes32 expected, bytes32 actual);
    /// @notice Thrown when a phase, or its part for this call, has not opened.
    error NotOpenYet(uint40 opensAt);
    /// @notice Thrown when a call names a phase that has no such step.
    error NoRecords(Phase phase);
    /// @notice Thrown when an agent has a direct record in this phase.
    error AlreadyPosted(address agent);
    /// @notice Thrown when no place is left for an agent that has none.
    error PlacesExhausted(uint64 taskId);
    /// @notice Thrown when a batch comes from somebody without a bond.
    error NotRelayer(address account);
    /// @notice Thrown when a batch lands in the last part of the window, which belongs to direct records.
    error TooLateToRelay(uint40 latest);
    /// @notice Thrown when a bitmap of places has the wrong length or count, or names one that does not exist.
    error InvalidPlaces(uint256 places);
    /// @notice Thrown when no record of a batch would count.
    error NothingToRelay();
    /// @notice Thrown when a record is not in the batch, or no longer counts.
    error NoSuchRecord(uint256 batch, uint256 place);
    /// @notice Thrown when a record that is to be voided is valid.
    error RecordIsSound(uint256 place);
    /// @notice Thrown when the time for complaints is over.
    error ComplaintsClosed(uint40 closedAt);
    /// @notice Thrown when a complaint is about the agent itself or about nobody who sent shares.
    error NotAccusable(uint256 accused);
    /// @notice Thrown when an agent repeats a complaint.
    error AlreadyAccused(uint256 accused);
    /// @notice Thrown when an agent owes no penalty for this phase.
    error NothingMissed(uint256 place);

    /// @notice Start the masked part of a round; the round manager alone.
    function open(uint64 taskId, uint32 round, uint16 members, uint8 validators, uint32 parentVersion) external;

    /// @notice Record that the newest phase is over; the round manager alone.
    /// @return outcome What made the round fail; `None` if nothing did.
    /// @return isOver Whether the masked part is over; the other values are zero until then.
    /// @return commitment Commitment to all records of the round.
    /// @return places Places that were given away.
    /// @return attesters Validators who attested in ATTEST.
    /// @return survivors Places whose updates are in the sum, 224 per word.
    function settle(uint64 taskId)
        external
        returns (
            Outcome outcome,
            bool isOver,
            uint240 commitment,
            uint16 places,
            uint8 attesters,
            uint256[] memory survivors
        );

    /// @notice Record the caller's digest in JOIN, SHARES, SUBMIT or UNMASK; replaces a relayed one.
    /// @param anchor The round key in JOIN, else see `MaskedRound`.
    function postRecord(uint64 taskId, uint32 round, Phase phase, bytes32 anchor, bytes32 digest) external;

    /// @notice Record the digests that agents signed, with the caller's stake as bond; signatures are not checked.
    /// @param places Bitmap of places; those that have a record are skipped.
    /// @param records One for each place, lowest first.
    function relayRecords(
        uint64 taskId,
        uint32 round,
        Phase phase,
        bytes32 anchor,
        uint256[] calldata places,
        SignedRecord[] calldata records
    ) external;

    /// @notice Remove a false record of a batch; its relayer is punished, a tenth goes to the caller.
    function voidRecord(
        uint64 taskId,
        uint32 round,
        uint256 batch,
        bytes32 anchor,
        uint256 place,
        SignedRecord calldata record,
        bytes32[] calldata proof
    ) external;

    /// @notice Fix what records of the newest phase name; anybody may call.
    /// @dev The block hash in it is forgotten after 256 blocks, and counts as zero then.
    function pinAnchor(uint64 taskId) external;

    /// @notice Say that the agent at a place sent a bad share; `digest` is that of the evidence.
    function complain(uint64 taskId, uint32 round, bytes32 anchor, uint256 accused, bytes32 digest) external;

    /// @notice Attest in CHECK or ATTEST that the caller holds and verified the blobs of these places; additive.
    // The formatter does not count the semicolon.
    // solhint-disable-next-line max-line-length
    function attestRecords(uint64 taskId, uint32 round, Phase phase, bytes32 anchor, uint256[] calldata bitmap) external;

    /// @notice Record up to 32 signed attestations; skips those that add nothing, reverts on invalid ones.
    function attestRecordsBundle(
        uint64 taskId,
        uint32 round,
        Phase phase,
        bytes32 anchor,
        SignedAttestation[] calldata attestations
    ) external;

    /// @notice Burn the penalty of up to 32 agents that missed their step in a phase that is over; anybody may call.
    function punishMissing(uint64 taskId, uint32 round, Phase phase, uint256[] calldata places) external;

    /// @notice Burn the penalty of who accused a sender that the validators kept; anybody may call.
    function punishComplaint(uint64 taskId, uint32 round, uint256 accuser, uint256 accused) external;

    /// @notice Punish an agent that signed two different records for one phase; a tenth goes to the caller.
    function reportEquivocation(
        uint64 taskId,
        uint32 round,
        Phase phase,
        address agent,
        AnchoredRecord calldata first,
        AnchoredRecord calldata second
    ) external;

    /// @notice Return the phase of a live masked part at this block's time.
    function getPhase(uint64 taskId) external view returns (Phase);

    /// @notice Return the masked part of a task's newest round.
    function getMasked(uint64 taskId) external view returns (MaskedRound memory);

    /// @notice Return the places that a phase of the newest round has decided so far.
    function getSet(uint64 taskId, Phase phase) external view returns (uint256[] memory);

    /// @notice Return an agent's place, if it has one.
    function getPlace(uint64 taskId, address agent) external view returns (bool hasPlace, uint16 place);

    /// @notice Return who has each place.
    function getHolders(uint64 taskId) external view returns (address[] memory);
}
