"""Each account's next nonce, for as long as this process alone sends for it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from flchain.protocol.types import Address


@dataclass(slots=True)
class _Account:
    lock: Lock = field(default_factory=Lock)
    nonce: int | None = None


class Nonces:
    """Nonces under one lock for each account; safe to share between threads."""

    def __init__(self) -> None:
        """Know no account yet."""
        self._accounts: dict[Address, _Account] = {}
        self._lock = Lock()

    @contextmanager
    def hold(self, addresses: Sequence[Address]) -> Iterator[None]:
        """Keep other threads from sending for these accounts.

        If the block is left by an exception, it is not known what the node has taken: the
        nonces are forgotten, to be asked for again.
        """
        with self._lock:
            # In one order everywhere, so that two threads cannot wait for each other.
            accounts = [
                self._accounts.setdefault(address, _Account()) for address in sorted(addresses)
            ]
        for account in accounts:
            account.lock.acquire()
        try:
            yield
        except BaseException:
            for account in accounts:
                account.nonce = None
            raise
        finally:
            for account in accounts:
                account.lock.release()

    def get(self, address: Address) -> int | None:
        """Return a held account's next nonce, or None if the node must be asked."""
        return self._accounts[address].nonce

    def set(self, address: Address, nonce: int | None) -> None:
        """Set a held account's next nonce; None if it is not known."""
        self._accounts[address].nonce = nonce
