// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../../../contracts/interfaces/IAgentRegistry.sol";
import {IRewardDistributor} from "../../../contracts/interfaces/IRewardDistributor.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ITasks} from "../../../contracts/interfaces/ITasks.sol";
import {Outcome, Phase, Verdict} from "../../../contracts/types/Types.sol";
import {Ballot, Content, Vote} from "../../../contracts/types/VoteTypes.sol";
import {Shadow} from "./Shadow.sol";

/// @notice Makes bounded random calls and predicts from plain bookkeeping whether each succeeds.
/// @dev A call whose success differs from the prediction reverts here, and so fails the invariant test.
contract Handler is Shadow {
    constructor() {
        deploySuite();
        createFederation(4, 4, 3);
        _adopt(agents, AGENT);
        _adopt(validators, VALIDATOR);
        _adopt(proposers, PROPOSER);
        digests.push(VERSION_0);
    }

    /// @dev Phases never go back: `progress` orders round, attempt, extension and phase.
    modifier forward() {
        _;
        Ballot memory ballot = manager.getBallot(taskId);
        bool isExtended = ballot.isLive && ballot.isExtended;
        uint256 now_ = (uint256(currentRound()) << 32) | (uint256(ballot.attempt) << 16);
        Phase current = phase();
        // The end of a round takes the ballot's place.
        if (current == Phase.Ended) now_ = (now_ | type(uint32).max);
        else now_ |= (isExtended ? 1 << 8 : 0) | uint256(current);
        assertLe(progress, now_, "progress");
        progress = now_;
    }

    /* TIME */

    function passTime(uint256 duration) external forward {
        advance(bound(duration, 1, 40));
    }

    function passWindow() external forward {
        uint256 deadline = nextDeadline();
        if (deadline > vm.getBlockTimestamp()) vm.warp(deadline);
    }

    /* ROUNDS */

    /// @notice Take up to eight steps as honest members would, so that random calls meet every phase and outcome.
    function drive(uint256 seed) external {
        for (uint256 step = 0; step <= seed % 8; ++step) {
            _drive(uint256(keccak256(abi.encode(seed, step))));
        }
    }

    function driveOnce(uint256 seed) external {
        _drive(seed);
    }

    function open() external forward {
        _open();
    }

    function submit(uint256 who, uint256 weight) external forward {
        _submit(who % 4 == 0 ? _pick(everybody, who) : _pick(agents, who), bound(weight, 0, 9));
    }

    function attest(uint256 who, uint256 bits) external forward {
        _attest(who % 4 == 0 ? _pick(everybody, who) : _pick(validators, who), bits % (2 << updates));
    }

    function propose(uint256 who, uint96 total) external forward {
        _propose(_pick(everybody, who), uint96(bound(total, 0, RESERVE + 1)));
    }

    function vote(uint256 who, uint256 choice) external forward {
        _vote(who % 4 == 0 ? _pick(everybody, who) : _pick(validators, who), choice % 6);
    }

    function settle() external forward {
        _settle();
    }

    /* REWARDS */

    function claim(uint256 which, uint256 index) external forward {
        if (roundNumber == 0) return;
        uint32 round = uint32(bound(which, 1, roundNumber));
        index %= 4;
        Payout storage payout = payouts[round];
        bytes32[] memory leaves = makeLeaves(round, uint96(payout.leafAmount));
        uint256 paid = payout.leafAmount * payout.payoutBps / 10_000;
        uint256 time = vm.getBlockTimestamp();
        bool isOpen = payout.claimableFrom != 0 && time >= payout.claimableFrom && time < payout.expiresAt;
        bool expected = isOpen && claimsOf[round][index] == 0 && payout.claimed + paid <= payout.published;
        bytes memory data = abi.encodeCall(
            IRewardDistributor.claim,
            (taskId, round, index, agents[index], uint96(payout.leafAmount), makeProof(leaves, index))
        );
        if (!_call(address(this), address(rewards), data, expected, "claim")) return;
        ++claimsOf[round][index];
        payout.claimed += paid;
    }

    function sweep(uint256 which) external forward {
        if (roundNumber == 0) return;
        uint32 round = uint32(bound(which, 1, roundNumber));
        Payout storage payout = payouts[round];
        uint256 left = payout.published - payout.claimed - payout.swept;
        bool expected = left != 0 && vm.getBlockTimestamp() >= payout.expiresAt;
        bytes memory data = abi.encodeCall(IRewardDistributor.sweep, (taskId, round));
        if (_call(address(this), address(rewards), data, expected, "sweep")) payout.swept += left;
    }

    function fund(uint256 who, uint96 amount) external forward {
        bytes memory data = abi.encodeCall(IRewardDistributor.fund, (taskId, uint96(bound(amount, 1, RESERVE))));
        _call(_pick(everybody, who), address(rewards), data, true, "fund");
    }

    /* MEMBERS */

    function enrol(uint256 who, uint256 role) external forward {
        address account = _pick(everybody, who);
        uint8 wanted = role % 8 == 0 ? uint8(1 << (role % 3)) : registry.getAgent(account).roles;
        bool expected = !isEnrolled(account) && wanted != 0 && registry.isEligible(account, wanted);
        bytes memory data = abi.encodeCall(ITasks.enrol, (taskId, wanted));
        if (!_call(account, address(manager), data, expected, "enrol")) return;
        enrolments[account] = Enrolment(wanted, vm.getBlockTimestamp() / EPOCH + 2, 0, false);
    }

    function endorse(uint256 who) external forward {
        address account = _pick(validators, who);
        Enrolment storage e = enrolments[account];
        bool expected = isEnrolled(account) && e.role == VALIDATOR && !e.hasEndorsed;
        bytes memory data = abi.encodeCall(ITasks.endorse, (taskId, POLICY, VERSION_0));
        if (_call(account, address(manager), data, expected, "endorse")) e.hasEndorsed = true;
    }

    function quit(uint256 who) external forward {
        address account = _pick(everybody, who);
        bytes memory data = abi.encodeCall(ITasks.leaveTask, (taskId));
        if (_call(account, address(manager), data, isEnrolled(account), "leave")) _left(account);
    }

    function dismiss(uint256 who) external forward {
        address account = _pick(everybody, who);
        bool hasLapsed = !registry.isEligible(account, enrolments[account].role);
        bool expected = isEnrolled(account) && (hasLapsed || wasSilentThrice(account));
        bytes memory data = abi.encodeCall(ITasks.dismiss, (taskId, account));
        if (_call(address(this), address(manager), data, expected, "dismiss")) _left(account);
    }

    function suspend(uint256 who, bool suspended) external forward {
        address account = _pick(everybody, who);
        bool expected = registry.getAgent(account).roles != 0;
        bytes memory data = abi.encodeCall(IAgentRegistry.setSuspended, (account, suspended));
        _call(address(this), address(registry), data, expected, "setSuspended");
    }

    /* STAKE */

    function register(uint256 who, uint96 stake, bytes32 keysDigest) external forward {
        address account = _pick(everybody, who);
        uint256 index = (who / 4) % everybody.length;
        uint8 role = index < 4 ? AGENT : index < 8 ? VALIDATOR : PROPOSER;
        uint96 amount = uint96(bound(stake, 5 ether, STAKE));
        bool isFree = registry.getAgent(account).roles == 0 && money[account].unbonding == 0;
        bytes32 unused = keccak256(abi.encode(keysDigest, vm.getBlockTimestamp(), account));
        bool expected = isFree && amount >= registry.computeRequiredStake(role);
        bytes memory data = abi.encodeCall(IAgentRegistry.register, (role, amount, unused));
        if (!_call(account, address(registry), data, expected, "register")) return;
        money[account].deposited += amount;
        money[account].stake = amount;
    }

    function increaseStake(uint256 who, uint96 amount) external forward {
        address account = _pick(everybody, who);
        uint96 added = uint96(bound(amount, 0, 10 ether));
        bool expected = added != 0 && registry.getAgent(account).roles != 0;
        bytes memory data = abi.encodeCall(IAgentRegistry.increaseStake, (added));
        if (!_call(account, address(registry), data, expected, "increaseStake")) return;
        money[account].deposited += added;
        money[account].stake += added;
    }

    function unbond(uint256 who) external forward {
        address account = _pick(everybody, who);
        Money storage m = money[account];
        bool expected = registry.getAgent(account).roles != 0 && !isEnrolled(account) && account != bondedBy;
        bytes memory data = abi.encodeCall(IAgentRegistry.beginUnbonding, ());
        if (!_call(account, address(registry), data, expected, "beginUnbonding")) return;
        (m.unbonding, m.stake, m.unbondsAt) = (m.stake, 0, vm.getBlockTimestamp() + UNBONDING);
    }

    function withdraw(uint256 who) external forward {
        address account = _pick(everybody, who);
        Money storage m = money[account];
        bool expected = m.unbonding != 0 && vm.getBlockTimestamp() >= m.unbondsAt;
        bytes memory data = abi.encodeCall(IAgentRegistry.withdraw, (account));
        uint256 before = token.balanceOf(account);
        if (!_call(address(this), address(registry), data, expected, "withdraw")) return;
        assertEq(token.balanceOf(account), before + m.unbonding, "withdrawn tokens");
        (m.withdrawn, m.unbonding) = (m.withdrawn + m.unbonding, 0);
    }

    /* INTERNAL */

    function _adopt(address[] storage list, uint8 role) private {
        for (uint256 i = 0; i < list.length; ++i) {
            everybody.push(list[i]);
            uint256 activeFrom = manager.getMember(taskId, list[i]).activeFrom;
            enrolments[list[i]] = Enrolment(role, activeFrom, 0, role == VALIDATOR);
            (money[list[i]].deposited, money[list[i]].stake) = (STAKE, STAKE);
        }
    }

    function _pick(address[] storage list, uint256 who) private view returns (address) {
        return list[(who / 4) % list.length];
    }

    function _call(address from, address to, bytes memory data, bool expected, string memory what)
        private
        returns (bool ok)
    {
        vm.prank(from);
        (ok,) = to.call(data);
        assertTrue(ok == expected, string.concat(what, ok ? ": should have failed" : ": should have passed"));
    }

    function _left(address account) private {
        (enrolments[account].leftAt, enrolments[account].hasEndorsed) = (vm.getBlockTimestamp(), false);
    }

    function _drive(uint256 seed) private forward {
        Phase current = phase();
        if (current == Phase.None || current == Phase.Ended) {
            uint256 opensAt = manager.getTaskStatus(taskId).nextOpenAt;
            if (opensAt > vm.getBlockTimestamp()) vm.warp(opensAt);
            _open();
        } else if (current == Phase.Submit) {
            for (uint256 i = 0; i < agents.length; ++i) {
                _submit(agents[i], 1 + ((seed >> i) % 8));
            }
        } else if (current == Phase.Attest) {
            for (uint256 i = 0; i < validators.length; ++i) {
                _attest(validators[i], (1 << updates) - 1);
            }
        } else if (current == Phase.Propose) {
            (, address holder) = manager.getProposer(taskId);
            _propose(holder == address(0) ? everybody[seed % everybody.length] : holder, uint96(seed % RESERVE));
        } else if (current == Phase.Vote) {
            // Half of the votes approve, so that versions are published and rewards claimed.
            uint256 choice = (seed / 256) % 12;
            for (uint256 i = 0; i < validators.length; ++i) {
                _vote(validators[i], choice < 6 ? choice : 0);
            }
        } else {
            _settle();
        }
    }

    function _open() private {
        uint256 active = countMembers(VALIDATOR);
        bool isReady = active >= 3 && 2 * countEndorsements() > active && countMembers(AGENT) >= 2;
        bool isDue = vm.getBlockTimestamp() >= manager.getTaskStatus(taskId).nextOpenAt;
        bool expected = !isLive() && isDue && isReady && rewards.getBudget(taskId).available >= RESERVE;
        bytes memory data = abi.encodeCall(IRoundManager.openRound, (taskId));
        if (!_call(address(this), address(manager), data, expected, "openRound")) return;
        (roundNumber, openedAt, seats, updates) = (roundNumber + 1, vm.getBlockTimestamp(), active, 0);
        assertEq(currentRound(), roundNumber, "round number");
        assertEq(manager.getRound(taskId).parentVersion, digests.length - 1, "parent version");
    }

    function _submit(address agent, uint256 weight) private {
        bool isFirst = updatesOf[roundNumber][agent] == 0;
        bool isEntitled = wasActiveAtOpening(agent, AGENT) && isFirst;
        bool expected = phase() == Phase.Submit && isEntitled && weight >= 1 && weight <= 8;
        bytes32 digest = keccak256(abi.encode(agent, roundNumber));
        bytes memory data = abi.encodeCall(IRoundManager.submit, (taskId, roundNumber, digest, weight));
        if (!_call(agent, address(manager), data, expected, "submit")) return;
        ++updatesOf[roundNumber][agent];
        ++updates;
    }

    function _attest(address validator, uint256 bits) private {
        uint256 known = attestedBits[roundNumber][validator];
        bool isNew = !hasAttested[roundNumber][validator] || bits & ~known != 0;
        bool isEntitled = wasActiveAtOpening(validator, VALIDATOR) && bits >> updates == 0;
        bool expected = phase() == Phase.Attest && isEntitled && isNew;
        bytes memory data = abi.encodeCall(IRoundManager.attest, (taskId, roundNumber, single(bits)));
        if (!_call(validator, address(manager), data, expected, "attest")) return;
        hasAttested[roundNumber][validator] = true;
        attestedBits[roundNumber][validator] = known | bits;
    }

    function _propose(address proposer, uint96 total) private {
        bool expected = phase() == Phase.Propose && isActive(proposer) && !isBarred[roundNumber][proposer];
        if (expected) {
            (, address holder) = manager.getProposer(taskId);
            expected = (holder == address(0) || holder == proposer) && total <= RESERVE;
            expected = expected && money[proposer].stake >= BOND;
        }
        uint8 attempt = manager.getBallot(taskId).attempt;
        // Even totals promise more than they fund, as a dishonest proposer would.
        uint96 leafAmount = total % 2 == 0 ? total / 2 : total / 4;
        Content memory content = makeContent(roundNumber);
        content.stateDigest = keccak256(abi.encode(roundNumber, attempt, proposer));
        content.rewardRoot = _root(leafAmount);
        content.rewardTotal = total;
        bytes memory data = abi.encodeCall(IRoundManager.propose, (taskId, roundNumber, content));
        if (!_call(proposer, address(manager), data, expected, "propose")) return;
        Tally storage tally = tallies[roundNumber][attempt];
        (tally.proposer, tally.stateDigest, tally.rewardTotal) = (proposer, content.stateDigest, total);
        payouts[roundNumber].leafAmount = leafAmount;
        bondedBy = proposer;
    }

    function _root(uint96 leafAmount) private view returns (bytes32) {
        bytes32[] memory leaves = makeLeaves(roundNumber, leafAmount);
        return hashPair(hashPair(leaves[0], leaves[1]), hashPair(leaves[2], leaves[3]));
    }

    function _vote(address validator, uint256 choice) private {
        uint8 attempt = manager.getBallot(taskId).attempt;
        Tally storage tally = tallies[roundNumber][attempt];
        bool isFirst = votesOf[roundNumber][attempt][validator] == 0 && validator != tally.proposer;
        bool expected = phase() == Phase.Vote && wasActiveAtOpening(validator, VALIDATOR) && isFirst;
        Vote memory paper = makeVote(_verdict(choice));
        if (choice > 2) (paper.reason, paper.counterContentId) = (uint8(choice - 2), bytes32(choice));
        bytes memory data = abi.encodeCall(IRoundManager.vote, (taskId, roundNumber, paper));
        if (!_call(validator, address(manager), data, expected, "vote")) return;
        ++votesOf[roundNumber][attempt][validator];
        ++tally.cast;
        if (choice == 0) ++tally.approvals;
        else if (choice == 1) ++tally.worse;
        else if (choice == 2) ++tally.missing;
        else ++tally.wrong[choice - 3];
    }

    function _verdict(uint256 choice) private pure returns (Verdict) {
        if (choice == 0) return Verdict.Approve;
        if (choice == 1) return Verdict.Worse;
        return choice == 2 ? Verdict.DataMissing : Verdict.Wrong;
    }

    function _settle() private {
        Phase current = phase();
        bool isLiveVote = manager.getBallot(taskId).isLive;
        uint8 attempt = manager.getBallot(taskId).attempt;
        bool expected = current == Phase.Settle || (current == Phase.Attest && updates < 2);
        bytes memory data = abi.encodeCall(IRoundManager.settle, (taskId));
        if (!_call(address(this), address(manager), data, expected, "settle")) return;
        if (isLiveVote) _settleVote(attempt);
        else _ended(_doom(current == Phase.Attest), attempt);
    }

    /// @dev Too few submissions may end the round before anybody has attested.
    function _doom(bool isEarly) private view returns (Outcome) {
        if (isEarly) return Outcome.AbortedTooFew;
        if (countAttesters() * 2 <= seats) return Outcome.AbortedNoAttesters;
        (, uint256 survivors) = countSurvivors();
        return survivors < 2 ? Outcome.AbortedTooFew : Outcome.AbortedNoProposal;
    }

    function _settleVote(uint8 attempt) private {
        Tally storage tally = tallies[roundNumber][attempt];
        uint256 correct = tally.approvals + tally.worse;
        if (3 * correct > 2 * seats) {
            bool isWorse = 2 * tally.worse > seats;
            if (!isWorse && 2 * (tally.worse + seats - tally.cast) > seats) _ranOut(attempt);
            _endVote(isWorse ? Outcome.RejectedQuality : Outcome.Finalized, attempt);
        } else if (3 * top(tally) > 2 * seats) {
            isBarred[roundNumber][tally.proposer] = true;
            money[tally.proposer].slashed += BOND;
            money[tally.proposer].stake -= BOND;
            _endVote(attempt == 1 ? Outcome.AbortedNoQuorum : Outcome.None, attempt);
        } else if (3 * tally.missing > 2 * seats) {
            _endVote(Outcome.AbortedDataLost, attempt);
        } else {
            uint256 best = correct > top(tally) ? correct : top(tally);
            if (tally.missing > best) best = tally.missing;
            bool isOpen = 3 * (best + seats - tally.cast) > 2 * seats;
            if (isOpen && !tally.isExtended) {
                tally.isExtended = true;
                assertTrue(phase() == Phase.Vote, "extended");
                return;
            }
            if (isOpen) _ranOut(attempt);
            _endVote(attempt == 1 ? Outcome.AbortedNoQuorum : Outcome.None, attempt);
        }
    }

    function _ranOut(uint8 attempt) private {
        silences.push(Silence(roundNumber, attempt, openedAt / EPOCH));
    }

    function _endVote(Outcome expected, uint8 attempt) private {
        bondedBy = address(0);
        if (expected == Outcome.None) assertTrue(phase() == Phase.Propose, "next attempt");
        _ended(expected, attempt);
    }

    function _ended(Outcome expected, uint8 attempt) private {
        assertEq(uint256(outcome()), uint256(expected), "outcome");
        ++ended[expected];
        if (expected == Outcome.Finalized) digests.push(tallies[roundNumber][attempt].stateDigest);
        if (expected != Outcome.Finalized && expected != Outcome.RejectedQuality) return;
        Payout storage payout = payouts[roundNumber];
        payout.payoutBps = expected == Outcome.Finalized ? 10_000 : 2000;
        payout.published = uint256(tallies[roundNumber][attempt].rewardTotal) * payout.payoutBps / 10_000;
        payout.claimableFrom = vm.getBlockTimestamp() + 5;
        payout.expiresAt = payout.claimableFrom + 400;
    }
}
