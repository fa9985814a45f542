// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rounds} from "./abstracts/Rounds.sol";
import {Tasks} from "./abstracts/Tasks.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "./interfaces/IRewardDistributor.sol";
import {IRoundManager} from "./interfaces/IRoundManager.sol";
import {Digests} from "./libraries/Digests.sol";
import {RoundState} from "./libraries/RoundState.sol";
import {Settlement} from "./libraries/Settlement.sol";
import {Decision, Tallies} from "./libraries/Tallies.sol";
import {Ballot, Content, Member, Outcome, Phase, Proposal, Round, SignedVote, Task, Vote} from "./types/Types.sol";

/// @title RoundManager
/// @notice Proposals, votes and finality, on top of tasks and rounds.
contract RoundManager is Rounds {
    /* CONSTRUCTOR */

    /// @param agents Identities and stake.
    /// @param models Model versions.
    /// @param rewards Budgets and rewards.
    constructor(IAgentRegistry agents, IModelRegistry models, IRewardDistributor rewards)
        Tasks(agents, models, rewards)
    {}

    /* STATE-CHANGING */

    /// @inheritdoc IRoundManager
    function propose(uint64 taskId, uint32 round, Content calldata content) external returns (bytes32 proposalId) {
        Round memory current = RoundState.requireRound(_book, taskId, round);
        Phase phase = RoundState.getPhase(_book, taskId);
        if (phase != Phase.Propose) revert WrongPhase(Phase.Propose, phase);
        Task storage task = _book.tasks[taskId];
        Ballot memory ballot = _book.ballots[taskId];
        ballot.rank = uint8(_requireRank(taskId, current, ballot));
        if (content.stateDigest == 0) revert InvalidDigest(content.stateDigest);
        if (content.aggregateRoot == 0) revert InvalidDigest(content.aggregateRoot);
        if (content.rewardTotal > task.roundReserve) revert RewardTooHigh(content.rewardTotal, task.roundReserve);
        proposalId = _recordProposal(taskId, current, ballot, content);
        (ballot.isLive, ballot.isExtended) = (true, false);
        ballot.voteClose = uint40(block.timestamp) + task.seatWindow + task.voteWindow;
        _book.ballots[taskId] = ballot;
        if (task.proposalBond != 0) _AGENTS.lockBond(msg.sender, task.proposalBond);
    }

    /// @inheritdoc IRoundManager
    function settle(uint64 taskId) external {
        Settlement.settle(_book, _suite(), taskId);
    }

    /// @inheritdoc IRoundManager
    function vote(uint64 taskId, uint32 round, Vote calldata ballotPaper) external {
        Round memory current = RoundState.requireRound(_book, taskId, round);
        Ballot memory ballot = _requireVote(taskId, current);
        if (!_vote(taskId, current, ballot, msg.sender, ballotPaper)) revert AlreadyVoted(msg.sender);
        _closeVote(taskId, current, ballot);
    }

    /// @inheritdoc IRoundManager
    function voteBundle(uint64 taskId, uint32 round, SignedVote[] calldata votes) external {
        if (votes.length == 0 || votes.length > MAX_BUNDLE) revert InvalidBundle(votes.length);
        Round memory current = RoundState.requireRound(_book, taskId, round);
        Ballot memory ballot = _requireVote(taskId, current);
        bytes32 key = computeRoundKey(taskId, round);
        for (uint256 i = 0; i < votes.length; ++i) {
            SignedVote calldata signed = votes[i];
            _verifySignature(signed.validator, Digests.hashVote(key, ballot.attempt, signed.vote), signed.signature);
            _vote(taskId, current, ballot, signed.validator, signed.vote);
        }
        _closeVote(taskId, current, ballot);
    }

    /* VIEW */

    /// @inheritdoc IRoundManager
    function getBallot(uint64 taskId) external view returns (Ballot memory) {
        return _book.ballots[taskId];
    }

    /// @inheritdoc IRoundManager
    function getProposal(uint64 taskId) external view returns (Proposal memory) {
        return _book.proposals[taskId];
    }

    /// @inheritdoc IRoundManager
    function getProposer(uint64 taskId) external view returns (uint256 rank, address holder) {
        Phase phase = RoundState.getPhase(_book, taskId);
        if (phase != Phase.Propose) revert WrongPhase(Phase.Propose, phase);
        (Round memory round, Ballot memory ballot) = (_book.rounds[taskId], _book.ballots[taskId]);
        rank = RoundState.getRank(_book, taskId, round, ballot);
        holder = _rankHolder(taskId, round.round, ballot.attempt, rank);
    }

    /* INTERNAL */

    function _closeVote(uint64 taskId, Round memory round, Ballot memory ballot) internal {
        if (Tallies.decide(ballot, round.validators) != Decision.Open) ballot.voteClose = uint40(block.timestamp);
        _book.ballots[taskId] = ballot;
    }

    function _recordProposal(uint64 taskId, Round memory round, Ballot memory ballot, Content calldata content)
        internal
        returns (bytes32 proposalId)
    {
        bytes32 key = computeRoundKey(taskId, round.round);
        (uint256[] memory survivors,) = RoundState.getSurvivors(_book, taskId, round);
        bytes32 root = Digests.survivorRoot(key, _book.submissions[taskId].commitment, survivors);
        bytes32 contentId = Digests.contentId(key, root, content, _book.tasks[taskId].policyDigest, round.parentVersion);
        proposalId = Digests.proposalId(contentId, ballot.attempt, msg.sender);
        _book.proposals[taskId] =
            Proposal(proposalId, content.stateDigest, content.rewardRoot, msg.sender, content.rewardTotal);
        emit ProposalSubmitted(
            taskId, round.round, msg.sender, ballot.attempt, ballot.rank, proposalId, contentId, root, content
        );
    }

    function _vote(uint64 taskId, Round memory round, Ballot memory ballot, address validator, Vote calldata paper)
        internal
        returns (bool isNew)
    {
        Member memory member = _requireValidator(taskId, round, validator);
        Proposal storage proposal = _book.proposals[taskId];
        if (paper.proposalId != proposal.proposalId) revert WrongProposal(proposal.proposalId, paper.proposalId);
        if (validator == proposal.proposer) revert OwnProposal(validator);
        if (member.votedRound == round.round && member.votedAttempt == ballot.attempt) return false;
        Tallies.count(ballot, _book.rejects[taskId], paper);
        (member.votedRound, member.votedAttempt, member.lastBallot) = (round.round, ballot.attempt, ballot.number + 1);
        _book.members[taskId][validator] = member;
        emit VoteCast(taskId, round.round, validator, ballot.attempt, paper);
        return true;
    }

    function _rankHolder(uint64 taskId, uint32 round, uint8 attempt, uint256 rank) internal view returns (address) {
        Task storage task = _book.tasks[taskId];
        if (rank + 1 == task.proposeRanks) return address(0);
        address[] storage proposers = _book.proposers[taskId];
        if (rank == 0 || proposers.length == 0) return task.orchestrator;
        uint256 seed = uint256(keccak256(abi.encode(computeRoundKey(taskId, round), attempt)));
        return proposers[(seed % proposers.length + rank - 1) % proposers.length];
    }

    function _requireRank(uint64 taskId, Round memory round, Ballot memory ballot)
        internal
        view
        returns (uint256 rank)
    {
        Member memory member = _book.members[taskId][msg.sender];
        bool isActive = member.role != 0 && member.leftAt == 0 && member.activeFrom <= _epochAt(block.timestamp);
        if (!isActive) revert NotEntitled(msg.sender);
        if (member.barredRound == round.round) revert Barred(msg.sender);
        rank = RoundState.getRank(_book, taskId, round, ballot);
        address holder = _rankHolder(taskId, round.round, ballot.attempt, rank);
        if (holder != address(0) && holder != msg.sender) revert NotYourRank(msg.sender, rank);
    }

    function _requireVote(uint64 taskId, Round memory round) internal view returns (Ballot memory ballot) {
        ballot = _book.ballots[taskId];
        bool isOpen = round.outcome == Outcome.None && ballot.isLive && block.timestamp < ballot.voteClose;
        if (!isOpen) revert WrongPhase(Phase.Vote, RoundState.getPhase(_book, taskId));
    }
}
