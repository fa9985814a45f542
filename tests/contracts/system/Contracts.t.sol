// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../../../contracts/interfaces/IAgentRegistry.sol";
import {IRewardDistributor} from "../../../contracts/interfaces/IRewardDistributor.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISigned} from "../../../contracts/interfaces/ISigned.sol";
import {ITasks} from "../../../contracts/interfaces/ITasks.sol";
import {
    Agent,
    Member,
    Outcome,
    Round,
    SignedAttestation,
    Task,
    TaskStatus,
    Verdict
} from "../../../contracts/types/Types.sol";
import {Ballot, SignedVote, Vote} from "../../../contracts/types/VoteTypes.sol";
import {Suite} from "./Suite.sol";
import {IRegistry} from "./System.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Signed twins, task parameters, registries without a token, and where values lie in storage.
/// @dev The EIP-712 type strings are written out again here: they are an interface of their own.
contract ContractsTest is Suite {
    uint40 private _deadline;

    function setUp() external {
        deploySuite();
        createFederation(4, 4, 3);
        _deadline = uint40(vm.getBlockTimestamp()) + 50;
    }

    /* SIGNED TWINS */

    function test_submitWithSig__good_signature__counts_once() external {
        openRound();
        bytes memory good = _signUpdate(agents[0], 1, "update", 3, _deadline);
        manager.submitWithSig(agents[0], taskId, 1, "update", 3, _deadline, good);
        assertEq(manager.getSubmissions(taskId).count, 1, "count");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.AlreadySubmitted.selector, agents[0]));
        manager.submitWithSig(agents[0], taskId, 1, "update", 3, _deadline, good);
    }

    function test_submitWithSig__any_other_value__fails() external {
        openRound();
        bytes memory good = _signUpdate(agents[0], 1, "update", 3, _deadline);
        _expectInvalid(agents[1]);
        manager.submitWithSig(agents[1], taskId, 1, "update", 3, _deadline, good);
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId, 2, "update", 3, _deadline, good);
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId + 1, 1, "update", 3, _deadline, good);
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId, 1, "other", 3, _deadline, good);
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId, 1, "update", 4, _deadline, good);
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId, 1, "update", 3, _deadline + 1, good);
        _expectInvalid(address(0));
        manager.submitWithSig(address(0), taskId, 1, "update", 3, _deadline, new bytes(65));
        advance(51);
        vm.expectRevert(abi.encodeWithSelector(ISigned.SignatureExpired.selector, _deadline));
        manager.submitWithSig(agents[0], taskId, 1, "update", 3, _deadline, good);
    }

    function test_submitWithSig__other_domain__fails() external {
        openRound();
        bytes32 structHash = _hashUpdate(1, "update", 3, _deadline);
        bytes memory other = sign(agents[0], registry.computeTypedDigest(structHash));
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId, 1, "update", 3, _deadline, other);
        bytes memory good = _signUpdate(agents[0], 1, "update", 3, _deadline);
        vm.chainId(4242);
        _expectInvalid(agents[0]);
        manager.submitWithSig(agents[0], taskId, 1, "update", 3, _deadline, good);
    }

    function test_domain__digest__is_that_of_eip_712() external view {
        bytes32 domainType =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain =
            keccak256(abi.encode(domainType, keccak256("flchain"), keccak256("1"), block.chainid, address(manager)));
        bytes32 expected = keccak256(abi.encodePacked(hex"1901", domain, bytes32("struct")));
        assertEq(manager.computeTypedDigest("struct"), expected, "digest");
    }

    function test_enrolWithSig_and_leaveTaskWithSig__replayed__fail() external {
        address account = agents[3];
        bytes memory leaving = _signLeave(account, 1);
        _expectInvalid(agents[2]);
        manager.leaveTaskWithSig(agents[2], taskId, _deadline, leaving);
        manager.leaveTaskWithSig(account, taskId, _deadline, leaving);
        vm.expectRevert(abi.encodeWithSelector(ITasks.NotEnrolled.selector, taskId, account));
        manager.leaveTaskWithSig(account, taskId, _deadline, leaving);
        bytes memory entering = _signEnrolment(account, AGENT, 1);
        _expectInvalid(account);
        manager.enrolWithSig(account, taskId, VALIDATOR, _deadline, entering);
        manager.enrolWithSig(account, taskId, AGENT, _deadline, entering);
        assertEq(manager.getMember(taskId, account).nonce, 2, "nonce");
        // The old signature to leave must not end the new enrolment.
        _expectInvalid(account);
        manager.leaveTaskWithSig(account, taskId, _deadline, leaving);
        vm.prank(account);
        manager.leaveTask(taskId);
        _expectInvalid(account);
        manager.enrolWithSig(account, taskId, AGENT, _deadline, entering);
        advance(51);
        vm.expectRevert(abi.encodeWithSelector(ISigned.SignatureExpired.selector, _deadline));
        manager.enrolWithSig(account, taskId, AGENT, _deadline, entering);
        vm.expectRevert(abi.encodeWithSelector(ISigned.SignatureExpired.selector, _deadline));
        manager.leaveTaskWithSig(account, taskId, _deadline, leaving);
    }

    function test_endorseWithSig__good_signature__counts_once() external {
        address account = makeHolder("late validator");
        vm.startPrank(account);
        registry.register(VALIDATOR, STAKE, "late validator's keys");
        manager.enrol(taskId, VALIDATOR);
        vm.stopPrank();
        bytes32 typeHash =
            keccak256("Endorsement(uint64 taskId,bytes32 policyDigest,bytes32 initialState,uint40 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, taskId, POLICY, VERSION_0, _deadline));
        bytes memory good = sign(account, manager.computeTypedDigest(structHash));
        _expectInvalid(validators[0]);
        manager.endorseWithSig(validators[0], taskId, POLICY, VERSION_0, _deadline, good);
        _expectInvalid(account);
        manager.endorseWithSig(account, taskId, VERSION_0, POLICY, _deadline, good);
        manager.endorseWithSig(account, taskId, POLICY, VERSION_0, _deadline, good);
        assertEq(manager.getTaskStatus(taskId).endorsements, 5, "endorsements");
        vm.expectRevert(abi.encodeWithSelector(ITasks.AlreadyEndorsed.selector, taskId, account));
        manager.endorseWithSig(account, taskId, POLICY, VERSION_0, _deadline, good);
        advance(51);
        vm.expectRevert(abi.encodeWithSelector(ISigned.SignatureExpired.selector, _deadline));
        manager.endorseWithSig(account, taskId, POLICY, VERSION_0, _deadline, good);
    }

    function test_registry_signatures__used_again__fail() external {
        address account = makeHolder("signer");
        bytes32 keysDigest = "signer's keys";
        bytes memory joining = _signRegistration(account, AGENT, STAKE, keysDigest);
        _expectInvalid(account);
        registry.registerWithSig(account, VALIDATOR, STAKE, keysDigest, _deadline, joining);
        registry.registerWithSig(account, AGENT, STAKE, keysDigest, _deadline, joining);
        bytes memory more = _signIncrease(account, 7 ether, 0);
        _expectInvalid(account);
        registry.increaseStakeWithSig(account, 8 ether, _deadline, more);
        registry.increaseStakeWithSig(account, 7 ether, _deadline, more);
        _expectInvalid(account);
        registry.increaseStakeWithSig(account, 7 ether, _deadline, more);
        assertEq(registry.getAgent(account).stake, STAKE + 7 ether, "stake");
        bytes memory parting = _signUnbonding(account, keysDigest);
        _expectInvalid(agents[0]);
        registry.beginUnbondingWithSig(agents[0], _deadline, parting);
        registry.beginUnbondingWithSig(account, _deadline, parting);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRegistered.selector, account));
        registry.beginUnbondingWithSig(account, _deadline, parting);
        _assertUsedAfterUnbonding(account, keysDigest);
    }

    function test_attestBundle__signed_by_all__closes_attest() external {
        openRound();
        submitAll();
        SignedAttestation[] memory bundle = new SignedAttestation[](4);
        for (uint256 i = 0; i < 4; ++i) {
            bundle[i] = SignedAttestation(validators[i], single(15), _signAttestation(validators[i], 15));
        }
        (bundle[1].validator, bundle[2].validator) = (validators[2], validators[1]);
        _expectInvalid(validators[2]);
        manager.attestBundle(taskId, 1, bundle);
        (bundle[1].validator, bundle[2].validator) = (validators[1], validators[2]);
        // One that adds nothing is skipped.
        attestAs(validators[3], 15);
        manager.attestBundle(taskId, 1, bundle);
        (, uint256 survivors) = manager.getSurvivors(taskId);
        assertEq(survivors, 4, "survivors");
        assertEq(manager.getRound(taskId).attesters, 4, "attesters");
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidBundle.selector, 0));
        manager.attestBundle(taskId, 1, new SignedAttestation[](0));
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.InvalidBundle.selector, 33));
        manager.attestBundle(taskId, 1, new SignedAttestation[](33));
    }

    function test_voteBundle__signed_votes__count_once_and_for_one_attempt() external {
        openVote();
        SignedVote[] memory bundle = new SignedVote[](3);
        for (uint256 i = 0; i < 2; ++i) {
            bundle[i] = _signVote(validators[i], makeVote(Verdict.Approve));
        }
        // The same vote twice in one bundle counts once.
        bundle[2] = bundle[0];
        manager.voteBundle(taskId, 1, bundle);
        assertEq(manager.getBallot(taskId).cast, 2, "cast");
        manager.voteBundle(taskId, 1, bundle);
        assertEq(manager.getBallot(taskId).cast, 2, "cast again");
        bundle[0].validator = validators[3];
        _expectInvalid(validators[3]);
        manager.voteBundle(taskId, 1, bundle);
        bundle[0].validator = validators[0];
        bundle[0].vote.quality = 1;
        _expectInvalid(validators[0]);
        manager.voteBundle(taskId, 1, bundle);
    }

    function test_voteBundle__vote_of_an_earlier_attempt__fails() external {
        openVote();
        SignedVote[] memory bundle = new SignedVote[](1);
        bundle[0] = _signVote(validators[0], makeVote(Verdict.Approve));
        advance(30);
        manager.settle(taskId);
        advance(30);
        manager.settle(taskId);
        advance(20);
        proposeAs(proposers[1], makeContent(1));
        _expectInvalid(validators[0]);
        manager.voteBundle(taskId, 1, bundle);
    }

    /* TASKS */

    function test_createTask__unsound_parameters__name_the_field() external {
        for (uint256 i = 0; i < 16; ++i) {
            (Task memory task, bytes32 field) = _makeUnsound(i);
            vm.expectRevert(abi.encodeWithSelector(ITasks.InvalidTask.selector, field));
            manager.createTask(task);
        }
        Task memory large = makeTask(proposers[0]);
        (large.maxAgents, large.wMax, large.coordinateBound) = (1024, 128, 16_384);
        vm.expectRevert(abi.encodeWithSelector(ITasks.CapacityExceeded.selector, uint256(1) << 31));
        manager.createTask(large);
        large.coordinateBound = 16_383;
        manager.createTask(large);
        Task memory slow = makeTask(proposers[0]);
        // 1000 seconds of unbonding cover 60 + 700 + 2 * (3 * 20 + 2 * 30), and no more.
        slow.attestWindow = 701;
        vm.expectRevert(abi.encodeWithSelector(ITasks.UnbondingTooShort.selector, 1001, UNBONDING));
        manager.createTask(slow);
        slow.attestWindow = 700;
        manager.createTask(slow);
    }

    function test_openRound__not_ready__says_what_is_missing() external {
        vm.prank(validators[0]);
        manager.leaveTask(taskId);
        vm.prank(validators[1]);
        manager.leaveTask(taskId);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.TooFewValidators.selector, 2, 3));
        openRound();
        uint64 empty = manager.createTask(makeTask(proposers[0]));
        advance(10);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.TooFewValidators.selector, 0, 3));
        manager.openRound(empty);
        vm.expectRevert(abi.encodeWithSelector(ITasks.UnknownTask.selector, 99));
        manager.openRound(99);
    }

    function test_openRound__budget_too_low__fails() external {
        uint64 funded = taskId;
        taskId = manager.createTask(makeTask(proposers[0]));
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(agents[i]);
            manager.enrol(taskId, AGENT);
            vm.startPrank(validators[i]);
            manager.enrol(taskId, VALIDATOR);
            if (i < 2) manager.endorse(taskId, POLICY, VERSION_0);
            vm.stopPrank();
        }
        advance(3 * EPOCH);
        vm.expectRevert(abi.encodeWithSelector(IRoundManager.NotEndorsed.selector, 2, 3));
        openRound();
        vm.prank(validators[2]);
        manager.endorse(taskId, POLICY, VERSION_0);
        rewards.fund(taskId, RESERVE - 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardDistributor.BudgetTooLow.selector, RESERVE - 1, RESERVE));
        openRound();
        rewards.fund(taskId, 1);
        openRound();
        assertEq(rewards.getBudget(funded).available, 100 * RESERVE, "another task's budget is untouched");
    }

    /* WITHOUT A TOKEN */

    function test_allow_list__no_token__registers_those_on_it_without_stake() external {
        uint96[3] memory stakes = [uint96(10 ether), 20 ether, 30 ether];
        IRegistry closed = deployRegistry(IERC20(address(0)), address(this), address(this), 10, 100, stakes);
        address account = agents[0];
        vm.prank(account);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAllowed.selector, account));
        closed.register(AGENT, 0, "keys");
        closed.setAllowed(account, true);
        vm.startPrank(account);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.InvalidAmount.selector, 1));
        closed.register(AGENT, 1, "keys");
        closed.registerWithPermit(AGENT, 0, "keys", 0, 0, 0, 0);
        vm.stopPrank();
        assertTrue(closed.isEligible(account, AGENT), "eligible");
        closed.slashBond(account, 0);
        assertTrue(!closed.isEligible(account, AGENT), "a slash suspends");
        vm.prank(account);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotGovernance.selector, account));
        closed.setSuspended(account, false);
        closed.setSuspended(account, false);
        assertTrue(closed.isEligible(account, AGENT), "governance lifts it");
    }

    /* STORAGE */

    function test_storage__round_and_ballot__take_one_slot_each() external {
        openVote();
        voteFirst(2, Verdict.Approve);
        uint256 page = _page();
        Round memory round = manager.getRound(taskId);
        uint256 word = _load(address(manager), page + 7);
        uint256 expected = uint256(round.round) | (uint256(round.openedAt) << 32) | (uint256(round.submitClose) << 72)
            | (uint256(round.attestClose) << 112) | (uint256(round.members) << 152) | (uint256(round.validators) << 168)
            | (uint256(round.parentVersion) << 192) | (uint256(round.wMax) << 224);
        assertEq(word, expected, "round");
        Ballot memory b = manager.getBallot(taskId);
        expected = uint256(b.cast) | (uint256(b.approvals) << 8) | (1 << 72) | (uint256(b.voteClose) << 88)
            | (uint256(b.openedAt) << 128) | (uint256(b.voted) << 168);
        assertEq(_load(address(manager), page + 9), expected, "ballot");
        assertEq(_load(address(manager), page + 8) >> 240, 4, "number of submissions");
        assertEq(bytes32(_load(address(manager), page + 10)), manager.getProposal(taskId).proposalId, "proposal");
    }

    function test_storage__member_and_attestations__take_one_slot_each() external {
        openVote();
        uint256 page = _page();
        Member memory m = manager.getMember(taskId, agents[1]);
        uint256 slot = uint256(keccak256(abi.encode(agents[1], page + 19)));
        uint256 expected = uint256(m.role) | (uint256(m.activeFrom) << 8) | (uint256(m.submittedRound) << 80)
            | (uint256(m.barredRound) << 112) | (uint256(m.place) << 144) | (uint256(m.nonce) << 160);
        assertEq(_load(address(manager), slot), expected, "member");
        assertEq(_load(address(manager), slot + 1), 0, "nothing beside it");
        assertEq(m.submittedRound, 1, "submitted");
        // Four attesters, tag of round 1, and four in binary (plane 2) for each of four submissions.
        uint256 counters = _load(address(manager), uint256(keccak256(abi.encode(uint256(0), page + 20))));
        assertEq(counters, (4 << 248) | (1 << 224) | (15 << 64), "counters");
        slot = uint256(keccak256(abi.encode(validators[0], page + 21)));
        uint256 attested = _load(address(manager), uint256(keccak256(abi.encode(uint256(0), slot))));
        assertEq(attested, (1 << 224) | 15, "attested");
    }

    function test_storage__agent_and_task_status__are_packed() external {
        openVote();
        Agent memory a = registry.getAgent(proposers[0]);
        uint256 slot = uint256(keccak256(abi.encode(proposers[0], uint256(3))));
        uint256 expected = uint256(a.stake) | (uint256(a.locked) << 96) | (uint256(a.activeFrom) << 192)
            | (uint256(a.duties) << 224) | (uint256(a.roles) << 240);
        assertEq(_load(address(registry), slot), expected, "agent");
        assertEq(a.locked, BOND, "locked");
        assertEq(bytes32(_load(address(registry), slot + 2)), a.keysDigest, "keys");
        TaskStatus memory s = manager.getTaskStatus(taskId);
        expected = uint256(uint160(s.sponsor)) | (uint256(s.nextOpenAt) << 160) | (uint256(s.endorsements) << 208);
        assertEq(_load(address(manager), _page() + 6), expected, "status");
        expected = uint256(RESERVE) | (uint256(BOND) << 96) | (uint256(5) << 192) | (uint256(400) << 224);
        assertEq(_load(address(manager), _page() + 23), expected, "terms");
        assertEq(_load(address(manager), 2), 1, "task count");
    }

    function test_storage__rewards_of_a_round__take_two_slots() external {
        openVote();
        voteFirst(3, Verdict.Approve);
        manager.settle(taskId);
        uint256 slot = uint256(keccak256(abi.encode(taskId, uint256(1))));
        slot = uint256(keccak256(abi.encode(uint256(1), slot)));
        IRewardDistributor.Distribution memory d = rewards.getDistribution(taskId, 1);
        uint256 expected = uint256(d.remaining) | (uint256(d.claimableFrom) << 96) | (uint256(d.expiresAt) << 136)
            | (uint256(d.payoutBps) << 176);
        assertEq(_load(address(rewards), slot), expected, "distribution");
        assertEq(bytes32(_load(address(rewards), slot + 1)), makeContent(1).rewardRoot, "root");
        assertTrue(outcome() == Outcome.Finalized, "outcome");
    }

    /* INTERNAL */

    function _expectInvalid(address signer) private {
        vm.expectRevert(abi.encodeWithSelector(ISigned.SignatureInvalid.selector, signer));
    }

    function _load(address where, uint256 slot) private view returns (uint256) {
        return uint256(vm.load(where, bytes32(slot)));
    }

    function _page() private view returns (uint256) {
        return uint256(keccak256(abi.encode(taskId, uint256(3))));
    }

    /// @dev A keys digest works once, so that after the delay the old signatures are of no use.
    function _assertUsedAfterUnbonding(address account, bytes32 keysDigest) private {
        advance(UNBONDING);
        registry.withdraw(account);
        vm.prank(account);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, keysDigest));
        registry.register(AGENT, STAKE, keysDigest);
        bytes memory late = _signRegistration(account, AGENT, STAKE, "new keys");
        vm.expectRevert(abi.encodeWithSelector(ISigned.SignatureExpired.selector, _deadline));
        registry.registerWithSig(account, AGENT, STAKE, "new keys", _deadline, late);
        vm.prank(account);
        registry.register(AGENT, STAKE, "new keys");
    }

    function _makeUnsound(uint256 i) private view returns (Task memory t, bytes32 field) {
        t = makeTask(proposers[0]);
        if (i == 0) (t.orchestrator, field) = (address(0), "orchestrator");
        if (i == 1) (t.maxAgents, field) = (1025, "maxAgents");
        if (i == 2) (t.minAgents, field) = (101, "minAgents");
        if (i == 3) (t.minSurvivors, field) = (3, "minSurvivors");
        if (i == 4) (t.minValidators, field) = (65, "minValidators");
        if (i == 5) (t.wMax, field) = (0, "wMax");
        if (i == 6) (t.coordinateBound, field) = (0, "coordinateBound");
        if (i == 7) (t.maxAttempts, field) = (4, "maxAttempts");
        if (i == 8) (t.proposeRanks, field) = (9, "proposeRanks");
        if (i == 9) (t.maxShareBps, field) = (10_001, "maxShareBps");
        if (i == 10) (t.participationBps, field) = (10_001, "participationBps");
        if (i == 11) (t.maxRounds, field) = (1 << 24, "maxRounds");
        if (i == 12) (t.claimWindow, field) = (0, "claimWindow");
        if (i == 13) (t.joinWindow, field) = (1, "secureWindows");
        if (i == 14) (t.seatWindow, field) = (1, "seatWindow");
        if (i == 15) (t.policyDigest, field) = (0, "policyDigest");
    }

    function _hashUpdate(uint32 round, bytes32 digest, uint8 weight, uint40 deadline) private view returns (bytes32) {
        bytes32 typeHash = keccak256("Update(bytes32 roundKey,bytes32 digest,uint8 weight,uint40 deadline)");
        return keccak256(abi.encode(typeHash, manager.computeRoundKey(taskId, round), digest, weight, deadline));
    }

    function _signUpdate(address agent, uint32 round, bytes32 digest, uint8 weight, uint40 deadline)
        private
        view
        returns (bytes memory)
    {
        return sign(agent, manager.computeTypedDigest(_hashUpdate(round, digest, weight, deadline)));
    }

    function _signLeave(address account, uint256 nonce) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Leave(uint64 taskId,uint256 nonce,uint40 deadline)");
        return sign(account, manager.computeTypedDigest(keccak256(abi.encode(typeHash, taskId, nonce, _deadline))));
    }

    function _signEnrolment(address account, uint8 role, uint256 nonce) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Enrolment(uint64 taskId,uint8 role,uint256 nonce,uint40 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, taskId, role, nonce, _deadline));
        return sign(account, manager.computeTypedDigest(structHash));
    }

    function _signRegistration(address account, uint8 roles, uint96 stake, bytes32 keysDigest)
        private
        view
        returns (bytes memory)
    {
        bytes32 typeHash = keccak256("Registration(uint8 roles,uint96 stake,bytes32 keysDigest,uint40 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, roles, stake, keysDigest, _deadline));
        return sign(account, registry.computeTypedDigest(structHash));
    }

    function _signIncrease(address account, uint96 amount, uint256 nonce) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("StakeIncrease(uint96 amount,uint256 nonce,uint40 deadline)");
        return sign(account, registry.computeTypedDigest(keccak256(abi.encode(typeHash, amount, nonce, _deadline))));
    }

    function _signUnbonding(address account, bytes32 keysDigest) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Unbonding(bytes32 keysDigest,uint40 deadline)");
        return sign(account, registry.computeTypedDigest(keccak256(abi.encode(typeHash, keysDigest, _deadline))));
    }

    function _signAttestation(address validator, uint256 bits) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Attestation(bytes32 roundKey,uint256[] bitmap)");
        bytes32 key = manager.computeRoundKey(taskId, 1);
        bytes32 structHash = keccak256(abi.encode(typeHash, key, keccak256(abi.encodePacked(bits))));
        return sign(validator, manager.computeTypedDigest(structHash));
    }

    function _signVote(address validator, Vote memory paper) private view returns (SignedVote memory) {
        bytes32 typeHash = keccak256(
            "Vote(bytes32 roundKey,uint8 attempt,bytes32 proposalId,uint8 verdict,uint8 reason,bytes32 counterContentId,uint16 quality,bytes32 execTag)"
        );
        uint8 attempt = manager.getBallot(taskId).attempt;
        bytes32 structHash = keccak256(abi.encode(typeHash, manager.computeRoundKey(taskId, 1), attempt, paper));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[validator], manager.computeTypedDigest(structHash));
        return SignedVote(validator, paper, r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }
}
