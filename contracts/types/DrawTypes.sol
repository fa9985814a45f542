// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {VrfKey, VrfProof} from "../libraries/VRF.sol";

/// @notice The newest draw of a committee, in one slot that is reused.
/// @param round Round of the draw.
/// @param attempt Attempt of the draw.
/// @param entries Seats on the list, those in reserve included.
/// @param isSeeded Whether the seed is known, so that seats can be proven.
/// @param seededAt When the seed became known: SEAT's stages count from there.
/// @param pinnedBlock The block behind the proposal's, whose hash or randomness the seed takes in.
/// @param proposedAt Block time of the proposal.
/// @param totalWeight Weight of all validators active when the round opened.
/// @param beacons Who led the draw before, in order: three places plus one, eight bits each; zero for nobody.
struct Draw {
    uint32 round;
    uint8 attempt;
    uint8 entries;
    bool isSeeded;
    uint40 seededAt;
    uint40 pinnedBlock;
    uint40 proposedAt;
    uint40 totalWeight;
    uint24 beacons;
}

/// @notice What a validator needs to be drawn, in one slot.
/// @param keyHash First 20 bytes of the keccak-256 of its VRF key.
/// @param weight Its stake in thousandths of the stake that a validator needs; zero where there is no stake.
/// @param activeFrom First epoch in which it may be drawn with this key and weight.
/// @param penalties Times that it was silent in a seat.
struct DrawKey {
    bytes20 keyHash;
    uint32 weight;
    uint32 activeFrom;
    uint32 penalties;
}

/// @notice The weight of active validators, with what becomes active in the next two epochs.
/// @param active Weight active now.
/// @param epochA First epoch with pending weight.
/// @param weightA Weight that becomes active in `epochA`.
/// @param epochB Second epoch with pending weight.
/// @param weightB Weight that becomes active in `epochB`.
/// @param atOpening Weight active when the newest round opened.
struct Weights {
    uint40 active;
    uint32 epochA;
    uint40 weightA;
    uint32 epochB;
    uint40 weightB;
    uint40 atOpening;
}

/// @notice A validator's claim to seats; anybody may send it.
/// @param place The validator's place among the task's.
/// @param key Its VRF key.
/// @param proof The proof over the draw's message.
struct SeatProof {
    uint8 place;
    VrfKey key;
    VrfProof proof;
}
