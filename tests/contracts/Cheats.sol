// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @notice The cheat codes of forge's test EVM that these tests use.
/// @dev The copy of forge-std on npm is unofficial and old, so the interface is declared here.
interface Vm {
    /// @notice One recorded event log.
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    /// @notice What one call used.
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    // Time and chain

    /// @notice Set `block.timestamp`.
    function warp(uint256 timestamp) external;
    /// @notice Set `block.number`.
    function roll(uint256 number) external;
    /// @notice Set `block.basefee`.
    function fee(uint256 baseFee) external;
    /// @notice Set `block.chainid`.
    function chainId(uint256 id) external;
    /// @notice Set `block.prevrandao`.
    function prevrandao(bytes32 value) external;
    /// @notice Set the hash of a recent block.
    function setBlockhash(uint256 number, bytes32 value) external;
    /// @notice Return `block.timestamp`, which via-IR may otherwise cache across a warp.
    function getBlockTimestamp() external view returns (uint256 timestamp);
    /// @notice Return `block.number`, which via-IR may otherwise cache across a roll.
    function getBlockNumber() external view returns (uint256 number);

    // Callers and accounts

    /// @notice Make the next call come from `sender`.
    function prank(address sender) external;
    /// @notice Make the next call come from `sender`, in a transaction from `origin`.
    function prank(address sender, address origin) external;
    /// @notice Make all calls come from `sender` until `stopPrank`.
    function startPrank(address sender) external;
    /// @notice Make all calls come from `sender`, in transactions from `origin`, until `stopPrank`.
    function startPrank(address sender, address origin) external;
    /// @notice End `startPrank`.
    function stopPrank() external;
    /// @notice Set the balance of `account` in wei.
    function deal(address account, uint256 balance) external;
    /// @notice Set the code of `account`.
    function etch(address account, bytes calldata code) external;
    /// @notice Return the address of a private key.
    function addr(uint256 privateKey) external pure returns (address account);
    /// @notice Sign a digest with a private key.
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    /// @notice Return the nonce of `account`.
    function getNonce(address account) external view returns (uint64 nonce);
    /// @notice Give `account` a name in traces.
    function label(address account, string calldata name) external;

    // Deployment

    /// @notice Deploy what was compiled from `artifact` ("File.sol:Contract"), linked, as a creation of the caller.
    function deployCode(string calldata artifact, bytes calldata arguments) external returns (address deployed);

    // Expectations

