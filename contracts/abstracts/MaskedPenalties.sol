// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {MaskedPhases} from "../libraries/MaskedPhases.sol";
import {PlaceSets} from "../libraries/PlaceSets.sol";
import {MaskedPage} from "../types/MaskedBook.sol";
import {AnchoredRecord} from "../types/MaskedTypes.sol";
import {Phase} from "../types/Types.sol";
import {MaskedPages} from "./MaskedPages.sol";

/// @title MaskedPenalties
/// @notice Complaints, and what agents pay: for a missed step, a failed complaint, two records in one phase.
abstract contract MaskedPenalties is MaskedPages {
    using PlaceSets for mapping(uint256 => uint256);

    /* STATE-CHANGING */

    /// @inheritdoc IMaskedRounds
    function complain(uint64 taskId, uint32 round, bytes32 anchor, uint256 accused, bytes32 digest) external {
        MaskedPage storage page = _requireRound(taskId, round);
        _requirePhase(page, taskId, Phase.Check);
        uint40 closesAt = page.clock.opensAt + page.terms.forcedWindow;
        if (block.timestamp >= closesAt) revert ComplaintsClosed(closesAt);
        _pinAnchor(page, taskId, anchor);
        uint256 place = _requirePlace(page, Phase.Shares, msg.sender);
        bool isSender = accused < MAX_PLACES && page.sets.has(Phase.Shares, round, accused);
        if (!isSender || accused == place) revert NotAccusable(accused);
        if (digest == 0) revert IRoundManager.InvalidDigest(digest);
        uint256 pair = (place << 16) | accused;
        if (page.complaints[pair] == round) revert AlreadyAccused(accused);
        page.complaints[pair] = round;
        emit ComplaintPosted(taskId, round, msg.sender, uint16(accused), digest);
    }

    /// @inheritdoc IMaskedRounds
    function punishComplaint(uint64 taskId, uint32 round, uint256 accuser, uint256 accused) external {
        MaskedPage storage page = _requireRound(taskId, round);
        bool hasFailed = accuser < MAX_PLACES && accused < MAX_PLACES && page.clock.closed >= Phase.Check
            && page.complaints[(accuser << 16) | accused] == round && page.sets.has(Phase.Check, round, accused);
        if (!hasFailed) revert NothingMissed(accuser);
        _punish(page, taskId, accuser, Phase.Check);
    }

    /// @inheritdoc IMaskedRounds
    function punishMissing(uint64 taskId, uint32 round, Phase phase, uint256[] calldata places) external {
        _requireBundle(places.length);
        MaskedPage storage page = _requireRound(taskId, round);
        bool isOver =
            (phase == Phase.Shares || phase == Phase.Submit || phase == Phase.Unmask) && page.clock.closed >= phase;
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 place = places[i];
            bool hasMissed = isOver && place < MAX_PLACES && page.sets.has(MaskedPhases.entitling(phase), round, place)
                && !page.sets.has(phase, round, place);
            // Nobody checked the signature of who joined with a batch.
            if (!hasMissed || (phase == Phase.Shares && page.relayed.has(Phase.Join, round, place))) {
                revert NothingMissed(place);
            }
            _punish(page, taskId, place, phase);
        }
    }

    /// @inheritdoc IMaskedRounds
    function reportEquivocation(
        uint64 taskId,
        uint32 round,
        Phase phase,
        address agent,
        AnchoredRecord calldata first,
        AnchoredRecord calldata second
    ) external {
        bytes32 key = _roundKey(taskId, round);
        bool isOffence = MaskedPhases.isRecorded(phase)
            && (first.anchor != second.anchor || first.digest != second.digest)
            && _isSigned({agent: agent, key: key, phase: phase, record: first})
            && _isSigned({agent: agent, key: key, phase: phase, record: second});
        if (!isOffence) revert IRoundManager.NoOffence(agent);
        if (MANAGER.getMember(taskId, agent).role == 0) revert IRoundManager.NotEntitled(agent);
        bytes32 offence = keccak256(abi.encode(key, phase, agent));
        if (_offences[offence]) revert IRoundManager.AlreadyPunished(agent);
        _offences[offence] = true;
        emit EquivocationPunished(taskId, agent, offence, msg.sender);
        _AGENTS.punishOffence(agent, msg.sender);
    }

    /* INTERNAL */

    function _punish(MaskedPage storage page, uint64 taskId, uint256 place, Phase phase) internal {
        uint32 round = page.clock.round;
        uint256 index = PlaceSets.key(Phase.None, place / PlaceSets.WORD);
        uint256 bits = page.sets.load(index, round);
        uint256 bit = 1 << (place % PlaceSets.WORD);
        if (bits & bit != 0) revert NothingMissed(place);
        page.sets.save(index, round, bits | bit);
        address agent = page.holders[place];
        emit AgentMissed(taskId, round, agent, phase);
        _AGENTS.punishSilence(agent);
    }

    /* INTERNAL VIEW */

    function _isSigned(address agent, bytes32 key, Phase phase, AnchoredRecord calldata record)
        internal
        view
        returns (bool)
    {
        return _isSigner({
            agent: agent,
            key: key,
            phase: phase,
            anchor: record.anchor,
            digest: record.digest,
            r: record.r,
            vs: record.vs
        });
    }
}
