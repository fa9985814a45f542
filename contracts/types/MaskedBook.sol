// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Commitment} from "../libraries/Commitments.sol";
import {Phase} from "./Types.sol";

/// @notice Where the masked part of a round is, in one slot that is reused from round to round.
/// @param round Number of the round.
/// @param phase JOIN to UNMASK, then `Ended`.
/// @param closed The newest phase that closed or made the round fail.
/// @param opensAt When the phase's window opens.
/// @param closesAt When it ends, moved forward once everybody entitled has acted.
/// @param closeBlock The block that closed the phase before.
/// @param relayedAt Time of the phase's newest batch; zero without one.
/// @param expected Agents who may act; in CHECK and ATTEST those of the phase before.
/// @param validators Validators active when the round opened.
/// @param isPinned Whether the page's anchor is what records name, and no longer the set root in it.
/// @param batches Batches of records in this round.
/// @dev The fields fill one slot in any order; this one reads as the round runs.
// solhint-disable-next-line gas-struct-packing
struct Clock {
    uint32 round;
    Phase phase;
    Phase closed;
    uint40 opensAt;
    uint40 closesAt;
    uint40 closeBlock;
    uint40 relayedAt;
    uint16 expected;
    uint8 validators;
    bool isPinned;
    uint16 batches;
}

/// @notice What a task fixes for the phases, in one slot.
/// @param windows JOIN, SHARES, CHECK, SUBMIT, ATTEST and UNMASK from the lowest bits, 32 bits each.
/// @param forcedWindow Last part of a window of agents, and first of CHECK.
/// @param finalityDelay Pause before SHARES, SUBMIT and UNMASK.
/// @param minSurvivors Fewest agents in a set after JOIN.
struct Terms {
    uint192 windows;
    uint32 forcedWindow;
    uint16 finalityDelay;
    uint16 minSurvivors;
}

/// @notice What else bounds a round, and which sums are known, in one slot.
/// @param minAgents Fewest agents who must join.
/// @param threshold Fewest agents who must release shares.
/// @param places Places that were given away.
/// @param openedAt When the round opened.
/// @param parentVersion Version on which the round is trained.
/// @param revealedVersion Version on which the newest revealed sums were trained.
/// @param revealed Sums revealed for that version.
/// @param spent Sums revealed in this task.
struct Bounds {
    uint16 minAgents;
    uint16 threshold;
    uint16 places;
    uint40 openedAt;
    uint32 parentVersion;
    uint32 revealedVersion;
    uint8 revealed;
    uint32 spent;
}

/// @notice Relayed records.
/// @param root Merkle root over those that counted.
/// @param relayer Who pays if one is false; zero once it has.
/// @param phase Phase of the records.
struct Batch {
    bytes32 root;
    address relayer;
    Phase phase;
}

/// @notice Everything about one task in secure mode; rounds reuse the same slots.
/// @param clock Where the newest round is.
/// @param anchor Set root of the phase before until it is pinned, then what records name.
/// @param records Rolling commitment to the records, and the number of agents with one in the newest phase.
/// @param terms What the task fixes.
/// @param bounds What else bounds a round.
/// @param sets Places by phase, word `8 * phase + i`, tagged with the round; under phase 0 those who were punished.
/// @param relayed Places that a batch filled and no direct record has; a voided record stays here alone.
/// @param counters Validators who hold each place's blob, word `64 * phase + i` of 32 places.
/// @param attested Places attested by a validator, words as in `sets`.
/// @param batches Batches of the round, by number.
/// @param places An agent's place plus one.
/// @param holders Who has a place.
/// @param complaints By `accuser << 16 | accused`: the round of the complaint.
/// @param revealedSet Survivors of the first sum revealed for the newest version.
struct MaskedPage {
    Clock clock;
    bytes32 anchor;
    Commitment records;
    Terms terms;
    Bounds bounds;
    mapping(uint256 word => uint256) sets;
    mapping(uint256 word => uint256) relayed;
    mapping(uint256 group => uint256) counters;
    mapping(address validator => mapping(uint256 word => uint256)) attested;
    mapping(uint256 number => Batch) batches;
    mapping(address agent => uint256) places;
    mapping(uint256 place => address) holders;
    mapping(uint256 pair => uint256) complaints;
    mapping(uint256 word => uint256) revealedSet;
}
