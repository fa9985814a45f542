// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "../interfaces/IRewardDistributor.sol";
import {Ballot, Member, Population, Proposal, Round, Submissions, Task, TaskStatus} from "./Types.sol";

/// @notice The other contracts and what the round manager copied from them at deployment.
/// @param agents Identities and stake.
/// @param models Model versions.
/// @param rewards Budgets and rewards.
/// @param epochLength Length of an epoch in seconds.
struct Suite {
    IAgentRegistry agents;
    IModelRegistry models;
    IRewardDistributor rewards;
    uint32 epochLength;
}

/// @notice The round manager's whole storage, so that its libraries can work on it.
/// @param taskCount Number of tasks; ids run from 1.
/// @param tasks Parameters.
/// @param status What changes between rounds.
/// @param populations Members by role.
/// @param members Enrolments.
/// @param proposers Members in line to propose.
/// @param rounds Newest round.
/// @param submissions Newest round's submissions.
/// @param counters Validators who hold each submission's blob, 32 submissions per word.
/// @param attested Submissions attested by a validator, 224 per word, tagged with the round.
/// @param ballots Newest vote.
/// @param proposals Newest proposal.
/// @param rejects Per distinct (reason, counter content): its hash with the count in the lowest byte.
struct Book {
    uint64 taskCount;
    mapping(uint64 taskId => Task) tasks;
    mapping(uint64 taskId => TaskStatus) status;
    mapping(uint64 taskId => mapping(uint8 role => Population)) populations;
    mapping(uint64 taskId => mapping(address member => Member)) members;
    mapping(uint64 taskId => address[]) proposers;
    mapping(uint64 taskId => Round) rounds;
    mapping(uint64 taskId => Submissions) submissions;
    mapping(uint64 taskId => mapping(uint256 group => uint256)) counters;
    mapping(uint64 taskId => mapping(address validator => mapping(uint256 word => uint256))) attested;
    mapping(uint64 taskId => Ballot) ballots;
    mapping(uint64 taskId => Proposal) proposals;
    mapping(uint64 taskId => mapping(uint256 kind => uint256)) rejects;
}
