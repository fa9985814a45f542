// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Identities} from "./abstracts/Identities.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {Agent} from "./types/Types.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title AgentRegistry
/// @notice Identities, roles, stake, unbonding and slashing.
contract AgentRegistry is Identities {
    using SafeERC20 for IERC20;

    /* CONSTANTS */

    /// @notice Where slashed tokens go.
    address public constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;
    /// @dev A silent seat costs this part of the stake that a validator needs.
    uint96 private constant SILENCE_DIVISOR = 100;
    /// @dev An offence costs this part of it, of which a part goes to who reports it.
    uint96 private constant OFFENCE_DIVISOR = 2;
    uint96 private constant BOUNTY_DIVISOR = 10;
    bytes32 private constant STAKE_INCREASE_TYPEHASH =
        keccak256("StakeIncrease(uint96 amount,uint256 nonce,uint40 deadline)");
    bytes32 private constant UNBONDING_TYPEHASH = keccak256("Unbonding(bytes32 keysDigest,uint40 deadline)");

    /* MODIFIERS */

    modifier onlyRoundManager() {
        if (msg.sender != ROUND_MANAGER) revert NotRoundManager(msg.sender);
        _;
    }

    modifier onlyPunisher() {
        if (msg.sender != ROUND_MANAGER && msg.sender != MASKED_ROUNDS) revert NotRoundManager(msg.sender);
        _;
    }

    /* CONSTRUCTOR */

    /// @param token The stake token, or zero for an allow-list registry.
    /// @param roundManager The round manager's (predicted) address.
    /// @param maskedRounds The masked rounds' (predicted) address.
    /// @param governance Keeper of the allow-list and of suspensions.
    /// @param epoch Length of an epoch in seconds, at least 1.
    /// @param unbonding Unbonding period in seconds.
    /// @param stakes Stake needed for the roles agent, validator and proposer.
    constructor(
        IERC20 token,
        address roundManager,
        address maskedRounds,
        address governance,
        uint32 epoch,
        uint40 unbonding,
        uint96[3] memory stakes
    ) Identities(token, roundManager, maskedRounds, governance, epoch, unbonding, stakes) {}

    /* STATE-CHANGING */

    /// @inheritdoc IAgentRegistry
    function addDuty(address agent, uint8 role) external onlyRoundManager {
        if (!isEligible(agent, role)) revert NotEligible(agent, role);
        ++_agents[agent].duties;
    }

    /// @inheritdoc IAgentRegistry
    function beginUnbonding() external {
        _beginUnbonding(msg.sender);
    }

    /// @inheritdoc IAgentRegistry
    function beginUnbondingWithSig(address agent, uint40 deadline, bytes calldata signature) external {
        _verifyDeadline(deadline);
        // A keys digest belongs to one registration only, so that this works once.
        bytes32 structHash = keccak256(abi.encode(UNBONDING_TYPEHASH, _agents[agent].keysDigest, deadline));
        _verifySignature(agent, structHash, signature);
        _beginUnbonding(agent);
    }

    /// @inheritdoc IAgentRegistry
    function increaseStake(uint96 amount) external {
        _increaseStake(msg.sender, amount);
    }

    /// @inheritdoc IAgentRegistry
    function increaseStakeWithSig(address agent, uint96 amount, uint40 deadline, bytes calldata signature) external {
        _verifyDeadline(deadline);
        bytes32 structHash = keccak256(abi.encode(STAKE_INCREASE_TYPEHASH, amount, nonces(agent), deadline));
        _verifySignature(agent, structHash, signature);
        _useNonce(agent);
        _increaseStake(agent, amount);
    }

    /// @inheritdoc IAgentRegistry
    function lockBond(address agent, uint96 amount) external onlyRoundManager {
        Agent storage record = _agents[agent];
        uint96 free = record.stake - record.locked;
        if (free < amount) revert BondTooHigh(agent, free, amount);
        record.locked += amount;
        emit BondLocked(agent, amount);
    }

    /// @inheritdoc IAgentRegistry
    function punishOffence(address agent, address reporter) external onlyPunisher {
        Agent storage record = _agents[agent];
        uint96 due = VALIDATOR_STAKE / OFFENCE_DIVISOR;
        uint96 free = record.stake - record.locked;
        uint96 fromStake = due < free ? due : free;
        uint96 rest = due - fromStake;
        uint96 fromUnbonding = rest < record.unbonding ? rest : record.unbonding;
        record.stake -= fromStake;
        record.unbonding -= fromUnbonding;
        uint96 amount = fromStake + fromUnbonding;
        emit AgentSlashed(agent, amount);
        if (address(TOKEN) == address(0)) {
            _setSuspended(agent, true);
            return;
        }
        uint96 bounty = reporter == address(0) ? 0 : amount / BOUNTY_DIVISOR;
        if (bounty != 0) TOKEN.trySafeTransfer(reporter, bounty);
        if (amount != bounty) TOKEN.trySafeTransfer(BURN_ADDRESS, amount - bounty);
    }

    /// @inheritdoc IAgentRegistry
    function punishSilence(address agent) external onlyPunisher {
        Agent storage record = _agents[agent];
        uint96 free = record.stake - record.locked;
        uint96 penalty = VALIDATOR_STAKE / SILENCE_DIVISOR;
        if (penalty > free) penalty = free;
        if (penalty == 0) return;
        record.stake -= penalty;
        emit AgentSlashed(agent, penalty);
        TOKEN.trySafeTransfer(BURN_ADDRESS, penalty);
    }

    /// @inheritdoc IAgentRegistry
    function releaseBond(address agent, uint96 amount) external onlyRoundManager {
        _agents[agent].locked -= amount;
        emit BondReleased(agent, amount);
    }

    /// @inheritdoc IAgentRegistry
    function removeDuty(address agent) external onlyRoundManager {
        --_agents[agent].duties;
    }

    /// @inheritdoc IAgentRegistry
    function slashBond(address agent, uint96 amount) external onlyRoundManager {
        Agent storage record = _agents[agent];
        record.stake -= amount;
        record.locked -= amount;
        emit AgentSlashed(agent, amount);
        if (address(TOKEN) == address(0)) _setSuspended(agent, true);
        // A token that refuses must not keep a round from ending: then the amount stays here, out of reach.
        else if (amount != 0) TOKEN.trySafeTransfer(BURN_ADDRESS, amount);
    }

    /// @inheritdoc IAgentRegistry
    function withdraw(address agent) external {
        Agent storage record = _agents[agent];
        uint96 amount = record.unbonding;
        if (amount == 0) revert NothingUnbonding(agent);
        if (block.timestamp < record.unbondsAt) revert UnbondingNotOver(record.unbondsAt);
        record.unbonding = 0;
        emit StakeWithdrawn(agent, amount);
        TOKEN.safeTransfer(agent, amount);
    }

    /* INTERNAL */

    function _beginUnbonding(address agent) internal {
        Agent storage record = _agents[agent];
        if (record.roles == 0) revert NotRegistered(agent);
        if (record.duties != 0) revert StillEnrolled(agent, record.duties);
        if (record.locked != 0) revert BondStillLocked(agent, record.locked);
        uint96 amount = record.stake;
        uint40 unbondsAt = uint40(block.timestamp) + unbondingPeriod;
        (record.stake, record.roles) = (0, 0);
        (record.unbonding, record.unbondsAt) = (amount, unbondsAt);
        emit UnbondingStarted(agent, amount, unbondsAt);
    }

    function _increaseStake(address agent, uint96 amount) internal {
        Agent storage record = _agents[agent];
        if (record.roles == 0) revert NotRegistered(agent);
        if (amount == 0 || address(TOKEN) == address(0)) revert InvalidAmount(amount);
        record.stake += amount;
        emit StakeIncreased(agent, amount);
        TOKEN.safeTransferFrom(agent, address(this), amount);
    }
}
