// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISeedSource} from "../../../contracts/interfaces/ISeedSource.sol";
import {Sortition} from "../../../contracts/libraries/Sortition.sol";
import {VRF, VrfKey, VrfProof} from "../../../contracts/libraries/VRF.sol";
import {Draw} from "../../../contracts/types/DrawTypes.sol";
import {Phase, Verdict} from "../../../contracts/types/Types.sol";
import {Cheats} from "../Cheats.sol";
import {DrawSuite} from "./DrawSuite.sol";
import {IBlockSeeds, IChainSeeds} from "./System.sol";

/// @notice Seeds from a chain of beacons, with real draws before and after.
contract ChainSeedsTest is DrawSuite {
    IChainSeeds private _chain;
    bytes32 private _last;

    function setUp() external {
        vm.roll(1000);
        deployDrawn(9, 10);
        _chain = IChainSeeds(address(seeds));
    }

    function deploySeeds(IRoundManager predicted) internal override returns (ISeedSource) {
        return ISeedSource(deploy("ChainSeeds", abi.encode(predicted, EPOCH)));
    }

    function test_start__first_draw__takes_the_pinned_blocks_hash() external {
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.SeedIsFixed.selector, 0));
        _chain.start(taskId);
        openSeat();
        uint40 pinned = drawOf().pinnedBlock;
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.NoBlockHash.selector, pinned));
        _chain.start(taskId);
        _mine("hash");
        bytes32 expected = keccak256(abi.encode("flchain.seed.v1.start", _key(), bytes32(0), bytes32("hash")));
        (VrfKey memory key, VrfProof memory proof) = prover.prove(secretOf(validators[0]), "message");
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.UnknownBeacon.selector, 0));
        _chain.reveal(taskId, 0, key, proof);
        vm.expectEmit(address(_chain));
        emit IChainSeeds.SeedFixed(taskId, 1, 0, 0, expected);
        _chain.start(taskId);
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.SeedIsFixed.selector, expected));
        _chain.start(taskId);
        manager.openSeats(taskId, 1);
        (, bytes32 seed,,) = manager.getDraw(taskId);
        assertEq(seed, expected, "seed");
    }

    function test_start__hash_out_of_reach__fails_and_everybody_sits() external {
        openSeat();
        uint40 pinned = drawOf().pinnedBlock;
        vm.roll(pinned + 257);
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.NoBlockHash.selector, pinned));
        _chain.start(taskId);
        advance(3 * WINDOW);
        manager.openSeats(taskId, 1);
        assertTrue(phase() == Phase.Vote && manager.getRound(taskId).seats == 0, "everybody");
    }

    function test_reveal__first_leader_in_its_turn__fixes_the_seed() external {
        _openSecond();
        address leader = _leader(0);
        (VrfKey memory key, VrfProof memory proof) = _prove(leader);
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.UnknownBeacon.selector, 0));
        _chain.start(taskId);
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.NotYourTurn.selector, 1));
        _chain.reveal(taskId, 1, key, proof);
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.NotYourTurn.selector, 3));
        _chain.reveal(taskId, 3, key, proof);
        (VrfKey memory otherKey, VrfProof memory otherProof) = _prove(_leader(1));
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.UnknownBeacon.selector, 0));
        _chain.reveal(taskId, 0, otherKey, otherProof);
        (, VrfProof memory wrong) = prover.prove(secretOf(leader), "another message");
        vm.expectPartialRevert(VRF.VrfProofInvalid.selector);
        _chain.reveal(taskId, 0, key, wrong);
        bytes32 output = prover.computeOutput(secretOf(leader), _message());
        bytes32 expected = keccak256(abi.encode("flchain.seed.v1.chain", _key(), output));
        vm.expectEmit(address(_chain));
        emit IChainSeeds.SeedFixed(taskId, 2, 0, 0, expected);
        _chain.reveal(taskId, 0, key, proof);
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.SeedIsFixed.selector, expected));
        _chain.reveal(taskId, 0, key, proof);
        manager.openSeats(taskId, 2);
        sendAll(0, 10);
        assertLe(7, countSeated(), "drawn");
    }

    function test_reveal__leaders_silent__each_next_has_its_window() external {
        _openSecond();
        for (uint8 rank = 0; rank < 3; ++rank) {
            if (rank != 0) advance(WINDOW);
            uint256 id = vm.snapshotState();
            (VrfKey memory key, VrfProof memory proof) = _prove(_leader(rank));
            _chain.reveal(taskId, rank, key, proof);
            manager.openSeats(taskId, 2);
            assertTrue(phase() == Phase.Seat && drawOf().isSeeded, "drawn");
            vm.revertToState(id);
            (key, proof) = _prove(_leader(0));
            if (rank != 0) vm.expectRevert(abi.encodeWithSelector(IChainSeeds.NotYourTurn.selector, 0));
            if (rank != 0) _chain.reveal(taskId, 0, key, proof);
        }
        advance(WINDOW);
        (VrfKey memory lastKey, VrfProof memory lastProof) = _prove(_leader(2));
        vm.expectRevert(abi.encodeWithSelector(IChainSeeds.NotYourTurn.selector, 2));
        _chain.reveal(taskId, 2, lastKey, lastProof);
        manager.openSeats(taskId, 2);
        assertEq(manager.getRound(taskId).seats, 0, "everybody");
        voteFirst(7, Verdict.Approve);
        manager.settle(taskId);
        openSeat();
        assertEq(drawOf().beacons, 0, "the chain starts again");
        _mine("third hash");
        bytes32 expected = keccak256(abi.encode("flchain.seed.v1.start", _key(), _last, bytes32("third hash")));
        vm.expectEmit(address(_chain));
        emit IChainSeeds.SeedFixed(taskId, 3, 0, 0, expected);
        _chain.start(taskId);
    }

    /* INTERNAL */

    /// @dev A round with a whole draw, and a second one in SEAT whose pinned block is mined.
    function _openSecond() private {
        openSeat();
        _mine("first hash");
        _chain.start(taskId);
        manager.openSeats(taskId, 1);
        (, _last,,) = manager.getDraw(taskId);
        sendAll(0, 10);
        vm.warp(manager.getBallot(taskId).openedAt);
        voteSeated(0, 10, Verdict.Approve);
        manager.settle(taskId);
        openSeat();
        _mine("second hash");
    }

    function _mine(bytes32 hash) private {
        uint40 pinned = drawOf().pinnedBlock;
        vm.roll(pinned + 1);
        vm.setBlockhash(pinned, hash);
    }

    function _prove(address beacon) private view returns (VrfKey memory, VrfProof memory) {
        return prover.prove(secretOf(beacon), _message());
    }

    function _message() private view returns (bytes32 message) {
        bytes32 input = keccak256(abi.encode(_last, bytes32("second hash")));
        message = Sortition.drawMessage(address(manager), taskId, 2, 2, 0, input);
        assertEq(_chain.beaconMessage(taskId, drawOf()), message, "message");
    }

    function _leader(uint256 rank) private view returns (address) {
        return validators[uint8(drawOf().beacons >> (8 * rank)) - 1];
    }

    function _key() private view returns (bytes32) {
        Draw memory draw = drawOf();
        return keccak256(abi.encode(block.chainid, address(manager), taskId, draw.round, draw.attempt));
    }
}

