// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../../../contracts/interfaces/IAgentRegistry.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "../../../contracts/interfaces/IRewardDistributor.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ITasks} from "../../../contracts/interfaces/ITasks.sol";
import {Outcome, Phase, Reason, Submissions, Verdict} from "../../../contracts/types/Types.sol";
import {Ballot, Content, Vote} from "../../../contracts/types/VoteTypes.sol";
import {Suite} from "./Suite.sol";

/// @notice Whole rounds, one for each way in which they end, and what must not pass from one to the next.
contract RoundsTest is Suite {
    function setUp() external {
        deploySuite();
        createFederation(4, 4, 3);
    }

    /* HOW ROUNDS END */

    function test_round__everybody_acts__finalises_and_pays() external {
        assertEq(openRound(), 1, "round");
        assertTrue(phase() == Phase.Submit, "submit");
        submitAll();
        assertTrue(phase() == Phase.Attest, "all submitted: SUBMIT closes early");
        attestAll();
        assertTrue(phase() == Phase.Propose, "all attested: ATTEST closes early");
        Content memory content = makeContent(1);
        bytes32 proposalId = proposeAs(proposers[0], content);
        assertEq(registry.getAgent(proposers[0]).locked, BOND, "bond");
        voteFirst(3, Verdict.Approve);
        assertTrue(phase() == Phase.Settle, "no vote can change the result: VOTE closes early");
        uint96 payout = content.rewardTotal;
        vm.expectEmit(address(models));
        emit IModelRegistry.ModelPublished(taskId, 1, 1, content.stateDigest, proposalId);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
        assertEq(models.getStateDigest(taskId, 1), content.stateDigest, "digest");
        assertEq(registry.getAgent(proposers[0]).locked, 0, "bond given back");
        assertEq(rewards.getBudget(taskId).available, 100 * RESERVE - payout, "rest of the reserve is back");
        _assertClaims(1, 1 ether);
        assertEq(openRound(), 2, "the next round may open at once");
    }

    function test_round__worse_model__is_rejected_and_pays_for_participation() external {
        openVote();
        voteFirst(3, Verdict.Worse);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.RejectedQuality, "outcome");
        assertEq(models.getLatest(taskId), 0, "no version");
        assertEq(registry.getAgent(proposers[0]).stake, STAKE, "being worse is no offence");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.TooEarly.selector, vm.getBlockTimestamp() + 10));
        openRound();
        _assertClaims(1, 0.2 ether);
    }

    function test_round__mixed_but_correct__waits_for_the_deadline() external {
        openVote();
        voteFirst(1, Verdict.Worse);
        voteAs(validators[1], makeVote(Verdict.Worse));
        voteAs(validators[2], makeVote(Verdict.Approve));
        assertTrue(phase() == Phase.Vote, "the last vote could still make it worse");
        advance(30);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "two of four is no majority");
    }

    function test_round__proposal_proven_wrong__next_rank_finishes_on_same_updates() external {
        bytes32 wrong = openVote();
        Submissions memory before = manager.getSubmissions(taskId);
        voteFirst(3, Verdict.Wrong);
        vm.expectEmit(address(manager));
        emit IRoundManager.ProposalVoided(taskId, 1, 0, true);
        manager.settle(taskId);
        assertEq(registry.getAgent(proposers[0]).stake, STAKE - BOND, "bond is gone");
        assertEq(registry.getAgent(proposers[0]).locked, 0, "nothing is locked");
        assertEq(token.balanceOf(BURNED), BOND, "bond is burned");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.Barred.selector, proposers[0]));
        this.proposeFrom(proposers[0]);
        bytes32 second = _proposeNext();
        assertTrue(second != wrong, "another proposal");
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
        assertEq(manager.getSubmissions(taskId).commitment, before.commitment, "same updates");
    }

    function test_round__votes_differ_in_their_objection__prove_nothing() external {
        openVote();
        for (uint256 i = 0; i < 3; ++i) {
            Vote memory paper = makeVote(Verdict.Wrong);
            paper.counterContentId = bytes32(i + 1);
            voteAs(validators[i], paper);
        }
        assertEq(manager.getBallot(taskId).rejectKinds, 3, "kinds");
        assertEq(manager.getBallot(taskId).topReject, 1, "most of one kind");
        manager.settle(taskId);
        assertEq(registry.getAgent(proposers[0]).stake, STAKE, "nobody is slashed");
        assertTrue(phase() == Phase.Propose, "next attempt");
    }

    function test_round__undecided_twice__ends_without_quorum() external {
        openVote();
        _runOut();
        assertEq(manager.getBallot(taskId).attempt, 1, "attempt");
        assertEq(registry.getAgent(proposers[0]).locked, 0, "bond given back");
        assertEq(registry.getAgent(proposers[0]).stake, STAKE, "not slashed");
        _proposeNext();
        _runOut();
        assertTrue(outcome() == Outcome.AbortedNoQuorum, "outcome");
        _assertAborted();
    }

    function test_round__no_proposal__ends_after_all_ranks() external {
        openRound();
        submitAll();
        attestAll();
        advance(59);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.WrongPhase.selector, Phase.Settle, Phase.Propose));
        manager.settle(taskId);
        advance(1);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedNoProposal, "outcome");
        _assertAborted();
    }

    function test_round__one_update__ends_before_anybody_attests() external {
        openRound();
        submitAs(agents[0], "update");
        advance(60);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedTooFew, "outcome");
        _assertAborted();
    }

    function test_round__one_survivor__ends_after_attest() external {
        openRound();
        submitAll();
        for (uint256 i = 0; i < 4; ++i) {
            attestAs(validators[i], i < 2 ? 3 : 1);
        }
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedTooFew, "two of four hold the second update: no majority");
        _assertAborted();
    }

    function test_round__two_of_four_attest__ends_without_attesters() external {
        openRound();
        submitAll();
        attestAs(validators[0], 15);
        attestAs(validators[1], 15);
        advance(30);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedNoAttesters, "outcome");
        _assertAborted();
    }

    function test_round__data_missing__ends_as_data_lost() external {
        openVote();
        voteFirst(3, Verdict.DataMissing);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedDataLost, "outcome");
        assertEq(registry.getAgent(proposers[0]).stake, STAKE, "not slashed");
        _assertAborted();
    }

    function test_round__aborts_follow__double_the_delay_until_one_ends_otherwise() external {
        for (uint256 i = 0; i < 8; ++i) {
            openRound();
            advance(60);
            manager.settle(taskId);
            uint256 delay = 10 << (i < 6 ? i : 6);
            assertEq(manager.getTaskStatus(taskId).nextOpenAt, vm.getBlockTimestamp() + delay, "delay");
            advance(delay);
        }
        openVote();
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        assertEq(manager.getTaskStatus(taskId).abortStreak, 0, "streak");
    }

    function test_settle__token_refuses_the_burn__round_goes_on() external {
        openVote();
        voteFirst(3, Verdict.Wrong);
        vm.etch(address(token), hex"60006000fd");
        manager.settle(taskId);
        assertEq(registry.getAgent(proposers[0]).stake, STAKE - BOND, "bond is gone");
        assertTrue(phase() == Phase.Propose, "next attempt");
    }

    /* WHO MAY DO WHAT */

    function test_vote__proposer_is_a_validator__may_not_vote_on_its_own() external {
        openRound();
        submitAll();
        attestAll();
        advance(40);
        proposeAs(validators[0], makeContent(1));
        Vote memory paper = makeVote(Verdict.Approve);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.OwnProposal.selector, validators[0]));
        this.voteFrom(validators[0], paper);
        assertEq(manager.getBallot(taskId).cast, 0, "cast");
        for (uint256 i = 1; i < 4; ++i) {
            voteAs(validators[i], paper);
        }
        vm.expectPartialRevert(IRoundManager.WrongPhase.selector);
        this.voteFrom(validators[1], paper);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "three of four seats suffice");
    }

    function test_vote__twice_or_by_a_stranger__fails() external {
        openVote();
        Vote memory paper = makeVote(Verdict.Approve);
        voteAs(validators[0], paper);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.AlreadyVoted.selector, validators[0]));
        this.voteFrom(validators[0], paper);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, agents[0]));
        this.voteFrom(agents[0], paper);
        paper.proposalId = "other";
        vm.expectPartialRevert(IRoundManager.WrongProposal.selector);
        this.voteFrom(validators[1], paper);
    }

    function test_vote__verdict_and_reason_do_not_fit__fails() external {
        openVote();
        Vote memory good = makeVote(Verdict.Approve);
        for (uint256 i = 0; i < 6; ++i) {
            Vote memory paper = abi.decode(abi.encode(good), (Vote));
            if (i == 0) paper.verdict = uint8(Verdict.None);
            if (i == 1) paper.verdict = uint8(type(Verdict).max) + 1;
            if (i == 2) paper.reason = uint8(Reason.WrongSet);
            if (i == 3) paper.counterContentId = "counter";
            if (i >= 4) paper.verdict = uint8(Verdict.Wrong);
            if (i == 4) paper.reason = uint8(Reason.WrongSet);
            if (i == 5) (paper.counterContentId, paper.reason) = ("counter", uint8(type(Reason).max) + 1);
            vm.expectPartialRevert(IRoundManager.InvalidVote.selector);
            this.voteFrom(validators[0], paper);
        }
    }

    function test_submit__twice_late_or_out_of_range__fails() external {
        openRound();
        submitAs(agents[0], "update");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.AlreadySubmitted.selector, agents[0]));
        this.submitFrom(agents[0], "other", 1);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidDigest.selector, bytes32(0)));
        this.submitFrom(agents[1], 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidWeight.selector, 0, 8));
        this.submitFrom(agents[1], "update", 0);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidWeight.selector, 9, 8));
        this.submitFrom(agents[1], "update", 9);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, validators[0]));
        this.submitFrom(validators[0], "update", 1);
        advance(60);
        vm.expectPartialRevert(IRoundManager.WrongPhase.selector);
        this.submitFrom(agents[1], "update", 1);
    }

    function test_seat__holder_leaves_in_a_live_round__keeps_its_vote_and_frees_the_seat() external {
        address newcomer = makeHolder("newcomer");
        vm.prank(newcomer);
        registry.register(VALIDATOR, STAKE, "newcomer's keys");
        openVote();
        uint8 seat = manager.getMember(taskId, validators[1]).place;
        advance(1);
        vm.prank(validators[1]);
        manager.leaveTask(taskId);
        vm.prank(newcomer);
        manager.enrol(taskId, VALIDATOR);
        assertEq(manager.getMember(taskId, newcomer).place, seat, "lowest free seat");
        Vote memory paper = makeVote(Verdict.Approve);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, newcomer));
        this.voteFrom(newcomer, paper);
        voteAs(validators[1], paper);
        assertEq(manager.getBallot(taskId).voted, uint64(1) << seat, "voted");
    }

    function test_stake__bond_is_locked__leaves_only_after_settlement_and_delay() external {
        openVote();
        address proposer = proposers[0];
        vm.startPrank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.StillEnrolled.selector, proposer, 1));
        registry.beginUnbonding();
        manager.leaveTask(taskId);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.BondStillLocked.selector, proposer, BOND));
        registry.beginUnbonding();
        vm.stopPrank();
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        vm.prank(proposer);
        registry.beginUnbonding();
        uint256 unbondsAt = vm.getBlockTimestamp() + UNBONDING;
        advance(UNBONDING - 1);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.UnbondingNotOver.selector, unbondsAt));
        registry.withdraw(proposer);
        advance(1);
        registry.withdraw(proposer);
        assertEq(token.balanceOf(proposer), WALLET, "all of it is back");
    }

    function test_dismiss__three_votes_ran_out_without_it__removes_the_silent_alone() external {
        for (uint256 i = 0; i < 2; ++i) {
            openVote();
            _runOut();
            _proposeNext();
            if (i == 1) break;
            _runOut();
            // Two votes are not three.
            vm.expectRevert(abi.encodeWithSelector(ITasks.StillInGoodStanding.selector, taskId, validators[3]));
            manager.dismiss(taskId, validators[3]);
            advance(10);
        }
        vm.expectRevert(abi.encodeWithSelector(ITasks.StillInGoodStanding.selector, taskId, validators[0]));
        manager.dismiss(taskId, validators[0]);
        manager.dismiss(taskId, validators[3]);
        (, uint16 active,) = manager.countActive(taskId);
        assertEq(active, 3, "active validators");
    }

    function test_dismiss__votes_decided_early__do_not_count() external {
        for (uint256 i = 0; i < 4; ++i) {
            openVote();
            voteFirst(3, Verdict.Approve);
            manager.settle(taskId);
        }
        vm.expectRevert(abi.encodeWithSelector(ITasks.StillInGoodStanding.selector, taskId, validators[3]));
        manager.dismiss(taskId, validators[3]);
    }

    function test_close__round_is_live__waits_and_then_refunds() external {
        openRound();
        vm.expectRevert(abi.encodeWithSelector(ITasks.RoundIsLive.selector, taskId, 1));
        manager.closeTask(taskId);
        advance(60);
        manager.settle(taskId);
        vm.prank(agents[0]);
        vm.expectRevert(abi.encodeWithSelector(ITasks.NotSponsor.selector, agents[0]));
        manager.closeTask(taskId);
        uint256 before = token.balanceOf(address(this));
        manager.closeTask(taskId);
        assertEq(token.balanceOf(address(this)), before + 100 * RESERVE, "refund");
        advance(100);
        vm.expectRevert(abi.encodeWithSelector(ITasks.TaskIsClosed.selector, taskId));
        openRound();
    }

    function test_rewards__unclaimed__return_to_the_task_after_the_window() external {
        openVote();
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        advance(404);
        vm.expectPartialRevert(IRewardDistributor.SweepTooEarly.selector);
        rewards.sweep(taskId, 1);
        advance(1);
        rewards.sweep(taskId, 1);
        assertEq(rewards.getBudget(taskId).available, 100 * RESERVE, "budget");
        vm.expectPartialRevert(IRewardDistributor.ClaimTooLate.selector);
        this.claimLeaf(1, 0);
    }

    function test_reserved_calls__from_anybody_else__fail() external {
        vm.expectPartialRevert(IAgentRegistry.NotRoundManager.selector);
        registry.slashBond(proposers[0], 1);
        vm.expectPartialRevert(IAgentRegistry.NotRoundManager.selector);
        registry.lockBond(proposers[0], 1);
        vm.expectPartialRevert(IAgentRegistry.NotRoundManager.selector);
        registry.releaseBond(proposers[0], 1);
        vm.expectPartialRevert(IAgentRegistry.NotRoundManager.selector);
        registry.addDuty(agents[0], AGENT);
        vm.expectPartialRevert(IAgentRegistry.NotRoundManager.selector);
        registry.removeDuty(agents[0]);
        vm.expectPartialRevert(IModelRegistry.OnlyRoundManager.selector);
        models.publish(taskId, 1, "state", "proposal");
        vm.expectPartialRevert(IModelRegistry.OnlyRoundManager.selector);
        models.publishInitial(taskId, "state");
        vm.expectPartialRevert(IRewardDistributor.CallerNotRoundManager.selector);
        rewards.refund(taskId, address(this));
        vm.expectPartialRevert(IRewardDistributor.CallerNotRoundManager.selector);
        rewards.reserve(taskId, 1);
        vm.expectPartialRevert(IRewardDistributor.CallerNotRoundManager.selector);
        rewards.release(taskId);
        vm.expectPartialRevert(IRewardDistributor.CallerNotRoundManager.selector);
        rewards.publish(taskId, 1, "root", 1, 10_000, 0, 1);
    }

    /* WHAT MUST NOT REACH THE NEXT ROUND */

    function test_next_round__after_a_full_one__starts_from_nothing() external {
        bytes32 oldProposal = openVote();
        voteFirst(2, Verdict.Wrong);
        advance(30);
        manager.settle(taskId);
        voteAs(validators[2], makeVote(Verdict.Wrong));
        manager.settle(taskId);
        _proposeNext();
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        openRound();
        Ballot memory none;
        assertEq(keccak256(abi.encode(manager.getBallot(taskId))), keccak256(abi.encode(none)), "ballot");
        assertEq(manager.getSubmissions(taskId).count, 0, "submissions");
        uint240 start = uint240(uint256(manager.computeRoundKey(taskId, 2)));
        assertEq(manager.getSubmissions(taskId).commitment, start, "commitment");
        assertEq(manager.getRound(taskId).attesters, 0, "attesters");
        Vote memory paper = makeVote(Verdict.Approve);
        assertTrue(paper.proposalId != oldProposal, "the second attempt's");
        vm.expectPartialRevert(IRoundManager.WrongPhase.selector);
        this.voteFrom(validators[0], paper);
        submitAll();
        attestAs(validators[0], 1);
        attestAs(validators[1], 1);
        attestAs(validators[2], 0);
        (, uint256 survivors) = manager.getSurvivors(taskId);
        assertEq(survivors, 0, "the last round's attestations do not count");
        assertEq(manager.getRound(taskId).attesters, 3, "an empty attestation is one");
        attestAs(validators[2], 15);
        (, survivors) = manager.getSurvivors(taskId);
        assertEq(survivors, 1, "one submission is held by three");
        attestAs(validators[3], 3);
        _assertAttestTooLate(validators[3]);
    }

    function test_objections__same_ones_in_next_attempt_and_round__start_from_zero() external {
        openVote();
        voteFirst(2, Verdict.Wrong);
        voteAs(validators[2], makeVote(Verdict.Approve));
        voteAs(validators[3], makeVote(Verdict.DataMissing));
        manager.settle(taskId);
        _proposeNext();
        voteFirst(1, Verdict.Wrong);
        assertEq(manager.getBallot(taskId).topReject, 1, "next attempt");
        voteAs(validators[1], makeVote(Verdict.Wrong));
        voteAs(validators[2], makeVote(Verdict.Approve));
        voteAs(validators[3], makeVote(Verdict.DataMissing));
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.AbortedNoQuorum, "outcome");
        advance(10);
        openVote();
        voteFirst(1, Verdict.Wrong);
        assertEq(manager.getBallot(taskId).topReject, 1, "next round");
        assertEq(manager.getBallot(taskId).rejectKinds, 1, "kinds");
    }

    /* CALLED BY THE TESTS: `expectRevert` NEEDS A CALL */

    function claimLeaf(uint32 round, uint256 index) external {
        bytes32[] memory leaves = makeLeaves(round, 1 ether);
        rewards.claim(taskId, round, index, agents[index], 1 ether, makeProof(leaves, index));
    }

    function proposeFrom(address proposer) external {
        proposeAs(proposer, makeContent(currentRound()));
    }

    function submitFrom(address agent, bytes32 digest, uint256 weight) external {
        uint32 round = currentRound();
        vm.prank(agent);
        manager.submit(taskId, round, digest, weight);
    }

    function voteFrom(address validator, Vote calldata paper) external {
        voteAs(validator, paper);
    }

    /* INTERNAL */

    function _assertAttestTooLate(address validator) private {
        uint32 round = currentRound();
        vm.prank(validator);
        vm.expectPartialRevert(IRoundManager.WrongPhase.selector);
        manager.attest(taskId, round, single(3));
    }

    function _assertAborted() private view {
        assertEq(rewards.getBudget(taskId).available, 100 * RESERVE, "reserve is back");
        assertEq(rewards.getBudget(taskId).reserved, 0, "nothing reserved");
        assertEq(models.getLatest(taskId), 0, "no version");
        assertEq(uint256(manager.getTaskStatus(taskId).abortStreak), 1, "streak");
        assertEq(manager.getTaskStatus(taskId).nextOpenAt, vm.getBlockTimestamp() + 10, "delay");
        assertTrue(phase() == Phase.Ended, "ended");
    }

    function _assertClaims(uint32 round, uint96 paid) private {
        vm.expectPartialRevert(IRewardDistributor.ClaimTooEarly.selector);
        this.claimLeaf(round, 0);
        advance(5);
        for (uint256 i = 0; i < 4; ++i) {
            uint256 before = token.balanceOf(agents[i]);
            this.claimLeaf(round, i);
            assertEq(token.balanceOf(agents[i]), before + paid, "reward");
        }
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.AlreadyClaimed.selector, 2));
        this.claimLeaf(round, 2);
        assertEq(rewards.getDistribution(taskId, round).remaining, 0, "remaining");
        bytes32[] memory proof = makeProof(makeLeaves(round, 1 ether), 0);
        vm.expectPartialRevert(IRewardDistributor.InvalidProof.selector);
        rewards.claim(taskId, round, 70, agents[0], 1 ether, proof);
    }

    /// @dev Three votes that leave the result open, then the deadline twice.
    function _runOut() private {
        voteAs(validators[0], makeVote(Verdict.Approve));
        voteAs(validators[1], makeVote(Verdict.Approve));
        voteAs(validators[2], makeVote(Verdict.DataMissing));
        advance(30);
        manager.settle(taskId);
        assertTrue(phase() == Phase.Vote && manager.getBallot(taskId).isExtended, "extended once");
        advance(30);
        manager.settle(taskId);
    }

    /// @dev The rank's holder proposes, or, if it may not, another member once the open window has come.
    function _proposeNext() private returns (bytes32) {
        (uint256 rank, address holder) = manager.getProposer(taskId);
        assertEq(rank, 1, "next rank");
        if (holder == proposers[0]) {
            advance(20);
            holder = proposers[1];
        }
        return proposeAs(holder, makeContent(currentRound()));
    }
}
