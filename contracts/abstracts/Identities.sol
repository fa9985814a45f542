// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {Sortition} from "../libraries/Sortition.sol";
import {VRF, VrfKey, VrfProof} from "../libraries/VRF.sol";
import {Agent} from "../types/Types.sol";
import {Signed} from "./Signed.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title Identities
/// @notice Who is registered, with which roles and keys, and who may restore a lost key; the registry's storage.
abstract contract Identities is IAgentRegistry, Signed, Nonces {
    using SafeERC20 for IERC20;

    /// @dev Who registered a keys digest, and whether with a proof of possession.
    struct Holder {
        address agent;
        bool isProven;
    }

    /// @dev A key that a guardian has announced.
    struct Recovery {
        bytes32 keysDigest;
        uint40 executableFrom;
    }

    /* CONSTANTS */

    uint8 private constant ALL_ROLES = 7;
    uint32 private constant ACTIVATION_EPOCHS = 2;
    bytes32 private constant REGISTRATION_TYPEHASH =
        keccak256("Registration(uint8 roles,uint96 stake,bytes32 keysDigest,uint40 deadline)");

    /* IMMUTABLES */

    /// @notice The stake token; zero in an allow-list registry.
    IERC20 public immutable TOKEN;
    /// @notice The only caller of duties and bonds.
    address public immutable ROUND_MANAGER;
    /// @notice The other contract that may punish.
    address public immutable MASKED_ROUNDS;
    /// @notice Keeper of the allow-list and of suspensions.
    address public immutable GOVERNANCE;
    /// @inheritdoc IAgentRegistry
    uint32 public immutable epochLength;
    /// @inheritdoc IAgentRegistry
    uint40 public immutable unbondingPeriod;
    uint96 private immutable AGENT_STAKE;
    uint96 internal immutable VALIDATOR_STAKE;
    uint96 private immutable PROPOSER_STAKE;

    /* STORAGE */

    mapping(address agent => Agent record) internal _agents;
    mapping(bytes32 keysDigest => Holder) private _keys;
    /// @notice Return whether governance put an account on the allow-list.
    mapping(address agent => bool isAllowed) public isAllowed;
    /// @inheritdoc IAgentRegistry
    mapping(address agent => address guardian) public getGuardian;
    mapping(address agent => Recovery pending) private _recoveries;

    /* MODIFIERS */

    modifier onlyGovernance() {
        if (msg.sender != GOVERNANCE) revert NotGovernance(msg.sender);
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
    ) {
        TOKEN = token;
        ROUND_MANAGER = roundManager;
        MASKED_ROUNDS = maskedRounds;
        GOVERNANCE = governance;
        epochLength = epoch;
        unbondingPeriod = unbonding;
        bool hasToken = address(token) != address(0);
        AGENT_STAKE = hasToken ? stakes[0] : 0;
        VALIDATOR_STAKE = hasToken ? stakes[1] : 0;
        PROPOSER_STAKE = hasToken ? stakes[2] : 0;
    }

    /* STATE-CHANGING */

    /// @inheritdoc IAgentRegistry
    function announceRecovery(address agent, VrfKey calldata key, VrfProof calldata proof) external {
        if (getGuardian[agent] != msg.sender) revert NotGuardian(agent, msg.sender);
        bytes32 digest = _proveKey(agent, key, proof);
        uint40 executableFrom = uint40(block.timestamp) + unbondingPeriod;
        _recoveries[agent] = Recovery(digest, executableFrom);
        emit RecoveryAnnounced(agent, digest, executableFrom);
    }

    /// @inheritdoc IAgentRegistry
    function cancelRecovery() external {
        if (_recoveries[msg.sender].keysDigest == 0) revert NothingAnnounced(msg.sender);
        delete _recoveries[msg.sender];
        emit RecoveryAnnounced(msg.sender, 0, 0);
    }

    /// @inheritdoc IAgentRegistry
    function executeRecovery(address agent) external {
        Recovery memory pending = _recoveries[agent];
        if (pending.keysDigest == 0) revert NothingAnnounced(agent);
        if (block.timestamp < pending.executableFrom) revert RecoveryNotDue(pending.executableFrom);
        delete _recoveries[agent];
        _setKey(agent, pending.keysDigest);
    }

    /// @inheritdoc IAgentRegistry
    function register(uint8 roles, uint96 stake, bytes32 keysDigest) external {
        _register(msg.sender, roles, stake, keysDigest, false);
    }

    /// @inheritdoc IAgentRegistry
    function registerWithKey(uint8 roles, uint96 stake, VrfKey calldata key, VrfProof calldata proof) external {
        _register(msg.sender, roles, stake, _proveKey(msg.sender, key, proof), true);
    }

    /// @inheritdoc IAgentRegistry
    function registerWithPermit(
        uint8 roles,
        uint96 stake,
        bytes32 keysDigest,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (address(TOKEN) != address(0)) {
            // A permit that somebody else has already used leaves the allowance in place: go on either way.
            // solhint-disable no-empty-blocks
            try IERC20Permit(address(TOKEN))
                .permit({
                owner: msg.sender, spender: address(this), value: stake, deadline: permitDeadline, v: v, r: r, s: s
            }) {}
                catch {}
            // solhint-enable no-empty-blocks
        }
        _register(msg.sender, roles, stake, keysDigest, false);
    }

    /// @inheritdoc IAgentRegistry
    function registerWithSig(
        address agent,
        uint8 roles,
        uint96 stake,
        bytes32 keysDigest,
        uint40 deadline,
        bytes calldata signature
    ) external {
        _verifyDeadline(deadline);
        // A keys digest works once, so that the signature does too.
        bytes32 structHash = keccak256(abi.encode(REGISTRATION_TYPEHASH, roles, stake, keysDigest, deadline));
        _verifySignature(agent, structHash, signature);
        _register(agent, roles, stake, keysDigest, false);
    }

    /// @inheritdoc IAgentRegistry
    function rotateKey(VrfKey calldata key, VrfProof calldata proof) external {
        _setKey(msg.sender, _proveKey(msg.sender, key, proof));
    }

    /// @inheritdoc IAgentRegistry
    function setAllowed(address agent, bool allowed) external onlyGovernance {
        isAllowed[agent] = allowed;
        emit AllowanceSet(agent, allowed);
    }

    /// @inheritdoc IAgentRegistry
    function setGuardian(address guardian) external {
        if (_agents[msg.sender].roles == 0) revert NotRegistered(msg.sender);
        getGuardian[msg.sender] = guardian;
        delete _recoveries[msg.sender];
        emit GuardianSet(msg.sender, guardian);
    }

    /// @inheritdoc IAgentRegistry
    function setSuspended(address agent, bool suspended) external onlyGovernance {
        if (_agents[agent].roles == 0) revert NotRegistered(agent);
        _setSuspended(agent, suspended);
    }

    /* VIEW */

    /// @inheritdoc IAgentRegistry
    function getAgent(address agent) external view returns (Agent memory) {
        return _agents[agent];
    }

    /// @inheritdoc IAgentRegistry
    function getDrawKey(address agent) external view returns (bytes32 digest, uint96 stake) {
        Agent storage record = _agents[agent];
        (digest, stake) = (record.keysDigest, record.stake);
        Holder memory holder = _keys[digest];
        if (!holder.isProven || holder.agent != agent) digest = 0;
    }

    /// @inheritdoc IAgentRegistry
    function getRecovery(address agent) external view returns (bytes32 keysDigest, uint40 executableFrom) {
        Recovery memory pending = _recoveries[agent];
        return (pending.keysDigest, pending.executableFrom);
    }

    /// @inheritdoc IAgentRegistry
    function computeRequiredStake(uint8 roles) public view returns (uint96 needed) {
        if (roles & 1 != 0) needed += AGENT_STAKE;
        if (roles & 2 != 0) needed += VALIDATOR_STAKE;
        if (roles & 4 != 0) needed += PROPOSER_STAKE;
    }

    /// @inheritdoc IAgentRegistry
    function isEligible(address agent, uint8 role) public view returns (bool) {
        Agent memory record = _agents[agent];
        bool hasStake = record.stake >= computeRequiredStake(record.roles);
        return role != 0 && record.roles & role == role && !record.isSuspended && hasStake;
    }

    /* INTERNAL */

    function _register(address agent, uint8 roles, uint96 stake, bytes32 keysDigest, bool isProven) internal {
        Agent storage record = _agents[agent];
        if (record.roles != 0) revert AlreadyRegistered(agent);
        if (record.unbonding != 0) revert StillUnbonding(agent, record.unbondsAt);
        if (roles == 0 || roles > ALL_ROLES) revert InvalidRoles(roles);
        if (keysDigest == 0) revert InvalidKeys(keysDigest);
        _takeKeys(agent, keysDigest, isProven);
        _verifyEntry(agent, roles, stake);
        uint32 activeFrom = uint32(block.timestamp / epochLength) + ACTIVATION_EPOCHS;
        (record.stake, record.activeFrom, record.roles) = (stake, activeFrom, roles);
        record.keysDigest = keysDigest;
        emit AgentRegistered(agent, roles, stake, activeFrom, keysDigest);
        if (stake != 0) TOKEN.safeTransferFrom(agent, address(this), stake);
    }

    function _setKey(address agent, bytes32 digest) internal {
        Agent storage record = _agents[agent];
        if (record.roles == 0) revert NotRegistered(agent);
        _takeKeys(agent, digest, true);
        record.keysDigest = digest;
        emit KeyRotated(agent, digest);
    }

    function _setSuspended(address agent, bool suspended) internal {
        _agents[agent].isSuspended = suspended;
        emit SuspensionSet(agent, suspended);
    }

    /// @dev A digest works once. Without a proof it does not stop another, who proves to hold the key.
    function _takeKeys(address agent, bytes32 digest, bool isProven) internal {
        Holder memory holder = _keys[digest];
        bool isSquatted = isProven && !holder.isProven && holder.agent != agent;
        if (holder.agent != address(0) && !isSquatted) revert KeysUsed(digest);
        _keys[digest] = Holder(agent, isProven);
    }

    function _proveKey(address agent, VrfKey calldata key, VrfProof calldata proof)
        internal
        view
        returns (bytes32 digest)
    {
        VRF.verify(key, Sortition.possessionMessage(address(this), agent), proof);
        digest = VRF.hashKey(key);
    }

    function _verifyEntry(address agent, uint8 roles, uint96 stake) internal view {
        if (address(TOKEN) == address(0)) {
            if (!isAllowed[agent]) revert NotAllowed(agent);
            if (stake != 0) revert InvalidAmount(stake);
        } else {
            uint96 needed = computeRequiredStake(roles);
            if (stake < needed) revert StakeTooLow(stake, needed);
        }
    }
}
