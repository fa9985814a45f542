// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Page, Suite} from "../types/Book.sol";
import {Member, Phase} from "../types/Types.sol";
import {Audit, SignedVote} from "../types/VoteTypes.sol";
import {Committees} from "./Committees.sol";
import {Digests} from "./Digests.sol";
import {RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title Evidence
/// @notice Offences that outlive their round: two votes on one proposal, and a vote without the work; a linked library.
/// @dev An offence costs stake; it never takes back a version or a payout.
library Evidence {
    /// @notice One vote in so many is audited.
    uint256 internal constant AUDITED_IN = 10;

    /// @notice Punish a validator that signed two different votes for one attempt.
    function reportDoubleVote(
        Page storage page,
        Suite calldata suite,
        bytes32 domain,
        uint64 taskId,
        uint32 round,
        uint8 attempt,
        SignedVote calldata first,
        SignedVote calldata second
    ) external {
        address validator = first.validator;
        bytes32 key = Digests.roundKey(address(this), taskId, round);
        bytes32 firstHash = Digests.hashVote(key, attempt, first.vote);
        bytes32 secondHash = Digests.hashVote(key, attempt, second.vote);
        if (second.validator != validator || firstHash == secondHash) revert IRoundManager.NoOffence(validator);
        _requireSigner(validator, domain, firstHash, first.r, first.vs);
        _requireSigner(validator, domain, secondHash, second.r, second.vs);
        _punish({
            page: page,
            suite: suite,
            taskId: taskId,
            validator: validator,
            offence: keccak256(abi.encode(key, attempt, validator)),
            reporter: msg.sender
        });
    }

    /// @notice Say, as a member of the newest committee, that an audited vote's tag is not what its work gives.
    /// @dev A quorum of seats that found the same other tag punishes the validator.
    function audit(Page storage page, Suite calldata suite, uint64 taskId, Audit calldata finding) external {
        uint256 weight = _requireAuditor(page, taskId, finding);
        bytes32 key = Digests.roundKey(address(this), taskId, finding.round);
        // Seats are added up within one draw alone.
        bytes32 id = keccak256(abi.encode(key, finding, page.draw.round, page.draw.attempt));
        uint256 place = page.members[msg.sender].place;
        // Lowest byte: seats so far; above it a bit for each place.
        uint256 tally = page.audits[id];
        uint256 bit = 1 << (8 + place);
        if (tally & bit != 0) revert IRoundManager.AlreadyAudited(msg.sender);
        tally = (tally | bit) + weight;
        page.audits[id] = tally;
        emit IRoundManager.VoteAudited(taskId, finding.round, finding.validator, msg.sender, finding);
        if (uint8(tally) < Seats.quorum(page.round.seats)) return;
        _punish({
            page: page,
            suite: suite,
            taskId: taskId,
            validator: finding.validator,
            offence: keccak256(abi.encode(key, finding.attempt, finding.validator, "tag")),
            reporter: address(0)
        });
    }

    /// @notice Return whether the newest draw's seed picks a vote for audit.
    function isAudited(bytes32 seed, bytes32 key, uint8 attempt, address validator) internal pure returns (bool) {
        return uint256(keccak256(abi.encode("flchain.audit.v1", seed, key, attempt, validator))) % AUDITED_IN == 0;
    }

    function _punish(
        Page storage page,
        Suite calldata suite,
        uint64 taskId,
        address validator,
        bytes32 offence,
        address reporter
    ) private {
        if (page.members[validator].role == 0) revert IRoundManager.NotEntitled(validator);
        if (page.offences[offence]) revert IRoundManager.AlreadyPunished(validator);
        page.offences[offence] = true;
        emit IRoundManager.OffencePunished(taskId, validator, offence, reporter);
        suite.agents.punishOffence(validator, reporter);
    }

    /// @return weight The seats of the caller in the newest committee.
    function _requireAuditor(Page storage page, uint64 taskId, Audit calldata finding)
        private
        view
        returns (uint256 weight)
    {
        Member memory member = page.members[msg.sender];
        // During SEAT a place on the list may still be lost.
        bool isSettled = page.draw.entries != 0 && RoundState.getPhase(page) != Phase.Seat;
        bool isDrawn = page.round.seats != 0 && isSettled && member.role == Seats.VALIDATOR;
        weight = isDrawn ? Committees.weightOf(page.committee, member.place) : 0;
        bool isHolder = page.holders[member.place] == msg.sender;
        if (weight == 0 || !isHolder) revert IRoundManager.NotEntitled(msg.sender);
        bool isEarlier = finding.round < page.draw.round
            || (finding.round == page.draw.round && finding.attempt < page.draw.attempt);
        bytes32 key = Digests.roundKey(address(this), taskId, finding.round);
        bool isChosen = isAudited(page.seed, key, finding.attempt, finding.validator);
        if (!isEarlier || !isChosen || finding.claimed == finding.found) {
            revert IRoundManager.NoOffence(finding.validator);
        }
    }

    function _requireSigner(address signer, bytes32 domain, bytes32 structHash, bytes32 r, bytes32 vs) private pure {
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, structHash);
        (address actual, ECDSA.RecoverError fault,) = ECDSA.tryRecover(digest, r, vs);
        if (fault != ECDSA.RecoverError.NoError || actual != signer) revert IRoundManager.NoOffence(signer);
    }
}
