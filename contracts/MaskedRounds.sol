// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MaskedAttestations} from "./abstracts/MaskedAttestations.sol";
import {MaskedPages} from "./abstracts/MaskedPages.sol";
import {MaskedPenalties} from "./abstracts/MaskedPenalties.sol";
import {RelayedRecords} from "./abstracts/RelayedRecords.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "./interfaces/IMaskedRounds.sol";
import {IRoundManager} from "./interfaces/IRoundManager.sol";
import {Commitments} from "./libraries/Commitments.sol";
import {MaskedPhases} from "./libraries/MaskedPhases.sol";
import {Clock, MaskedPage, Terms} from "./types/MaskedBook.sol";
import {MaskedRound} from "./types/MaskedTypes.sol";
import {Outcome, Phase, Task} from "./types/Types.sol";

/// @title MaskedRounds
/// @notice JOIN, SHARES, CHECK, SUBMIT, ATTEST and UNMASK of tasks in secure mode.
/// @dev The round manager opens and settles; nothing here calls it but for what it knows of tasks and members.
contract MaskedRounds is RelayedRecords, MaskedAttestations, MaskedPenalties {
    using MaskedPhases for MaskedPage;

    /* MODIFIERS */

    modifier onlyManager() {
        if (msg.sender != address(MANAGER)) revert ReservedForRoundManager(msg.sender);
        _;
    }

    /* CONSTRUCTOR */

    /// @param manager The round manager's (predicted) address.
    /// @param agents Identities and stake.
    constructor(IRoundManager manager, IAgentRegistry agents) MaskedPages(manager, agents) {}

    /* STATE-CHANGING */

    /// @inheritdoc IMaskedRounds
    function open(uint64 taskId, uint32 round, uint16 members, uint8 validators, uint32 parentVersion)
        external
        onlyManager
    {
        MaskedPage storage page = _pages[taskId];
        if (page.terms.windows == 0) _copyTerms(page, taskId);
        page.clock = Clock({
            round: round,
            phase: Phase.Join,
            closed: Phase.None,
            opensAt: uint40(block.timestamp),
            closesAt: uint40(block.timestamp) + uint32(page.terms.windows),
            closeBlock: uint40(block.number),
            relayedAt: 0,
            expected: members,
            validators: validators,
            isPinned: true,
            batches: 0
        });
        (page.bounds.openedAt, page.bounds.parentVersion) = (uint40(block.timestamp), parentVersion);
        bytes32 key = _roundKey(taskId, round);
        page.anchor = key;
        page.records = Commitments.start(key);
    }

    /// @inheritdoc IMaskedRounds
    function settle(uint64 taskId)
        external
        onlyManager
        returns (
            Outcome outcome,
            bool isOver,
            uint240 commitment,
            uint16 places,
            uint8 attesters,
            uint256[] memory survivors
        )
    {
        MaskedPage storage page = _pages[taskId];
        Phase phase = getPhase(taskId);
        if (phase != Phase.Settle) revert IRoundManager.WrongPhase(Phase.Settle, phase);
        uint256 members;
        (outcome, survivors, members) = page.judge();
        if (outcome != Outcome.None) {
            (page.clock.closed, page.clock.phase) = (page.clock.phase, Phase.Ended);
            return (outcome, false, 0, 0, 0, survivors);
        }
        page.close(taskId, _roundKey(taskId, page.clock.round), survivors, members);
        if (page.clock.phase != Phase.Ended) return (outcome, false, 0, 0, 0, survivors);
        survivors = page.load(Phase.Attest);
        return (outcome, true, page.records.value(), page.bounds.places, page.attesters(Phase.Attest), survivors);
    }

    /* VIEW */

    /// @inheritdoc IMaskedRounds
    function getHolders(uint64 taskId) external view returns (address[] memory holders) {
        MaskedPage storage page = _pages[taskId];
        holders = new address[](page.bounds.places);
        for (uint256 place = 0; place < holders.length; ++place) {
            holders[place] = page.holders[place];
        }
    }

    /// @inheritdoc IMaskedRounds
    function getMasked(uint64 taskId) external view returns (MaskedRound memory masked) {
        MaskedPage storage page = _pages[taskId];
        Clock memory clock = page.clock;
        (masked.round, masked.phase, masked.opensAt) = (clock.round, clock.phase, clock.opensAt);
        (masked.closesAt, masked.closeBlock, masked.expected) = (clock.closesAt, clock.closeBlock, clock.expected);
        (masked.count, masked.commitment) = (uint16(page.records.count()), page.records.value());
        if (MaskedPhases.isAttested(clock.phase)) masked.attesters = page.attesters(clock.phase);
        (masked.places, masked.batches, masked.spent) = (page.bounds.places, clock.batches, page.bounds.spent);
        (masked.revealedVersion, masked.revealed) = (page.bounds.revealedVersion, page.bounds.revealed);
        masked.anchor = _anchor(page);
    }

    /// @inheritdoc IMaskedRounds
    function getPlace(uint64 taskId, address agent) external view returns (bool hasPlace, uint16 place) {
        uint256 stored = _pages[taskId].places[agent];
        return stored == 0 ? (false, 0) : (true, uint16(stored - 1));
    }

    /// @inheritdoc IMaskedRounds
    function getSet(uint64 taskId, Phase phase) external view returns (uint256[] memory) {
        return _pages[taskId].load(phase);
    }

    /// @inheritdoc IMaskedRounds
    function getPhase(uint64 taskId) public view returns (Phase) {
        Clock storage clock = _pages[taskId].clock;
        return block.timestamp < clock.closesAt ? clock.phase : Phase.Settle;
    }

    /* INTERNAL */

    function _copyTerms(MaskedPage storage page, uint64 taskId) internal {
        Task memory task = MANAGER.getTask(taskId);
        uint256 windows = task.unmaskWindow;
        windows = (windows << 32) | task.attestWindow;
        windows = (windows << 32) | task.submitWindow;
        windows = (windows << 32) | task.checkWindow;
        windows = (windows << 32) | task.sharesWindow;
        windows = (windows << 32) | task.joinWindow;
        page.terms = Terms(uint192(windows), task.forcedWindow, task.finalityDelay, task.minSurvivors);
        (page.bounds.minAgents, page.bounds.threshold) = (task.minAgents, task.threshold);
    }
}
