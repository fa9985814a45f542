// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rounds} from "./abstracts/Rounds.sol";
import {Tasks} from "./abstracts/Tasks.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "./interfaces/IMaskedRounds.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "./interfaces/IRewardDistributor.sol";
import {IRoundManager} from "./interfaces/IRoundManager.sol";
import {ISeedSource} from "./interfaces/ISeedSource.sol";
import {BallotWord} from "./libraries/Ballots.sol";
import {Committees} from "./libraries/Committees.sol";
import {Digests} from "./libraries/Digests.sol";
import {DrawBook} from "./libraries/DrawBook.sol";
import {Evidence} from "./libraries/Evidence.sol";
import {RoundBook} from "./libraries/RoundBook.sol";
import {Seats} from "./libraries/Seats.sol";
import {Settlement} from "./libraries/Settlement.sol";
import {Decision, Tallies} from "./libraries/Tallies.sol";
import {Page} from "./types/Book.sol";
import {Draw, DrawKey, SeatProof} from "./types/DrawTypes.sol";
import {Member, Outcome, Phase, Round} from "./types/Types.sol";
import {Audit, Ballot, Content, Proposal, SignedVote, Vote} from "./types/VoteTypes.sol";

/// @title RoundManager
/// @notice Proposals, votes and finality, on top of tasks and rounds.
contract RoundManager is Rounds {
    /* CONSTRUCTOR */

    /// @param agents Identities and stake.
    /// @param models Model versions.
    /// @param rewards Budgets and rewards.
    /// @param seeds Randomness of draws.
    /// @param masked The masked part of rounds in secure mode.
    constructor(
        IAgentRegistry agents,
        IModelRegistry models,
        IRewardDistributor rewards,
        ISeedSource seeds,
        IMaskedRounds masked
    ) Tasks(agents, models, rewards, seeds, masked) {}

    /* STATE-CHANGING */

    /// @inheritdoc IRoundManager
    function auditVote(uint64 taskId, Audit calldata finding) external {
        Evidence.audit(_book.pages[taskId], _suite(), taskId, finding);
    }

    /// @inheritdoc IRoundManager
    function openSeats(uint64 taskId, uint32 round) external {
        DrawBook.open(_book.pages[taskId], _suite(), taskId, round);
    }

    /// @inheritdoc IRoundManager
    function proveSeats(uint64 taskId, uint32 round, SeatProof[] calldata proofs) external {
        bytes calldata raw;
        // Encoding the proofs anew would cost more than passing them on as they came, with their number before them.
        assembly ("memory-safe") {
            raw.offset := sub(proofs.offset, 0x20)
            raw.length := sub(calldatasize(), raw.offset)
        }
        DrawBook.prove({
            page: _book.pages[taskId],
            masked: _MASKED,
            epochLength: _EPOCH_LENGTH,
            taskId: taskId,
            round: round,
            raw: raw
        });
    }

    /// @inheritdoc IRoundManager
    function propose(uint64 taskId, uint32 round, Content calldata content) external returns (bytes32 proposalId) {
        return RoundBook.propose(_book.pages[taskId], _suite(), taskId, round, content);
    }

    /// @inheritdoc IRoundManager
    function reportDoubleVote(
        uint64 taskId,
        uint32 round,
        uint8 attempt,
        SignedVote calldata first,
        SignedVote calldata second
    ) external {
        Evidence.reportDoubleVote({
            page: _book.pages[taskId],
            suite: _suite(),
            domain: _domainSeparatorV4(),
            taskId: taskId,
            round: round,
            attempt: attempt,
            first: first,
            second: second
        });
    }

    /// @inheritdoc IRoundManager
    function settle(uint64 taskId) external {
        Settlement.settle(_book.pages[taskId], _suite(), taskId);
    }

    /// @inheritdoc IRoundManager
    function vote(uint256 taskId, uint256 round, Vote calldata ballotPaper) external {
        Page storage page = _book.pages[taskId];
        BallotWord ballot = _requireVote(page, taskId, round);
        Round storage current = page.round;
        BallotWord counted = _vote({
            page: page,
            taskId: taskId,
            round: round,
            openedAt: current.openedAt,
            committee: current.seats == 0 ? Committees.EVERYBODY : page.committee,
            proposalId: page.proposal.proposalId,
            ballot: ballot,
            validator: msg.sender,
            paper: ballotPaper
        });
        if (BallotWord.unwrap(counted) == BallotWord.unwrap(ballot)) revert AlreadyVoted(msg.sender);
        _closeVote(page, counted);
    }

    /// @inheritdoc IRoundManager
    function voteBundle(uint256 taskId, uint256 round, SignedVote[] calldata votes) external {
        if (votes.length == 0 || votes.length > MAX_BUNDLE) revert InvalidBundle(votes.length);
        Page storage page = _book.pages[taskId];
        BallotWord ballot = _requireVote(page, taskId, round);
        uint256 openedAt = page.round.openedAt;
        uint256 committee = page.round.seats == 0 ? Committees.EVERYBODY : page.committee;
        bytes32 proposalId = page.proposal.proposalId;
        bytes32 key = Digests.roundKey(address(this), taskId, round);
        bytes32 domain = _domainSeparatorV4();
        for (uint256 i = 0; i < votes.length; ++i) {
            SignedVote calldata signed = votes[i];
            address validator = signed.validator;
            bytes32 structHash = Digests.hashVote(key, ballot.attempt(), signed.vote);
            _verifySignature(validator, domain, structHash, signed.r, signed.vs);
            ballot = _vote({
                page: page,
                taskId: taskId,
                round: round,
                openedAt: openedAt,
                committee: committee,
                proposalId: proposalId,
                ballot: ballot,
                validator: validator,
                paper: signed.vote
            });
        }
        _closeVote(page, ballot);
    }

    /* VIEW */

    /// @inheritdoc IRoundManager
    function getBallot(uint64 taskId) external view returns (Ballot memory ballot) {
        Page storage page = _book.pages[taskId];
        ballot = page.ballot.unpack();
        ballot.isLive = ballot.isLive && page.round.outcome == Outcome.None;
    }

    /// @inheritdoc IRoundManager
    function getDraw(uint64 taskId)
        external
        view
        returns (Draw memory draw, bytes32 seed, uint256[] memory list, uint256 committee)
    {
        Page storage page = _book.pages[taskId];
        draw = page.draw;
        (seed, committee) = (page.seed, page.committee);
        list = Committees.load(page, draw.entries, draw.entries);
    }

    /// @inheritdoc IRoundManager
    function getDrawKey(uint64 taskId, uint8 place) external view returns (DrawKey memory, address holder) {
        Page storage page = _book.pages[taskId];
        return (page.drawKeys[place], page.holders[place]);
    }

    /// @inheritdoc IRoundManager
    function getTotalWeight(uint64 taskId) external view returns (uint256) {
        return _book.pages[taskId].weights.atOpening;
    }

    /// @inheritdoc IRoundManager
    function getProposal(uint64 taskId) external view returns (Proposal memory) {
        return _book.pages[taskId].proposal;
    }

    /// @inheritdoc IRoundManager
    function getProposer(uint64 taskId) external view returns (uint256 rank, address holder) {
        return RoundBook.getProposer(_book.pages[taskId], _suite(), taskId);
    }

    /* INTERNAL */

    function _closeVote(Page storage page, BallotWord ballot) internal {
        bool isDecided = Tallies.decide(ballot, Seats.count(page.round)) != Decision.Open;
        page.ballot = isDecided ? ballot.withVoteClose(block.timestamp) : ballot;
    }

    function _vote(
        Page storage page,
        uint256 taskId,
        uint256 round,
        uint256 openedAt,
        uint256 committee,
        bytes32 proposalId,
        BallotWord ballot,
        address validator,
        Vote calldata paper
    ) internal returns (BallotWord counted) {
        Member storage member = page.members[validator];
        uint256 place = member.place;
        bool isSeated = Seats.isEntitled({
            role: member.role,
            wanted: Seats.VALIDATOR,
            activeFrom: member.activeFrom,
            leftAt: member.leftAt,
            openedAt: openedAt,
            epochLength: _EPOCH_LENGTH
        });
        if (!isSeated) revert NotEntitled(validator);
        if (paper.proposalId != proposalId) revert WrongProposal(proposalId, paper.proposalId);
        if (ballot.hasVoted(place)) {
            if (validator == page.proposal.proposer) revert OwnProposal(validator);
            return ballot;
        }
        uint256 weight = Committees.weightOf(committee, place);
        if (weight == 0) revert NotEntitled(validator);
        counted = Tallies.count(ballot, page.rejects, place, weight, paper);
        _logVote(taskId, round, validator, ballot.attempt(), paper);
    }

    /// @dev emit VoteCast(taskId, round, validator, attempt, paper), without copying the paper field by field; those
    /// that nobody has read yet are checked.
    function _logVote(uint256 taskId, uint256 round, address validator, uint256 attempt, Vote calldata paper) internal {
        bytes32 topic = VoteCast.selector;
        assembly ("memory-safe") {
            if shr(16, calldataload(add(paper, 0x80))) { revert(0, 0) }
            let free := mload(0x40)
            mstore(free, attempt)
            calldatacopy(add(free, 0x20), paper, 0xc0)
            log4(free, 0xe0, topic, taskId, round, validator)
        }
    }

    function _requireVote(Page storage page, uint256 taskId, uint256 round) internal view returns (BallotWord ballot) {
        if (page.round.round != round) revert WrongRound(page.round.round, round);
        ballot = page.ballot;
        bool isOpen = ballot.isLive() && block.timestamp >= ballot.openedAt() && block.timestamp < ballot.voteClose();
        if (!isOpen || page.round.outcome != Outcome.None) revert WrongPhase(Phase.Vote, getPhase(uint64(taskId)));
    }
}
