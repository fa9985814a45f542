// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Attestations} from "../libraries/Attestations.sol";
import {Commitment} from "../libraries/Commitments.sol";
import {MaskedPhases} from "../libraries/MaskedPhases.sol";
import {PlaceSets} from "../libraries/PlaceSets.sol";
import {RecordTrees} from "../libraries/RecordTrees.sol";
import {Seats} from "../libraries/Seats.sol";
import {Batch, MaskedPage} from "../types/MaskedBook.sol";
import {SignedRecord} from "../types/MaskedTypes.sol";
import {Phase} from "../types/Types.sol";
import {MaskedRecords} from "./MaskedRecords.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title RelayedRecords
/// @notice Batches of records that a relayer vouches for with its stake, and the removal of false ones.
abstract contract RelayedRecords is MaskedRecords {
    using Attestations for uint256;
    using MaskedPhases for MaskedPage;
    using PlaceSets for mapping(uint256 => uint256);

    /* STATE-CHANGING */

    /// @inheritdoc IMaskedRounds
    function relayRecords(
        uint64 taskId,
        uint32 round,
        Phase phase,
        bytes32 anchor,
        uint256[] calldata places,
        SignedRecord[] calldata records
    ) external {
        MaskedPage storage page = _requireRecording(taskId, round, phase);
        _requireRelayer(page);
        _pinAnchor(page, taskId, anchor);
        (uint256[] memory added, uint256 count) = _select(page, phase, places, records.length);
        bytes32 root =
            RecordTrees.computeRoot({anchor: anchor, places: places, added: added, records: records, count: count});
        uint16 batch = page.clock.batches++;
        page.clock.relayedAt = uint40(block.timestamp);
        Batch storage stored = page.batches[batch];
        (stored.root, stored.relayer, stored.phase) = (root, msg.sender, phase);
        Commitment word = page.records;
        page.records =
            _chain({records: word, account: msg.sender, digest: root, number: batch, count: word.count() + count});
        _logRelayed({
            taskId: taskId,
            round: round,
            phase: phase,
            batch: batch,
            root: root,
            places: places,
            added: added,
            records: records
        });
        page.complete(taskId, _roundKey(taskId, round));
    }

    /// @inheritdoc IMaskedRounds
    function voidRecord(
        uint64 taskId,
        uint32 round,
        uint256 batch,
        bytes32 anchor,
        uint256 place,
        SignedRecord calldata record,
        bytes32[] calldata proof
    ) external {
        MaskedPage storage page = _requireRound(taskId, round);
        if (batch >= page.clock.batches) revert NoSuchRecord(batch, place);
        Batch storage source = page.batches[batch];
        Phase phase = source.phase;
        _requireVoidable(page, taskId, phase);
        bytes32 leaf = keccak256(abi.encode(anchor, place, record.digest, record.r, record.vs));
        bool isInForce = place < MAX_PLACES && page.sets.has(phase, round, place)
            && page.relayed.has(phase, round, place) && MerkleProof.verifyCalldata(proof, source.root, leaf);
        if (!isInForce) revert NoSuchRecord(batch, place);
        address agent = page.holders[place];
        bool isOwn = _isOwn({page: page, taskId: taskId, phase: phase, anchor: anchor, agent: agent, record: record});
        if (isOwn && (phase != Phase.Join || _isEntitled(page, taskId, agent, Seats.AGENT))) {
            revert RecordIsSound(place);
        }
        _void(page, phase, agent, place);
        emit RecordVoided({
            taskId: taskId, round: round, agent: agent, phase: phase, batch: uint16(batch), place: uint16(place)
        });
        address relayer = source.relayer;
        // Who signed, and gave up its right to join since, must not be able to have its relayer punished.
        if (isOwn || relayer == address(0)) return;
        source.relayer = address(0);
        _AGENTS.punishOffence(relayer, msg.sender);
    }

    /* INTERNAL */

    function _fillBatch(MaskedPage storage page, Phase phase, uint256 word, uint256 round, uint256 bits)
        internal
        returns (uint256 added)
    {
        uint256 index = PlaceSets.key(phase, word);
        uint256 held = page.sets.load(index, round);
        uint256 relayed = page.relayed.load(index, round);
        added = bits & ~held & ~relayed;
        if (phase != Phase.Join) added &= page.sets.load(PlaceSets.key(MaskedPhases.entitling(phase), word), round);
        if (added == 0) return 0;
        page.sets.save(index, round, held | added);
        page.relayed.save(index, round, relayed | added);
    }

    /// @dev emit RecordsRelayed(taskId, round, msg.sender, phase, batch, root, places, added, records), without copying
    /// the records one by one.
    function _logRelayed(
        uint64 taskId,
        uint32 round,
        Phase phase,
        uint16 batch,
        bytes32 root,
        uint256[] calldata places,
        uint256[] memory added,
        SignedRecord[] calldata records
    ) internal {
        bytes32 topic = RecordsRelayed.selector;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, phase)
            mstore(add(free, 0x20), batch)
            mstore(add(free, 0x40), root)
            let size := add(0x20, shl(5, places.length))
            mstore(add(free, 0x60), 0xc0)
            mstore(add(free, 0x80), add(0xc0, size))
            mstore(add(free, 0xa0), add(0xc0, shl(1, size)))
            let tail := add(free, 0xc0)
            mstore(tail, places.length)
            calldatacopy(add(tail, 0x20), places.offset, shl(5, places.length))
            tail := add(tail, size)
            mcopy(tail, added, size)
            tail := add(tail, size)
            mstore(tail, records.length)
            tail := add(tail, 0x20)
            size := mul(records.length, 0x60)
            calldatacopy(tail, records.offset, size)
            log4(free, sub(add(tail, size), free), topic, taskId, round, caller())
        }
    }

    /// @dev Records the places that have a part in this phase and no record yet.
    /// @return added These places.
    /// @return count Their number.
    function _select(MaskedPage storage page, Phase phase, uint256[] calldata places, uint256 records)
        internal
        returns (uint256[] memory added, uint256 count)
    {
        uint256 total = page.bounds.places;
        if (places.length != PlaceSets.length(total)) revert InvalidPlaces(total);
        uint256 round = page.clock.round;
        uint256 named = 0;
        added = new uint256[](places.length);
        for (uint256 word = 0; word < places.length; ++word) {
            uint256 bits = places[word];
            uint256 width = total - word * PlaceSets.WORD;
            if (bits >> (width < PlaceSets.WORD ? width : PlaceSets.WORD) != 0) revert InvalidPlaces(total);
            named += bits.popcount();
            if (bits == 0) continue;
            bits = _fillBatch(page, phase, word, round, bits);
            added[word] = bits;
            count += bits.popcount();
        }
        if (named != records) revert InvalidPlaces(total);
        if (count == 0) revert NothingToRelay();
    }

    function _void(MaskedPage storage page, Phase phase, address agent, uint256 place) internal {
        uint256 round = page.clock.round;
        uint256 index = PlaceSets.key(phase, place / PlaceSets.WORD);
        page.sets.save(index, round, page.sets.load(index, round) & ~(1 << (place % PlaceSets.WORD)));
        Commitment records = page.records;
        page.records = _chain({records: records, account: agent, digest: 0, number: place, count: records.count() - 1});
        // The phase is not complete any more: the agent has its whole window for a direct record.
        if (page.clock.phase == phase) page.clock.closesAt = page.schedule();
    }

    /* INTERNAL VIEW */

    /// @dev Whether a relayed record is its agent's; whether the agent may make it is another question.
    function _isOwn(
        MaskedPage storage page,
        uint64 taskId,
        Phase phase,
        bytes32 anchor,
        address agent,
        SignedRecord calldata record
    ) internal view returns (bool) {
        if (record.digest == 0) return false;
        return _isSigner({
            agent: agent,
            key: _roundKey(taskId, page.clock.round),
            phase: phase,
            anchor: anchor,
            digest: record.digest,
            r: record.r,
            vs: record.vs
        });
    }

    function _requireRelayer(MaskedPage storage page) internal view {
        if (!_AGENTS.isEligible(msg.sender, Seats.PROPOSER)) revert NotRelayer(msg.sender);
        uint40 latest = page.schedule() - page.terms.forcedWindow;
        if (block.timestamp > latest) revert TooLateToRelay(latest);
    }

    /// @dev Records can be voided while their phase is open, submissions until ATTEST closes.
    function _requireVoidable(MaskedPage storage page, uint64 taskId, Phase phase) internal view {
        bool isLate = phase == Phase.Submit && page.clock.phase == Phase.Attest;
        if (!isLate) {
            _requirePhase(page, taskId, phase);
        } else if (block.timestamp >= page.clock.closesAt) {
            revert IRoundManager.WrongPhase(phase, MANAGER.getPhase(taskId));
        }
    }
}
