// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IMaskedRounds} from "../../../contracts/interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISigned} from "../../../contracts/interfaces/ISigned.sol";
import {AnchoredRecord, MaskedRound, SignedRecord} from "../../../contracts/types/MaskedTypes.sol";
import {Outcome, Phase, SignedAttestation} from "../../../contracts/types/Types.sol";
import {MaskedSuite} from "./MaskedSuite.sol";

/// @notice What the masked rounds refuse, and with which error.
contract MaskedRevertsTest is MaskedSuite {
    /// @dev Slots of the mapping of pages and, in a page, of the word with the number of places.
    uint256 private constant PAGES = 2;
    uint256 private constant BOUNDS = 4;
    uint256 private constant PLACES_SHIFT = 32;
    uint256 private constant MOST_PLACES = 1024;

    /* WHEN AND WHICH ROUND */

    function test_RevertWhen_a_call_names_another_round() external {
        uint32 round = currentRound();
        bytes memory reason = abi.encodeWithSelector(IRoundManager.WrongRound.selector, round, round + 1);
        SignedRecord[] memory records = new SignedRecord[](1);
        uint256[] memory words = single(1);
        address sender = agents[0];
        refuse(sender, abi.encodeCall(masked.postRecord, (taskId, round + 1, Phase.Join, "", "digest")), reason);
        refuse(sender, abi.encodeCall(masked.relayRecords, (taskId, round + 1, Phase.Join, "", words, records)), reason);
        refuse(sender, abi.encodeCall(masked.attestRecords, (taskId, round + 1, Phase.Check, "", words)), reason);
        SignedAttestation[] memory bundle = new SignedAttestation[](1);
        refuse(sender, abi.encodeCall(masked.attestRecordsBundle, (taskId, round + 1, Phase.Check, "", bundle)), reason);
        refuse(sender, abi.encodeCall(masked.complain, (taskId, round + 1, "", 1, "digest")), reason);
        refuse(sender, abi.encodeCall(masked.punishMissing, (taskId, round + 1, Phase.Shares, words)), reason);
        refuse(sender, abi.encodeCall(masked.punishComplaint, (taskId, round + 1, 0, 1)), reason);
        bytes32[] memory proof = new bytes32[](0);
        bytes memory void = abi.encodeCall(masked.voidRecord, (taskId, round + 1, 0, "", 0, records[0], proof));
        refuse(sender, void, reason);
    }

    function test_RevertWhen_a_call_names_another_phase_or_one_without_such_a_step() external {
        reach(Phase.Shares);
        refuse(agents[0], _post(Phase.Submit, "digest"), _wrongPhase(Phase.Submit, Phase.Shares));
        refuse(agents[0], _post(Phase.Check, "digest"), _noRecords(Phase.Check));
        refuse(validators[0], _attest(Phase.Check, 1), _wrongPhase(Phase.Check, Phase.Shares));
        refuse(validators[0], _attest(Phase.Shares, 1), _noRecords(Phase.Shares));
        refuse(agents[0], _complain(1), _wrongPhase(Phase.Check, Phase.Shares));
    }

    function test_RevertWhen_the_window_is_over() external {
        reach(Phase.Shares);
        vm.warp(seen().closesAt);
        refuse(agents[0], _post(Phase.Shares, "digest"), _wrongPhase(Phase.Shares, Phase.Settle));
        bytes memory pin = abi.encodeCall(masked.pinAnchor, (taskId));
        refuse(agents[0], pin, _wrongPhase(Phase.Shares, Phase.Settle));
    }

    function test_RevertWhen_a_phase_opened_in_this_very_block() external {
        reach(Phase.Shares);
        for (uint256 i = 0; i < 8; ++i) {
            post(i);
        }
        uint40 opensAt = seen().opensAt;
        bytes memory reason = abi.encodeWithSelector(IMaskedRounds.NotOpenYet.selector, opensAt);
        assertEq(uint256(opensAt), vm.getBlockTimestamp(), "open");
        assertEq(seen().anchor, bytes32(0), "no anchor yet");
        refuse(agents[0], abi.encodeCall(masked.pinAnchor, (taskId)), reason);
        refuse(agents[0], _complain(1), reason);
    }

    function test_RevertWhen_the_manager_settles_what_is_open() external {
        bytes memory call = abi.encodeCall(manager.settle, (taskId));
        refuseAt(address(manager), address(this), call, _wrongPhase(Phase.Settle, Phase.Join));
    }

    /* RECORDS */

    function test_RevertWhen_a_record_is_empty_or_a_second() external {
        reach(Phase.Shares);
        bytes memory reason = abi.encodeWithSelector(IRoundManager.InvalidDigest.selector, bytes32(0));
        refuse(agents[0], _post(Phase.Shares, 0), reason);
        post(0);
        reason = abi.encodeWithSelector(IMaskedRounds.AlreadyPosted.selector, agents[0]);
        refuse(agents[0], _post(Phase.Shares, "another"), reason);
    }

    function test_RevertWhen_somebody_without_a_part_posts() external {
        refuse(validators[0], _post(Phase.Join, "digest"), _notEntitled(validators[0]));
        begin();
        for (uint256 i = 0; i < 7; ++i) {
            post(i);
        }
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        begin();
        // Without a place; then with one, but out of the set before.
        refuse(agents[7], _post(Phase.Shares, "digest"), _notEntitled(agents[7]));
        for (uint256 i = 0; i < 6; ++i) {
            post(i);
        }
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        attestRecordsAll(63);
        begin();
        refuse(agents[6], _post(Phase.Submit, "digest"), _notEntitled(agents[6]));
    }

    function test_RevertWhen_no_place_is_left() external {
        bytes32 slot = bytes32(uint256(keccak256(abi.encode(taskId, PAGES))) + BOUNDS);
        uint256 word = uint256(vm.load(address(masked), slot));
        assertEq((word >> PLACES_SHIFT) & type(uint16).max, 0, "places");
        vm.store(address(masked), slot, bytes32(word | (MOST_PLACES << PLACES_SHIFT)));
        assertEq(seen().places, MOST_PLACES, "places");
        bytes memory reason = abi.encodeWithSelector(IMaskedRounds.PlacesExhausted.selector, taskId);
        refuse(agents[0], _post(Phase.Join, "digest"), reason);
    }

    /* BATCHES */

    function test_RevertWhen_the_places_of_a_batch_do_not_fit() external {
        reach(Phase.Shares);
        bytes memory reason = abi.encodeWithSelector(IMaskedRounds.InvalidPlaces.selector, 8);
        refuse(proposers[0], _relay(new uint256[](0), 1), reason);
        refuse(proposers[0], _relay(new uint256[](2), 1), reason);
        refuse(proposers[0], _relay(single(1 << 8), 1), reason);
        refuse(proposers[0], _relay(single(1 << 224), 1), reason);
        refuse(proposers[0], _relay(single(3), 1), reason);
        refuse(proposers[0], _relay(single(1), 2), reason);
    }

    function test_RevertWhen_nothing_of_a_batch_would_count() external {
        reach(Phase.Shares);
        bytes memory reason = abi.encodeWithSelector(IMaskedRounds.NothingToRelay.selector);
        refuse(proposers[0], _relay(single(0), 0), reason);
        post(0);
        refuse(proposers[0], _relay(single(1), 1), reason);
    }

    function test_RevertWhen_a_voided_place_is_relayed_again() external {
        reach(Phase.Shares);
        SignedRecord[] memory records = relay(1, 0);
        masked.voidRecord(taskId, currentRound(), 0, seen().anchor, 0, records[0], new bytes32[](0));
        refuse(proposers[1], _relay(single(1), 1), abi.encodeWithSelector(IMaskedRounds.NothingToRelay.selector));
    }

    function test_RevertWhen_what_is_voided_is_no_record_in_force() external {
        reach(Phase.Shares);
        SignedRecord[] memory records = relay(1, 0);
        bytes32 anchor = seen().anchor;
        refuse(agents[0], _void(1, anchor, 0, records[0]), _noSuchRecord(1, 0));
        refuse(agents[0], _void(0, anchor, 1, records[0]), _noSuchRecord(0, 1));
        refuse(agents[0], _void(0, anchor, MOST_PLACES, records[0]), _noSuchRecord(0, MOST_PLACES));
        refuse(agents[0], _void(0, "fork", 0, records[0]), _noSuchRecord(0, 0));
        SignedRecord memory other = signRecord(0, agents[0]);
        refuse(agents[0], _void(0, anchor, 0, other), _noSuchRecord(0, 0));
        post(0);
        refuse(agents[0], _void(0, anchor, 0, records[0]), _noSuchRecord(0, 0));
    }

    function test_RevertWhen_a_record_is_voided_too_late() external {
        reach(Phase.Shares);
        bytes32 anchor = seen().anchor;
        SignedRecord[] memory records = relay(8, 0);
        advance(FORCED);
        manager.settle(taskId);
        refuse(agents[0], _void(0, anchor, 0, records[0]), _wrongPhase(Phase.Shares, Phase.Check));
        attestRecordsAll(ALL);
        begin();
        anchor = seen().anchor;
        records = relay(8, 0);
        advance(FORCED);
        manager.settle(taskId);
        vm.warp(seen().closesAt);
        refuse(agents[0], _void(1, anchor, 0, records[0]), _wrongPhase(Phase.Submit, Phase.Settle));
    }

    /* ATTESTATIONS */

    function test_RevertWhen_complaints_can_still_be_made() external {
        postAll();
        postAll();
        assertEq(uint256(seen().phase), uint256(Phase.Check), "phase");
        vm.roll(vm.getBlockNumber() + 1);
        uint40 opensAt = seen().opensAt + FORCED;
        refuse(
            validators[0], _attest(Phase.Check, 1), abi.encodeWithSelector(IMaskedRounds.NotOpenYet.selector, opensAt)
        );
    }

    function test_RevertWhen_an_attestation_adds_nothing_or_too_much() external {
        reach(Phase.Check);
        refuse(agents[0], _attest(Phase.Check, 1), _notEntitled(agents[0]));
        bytes memory reason = abi.encodeWithSelector(IRoundManager.InvalidBitmap.selector, 8);
        refuse(validators[0], _attest(Phase.Check, 1 << 8), reason);
        MaskedRound memory now_ = seen();
        uint256[] memory long = new uint256[](2);
        bytes memory call = abi.encodeCall(masked.attestRecords, (taskId, now_.round, Phase.Check, now_.anchor, long));
        refuse(validators[0], call, reason);
        vm.prank(validators[0]);
        masked.attestRecords(taskId, now_.round, Phase.Check, now_.anchor, single(1));
        reason = abi.encodeWithSelector(IRoundManager.AlreadyAttested.selector, validators[0]);
        refuse(validators[0], _attest(Phase.Check, 1), reason);
    }

    function test_RevertWhen_a_bundle_is_empty_too_long_or_forged() external {
        reach(Phase.Check);
        refuse(agents[0], _bundle(new SignedAttestation[](0)), _invalidBundle(0));
        refuse(agents[0], _bundle(new SignedAttestation[](33)), _invalidBundle(33));
        SignedAttestation[] memory forged = new SignedAttestation[](1);
        forged[0] = SignedAttestation(validators[0], single(1), sign(validators[1], "another digest"));
        bytes memory reason = abi.encodeWithSelector(ISigned.SignatureInvalid.selector, validators[0]);
        refuse(agents[0], _bundle(forged), reason);
    }

    /* COMPLAINTS AND PENALTIES */

    function test_RevertWhen_a_complaint_is_late_empty_twice_or_about_nobody() external {
        postAll();
        postAll();
        vm.roll(vm.getBlockNumber() + 1);
        refuse(agents[0], _complain(0), abi.encodeWithSelector(IMaskedRounds.NotAccusable.selector, 0));
        refuse(agents[0], _complain(9), abi.encodeWithSelector(IMaskedRounds.NotAccusable.selector, 9));
        bytes memory reason = abi.encodeWithSelector(IMaskedRounds.NotAccusable.selector, MOST_PLACES);
        refuse(agents[0], _complain(MOST_PLACES), reason);
        refuse(validators[0], _complain(1), _notEntitled(validators[0]));
        MaskedRound memory now_ = seen();
        bytes memory empty = abi.encodeCall(masked.complain, (taskId, now_.round, now_.anchor, 1, 0));
        refuse(agents[0], empty, abi.encodeWithSelector(IRoundManager.InvalidDigest.selector, bytes32(0)));
        vm.prank(agents[0]);
        masked.complain(taskId, now_.round, now_.anchor, 1, "evidence");
        refuse(agents[0], _complain(1), abi.encodeWithSelector(IMaskedRounds.AlreadyAccused.selector, 1));
        uint40 closedAt = now_.opensAt + FORCED;
        vm.warp(closedAt);
        refuse(agents[0], _complain(2), abi.encodeWithSelector(IMaskedRounds.ComplaintsClosed.selector, closedAt));
    }

    function test_RevertWhen_a_complaint_has_not_failed_or_was_paid() external {
        postAll();
        postAll();
        vm.roll(vm.getBlockNumber() + 1);
        MaskedRound memory now_ = seen();
        for (uint256 accused = 1; accused < 3; ++accused) {
            vm.prank(agents[0]);
            masked.complain(taskId, now_.round, now_.anchor, accused, "evidence");
        }
        refuse(agents[3], _punishComplaint(0, 1), _nothingMissed(0));
        // The one at place 2 is convicted.
        attestRecordsAll(ALL - 4);
        refuse(agents[3], _punishComplaint(0, 2), _nothingMissed(0));
        refuse(agents[3], _punishComplaint(1, 0), _nothingMissed(1));
        refuse(agents[3], _punishComplaint(MOST_PLACES, 1), _nothingMissed(MOST_PLACES));
        refuse(agents[3], _punishComplaint(0, MOST_PLACES), _nothingMissed(0));
        uint96 stake = registry.getAgent(agents[0]).stake;
        masked.punishComplaint(taskId, now_.round, 0, 1);
        assertEq(registry.getAgent(agents[0]).stake, stake - 0.2 ether, "penalty");
        refuse(agents[3], _punishComplaint(0, 1), _nothingMissed(0));
    }

    function test_RevertWhen_no_step_was_missed() external {
        reach(Phase.Shares);
        refuse(agents[1], _punish(Phase.Shares, 0), _nothingMissed(0));
        for (uint256 i = 1; i < 8; ++i) {
            post(i);
        }
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        refuse(agents[1], _punish(Phase.Shares, 1), _nothingMissed(1));
        refuse(agents[1], _punish(Phase.Shares, MOST_PLACES), _nothingMissed(MOST_PLACES));
        refuse(agents[1], _punish(Phase.Submit, 0), _nothingMissed(0));
        refuse(agents[1], _punish(Phase.Join, 0), _nothingMissed(0));
        uint32 round = currentRound();
        refuse(
            agents[1],
            abi.encodeCall(masked.punishMissing, (taskId, round, Phase.Shares, new uint256[](33))),
            _invalidBundle(33)
        );
        masked.punishMissing(taskId, round, Phase.Shares, single(0));
        refuse(agents[1], _punish(Phase.Shares, 0), _nothingMissed(0));
    }

    function test_RevertWhen_who_joined_with_a_batch_misses_shares() external {
        // Places are given with a first record: the second round can be joined with a batch.
        postAll();
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        advance(10);
        openRound();
        begin();
        relay(8, 8);
        advance(FORCED);
        manager.settle(taskId);
        begin();
        vm.warp(seen().closesAt);
        manager.settle(taskId);
        assertEq(uint256(outcome()), uint256(Outcome.AbortedTooFew), "outcome");
        refuse(agents[1], _punish(Phase.Shares, 0), _nothingMissed(0));
    }

    function test_RevertWhen_two_records_are_no_offence() external {
        reach(Phase.Shares);
        AnchoredRecord memory one = _anchored(agents[0], Phase.Shares, "one");
        AnchoredRecord memory two = _anchored(agents[0], Phase.Shares, "two");
        AnchoredRecord memory false_ = _anchored(agents[1], Phase.Shares, "two");
        bytes memory reason = abi.encodeWithSelector(IRoundManager.NoOffence.selector, agents[0]);
        refuse(agents[1], _report(Phase.Shares, agents[0], one, one), reason);
        refuse(agents[1], _report(Phase.Shares, agents[0], one, false_), reason);
        refuse(agents[1], _report(Phase.Shares, agents[0], false_, one), reason);
        refuse(agents[1], _report(Phase.Check, agents[0], one, two), reason);
        uint96 stake = registry.getAgent(agents[0]).stake;
        masked.reportEquivocation(taskId, currentRound(), Phase.Shares, agents[0], one, two);
        assertEq(registry.getAgent(agents[0]).stake, stake - 10 ether, "stake");
        reason = abi.encodeWithSelector(IRoundManager.AlreadyPunished.selector, agents[0]);
        refuse(agents[1], _report(Phase.Shares, agents[0], two, one), reason);
    }

    function test_RevertWhen_a_stranger_signs_two_records() external {
        address stranger = makeHolder("stranger");
        AnchoredRecord memory one = _anchored(stranger, Phase.Join, "one");
        AnchoredRecord memory two = _anchored(stranger, Phase.Join, "two");
        refuse(agents[1], _report(Phase.Join, stranger, one, two), _notEntitled(stranger));
    }

    /* CALLS */

    function refuse(address sender, bytes memory call, bytes memory reason) internal {
        refuseAt(address(masked), sender, call, reason);
    }

    function refuseAt(address target, address sender, bytes memory call, bytes memory reason) internal {
        vm.prank(sender);
        (bool isDone, bytes memory answer) = target.call(call);
        assertTrue(!isDone, "accepted");
        assertEq(keccak256(answer), keccak256(reason), "refused for another reason");
    }

    function _post(Phase step, bytes32 digest) private view returns (bytes memory) {
        MaskedRound memory now_ = seen();
        return abi.encodeCall(masked.postRecord, (taskId, now_.round, step, now_.anchor, digest));
    }

    function _relay(uint256[] memory places, uint256 count) private view returns (bytes memory) {
        MaskedRound memory now_ = seen();
        SignedRecord[] memory records = new SignedRecord[](count);
        return abi.encodeCall(masked.relayRecords, (taskId, now_.round, now_.phase, now_.anchor, places, records));
    }

    function _void(uint256 batch, bytes32 anchor, uint256 place, SignedRecord memory record)
        private
        view
        returns (bytes memory)
    {
        bytes32[] memory proof = new bytes32[](0);
        return abi.encodeCall(masked.voidRecord, (taskId, currentRound(), batch, anchor, place, record, proof));
    }

    function _attest(Phase step, uint256 bits) private view returns (bytes memory) {
        MaskedRound memory now_ = seen();
        return abi.encodeCall(masked.attestRecords, (taskId, now_.round, step, now_.anchor, single(bits)));
    }

    function _bundle(SignedAttestation[] memory bundle) private view returns (bytes memory) {
        MaskedRound memory now_ = seen();
        return abi.encodeCall(masked.attestRecordsBundle, (taskId, now_.round, now_.phase, now_.anchor, bundle));
    }

    function _complain(uint256 accused) private view returns (bytes memory) {
        MaskedRound memory now_ = seen();
        return abi.encodeCall(masked.complain, (taskId, now_.round, now_.anchor, accused, "evidence"));
    }

    function _punish(Phase step, uint256 place) private view returns (bytes memory) {
        return abi.encodeCall(masked.punishMissing, (taskId, currentRound(), step, single(place)));
    }

    function _punishComplaint(uint256 accuser, uint256 accused) private view returns (bytes memory) {
        return abi.encodeCall(masked.punishComplaint, (taskId, currentRound(), accuser, accused));
    }

    function _report(Phase step, address agent, AnchoredRecord memory first, AnchoredRecord memory second)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(masked.reportEquivocation, (taskId, currentRound(), step, agent, first, second));
    }

    function _anchored(address signer, Phase step, bytes32 digest) private view returns (AnchoredRecord memory record) {
        bytes32 key = manager.computeRoundKey(taskId, currentRound());
        (record.anchor, record.digest) = (seen().anchor, digest);
        bytes32 structHash = keccak256(abi.encode(RECORD_TYPEHASH, key, step, record.anchor, digest));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[signer], masked.computeTypedDigest(structHash));
        (record.r, record.vs) = (r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /* REASONS */

    function _invalidBundle(uint256 length) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRoundManager.InvalidBundle.selector, length);
    }

    function _noRecords(Phase step) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMaskedRounds.NoRecords.selector, step);
    }

    function _noSuchRecord(uint256 batch, uint256 place) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMaskedRounds.NoSuchRecord.selector, batch, place);
    }

    function _notEntitled(address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRoundManager.NotEntitled.selector, account);
    }

    function _nothingMissed(uint256 place) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMaskedRounds.NothingMissed.selector, place);
    }

    function _wrongPhase(Phase wanted, Phase actual) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRoundManager.WrongPhase.selector, wanted, actual);
    }
}
