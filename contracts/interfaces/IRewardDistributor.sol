// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title IRewardDistributor
/// @notice Task budgets, the escrow of each round, and Merkle claims.
interface IRewardDistributor {
    /// @notice Budget of one task.
    /// @param available Tokens that may be reserved.
    /// @param reserved Tokens reserved by the live round.
    struct Budget {
        uint96 available;
        uint96 reserved;
    }

    /// @notice Rewards of one round.
    /// @param remaining Tokens not yet claimed.
    /// @param claimableFrom When claiming opens.
    /// @param expiresAt When claiming ends.
    /// @param payoutBps Part of each leaf that is paid, in basis points.
    /// @param claimed Bitmap of the first 64 leaves that were claimed.
    /// @param root Merkle root of the rewards.
    struct Distribution {
        // slot 0
        uint96 remaining;
        uint40 claimableFrom;
        uint40 expiresAt;
        uint16 payoutBps;
        uint64 claimed;
        // slot 1
        bytes32 root;
    }

    /// @notice Emitted when somebody adds to a task's budget.
    event TaskFunded(uint64 indexed taskId, address indexed from, uint96 amount);
    /// @notice Emitted when a closed task's budget is paid back.
    event TaskRefunded(uint64 indexed taskId, address indexed to, uint96 amount);
    /// @notice Emitted when a round's rewards become claimable.
    event RewardsPublished(
        uint64 indexed taskId, uint32 indexed round, bytes32 root, uint96 total, uint16 payoutBps, uint40 claimableFrom
    );
    /// @notice Emitted when a reward is paid.
    event RewardClaimed(
        uint64 indexed taskId, uint32 indexed round, address indexed account, uint256 index, uint96 amount
    );
    /// @notice Emitted when unclaimed rewards return to the task.
    event RewardsSwept(uint64 indexed taskId, uint32 indexed round, uint96 amount);

    /// @notice Thrown when a call is reserved for the round manager.
    error CallerNotRoundManager(address caller);
    /// @notice Thrown when a budget does not cover a round's reserve.
    error BudgetTooLow(uint96 available, uint96 needed);
    /// @notice Thrown when a round has no claimable rewards.
    error NoRewards(uint64 taskId, uint32 round);
    /// @notice Thrown when claiming has not opened.
    error ClaimTooEarly(uint40 claimableFrom);
    /// @notice Thrown when claiming has ended.
    error ClaimTooLate(uint40 expiresAt);
    /// @notice Thrown when a reward was paid already.
    error AlreadyClaimed(uint256 index);
    /// @notice Thrown when a Merkle proof does not lead to the root.
    error InvalidProof(uint256 index, address account);
    /// @notice Thrown when a round's leaves add up to more than its rewards.
    error RewardsExhausted(uint96 remaining, uint96 amount);
    /// @notice Thrown when a funding amount is zero or there is no token.
    error InvalidFunding(uint96 amount);
    /// @notice Thrown when claiming has not ended.
    error SweepTooEarly(uint40 expiresAt);

    /// @notice Add to a task's budget from the caller's allowance.
    function fund(uint64 taskId, uint96 amount) external;

    /// @notice Reserve part of a task's budget for a round; reserved for the round manager.
    function reserve(uint64 taskId, uint96 amount) external;

    /// @notice Return the live round's reserve to the budget; reserved for the round manager.
    function release(uint64 taskId) external;

    /// @notice Publish a round's rewards and return the rest of its reserve; reserved for the round manager.
    function publish(
        uint64 taskId,
        uint32 round,
        bytes32 root,
        uint96 total,
        uint16 payoutBps,
        uint40 claimDelay,
        uint40 claimWindow
    ) external;

    /// @notice Pay what is left of a closed task's budget; reserved for the round manager.
    function refund(uint64 taskId, address to) external;

    /// @notice Pay one reward to `account`; anybody may call.
    function claim(uint64 taskId, uint32 round, uint256 index, address account, uint96 amount, bytes32[] calldata proof)
        external;

    /// @notice Return unclaimed rewards to the task after claiming has ended; anybody may call.
    function sweep(uint64 taskId, uint32 round) external;

    /// @notice Return a task's budget.
    function getBudget(uint64 taskId) external view returns (Budget memory);

    /// @notice Return a round's rewards.
    function getDistribution(uint64 taskId, uint32 round) external view returns (Distribution memory);

    /// @notice Return whether one reward was paid.
    function isClaimed(uint64 taskId, uint32 round, uint256 index) external view returns (bool);

    /// @notice Return the leaf of one reward.
    function computeLeaf(uint64 taskId, uint32 round, uint256 index, address account, uint96 amount)
        external
        view
        returns (bytes32);
}
