// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Outcome} from "../../../contracts/types/Types.sol";
import {Cheats} from "../Cheats.sol";
import {Handler} from "./Handler.sol";
import {Shadow} from "./Shadow.sol";

/// @notice The numbered invariants of README.md, after every random call of the handler.
contract InvariantsTest is Cheats {
    /// @notice Functions that forge picks its calls from.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private _handler;

    function setUp() external {
        _handler = new Handler();
    }

    /// @notice Return the only contract that forge calls.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @notice Return the functions that forge does not call.
    function excludeSelectors() external view returns (FuzzSelector[] memory excluded) {
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(_handler), new bytes4[](1));
        excluded[0].selectors[0] = Shadow.verifyLiveness.selector;
    }

    function invariant_1_balances_cover_what_is_owed() external view {
        _handler.verifyBalances();
    }

    function invariant_2_deposits_are_stake_unbonding_withdrawn_or_slashed() external view {
        _handler.verifyDeposits();
    }

    function invariant_3_one_update_per_agent_and_round() external view {
        _handler.verifyUpdates();
    }

    function invariant_4_phases_never_go_back() external view {
        // Every function of the handler checks this when it ends; what is left is that survivors are a majority's.
        _handler.verifySurvivors();
    }

    function invariant_5_votes_are_of_entitled_validators_once_per_attempt() external view {
        _handler.verifyVotes();
    }

    function invariant_6_finalised_digests_never_change() external view {
        _handler.verifyVersions();
    }

    function invariant_7_claims_stay_within_funding() external view {
        _handler.verifyClaims();
    }

    function invariant_8_stake_and_bonds_cannot_escape() external view {
        _handler.verifyStakes();
    }

    function invariant_9_time_and_open_calls_end_every_round() external {
        _handler.verifyLiveness();
    }

    function invariant_10_members_are_counted_and_seated_once() external view {
        _handler.verifyMembers();
    }

    /// @dev The invariants say little about outcomes that the handler never reaches.
    function test_handler__driven_for_long__reaches_every_outcome() external {
        // Account number 8 is the orchestrator, whose stake must outlast all the bonds that it loses.
        uint256 orchestrator = 4 * 8;
        for (uint256 i = 0; i < 4000 && _countOutcomes() < 7; ++i) {
            uint256 draw = uint256(keccak256(abi.encode(i)));
            if (i % 20 == 0) _handler.increaseStake(orchestrator, 10 ether);
            else if (draw % 8 == 0) _handler.passWindow();
            else _handler.driveOnce(draw >> 8);
        }
        assertEq(_countOutcomes(), 7, "outcomes reached; two of the nine belong to modes that no task has");
        _handler.verifyBalances();
        _handler.verifyDeposits();
        _handler.verifyStakes();
        _handler.verifyClaims();
        _handler.verifyVersions();
    }

    function _countOutcomes() private view returns (uint256 count) {
        for (uint256 how = uint256(Outcome.Finalized); how <= uint256(type(Outcome).max); ++how) {
            if (_handler.ended(Outcome(how)) != 0) ++count;
        }
    }
}