/// @notice Seeds from the randomness in a block's header.
contract BlockSeedsTest is Cheats {
    uint256 private constant NUMBER = 990;
    IBlockSeeds private _seeds;

    function setUp() external {
        vm.roll(1000);
        _seeds = IBlockSeeds(deploy("BlockSeeds", abi.encode(address(this), 5)));
    }

    function test_proveBlock__header_of_the_block__gives_the_seed() external {
        Draw memory draw;
        (draw.round, draw.attempt, draw.pinnedBlock) = (3, 1, uint40(NUMBER - 5));
        assertEq(_seeds.getSeed(7, draw), 0, "not known yet");
        bytes memory header = _header("randomness");
        vm.setBlockhash(NUMBER, keccak256(header));
        vm.expectEmit(address(_seeds));
        emit IBlockSeeds.BlockProven(NUMBER, "randomness");
        _seeds.proveBlock(NUMBER, header);
        bytes32 expected = keccak256(
            abi.encode(
                "flchain.seed.v1", block.chainid, address(this), uint64(7), uint32(3), uint8(1), bytes32("randomness")
            )
        );
        assertEq(_seeds.getSeed(7, draw), expected, "seed");
        draw.attempt = 2;
        assertTrue(_seeds.getSeed(7, draw) != expected, "another draw, another seed");
        draw.pinnedBlock += 1;
        assertEq(_seeds.getSeed(7, draw), 0, "another block");
    }

    function test_proveBlock__any_other_header_or_block__is_refused() external {
        bytes memory header = _header("randomness");
        vm.setBlockhash(NUMBER, keccak256(header));
        bytes memory other = _header("chosen");
        vm.expectRevert(abi.encodeWithSelector(IBlockSeeds.WrongHeader.selector, NUMBER));
        _seeds.proveBlock(NUMBER, other);
        vm.expectRevert(abi.encodeWithSelector(IBlockSeeds.WrongHeader.selector, NUMBER + 1));
        _seeds.proveBlock(NUMBER + 1, header);
        vm.expectRevert(abi.encodeWithSelector(IBlockSeeds.WrongHeader.selector, 1000));
        _seeds.proveBlock(1000, header);
        vm.expectRevert(abi.encodeWithSelector(IBlockSeeds.WrongHeader.selector, NUMBER));
        _seeds.proveBlock(NUMBER, "");
    }

    /// @dev The RLP of a header as Prague has it, with 21 fields; `mixHash` holds the randomness (EIP-4399).
    function _header(bytes32 randomness) private pure returns (bytes memory) {
        bytes memory word = abi.encodePacked(hex"a0", keccak256("word"));
        bytes memory head =
            abi.encodePacked(word, word, hex"94", address(0xC0FFEE), word, word, word, hex"b90100", new bytes(256));
        // Difficulty, number, gas limit, gas used, time, extra data.
        bytes memory middle = abi.encodePacked(hex"80", hex"8203de", hex"8401c9c380", hex"825208", hex"8465000000");
        middle = abi.encodePacked(middle, hex"87666c636861696e", hex"a0", randomness, hex"88", bytes8(0));
        // Base fee, root of withdrawals, blob gas twice, root of the beacon block, hash of requests.
        bytes memory tail = abi.encodePacked(hex"07", word, hex"8080", word, word);
        bytes memory fields = abi.encodePacked(head, middle, tail);
        return abi.encodePacked(hex"f9", uint16(fields.length), fields);
    }
}
