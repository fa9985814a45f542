"""Content stores by address, as a configuration names them."""

from collections.abc import Callable
from pathlib import Path

from flchain.protocol.disk_errors import explained
from flchain.storage.base import ContentStore, Publisher, Source
from flchain.storage.disk import DiskStore
from flchain.storage.errors import StoreUnusable
from flchain.storage.gateway import GatewaySource
from flchain.storage.layered import LayeredStore
from flchain.storage.local import LocalStore
from flchain.storage.memory import make_memory_store
from flchain.storage.pins import PinTable
from flchain.storage.remote import RemoteStore, make_read_only_store

_FORMS = "memory:, file:FOLDER, kubo:/ip4/127.0.0.1/tcp/5001 or gateway:http://HOST:PORT"


def open_store(
    url: str,
    *,
    folder: Path | None = None,
    durable: bool = True,
    clock: Callable[[], float] | None = None,
) -> ContentStore:
    """Open the store that `url` names; a comma joins a local one to remote ones.

    The forms are memory:, file:FOLDER, kubo:MULTIADDRESS and gateway:URL. In a list the first is
    local; blocks are looked for from left to right, and every kubo: also receives what is added.
    A kubo: alone keeps the names of its pins in `folder`, or in memory without one. `durable` is
    that of `DiskStore`, `clock` that of `MemoryBlocks`. Raises `StoreUnusable`.
    """
    parts = [part.strip() for part in url.split(",")]
    kind, _, place = parts[0].partition(":")
    if kind in ("memory", "file"):
        local = make_memory_store(clock) if kind == "memory" else _open_folder(place, durable)
        return _add_layers(local, parts[1:]) if parts[1:] else local
    if len(parts) > 1:
        raise StoreUnusable(f"{url!r}: a list of stores starts with file: or memory:")
    return _open_remote(parts[0], folder)


def _open_folder(place: str, durable: bool) -> LocalStore:  # noqa: FBT001 - private
    if not place:
        raise StoreUnusable("file: needs a folder, as in file:/var/lib/flchain/ipfs")
    return DiskStore(Path(place).expanduser(), durable=durable)


def _open_remote(url: str, folder: Path | None) -> ContentStore:
    source, publisher = _open_source(url)
    if publisher is None:
        return make_read_only_store(source)
    if folder is None:
        return RemoteStore(publisher, PinTable(None))
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return RemoteStore(publisher, PinTable(folder / "pins.sqlite"))


def _add_layers(local: LocalStore, urls: list[str]) -> LayeredStore:
    pairs = [_open_source(url) for url in urls]
    publishers = [publisher for _, publisher in pairs if publisher is not None]
    return LayeredStore(local, [source for source, _ in pairs], publishers)


def _open_source(url: str) -> tuple[Source, Publisher | None]:
    """Return a remote place, twice when it also takes content."""
    kind, _, place = url.partition(":")
    if kind == "gateway":
        return GatewaySource(place), None
    if kind == "kubo":
        node = _make_kubo_node(place)
        return node, node
    raise StoreUnusable(f"{url!r} is no store; use {_FORMS}")


def _make_kubo_node(address: str) -> Publisher:
    try:
        # The client is an extra, and slow to import.
        from flchain.storage.kubo import KuboNode  # noqa: PLC0415
    except ImportError as error:
        raise StoreUnusable("kubo: needs `pip install 'flchain[ipfs]'`") from error
    return KuboNode(address)
