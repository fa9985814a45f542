// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {VrfKey, VrfProof} from "../libraries/VRF.sol";
import {Agent} from "../types/Types.sol";

/// @title IAgentRegistry
/// @notice Identities, roles, stake, unbonding and slashing.
/// @dev Warning: the token must neither charge fees nor rebase, since amounts are counted as they are sent.
/// An identity's id is the account that it registered with. Without a token there is no stake: then only
/// accounts on the allow-list may register, and a slash suspends until governance lifts it.
interface IAgentRegistry {
    /// @notice Emitted when an identity registers.
    event AgentRegistered(address indexed agent, uint8 roles, uint96 stake, uint32 activeFrom, bytes32 keysDigest);
    /// @notice Emitted when stake is added.
    event StakeIncreased(address indexed agent, uint96 amount);
    /// @notice Emitted when an identity gives up its roles and starts to wait for its stake.
    event UnbondingStarted(address indexed agent, uint96 amount, uint40 unbondsAt);
    /// @notice Emitted when unbonded stake is paid out.
    event StakeWithdrawn(address indexed agent, uint96 amount);
    /// @notice Emitted when stake is locked as the bond of a proposal.
    event BondLocked(address indexed agent, uint96 amount);
    /// @notice Emitted when a bond is given back.
    event BondReleased(address indexed agent, uint96 amount);
    /// @notice Emitted when stake is burned.
    event AgentSlashed(address indexed agent, uint96 amount);
    /// @notice Emitted when an identity has another VRF key.
    event KeyRotated(address indexed agent, bytes32 keysDigest);
    /// @notice Emitted when an identity names, or removes, who may recover its key.
    event GuardianSet(address indexed agent, address indexed guardian);
    /// @notice Emitted when a guardian announces a key, and, with a zero digest, when that is cancelled.
    event RecoveryAnnounced(address indexed agent, bytes32 keysDigest, uint40 executableFrom);
    /// @notice Emitted when governance changes the allow-list.
    event AllowanceSet(address indexed agent, bool isAllowed);
    /// @notice Emitted when governance, or a slash without stake, suspends an identity, and when it is lifted.
    event SuspensionSet(address indexed agent, bool isSuspended);

    /// @notice Thrown when a call is reserved for the round manager.
    error NotRoundManager(address caller);
    /// @notice Thrown when a call is reserved for governance.
    error NotGovernance(address caller);
    /// @notice Thrown when the account holds a registration already.
    error AlreadyRegistered(address agent);
    /// @notice Thrown when the account holds no registration.
    error NotRegistered(address agent);
    /// @notice Thrown when the account is not on the allow-list.
    error NotAllowed(address agent);
    /// @notice Thrown when the role bits are empty or unknown.
    error InvalidRoles(uint8 roles);
    /// @notice Thrown when the stake is below what the roles need.
    error StakeTooLow(uint96 stake, uint96 needed);
    /// @notice Thrown when an amount is zero, or not zero in a registry without a token.
    error InvalidAmount(uint96 amount);
    /// @notice Thrown when the keys digest is zero.
    error InvalidKeys(bytes32 keysDigest);
    /// @notice Thrown when the keys digest was registered before: by anybody or, where the key is proven, by the
    /// identity itself or with a proof.
    error KeysUsed(bytes32 keysDigest);
    /// @notice Thrown when the identity must first leave its tasks.
    error StillEnrolled(address agent, uint16 duties);
    /// @notice Thrown when the identity must first wait for its proposal to be settled.
    error BondStillLocked(address agent, uint96 amount);
    /// @notice Thrown when nothing is unbonding.
    error NothingUnbonding(address agent);
    /// @notice Thrown when the unbonding period has not ended.
    error UnbondingNotOver(uint40 unbondsAt);
    /// @notice Thrown when earlier stake still waits to be withdrawn.
    error StillUnbonding(address agent, uint40 unbondsAt);
    /// @notice Thrown when free stake does not cover a bond.
    error BondTooHigh(address agent, uint96 free, uint96 bond);
    /// @notice Thrown when an identity may take no duty in a role.
    error NotEligible(address agent, uint8 role);
    /// @notice Thrown when the caller is not the identity's guardian.
    error NotGuardian(address agent, address caller);
    /// @notice Thrown when no recovery is announced.
    error NothingAnnounced(address agent);
    /// @notice Thrown when an announced key may not be put into force yet.
    error RecoveryNotDue(uint40 executableFrom);

