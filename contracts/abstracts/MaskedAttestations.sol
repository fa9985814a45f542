// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Attestations} from "../libraries/Attestations.sol";
import {MaskedPhases} from "../libraries/MaskedPhases.sol";
import {PlaceSets} from "../libraries/PlaceSets.sol";
import {Seats} from "../libraries/Seats.sol";
import {MaskedPage} from "../types/MaskedBook.sol";
import {Phase, SignedAttestation} from "../types/Types.sol";
import {MaskedPages} from "./MaskedPages.sol";

/// @title MaskedAttestations
/// @notice CHECK and ATTEST: the places whose blobs validators hold and have verified.
abstract contract MaskedAttestations is MaskedPages {
    using Attestations for uint256;
    using MaskedPhases for MaskedPage;
    using PlaceSets for mapping(uint256 => uint256);

    /* CONSTANTS */

    bytes32 private constant ATTESTATION_TYPEHASH =
        keccak256("MaskedAttestation(bytes32 roundKey,uint8 phase,bytes32 anchor,uint256[] bitmap)");

    /* STATE-CHANGING */

    /// @inheritdoc IMaskedRounds
    function attestRecords(uint64 taskId, uint32 round, Phase phase, bytes32 anchor, uint256[] calldata bitmap)
        external
    {
        MaskedPage storage page = _requireAttesting(taskId, round, phase, anchor);
        if (!_attest(page, taskId, phase, msg.sender, bitmap)) revert IRoundManager.AlreadyAttested(msg.sender);
        page.complete(taskId, _roundKey(taskId, round));
    }

    /// @inheritdoc IMaskedRounds
    function attestRecordsBundle(
        uint64 taskId,
        uint32 round,
        Phase phase,
        bytes32 anchor,
        SignedAttestation[] calldata attestations
    ) external {
        _requireBundle(attestations.length);
        MaskedPage storage page = _requireAttesting(taskId, round, phase, anchor);
        bytes32 key = _roundKey(taskId, round);
        for (uint256 i = 0; i < attestations.length; ++i) {
            SignedAttestation calldata signed = attestations[i];
            bytes32 bits = keccak256(abi.encodePacked(signed.bitmap));
            bytes32 structHash = keccak256(abi.encode(ATTESTATION_TYPEHASH, key, phase, anchor, bits));
            _verifySignature(signed.validator, structHash, signed.signature);
            _attest(page, taskId, phase, signed.validator, signed.bitmap);
        }
        page.complete(taskId, key);
    }

    /* INTERNAL */

    function _attest(MaskedPage storage page, uint64 taskId, Phase phase, address validator, uint256[] calldata bitmap)
        internal
        returns (bool isNew)
    {
        if (!_isEntitled(page, taskId, validator, Seats.VALIDATOR)) revert IRoundManager.NotEntitled(validator);
        uint32 round = page.clock.round;
        uint256 places = page.bounds.places;
        if (bitmap.length != PlaceSets.length(places)) revert IRoundManager.InvalidBitmap(places);
        uint256[] memory added = new uint256[](bitmap.length);
        mapping(uint256 => uint256) storage attested = page.attested[validator];
        for (uint256 word = 0; word < added.length; ++word) {
            uint256 bits = bitmap[word];
            uint256 known = page.sets.load(PlaceSets.key(MaskedPhases.entitling(phase), word), round);
            if (bits & ~known != 0) revert IRoundManager.InvalidBitmap(places);
            uint256 index = PlaceSets.key(phase, word);
            // Every attester tags the first word, so a tag missing there is a first attestation.
            bool isFirst = word == 0 && attested[index] >> PlaceSets.WORD != round;
            uint256 held = attested.load(index, round);
            added[word] = bits & ~held;
            if (!isFirst && added[word] == 0) continue;
            attested.save(index, round, held | bits);
            isNew = true;
            _count(page, uint256(phase) * MaskedPhases.PHASE_GROUPS + word * MaskedPhases.GROUPS, added[word], isFirst);
        }
        if (isNew) emit RecordsAttested(taskId, round, validator, phase, added);
    }

    function _count(MaskedPage storage page, uint256 group, uint256 bits, bool isFirst) internal {
        uint256 round = page.clock.round;
        do {
            uint256 counters = page.counters[group].add(round, bits & type(uint32).max);
            if (isFirst) (counters,) = counters.addAttester();
            isFirst = false;
            page.counters[group] = counters;
            bits >>= Attestations.LANES;
            ++group;
        } while (bits != 0);
    }

    function _requireAttesting(uint64 taskId, uint32 round, Phase phase, bytes32 anchor)
        internal
        returns (MaskedPage storage page)
    {
        page = _requireRound(taskId, round);
        if (!MaskedPhases.isAttested(phase)) revert NoRecords(phase);
        _requirePhase(page, taskId, phase);
        if (phase == Phase.Check) {
            // A bitmap cannot be taken back: complaints come first.
            uint40 opensAt = page.clock.opensAt + page.terms.forcedWindow;
            if (block.timestamp < opensAt) revert NotOpenYet(opensAt);
        }
        _pinAnchor(page, taskId, anchor);
    }
}