    /// @notice Expect the next call to revert.
    function expectRevert() external;
    /// @notice Expect the next call to revert with the selector alone as its data.
    function expectRevert(bytes4 selector) external;
    /// @notice Expect the next call to revert with exactly this data.
    function expectRevert(bytes calldata data) external;
    /// @notice Expect the next call to revert in `reverter`.
    function expectRevert(address reverter) external;
    /// @notice Expect the next call to revert in `reverter` with the selector alone as its data.
    function expectRevert(bytes4 selector, address reverter) external;
    /// @notice Expect the next call to revert in `reverter` with exactly this data.
    function expectRevert(bytes calldata data, address reverter) external;
    /// @notice Expect the next call to revert with data that begins with the selector.
    function expectPartialRevert(bytes4 selector) external;
    /// @notice Expect the event emitted next by the test: all topics and data.
    function expectEmit() external;
    /// @notice Expect the event emitted next by the test, from `emitter`: all topics and data.
    function expectEmit(address emitter) external;
    /// @notice Expect the event emitted next by the test: only the topics and data that are switched on.
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data) external;
    /// @notice Expect the event emitted next by the test, from `emitter`: only the parts that are switched on.
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data, address emitter) external;
    /// @notice Expect a call to `callee` whose data begins with `data`.
    function expectCall(address callee, bytes calldata data) external;
    /// @notice Expect `count` calls to `callee` whose data begins with `data`.
    function expectCall(address callee, bytes calldata data, uint64 count) external;

    // Fuzzing

    /// @notice Discard this fuzz input unless `condition` holds.
    function assume(bool condition) external pure;

    // Logs, storage and state

    /// @notice Start to record logs.
    function recordLogs() external;
    /// @notice Return the logs recorded since the last call.
    function getRecordedLogs() external returns (Log[] memory logs);
    /// @notice Return a storage slot of `account`.
    function load(address account, bytes32 slot) external view returns (bytes32 value);
    /// @notice Set a storage slot of `account`.
    function store(address account, bytes32 slot, bytes32 value) external;
    /// @notice Start to record storage reads and writes.
    function record() external;
    /// @notice Return the slots of `account` that were read and written.
    function accesses(address account) external returns (bytes32[] memory reads, bytes32[] memory writes);
    /// @notice Save the whole state of the EVM.
    function snapshotState() external returns (uint256 id);
    /// @notice Restore a saved state.
    function revertToState(uint256 id) external returns (bool success);

    // Gas

    /// @notice Return what the last call used.
    function lastCallGas() external view returns (Gas memory gas);
    /// @notice Write the gas of the last call to the snapshots folder under the test contract's name.
    function snapshotGasLastCall(string calldata name) external returns (uint256 gasUsed);
    /// @notice Write the gas of the last call to the snapshots folder under `group`.
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256 gasUsed);
    /// @notice Write a number to the snapshots folder under `group`.
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
    /// @notice Make every address and slot cold again, as at the start of a transaction.
    function cool(address account) external;

    // Files and text

    /// @notice Return a file's text; `fs_permissions` in foundry.toml lists the folders.
    function readFile(string calldata path) external view returns (string memory text);
    /// @notice Return the folder of foundry.toml.
    function projectRoot() external view returns (string memory path);
    /// @notice Return a number in a JSON text.
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256 value);
    /// @notice Return a 32-byte word in a JSON text.
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32 value);
    /// @notice Return bytes in a JSON text.
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory value);
    /// @notice Return an address in a JSON text.
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address value);
    /// @notice Return a number in decimal.
    function toString(uint256 value) external pure returns (string memory text);
    /// @notice Return a word in hexadecimal.
    function toString(bytes32 value) external pure returns (string memory text);
}

/// @notice Base of the Solidity tests: the cheat codes, assertions that show both values, and input bounds.
abstract contract Cheats {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice Thrown when two values that should be equal differ.
    error NotEqual(bytes32 actual, bytes32 expected, string what);
    /// @notice Thrown when a number is above its limit.
    error Above(uint256 actual, uint256 limit, string what);
    /// @notice Thrown when a statement does not hold.
    error NotTrue(string what);

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function assertEq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(bytes32(actual), bytes32(expected), what);
    }

    function assertEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(actual, expected, what);
    }

    function assertEq(address actual, address expected, string memory what) internal pure {
        assertEq(uint256(uint160(actual)), uint256(uint160(expected)), what);
    }

    function assertLe(uint256 actual, uint256 limit, string memory what) internal pure {
        if (actual > limit) revert Above(actual, limit, what);
    }

    /// @notice Return `value` wrapped into the closed range from `low` to `high`; a value inside stays.
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256 bounded) {
        assertLe(low, high, "bound: empty range");
        if (value >= low && value <= high) return value;
        uint256 size = high - low + 1;
        return size == 0 ? value : low + (value % size);
    }

    /// @notice Deploy a contract from its artifact, so that no test that uses it compiles it in.
    function deploy(string memory name, bytes memory arguments) internal returns (address) {
        return vm.deployCode(string.concat(name, ".sol:", name), arguments);
    }

    /// @notice Return an account, and its key, that are the same for the same name.
    function makeAccount(string memory name) internal returns (address account, uint256 privateKey) {
        privateKey = uint256(keccak256(bytes(name)));
        account = vm.addr(privateKey);
        vm.label(account, name);
    }
}
