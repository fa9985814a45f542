// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Phase} from "./Types.sol";

/// @notice The masked part of a task's newest round.
/// @param round Number of the round.
/// @param phase JOIN to UNMASK, also while its window is over; `Ended` once the part is over.
/// @param opensAt When the phase's window opens.
/// @param closesAt When it ends, moved forward once everybody entitled has acted.
/// @param closeBlock The block that closed the phase before: its hash goes into the anchor.
/// @param expected Agents who may act; in CHECK and ATTEST those of the phase before.
/// @param count Agents who have a record in the newest phase of agents.
/// @param attesters Validators who attested in this phase.
/// @param places Places that were given away.
/// @param batches Batches of records in this round.
/// @param spent Sums revealed in this task.
/// @param revealedVersion Version on which the newest revealed sums were trained.
/// @param revealed Sums revealed for that version.
/// @param commitment Rolling keccak-256 over the records, 240 bits.
/// @param anchor What records of this phase name; zero in the block that closed the phase before.
// solhint-disable-next-line gas-struct-packing
struct MaskedRound {
    uint32 round;
    Phase phase;
    uint40 opensAt;
    uint40 closesAt;
    uint40 closeBlock;
    uint16 expected;
    uint16 count;
    uint8 attesters;
    uint16 places;
    uint16 batches;
    uint32 spent;
    uint32 revealedVersion;
    uint8 revealed;
    uint240 commitment;
    bytes32 anchor;
}

/// @notice A record of secure mode with its agent's EIP-712 signature, for batches.
/// @param digest What the agent records.
/// @param r First half of the signature.
/// @param vs Second half, with the parity in its highest bit, as in ERC-2098.
struct SignedRecord {
    bytes32 digest;
    bytes32 r;
    bytes32 vs;
}

/// @notice A signed record with the anchor that it names, as evidence.
struct AnchoredRecord {
    bytes32 anchor;
    bytes32 digest;
    bytes32 r;
    bytes32 vs;
}
