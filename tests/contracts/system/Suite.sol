// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {IRewardDistributor} from "../../../contracts/interfaces/IRewardDistributor.sol";
import {IRoundManager} from "../../../contracts/interfaces/IRoundManager.sol";
import {ISeedSource} from "../../../contracts/interfaces/ISeedSource.sol";
import {Mode, Outcome, Phase, Reason, Task, Verdict} from "../../../contracts/types/Types.sol";
import {Content, Vote} from "../../../contracts/types/VoteTypes.sol";
import {Cheats} from "../Cheats.sol";
import {IManager, IMasked, IRegistry} from "./System.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Deploys all contracts and a task with members, and drives its rounds.
abstract contract Suite is Cheats {
    uint8 internal constant AGENT = 1;
    uint8 internal constant VALIDATOR = 2;
    uint8 internal constant PROPOSER = 4;
    uint32 internal constant EPOCH = 10;
    uint40 internal constant UNBONDING = 1000;
    uint96 internal constant STAKE = 40 ether;
    uint96 internal constant BOND = 5 ether;
    uint96 internal constant RESERVE = 10 ether;
    uint96 internal constant WALLET = 1_000_000 ether;
    bytes32 internal constant POLICY = keccak256("policy");
    bytes32 internal constant VERSION_0 = keccak256("version 0");
    address internal constant BURNED = 0x000000000000000000000000000000000000dEaD;

    IERC20 internal token;
    IRegistry internal registry;
    IModelRegistry internal models;
    IRewardDistributor internal rewards;
    IManager internal manager;
    ISeedSource internal seeds;
    IMasked internal masked;

    uint64 internal taskId;
    address[] internal agents;
    address[] internal validators;
    address[] internal proposers;
    mapping(address account => uint256 privateKey) internal keys;

    /* DEPLOYMENT */

    /// @notice Deploy everything, with this contract as governance, sponsor and holder of all tokens.
    function deploySuite() internal {
        vm.warp(1_000_000);
        token = IERC20(deploy("LocalToken", abi.encode(1_000_000_000 ether)));
        address predictedMasked = _predictAddress(vm.getNonce(address(this)) + 4);
        address predicted = _predictAddress(vm.getNonce(address(this)) + 5);
        uint96[3] memory stakes = [uint96(10 ether), 20 ether, 30 ether];
        registry = deployRegistry(token, predicted, predictedMasked, EPOCH, UNBONDING, stakes);
        models = IModelRegistry(deploy("ModelRegistry", abi.encode(predicted)));
        rewards = IRewardDistributor(deploy("RewardDistributor", abi.encode(token, predicted)));
        seeds = deploySeeds(IRoundManager(predicted));
        masked = IMasked(deploy("MaskedRounds", abi.encode(predicted, registry)));
        manager = IManager(deploy("RoundManager", abi.encode(registry, models, rewards, seeds, masked)));
        assertEq(address(masked), predictedMasked, "predicted address");
        assertEq(address(manager), predicted, "predicted address");
    }

    /// @notice Deploy a registry with this contract as governance.
    function deployRegistry(
        IERC20 stakeToken,
        address roundManager,
        address maskedRounds,
        uint32 epoch,
        uint40 unbonding,
        uint96[3] memory stakes
    ) internal returns (IRegistry) {
        bytes memory arguments =
            abi.encode(stakeToken, roundManager, maskedRounds, address(this), epoch, unbonding, stakes);
        return IRegistry(deploy("AgentRegistry", arguments));
    }

    /// @notice Deploy where seeds come from, in one creation.
    function deploySeeds(IRoundManager predicted) internal virtual returns (ISeedSource) {
        return ISeedSource(deploy("ChainSeeds", abi.encode(predicted, EPOCH)));
    }

    /// @notice Register a holder of tokens under one role.
    function registerAs(address account, uint8 role) internal virtual {
        vm.prank(account);
        registry.register(role, STAKE, keccak256(abi.encode("keys", account)));
    }

    /// @notice Create and fund a task and enrol members, all of them active when this returns.
    function createFederation(uint256 agentCount, uint256 validatorCount, uint256 proposerCount) internal {
        _createAccounts(agents, "agent", agentCount, AGENT);
        _createAccounts(validators, "validator", validatorCount, VALIDATOR);
        _createAccounts(proposers, "proposer", proposerCount, PROPOSER);
        taskId = manager.createTask(makeTask(proposers[0]));
        token.approve(address(rewards), type(uint256).max);
        rewards.fund(taskId, 100 * RESERVE);
        _enrolAll(agents, AGENT);
        _enrolAll(validators, VALIDATOR);
        _enrolAll(proposers, PROPOSER);
        for (uint256 i = 0; i < validators.length; ++i) {
            vm.prank(validators[i]);
            manager.endorse(taskId, POLICY, VERSION_0);
        }
        advance(3 * EPOCH);
    }

    /// @notice Return sound parameters of a task in which every active validator sits.
    function makeTask(address orchestrator) internal view virtual returns (Task memory task) {
        (task.orchestrator, task.roundReserve, task.proposalBond) = (orchestrator, RESERVE, BOND);
        (task.maxAgents, task.minAgents, task.minSurvivors, task.minValidators) = (100, 2, 2, 3);
        (task.wMax, task.maxAttempts, task.proposeRanks, task.mode) = (8, 2, 3, Mode.Plain);
        (task.maxShareBps, task.participationBps, task.maxRounds) = (2500, 2000, 1000);
        (task.submitWindow, task.attestWindow, task.proposeWindow, task.voteWindow) = (60, 30, 20, 30);
        (task.openDelay, task.claimDelay, task.claimWindow) = (10, 5, 400);
        (task.coordinateBound, task.policyDigest, task.initialState) = (1000, POLICY, VERSION_0);
    }

    /// @notice Return an account that holds tokens and has approved both contracts, not yet registered.
    function makeHolder(string memory name) internal returns (address account) {
        uint256 privateKey;
        (account, privateKey) = makeAccount(name);
        keys[account] = privateKey;
        token.transfer(account, WALLET);
        vm.startPrank(account);
        token.approve(address(registry), type(uint256).max);
        token.approve(address(rewards), type(uint256).max);
        vm.stopPrank();
    }

    /* DRIVING A ROUND */

    function advance(uint256 duration) internal {
        vm.warp(vm.getBlockTimestamp() + duration);
    }

    function openRound() internal returns (uint32 round) {
        return manager.openRound(taskId);
    }

    function currentRound() internal view returns (uint32) {
        return manager.getRound(taskId).round;
    }

    function submitAs(address agent, bytes32 digest) internal {
        uint32 round = currentRound();
        vm.prank(agent);
        manager.submit(taskId, round, digest, 1);
    }

    function submitAll() internal {
        for (uint256 i = 0; i < agents.length; ++i) {
            submitAs(agents[i], keccak256(abi.encode("update", currentRound(), i)));
        }
    }

    function attestAs(address validator, uint256 bits) internal {
        uint32 round = currentRound();
        vm.prank(validator);
        manager.attest(taskId, round, single(bits));
    }

    function attestAll() internal {
        uint256 bits = (1 << uint256(manager.getSubmissions(taskId).count)) - 1;
        for (uint256 i = 0; i < validators.length; ++i) {
            attestAs(validators[i], bits);
        }
    }

    function proposeAs(address proposer, Content memory content) internal returns (bytes32 proposalId) {
        uint32 round = currentRound();
        vm.prank(proposer);
        return manager.propose(taskId, round, content);
    }

    /// @notice Open a round and bring it to a vote on a proposal of the orchestrator.
    function openVote() internal returns (bytes32 proposalId) {
        openRound();
        submitAll();
        attestAll();
        return proposeAs(proposers[0], makeContent(currentRound()));
    }

    function voteAs(address validator, Vote memory paper) internal {
        uint32 round = currentRound();
        vm.prank(validator);
        manager.vote(taskId, round, paper);
    }

    /// @notice Let the first `count` validators give one verdict.
    function voteFirst(uint256 count, Verdict verdict) internal {
        for (uint256 i = 0; i < count; ++i) {
            voteAs(validators[i], makeVote(verdict));
        }
    }

    function phase() internal view returns (Phase) {
        return manager.getPhase(taskId);
    }

    function outcome() internal view returns (Outcome) {
        return manager.getRound(taskId).outcome;
    }

    /* VALUES */

    function single(uint256 word) internal pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }

    function makeContent(uint32 round) internal view returns (Content memory content) {
        content.aggregateRoot = keccak256(abi.encode("aggregate", round));
        content.stateDigest = keccak256(abi.encode("state", round));
        content.rewardTotal = 4 ether;
        bytes32[] memory leaves = makeLeaves(round, 1 ether);
        content.rewardRoot = hashPair(hashPair(leaves[0], leaves[1]), hashPair(leaves[2], leaves[3]));
    }

    /// @notice Return the live proposal's vote with one verdict; `Wrong` comes with one fixed objection.
    function makeVote(Verdict verdict) internal view returns (Vote memory paper) {
        paper.proposalId = manager.getProposal(taskId).proposalId;
        paper.verdict = uint8(verdict);
        if (verdict == Verdict.Wrong) {
            (paper.reason, paper.counterContentId) = (uint8(Reason.WrongModel), keccak256("recomputed"));
        }
        paper.quality = 9000;
    }

    /// @notice Return the leaves of a round whose first four accounts, the agents in order, earn `amount` each.
    function makeLeaves(uint32 round, uint96 amount) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            leaves[i] = rewards.computeLeaf(taskId, round, i, agents[i % agents.length], amount);
        }
    }

    function makeProof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](2);
        proof[0] = leaves[index ^ 1];
        proof[1] = index < 2 ? hashPair(leaves[2], leaves[3]) : hashPair(leaves[0], leaves[1]);
    }

    function hashPair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function sign(address account, bytes32 digest) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[account], digest);
        return abi.encodePacked(r, s, v);
    }

    /* INTERNAL */

    function _createAccounts(address[] storage list, string memory role, uint256 count, uint8 roleBit) private {
        for (uint256 i = 0; i < count; ++i) {
            address account = makeHolder(string.concat(role, " ", vm.toString(i)));
            list.push(account);
            registerAs(account, roleBit);
        }
    }

    function _enrolAll(address[] storage list, uint8 role) private {
        for (uint256 i = 0; i < list.length; ++i) {
            vm.prank(list[i]);
            manager.enrol(taskId, role);
        }
    }

    /// @dev The address of this contract's creation number `nonce`, from 1 to 127: RLP of the pair.
    function _predictAddress(uint256 nonce) private view returns (address) {
        assertLe(nonce, 127, "nonce in one RLP byte");
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(nonce))))));
    }
}
