// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IAgentRegistry} from "../interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "../interfaces/IMaskedRounds.sol";
import {IRoundManager} from "../interfaces/IRoundManager.sol";
import {Digests} from "../libraries/Digests.sol";
import {PlaceSets} from "../libraries/PlaceSets.sol";
import {Seats} from "../libraries/Seats.sol";
import {Clock, MaskedPage} from "../types/MaskedBook.sol";
import {Member, Phase} from "../types/Types.sol";
import {Signed} from "./Signed.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title MaskedPages
/// @notice The storage of the masked rounds, and what each of their calls asks first: which round and phase it is, what
/// its records name, and who has a part in it.
abstract contract MaskedPages is IMaskedRounds, Signed {
    using PlaceSets for mapping(uint256 => uint256);

    /* CONSTANTS */

    uint256 internal constant MAX_PLACES = 1024;
    uint256 private constant MAX_BUNDLE = 32;
    bytes32 private constant RECORD_TYPEHASH =
        keccak256("Record(bytes32 roundKey,uint8 phase,bytes32 anchor,bytes32 digest)");

    /* IMMUTABLES */

    /// @notice The only contract whose rounds this serves.
    IRoundManager public immutable MANAGER;
    IAgentRegistry internal immutable _AGENTS;
    uint32 private immutable _EPOCH_LENGTH;

    /* STORAGE */

    mapping(uint64 taskId => MaskedPage page) internal _pages;
    mapping(bytes32 offence => bool isPunished) internal _offences;

    /* CONSTRUCTOR */

    /// @param manager The round manager's (predicted) address.
    /// @param agents Identities and stake.
    constructor(IRoundManager manager, IAgentRegistry agents) {
        MANAGER = manager;
        _AGENTS = agents;
        _EPOCH_LENGTH = agents.epochLength();
    }

    /* INTERNAL */

    function _pinAnchor(MaskedPage storage page, uint64 taskId) internal returns (bytes32 anchor) {
        anchor = _anchor(page);
        if (page.clock.isPinned) return anchor;
        if (anchor == 0) revert NotOpenYet(page.clock.opensAt);
        page.anchor = anchor;
        page.clock.isPinned = true;
        emit AnchorPinned(taskId, page.clock.round, page.clock.phase, anchor);
    }

    function _pinAnchor(MaskedPage storage page, uint64 taskId, bytes32 given) internal {
        bytes32 anchor = _pinAnchor(page, taskId);
        if (given != anchor) revert StaleView(anchor, given);
    }

    /* INTERNAL VIEW */

    /// @dev Zero while the hash of the block that closed the last phase is not known.
    function _anchor(MaskedPage storage page) internal view returns (bytes32) {
        Clock storage clock = page.clock;
        if (clock.isPinned) return page.anchor;
        if (clock.round == 0 || block.number <= clock.closeBlock) return 0;
        return keccak256(abi.encode(page.anchor, blockhash(clock.closeBlock)));
    }

    function _isEntitled(MaskedPage storage page, uint64 taskId, address account, uint8 role)
        internal
        view
        returns (bool)
    {
        Member memory member = MANAGER.getMember(taskId, account);
        return Seats.isEntitled({
            role: member.role,
            wanted: role,
            activeFrom: member.activeFrom,
            leftAt: member.leftAt,
            openedAt: page.bounds.openedAt,
            epochLength: _EPOCH_LENGTH
        });
    }

    function _isSigner(address agent, bytes32 key, Phase phase, bytes32 anchor, bytes32 digest, bytes32 r, bytes32 vs)
        internal
        view
        returns (bool)
    {
        bytes32 structHash = keccak256(abi.encode(RECORD_TYPEHASH, key, phase, anchor, digest));
        (address recovered,,) = ECDSA.tryRecover(_hashTypedDataV4(structHash), r, vs);
        return recovered == agent && agent != address(0);
    }

    /// @dev Revert unless the window of `phase` has not ended.
    function _requireOpen(MaskedPage storage page, uint64 taskId, Phase phase) internal view {
        bool isOpen = page.clock.phase == phase && block.timestamp < page.clock.closesAt;
        if (!isOpen) revert IRoundManager.WrongPhase(phase, MANAGER.getPhase(taskId));
    }

    function _requirePhase(MaskedPage storage page, uint64 taskId, Phase phase) internal view {
        _requireOpen(page, taskId, phase);
        if (block.timestamp < page.clock.opensAt) revert NotOpenYet(page.clock.opensAt);
    }

    function _requirePlace(MaskedPage storage page, Phase phase, address agent) internal view returns (uint256 place) {
        uint256 stored = page.places[agent];
        if (stored == 0) revert IRoundManager.NotEntitled(agent);
        place = stored - 1;
        if (!page.sets.has(phase, page.clock.round, place)) revert IRoundManager.NotEntitled(agent);
    }

    function _requireRound(uint64 taskId, uint32 round) internal view returns (MaskedPage storage page) {
        page = _pages[taskId];
        if (page.clock.round != round) revert IRoundManager.WrongRound(page.clock.round, round);
    }

    function _roundKey(uint64 taskId, uint32 round) internal view returns (bytes32) {
        return Digests.roundKey(address(MANAGER), taskId, round);
    }

    function _requireBundle(uint256 length) internal pure {
        if (length == 0 || length > MAX_BUNDLE) revert IRoundManager.InvalidBundle(length);
    }
}
