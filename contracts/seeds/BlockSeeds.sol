// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISeedSource} from "../interfaces/ISeedSource.sol";
import {Draw} from "../types/DrawTypes.sol";
import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";

/// @title BlockSeeds
/// @notice Seeds from the randomness of one block per draw: for networks with a beacon chain of their own (EIP-4399).
/// @dev The block is pinned when the proposal is recorded, so that who sends its header chooses nothing. A block's
/// proposer has one bit of choice, to skip its slot. A header can be proven for about 8,191 blocks (EIP-2935).
contract BlockSeeds is ISeedSource {
    /// @notice The only contract whose draws this serves.
    address public immutable MANAGER;
    /// @notice Blocks between a proposal and the block that seeds its draw.
    uint256 public immutable DELAY;

    mapping(uint256 number => bytes32 randomness) private _randomness;

    /// @notice Emitted when a block's randomness is on record.
    event BlockProven(uint256 indexed number, bytes32 randomness);

    /// @notice Thrown when a header is not that of the block, or the block's hash is out of reach.
    error WrongHeader(uint256 number);

    /// @param manager The round manager's (predicted) address.
    /// @param delay Blocks between a proposal and the block that seeds its draw.
    constructor(address manager, uint256 delay) {
        MANAGER = manager;
        DELAY = delay;
    }

    /// @notice Record the randomness of a block from its RLP-encoded header; anybody may send it.
    function proveBlock(uint256 number, bytes calldata header) external {
        bytes32 hash = Blockhash.blockHash(number);
        if (hash == 0 || keccak256(header) != hash) revert WrongHeader(number);
        bytes32 randomness = BlockHeader.getPrevRandao(header);
        _randomness[number] = randomness;
        emit BlockProven(number, randomness);
    }

    /// @inheritdoc ISeedSource
    function getSeed(uint64 taskId, Draw calldata draw) external view returns (bytes32 seed) {
        bytes32 randomness = _randomness[draw.pinnedBlock + DELAY];
        if (randomness == 0) return 0;
        return
            keccak256(
                abi.encode("flchain.seed.v1", block.chainid, MANAGER, taskId, draw.round, draw.attempt, randomness)
            );
    }
}
