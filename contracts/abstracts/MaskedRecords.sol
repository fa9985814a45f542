// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Commitment} from "../libraries/Commitments.sol";
import {MaskedPhases} from "../libraries/MaskedPhases.sol";
import {PlaceSets} from "../libraries/PlaceSets.sol";
import {Seats} from "../libraries/Seats.sol";
import {MaskedPage} from "../types/MaskedBook.sol";
import {Phase} from "../types/Types.sol";
import {MaskedPages} from "./MaskedPages.sol";

/// @title MaskedRecords
/// @notice The records that agents make themselves, and the places that they get with their first.
abstract contract MaskedRecords is MaskedPages {
    using MaskedPhases for MaskedPage;
    using PlaceSets for mapping(uint256 => uint256);

    /* STATE-CHANGING */

    /// @inheritdoc IMaskedRounds
    function pinAnchor(uint64 taskId) external {
        MaskedPage storage page = _pages[taskId];
        _requireOpen(page, taskId, page.clock.phase);
        _pinAnchor(page, taskId);
    }

    /// @inheritdoc IMaskedRounds
    function postRecord(uint64 taskId, uint32 round, Phase phase, bytes32 anchor, bytes32 digest) external {
        MaskedPage storage page = _requireRecording(taskId, round, phase);
        _pinAnchor(page, taskId, anchor);
        if (digest == 0) revert IRoundManager.InvalidDigest(digest);
        uint256 place = phase == Phase.Join
            ? _takePlace(page, taskId)
            : _requirePlace(page, MaskedPhases.entitling(phase), msg.sender);
        Commitment records = page.records;
        uint256 count = records.count() + (_fill(page, phase, place) ? 1 : 0);
        page.records = _chain({records: records, account: msg.sender, digest: digest, number: place, count: count});
        emit RecordPosted({
            taskId: taskId, round: round, agent: msg.sender, phase: phase, place: uint16(place), digest: digest
        });
        if (count == page.clock.expected) page.complete(taskId, _roundKey(taskId, round));
    }

    /* INTERNAL */

    /// @return isNew Whether the place had no record; otherwise this one replaces a relayed one.
    function _fill(MaskedPage storage page, Phase phase, uint256 place) internal returns (bool isNew) {
        uint256 round = page.clock.round;
        uint256 index = PlaceSets.key(phase, place / PlaceSets.WORD);
        uint256 bit = 1 << (place % PlaceSets.WORD);
        uint256 bits = page.sets.load(index, round);
        isNew = bits & bit == 0;
        uint256 relayed = page.clock.relayedAt == 0 ? 0 : page.relayed.load(index, round);
        if (!isNew && relayed & bit == 0) revert AlreadyPosted(msg.sender);
        if (relayed & bit != 0) page.relayed.save(index, round, relayed & ~bit);
        if (isNew) page.sets.save(index, round, bits | bit);
    }

    function _takePlace(MaskedPage storage page, uint64 taskId) internal returns (uint256 place) {
        if (!_isEntitled(page, taskId, msg.sender, Seats.AGENT)) revert IRoundManager.NotEntitled(msg.sender);
        uint256 stored = page.places[msg.sender];
        if (stored != 0) return stored - 1;
        place = page.bounds.places;
        if (place == MAX_PLACES) revert PlacesExhausted(taskId);
        page.bounds.places = uint16(place + 1);
        page.places[msg.sender] = place + 1;
        page.holders[place] = msg.sender;
    }

    /* INTERNAL VIEW */

    function _requireRecording(uint64 taskId, uint32 round, Phase phase)
        internal
        view
        returns (MaskedPage storage page)
    {
        page = _requireRound(taskId, round);
        if (!MaskedPhases.isRecorded(phase)) revert NoRecords(phase);
        _requirePhase(page, taskId, phase);
    }

    function _chain(Commitment records, address account, bytes32 digest, uint256 number, uint256 count)
        internal
        pure
        returns (Commitment)
    {
        return Commitment.wrap((count << 240) | records.append(account, digest, number).value());
    }
}
