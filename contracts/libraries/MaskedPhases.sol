// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {Clock, MaskedPage} from "../types/MaskedBook.sol";
import {Outcome, Phase} from "../types/Types.sol";
import {Attestations} from "./Attestations.sol";
import {Commitments} from "./Commitments.sol";
import {PlaceSets} from "./PlaceSets.sol";
import {Seats} from "./Seats.sol";

/// @title MaskedPhases
/// @notice How a masked phase ends: what it decided, whether the round fails, and when the next phase opens.
library MaskedPhases {
    using Attestations for uint256;
    using PlaceSets for mapping(uint256 => uint256);

    /// @dev Groups of 32 places in one word of 224, and room for those of one phase.
    uint256 internal constant GROUPS = 7;
    uint256 internal constant PHASE_GROUPS = 64;
    uint8 private constant MAX_REVEALED = 2;

    /// @notice Close the newest phase early if everybody entitled has acted.
    /// @dev A phase that makes the round fail, and the last, are left to `settle`.
    function complete(MaskedPage storage page, uint64 taskId, bytes32 roundKey) internal {
        Clock storage clock = page.clock;
        Phase phase = clock.phase;
        bool isComplete =
            isAttested(phase) ? attesters(page, phase) == clock.validators : page.records.count() == clock.expected;
        if (!isComplete) return;
        uint40 earliest = uint40(block.timestamp);
        if (clock.relayedAt != 0) {
            // A false record of the last batch can still be voided and replaced.
            uint40 forced = clock.relayedAt + page.terms.forcedWindow;
            if (forced > earliest) earliest = forced;
        }
        if (earliest < clock.closesAt) clock.closesAt = earliest;
        if (clock.closesAt > block.timestamp || phase == Phase.Unmask) return;
        (Outcome outcome, uint256[] memory words, uint256 members) = judge(page);
        if (outcome == Outcome.None) close(page, taskId, roundKey, words, members);
    }

    /// @notice Fix what the newest phase decided and go on to the next; UNMASK ends the masked part.
    /// @return root The set root.
    function close(MaskedPage storage page, uint64 taskId, bytes32 roundKey, uint256[] memory words, uint256 members)
        internal
        returns (bytes32 root)
    {
        Clock memory clock = page.clock;
        Phase phase = clock.phase;
        if (isAttested(phase)) {
            for (uint256 i = 0; i < words.length; ++i) {
                page.sets.save(PlaceSets.key(phase, i), clock.round, words[i]);
            }
        }
        root = keccak256(abi.encode(roundKey, phase, page.records.value(), words));
        if (phase == Phase.Join || phase == Phase.Check) clock.expected = uint16(members);
        if (phase == Phase.Attest) _reveal(page, words);
        clock.closed = phase;
        clock.phase = phase == Phase.Unmask ? Phase.Ended : Phase(uint8(phase) + 1);
        clock.opensAt = uint40(block.timestamp);
        if (clock.phase == Phase.Shares || clock.phase == Phase.Submit || clock.phase == Phase.Unmask) {
            clock.opensAt += page.terms.finalityDelay;
        }
        clock.closesAt = clock.opensAt;
        (clock.closeBlock, clock.relayedAt, clock.isPinned) = (uint40(block.number), 0, false);
        page.clock = clock;
        page.anchor = root;
        if (!isAttested(clock.phase)) page.records = Commitments.start(root);
        if (clock.phase != Phase.Ended) page.clock.closesAt = schedule(page);
        emit IMaskedRounds.PhaseClosed({
            taskId: taskId,
            round: clock.round,
            phase: phase,
            setRoot: root,
            members: uint16(members),
            opensAt: clock.opensAt
        });
    }

    /// @notice Return when the newest phase closes if nothing brings that forward.
    function schedule(MaskedPage storage page) internal view returns (uint40) {
        uint256 shift = 32 * (uint256(page.clock.phase) - 1);
        return page.clock.opensAt + uint32(page.terms.windows >> shift);
    }

    /// @notice Return the validators who attested in a phase.
    function attesters(MaskedPage storage page, Phase phase) internal view returns (uint8) {
        return page.counters[uint256(phase) * PHASE_GROUPS].getAttesters(page.clock.round);
    }

    /// @notice Return what makes the round fail if the newest phase closes now, and the set that it decided.
    function judge(MaskedPage storage page)
        internal
        view
        returns (Outcome outcome, uint256[] memory words, uint256 members)
    {
        Phase phase = page.clock.phase;
        if (isAttested(phase)) {
            if (attesters(page, phase) < Seats.majority(page.clock.validators)) {
                return (Outcome.AbortedNoAttesters, words, members);
            }
            (words, members) = _kept(page, phase);
            if (members < page.terms.minSurvivors) outcome = Outcome.AbortedTooFew;
            else if (phase == Phase.Attest && _isDifferencing(page, words)) outcome = Outcome.AbortedDifferencing;
            return (outcome, words, members);
        }
        words = load(page, phase);
        members = page.records.count();
        if (phase == Phase.Unmask) {
            if (members < page.bounds.threshold) outcome = Outcome.AbortedUnmask;
        } else {
            uint256 needed = phase == Phase.Join ? page.bounds.minAgents : page.terms.minSurvivors;
            if (members < needed) outcome = Outcome.AbortedTooFew;
        }
    }

    /// @notice Return a phase's set.
    function load(MaskedPage storage page, Phase phase) internal view returns (uint256[] memory words) {
        words = new uint256[](PlaceSets.length(page.bounds.places));
        uint256 round = page.clock.round;
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = page.sets.load(PlaceSets.key(phase, i), round);
        }
    }

    /// @notice Return whether validators attest in a phase, and agents make no records.
    function isAttested(Phase phase) internal pure returns (bool) {
        return phase == Phase.Check || phase == Phase.Attest;
    }

    /// @notice Return whether agents make records in a phase.
    function isRecorded(Phase phase) internal pure returns (bool) {
        return phase == Phase.Join || phase == Phase.Shares || phase == Phase.Submit || phase == Phase.Unmask;
    }

    /// @notice Return the phase whose set may act, or is attested, in a phase after JOIN.
    function entitling(Phase phase) internal pure returns (Phase) {
        return phase == Phase.Unmask ? Phase.Check : Phase(uint8(phase) - 1);
    }

    /// @dev The sum counts as revealed when UNMASK opens, since shares may be released from then on.
    function _reveal(MaskedPage storage page, uint256[] memory words) private {
        uint32 version = page.bounds.parentVersion;
        if (page.bounds.revealed == 0 || page.bounds.revealedVersion != version) {
            (page.bounds.revealedVersion, page.bounds.revealed) = (version, 0);
            for (uint256 i = 0; i < words.length; ++i) {
                page.revealedSet[i] = words[i];
            }
        }
        ++page.bounds.revealed;
        ++page.bounds.spent;
    }

    /// @dev The places whose blobs a majority of validators attested, of those with a record.
    function _kept(MaskedPage storage page, Phase phase)
        private
        view
        returns (uint256[] memory words, uint256 members)
    {
        words = load(page, entitling(phase));
        uint256 round = page.clock.round;
        uint256 threshold = Seats.majority(page.clock.validators);
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 held = 0;
            uint256 first = uint256(phase) * PHASE_GROUPS + i * GROUPS;
            for (uint256 group = 0; words[i] >> (group * Attestations.LANES) != 0; ++group) {
                held |= page.counters[first + group].atLeast(round, threshold) << (group * Attestations.LANES);
            }
            words[i] &= held;
            members += words[i].popcount();
        }
    }

    /// @dev At most two sums per version; each of the two differences is empty or has enough survivors.
    function _isDifferencing(MaskedPage storage page, uint256[] memory words) private view returns (bool) {
        uint8 revealed = page.bounds.revealed;
        if (revealed == 0 || page.bounds.revealedVersion != page.bounds.parentVersion) return false;
        if (revealed == MAX_REVEALED) return true;
        uint256 added = 0;
        uint256 missing = 0;
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 known = page.revealedSet[i];
            added += (words[i] & ~known).popcount();
            missing += (known & ~words[i]).popcount();
        }
        uint256 needed = page.terms.minSurvivors;
        return (added != 0 && added < needed) || (missing != 0 && missing < needed);
    }
}
