// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ITasks} from "../interfaces/ITasks.sol";
import {Page, Suite} from "../types/Book.sol";
import {DrawKey, Weights} from "../types/DrawTypes.sol";
import {Seats} from "./Seats.sol";
import {WeightBook} from "./WeightBook.sol";

/// @title DrawKeys
/// @notice Keeps what a task's validators need to be drawn: key, weight and since when.
/// @dev Copies, so that a proof reads one slot and a round's weights need no snapshot of the registry.
library DrawKeys {
    using WeightBook for Weights;

    uint32 private constant ACTIVATION_EPOCHS = 2;
    uint256 private constant UNITS = 1000;

    /// @notice Copy a validator's key and stake for its place; they count from two epochs later.
    function add(
        Page storage page,
        Suite calldata suite,
        uint64 taskId,
        address validator,
        uint8 place,
        uint32 penalties
    ) internal {
        (bytes32 digest, uint32 weight) = _read(suite, validator);
        uint256 epoch = block.timestamp / suite.epochLength;
        uint32 activeFrom = uint32(epoch) + ACTIVATION_EPOCHS;
        Weights memory weights = page.weights;
        weights.fold(epoch);
        weights.add(activeFrom, weight);
        page.weights = weights;
        page.drawKeys[place] = DrawKey(bytes20(digest), weight, activeFrom, penalties);
        page.holders[place] = validator;
        emit ITasks.DrawKeySet({
            taskId: taskId,
            validator: validator,
            place: place,
            keyHash: bytes20(digest),
            weight: weight,
            activeFrom: activeFrom
        });
    }

    /// @notice Forget what stands for a place; its holder and his penalties stay until somebody else takes it.
    function remove(Page storage page, Suite calldata suite, uint64 taskId, uint8 place) internal {
        DrawKey memory known = page.drawKeys[place];
        uint256 epoch = block.timestamp / suite.epochLength;
        Weights memory weights = page.weights;
        weights.fold(epoch);
        weights.remove(known.activeFrom, known.weight, epoch);
        page.weights = weights;
        page.drawKeys[place] = DrawKey(0, 0, 0, known.penalties);
        emit ITasks.DrawKeySet({
            taskId: taskId, validator: page.holders[place], place: place, keyHash: 0, weight: 0, activeFrom: 0
        });
    }

    /// @notice Return whether a validator's key is another now, or its weight has fallen.
    function isOutdated(Page storage page, Suite calldata suite, address validator, uint8 place)
        internal
        view
        returns (bool)
    {
        (bytes32 digest, uint32 weight) = _read(suite, validator);
        DrawKey memory known = page.drawKeys[place];
        return known.keyHash != bytes20(digest) || weight < known.weight;
    }

    function _read(Suite calldata suite, address validator) private view returns (bytes32 digest, uint32 weight) {
        uint96 stake;
        (digest, stake) = suite.agents.getDrawKey(validator);
        if (digest == 0) revert ITasks.NoDrawKey(validator);
        weight = _computeWeight(stake, suite.agents.computeRequiredStake(Seats.VALIDATOR));
    }

    /// @dev Thousandths of the stake that a validator needs, so that weights add up in 40 bits.
    function _computeWeight(uint256 stake, uint256 needed) private pure returns (uint32) {
        if (needed == 0) return 0;
        uint256 weight = (stake * UNITS) / needed;
        return weight < type(uint32).max ? uint32(weight) : type(uint32).max;
    }
}
