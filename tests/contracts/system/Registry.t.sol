// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../../../contracts/interfaces/IAgentRegistry.sol";
import {VRF, VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {Agent} from "../../../contracts/types/Types.sol";
import {DrawSuite} from "./DrawSuite.sol";
import {IRegistry} from "./System.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice VRF keys, guardians and fines in the registry.
contract RegistryTest is DrawSuite {
    address private constant GUARDIAN = address(0x6A);
    address private constant THIEF = address(0x7E);

    address private _owner;

    function setUp() external {
        deployDrawn(0, 4);
        _owner = validators[0];
    }

    /* KEYS */

    function test_register_with_key__own_proof__is_on_record() external view {
        (bytes32 digest, uint96 stake) = registry.getDrawKey(_owner);
        assertEq(digest, _digest(secretOf(_owner)), "digest");
        assertEq(registry.getAgent(_owner).keysDigest, digest, "keys");
        assertEq(stake, STAKE, "stake");
        (digest,) = registry.getDrawKey(agents[0]);
        assertEq(digest, 0, "a digest without a proof is no key");
        // Slot 4 holds a digest's holder and, above it, whether it was proven.
        assertEq(_loadHolder(_digest(secretOf(_owner))), (1 << 160) | uint160(_owner), "proven");
        assertEq(_loadHolder(registry.getAgent(agents[0]).keysDigest), uint160(agents[0]), "not proven");
    }

    function test_register_with_key__anothers_proof__is_refused() external {
        address account = makeHolder("newcomer");
        (VrfKey memory key, VrfProof memory proof) = provePossession(_owner, 5);
        vm.prank(account);
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        registry.registerWithKey(VALIDATOR, STAKE, key, proof);
        (key, proof) = provePossession(account, 5);
        key = prover.getKey(secretOf(_owner));
        vm.prank(account);
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        registry.registerWithKey(VALIDATOR, STAKE, key, proof);
    }

    function test_register_with_key__key_in_use__is_refused() external {
        address account = makeHolder("newcomer");
        uint256 secret = secretOf(_owner);
        (VrfKey memory key, VrfProof memory proof) = provePossession(account, secret);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, _digest(secret)));
        vm.prank(account);
        registry.registerWithKey(VALIDATOR, STAKE, key, proof);
    }

    /// @dev A stranger sees the owner's call coming and registers its digest first.
    function test_register_with_key__squatted_digest__goes_to_who_proves_it() external {
        address account = makeHolder("newcomer");
        address squatter = _squat(5);
        (VrfKey memory key, VrfProof memory proof) = provePossession(account, 5);
        vm.prank(account);
        registry.registerWithKey(VALIDATOR, STAKE, key, proof);
        (bytes32 digest,) = registry.getDrawKey(account);
        assertEq(digest, _digest(5), "key");
        (bytes32 none,) = registry.getDrawKey(squatter);
        assertEq(none, 0, "the squatter has none");
        address third = makeHolder("third");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, digest));
        vm.prank(third);
        registry.register(AGENT, STAKE, digest);
        (key, proof) = provePossession(squatter, 5);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, digest));
        vm.prank(squatter);
        registry.rotateKey(key, proof);
    }

    function test_rotate_key__squatted_digest__goes_to_who_proves_it() external {
        _squat(5);
        (VrfKey memory key, VrfProof memory proof) = provePossession(_owner, 5);
        vm.prank(_owner);
        registry.rotateKey(key, proof);
        (bytes32 digest,) = registry.getDrawKey(_owner);
        assertEq(digest, _digest(5), "key");
    }

    /// @dev A digest must stand in for a nonce: an account's own works once, proven or not.
    function test_rotate_key__own_digest_without_a_proof__is_used() external {
        address account = _squat(5);
        (VrfKey memory key, VrfProof memory proof) = provePossession(account, 5);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, _digest(5)));
        vm.prank(account);
        registry.rotateKey(key, proof);
        (bytes32 digest,) = registry.getDrawKey(account);
        assertEq(digest, 0, "no key");
    }

    function test_rotate_key__new_key__keeps_identity_stake_and_duties() external {
        Agent memory before = registry.getAgent(_owner);
        (VrfKey memory key, VrfProof memory proof) = provePossession(_owner, 5);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.KeyRotated(_owner, _digest(5));
        vm.prank(_owner);
        registry.rotateKey(key, proof);
        before.keysDigest = _digest(5);
        assertEq(keccak256(abi.encode(registry.getAgent(_owner))), keccak256(abi.encode(before)), "record");
        (bytes32 digest,) = registry.getDrawKey(_owner);
        assertEq(digest, _digest(5), "key");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, _digest(5)));
        vm.prank(_owner);
        registry.rotateKey(key, proof);
        (key, proof) = provePossession(_owner, secretOf(_owner));
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, _digest(secretOf(_owner))));
        vm.prank(_owner);
        registry.rotateKey(key, proof);
    }

    function test_rotate_key__stranger__is_refused() external {
        (VrfKey memory key, VrfProof memory proof) = provePossession(THIEF, 5);
        vm.prank(THIEF);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRegistered.selector, THIEF));
        registry.rotateKey(key, proof);
        vm.prank(_owner);
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        registry.rotateKey(key, proof);
    }

    /* GUARDIANS */

    function test_recovery__thief_announces__owner_cancels() external {
        _name(THIEF);
        _announce(THIEF, 5);
        vm.prank(_owner);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.RecoveryAnnounced(_owner, 0, 0);
        registry.cancelRecovery();
        advance(UNBONDING);
        _expectNothing();
        registry.executeRecovery(_owner);
        vm.prank(_owner);
        _expectNothing();
        registry.cancelRecovery();
        (bytes32 digest,) = registry.getDrawKey(_owner);
        assertEq(digest, _digest(secretOf(_owner)), "key");
    }

    function test_recovery__owner_lost_the_key__guardian_waits_and_anybody_executes() external {
        _name(GUARDIAN);
        uint40 due = uint40(vm.getBlockTimestamp()) + UNBONDING;
        _announce(GUARDIAN, 5);
        (bytes32 digest, uint40 executableFrom) = registry.getRecovery(_owner);
        assertTrue(digest == _digest(5) && executableFrom == due, "recovery");
        advance(UNBONDING - 1);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.RecoveryNotDue.selector, due));
        registry.executeRecovery(_owner);
        (digest,) = registry.getDrawKey(_owner);
        assertEq(digest, _digest(secretOf(_owner)), "the old key meanwhile");
        advance(1);
        registry.executeRecovery(_owner);
        (digest,) = registry.getDrawKey(_owner);
        assertEq(digest, _digest(5), "key");
        _expectNothing();
        registry.executeRecovery(_owner);
    }

    function test_recovery__announced_anew__waits_anew() external {
        _name(GUARDIAN);
        _announce(GUARDIAN, 5);
        advance(UNBONDING - 1);
        uint40 due = uint40(vm.getBlockTimestamp()) + UNBONDING;
        _announce(GUARDIAN, 6);
        advance(1);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.RecoveryNotDue.selector, due));
        registry.executeRecovery(_owner);
    }

    function test_recovery__by_anybody_else__is_refused() external {
        (VrfKey memory key, VrfProof memory proof) = provePossession(_owner, 5);
        vm.prank(THIEF);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotGuardian.selector, _owner, THIEF));
        registry.announceRecovery(_owner, key, proof);
        _name(GUARDIAN);
        vm.prank(_owner);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotGuardian.selector, _owner, _owner));
        registry.announceRecovery(_owner, key, proof);
        (key, proof) = provePossession(GUARDIAN, 5);
        vm.prank(GUARDIAN);
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        registry.announceRecovery(_owner, key, proof);
        vm.prank(THIEF);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRegistered.selector, THIEF));
        registry.setGuardian(GUARDIAN);
    }

    function test_guardian__changed__deletes_what_was_announced() external {
        _name(THIEF);
        _announce(THIEF, 5);
        _name(GUARDIAN);
        advance(UNBONDING);
        _expectNothing();
        registry.executeRecovery(_owner);
        _name(address(0));
        (VrfKey memory key, VrfProof memory proof) = provePossession(_owner, 6);
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotGuardian.selector, _owner, GUARDIAN));
        registry.announceRecovery(_owner, key, proof);
    }

    function test_recovery__key_taken_meanwhile__fails_and_stays() external {
        _name(GUARDIAN);
        _announce(GUARDIAN, 5);
        (VrfKey memory key, VrfProof memory proof) = provePossession(validators[1], 5);
        vm.prank(validators[1]);
        registry.rotateKey(key, proof);
        advance(UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.KeysUsed.selector, _digest(5)));
        registry.executeRecovery(_owner);
        (bytes32 digest,) = registry.getRecovery(_owner);
        assertEq(digest, _digest(5), "announced");
    }

    /* FINES */

    function test_fines__from_anybody_but_the_round_manager__are_refused() external {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRoundManager.selector, address(this)));
        registry.punishSilence(_owner);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotRoundManager.selector, address(this)));
        registry.punishOffence(_owner, address(this));
    }

    /// @dev A needed stake of 2,005 makes every division round: 20 for silence, 1,002 and a bounty of 100.
    function test_fines__odd_amounts__round_down_and_are_all_paid() external {
        (IRegistry fined, address account) = _deployFined(3000);
        fined.punishSilence(account);
        assertEq(fined.getAgent(account).stake, 2980, "silence");
        assertEq(token.balanceOf(BURNED), 20, "burned");
        fined.punishOffence(account, THIEF);
        assertEq(fined.getAgent(account).stake, 1978, "offence");
        assertEq(token.balanceOf(THIEF), 100, "bounty");
        assertEq(token.balanceOf(BURNED), 922, "burned");
        fined.punishOffence(account, address(0));
        assertEq(fined.getAgent(account).stake, 976, "without a reporter");
        assertEq(token.balanceOf(BURNED), 1924, "all of it is burned");
        fined.punishOffence(account, THIEF);
        assertEq(fined.getAgent(account).stake, 0, "what there is");
        assertEq(token.balanceOf(THIEF), 197, "a tenth of it");
        fined.punishOffence(account, THIEF);
        fined.punishSilence(account);
        assertEq(token.balanceOf(address(fined)), 0, "nothing is left");
        assertEq(token.balanceOf(THIEF) + token.balanceOf(BURNED), 3000, "and nothing was made");
    }

    function test_fines__locked_stake__is_not_touched() external {
        (IRegistry fined, address account) = _deployFined(3000);
        fined.lockBond(account, 2990);
        fined.punishSilence(account);
        assertEq(fined.getAgent(account).stake, 2990, "ten were free");
        fined.punishOffence(account, THIEF);
        assertEq(fined.getAgent(account).stake, 2990, "nothing is free");
        fined.slashBond(account, 2990);
        assertEq(fined.getAgent(account).stake, 0, "the bond pays for its own");
    }

    function test_fines__token_refuses__stake_is_gone_all_the_same() external {
        (IRegistry fined, address account) = _deployFined(3000);
        vm.etch(address(token), hex"60006000fd");
        fined.punishSilence(account);
        fined.punishOffence(account, THIEF);
        assertEq(fined.getAgent(account).stake, 1978, "stake");
    }

    function test_fines__no_token__an_offence_suspends_and_silence_costs_nothing() external {
        uint96[3] memory stakes = [uint96(10), 2005, 30];
        IRegistry closed = deployRegistry(IERC20(address(0)), address(this), address(this), 10, 100, stakes);
        closed.setAllowed(_owner, true);
        vm.prank(_owner);
        closed.register(VALIDATOR, 0, "keys");
        closed.punishSilence(_owner);
        assertTrue(closed.isEligible(_owner, VALIDATOR), "silence");
        closed.punishOffence(_owner, THIEF);
        assertTrue(!closed.isEligible(_owner, VALIDATOR), "offence");
        closed.setSuspended(_owner, false);
        assertTrue(closed.isEligible(_owner, VALIDATOR), "governance lifts it");
    }

    /* INTERNAL */

    function _deployFined(uint96 stake) private returns (IRegistry fined, address account) {
        uint96[3] memory stakes = [uint96(10), 2005, 30];
        fined = deployRegistry(token, address(this), address(this), 10, 100, stakes);
        account = makeHolder("fined");
        vm.startPrank(account);
        token.approve(address(fined), stake);
        fined.register(VALIDATOR, stake, "fined");
        vm.stopPrank();
    }

    /// @dev An agent whose keys digest is that of a VRF key, registered without a proof.
    function _squat(uint256 secret) private returns (address squatter) {
        squatter = makeHolder("squatter");
        prover.load(secret);
        bytes32 digest = _digest(secret);
        vm.prank(squatter);
        registry.register(AGENT, STAKE, digest);
    }

    function _name(address guardian) private {
        vm.expectEmit(address(registry));
        emit IAgentRegistry.GuardianSet(_owner, guardian);
        vm.prank(_owner);
        registry.setGuardian(guardian);
    }

    function _announce(address guardian, uint256 secret) private {
        (VrfKey memory key, VrfProof memory proof) = provePossession(_owner, secret);
        vm.prank(guardian);
        registry.announceRecovery(_owner, key, proof);
    }

    function _loadHolder(bytes32 digest) private view returns (uint256) {
        return uint256(vm.load(address(registry), keccak256(abi.encode(digest, uint256(4)))));
    }

    function _expectNothing() private {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NothingAnnounced.selector, _owner));
    }

    function _digest(uint256 secret) private view returns (bytes32) {
        VrfKey memory key = prover.getKey(secret);
        return keccak256(abi.encodePacked(uint8(2 + key.parity), key.x));
    }
}
