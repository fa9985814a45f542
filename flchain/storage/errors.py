"""What can go wrong with stored content, and who must act.

The branch of `flchain.protocol.errors` that each class hangs from tells who; the message tells how.
"""

from flchain.protocol.errors import AdapterError, ConfigError, EncodingError, ProofError
from flchain.storage.cid import Cid


class InvalidDag(EncodingError):
    """A block is not a UnixFS file node, or declares sizes that differ."""


class InvalidCar(EncodingError):
    """A stream is not a CARv1 archive."""


class ContentTooLarge(EncodingError):
    """Content, a block or a tree exceeds its limit; its maker must shrink it."""


class ContentCorrupt(ProofError):
    """Bytes do not hash to the CID that they were stored or sent under."""

    def __init__(self, cid: Cid, block: Cid, where: str, advice: str) -> None:
        """Record the content `cid`, the wrong `block` and the place `where` it was."""
        super().__init__(f"{where}: block {block} of {cid} does not match its CID; {advice}")
        self.cid = cid
        self.block = block


class ContentUnavailable(AdapterError):
    """No reachable place holds a block; its publisher must serve it."""

    def __init__(self, cid: Cid, where: str) -> None:
        """Record the missing block `cid` and the place `where` it was sought."""
        super().__init__(
            f"{cid} is not in {where}; ask whoever published it to serve it, then try again",
            is_retryable=True,
        )
        self.cid = cid


class StoreFull(AdapterError):
    """The disk has no room; nothing was changed. The operator must make room."""


class StoreLocked(AdapterError):
    """Another process holds the store; wait for it or stop it."""


class StoreUnreachable(AdapterError):
    """A remote node or gateway does not answer as it should."""


class StoreUnusable(ConfigError):
    """A store's folder, address or permission must be put right first."""


def to_one_line(error: Exception) -> str:
    """Return what a foreign error says, on one line of at most 200 characters."""
    return (" ".join(str(error).split()) or repr(error))[:200]
