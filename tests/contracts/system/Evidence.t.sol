// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {Agent, Outcome, Verdict} from "../../../contracts/types/Types.sol";
import {Audit, SignedVote, Vote} from "../../../contracts/types/VoteTypes.sol";
import {DrawSuite} from "./DrawSuite.sol";

/// @notice Double votes and audits of earlier votes: what they cost, and who may say so.
contract EvidenceTest is DrawSuite {
    /// @dev Half of the 20 ether that a validator needs.
    uint256 private constant FINE = 10 ether;
    uint256 private constant BOUNTY = 1 ether;

    function setUp() external {
        deployDrawn(9, 10);
    }

    /* DOUBLE VOTES */

    function test_double_vote__two_verdicts__cost_half_and_pay_a_tenth() external {
        openSeat();
        address guilty = validators[0];
        (SignedVote memory first, SignedVote memory second) = _pair(guilty, 0);
        address reporter = address(0xBEEF);
        bytes32 offence = keccak256(abi.encode(manager.computeRoundKey(taskId, 1), uint8(0), guilty));
        vm.expectEmit(address(manager));
        emit IRoundManager.OffencePunished(taskId, guilty, offence, reporter);
        vm.prank(reporter);
        manager.reportDoubleVote(taskId, 1, 0, first, second);
        assertEq(stakeOf(guilty), STAKE - FINE, "stake");
        assertEq(token.balanceOf(reporter), BOUNTY, "bounty");
        assertEq(token.balanceOf(BURNED), FINE - BOUNTY, "burned");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.AlreadyPunished.selector, guilty));
        manager.reportDoubleVote(taskId, 1, 0, second, first);
        assertEq(token.balanceOf(address(registry)), _countStakes(), "what is left is covered");
    }

    function test_double_vote__quality_alone_differs__is_an_offence() external {
        openSeat();
        SignedVote memory first = signVote(validators[1], 1, 0, makeVote(Verdict.Approve));
        Vote memory paper = makeVote(Verdict.Approve);
        ++paper.quality;
        manager.reportDoubleVote(taskId, 1, 0, first, signVote(validators[1], 1, 0, paper));
        assertEq(stakeOf(validators[1]), STAKE - FINE, "stake");
    }

    function test_double_vote__one_vote_or_two_people_or_attempts__is_no_offence() external {
        openSeat();
        (SignedVote memory first, SignedVote memory second) = _pair(validators[0], 0);
        (SignedVote memory others,) = _pair(validators[1], 0);
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 1, 0, first, first);
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 1, 0, first, others);
        SignedVote memory later = signVote(validators[0], 1, 1, second.vote);
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 1, 0, first, later);
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 1, 1, first, second);
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 2, 0, first, second);
        second.validator = validators[1];
        first.validator = validators[1];
        _expectNoOffence(validators[1]);
        manager.reportDoubleVote(taskId, 1, 0, first, second);
    }

    function test_double_vote__bad_signature__is_no_offence() external {
        openSeat();
        (SignedVote memory first, SignedVote memory second) = _pair(validators[0], 0);
        second.vote.quality = 1;
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 1, 0, first, second);
        (second.r, second.vs) = (0, 0);
        _expectNoOffence(validators[0]);
        manager.reportDoubleVote(taskId, 1, 0, first, second);
        (first.validator, second.validator) = (address(0), address(0));
        (first.r, first.vs) = (0, 0);
        _expectNoOffence(address(0));
        manager.reportDoubleVote(taskId, 1, 0, first, second);
    }

    function test_double_vote__of_who_never_enrolled__is_none() external {
        openSeat();
        address stranger = makeHolder("stranger");
        (SignedVote memory first, SignedVote memory second) = _pair(stranger, 0);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, stranger));
        manager.reportDoubleVote(taskId, 1, 0, first, second);
    }

    function test_double_vote__many_attempts__take_what_there_is() external {
        openSeat();
        uint256 paid = 0;
        for (uint8 attempt = 0; attempt < 6; ++attempt) {
            (SignedVote memory first, SignedVote memory second) = _pair(validators[0], attempt);
            uint256 before = token.balanceOf(address(this));
            manager.reportDoubleVote(taskId, 1, attempt, first, second);
            paid += token.balanceOf(address(this)) - before;
        }
        assertEq(stakeOf(validators[0]), 0, "stake");
        assertEq(paid, 4 * BOUNTY, "four fines were covered");
        assertEq(token.balanceOf(BURNED), STAKE - paid, "burned");
        manager.dismiss(taskId, validators[0]);
    }

    function test_double_vote__reported_while_unbonding__takes_from_it() external {
        openSeat();
        address guilty = validators[0];
        (SignedVote memory first, SignedVote memory second) = _pair(guilty, 0);
        vm.startPrank(guilty);
        manager.leaveTask(taskId);
        registry.beginUnbonding();
        vm.stopPrank();
        advance(UNBONDING - 1);
        manager.reportDoubleVote(taskId, 1, 0, first, second);
        Agent memory record = registry.getAgent(guilty);
        assertEq(record.unbonding, STAKE - FINE, "unbonding");
        advance(1);
        registry.withdraw(guilty);
        assertEq(token.balanceOf(guilty), WALLET - FINE, "wallet");
    }

    /* AUDITS */

    function test_audit__quorum_of_seats_agrees__punishes_without_a_bounty() external {
        (address suspect, Audit memory finding) = _openAudit();
        uint256 seats = 0;
        uint256 last = 0;
        for (uint256 i = 0; seats < 7; ++i) {
            if (seatsOf(validators[i]) == 0) continue;
            assertEq(stakeOf(suspect), STAKE, "not yet");
            vm.expectEmit(address(manager));
            emit IRoundManager.VoteAudited(taskId, 1, suspect, validators[i], finding);
            vm.prank(validators[i]);
            manager.auditVote(taskId, finding);
            (seats, last) = (seats + seatsOf(validators[i]), i);
        }
        assertEq(stakeOf(suspect), STAKE - FINE, "stake");
        assertEq(token.balanceOf(BURNED), FINE, "all of it is burned");
        assertEq(models.getLatest(taskId), 1, "no version is taken back");
        for (uint256 i = last + 1; i < 10; ++i) {
            if (seatsOf(validators[i]) == 0) continue;
            vm.expectRevert(abi.encodeWithSelector(IRoundManager.AlreadyPunished.selector, suspect));
            this.auditFrom(validators[i], finding);
        }
    }

    function test_audit__different_findings__do_not_add_up() external {
        (address suspect, Audit memory finding) = _openAudit();
        for (uint256 i = 0; i < 10; ++i) {
            if (seatsOf(validators[i]) == 0) continue;
            finding.found = bytes32(i + 1);
            this.auditFrom(validators[i], finding);
        }
        assertEq(stakeOf(suspect), STAKE, "no quorum for any");
    }

    function test_audit__twice_or_by_the_unseated__is_refused() external {
        (, Audit memory finding) = _openAudit();
        bool isDone = false;
        for (uint256 i = 0; i < 10; ++i) {
            if (seatsOf(validators[i]) != 0 && !isDone) {
                this.auditFrom(validators[i], finding);
                vm.expectRevert(abi.encodeWithSelector(IRoundManager.AlreadyAudited.selector, validators[i]));
                this.auditFrom(validators[i], finding);
                isDone = true;
            } else if (seatsOf(validators[i]) == 0) {
                vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, validators[i]));
                this.auditFrom(validators[i], finding);
            }
        }
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, agents[0]));
        this.auditFrom(agents[0], finding);
        assertTrue(isDone, "somebody audited");
    }

    function test_audit__same_tag_or_not_chosen_or_not_earlier__is_no_offence() external {
        (address suspect, Audit memory finding) = _openAudit();
        address auditor = _findSeated();
        finding.found = finding.claimed;
        _expectNoOffence(suspect);
        this.auditFrom(auditor, finding);
        finding.found = "found";
        for (uint256 i = 0; i < 10; ++i) {
            finding.validator = validators[i];
            if (_isChosen(finding)) continue;
            _expectNoOffence(validators[i]);
            this.auditFrom(auditor, finding);
        }
        // The same and later draws are not earlier; who would be chosen there is not asked.
        (finding.round, finding.validator) = (2, suspect);
        while (!_isChosen(finding)) {
            finding.validator = address(uint160(finding.validator) + 1);
        }
        _expectNoOffence(finding.validator);
        this.auditFrom(auditor, finding);
    }

    /// @dev A place on the list may still be lost.
    function test_audit__while_seats_are_drawn__is_refused() external {
        (, Audit memory finding) = _openAudit();
        vm.warp(drawOf().seededAt);
        address auditor = _findSeated();
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, auditor));
        this.auditFrom(auditor, finding);
    }

    function test_audit__where_everybody_sits__is_refused() external {
        openDrawnVote("first");
        voteSeated(0, 10, Verdict.Approve);
        manager.settle(taskId);
        openSeat();
        advance(3 * WINDOW);
        manager.openSeats(taskId, 2);
        Audit memory finding = Audit(1, 0, validators[0], "claimed", "found");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEntitled.selector, validators[1]));
        this.auditFrom(validators[1], finding);
    }

    /* CALLED BY THE TESTS: `expectRevert` NEEDS A CALL */

    function auditFrom(address auditor, Audit calldata finding) external {
        vm.prank(auditor);
        manager.auditVote(taskId, finding);
    }

    /* INTERNAL */

    /// @dev A finished round, and a second draw whose seed picks a vote of the first.
    function _openAudit() private returns (address suspect, Audit memory finding) {
        openDrawnVote("first");
        voteSeated(0, 10, Verdict.Approve);
        manager.settle(taskId);
        assertTrue(outcome() == Outcome.Finalized, "outcome");
        suspect = validators[0];
        finding = Audit(1, 0, suspect, "claimed", "found");
        bytes32 seed = "second";
        while (!_isPicked(seed, finding)) {
            seed = keccak256(abi.encode(seed));
        }
        openSeeded(seed);
        sendAll(0, 10);
        vm.warp(manager.getBallot(taskId).openedAt);
    }

    function _isChosen(Audit memory finding) private view returns (bool) {
        (, bytes32 seed,,) = manager.getDraw(taskId);
        return _isPicked(seed, finding);
    }

    function _isPicked(bytes32 seed, Audit memory finding) private view returns (bool) {
        bytes32 key = manager.computeRoundKey(taskId, finding.round);
        bytes memory draw = abi.encode("flchain.audit.v1", seed, key, finding.attempt, finding.validator);
        return uint256(keccak256(draw)) % 10 == 0;
    }

    function _findSeated() private view returns (address) {
        for (uint256 i = 0; i < 10; ++i) {
            if (seatsOf(validators[i]) != 0) return validators[i];
        }
        revert NotTrue("nobody sits");
    }

    function _pair(address validator, uint8 attempt) private view returns (SignedVote memory, SignedVote memory) {
        return (
            signVote(validator, 1, attempt, makeVote(Verdict.Approve)),
            signVote(validator, 1, attempt, makeVote(Verdict.Worse))
        );
    }

    function _countStakes() private view returns (uint256 total) {
        for (uint256 i = 0; i < 10; ++i) {
            total += stakeOf(validators[i]);
        }
        total += (agents.length + proposers.length) * STAKE;
    }

    function _expectNoOffence(address validator) private {
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NoOffence.selector, validator));
    }
}
