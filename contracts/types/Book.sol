// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "../interfaces/IRewardDistributor.sol";
import {ISeedSource} from "../interfaces/ISeedSource.sol";
import {BallotWord} from "../libraries/Ballots.sol";
import {Commitment} from "../libraries/Commitments.sol";
import {Draw, DrawKey, Weights} from "./DrawTypes.sol";
import {Member, Population, Round, Task, TaskStatus, Terms} from "./Types.sol";
import {Absence, Proposal} from "./VoteTypes.sol";

/// @notice The other contracts and what the round manager copied from them at deployment.
/// @param agents Identities and stake.
/// @param models Model versions.
/// @param rewards Budgets and rewards.
/// @param seeds Randomness of draws.
/// @param masked The masked part of rounds in secure mode.
/// @param epochLength Length of an epoch in seconds.
struct Suite {
    IAgentRegistry agents;
    IModelRegistry models;
    IRewardDistributor rewards;
    ISeedSource seeds;
    IMaskedRounds masked;
    uint32 epochLength;
}

/// @notice Everything about one task; rounds reuse the same slots.
/// @param task Parameters.
/// @param status What changes between rounds.
/// @param round Newest round.
/// @param submissions Newest round's submissions.
/// @param ballot Newest vote.
/// @param proposal Newest proposal.
/// @param absences The last three votes whose window ran out, newest first.
/// @param proposers Members in line to propose.
/// @param populations Members by role.
/// @param members Enrolments.
/// @param counters Validators who hold each submission's blob, 32 submissions per word.
/// @param attested Submissions attested by a validator, 224 per word, tagged with the round.
/// @param rejects Per distinct (reason, counter content): its hash with the count in the lowest byte.
/// @param terms The parameters that a settlement needs.
/// @param draw Newest draw.
/// @param seed The newest draw's seed.
/// @param committee Seats held in the newest draw, four bits for each place.
/// @param weights Weight of the validators.
/// @param seats The newest draw's list, lowest score first, eight seats per word.
/// @param drawKeys What a validator needs to be drawn, by place.
/// @param holders Who holds a place.
/// @param offences Offences that were punished.
/// @param audits Per finding about an earlier vote: the seats that share it, and whose.
struct Page {
    // slots 0 to 5
    Task task;
    // slot 6
    TaskStatus status;
    // slot 7
    Round round;
    // slot 8
    Commitment submissions;
    // slot 9
    BallotWord ballot;
    // slots 10 to 13
    Proposal proposal;
    // slots 14 to 16
    Absence[3] absences;
    // slots 17 to 22
    address[] proposers;
    mapping(uint8 role => Population) populations;
    mapping(address member => Member) members;
    mapping(uint256 group => uint256) counters;
    mapping(address validator => mapping(uint256 word => uint256)) attested;
    mapping(uint256 kind => uint256) rejects;
    // slot 23
    Terms terms;
    // slots 24 to 27
    Draw draw;
    bytes32 seed;
    uint256 committee;
    Weights weights;
    // slots 28 to 30
    mapping(uint256 word => uint256) seats;
    mapping(uint256 place => DrawKey) drawKeys;
    mapping(uint256 place => address) holders;
    // slots 31 and 32
    mapping(bytes32 offence => bool) offences;
    mapping(bytes32 finding => uint256) audits;
}

/// @notice The round manager's whole storage, so that its libraries can work on it.
/// @param taskCount Number of tasks; ids run from 1.
/// @param pages One page per task.
struct Book {
    uint64 taskCount;
    mapping(uint256 taskId => Page) pages;
}
