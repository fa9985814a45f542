// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../../../contracts/interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "../../../contracts/interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISeedSource} from "../../../contracts/interfaces/ISeedSource.sol";
import {VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {Draw} from "../../../contracts/types/DrawTypes.sol";

/// @notice The registry, with the digests that are signed for it.
interface IRegistry is IAgentRegistry {
    function computeTypedDigest(bytes32 structHash) external view returns (bytes32);
}

/// @notice The round manager, with the digests that are signed for it.
interface IManager is IRoundManager {
    function computeTypedDigest(bytes32 structHash) external view returns (bytes32);
}

/// @notice The masked rounds, with the digests that are signed for them.
interface IMasked is IMaskedRounds {
    function computeTypedDigest(bytes32 structHash) external view returns (bytes32);
}

/// @notice What the tests call of `ChainSeeds`.
interface IChainSeeds is ISeedSource {
    event SeedFixed(uint64 indexed taskId, uint32 indexed round, uint8 attempt, uint8 rank, bytes32 seed);

    error SeedIsFixed(bytes32 seed);
    error NoBlockHash(uint40 pinnedBlock);
    error NotYourTurn(uint256 rank);
    error UnknownBeacon(uint256 rank);

    function reveal(uint64 taskId, uint8 rank, VrfKey calldata key, VrfProof calldata proof) external;

    function start(uint64 taskId) external;

    function beaconMessage(uint64 taskId, Draw memory draw) external view returns (bytes32);
}

/// @notice What the tests call of `BlockSeeds`.
interface IBlockSeeds is ISeedSource {
    event BlockProven(uint256 indexed number, bytes32 randomness);

    error WrongHeader(uint256 number);

    function proveBlock(uint256 number, bytes calldata header) external;
}
