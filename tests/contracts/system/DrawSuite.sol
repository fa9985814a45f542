// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISeedSource} from "../../../contracts/interfaces/ISeedSource.sol";
import {Committees} from "../../../contracts/libraries/Committees.sol";
import {Electorate, Sortition} from "../../../contracts/libraries/Sortition.sol";
import {VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {Draw, DrawKey, SeatProof} from "../../../contracts/types/DrawTypes.sol";
import {Phase, Task, Verdict} from "../../../contracts/types/Types.sol";
import {SignedVote, Vote} from "../../../contracts/types/VoteTypes.sol";
import {IProver} from "../IProver.sol";
import {Suite} from "./Suite.sol";

/// @notice A source whose seed a test sets.
contract FakeSeeds is ISeedSource {
    bytes32 private _seed;

    function set(bytes32 seed) external {
        _seed = seed;
    }

    function getSeed(uint64, Draw calldata) external view returns (bytes32) {
        return _seed;
    }
}

/// @notice A task that draws committees, real proofs for its validators, and plain references for a draw.
abstract contract DrawSuite is Suite {
    uint32 internal constant WINDOW = 20;
    uint256 internal constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint8 internal constant SEAT_ROLE = 1;
    /// @dev A validator's stake in thousandths of what it needs.
    uint256 internal constant WEIGHT = 2000;

    IProver internal prover;
    FakeSeeds internal fakeSeeds;
    uint8 internal committeeSize;

    /* DEPLOYMENT */

    /// @notice Deploy everything and a task that draws `size` seats.
    function deployDrawn(uint8 size, uint256 validatorCount) internal {
        prover = IProver(deploy("Prover", ""));
        committeeSize = size;
        deploySuite();
        createFederation(2, validatorCount, 3);
    }

    function deploySeeds(IRoundManager) internal virtual override returns (ISeedSource) {
        fakeSeeds = new FakeSeeds();
        return fakeSeeds;
    }

    function makeTask(address orchestrator) internal view virtual override returns (Task memory task) {
        task = super.makeTask(orchestrator);
        task.committee = committeeSize;
        if (committeeSize == 0) return task;
        task.seatWindow = WINDOW;
        uint256 cap = Committees.cap(committeeSize);
        task.minValidators = uint8((2 * uint256(committeeSize) / 3 + cap) / cap + 1);
    }

    function registerAs(address account, uint8 role) internal virtual override {
        if (role != VALIDATOR) {
            super.registerAs(account, role);
            return;
        }
        (VrfKey memory key, VrfProof memory proof) = provePossession(account, secretOf(account));
        vm.prank(account);
        registry.registerWithKey(role, STAKE, key, proof);
    }

    /// @notice Return a registered validator that has enrolled just now.
    function addValidator(string memory name) internal returns (address account) {
        account = makeHolder(name);
        registerAs(account, VALIDATOR);
        vm.prank(account);
        manager.enrol(taskId, VALIDATOR);
    }

    /* DRIVING A DRAW */

    /// @notice Open a round and bring it to SEAT with a proposal of the orchestrator.
    function openSeat() internal {
        openVote();
    }

    /// @notice Open a round and bring it to SEAT with a known seed.
    function openSeeded(bytes32 seed) internal {
        openSeat();
        fixSeed(seed);
    }

    function fixSeed(bytes32 seed) internal {
        fakeSeeds.set(seed);
        manager.openSeats(taskId, currentRound());
        fakeSeeds.set(0);
    }

    /// @notice Open a round, draw a committee from every validator's proof and bring it to VOTE.
    function openDrawnVote(bytes32 seed) internal {
        openSeeded(seed);
        sendAll(0, validators.length);
        vm.warp(manager.getBallot(taskId).openedAt);
    }

    function send(SeatProof[] memory proofs) internal {
        manager.proveSeats(taskId, currentRound(), proofs);
    }

    /// @notice Send the proofs of the validators from number `first` on, in bundles of up to 32.
    function sendAll(uint256 first, uint256 count) internal {
        for (uint256 i = 0; i < count; i += 32) {
            send(proveAll(first + i, count - i < 32 ? count - i : 32));
        }
    }

    /// @notice Let those of some validators vote who sit, until the vote is decided.
    function voteSeated(uint256 first, uint256 count, Verdict verdict) internal {
        for (uint256 i = first; i < first + count && phase() == Phase.Vote; ++i) {
            if (seatsOf(validators[i]) != 0) voteAs(validators[i], makeVote(verdict));
        }
    }

    /// @notice Let whoever may propose next do so.
    function proposeNext() internal {
        (, address holder) = manager.getProposer(taskId);
        if (holder == proposers[0]) advance(20);
        if (holder == proposers[0] || holder == address(0)) holder = proposers[1];
        proposeAs(holder, makeContent(currentRound()));
    }

    function signVote(address validator, uint32 round, uint8 attempt, Vote memory paper)
        internal
        view
        returns (SignedVote memory)
    {
        bytes32 typeHash = keccak256(
            "Vote(bytes32 roundKey,uint8 attempt,bytes32 proposalId,uint8 verdict,uint8 reason,bytes32 counterContentId,uint16 quality,bytes32 execTag)"
        );
        bytes32 structHash = keccak256(abi.encode(typeHash, manager.computeRoundKey(taskId, round), attempt, paper));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[validator], manager.computeTypedDigest(structHash));
        return SignedVote(validator, paper, r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /* PROOFS */

    function secretOf(address account) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("VRF", account))) % N;
    }

    function provePossession(address account, uint256 secret)
        internal
        returns (VrfKey memory key, VrfProof memory proof)
    {
        prover.load(secret);
        return prover.prove(secret, Sortition.possessionMessage(address(registry), account));
    }

    function alpha() internal view returns (bytes32) {
        (Draw memory draw, bytes32 seed,,) = manager.getDraw(taskId);
        return Sortition.drawMessage(address(manager), taskId, draw.round, SEAT_ROLE, draw.attempt, seed);
    }

    function proveFor(address validator) internal view returns (SeatProof memory proof) {
        proof.place = manager.getMember(taskId, validator).place;
        (proof.key, proof.proof) = prover.prove(secretOf(validator), alpha());
    }

    function proveAll(uint256 first, uint256 count) internal view returns (SeatProof[] memory proofs) {
        proofs = new SeatProof[](count);
        for (uint256 i = 0; i < count; ++i) {
            proofs[i] = proveFor(validators[first + i]);
        }
    }

    function one(SeatProof memory proof) internal pure returns (SeatProof[] memory proofs) {
        proofs = new SeatProof[](1);
        proofs[0] = proof;
    }

    /* REFERENCES */

    /// @notice Return the seats that a validator of the usual stake wins in the newest draw at a stage.
    function countWon(address validator, uint256 stage) internal view returns (uint256) {
        (Draw memory draw,,,) = manager.getDraw(taskId);
        Electorate memory electorate = Electorate({
            total: draw.totalWeight,
            members: manager.getRound(taskId).validators,
            expected: 2 * uint256(committeeSize),
            cap: Committees.cap(committeeSize)
        });
        bytes32 output = prover.computeOutput(secretOf(validator), alpha());
        return Sortition.countSeats(electorate, WEIGHT, output, stage);
    }

    /// @notice Return all seats that the validators in `set` win at a stage, as the list has them, sorted.
    function listWon(uint256 set, uint256 stage) internal view returns (uint256[] memory seats) {
        uint256[] memory found = new uint256[](64 * 15);
        uint256 count = 0;
        for (uint256 i = 0; i < validators.length; ++i) {
            if ((set >> i) & 1 == 0) continue;
            uint256 place = manager.getMember(taskId, validators[i]).place;
            bytes32 output = prover.computeOutput(secretOf(validators[i]), alpha());
            uint256 won = countWon(validators[i], stage);
            for (uint256 index = 0; index < won; ++index) {
                uint256 score = uint256(keccak256(abi.encode(output, index)));
                found[count++] = ((score >> 230) << 6) | place;
            }
        }
        seats = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 j = i;
            for (; j != 0 && seats[j - 1] > found[i]; --j) {
                seats[j] = seats[j - 1];
            }
            seats[j] = found[i];
        }
    }

    function seatsOf(address validator) internal view returns (uint256) {
        (,,, uint256 committee) = manager.getDraw(taskId);
        return (committee >> (4 * uint256(manager.getMember(taskId, validator).place))) & 15;
    }

    /// @notice Return the seats that are held.
    function countSeated() internal view returns (uint256 seats) {
        for (uint256 i = 0; i < validators.length; ++i) {
            seats += seatsOf(validators[i]);
        }
    }

    function keyOf(address validator) internal view returns (DrawKey memory known) {
        (known,) = manager.getDrawKey(taskId, manager.getMember(taskId, validator).place);
    }

    function stakeOf(address account) internal view returns (uint256) {
        return registry.getAgent(account).stake;
    }

    function listOf() internal view returns (uint256[] memory list) {
        (,, list,) = manager.getDraw(taskId);
    }

    function drawOf() internal view returns (Draw memory draw) {
        (draw,,,) = manager.getDraw(taskId);
    }

    /* CALLED BY THE TESTS: `expectRevert` NEEDS A CALL */

    function sendFrom(SeatProof[] calldata proofs) external {
        send(proofs);
    }

    function voteFrom(address validator, Vote calldata paper) external {
        voteAs(validator, paper);
    }
}
