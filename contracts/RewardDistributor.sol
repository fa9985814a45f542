// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IRewardDistributor} from "./interfaces/IRewardDistributor.sol";
import {Digests} from "./libraries/Digests.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title RewardDistributor
/// @notice Task budgets, round escrow and Merkle claims.
contract RewardDistributor is IRewardDistributor {
    using SafeERC20 for IERC20;

    /* CONSTANTS */

    uint256 private constant WHOLE_BPS = 10_000;
    uint256 private constant INLINE_LEAVES = 64;

    /* IMMUTABLES */

    /// @notice The token that rewards are paid in; zero where there is none.
    IERC20 public immutable TOKEN;
    /// @notice The only caller of reserves and publications.
    address public immutable ROUND_MANAGER;

    /* STORAGE */

    mapping(uint64 taskId => Budget budget) private _budgets;
    mapping(uint64 taskId => mapping(uint32 round => Distribution distribution)) private _distributions;
    mapping(uint64 taskId => mapping(uint32 round => mapping(uint256 word => uint256 bits))) private _claimed;

    /* MODIFIERS */

    modifier onlyRoundManager() {
        if (msg.sender != ROUND_MANAGER) revert CallerNotRoundManager(msg.sender);
        _;
    }

    /* CONSTRUCTOR */

    /// @param token The reward token, or zero.
    /// @param roundManager The round manager's (predicted) address.
    constructor(IERC20 token, address roundManager) {
        TOKEN = token;
        ROUND_MANAGER = roundManager;
    }

    /* STATE-CHANGING */

    /// @inheritdoc IRewardDistributor
    function claim(uint64 taskId, uint32 round, uint256 index, address account, uint96 amount, bytes32[] calldata proof)
        external
    {
        Distribution storage distribution = _distributions[taskId][round];
        if (distribution.claimableFrom == 0) revert NoRewards(taskId, round);
        if (block.timestamp < distribution.claimableFrom) revert ClaimTooEarly(distribution.claimableFrom);
        if (block.timestamp >= distribution.expiresAt) revert ClaimTooLate(distribution.expiresAt);
        if (isClaimed(taskId, round, index)) revert AlreadyClaimed(index);
        bytes32 leaf = computeLeaf(taskId, round, index, account, amount);
        if (!MerkleProof.verifyCalldata(proof, distribution.root, leaf)) revert InvalidProof(index, account);
        uint96 paid = uint96((uint256(amount) * distribution.payoutBps) / WHOLE_BPS);
        if (paid > distribution.remaining) revert RewardsExhausted(distribution.remaining, paid);
        distribution.remaining -= paid;
        _setClaimed(taskId, round, index);
        emit RewardClaimed(taskId, round, account, index, paid);
        TOKEN.safeTransfer(account, paid);
    }

    /// @inheritdoc IRewardDistributor
    function fund(uint64 taskId, uint96 amount) external {
        if (amount == 0 || address(TOKEN) == address(0)) revert InvalidFunding(amount);
        _budgets[taskId].available += amount;
        emit TaskFunded(taskId, msg.sender, amount);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewardDistributor
    function publish(
        uint64 taskId,
        uint32 round,
        bytes32 root,
        uint96 total,
        uint16 payoutBps,
        uint40 claimDelay,
        uint40 claimWindow
    ) external onlyRoundManager {
        uint96 payout = uint96((uint256(total) * payoutBps) / WHOLE_BPS);
        Budget memory budget = _budgets[taskId];
        _budgets[taskId] = Budget(budget.available + budget.reserved - payout, 0);
        uint40 claimableFrom = uint40(block.timestamp) + claimDelay;
        uint40 expiresAt = claimableFrom + claimWindow;
        Distribution storage distribution = _distributions[taskId][round];
        distribution.root = root;
        distribution.remaining = payout;
        distribution.claimableFrom = claimableFrom;
        distribution.expiresAt = expiresAt;
        distribution.payoutBps = payoutBps;
        emit RewardsPublished({
            taskId: taskId, round: round, root: root, total: total, payoutBps: payoutBps, claimableFrom: claimableFrom
        });
    }

    /// @inheritdoc IRewardDistributor
    function refund(uint64 taskId, address to) external onlyRoundManager {
        uint96 amount = _budgets[taskId].available;
        _budgets[taskId].available = 0;
        emit TaskRefunded(taskId, to, amount);
        if (amount != 0) TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IRewardDistributor
    function release(uint64 taskId) external onlyRoundManager {
        Budget memory budget = _budgets[taskId];
        _budgets[taskId] = Budget(budget.available + budget.reserved, 0);
    }

    /// @inheritdoc IRewardDistributor
    function reserve(uint64 taskId, uint96 amount) external onlyRoundManager {
        Budget storage budget = _budgets[taskId];
        if (budget.available < amount) revert BudgetTooLow(budget.available, amount);
        budget.available -= amount;
        budget.reserved += amount;
    }

    /// @inheritdoc IRewardDistributor
    function sweep(uint64 taskId, uint32 round) external {
        Distribution storage distribution = _distributions[taskId][round];
        uint96 amount = distribution.remaining;
        if (amount == 0) revert NoRewards(taskId, round);
        if (block.timestamp < distribution.expiresAt) revert SweepTooEarly(distribution.expiresAt);
        distribution.remaining = 0;
        _budgets[taskId].available += amount;
        emit RewardsSwept(taskId, round, amount);
    }

    /* VIEW */

    /// @inheritdoc IRewardDistributor
    function getBudget(uint64 taskId) external view returns (Budget memory) {
        return _budgets[taskId];
    }

    /// @inheritdoc IRewardDistributor
    function getDistribution(uint64 taskId, uint32 round) external view returns (Distribution memory) {
        return _distributions[taskId][round];
    }

    /// @inheritdoc IRewardDistributor
    function computeLeaf(uint64 taskId, uint32 round, uint256 index, address account, uint96 amount)
        public
        view
        returns (bytes32)
    {
        bytes32 key = Digests.roundKey(ROUND_MANAGER, taskId, round);
        bytes32 inner = keccak256(abi.encode(block.chainid, address(this), key, index, account, amount));
        return keccak256(bytes.concat(inner));
    }

    /// @inheritdoc IRewardDistributor
    function isClaimed(uint64 taskId, uint32 round, uint256 index) public view returns (bool) {
        if (index < INLINE_LEAVES) return (_distributions[taskId][round].claimed >> index) & 1 == 1;
        return (_claimed[taskId][round][index >> 8] >> (index & 255)) & 1 == 1;
    }

    /* INTERNAL */

    function _setClaimed(uint64 taskId, uint32 round, uint256 index) internal {
        if (index < INLINE_LEAVES) _distributions[taskId][round].claimed |= uint64(1) << uint64(index);
        else _claimed[taskId][round][index >> 8] |= 1 << (index & 255);
    }
}
