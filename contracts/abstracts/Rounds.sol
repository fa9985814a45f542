// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {ITasks} from "../interfaces/ITasks.sol";
import {Attestations} from "../libraries/Attestations.sol";
import {Digests} from "../libraries/Digests.sol";
import {RoundState} from "../libraries/RoundState.sol";
import {Seats} from "../libraries/Seats.sol";
import {
    Ballot,
    Member,
    Outcome,
    Phase,
    Population,
    Round,
    SignedAttestation,
    Submissions,
    Task,
    TaskStatus
} from "../types/Types.sol";
import {Tasks} from "./Tasks.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Rounds
/// @notice From the opening of a round to the survivor set: OPEN, SUBMIT and ATTEST.
abstract contract Rounds is IRoundManager, Tasks {
    using Attestations for uint256;

    /* CONSTANTS */

    uint256 internal constant MAX_BUNDLE = 32;
    /// @dev Submissions per word of an attestation: the other 32 bits of the stored word tag the round.
    uint256 private constant WORD = 224;
    uint256 private constant LANES = 32;

    /* STATE-CHANGING */

    /// @inheritdoc IRoundManager
    function attest(uint64 taskId, uint32 round, uint256[] calldata bitmap) external {
        Round memory current = _requireAttest(taskId, round);
        if (!_attest(taskId, current, msg.sender, bitmap)) revert AlreadyAttested(msg.sender);
        _closeAttest(taskId, current);
    }

    /// @inheritdoc IRoundManager
    function attestBundle(uint64 taskId, uint32 round, SignedAttestation[] calldata attestations) external {
        if (attestations.length == 0 || attestations.length > MAX_BUNDLE) revert InvalidBundle(attestations.length);
        Round memory current = _requireAttest(taskId, round);
        bytes32 key = computeRoundKey(taskId, round);
        for (uint256 i = 0; i < attestations.length; ++i) {
            SignedAttestation calldata signed = attestations[i];
            _verifySignature(signed.validator, Digests.hashAttestation(key, signed.bitmap), signed.signature);
            _attest(taskId, current, signed.validator, signed.bitmap);
        }
        _closeAttest(taskId, current);
    }

    /// @inheritdoc IRoundManager
    function openRound(uint64 taskId) external returns (uint32 round) {
        Task storage task = _book.tasks[taskId];
        TaskStatus memory status = _book.status[taskId];
        if (status.sponsor == address(0)) revert UnknownTask(taskId);
        if (status.isClosed) revert TaskIsClosed(taskId);
        Round memory previous = _book.rounds[taskId];
        bool isLive = previous.round != 0 && previous.outcome == Outcome.None;
        if (isLive) revert RoundIsLive(taskId, previous.round);
        round = previous.round + 1;
        if (round > task.maxRounds) revert RoundsExhausted(task.maxRounds);
        if (block.timestamp < status.nextOpenAt) revert TooEarly(status.nextOpenAt);
        (uint16 members, uint8 validators) = _snapshot(taskId, task, status.endorsements);
        _resetRound(taskId, round, members, validators, task);
        _REWARDS.reserve(taskId, task.roundReserve);
    }

    /// @inheritdoc IRoundManager
    function submit(uint64 taskId, uint32 round, bytes32 digest, uint8 weight) external {
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
    function getPhase(uint64 taskId) external view returns (Phase) {
        return RoundState.getPhase(_book, taskId);
    }

    /// @inheritdoc IRoundManager
    function getRound(uint64 taskId) external view returns (Round memory) {
        return _book.rounds[taskId];
    }

    /// @inheritdoc IRoundManager
    function getSubmissions(uint64 taskId) external view returns (Submissions memory) {
        return _book.submissions[taskId];
    }

    /// @inheritdoc IRoundManager
    function computeRoundKey(uint64 taskId, uint32 round) public view returns (bytes32) {
        return Digests.roundKey(address(this), taskId, round);
    }

    /// @inheritdoc IRoundManager
    function getSurvivors(uint64 taskId) external view returns (uint256[] memory words, uint256 count) {
        return RoundState.getSurvivors(_book, taskId, _book.rounds[taskId]);
    }

    /* INTERNAL */

    function _attest(uint64 taskId, Round memory current, address validator, uint256[] calldata bitmap)
        internal
        returns (bool isNew)
    {
        _requireValidator(taskId, current, validator);
        uint256 count = _book.submissions[taskId].count;
        uint256 words = count == 0 ? 1 : (count + WORD - 1) / WORD;
        if (bitmap.length != words) revert InvalidBitmap(count);
        uint256[] memory added = new uint256[](words);
        bool isFirst = _book.attested[taskId][validator][0] >> WORD != current.round;
        isNew = isFirst;
        for (uint256 word = 0; word < words; ++word) {
            if (bitmap[word] >> Math.min(count - word * WORD, WORD) != 0) revert InvalidBitmap(count);
            added[word] = _mark(taskId, current.round, validator, word, bitmap[word]);
            if (added[word] != 0) isNew = true;
        }
        if (isFirst) ++current.attesters;
        if (isNew) emit BlobsAttested(taskId, current.round, validator, added);
    }

    function _closeAttest(uint64 taskId, Round memory current) internal {
        if (current.attesters == current.validators) current.attestClose = uint40(block.timestamp);
        _book.rounds[taskId] = current;
    }

    function _mark(uint64 taskId, uint32 round, address validator, uint256 word, uint256 bits)
        internal
        returns (uint256 added)
    {
        uint256 stored = _book.attested[taskId][validator][word];
        uint256 known = stored >> WORD == round ? stored & ((1 << WORD) - 1) : 0;
        added = bits & ~known;
        _book.attested[taskId][validator][word] = (uint256(round) << WORD) | known | bits;
        for (uint256 lane = 0; added >> (lane * LANES) != 0; ++lane) {
            uint256 chunk = (added >> (lane * LANES)) & type(uint32).max;
            uint256 group = word * (WORD / LANES) + lane;
            if (chunk != 0) _book.counters[taskId][group] = _book.counters[taskId][group].add(round, chunk);
        }
    }

    function _resetRound(uint64 taskId, uint32 round, uint16 members, uint8 validators, Task storage task) internal {
        uint40 opened = uint40(block.timestamp);
        uint40 submitClose = opened + task.submitWindow;
        uint32 parent = _MODELS.getLatest(taskId);
        _book.rounds[taskId] = Round({
            round: round,
            openedAt: opened,
            submitClose: submitClose,
            attestClose: submitClose + task.attestWindow,
            members: members,
            validators: validators,
            attesters: 0,
            outcome: Outcome.None,
            parentVersion: parent,
            wMax: task.wMax
        });
        _book.submissions[taskId] = Submissions(Digests.emptyChain(computeRoundKey(taskId, round)), 0);
        Ballot memory ballot;
        ballot.number = _book.ballots[taskId].number;
        _book.ballots[taskId] = ballot;
        emit RoundOpened(taskId, round, parent, members, validators);
    }

    function _snapshot(uint64 taskId, Task storage task, uint8 endorsements)
        internal
        returns (uint16 members, uint8 validators)
    {
        Population memory agents = _foldPopulation(taskId, Seats.AGENT);
        Population memory seats = _foldPopulation(taskId, Seats.VALIDATOR);
        (members, validators) = (agents.active, uint8(seats.active));
        if (validators < task.minValidators) revert TooFewValidators(validators, task.minValidators);
        uint256 needed = Seats.majority(validators);
        if (endorsements < needed) revert NotEndorsed(endorsements, needed);
        if (members < task.minAgents) revert TooFewAgents(members, task.minAgents);
        _book.populations[taskId][Seats.AGENT] = agents;
        _book.populations[taskId][Seats.VALIDATOR] = seats;
    }

    function _submit(address agent, uint64 taskId, uint32 round, bytes32 digest, uint8 weight) internal {
        Round memory current = RoundState.requireRound(_book, taskId, round);
        if (current.outcome != Outcome.None || block.timestamp >= current.submitClose) {
            revert WrongPhase(Phase.Submit, RoundState.getPhase(_book, taskId));
        }
        Member memory member = _book.members[taskId][agent];
        if (!Seats.isEntitled(member, Seats.AGENT, current.openedAt, _epochAt(current.openedAt))) {
            revert NotEntitled(agent);
        }
        if (member.submittedRound == round) revert AlreadySubmitted(agent);
        if (digest == 0) revert InvalidDigest(digest);
        if (weight == 0 || weight > current.wMax) revert InvalidWeight(weight, current.wMax);
        _book.members[taskId][agent].submittedRound = round;
        Submissions memory submissions = _book.submissions[taskId];
        emit UpdateSubmitted(taskId, round, agent, submissions.count, digest, weight);
        submissions.commitment = Digests.chain(submissions.commitment, agent, digest, weight);
        _book.submissions[taskId] = Submissions(submissions.commitment, ++submissions.count);
        if (submissions.count == current.members) _closeSubmit(taskId, current);
    }

    function _closeSubmit(uint64 taskId, Round memory current) internal {
        current.submitClose = uint40(block.timestamp);
        current.attestClose = current.submitClose + _book.tasks[taskId].attestWindow;
        _book.rounds[taskId] = current;
    }

    function _requireAttest(uint64 taskId, uint32 round) internal view returns (Round memory current) {
        current = RoundState.requireRound(_book, taskId, round);
        bool isOpen = block.timestamp >= current.submitClose && block.timestamp < current.attestClose;
        if (current.outcome != Outcome.None || !isOpen) {
            revert WrongPhase(Phase.Attest, RoundState.getPhase(_book, taskId));
        }
    }

    function _requireValidator(uint64 taskId, Round memory current, address validator)
        internal
        view
        returns (Member memory member)
    {
        member = _book.members[taskId][validator];
        if (!Seats.isSeated(member, current.openedAt, _epochAt(current.openedAt))) revert NotEntitled(validator);
    }
}
