"""What a development chain can do and a real one cannot: move time, edit state, go back."""

from flchain.chain.rpc import Rpc
from flchain.protocol.errors import AdapterError
from flchain.protocol.types import Address, Seconds, Timestamp, Wei


class DevnetControl:
    """Anvil's own methods, for tests and demonstrations."""

    def __init__(self, rpc: Rpc) -> None:
        """Take a connection to Anvil."""
        self._rpc = rpc

    def advance_time(self, seconds: Seconds) -> Timestamp:
        """Move the clock ahead, make a block and return its time."""
        self._rpc.call("evm_increaseTime", seconds)
        self._rpc.call("evm_mine")
        return Timestamp(
            int(self._rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        )

    def mine(self, blocks: int = 1) -> None:
        """Make empty blocks, each at least one second later than the one before."""
        self._rpc.call("anvil_mine", hex(blocks))

    def set_mining(self, *, is_automatic: bool, block_time: int = 0) -> None:
        """Make a block for each transaction, or every `block_time` seconds, or by `mine` alone.

        Doing both, as a devnet does when it starts, cannot be switched on again.
        """
        if is_automatic:
            self._rpc.call("evm_setAutomine", True)
        else:
            self._rpc.call("evm_setIntervalMining", block_time)

    def take_snapshot(self) -> str:
        """Return an id to which `revert` can go back."""
        return str(self._rpc.call("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back to a snapshot, which is used up. Raises AdapterError if it is unknown."""
        if not self._rpc.call("evm_revert", snapshot):
            raise AdapterError(f"the devnet has no snapshot {snapshot}: take a new one")

    def reorganise(self, depth: int) -> None:
        """Replace the newest `depth` blocks by as many empty ones."""
        self._rpc.call("anvil_reorg", depth, [])

    def impersonate(self, address: Address) -> None:
        """Let `eth_sendTransaction` send as an account whose key nobody has."""
        self._rpc.call("anvil_impersonateAccount", address)

    def set_balance(self, address: Address, balance: Wei) -> None:
        """Set an account's native balance."""
        self._rpc.call("anvil_setBalance", address, hex(balance))

    def get_storage(self, contract: Address, slot: int) -> bytes:
        """Return one storage word of 32 bytes."""
        word = self._rpc.call("eth_getStorageAt", contract, hex(slot), "latest")
        return bytes.fromhex(word.removeprefix("0x"))

    def set_storage(self, contract: Address, slot: int, word: bytes) -> None:
        """Overwrite one storage word of 32 bytes behind the contract's back."""
        self._rpc.call("anvil_setStorageAt", contract, f"0x{slot:064x}", f"0x{word.hex():0>64}")
