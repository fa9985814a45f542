// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {ISeedSource} from "../interfaces/ISeedSource.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {VRF, VrfKey, VrfProof} from "../libraries/VRF.sol";
import {Draw, DrawKey} from "../types/DrawTypes.sol";

/// @title ChainSeeds
/// @notice Seeds from a chain of VRF outputs: for networks whose blocks hold no randomness of their own.
/// @dev A beacon, the leader of the draw before, proves an output over the last seed and the hash of the block behind
/// the proposal's. It cannot choose the output, only withhold it; then the next leader's turn comes, which gives the
/// last to speak one bit of choice. Without an earlier draw the seed is that block hash, mixed with the round key.
contract ChainSeeds is ISeedSource {
    /// @dev Keeps a beacon's output apart from a seat's.
    uint8 private constant BEACON_ROLE = 2;
    uint256 private constant BEACONS = 3;

    /// @notice The only contract whose draws this serves.
    IRoundManager public immutable MANAGER;
    uint32 private immutable EPOCH_LENGTH;

    mapping(bytes32 draw => bytes32 seed) private _seeds;
    mapping(uint64 taskId => bytes32 seed) private _last;

    /// @notice Emitted when a beacon's output, or a block's hash, becomes a seed.
    event SeedFixed(uint64 indexed taskId, uint32 indexed round, uint8 attempt, uint8 rank, bytes32 seed);

    /// @notice Thrown when the seed is known.
    error SeedIsFixed(bytes32 seed);
    /// @notice Thrown when the block whose hash is needed is not mined yet, or too old.
    error NoBlockHash(uint40 pinnedBlock);
    /// @notice Thrown when it is not the turn of a beacon of this rank.
    error NotYourTurn(uint256 rank);
    /// @notice Thrown when no such beacon is on record, or its key is another.
    error UnknownBeacon(uint256 rank);

    /// @param manager The round manager's (predicted) address.
    /// @param epoch Length of an epoch in seconds.
    constructor(IRoundManager manager, uint32 epoch) {
        MANAGER = manager;
        EPOCH_LENGTH = epoch;
    }

    /// @notice Fix the seed of a task's newest draw from a beacon's output; anybody may send it.
    /// @param rank 0 for the leader of the draw before; each has a window as long as a stage of SEAT.
    function reveal(uint64 taskId, uint8 rank, VrfKey calldata key, VrfProof calldata proof) external {
        Draw memory draw = _requireDraw(taskId);
        uint256 window = MANAGER.getTask(taskId).seatWindow;
        uint256 opens = draw.proposedAt + rank * window;
        bool isTurn = rank < BEACONS && block.timestamp >= opens && block.timestamp < opens + window;
        if (!isTurn) revert NotYourTurn(rank);
        uint256 place = uint8(draw.beacons >> (8 * rank));
        if (place == 0) revert UnknownBeacon(rank);
        (DrawKey memory known,) = MANAGER.getDrawKey(taskId, uint8(place - 1));
        // Nobody may take another key once the hash that it is to prove is known.
        bool isInForce = uint256(known.activeFrom) * EPOCH_LENGTH <= draw.proposedAt;
        bool isKey = known.keyHash != 0 && known.keyHash == bytes20(VRF.hashKey(key));
        if (!isKey || !isInForce) revert UnknownBeacon(rank);
        bytes32 output = VRF.verify(key, beaconMessage(taskId, draw), proof);
        _fix(taskId, draw, rank, keccak256(abi.encode("flchain.seed.v1.chain", _key(taskId, draw), output)));
    }

    /// @notice Fix the seed of a draw that has no beacon.
    function start(uint64 taskId) external {
        Draw memory draw = _requireDraw(taskId);
        if (draw.beacons != 0) revert UnknownBeacon(0);
        bytes32 hash = _requireHash(draw.pinnedBlock);
        bytes32 seed = keccak256(abi.encode("flchain.seed.v1.start", _key(taskId, draw), _last[taskId], hash));
        _fix(taskId, draw, 0, seed);
    }

    /// @inheritdoc ISeedSource
    function getSeed(uint64 taskId, Draw calldata draw) external view returns (bytes32 seed) {
        return _seeds[_key(taskId, draw)];
    }

    /// @notice Return what a beacon proves.
    function beaconMessage(uint64 taskId, Draw memory draw) public view returns (bytes32) {
        bytes32 input = keccak256(abi.encode(_last[taskId], _requireHash(draw.pinnedBlock)));
        return Sortition.drawMessage({
            registry: address(MANAGER),
            taskId: taskId,
            round: draw.round,
            role: BEACON_ROLE,
            attempt: draw.attempt,
            seed: input
        });
    }

    function _fix(uint64 taskId, Draw memory draw, uint8 rank, bytes32 seed) private {
        _seeds[_key(taskId, draw)] = seed;
        _last[taskId] = seed;
        emit SeedFixed(taskId, draw.round, draw.attempt, rank, seed);
    }

    /// @dev Names one draw of one deployment on one chain.
    function _key(uint64 taskId, Draw memory draw) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, MANAGER, taskId, draw.round, draw.attempt));
    }

    function _requireDraw(uint64 taskId) private view returns (Draw memory draw) {
        (draw,,,) = MANAGER.getDraw(taskId);
        bytes32 seed = _seeds[_key(taskId, draw)];
        if (draw.proposedAt == 0 || seed != 0) revert SeedIsFixed(seed);
    }

    function _requireHash(uint40 number) private view returns (bytes32 hash) {
        hash = blockhash(number);
        if (hash == 0) revert NoBlockHash(number);
    }
}
