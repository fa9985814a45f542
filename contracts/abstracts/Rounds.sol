// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Attestations} from "../libraries/Attestations.sol";
import {Commitment} from "../libraries/Commitments.sol";
import {Digests} from "../libraries/Digests.sol";
import {RoundBook} from "../libraries/RoundBook.sol";
import {RoundState} from "../libraries/RoundState.sol";
import {Seats} from "../libraries/Seats.sol";
import {Page} from "../types/Book.sol";
import {Member, Outcome, Phase, Round, SignedAttestation, Submissions} from "../types/Types.sol";
import {Tasks} from "./Tasks.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Rounds
/// @notice From the opening of a round to the survivor set: OPEN, SUBMIT and ATTEST.
/// @dev The calls of every member in every round read each slot once and write it once.
abstract contract Rounds is IRoundManager, Tasks {
    using Attestations for uint256;

    /* CONSTANTS */

    uint256 internal constant MAX_BUNDLE = 32;
    /// @dev Submissions per word of an attestation: the other 32 bits of the stored word tag the round.
    uint256 private constant WORD = 224;
    uint256 private constant LANES = 32;
    uint256 private constant MASK = (1 << WORD) - 1;

    /* STATE-CHANGING */

    /// @inheritdoc IRoundManager
    function attest(uint256 taskId, uint256 round, uint256[] calldata bitmap) external {
        Page storage page = _book.pages[taskId];
        uint256 openedAt = _requireAttest(page, taskId, round);
        bool isNew = _attest({
            page: page, taskId: taskId, round: round, openedAt: openedAt, validator: msg.sender, bitmap: bitmap
        });
        if (!isNew) revert AlreadyAttested(msg.sender);
    }

    /// @inheritdoc IRoundManager
    function attestBundle(uint64 taskId, uint32 round, SignedAttestation[] calldata attestations) external {
        if (attestations.length == 0 || attestations.length > MAX_BUNDLE) revert InvalidBundle(attestations.length);
        Page storage page = _book.pages[taskId];
        uint256 openedAt = _requireAttest(page, taskId, round);
        bytes32 key = computeRoundKey(taskId, round);
        for (uint256 i = 0; i < attestations.length; ++i) {
            SignedAttestation calldata signed = attestations[i];
            _verifySignature(signed.validator, Digests.hashAttestation(key, signed.bitmap), signed.signature);
            _attest({
                page: page,
                taskId: taskId,
                round: round,
                openedAt: openedAt,
                validator: signed.validator,
                bitmap: signed.bitmap
            });
        }
    }

    /// @inheritdoc IRoundManager
    function openRound(uint64 taskId) external returns (uint32 round) {
        return RoundBook.open(_book.pages[taskId], _suite(), taskId);
    }

    /// @inheritdoc IRoundManager
    function submit(uint256 taskId, uint256 round, bytes32 digest, uint256 weight) external {
        _submit(msg.sender, taskId, round, digest, weight);
    }

    /// @inheritdoc IRoundManager
    function submitWithSig(
        address agent,
        uint64 taskId,
        uint32 round,
        bytes32 digest,
        uint8 weight,
        uint40 deadline,
        bytes calldata signature
    ) external {
        _verifyDeadline(deadline);
        bytes32 key = computeRoundKey(taskId, round);
        bytes32 structHash = keccak256(abi.encode(Digests.UPDATE_TYPEHASH, key, digest, weight, deadline));
        _verifySignature(agent, structHash, signature);
        _submit(agent, taskId, round, digest, weight);
    }

    /* VIEW */

    /// @inheritdoc IRoundManager
    function getRound(uint64 taskId) external view returns (Round memory round) {
        Page storage page = _book.pages[taskId];
        round = page.round;
        round.attesters = RoundState.getAttesters(page);
    }

    /// @inheritdoc IRoundManager
    function getSubmissions(uint64 taskId) external view returns (Submissions memory) {
        Commitment submissions = _book.pages[taskId].submissions;
        return Submissions(submissions.value(), uint16(submissions.count()));
    }

    /// @inheritdoc IRoundManager
    function getSurvivors(uint64 taskId) external view returns (uint256[] memory words, uint256 count) {
        return RoundState.getSurvivors(_book.pages[taskId]);
    }

    /// @inheritdoc IRoundManager
    function getPhase(uint64 taskId) public view returns (Phase) {
        return RoundState.getExactPhase(_book.pages[taskId], _MASKED, taskId);
    }

    /// @inheritdoc IRoundManager
    function computeRoundKey(uint64 taskId, uint32 round) public view returns (bytes32) {
        return Digests.roundKey(address(this), taskId, round);
    }

    /* INTERNAL */

    function _attest(
        Page storage page,
        uint256 taskId,
        uint256 round,
        uint256 openedAt,
        address validator,
        uint256[] calldata bitmap
    ) internal returns (bool isNew) {
        if (!Seats.isSeated(page.members[validator], openedAt, _EPOCH_LENGTH)) {
            revert NotEntitled(validator);
        }
        uint256 count = page.submissions.count();
        uint256[] memory added = new uint256[](bitmap.length);
        if (added.length != (count > WORD ? Math.ceilDiv(count, WORD) : 1)) revert InvalidBitmap(count);
        mapping(uint256 word => uint256) storage attested = page.attested[validator];
        unchecked {
            for (uint256 word = 0; word < added.length; ++word) {
                uint256 bits = bitmap[word];
                if (bits >> Math.min(count - word * WORD, WORD) != 0) revert InvalidBitmap(count);
                uint256 stored = attested[word];
                bool isTagged = stored >> WORD == round;
                uint256 known = isTagged ? stored & MASK : 0;
                attested[word] = (round << WORD) | known | bits;
                bits &= ~known;
                added[word] = bits;
                // Every attester tags the first word, so a tag missing there is a first attestation.
                bool isFirst = !isTagged && word == 0;
                if (bits == 0 && !isFirst) continue;
                isNew = true;
                _count(page, round, word * (WORD / LANES), bits, isFirst);
            }
        }
        if (isNew) emit BlobsAttested(uint64(taskId), uint32(round), validator, added);
    }

    /// @dev The last validator's first attestation closes ATTEST.
    function _count(Page storage page, uint256 round, uint256 group, uint256 bits, bool isFirst) internal {
        do {
            uint256 counters = page.counters[group].add(round, bits & type(uint32).max);
            if (isFirst) {
                uint256 attesters;
                (counters, attesters) = counters.addAttester();
                if (attesters == page.round.validators) page.round.attestClose = uint40(block.timestamp);
                isFirst = false;
            }
            page.counters[group] = counters;
            bits >>= LANES;
            unchecked {
                ++group;
            }
        } while (bits != 0);
    }

    function _submit(address agent, uint256 taskId, uint256 round, bytes32 digest, uint256 weight) internal {
        Page storage page = _book.pages[taskId];
        Round storage current = page.round;
        if (current.round != round) revert WrongRound(current.round, round);
        if (block.timestamp >= current.submitClose) revert WrongPhase(Phase.Submit, getPhase(uint64(taskId)));
        Member storage member = page.members[agent];
        bool isEntitled = Seats.isEntitled({
            role: member.role,
            wanted: Seats.AGENT,
            activeFrom: member.activeFrom,
            leftAt: member.leftAt,
            openedAt: current.openedAt,
            epochLength: _EPOCH_LENGTH
        });
        if (!isEntitled) revert NotEntitled(agent);
        if (member.submittedRound == round) revert AlreadySubmitted(agent);
        if (digest == 0) revert InvalidDigest(digest);
        uint256 lastIndex;
        unchecked {
            // Zero wraps.
            if (weight - 1 >= current.wMax) revert InvalidWeight(weight, current.wMax);
            lastIndex = uint256(current.members) - 1;
        }
        Commitment submissions = page.submissions;
        uint256 index = submissions.count();
        member.submittedRound = uint32(round);
        page.submissions = submissions.append(agent, digest, weight);
        emit UpdateSubmitted({
            taskId: uint64(taskId),
            round: uint32(round),
            agent: agent,
            index: uint16(index),
            digest: digest,
            weight: uint8(weight)
        });
        if (index == lastIndex) _closeSubmit(page);
    }

    function _closeSubmit(Page storage page) internal {
        Round storage current = page.round;
        uint40 attestWindow = current.attestClose - current.submitClose;
        uint40 submitClose = uint40(block.timestamp);
        (current.submitClose, current.attestClose) = (submitClose, submitClose + attestWindow);
    }

    function _requireAttest(Page storage page, uint256 taskId, uint256 round) internal view returns (uint256 openedAt) {
        Round storage current = page.round;
        if (current.round != round) revert WrongRound(current.round, round);
        openedAt = current.openedAt;
        bool isOpen = block.timestamp >= current.submitClose && block.timestamp < current.attestClose;
        if (!isOpen || current.outcome != Outcome.None) revert WrongPhase(Phase.Attest, getPhase(uint64(taskId)));
    }
}