    /// @notice Register the caller; pulls `stake` from its allowance.
    function register(uint8 roles, uint96 stake, bytes32 keysDigest) external;

    /// @notice Register the caller with an EIP-2612 permit instead of an allowance.
    function registerWithPermit(
        uint8 roles,
        uint96 stake,
        bytes32 keysDigest,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Register the caller with a VRF key, which a validator needs to be drawn into a committee.
    /// @param proof Proof of possession over the registry and the caller.
    function registerWithKey(uint8 roles, uint96 stake, VrfKey calldata key, VrfProof calldata proof) external;

    /// @notice Give the caller another VRF key; identity, stake and duties stay.
    /// @dev A task goes on with the key that it copied until somebody calls its `refreshDrawKey`.
    function rotateKey(VrfKey calldata key, VrfProof calldata proof) external;

    /// @notice Name who may recover the caller's VRF key; zero for nobody.
    function setGuardian(address guardian) external;

    /// @notice Announce another VRF key for `agent`; the caller is its guardian.
    function announceRecovery(address agent, VrfKey calldata key, VrfProof calldata proof) external;

    /// @notice Cancel what the caller's guardian has announced.
    function cancelRecovery() external;

    /// @notice Put an announced key into force once the unbonding period has passed; anybody may call.
    function executeRecovery(address agent) external;

    /// @notice Register `agent` on its EIP-712 signature; the caller pays the gas, the stake is `agent`'s.
    function registerWithSig(
        address agent,
        uint8 roles,
        uint96 stake,
        bytes32 keysDigest,
        uint40 deadline,
        bytes calldata signature
    ) external;

    /// @notice Add to the caller's stake.
    function increaseStake(uint96 amount) external;

    /// @notice Add to `agent`'s stake on its signature; the tokens are `agent`'s.
    function increaseStakeWithSig(address agent, uint96 amount, uint40 deadline, bytes calldata signature) external;

    /// @notice Give up all roles and start to unbond.
    function beginUnbonding() external;

    /// @notice Start to unbond on the agent's signature.
    function beginUnbondingWithSig(address agent, uint40 deadline, bytes calldata signature) external;

    /// @notice Pay unbonded stake to `agent`; anybody may call.
    function withdraw(address agent) external;

    /// @notice Put an account on the allow-list or take it off.
    function setAllowed(address agent, bool isAllowed) external;

    /// @notice Suspend an identity or lift its suspension.
    function setSuspended(address agent, bool isSuspended) external;

    /// @notice Record that `agent` took a duty under `role`; reserved for the round manager.
    function addDuty(address agent, uint8 role) external;

    /// @notice Record that `agent` ended a duty; reserved for the round manager.
    function removeDuty(address agent) external;

    /// @notice Lock `amount` of `agent`'s stake; reserved for the round manager.
    function lockBond(address agent, uint96 amount) external;

    /// @notice Give a bond back; reserved for the round manager.
    function releaseBond(address agent, uint96 amount) external;

    /// @notice Burn a bond; reserved for the round manager.
    function slashBond(address agent, uint96 amount) external;

    /// @notice Burn the fixed penalty for a silent seat; reserved for the round manager.
    function punishSilence(address agent) external;

    /// @notice Take half of what a validator must stake for an offence: a tenth of it goes to `reporter`, if not zero,
    /// the rest is burned; reserved for the round manager.
    function punishOffence(address agent, address reporter) external;

    /// @notice Return the digest of the VRF key that an identity proved to hold, zero without one, and its stake.
    function getDrawKey(address agent) external view returns (bytes32 digest, uint96 stake);

    /// @notice Return who may recover an identity's key; zero for nobody.
    function getGuardian(address agent) external view returns (address);

    /// @notice Return the key that a guardian has announced, and from when it may be put into force.
    function getRecovery(address agent) external view returns (bytes32 keysDigest, uint40 executableFrom);

    /// @notice Return one identity's record; all zero for a stranger.
    function getAgent(address agent) external view returns (Agent memory);

    /// @notice Return whether `agent` may take a duty under `role`.
    function isEligible(address agent, uint8 role) external view returns (bool);

    /// @notice Return the stake that a set of roles needs.
    function computeRequiredStake(uint8 roles) external view returns (uint96);

    /// @notice Return the length of an epoch in seconds.
    function epochLength() external view returns (uint32);

    /// @notice Return the unbonding period in seconds.
    function unbondingPeriod() external view returns (uint40);
}
