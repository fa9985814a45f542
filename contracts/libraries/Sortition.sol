// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice Whom a committee is drawn from, and how many seats are expected.
/// @param total Sum of all weights; zero for an unweighted draw among the members.
/// @param members Number of members, below 2^32.
/// @param expected Expected number of seats, tau; at most 2^14.
/// @param cap Most seats that one identity may win.
struct Electorate {
    uint256 total;
    uint256 members;
    uint256 expected;
    uint256 cap;
}

/// @notice The exponential that was last computed: members of equal weight share it.
struct LastExp {
    uint256 rate;
    uint256 value;
}

/// @title Sortition
/// @notice From a VRF output to seats; equal, bit for bit, to `flchain.protocol.sortition`.
/// @dev A member with weight w of a total W wins Poisson(tau w / W) seats: the output's upper half is looked up in
/// that distribution's cumulative sum. Each seat has a score, and the lowest scores sit. Too few proofs raise the
/// threshold from tau to 2 tau, 4 tau and then to everybody, with the same outputs, so that nothing is drawn again.
/// Probabilities have 128 fractional bits, rates 64.
library Sortition {
    /// @dev The highest level; level l below it multiplies the expected number of seats by 2^l.
    uint256 internal constant EVERYBODY = 3;
    uint256 internal constant MEMBER_BITS = 16;
    uint256 private constant SCORE_SHIFT = 208;
    uint256 private constant ONE = 1 << 128;
    uint256 private constant RATE_BITS = 64;
    /// @dev floor(ln 2 * 2^128)
    uint256 private constant LN2 = 0xB17217F7D1CF79ABC9E3B39803F2F6AF;
    /// @dev A multiple of four, as that many are computed in each step.
    uint256 private constant TERMS = 20;

    /// @notice Return alpha, what a member proves to win seats: no field of it is the member's choice.
    /// @param role Keeps the draws of one attempt apart.
    function drawMessage(address registry, uint64 taskId, uint32 round, uint8 role, uint8 attempt, bytes32 seed)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode("flchain.vrf.v1", block.chainid, registry, taskId, round, role, attempt, seed));
    }

    /// @notice Return what an account proves with a VRF key to register it: that it holds the secret.
    function possessionMessage(address registry, address account) internal view returns (bytes32) {
        return keccak256(abi.encode("flchain.vrf.pop.v1", block.chainid, registry, account));
    }

    /// @notice Return the most seats of a committee that one identity may hold: below c / 3, but one.
    function computeCap(uint256 seats) internal pure returns (uint256) {
        return seats < 7 ? 1 : (seats - 1) / 3;
    }

    /// @notice Return how many seats an output wins at a level; never fewer than at a lower one.
    /// @param weight The member's weight, below 2^128 and at most the total.
    function countSeats(Electorate memory electorate, uint256 weight, bytes32 output, uint256 level)
        internal
        pure
        returns (uint256 seats)
    {
        LastExp memory last;
        return countSeats({electorate: electorate, weight: weight, output: output, level: level, last: last});
    }

    /// @notice Return the same for one of many members; `last` starts empty and passes from one to the next.
    function countSeats(
        Electorate memory electorate,
        uint256 weight,
        bytes32 output,
        uint256 level,
        LastExp memory last
    ) internal pure returns (uint256 seats) {
        uint256 raises = level < EVERYBODY ? level : EVERYBODY - 1;
        for (uint256 step = 0; step <= raises; ++step) {
            uint256 won = _countAt({
                electorate: electorate,
                expected: electorate.expected << step,
                weight: weight,
                output: output,
                last: last
            });
            if (won > seats) seats = won;
        }
        if (seats == 0 && level >= EVERYBODY && (weight > 0 || electorate.total == 0)) seats = 1;
    }

    /// @notice Return the seats at which the cumulative Poisson probability exceeds `uniform`.
    /// @param uniform In [0, 2^128).
    /// @param rate With 64 fractional bits, below 2^80.
    /// @param cap Ends the search.
    function countPoisson(uint256 uniform, uint256 rate, uint256 cap) internal pure returns (uint256 seats) {
        return _countFrom(computeExp(rate), uniform, rate, cap);
    }

    /// @notice Return exp(-rate / 2^64) * 2^128, for a rate below 2^80.
    /// @dev With k and r such that rate = k ln 2 + r and 0 <= r < ln 2 it is 2^-k times the 20 first terms of the
    /// series of exp(-r), by Horner's rule, each division rounded down. Off by less than 2^-76 of itself plus 2^-127.
    function computeExp(uint256 rate) internal pure returns (uint256 result) {
        uint256 wide = rate << RATE_BITS;
        uint256 rest = wide % LN2;
        // In plain Solidity each division tests its divisor, which doubles the price of a draw's arithmetic; jumping
        // back after each term would add a third.
        assembly ("memory-safe") {
            result := ONE
            for { let divisor := shl(128, TERMS) } divisor { divisor := sub(divisor, mul(4, ONE)) } {
                // Both factors are at most 2^128, and the rest is below it.
                result := sub(ONE, div(mul(result, rest), divisor))
                result := sub(ONE, div(mul(result, rest), sub(divisor, ONE)))
                result := sub(ONE, div(mul(result, rest), sub(divisor, mul(2, ONE))))
                result := sub(ONE, div(mul(result, rest), sub(divisor, mul(3, ONE))))
            }
        }
        result >>= wide / LN2;
    }

    /// @notice Return seat `index` of an output as 64 bits: 48 of its score, then the member's number.
    /// @dev Seats are compared as numbers, scores first. The score is of keccak256(abi.encode(output, index)).
    /// @param member The member's number in this draw, below 2^16.
    function computeSeat(bytes32 output, uint256 index, uint256 member) internal pure returns (uint256 seat) {
        assembly ("memory-safe") {
            mstore(0, output)
            mstore(0x20, index)
            seat := or(shl(MEMBER_BITS, shr(SCORE_SHIFT, keccak256(0, 0x40))), member)
        }
    }

    function _countAt(
        Electorate memory electorate,
        uint256 expected,
        uint256 weight,
        bytes32 output,
        LastExp memory last
    ) private pure returns (uint256) {
        uint256 beta = uint256(output);
        uint256 total = electorate.total;
        if (total == 0) return _isBelow(beta, electorate.members, expected) ? 1 : 0;
        uint256 rate;
        unchecked {
            rate = ((expected * weight) << RATE_BITS) / total;
        }
        if (last.rate != rate || last.value == 0) (last.rate, last.value) = (rate, computeExp(rate));
        return _countFrom(last.value, beta >> 128, rate, electorate.cap);
    }

    function _countFrom(uint256 probability, uint256 uniform, uint256 rate, uint256 cap)
        private
        pure
        returns (uint256 seats)
    {
        uint256 cumulative = probability;
        unchecked {
            // A probability is at most 2^128; the cap is small.
            while (seats < cap && uniform >= cumulative) {
                ++seats;
                probability = (probability * rate) / (seats << RATE_BITS);
                cumulative += probability;
            }
        }
    }

    /// @notice Return whether beta * members < expected * 2^256, for fewer than 2^32 members.
    /// @dev The upper word of the product, computed from both parts of beta, is below `expected` just then.
    function _isBelow(uint256 beta, uint256 members, uint256 expected) private pure returns (bool) {
        unchecked {
            uint256 low = (uint32(beta) * members) >> 32;
            return ((beta >> 32) * members + low) >> 224 < expected;
        }
    }
}
