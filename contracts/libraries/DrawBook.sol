// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Page, Suite} from "../types/Book.sol";
import {Draw, DrawKey, SeatProof, Weights} from "../types/DrawTypes.sol";
import {Phase, Round, Task} from "../types/Types.sol";
import {BallotWord} from "./Ballots.sol";
import {Committees} from "./Committees.sol";
import {RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {Electorate, LastExp, Sortition} from "./Sortition.sol";
import {VRF, VrfFault} from "./VRF.sol";
import {WeightBook} from "./WeightBook.sol";

/// @title DrawBook
/// @notice SEAT: from the seed to a committee; a linked library.
/// @dev The seed is fixed after the proposal is on record. In each of four stages the expected number of seats doubles
/// until the committee is full; the last admits everybody. A stage that has filled it ends SEAT.
library DrawBook {
    using WeightBook for Weights;

    /// @dev What the proofs of one call share.
    struct Context {
        Electorate electorate;
        LastExp last;
        bytes32 alpha;
        uint256 epoch;
        uint256 window;
        uint256 stage;
        BallotWord ballot;
    }

    uint256 internal constant STAGES = 4;
    /// @notice Windows, as long as a stage, in which a seed may arrive. Then every active validator sits.
    uint256 internal constant SEED_WINDOWS = 3;
    /// @notice Epochs in which a validator that was silent in its seat is not drawn.
    uint32 internal constant RESTING_EPOCHS = 2;
    uint8 internal constant SEAT_ROLE = 1;
    uint256 private constant MAX_PROOFS = 32;
    uint256 private constant EXPECTED_PER_SEAT = 2;
    uint256 private constant NEVER = type(uint40).max;

    /// @notice Fix the seed of the newest draw.
    function open(Page storage page, Suite calldata suite, uint64 taskId, uint32 round) external {
        _requireSeat(page, suite.masked, taskId, round);
        Draw memory draw = page.draw;
        if (draw.isSeeded) revert IRoundManager.AlreadySeeded();
        bytes32 seed = suite.seeds.getSeed(taskId, draw);
        Task storage task = page.task;
        (draw.isSeeded, draw.seededAt) = (true, uint40(block.timestamp));
        if (seed == 0) {
            uint256 deadline = draw.proposedAt + SEED_WINDOWS * task.seatWindow;
            if (block.timestamp < deadline) revert IRoundManager.SeedNotReady(uint40(deadline));
            draw.beacons = 0;
            page.round.seats = 0;
            page.ballot = page.ballot.withVoteWindow(block.timestamp, block.timestamp + task.voteWindow);
        } else {
            page.seed = seed;
            uint256 end = block.timestamp + STAGES * task.seatWindow;
            page.ballot = page.ballot.withVoteWindow(end, end);
        }
        page.draw = draw;
        emit IRoundManager.SeatsOpened(taskId, round, draw.attempt, seed);
    }

    /// @notice Enter the seats that up to 32 proofs win.
    /// @dev Proofs that win no seat on the list are skipped before they are verified; if all are, the call reverts.
    /// @param raw The proofs as they came: their number, where each begins, and they themselves.
    function prove(
        Page storage page,
        IMaskedRounds masked,
        uint256 epochLength,
        uint64 taskId,
        uint32 round,
        bytes calldata raw
    ) external {
        SeatProof[] calldata proofs = _readProofs(raw);
        if (proofs.length == 0 || proofs.length > MAX_PROOFS) revert IRoundManager.InvalidBundle(proofs.length);
        _requireSeat(page, masked, taskId, round);
        Draw storage draw = page.draw;
        if (!draw.isSeeded) revert IRoundManager.NotSeeded();
        uint256 seats = page.round.seats;
        Context memory context = _load(page, epochLength, taskId, draw);
        uint256[] memory list = Committees.load(page, draw.entries, Committees.capacity(seats));
        uint256 count = draw.entries;
        uint8[] memory places = new uint8[](proofs.length);
        bytes32[] memory outputs = new bytes32[](proofs.length);
        bool isAny = false;
        for (uint256 i = 0; i < proofs.length; ++i) {
            SeatProof calldata proof = proofs[i];
            bytes32 output;
            (count, output) = _enter({page: page, context: context, proof: proof, list: list, count: count});
            if (output != 0) (outputs[i], isAny) = (output, true);
            places[i] = proof.place;
        }
        if (!isAny) revert IRoundManager.NoSeat(places[0]);
        Committees.store(page, list, count);
        uint256 committee = Committees.seat(list, count, seats);
        page.committee = committee;
        _close(page, draw, context, count, seats);
        draw.entries = uint8(count);
        _logProven({
            taskId: taskId, round: round, attempt: draw.attempt, places: places, outputs: outputs, committee: committee
        });
    }

    /// @notice Begin a draw for the proposal that has just been recorded.
    function start(Page storage page, uint32 round, uint8 attempt) internal {
        Draw memory draw = page.draw;
        uint256 count = draw.entries;
        if (count != 0) draw.beacons = Committees.leaders(Committees.load(page, count, count), count);
        page.draw = Draw({
            round: round,
            attempt: attempt,
            entries: 0,
            isSeeded: false,
            seededAt: 0,
            pinnedBlock: uint40(block.number) + 1,
            proposedAt: uint40(block.timestamp),
            totalWeight: page.weights.atOpening,
            beacons: draw.beacons
        });
        page.ballot = page.ballot.withVoteWindow(NEVER, NEVER);
    }

    /// @notice Take their seats from those who were silent, and seat the next on the list who had none.
    /// @dev The silent rest for some epochs and pay a fixed penalty.
    function replaceSilent(Page storage page, Suite memory suite, uint64 taskId) internal {
        (uint256 committee, uint256 freed, uint256 taken) = _removeSilent(page, suite);
        uint256 seats = page.round.seats;
        uint256 count = page.draw.entries;
        uint256[] memory list = Committees.load(page, count, count);
        for (uint256 i = seats; i < count && freed != 0; ++i) {
            uint256 place = Committees.placeOf(list[i]);
            bool isOut = (taken >> place) & 1 != 0 || Committees.weightOf(committee, place) != 0;
            if (isOut) continue;
            committee = Committees.add(committee, place);
            --freed;
        }
        page.committee = committee;
        emit IRoundManager.SeatsReplaced(taskId, page.round.round, page.draw.attempt, committee);
    }

    /// @notice Punish those who were silent to the end.
    function punishSilent(Page storage page, Suite memory suite) internal {
        _removeSilent(page, suite);
    }

    /// @dev A stage in which the committee was filled ends SEAT; with a quorum the last one opens VOTE.
    function _close(Page storage page, Draw storage draw, Context memory context, uint256 count, uint256 seats)
        private
    {
        if (count < Seats.quorum(seats)) return;
        uint256 stages = count < seats ? STAGES : context.stage + 1;
        uint256 opens = draw.seededAt + stages * context.window;
        BallotWord ballot = context.ballot;
        bool isSet = ballot.openedAt() == opens && ballot.voteClose() != opens;
        if (!isSet) page.ballot = ballot.withVoteWindow(opens, opens + page.task.voteWindow);
    }

    /// @dev emit SeatsProven(taskId, round, attempt, places, outputs, committee), without copying the arrays item by
    /// item.
    function _logProven(
        uint64 taskId,
        uint32 round,
        uint8 attempt,
        uint8[] memory places,
        bytes32[] memory outputs,
        uint256 committee
    ) private {
        bytes32 topic = IRoundManager.SeatsProven.selector;
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := add(0x20, shl(5, mload(places)))
            mstore(free, attempt)
            mstore(add(free, 0x20), 0x80)
            mstore(add(free, 0x40), add(0x80, size))
            mstore(add(free, 0x60), committee)
            mcopy(add(free, 0x80), places, size)
            mcopy(add(free, add(0x80, size)), outputs, size)
            log3(free, add(0x80, shl(1, size)), topic, taskId, round)
        }
    }

    /// @return committee Who is left.
    /// @return freed Seats that were taken from silent validators.
    /// @return taken Bitmap of the places that get no seat: who voted or was silent, and the proposer.
    function _removeSilent(Page storage page, Suite memory suite)
        private
        returns (uint256 committee, uint256 freed, uint256 taken)
    {
        committee = page.committee;
        BallotWord ballot = page.ballot;
        for (uint256 place = 0; place < Committees.PLACES; ++place) {
            bool hasVoted = ballot.hasVoted(place);
            uint256 weight = Committees.weightOf(committee, place);
            if (hasVoted || weight != 0) taken |= 1 << place;
            if (hasVoted || weight == 0) continue;
            committee = Committees.remove(committee, place);
            freed += weight;
            _rest(page, suite, place);
        }
    }

    /// @dev Who came meanwhile to the place of one who left does not pay for him.
    function _rest(Page storage page, Suite memory suite, uint256 place) private {
        address holder = page.holders[place];
        if (!Seats.isSeated(page.members[holder], page.round.openedAt, suite.epochLength)) return;
        DrawKey memory known = page.drawKeys[place];
        uint32 epoch = uint32(block.timestamp / suite.epochLength);
        Weights memory weights = page.weights;
        weights.fold(epoch);
        weights.remove(known.activeFrom, known.weight, epoch);
        known.activeFrom = epoch + RESTING_EPOCHS;
        weights.add(known.activeFrom, known.weight);
        if (known.penalties != type(uint32).max) ++known.penalties;
        page.weights = weights;
        page.drawKeys[place] = known;
        suite.agents.punishSilence(holder);
    }

    /// @return Seats on the list.
    /// @return output Of a proof that entered it and was verified; else 0, since anybody can claim any other.
    function _enter(
        Page storage page,
        Context memory context,
        SeatProof calldata proof,
        uint256[] memory list,
        uint256 count
    ) private view returns (uint256, bytes32 output) {
        uint256 place = proof.place;
        DrawKey memory known = page.drawKeys[place];
        if (known.keyHash == 0 || known.activeFrom > context.epoch) revert IRoundManager.NotDrawable(proof.place);
        if (bytes20(VRF.hashKey(proof.key)) != known.keyHash) revert IRoundManager.WrongKey(proof.place);
        if (context.ballot.hasVoted(place)) revert IRoundManager.OwnProposal(page.proposal.proposer);
        output = VRF.computeOutput(proof.proof);
        uint256 won = Sortition.countSeats({
            electorate: context.electorate,
            weight: known.weight,
            output: output,
            level: context.stage,
            last: context.last
        });
        bool isNew = false;
        for (uint256 i = 0; i < won; ++i) {
            bool isEntered;
            (count, isEntered) =
                Committees.insert(list, count, Committees.toEntry(Sortition.computeSeat(output, i, place), place));
            isNew = isNew || isEntered;
        }
        if (!isNew) return (count, 0);
        VrfFault fault = VRF.findFault(proof.key, context.alpha, proof.proof);
        if (fault != VrfFault.None) revert VRF.VrfProofInvalid(fault);
        return (count, output);
    }

    function _load(Page storage page, uint256 epochLength, uint64 taskId, Draw storage draw)
        private
        view
        returns (Context memory context)
    {
        Round storage round = page.round;
        BallotWord ballot = page.ballot;
        (uint256 seats, uint256 end) = (round.seats, ballot.openedAt());
        context.ballot = ballot;
        context.epoch = round.openedAt / epochLength;
        // Before a quorum sits, the ballot holds the end of the last stage: the task need not be read.
        context.window = end == ballot.voteClose() ? (end - draw.seededAt) / STAGES : page.task.seatWindow;
        context.stage = (block.timestamp - draw.seededAt) / context.window;
        context.electorate = Electorate({
            total: draw.totalWeight,
            members: round.validators,
            expected: EXPECTED_PER_SEAT * seats,
            cap: Committees.cap(seats)
        });
        context.alpha = Sortition.drawMessage({
            registry: address(this),
            taskId: taskId,
            round: round.round,
            role: SEAT_ROLE,
            attempt: draw.attempt,
            seed: page.seed
        });
    }

    function _requireSeat(Page storage page, IMaskedRounds masked, uint64 taskId, uint32 round) private view {
        RoundState.requireRound(page, round);
        Phase phase = RoundState.getExactPhase(page, masked, taskId);
        if (phase != Phase.Seat) revert IRoundManager.WrongPhase(Phase.Seat, phase);
    }

    /// @dev The round manager has decoded them, so that they are within bounds.
    function _readProofs(bytes calldata raw) private pure returns (SeatProof[] calldata proofs) {
        assembly ("memory-safe") {
            proofs.offset := add(raw.offset, 0x20)
            proofs.length := calldataload(raw.offset)
        }
    }
}
