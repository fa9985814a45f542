// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Signed} from "./abstracts/Signed.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IMaskedRounds} from "./interfaces/IMaskedRounds.sol";
import {IRoundManager} from "./interfaces/IRoundManager.sol";
import {Attestations} from "./libraries/Attestations.sol";
import {Commitment, Commitments} from "./libraries/Commitments.sol";
import {Digests} from "./libraries/Digests.sol";
import {MaskedPhases} from "./libraries/MaskedPhases.sol";
import {PlaceSets} from "./libraries/PlaceSets.sol";
import {Seats} from "./libraries/Seats.sol";
import {Batch, Clock, MaskedPage, Terms} from "./types/Masked.sol";
import {
    AnchoredRecord,
    MaskedRound,
    Member,
    Outcome,
    Phase,
    SignedAttestation,
    SignedRecord,
    Task
} from "./types/Types.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title MaskedRounds
/// @notice JOIN, SHARES, CHECK, SUBMIT, ATTEST and UNMASK of tasks in secure mode.
/// @dev The round manager opens and settles; nothing here calls it but for what it knows of tasks and members.
contract MaskedRounds is IMaskedRounds, Signed {
    using Attestations for uint256;
    using MaskedPhases for MaskedPage;
    using PlaceSets for mapping(uint256 => uint256);

    /* CONSTANTS */

    uint256 private constant MAX_BUNDLE = 32;
    uint256 private constant MAX_PLACES = 1024;
    uint256 private constant WORD = 224;
    uint256 private constant LANES = 32;
    bytes32 private constant RECORD_TYPEHASH =
        keccak256("Record(bytes32 roundKey,uint8 phase,bytes32 anchor,bytes32 digest)");
    bytes32 private constant ATTESTATION_TYPEHASH =
        keccak256("MaskedAttestation(bytes32 roundKey,uint8 phase,bytes32 anchor,uint256[] bitmap)");

    /* IMMUTABLES */

    /// @notice The only contract whose rounds this serves.
    IRoundManager public immutable MANAGER;
    IAgentRegistry private immutable _AGENTS;
    uint32 private immutable _EPOCH_LENGTH;

    /* STORAGE */

    mapping(uint64 taskId => MaskedPage page) private _pages;
    mapping(bytes32 offence => bool isPunished) private _offences;

    /* MODIFIERS */

    modifier onlyManager() {
        if (msg.sender != address(MANAGER)) revert ReservedForRoundManager(msg.sender);
        _;
    }

    /* CONSTRUCTOR */

    /// @param manager The round manager's (predicted) address.
    /// @param agents Identities and stake.
    constructor(IRoundManager manager, IAgentRegistry agents) {
        MANAGER = manager;
        _AGENTS = agents;
        _EPOCH_LENGTH = agents.epochLength();
    }

    /* STATE-CHANGING */

    /// @inheritdoc IMaskedRounds
    function attestRecords(uint64 taskId, uint32 round, Phase phase, bytes32 anchor, uint256[] calldata bitmap)
        external
    {
        MaskedPage storage page = _requireAttesting(taskId, round, phase, anchor);
        if (!_attest(page, taskId, phase, msg.sender, bitmap)) revert IRoundManager.AlreadyAttested(msg.sender);
        page.complete(taskId, _roundKey(taskId, round));
    }

    /// @inheritdoc IMaskedRounds
    function attestRecordsBundle(
        uint64 taskId,
        uint32 round,
        Phase phase,
        bytes32 anchor,
        SignedAttestation[] calldata attestations
    ) external {
        _requireBundle(attestations.length);
        MaskedPage storage page = _requireAttesting(taskId, round, phase, anchor);
        bytes32 key = _roundKey(taskId, round);
        for (uint256 i = 0; i < attestations.length; ++i) {
            SignedAttestation calldata signed = attestations[i];
            bytes32 bits = keccak256(abi.encodePacked(signed.bitmap));
            bytes32 structHash = keccak256(abi.encode(ATTESTATION_TYPEHASH, key, phase, anchor, bits));
            _verifySignature(signed.validator, structHash, signed.signature);
            _attest(page, taskId, phase, signed.validator, signed.bitmap);
        }
        page.complete(taskId, key);
    }

    /// @inheritdoc IMaskedRounds
    function complain(uint64 taskId, uint32 round, bytes32 anchor, uint256 accused, bytes32 digest) external {
        MaskedPage storage page = _requireRound(taskId, round);
        _requirePhase(page, taskId, Phase.Check);
        uint40 closesAt = page.clock.opensAt + page.terms.forcedWindow;
        if (block.timestamp >= closesAt) revert ComplaintsClosed(closesAt);
        _pinAnchor(page, taskId, anchor);
        uint256 place = _requirePlace(page, Phase.Shares, msg.sender);
        bool isSender = accused < MAX_PLACES && page.sets.has(Phase.Shares, round, accused);
        if (!isSender || accused == place) revert NotAccusable(accused);
        if (digest == 0) revert IRoundManager.InvalidDigest(digest);
        uint256 pair = (place << 16) | accused;
        if (page.complaints[pair] == round) revert AlreadyAccused(accused);
        page.complaints[pair] = round;
        emit ComplaintPosted(taskId, round, msg.sender, uint16(accused), digest);
    }

    /// @inheritdoc IMaskedRounds
    function open(uint64 taskId, uint32 round, uint16 members, uint8 validators, uint32 parentVersion)
        external
        onlyManager
    {
        MaskedPage storage page = _pages[taskId];
        if (page.terms.windows == 0) _copyTerms(page, taskId);
        page.clock = Clock({
            round: round,
            phase: Phase.Join,
            closed: Phase.None,
            opensAt: uint40(block.timestamp),
            closesAt: uint40(block.timestamp) + uint32(page.terms.windows),
            closeBlock: uint40(block.number),
            relayedAt: 0,
            expected: members,
            validators: validators,
            isPinned: true,
            batches: 0
        });
        (page.bounds.openedAt, page.bounds.parentVersion) = (uint40(block.timestamp), parentVersion);
        bytes32 key = _roundKey(taskId, round);
        page.anchor = key;
        page.records = Commitments.start(key);
    }

    /// @inheritdoc IMaskedRounds
    function pinAnchor(uint64 taskId) external {
        MaskedPage storage page = _pages[taskId];
        _requireOpen(page, taskId, page.clock.phase);
        _pinAnchor(page, taskId);
    }

    /// @inheritdoc IMaskedRounds
    function postRecord(uint64 taskId, uint32 round, Phase phase, bytes32 anchor, bytes32 digest) external {
        MaskedPage storage page = _requireRecording(taskId, round, phase);
        _pinAnchor(page, taskId, anchor);
        if (digest == 0) revert IRoundManager.InvalidDigest(digest);
        uint256 place = phase == Phase.Join
            ? _takePlace(page, taskId)
            : _requirePlace(page, MaskedPhases.entitling(phase), msg.sender);
        Commitment records = page.records;
        uint256 count = records.count() + (_fill(page, phase, place) ? 1 : 0);
        page.records = _chain({records: records, account: msg.sender, digest: digest, number: place, count: count});
        emit RecordPosted(taskId, round, msg.sender, phase, uint16(place), digest);
        if (count == page.clock.expected) page.complete(taskId, _roundKey(taskId, round));
    }

    /// @inheritdoc IMaskedRounds
    function punishComplaint(uint64 taskId, uint32 round, uint256 accuser, uint256 accused) external {
        MaskedPage storage page = _requireRound(taskId, round);
        bool hasFailed = accuser < MAX_PLACES && accused < MAX_PLACES && page.clock.closed >= Phase.Check
            && page.complaints[(accuser << 16) | accused] == round && page.sets.has(Phase.Check, round, accused);
        if (!hasFailed) revert NothingMissed(accuser);
        _punish(page, taskId, accuser, Phase.Check);
    }

    /// @inheritdoc IMaskedRounds
    function punishMissing(uint64 taskId, uint32 round, Phase phase, uint256[] calldata places) external {
        _requireBundle(places.length);
        MaskedPage storage page = _requireRound(taskId, round);
        bool isOver =
            (phase == Phase.Shares || phase == Phase.Submit || phase == Phase.Unmask) && page.clock.closed >= phase;
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 place = places[i];
            bool hasMissed = isOver && place < MAX_PLACES && page.sets.has(MaskedPhases.entitling(phase), round, place)
                && !page.sets.has(phase, round, place);
            // Nobody checked the signature of who joined with a batch.
            if (!hasMissed || (phase == Phase.Shares && page.relayed.has(Phase.Join, round, place))) {
                revert NothingMissed(place);
            }
            _punish(page, taskId, place, phase);
        }
    }

    /// @inheritdoc IMaskedRounds
    function relayRecords(
        uint64 taskId,
        uint32 round,
        Phase phase,
        bytes32 anchor,
        uint256[] calldata places,
        SignedRecord[] calldata records
    ) external {
        MaskedPage storage page = _requireRecording(taskId, round, phase);
        _requireRelayer(page);
        _pinAnchor(page, taskId, anchor);
        (uint256[] memory added, uint256 count) = _select(page, phase, places, records.length);
        bytes32 root = _computeRoot(_hashLeaves(anchor, places, added, records, count), count);
        uint16 batch = page.clock.batches++;
        page.clock.relayedAt = uint40(block.timestamp);
        Batch storage stored = page.batches[batch];
        (stored.root, stored.relayer, stored.phase) = (root, msg.sender, phase);
        Commitment word = page.records;
        page.records =
            _chain({records: word, account: msg.sender, digest: root, number: batch, count: word.count() + count});
        _logRelayed({
            taskId: taskId,
            round: round,
            phase: phase,
            batch: batch,
            root: root,
            places: places,
            added: added,
            records: records
        });
        page.complete(taskId, _roundKey(taskId, round));
    }

    /// @inheritdoc IMaskedRounds
    function reportEquivocation(
        uint64 taskId,
        uint32 round,
        Phase phase,
        address agent,
        AnchoredRecord calldata first,
        AnchoredRecord calldata second
    ) external {
        bytes32 key = _roundKey(taskId, round);
        bool isOffence = MaskedPhases.isRecorded(phase)
            && (first.anchor != second.anchor || first.digest != second.digest)
            && _isSigned({agent: agent, key: key, phase: phase, record: first})
            && _isSigned({agent: agent, key: key, phase: phase, record: second});
        if (!isOffence) revert IRoundManager.NoOffence(agent);
        if (MANAGER.getMember(taskId, agent).role == 0) revert IRoundManager.NotEntitled(agent);
        bytes32 offence = keccak256(abi.encode(key, phase, agent));
        if (_offences[offence]) revert IRoundManager.AlreadyPunished(agent);
        _offences[offence] = true;
        emit EquivocationPunished(taskId, agent, offence, msg.sender);
        _AGENTS.punishOffence(agent, msg.sender);
    }

    /// @inheritdoc IMaskedRounds
    function settle(uint64 taskId)
        external
        onlyManager
        returns (
            Outcome outcome,
            bool isOver,
            uint240 commitment,
            uint16 places,
            uint8 attesters,
            uint256[] memory survivors
        )
    {
        MaskedPage storage page = _pages[taskId];
        Phase phase = getPhase(taskId);
        if (phase != Phase.Settle) revert IRoundManager.WrongPhase(Phase.Settle, phase);
        uint256 members;
        (outcome, survivors, members) = page.judge();
        if (outcome != Outcome.None) {
            (page.clock.closed, page.clock.phase) = (page.clock.phase, Phase.Ended);
            return (outcome, false, 0, 0, 0, survivors);
        }
        page.close(taskId, _roundKey(taskId, page.clock.round), survivors, members);
        if (page.clock.phase != Phase.Ended) return (outcome, false, 0, 0, 0, survivors);
        survivors = page.load(Phase.Attest);
        return (outcome, true, page.records.value(), page.bounds.places, page.attesters(Phase.Attest), survivors);
    }

    /// @inheritdoc IMaskedRounds
    function voidRecord(
        uint64 taskId,
        uint32 round,
        uint256 batch,
        bytes32 anchor,
        uint256 place,
        SignedRecord calldata record,
        bytes32[] calldata proof
    ) external {
        MaskedPage storage page = _requireRound(taskId, round);
        if (batch >= page.clock.batches) revert NoSuchRecord(batch, place);
        Batch storage source = page.batches[batch];
        Phase phase = source.phase;
        _requireVoidable(page, taskId, phase);
        bytes32 leaf = keccak256(abi.encode(anchor, place, record.digest, record.r, record.vs));
        bool isInForce = place < MAX_PLACES && page.sets.has(phase, round, place)
            && page.relayed.has(phase, round, place) && MerkleProof.verifyCalldata(proof, source.root, leaf);
        if (!isInForce) revert NoSuchRecord(batch, place);
        address agent = page.holders[place];
        if (_isSound({page: page, taskId: taskId, phase: phase, anchor: anchor, agent: agent, record: record})) {
            revert RecordIsSound(place);
        }
        _void(page, phase, agent, place);
        emit RecordVoided(taskId, round, agent, phase, uint16(batch), uint16(place));
        address relayer = source.relayer;
        if (relayer == address(0)) return;
        source.relayer = address(0);
        _AGENTS.punishOffence(relayer, msg.sender);
    }

    /* VIEW */

    /// @inheritdoc IMaskedRounds
    function getHolders(uint64 taskId) external view returns (address[] memory holders) {
        MaskedPage storage page = _pages[taskId];
        holders = new address[](page.bounds.places);
        for (uint256 place = 0; place < holders.length; ++place) {
            holders[place] = page.holders[place];
        }
    }

    /// @inheritdoc IMaskedRounds
    function getMasked(uint64 taskId) external view returns (MaskedRound memory masked) {
        MaskedPage storage page = _pages[taskId];
        Clock memory clock = page.clock;
        (masked.round, masked.phase, masked.opensAt) = (clock.round, clock.phase, clock.opensAt);
        (masked.closesAt, masked.closeBlock, masked.expected) = (clock.closesAt, clock.closeBlock, clock.expected);
        (masked.count, masked.commitment) = (uint16(page.records.count()), page.records.value());
        if (MaskedPhases.isAttested(clock.phase)) masked.attesters = page.attesters(clock.phase);
        (masked.places, masked.batches, masked.spent) = (page.bounds.places, clock.batches, page.bounds.spent);
        (masked.revealedVersion, masked.revealed) = (page.bounds.revealedVersion, page.bounds.revealed);
        masked.anchor = _anchor(page);
    }

    /// @inheritdoc IMaskedRounds
    function getPlace(uint64 taskId, address agent) external view returns (bool hasPlace, uint16 place) {
        uint256 stored = _pages[taskId].places[agent];
        return stored == 0 ? (false, 0) : (true, uint16(stored - 1));
    }

    /// @inheritdoc IMaskedRounds
    function getSet(uint64 taskId, Phase phase) external view returns (uint256[] memory) {
        return _pages[taskId].load(phase);
    }

    /// @inheritdoc IMaskedRounds
    function getPhase(uint64 taskId) public view returns (Phase) {
        Clock storage clock = _pages[taskId].clock;
        return block.timestamp < clock.closesAt ? clock.phase : Phase.Settle;
    }

    /* INTERNAL */

    function _attest(MaskedPage storage page, uint64 taskId, Phase phase, address validator, uint256[] calldata bitmap)
        internal
        returns (bool isNew)
    {
        if (!_isEntitled(page, taskId, validator, Seats.VALIDATOR)) revert IRoundManager.NotEntitled(validator);
        uint32 round = page.clock.round;
        uint256 places = page.bounds.places;
        if (bitmap.length != PlaceSets.length(places)) revert IRoundManager.InvalidBitmap(places);
        uint256[] memory added = new uint256[](bitmap.length);
        mapping(uint256 => uint256) storage attested = page.attested[validator];
        for (uint256 word = 0; word < added.length; ++word) {
            uint256 bits = bitmap[word];
            uint256 known = page.sets.load(PlaceSets.key(MaskedPhases.entitling(phase), word), round);
            if (bits & ~known != 0) revert IRoundManager.InvalidBitmap(places);
            uint256 index = PlaceSets.key(phase, word);
            // Every attester tags the first word, so a tag missing there is a first attestation.
            bool isFirst = word == 0 && attested[index] >> WORD != round;
            uint256 held = attested.load(index, round);
            added[word] = bits & ~held;
            if (!isFirst && added[word] == 0) continue;
            attested.save(index, round, held | bits);
            isNew = true;
            _count(page, uint256(phase) * MaskedPhases.PHASE_GROUPS + word * MaskedPhases.GROUPS, added[word], isFirst);
        }
        if (isNew) emit RecordsAttested(taskId, round, validator, phase, added);
    }

    function _chain(Commitment records, address account, bytes32 digest, uint256 number, uint256 count)
        internal
        pure
        returns (Commitment)
    {
        return Commitment.wrap((count << 240) | records.append(account, digest, number).value());
    }

    /// @dev Builds the tree in place: node i has the children 2i + 1 and 2i + 2, and the leaves are at its end.
    function _computeRoot(bytes32[] memory nodes, uint256 count) internal pure returns (bytes32 root) {
        // A node for each record of a batch: in plain Solidity each checks three indices.
        assembly ("memory-safe") {
            let base := add(nodes, 0x20)
            for { let i := sub(count, 1) } i { i := sub(i, 1) } {
                let left := mload(add(base, sub(shl(6, i), 0x20)))
                let right := mload(add(base, shl(6, i)))
                let isSorted := lt(left, right)
                mstore(shl(5, iszero(isSorted)), left)
                mstore(shl(5, isSorted), right)
                mstore(add(base, shl(5, sub(i, 1))), keccak256(0, 0x40))
            }
            root := mload(base)
        }
    }

    function _copyTerms(MaskedPage storage page, uint64 taskId) internal {
        Task memory task = MANAGER.getTask(taskId);
        uint256 windows = task.unmaskWindow;
        windows = (windows << 32) | task.attestWindow;
        windows = (windows << 32) | task.submitWindow;
        windows = (windows << 32) | task.checkWindow;
        windows = (windows << 32) | task.sharesWindow;
        windows = (windows << 32) | task.joinWindow;
        page.terms = Terms(uint192(windows), task.forcedWindow, task.finalityDelay, task.minSurvivors);
        (page.bounds.minAgents, page.bounds.threshold) = (task.minAgents, task.threshold);
    }

    function _count(MaskedPage storage page, uint256 group, uint256 bits, bool isFirst) internal {
        uint256 round = page.clock.round;
        do {
            uint256 counters = page.counters[group].add(round, bits & type(uint32).max);
            if (isFirst) (counters,) = counters.addAttester();
            isFirst = false;
            page.counters[group] = counters;
            bits >>= LANES;
            ++group;
        } while (bits != 0);
    }

    /// @return isNew Whether the place had no record; otherwise this one replaces a relayed one.
    function _fill(MaskedPage storage page, Phase phase, uint256 place) internal returns (bool isNew) {
        uint256 round = page.clock.round;
        uint256 index = PlaceSets.key(phase, place / WORD);
        uint256 bit = 1 << (place % WORD);
        uint256 bits = page.sets.load(index, round);
        isNew = bits & bit == 0;
        uint256 relayed = page.clock.relayedAt == 0 ? 0 : page.relayed.load(index, round);
        if (!isNew && relayed & bit == 0) revert AlreadyPosted(msg.sender);
        if (relayed & bit != 0) page.relayed.save(index, round, relayed & ~bit);
        if (isNew) page.sets.save(index, round, bits | bit);
    }

    /// @dev The leaves of the records that count, keccak256(abi.encode(anchor, place, record)), at the end of an array
    /// for the whole tree. There is one record for each bit in `places`.
    function _hashLeaves(
        bytes32 anchor,
        uint256[] calldata places,
        uint256[] memory added,
        SignedRecord[] calldata records,
        uint256 count
    ) internal pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[](2 * count - 1);
        uint256 leaf;
        uint256 record;
        assembly ("memory-safe") {
            leaf := add(nodes, shl(5, count))
            record := records.offset
        }
        for (uint256 word = 0; word < places.length; ++word) {
            (leaf, record) = _hashWord(anchor, word * WORD, places[word], added[word], leaf, record);
        }
    }

    /// @param leaf Where in memory the next leaf goes.
    /// @param record Where in calldata the next record is.
    function _hashWord(bytes32 anchor, uint256 place, uint256 bits, uint256 added, uint256 leaf, uint256 record)
        internal
        pure
        returns (uint256, uint256)
    {
        // In plain Solidity each record of a batch would allocate memory and check its indices.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, anchor)
            for {} bits {} {
                if and(bits, 1) {
                    if and(added, 1) {
                        mstore(add(free, 0x20), place)
                        calldatacopy(add(free, 0x40), record, 0x60)
                        mstore(leaf, keccak256(free, 0xa0))
                        leaf := add(leaf, 0x20)
                    }
                    record := add(record, 0x60)
                }
                bits := shr(1, bits)
                added := shr(1, added)
                place := add(place, 1)
            }
        }
        return (leaf, record);
    }

    /// @dev emit RecordsRelayed(taskId, round, msg.sender, phase, batch, root, places, added, records), without copying
    /// the records one by one.
    function _logRelayed(
        uint64 taskId,
        uint32 round,
        Phase phase,
        uint16 batch,
        bytes32 root,
        uint256[] calldata places,
        uint256[] memory added,
        SignedRecord[] calldata records
    ) internal {
        bytes32 topic = RecordsRelayed.selector;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, phase)
            mstore(add(free, 0x20), batch)
            mstore(add(free, 0x40), root)
            let size := add(0x20, shl(5, places.length))
            mstore(add(free, 0x60), 0xc0)
            mstore(add(free, 0x80), add(0xc0, size))
            mstore(add(free, 0xa0), add(0xc0, shl(1, size)))
            let tail := add(free, 0xc0)
            mstore(tail, places.length)
            calldatacopy(add(tail, 0x20), places.offset, shl(5, places.length))
            tail := add(tail, size)
            mcopy(tail, added, size)
            tail := add(tail, size)
            mstore(tail, records.length)
            tail := add(tail, 0x20)
            size := mul(records.length, 0x60)
            calldatacopy(tail, records.offset, size)
            log4(free, sub(add(tail, size), free), topic, taskId, round, caller())
        }
    }

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

    function _punish(MaskedPage storage page, uint64 taskId, uint256 place, Phase phase) internal {
        uint32 round = page.clock.round;
        uint256 index = PlaceSets.key(Phase.None, place / WORD);
        uint256 bits = page.sets.load(index, round);
        uint256 bit = 1 << (place % WORD);
        if (bits & bit != 0) revert NothingMissed(place);
        page.sets.save(index, round, bits | bit);
        address agent = page.holders[place];
        emit AgentMissed(taskId, round, agent, phase);
        _AGENTS.punishSilence(agent);
    }

    /// @dev Records the places that have a part in this phase and no record yet.
    /// @return added These places.
    /// @return count Their number.
    function _select(MaskedPage storage page, Phase phase, uint256[] calldata places, uint256 records)
        internal
        returns (uint256[] memory added, uint256 count)
    {
        uint256 total = page.bounds.places;
        if (places.length != PlaceSets.length(total)) revert InvalidPlaces(total);
        uint256 round = page.clock.round;
        uint256 named = 0;
        added = new uint256[](places.length);
        for (uint256 word = 0; word < places.length; ++word) {
            uint256 bits = places[word];
            uint256 width = total - word * WORD;
            if (bits >> (width < WORD ? width : WORD) != 0) revert InvalidPlaces(total);
            named += bits.popcount();
            if (bits == 0) continue;
            bits = _fillBatch(page, phase, word, round, bits);
            added[word] = bits;
            count += bits.popcount();
        }
        if (named != records) revert InvalidPlaces(total);
        if (count == 0) revert NothingToRelay();
    }

    function _fillBatch(MaskedPage storage page, Phase phase, uint256 word, uint256 round, uint256 bits)
        internal
        returns (uint256 added)
    {
        uint256 index = PlaceSets.key(phase, word);
        uint256 held = page.sets.load(index, round);
        uint256 relayed = page.relayed.load(index, round);
        added = bits & ~held & ~relayed;
        if (phase != Phase.Join) added &= page.sets.load(PlaceSets.key(MaskedPhases.entitling(phase), word), round);
        if (added == 0) return 0;
        page.sets.save(index, round, held | added);
        page.relayed.save(index, round, relayed | added);
    }

    function _takePlace(MaskedPage storage page, uint64 taskId) internal returns (uint256 place) {
        if (!_isEntitled(page, taskId, msg.sender, Seats.AGENT)) revert IRoundManager.NotEntitled(msg.sender);
        uint256 stored = page.places[msg.sender];
        if (stored != 0) return stored - 1;
        place = page.bounds.places;
        if (place == MAX_PLACES) revert PlacesExhausted(taskId);
        page.bounds.places = uint16(place + 1);
        page.places[msg.sender] = place + 1;
        page.holders[place] = msg.sender;
    }

    function _void(MaskedPage storage page, Phase phase, address agent, uint256 place) internal {
        uint256 round = page.clock.round;
        uint256 index = PlaceSets.key(phase, place / WORD);
        page.sets.save(index, round, page.sets.load(index, round) & ~(1 << (place % WORD)));
        Commitment records = page.records;
        page.records = _chain({records: records, account: agent, digest: 0, number: place, count: records.count() - 1});
        // The phase is not complete any more: the agent has its whole window for a direct record.
        if (page.clock.phase == phase) page.clock.closesAt = page.schedule();
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

    function _isSigned(address agent, bytes32 key, Phase phase, AnchoredRecord calldata record)
        internal
        view
        returns (bool)
    {
        return _isSigner({
            agent: agent,
            key: key,
            phase: phase,
            anchor: record.anchor,
            digest: record.digest,
            r: record.r,
            vs: record.vs
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

    /// @dev A relayed record is sound if it is its agent's, who may make it.
    function _isSound(
        MaskedPage storage page,
        uint64 taskId,
        Phase phase,
        bytes32 anchor,
        address agent,
        SignedRecord calldata record
    ) internal view returns (bool) {
        if (record.digest == 0) return false;
        if (phase == Phase.Join && !_isEntitled(page, taskId, agent, Seats.AGENT)) return false;
        return _isSigner({
            agent: agent,
            key: _roundKey(taskId, page.clock.round),
            phase: phase,
            anchor: anchor,
            digest: record.digest,
            r: record.r,
            vs: record.vs
        });
    }

    function _requireAttesting(uint64 taskId, uint32 round, Phase phase, bytes32 anchor)
        internal
        returns (MaskedPage storage page)
    {
        page = _requireRound(taskId, round);
        if (!MaskedPhases.isAttested(phase)) revert NoRecords(phase);
        _requirePhase(page, taskId, phase);
        if (phase == Phase.Check) {
            // A bitmap cannot be taken back: complaints come first.
            uint40 opensAt = page.clock.opensAt + page.terms.forcedWindow;
            if (block.timestamp < opensAt) revert NotOpenYet(opensAt);
        }
        _pinAnchor(page, taskId, anchor);
    }

    function _requireBundle(uint256 length) internal pure {
        if (length == 0 || length > MAX_BUNDLE) revert IRoundManager.InvalidBundle(length);
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

    function _requireRecording(uint64 taskId, uint32 round, Phase phase)
        internal
        view
        returns (MaskedPage storage page)
    {
        page = _requireRound(taskId, round);
        if (!MaskedPhases.isRecorded(phase)) revert NoRecords(phase);
        _requirePhase(page, taskId, phase);
    }

    function _requireRelayer(MaskedPage storage page) internal view {
        if (!_AGENTS.isEligible(msg.sender, Seats.PROPOSER)) revert NotRelayer(msg.sender);
        uint40 latest = page.schedule() - page.terms.forcedWindow;
        if (block.timestamp > latest) revert TooLateToRelay(latest);
    }

    function _requireRound(uint64 taskId, uint32 round) internal view returns (MaskedPage storage page) {
        page = _pages[taskId];
        if (page.clock.round != round) revert IRoundManager.WrongRound(page.clock.round, round);
    }

    /// @dev Records can be voided while their phase is open, submissions until ATTEST closes.
    function _requireVoidable(MaskedPage storage page, uint64 taskId, Phase phase) internal view {
        bool isLate = phase == Phase.Submit && page.clock.phase == Phase.Attest;
        if (!isLate) {
            _requirePhase(page, taskId, phase);
        } else if (block.timestamp >= page.clock.closesAt) {
            revert IRoundManager.WrongPhase(phase, MANAGER.getPhase(taskId));
        }
    }

    function _roundKey(uint64 taskId, uint32 round) internal view returns (bytes32) {
        return Digests.roundKey(address(MANAGER), taskId, round);
    }
}
