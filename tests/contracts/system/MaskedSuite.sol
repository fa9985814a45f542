// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {MaskedRound, SignedRecord} from "../../../contracts/types/MaskedTypes.sol";
import {Mode, Phase, Task} from "../../../contracts/types/Types.sol";
import {Suite} from "./Suite.sol";

/// @notice A task in secure mode with eight agents and four validators, and what they do.
abstract contract MaskedSuite is Suite {
    uint32 internal constant FORCED = 10;
    uint16 internal constant PAUSE = 6;
    uint256 internal constant ALL = 0xff;
    bytes32 internal constant RECORD_TYPEHASH =
        keccak256("Record(bytes32 roundKey,uint8 phase,bytes32 anchor,bytes32 digest)");

    function setUp() public virtual {
        deploySuite();
        createFederation(8, 4, 2);
        vm.roll(100);
        openRound();
    }

    function makeTask(address orchestrator) internal view virtual override returns (Task memory task) {
        task = super.makeTask(orchestrator);
        (task.mode, task.minAgents, task.minSurvivors, task.threshold) = (Mode.Secure, 4, 3, 2);
        (task.joinWindow, task.sharesWindow, task.checkWindow, task.unmaskWindow) = (50, 40, 30, 35);
        (task.forcedWindow, task.finalityDelay, task.maxAttempts) = (FORCED, PAUSE, 1);
        (task.proposeWindow, task.voteWindow) = (8, 20);
    }

    function seen() internal view returns (MaskedRound memory) {
        return masked.getMasked(taskId);
    }

    /// @notice Go to a later block in which calls of the newest phase are allowed.
    function begin() internal {
        vm.roll(vm.getBlockNumber() + 1);
        MaskedRound memory now_ = seen();
        uint256 opens = now_.opensAt + (now_.phase == Phase.Check ? FORCED : 0);
        if (vm.getBlockTimestamp() < opens) vm.warp(opens);
    }

    function digestOf(uint256 agent, Phase step) internal view returns (bytes32) {
        return keccak256(abi.encode(currentRound(), agent, step));
    }

    function post(uint256 agent) internal {
        MaskedRound memory now_ = seen();
        bytes32 digest = digestOf(agent, now_.phase);
        vm.prank(agents[agent]);
        masked.postRecord(taskId, now_.round, now_.phase, now_.anchor, digest);
    }

    function postAll() internal {
        begin();
        for (uint256 i = 0; i < agents.length; ++i) {
            post(i);
        }
    }

    function attestRecordsAll(uint256 bits) internal {
        begin();
        MaskedRound memory now_ = seen();
        for (uint256 i = 0; i < validators.length; ++i) {
            vm.prank(validators[i]);
            masked.attestRecords(taskId, now_.round, now_.phase, now_.anchor, single(bits));
        }
    }

    /// @notice Bring the round to a phase with everybody in it.
    function reach(Phase wanted) internal {
        while (seen().phase != wanted) {
            if (seen().phase == Phase.Check || seen().phase == Phase.Attest) attestRecordsAll(ALL);
            else postAll();
        }
        begin();
    }

    /// @notice Return an agent's record, signed by `signer`.
    function signRecord(uint256 agent, address signer) internal view returns (SignedRecord memory record) {
        MaskedRound memory now_ = seen();
        record.digest = digestOf(agent, now_.phase);
        bytes32 key = manager.computeRoundKey(taskId, now_.round);
        bytes32 structHash = keccak256(abi.encode(RECORD_TYPEHASH, key, now_.phase, now_.anchor, record.digest));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[signer], masked.computeTypedDigest(structHash));
        (record.r, record.vs) = (r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /// @notice Relay the records of the first `count` agents, of which `forged` did not sign.
    function relay(uint256 count, uint256 forged) internal returns (SignedRecord[] memory records) {
        records = new SignedRecord[](count);
        for (uint256 i = 0; i < count; ++i) {
            records[i] = signRecord(i, i == forged ? validators[0] : agents[i]);
        }
        MaskedRound memory now_ = seen();
        uint256[] memory places = single((1 << count) - 1);
        vm.prank(proposers[0]);
        masked.relayRecords(taskId, now_.round, now_.phase, now_.anchor, places, records);
    }

    /// @notice Return the leaf of a relayed record.
    function leafOf(bytes32 anchor, uint256 place, SignedRecord memory record) internal pure returns (bytes32) {
        return keccak256(abi.encode(anchor, place, record.digest, record.r, record.vs));
    }
}
