// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Attestations} from "../../../contracts/libraries/Attestations.sol";
import {BallotWord, Ballots} from "../../../contracts/libraries/Ballots.sol";
import {Commitment, Commitments} from "../../../contracts/libraries/Commitments.sol";
import {Digests} from "../../../contracts/libraries/Digests.sol";
import {Populations} from "../../../contracts/libraries/Populations.sol";
import {Seats} from "../../../contracts/libraries/Seats.sol";
import {Decision, Tallies} from "../../../contracts/libraries/Tallies.sol";
import {Population, Verdict} from "../../../contracts/types/Types.sol";
import {Ballot, Vote} from "../../../contracts/types/VoteTypes.sol";
import {Cheats} from "../Cheats.sol";

/// @notice Votes as a plain list of counts: the reference that the packed ballot is compared with.
/// @param wrong Votes per objection.
struct Counts {
    uint256 approvals;
    uint256 worse;
    uint256 missing;
    uint256[3] wrong;
}

/// @notice The libraries against naive references.
contract LibrariesTest is Cheats {
    using Attestations for uint256;
    using Populations for Population;

    mapping(uint256 kind => uint256) private _rejects;
    uint32[] private _activations;

    /* ATTESTATIONS */

    function test_attestations__random_additions__equal_plain_counts(uint256 seed, uint256 start, uint24 tag, uint8 n)
        external
        pure
    {
        // A start with another round's tag must count as nothing.
        vm.assume(uint24(start >> 224) != tag);
        uint256 additions = bound(n, 0, 127);
        uint256[32] memory counts;
        uint256 word = start;
        for (uint256 i = 0; i < additions; ++i) {
            uint256 bits = uint32(uint256(keccak256(abi.encode(seed, i))));
            word = word.add(tag, bits);
            (word,) = word.addAttester();
            for (uint256 lane = 0; lane < 32; ++lane) {
                if ((bits >> lane) & 1 == 1) ++counts[lane];
            }
        }
        assertEq(word.getAttesters(tag), additions, "attesters");
        for (uint256 threshold = 0; threshold <= 127; threshold += 1 + (seed % 5)) {
            assertEq(word.atLeast(tag, threshold), _naiveAtLeast(counts, threshold), "lanes at the threshold");
        }
    }

    function test_attestations__other_round__count_as_zero(uint256 word, uint24 tag, uint8 threshold) external pure {
        vm.assume(uint24(word >> 224) != tag);
        uint256 limit = bound(threshold, 1, 127);
        assertEq(word.getAttesters(tag), 0, "attesters");
        assertEq(word.atLeast(tag, limit), 0, "lanes");
    }

    function test_attestations__all_lanes_127_times__fill_every_plane() external pure {
        uint256 word = 0;
        for (uint256 i = 1; i <= 127; ++i) {
            word = word.add(9, type(uint32).max);
            assertEq(word.atLeast(9, i), type(uint32).max, "reached");
            if (i < 127) assertEq(word.atLeast(9, i + 1), 0, "not reached");
        }
        assertEq(word >> 224, 9, "tag and attesters are untouched");
    }

    function test_popcount__any_word__equals_shifting(uint256 bits) external pure {
        uint256 expected = 0;
        for (uint256 i = 0; i < 256; ++i) {
            expected += (bits >> i) & 1;
        }
        assertEq(Attestations.popcount(bits), expected, "ones");
    }

    /* POPULATIONS */

    function test_populations__random_life__equal_plain_list(uint256 seed) external {
        Population memory p;
        uint256 epoch = 5;
        for (uint256 step = 0; step < 48; ++step) {
            uint256 draw = uint256(keccak256(abi.encode(seed, step)));
            epoch += draw % 4 == 0 ? (draw >> 8) % 4 : 0;
            p = p.fold(epoch);
            if ((draw >> 16) % 5 < 3 || _activations.length == 0) {
                p = p.add(uint32(epoch) + 2);
                _activations.push(uint32(epoch) + 2);
            } else {
                uint256 index = (draw >> 32) % _activations.length;
                p = p.remove(_activations[index], epoch);
                _activations[index] = _activations[_activations.length - 1];
                _activations.pop();
            }
            assertEq(p.active, _countActive(epoch), "active");
            assertEq(p.total(), _activations.length, "total");
            Population memory later = Population(p.active, p.epochA, p.countA, p.epochB, p.countB, p.seats);
            assertEq(later.fold(epoch + 1).active, _countActive(epoch + 1), "active in the next epoch");
        }
    }

    /* TALLIES */

    function test_decide__few_seats__equals_search_over_all_completions(uint256 seed, uint8 seats_, uint8 cast_)
        external
    {
        uint256 seats = bound(seats_, 1, 6);
        uint256 cast = bound(cast_, 0, seats);
        (BallotWord ballot, Counts memory counts) = _cast(seed, cast);
        Decision actual = Tallies.decide(ballot, seats);
        assertEq(uint256(actual), uint256(_search(counts, seats, seats - cast)), "decision");
    }

    function test_decide__any_seats__no_completion_changes_a_decision(uint256 seed, uint8 seats_, uint8 cast_)
        external
    {
        uint256 seats = bound(seats_, 1, 64);
        uint256 cast = bound(cast_, 0, seats);
        (BallotWord ballot, Counts memory counts) = _cast(seed, cast);
        Decision early = Tallies.decide(ballot, seats);
        if (early == Decision.Open) return;
        for (uint256 i = 0; i < 8; ++i) {
            Counts memory completed = _copy(counts);
            uint256 more = (seed >> i) % (seats - cast + 1);
            for (uint256 j = 0; j < more; ++j) {
                _increment(completed, uint256(keccak256(abi.encode(seed, "later", i, j))) % 6);
            }
            assertEq(uint256(early), uint256(_conclude(completed, seats)), "decision after more votes");
        }
    }

    function test_count__any_votes__equal_plain_counts(uint256 seed, uint8 cast_) external {
        uint256 cast = bound(cast_, 0, 64);
        (BallotWord word, Counts memory counts) = _cast(seed, cast);
        Ballot memory ballot = word.unpack();
        assertEq(ballot.cast, cast, "cast");
        assertEq(ballot.approvals, counts.approvals, "approvals");
        assertEq(ballot.worse, counts.worse, "worse");
        assertEq(ballot.missing, counts.missing, "missing");
        assertEq(ballot.topReject, _top(counts), "topReject");
        uint256 kinds = 0;
        for (uint256 i = 0; i < 3; ++i) {
            if (counts.wrong[i] != 0) ++kinds;
        }
        assertEq(ballot.rejectKinds, kinds, "kinds");
        assertEq(ballot.voted, cast == 64 ? type(uint64).max : (uint64(1) << uint64(cast)) - 1, "voted");
    }

    function test_count__votes_of_several_seats__equal_as_many_of_one(uint256 seed, uint8 voters_) external {
        uint256 voters = bound(voters_, 0, 21);
        Counts memory counts;
        BallotWord word;
        uint256 total = 0;
        for (uint256 place = 0; place < voters; ++place) {
            uint256 draw = uint256(keccak256(abi.encode(seed, place)));
            uint256 weight = 1 + (draw >> 16) % 3;
            uint256 choice = (draw >> 8) % 6;
            word = this.count(word, 3 * place, weight, _vote(choice));
            for (uint256 i = 0; i < weight; ++i) {
                _increment(counts, choice);
            }
            total += weight;
        }
        Ballot memory ballot = word.unpack();
        assertEq(ballot.cast, total, "cast");
        assertEq(ballot.approvals, counts.approvals, "approvals");
        assertEq(ballot.worse, counts.worse, "worse");
        assertEq(ballot.missing, counts.missing, "missing");
        assertEq(ballot.topReject, _top(counts), "topReject");
        assertEq(Attestations.popcount(ballot.voted), voters, "places");
    }

    /* SEATS */

    function test_quorum__every_size__is_smallest_above_two_thirds() external pure {
        for (uint256 seats = 1; seats <= 64; ++seats) {
            uint256 q = Seats.quorum(seats);
            assertTrue(3 * q > 2 * seats && 3 * (q - 1) <= 2 * seats, "smallest above two thirds");
            assertLe(q, seats, "reachable");
        }
    }

    function test_majority__every_size__is_smallest_above_half() external pure {
        for (uint256 validators = 1; validators <= 64; ++validators) {
            uint256 h = Seats.majority(validators);
            assertTrue(2 * h > validators && 2 * (h - 1) <= validators, "smallest above half");
            assertLe(h, validators, "reachable");
        }
    }

    function test_lowestFree__any_bitmap__equals_scan(uint64 taken) external pure {
        uint256 expected = 0;
        while (expected < 64 && (taken >> expected) & 1 == 1) ++expected;
        assertEq(Seats.lowestFree(taken), expected, "seat");
        assertEq(Seats.lowestFree(type(uint64).max), 64, "all taken");
    }

    function test_isEntitled__any_enrolment__equals_rule(
        uint8 role,
        uint8 wanted,
        uint32 activeFrom,
        uint40 leftAt,
        uint40 openedAt,
        uint32 epochLength
    ) external pure {
        _assertEntitled(role % 8, wanted % 8, activeFrom, leftAt, openedAt, epochLength);
        // Equal values, and those beside them, are what the arithmetic could get wrong.
        _assertEntitled(wanted, wanted, activeFrom, openedAt, openedAt, 1);
        uint256 next = uint256(openedAt) + 1;
        _assertEntitled(wanted, wanted, uint32(openedAt), uint40(next > type(uint40).max ? 0 : next), openedAt, 1);
        _assertEntitled(wanted, wanted, activeFrom, 0, uint40(activeFrom) * 7, 7);
        if (activeFrom != 0) _assertEntitled(wanted, wanted, activeFrom, 0, uint40(activeFrom) * 7 - 1, 7);
    }

    /* WORDS AND DIGESTS */

    function test_ballots__pack_then_unpack__gives_same(Ballot memory ballot) external pure {
        Ballot memory again = Ballots.pack(ballot).unpack();
        assertEq(keccak256(abi.encode(again)), keccak256(abi.encode(ballot)), "ballot");
    }

    function test_ballots__new_close__changes_nothing_else(Ballot memory ballot, uint40 close) external pure {
        BallotWord word = Ballots.pack(ballot).withVoteClose(close);
        ballot.voteClose = close;
        assertEq(BallotWord.unwrap(word), BallotWord.unwrap(Ballots.pack(ballot)), "word");
    }

    function test_commitments__append__equals_plain_hash(
        bytes32 key,
        address agentA,
        address agentB,
        bytes32 digest,
        uint8 weight
    ) external pure {
        uint240 value = uint240(uint256(key));
        Commitment word = Commitments.start(key).append(agentA, digest, weight);
        value = uint240(uint256(keccak256(abi.encode(value, agentA, digest, weight))));
        assertEq(uint256(word.value()), uint256(value), "first");
        word = word.append(agentB, digest, weight);
        value = uint240(uint256(keccak256(abi.encode(value, agentB, digest, weight))));
        assertEq(uint256(word.value()), uint256(value), "second");
        assertEq(word.count(), 2, "count");
    }

    function test_roundKey__any_round__equals_plain_hash(address manager, uint64 taskId, uint32 round) external view {
        bytes32 expected = keccak256(abi.encode(block.chainid, manager, taskId, round));
        assertEq(Digests.roundKey(manager, taskId, round), expected, "key");
    }

    function test_hashVote__any_vote__equals_plain_hash(bytes32 key, uint8 attempt, Vote calldata vote) external pure {
        bytes32 expected = keccak256(abi.encode(Digests.VOTE_TYPEHASH, key, attempt, vote));
        assertEq(Digests.hashVote(key, attempt, vote), expected, "struct hash");
    }

    /* CALLED BY THE TESTS */

    /// @notice Count one vote; external, since the library takes calldata.
    function count(BallotWord ballot, uint256 place, uint256 weight, Vote calldata vote) external returns (BallotWord) {
        return Tallies.count(ballot, _rejects, place, weight, vote);
    }

    /* REFERENCES */

    function _assertEntitled(
        uint8 role,
        uint8 wanted,
        uint32 activeFrom,
        uint40 leftAt,
        uint40 openedAt,
        uint32 epochLength
    ) private pure {
        bool expected = role == wanted && uint256(activeFrom) * epochLength <= openedAt
            && (leftAt == 0 || leftAt > openedAt);
        bool actual = Seats.isEntitled({
            role: role,
            wanted: wanted,
            activeFrom: activeFrom,
            leftAt: leftAt,
            openedAt: openedAt,
            epochLength: epochLength
        });
        assertTrue(actual == expected, "entitled");
    }

    /// @dev The words of earlier ballots are left in place, as in a task's later attempts: they must not count.
    function _cast(uint256 seed, uint256 cast) private returns (BallotWord ballot, Counts memory counts) {
        for (uint256 kind = 0; kind < 3; ++kind) {
            _rejects[kind] = uint256(keccak256(abi.encode(_objection(kind)))) | 0xff;
        }
        for (uint256 place = 0; place < cast; ++place) {
            uint256 draw = uint256(keccak256(abi.encode(seed, place)));
            // Runs of one kind make decisions likely.
            uint256 choice = draw % 3 == 0 ? (draw >> 8) % 6 : seed % 6;
            ballot = this.count(ballot, place, 1, _vote(choice));
            _increment(counts, choice);
        }
    }

    function _vote(uint256 choice) private pure returns (Vote memory vote) {
        if (choice == 0) vote.verdict = uint8(Verdict.Approve);
        else if (choice == 1) vote.verdict = uint8(Verdict.Worse);
        else if (choice == 2) vote.verdict = uint8(Verdict.DataMissing);
        else return _objection(choice - 3);
    }

    /// @dev Three objections: two differ in the reason alone, two in the counter content alone.
    function _objection(uint256 kind) private pure returns (Vote memory vote) {
        vote.verdict = uint8(Verdict.Wrong);
        vote.reason = kind == 0 ? 1 : 2;
        vote.counterContentId = bytes32(uint256(kind == 2 ? 2 : 1));
    }

    function _increment(Counts memory counts, uint256 choice) private pure {
        if (choice == 0) ++counts.approvals;
        else if (choice == 1) ++counts.worse;
        else if (choice == 2) ++counts.missing;
        else ++counts.wrong[choice - 3];
    }

    function _copy(Counts memory c) private pure returns (Counts memory) {
        return Counts(c.approvals, c.worse, c.missing, [c.wrong[0], c.wrong[1], c.wrong[2]]);
    }

    /// @dev What counts mean once nobody else votes: `Void` unless some answer has more than two thirds of the seats.
    function _conclude(Counts memory counts, uint256 seats) private pure returns (Decision) {
        if (3 * (counts.approvals + counts.worse) > 2 * seats) {
            return 2 * counts.worse > seats ? Decision.Worse : Decision.Final;
        }
        if (3 * _top(counts) > 2 * seats) return Decision.Wrong;
        return 3 * counts.missing > 2 * seats ? Decision.Missing : Decision.Void;
    }

    /// @dev The common result of every way in which the `remaining` seats may answer; `Open` if two ways differ.
    function _search(Counts memory counts, uint256 seats, uint256 remaining) private pure returns (Decision) {
        Decision common = _conclude(counts, seats);
        return _isCommon(counts, seats, remaining, 0, common) ? common : Decision.Open;
    }

    /// @dev A seat may also stay silent. Answers below `first` are left out, so that no set of answers comes twice.
    function _isCommon(Counts memory counts, uint256 seats, uint256 remaining, uint256 first, Decision common)
        private
        pure
        returns (bool isCommon)
    {
        isCommon = _conclude(counts, seats) == common;
        if (remaining == 0) return isCommon;
        for (uint256 choice = first; choice < 6 && isCommon; ++choice) {
            _increment(counts, choice);
            isCommon = _isCommon(counts, seats, remaining - 1, choice, common);
            _decrement(counts, choice);
        }
    }

    function _decrement(Counts memory counts, uint256 choice) private pure {
        if (choice == 0) --counts.approvals;
        else if (choice == 1) --counts.worse;
        else if (choice == 2) --counts.missing;
        else --counts.wrong[choice - 3];
    }

    function _top(Counts memory counts) private pure returns (uint256 top) {
        for (uint256 i = 0; i < 3; ++i) {
            if (counts.wrong[i] > top) top = counts.wrong[i];
        }
    }

    function _naiveAtLeast(uint256[32] memory counts, uint256 threshold) private pure returns (uint256 lanes) {
        for (uint256 lane = 0; lane < 32; ++lane) {
            if (counts[lane] >= threshold) lanes |= 1 << lane;
        }
    }

    function _countActive(uint256 epoch) private view returns (uint256 active) {
        for (uint256 i = 0; i < _activations.length; ++i) {
            if (_activations[i] <= epoch) ++active;
        }
    }
}
