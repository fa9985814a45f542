// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {SignedRecord} from "../types/MaskedTypes.sol";
import {PlaceSets} from "./PlaceSets.sol";

/// @title RecordTrees
/// @notice The Merkle root over the records of a batch; a proof is as `MerkleProof` of OpenZeppelin verifies it.
library RecordTrees {
    /// @notice Return the root over the `count` records that count, each hashed with its anchor and place.
    /// @param places Bitmap of places, with one record for each.
    /// @param added Those whose records count.
    function computeRoot(
        bytes32 anchor,
        uint256[] calldata places,
        uint256[] memory added,
        SignedRecord[] calldata records,
        uint256 count
    ) internal pure returns (bytes32) {
        bytes32[] memory nodes = _hashLeaves({
            anchor: anchor, places: places, added: added, records: records, count: count
        });
        return _merge(nodes, count);
    }

    /// @dev The leaves of the records that count, keccak256(abi.encode(anchor, place, record)), at the end of an array
    /// for the whole tree. There is one record for each bit in `places`.
    function _hashLeaves(
        bytes32 anchor,
        uint256[] calldata places,
        uint256[] memory added,
        SignedRecord[] calldata records,
        uint256 count
    ) private pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[](2 * count - 1);
        uint256 leaf;
        uint256 record;
        assembly ("memory-safe") {
            leaf := add(nodes, shl(5, count))
            record := records.offset
        }
        for (uint256 word = 0; word < places.length; ++word) {
            (leaf, record) = _hashWord({
                anchor: anchor,
                place: word * PlaceSets.WORD,
                bits: places[word],
                added: added[word],
                leaf: leaf,
                record: record
            });
        }
    }

    /// @param leaf Where in memory the next leaf goes.
    /// @param record Where in calldata the next record is.
    function _hashWord(bytes32 anchor, uint256 place, uint256 bits, uint256 added, uint256 leaf, uint256 record)
        private
        pure
        returns (uint256, uint256)
    {
        // In plain Solidity each record of a batch would allocate memory and check its indices.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, anchor)
            for {} bits {} {
                if and(bits, 1) {
                    if and(added, 1) {
                        mstore(add(free, 0x20), place)
                        calldatacopy(add(free, 0x40), record, 0x60)
                        mstore(leaf, keccak256(free, 0xa0))
                        leaf := add(leaf, 0x20)
                    }
                    record := add(record, 0x60)
                }
                bits := shr(1, bits)
                added := shr(1, added)
                place := add(place, 1)
            }
        }
        return (leaf, record);
    }

    /// @dev Builds the tree in place: node i has the children 2i + 1 and 2i + 2, and the leaves are at its end.
    function _merge(bytes32[] memory nodes, uint256 count) private pure returns (bytes32 root) {
        // A node for each record of a batch: in plain Solidity each checks three indices.
        assembly ("memory-safe") {
            let base := add(nodes, 0x20)
            for { let i := sub(count, 1) } i { i := sub(i, 1) } {
                let left := mload(add(base, sub(shl(6, i), 0x20)))
                let right := mload(add(base, shl(6, i)))
                let isSorted := lt(left, right)
                mstore(shl(5, iszero(isSorted)), left)
                mstore(shl(5, isSorted), right)
                mstore(add(base, shl(5, sub(i, 1))), keccak256(0, 0x40))
            }
            root := mload(base)
        }
    }
}
