// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRewardDistributor} from "../../../contracts/interfaces/IRewardDistributor.sol";
import {Agent, Outcome, Phase, Round, Task} from "../../../contracts/types/Types.sol";
import {Ballot} from "../../../contracts/types/VoteTypes.sol";
import {Suite} from "./Suite.sol";

/// @notice Plain bookkeeping beside the contracts, filled from calls that succeeded, and the comparison of the two.
abstract contract Shadow is Suite {
    struct Enrolment {
        uint8 role;
        uint256 activeFrom;
        uint256 leftAt;
        bool hasEndorsed;
    }

    struct Money {
        uint256 deposited;
        uint256 withdrawn;
        uint256 slashed;
        uint256 stake;
        uint256 unbonding;
        uint256 unbondsAt;
    }

    struct Tally {
        address proposer;
        bytes32 stateDigest;
        uint96 rewardTotal;
        bool isExtended;
        uint256 cast;
        uint256 approvals;
        uint256 worse;
        uint256 missing;
        uint256[3] wrong;
    }

    struct Payout {
        uint256 claimableFrom;
        uint256 expiresAt;
        uint256 payoutBps;
        uint256 published;
        uint256 claimed;
        uint256 swept;
        uint256 leafAmount;
    }

    struct Silence {
        uint32 round;
        uint8 attempt;
        uint256 epoch;
    }

    address[] internal everybody;
    mapping(address account => Enrolment) internal enrolments;
    mapping(address account => Money) internal money;
    uint32 internal roundNumber;
    uint256 internal openedAt;
    uint256 internal seats;
    uint256 internal updates;
    mapping(uint32 round => mapping(address agent => uint256)) internal updatesOf;
    mapping(uint32 round => mapping(address validator => bool)) internal hasAttested;
    mapping(uint32 round => mapping(address validator => uint256)) internal attestedBits;
    mapping(uint32 round => mapping(uint8 attempt => Tally)) internal tallies;
    mapping(uint32 round => mapping(uint8 attempt => mapping(address voter => uint256))) internal votesOf;
    mapping(uint32 round => mapping(address proposer => bool)) internal isBarred;
    address internal bondedBy;
    bytes32[] internal digests;
    mapping(uint32 round => Payout) internal payouts;
    mapping(uint32 round => mapping(uint256 index => uint256)) internal claimsOf;
    Silence[] internal silences;
    uint256 internal progress;
    /// @notice How many rounds ended in each way.
    mapping(Outcome how => uint256) public ended;

    /* COMPARISONS */

    /// @notice Verify that the contracts hold exactly what they owe.
    function verifyBalances() external view {
        uint256 owed = 0;
        for (uint256 i = 0; i < everybody.length; ++i) {
            Agent memory record = registry.getAgent(everybody[i]);
            owed += uint256(record.stake) + record.unbonding;
        }
        assertEq(token.balanceOf(address(registry)), owed, "registry covers stake and unbonding");
        IRewardDistributor.Budget memory budget = rewards.getBudget(taskId);
        owed = uint256(budget.available) + budget.reserved;
        for (uint32 round = 1; round <= roundNumber; ++round) {
            owed += rewards.getDistribution(taskId, round).remaining;
        }
        assertEq(token.balanceOf(address(rewards)), owed, "distributor covers budget and unclaimed rewards");
    }

    /// @notice Verify that every deposit is still stake, unbonding, withdrawn or slashed.
    function verifyDeposits() external view {
        uint256 slashed = 0;
        for (uint256 i = 0; i < everybody.length; ++i) {
            Money memory m = money[everybody[i]];
            Agent memory record = registry.getAgent(everybody[i]);
            assertEq(m.deposited, uint256(record.stake) + record.unbonding + m.withdrawn + m.slashed, "deposited");
            slashed += m.slashed;
        }
        assertEq(token.balanceOf(BURNED), slashed, "burned");
    }

    /// @notice Verify that no agent has two updates in a round and that the count is theirs.
    function verifyUpdates() external view {
        if (roundNumber == 0) return;
        uint256 total = 0;
        for (uint256 i = 0; i < everybody.length; ++i) {
            uint256 n = updatesOf[roundNumber][everybody[i]];
            assertLe(n, 1, "updates of one agent");
            total += n;
        }
        assertEq(manager.getSubmissions(taskId).count, total, "submissions");
        assertLe(total, manager.getRound(taskId).members, "submissions of the members");
    }

    /// @notice Verify that the survivors are the submissions that a majority attested.
    function verifySurvivors() external view {
        if (roundNumber == 0) return;
        (uint256[] memory words, uint256 count) = manager.getSurvivors(taskId);
        (uint256 bits, uint256 expected) = countSurvivors();
        assertEq(count, expected, "survivors");
        assertEq(words.length == 0 ? 0 : words[0], bits, "survivor bitmap");
        assertEq(manager.getRound(taskId).attesters, countAttesters(), "attesters");
    }

    /// @notice Verify that the ballot holds the votes of entitled validators, each once.
    function verifyVotes() external view {
        if (roundNumber == 0) return;
        Ballot memory ballot = manager.getBallot(taskId);
        if (!ballot.isLive) return;
        Tally memory tally = tallies[roundNumber][ballot.attempt];
        assertEq(ballot.cast, tally.cast, "cast");
        assertEq(ballot.approvals, tally.approvals, "approvals");
        assertEq(ballot.worse, tally.worse, "worse");
        assertEq(ballot.missing, tally.missing, "missing");
        assertEq(ballot.topReject, top(tally), "topReject");
        uint256 voters = 0;
        for (uint256 i = 0; i < everybody.length; ++i) {
            uint256 n = votesOf[roundNumber][ballot.attempt][everybody[i]];
            assertLe(n, 1, "votes of one validator");
            voters += n;
        }
        assertEq(voters, ballot.cast, "voters");
        assertLe(ballot.cast, seats, "votes of the seats");
    }

    /// @notice Verify that every finalised digest is what it was when it was published.
    function verifyVersions() external view {
        assertEq(uint256(models.getLatest(taskId)) + 1, digests.length, "versions");
        for (uint32 version = 0; version < digests.length; ++version) {
            assertEq(models.getStateDigest(taskId, version), digests[version], "digest");
        }
    }

    /// @notice Verify that claims stay within what was published, and what was published within the reserve.
    function verifyClaims() external view {
        for (uint32 round = 1; round <= roundNumber; ++round) {
            Payout memory payout = payouts[round];
            assertLe(payout.published, RESERVE, "published within the reserve");
            assertLe(payout.claimed + payout.swept, payout.published, "claimed within the published");
            uint256 remaining = rewards.getDistribution(taskId, round).remaining;
            assertEq(remaining, payout.published - payout.claimed - payout.swept, "remaining");
            for (uint256 index = 0; index < 4; ++index) {
                assertLe(claimsOf[round][index], 1, "claims of one leaf");
                assertTrue(rewards.isClaimed(taskId, round, index) == (claimsOf[round][index] == 1), "claimed");
            }
        }
    }

    /// @notice Verify that stake leaves by unbonding alone and that exactly the live proposal's bond is locked.
    function verifyStakes() external view {
        for (uint256 i = 0; i < everybody.length; ++i) {
            address account = everybody[i];
            Agent memory record = registry.getAgent(account);
            Money memory m = money[account];
            assertEq(record.stake, m.stake, "stake");
            assertEq(record.unbonding, m.unbonding, "unbonding");
            if (m.unbonding != 0) assertEq(record.unbondsAt, m.unbondsAt, "unbondsAt");
            assertEq(record.locked, account == bondedBy ? BOND : 0, "locked");
            assertLe(record.locked, record.stake, "bond within the stake");
            assertEq(record.duties, isEnrolled(account) ? 1 : 0, "duties");
        }
    }

    /// @notice Verify that members are counted as a walk over all of them counts them, each validator on its own seat.
    function verifyMembers() external view {
        (uint16 a, uint16 v, uint16 p) = manager.countActive(taskId);
        assertEq(a, countMembers(AGENT), "active agents");
        assertEq(v, countMembers(VALIDATOR), "active validators");
        assertEq(p, countMembers(PROPOSER), "active proposers");
        uint256 taken = 0;
        for (uint256 i = 0; i < everybody.length; ++i) {
            if (!isEnrolled(everybody[i]) || enrolments[everybody[i]].role != VALIDATOR) continue;
            uint256 bit = 1 << manager.getMember(taskId, everybody[i]).place;
            assertTrue(taken & bit == 0, "two validators on one seat");
            taken |= bit;
        }
        assertEq(manager.getTaskStatus(taskId).endorsements, countEndorsements(), "endorsements");
    }

    /// @notice Verify that time and calls that anybody may make end the live round in few steps and in bounded time.
    function verifyLiveness() external {
        uint256 id = vm.snapshotState();
        Task memory task = manager.getTask(taskId);
        uint256 attempt = uint256(task.proposeRanks) * task.proposeWindow + 2 * uint256(task.voteWindow);
        uint256 longest = uint256(task.submitWindow) + task.attestWindow + task.maxAttempts * attempt;
        uint256 began = vm.getBlockTimestamp();
        uint256 steps = 0;
        while (isLive()) {
            assertLe(++steps, 4 + 4 * uint256(task.maxAttempts), "steps to the end of the round");
            uint256 next = nextDeadline();
            if (next > vm.getBlockTimestamp()) vm.warp(next);
            else manager.settle(taskId);
        }
        assertLe(vm.getBlockTimestamp() - began, longest, "time to the end of the round");
        vm.revertToState(id);
    }

    /* NAIVE RULES */

    function isLive() internal view returns (bool) {
        Phase current = phase();
        return current != Phase.None && current != Phase.Ended;
    }

    /// @dev The end of the window that is open; the present if nothing is.
    function nextDeadline() internal view returns (uint256) {
        Phase current = phase();
        Round memory round = manager.getRound(taskId);
        if (current == Phase.Submit) return round.submitClose;
        if (current == Phase.Attest) return round.attestClose;
        if (current == Phase.Vote) return manager.getBallot(taskId).voteClose;
        if (current != Phase.Propose) return vm.getBlockTimestamp();
        Ballot memory ballot = manager.getBallot(taskId);
        uint256 opened = ballot.attempt == 0 ? round.attestClose : ballot.openedAt;
        Task memory task = manager.getTask(taskId);
        return opened + uint256(task.proposeRanks - ballot.startRank) * task.proposeWindow;
    }

    function isEnrolled(address account) internal view returns (bool) {
        return enrolments[account].role != 0 && enrolments[account].leftAt == 0;
    }

    function isActive(address account) internal view returns (bool) {
        return isEnrolled(account) && enrolments[account].activeFrom * EPOCH <= vm.getBlockTimestamp();
    }

    function wasActiveAtOpening(address account, uint8 role) internal view returns (bool) {
        Enrolment memory e = enrolments[account];
        return e.role == role && e.activeFrom * EPOCH <= openedAt && (e.leftAt == 0 || e.leftAt > openedAt);
    }

    function wasSilentThrice(address account) internal view returns (bool) {
        if (enrolments[account].role != VALIDATOR || silences.length < 3) return false;
        for (uint256 i = silences.length - 3; i < silences.length; ++i) {
            Silence memory s = silences[i];
            if (s.epoch < enrolments[account].activeFrom) return false;
            if (votesOf[s.round][s.attempt][account] != 0) return false;
            if (tallies[s.round][s.attempt].proposer == account) return false;
        }
        return true;
    }

    function countMembers(uint8 role) internal view returns (uint256 count) {
        for (uint256 i = 0; i < everybody.length; ++i) {
            if (enrolments[everybody[i]].role == role && isActive(everybody[i])) ++count;
        }
    }

    function countEndorsements() internal view returns (uint256 count) {
        for (uint256 i = 0; i < everybody.length; ++i) {
            if (enrolments[everybody[i]].hasEndorsed) ++count;
        }
    }

    function countAttesters() internal view returns (uint256 count) {
        for (uint256 i = 0; i < everybody.length; ++i) {
            if (hasAttested[roundNumber][everybody[i]]) ++count;
        }
    }

    function countSurvivors() internal view returns (uint256 bits, uint256 count) {
        for (uint256 index = 0; index < updates; ++index) {
            uint256 holders = 0;
            for (uint256 i = 0; i < everybody.length; ++i) {
                holders += (attestedBits[roundNumber][everybody[i]] >> index) & 1;
            }
            if (2 * holders > seats) (bits, count) = (bits | (1 << index), count + 1);
        }
    }

    function top(Tally memory tally) internal pure returns (uint256 most) {
        for (uint256 i = 0; i < 3; ++i) {
            if (tally.wrong[i] > most) most = tally.wrong[i];
        }
    }
}
