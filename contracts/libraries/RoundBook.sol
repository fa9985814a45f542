// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {ITasks} from "../interfaces/ITasks.sol";
import {Page, Suite} from "../types/Book.sol";
import {Weights} from "../types/DrawTypes.sol";
import {Member, Mode, Outcome, Phase, Population, Round, Task, TaskStatus} from "../types/Types.sol";
import {Ballot, Content, Proposal} from "../types/VoteTypes.sol";
import {Attestations} from "./Attestations.sol";
import {BallotWord, Ballots} from "./Ballots.sol";
import {Commitment, Commitments} from "./Commitments.sol";
import {Digests} from "./Digests.sol";
import {DrawBook} from "./DrawBook.sol";
import {Populations} from "./Populations.sol";
import {RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {WeightBook} from "./WeightBook.sol";

/// @title RoundBook
/// @notice What happens once in a round, its opening and a proposal; a linked library.
library RoundBook {
    using Populations for Population;
    using WeightBook for Weights;

    /// @dev Groups of 32 places in one word of 224.
    uint256 private constant GROUPS = 7;

    /// @notice Open the next round of a task.
    function open(Page storage page, Suite calldata suite, uint64 taskId) external returns (uint32 round) {
        TaskStatus memory status = page.status;
        if (status.sponsor == address(0)) revert ITasks.UnknownTask(taskId);
        if (status.isClosed) revert ITasks.TaskIsClosed(taskId);
        Round memory previous = page.round;
        bool isLive = previous.round != 0 && previous.outcome == Outcome.None;
        if (isLive) revert ITasks.RoundIsLive(taskId, previous.round);
        round = previous.round + 1;
        if (round > page.task.maxRounds) revert IRoundManager.RoundsExhausted(page.task.maxRounds);
        if (block.timestamp < status.nextOpenAt) revert IRoundManager.TooEarly(status.nextOpenAt);
        (uint16 members, uint8 validators) = _snapshot(page, suite, status.endorsements);
        _requirePrivacy(page, suite, taskId);
        _reset({page: page, suite: suite, taskId: taskId, round: round, members: members, validators: validators});
        suite.rewards.reserve(taskId, page.task.roundReserve);
    }

    /// @notice Record a proposal of the caller.
    function propose(Page storage page, Suite calldata suite, uint64 taskId, uint32 round, Content calldata content)
        external
        returns (bytes32 proposalId)
    {
        RoundState.requireRound(page, round);
        Phase phase = RoundState.getExactPhase(page, suite.masked, taskId);
        if (phase != Phase.Propose) revert IRoundManager.WrongPhase(Phase.Propose, phase);
        Task storage task = page.task;
        Ballot memory ballot = page.ballot.unpack();
        ballot.rank = uint8(_requireRank(page, suite, taskId));
        if (content.stateDigest == 0) revert IRoundManager.InvalidDigest(content.stateDigest);
        if (content.aggregateRoot == 0) revert IRoundManager.InvalidDigest(content.aggregateRoot);
        if (content.rewardTotal > task.roundReserve) {
            revert IRoundManager.RewardTooHigh(content.rewardTotal, task.roundReserve);
        }
        proposalId = _record(page, taskId, ballot, content);
        (ballot.isLive, ballot.isExtended, ballot.openedAt) = (true, false, uint40(block.timestamp));
        ballot.voteClose = uint40(block.timestamp) + task.voteWindow;
        ballot.voted = _ownSeat(page, suite);
        page.ballot = Ballots.pack(ballot);
        if (task.committee != 0) {
            page.round.seats = task.committee;
            DrawBook.start(page, round, ballot.attempt);
        }
        if (task.proposalBond != 0) suite.agents.lockBond(msg.sender, task.proposalBond);
    }

    /// @notice Record that a masked phase, or the whole masked part, is over; then the survivors go over to the page.
    /// @return outcome What made the round fail; `None` if nothing did.
    function settleMasked(Page storage page, Suite calldata suite, uint64 taskId) external returns (Outcome outcome) {
        bool isOver;
        uint240 commitment;
        uint16 places;
        uint8 attesters;
        uint256[] memory survivors;
        (outcome, isOver, commitment, places, attesters, survivors) = suite.masked.settle(taskId);
        if (!isOver) return outcome;
        page.submissions = Commitment.wrap((uint256(places) << 240) | commitment);
        uint32 round = page.round.round;
        uint256 needed = Seats.majority(page.round.validators);
        for (uint256 group = 0; group * RoundState.LANES < places; ++group) {
            uint256 lanes = uint32(survivors[group / GROUPS] >> (RoundState.LANES * (group % GROUPS)));
            page.counters[group] = Attestations.fill(round, lanes, needed, group == 0 ? attesters : 0);
        }
        (page.round.submitClose, page.round.attestClose) = (uint40(block.timestamp), uint40(block.timestamp));
    }

    /// @notice Return which rank may propose now, and who holds it.
    function getProposer(Page storage page, Suite calldata suite, uint64 taskId)
        external
        view
        returns (uint256 rank, address holder)
    {
        Phase phase = RoundState.getExactPhase(page, suite.masked, taskId);
        if (phase != Phase.Propose) revert IRoundManager.WrongPhase(Phase.Propose, phase);
        rank = RoundState.getRank(page);
        holder = _rankHolder(page, taskId, rank);
    }

    function _record(Page storage page, uint64 taskId, Ballot memory ballot, Content calldata content)
        private
        returns (bytes32 proposalId)
    {
        Round memory round = page.round;
        bytes32 key = Digests.roundKey(address(this), taskId, round.round);
        (uint256[] memory survivors,) = RoundState.getSurvivors(page);
        bytes32 root = Digests.survivorRoot(key, page.submissions.value(), survivors);
        bytes32 contentId = Digests.contentId(key, root, content, page.task.policyDigest, round.parentVersion);
        proposalId = Digests.proposalId(contentId, ballot.attempt, msg.sender);
        page.proposal = Proposal(proposalId, content.stateDigest, content.rewardRoot, msg.sender, content.rewardTotal);
        emit IRoundManager.ProposalSubmitted({
            taskId: taskId,
            round: round.round,
            proposer: msg.sender,
            attempt: ballot.attempt,
            rank: ballot.rank,
            proposalId: proposalId,
            contentId: contentId,
            survivorRoot: root,
            content: content
        });
    }

    function _reset(
        Page storage page,
        Suite calldata suite,
        uint64 taskId,
        uint32 round,
        uint16 members,
        uint8 validators
    ) private {
        Task storage task = page.task;
        uint40 opened = uint40(block.timestamp);
        bool isPlain = task.mode == Mode.Plain;
        // Zero until the masked part is over: plain calls find their windows closed.
        uint40 submitClose = isPlain ? opened + task.submitWindow : 0;
        uint32 parent = suite.models.getLatest(taskId);
        page.round = Round({
            round: round,
            openedAt: opened,
            submitClose: submitClose,
            attestClose: isPlain ? submitClose + task.attestWindow : 0,
            members: members,
            validators: validators,
            attesters: 0,
            outcome: Outcome.None,
            parentVersion: parent,
            wMax: task.wMax,
            seats: task.committee
        });
        page.submissions = Commitments.start(Digests.roundKey(address(this), taskId, round));
        page.ballot = BallotWord.wrap(0);
        emit IRoundManager.RoundOpened(taskId, round, parent, members, validators);
        if (!isPlain) suite.masked.open(taskId, round, members, validators, parent);
    }

    function _snapshot(Page storage page, Suite calldata suite, uint8 endorsements)
        private
        returns (uint16 members, uint8 validators)
    {
        uint256 epoch = block.timestamp / suite.epochLength;
        Task storage task = page.task;
        Population memory agents = page.populations[Seats.AGENT].fold(epoch);
        Population memory seats = page.populations[Seats.VALIDATOR].fold(epoch);
        (members, validators) = (agents.active, uint8(seats.active));
        if (validators < task.minValidators) revert IRoundManager.TooFewValidators(validators, task.minValidators);
        uint256 needed = Seats.majority(validators);
        if (endorsements < needed) revert IRoundManager.NotEndorsed(endorsements, needed);
        if (members < task.minAgents) revert IRoundManager.TooFewAgents(members, task.minAgents);
        page.populations[Seats.AGENT] = agents;
        page.populations[Seats.VALIDATOR] = seats;
        if (task.committee == 0) return (members, validators);
        Weights memory weights = page.weights;
        weights.fold(epoch);
        weights.atOpening = weights.active;
        page.weights = weights;
    }

    /// @dev In plain mode each round that opened counts, in secure mode each sum that was revealed.
    function _requirePrivacy(Page storage page, Suite calldata suite, uint64 taskId) private view {
        uint16 allowed = page.task.privacyRounds;
        if (allowed == 0) return;
        uint256 spent = page.task.mode == Mode.Plain ? page.round.round : suite.masked.getMasked(taskId).spent;
        if (spent >= allowed) revert IRoundManager.PrivacyBudgetSpent(allowed);
    }

    /// @dev The proposer's own seat, which may not vote, counts as not silent.
    function _ownSeat(Page storage page, Suite calldata suite) private view returns (uint64) {
        Member storage member = page.members[msg.sender];
        uint256 openedAt = page.round.openedAt;
        return Seats.isSeated(member, openedAt, suite.epochLength) ? Seats.bit(member.place) : 0;
    }

    function _rankHolder(Page storage page, uint64 taskId, uint256 rank) private view returns (address) {
        if (rank + 1 == page.task.proposeRanks) return address(0);
        address[] storage proposers = page.proposers;
        uint256 count = proposers.length;
        if (rank == 0 || count == 0) return page.task.orchestrator;
        bytes32 key = Digests.roundKey(address(this), taskId, page.round.round);
        uint256 seed = uint256(keccak256(abi.encode(key, page.ballot.attempt())));
        return proposers[(seed % count + rank - 1) % count];
    }

    function _requireRank(Page storage page, Suite calldata suite, uint64 taskId) private view returns (uint256 rank) {
        Member storage member = page.members[msg.sender];
        bool isActive =
            member.role != 0 && member.leftAt == 0 && member.activeFrom <= block.timestamp / suite.epochLength;
        if (!isActive) revert IRoundManager.NotEntitled(msg.sender);
        if (member.barredRound == page.round.round) revert IRoundManager.Barred(msg.sender);
        rank = RoundState.getRank(page);
        address holder = _rankHolder(page, taskId, rank);
        if (holder != address(0) && holder != msg.sender) revert IRoundManager.NotYourRank(msg.sender, rank);
    }
}
