"""Payloads behind the digests on chain: sealing, publishing and fetching them.

A digest on chain names a manifest block, and the manifest names the payload. `Archive.fetch`
follows both steps and checks every byte, so what it returns is what the digest commits to.
"""

import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from flchain.protocol.errors import EncodingError, ProofError
from flchain.protocol.manifest import (
    Manifest,
    build_manifest,
    compute_manifest_digest,
    decode_manifest,
    encode_manifest,
    verify_binding,
    verify_payload,
)
from flchain.protocol.types import Digest
from flchain.storage.base import ContentStore
from flchain.storage.cid import Cid, cid_from_digest, compute_raw_cid, decode_cid
from flchain.storage.errors import ContentCorrupt, ContentUnavailable
from flchain.storage.unixfs import build_blocks

_REMEMBERED = 1 << 13
"""Payloads whose CIDs are remembered: several rounds of the largest task."""


class MalformedPayload(EncodingError):
    """The bytes behind a digest are all here, and are not what they should be."""


@dataclass(frozen=True)
class Sealed:
    """A payload with its manifest, not yet published."""

    payload: bytes
    manifest: Manifest

    @property
    def digest(self) -> Digest:
        """What goes on chain."""
        return compute_manifest_digest(self.manifest)


def seal_payload(payload: bytes, **fields: Any) -> Sealed:
    """Build the manifest of `payload`; `fields` are those of `build_manifest` but the CID."""
    *_, root = build_blocks(io.BytesIO(payload))
    return Sealed(payload, build_manifest(payload, cid=str(root.cid), **fields))


class Archive:
    """Payloads by digest, over one content store, with the newest ones at hand.

    A payload is verified once and then kept, up to `limit` bytes in all, so that a validator who
    has checked an update does not read it again to add it up. Several threads may use one.
    """

    def __init__(self, store: ContentStore, *, limit: int = 256 << 20) -> None:
        """Start with nothing at hand."""
        self.store = store
        self._limit = limit
        self._kept: OrderedDict[Digest, tuple[Manifest, bytes]] = OrderedDict()
        self._read_cids: OrderedDict[Digest, Cid] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def publish(self, sealed: Sealed, pin: str) -> Digest:
        """Store the payload, then the manifest, under one pin; return the manifest's digest."""
        block = encode_manifest(sealed.manifest)
        digest = compute_raw_cid(block).digest
        if not (self._get_kept(digest) and self._pin(sealed, pin)):
            self.store.add(sealed.payload, pin=pin)
        self.store.put_block(block, pin)
        self._remember(digest, decode_cid(sealed.manifest.cid))
        self._keep(digest, sealed.manifest, sealed.payload)
        return digest

    def fetch(self, digest: Digest, *, max_size: int, **binding: str | bytes) -> bytes:
        """Return the payload that `digest` commits to.

        `binding` names manifest fields and the values they must have. Raises ContentUnavailable
        if a byte is missing, ContentCorrupt if a store altered one, and MalformedPayload if all
        bytes are there but wrong in themselves, which is the same for everybody who looks.
        """
        kept = self._get_kept(digest)
        block = b"" if kept else self.store.get_block(cid_from_digest(digest))
        try:
            manifest = kept[0] if kept else decode_manifest(block)
            verify_binding(manifest, **binding)
            _verify_size(manifest, max_size)
            return kept[1] if kept else self._read(digest, manifest)
        except ContentCorrupt:
            raise
        except (EncodingError, ProofError) as error:
            raise MalformedPayload(f"{digest.hex()}: {error}") from error

    def pin(self, digests: Sequence[Digest], name: str) -> None:
        """Keep what was fetched under one more name: manifests, and the payloads they name.

        A payload that could be read counts, well-formed or not; one that was too large does not.
        Raises ContentUnavailable if the store has lost a byte since.
        """
        with self._lock:
            payloads = [self._read_cids[digest] for digest in digests if digest in self._read_cids]
        self.store.pin_all([*(cid_from_digest(digest) for digest in digests), *payloads], name)

    def _pin(self, sealed: Sealed, pin: str) -> bool:
        """Return whether the payload was there already and has got one more name."""
        try:
            self.store.pin(decode_cid(sealed.manifest.cid), pin)
        except ContentUnavailable:
            return False
        return True

    def _read(self, digest: Digest, manifest: Manifest) -> bytes:
        cid = decode_cid(manifest.cid)
        payload = self.store.read(cid, max_size=manifest.length)
        self._remember(digest, cid)
        verify_payload(manifest, payload)
        self._keep(digest, manifest, payload)
        return payload

    def _remember(self, digest: Digest, cid: Cid) -> None:
        with self._lock:
            self._read_cids[digest] = cid
            if len(self._read_cids) > _REMEMBERED:
                self._read_cids.popitem(last=False)

    def _get_kept(self, digest: Digest) -> tuple[Manifest, bytes] | None:
        with self._lock:
            kept = self._kept.get(digest)
            if kept is not None:
                self._kept.move_to_end(digest)
            return kept

    def _keep(self, digest: Digest, manifest: Manifest, payload: bytes) -> None:
        with self._lock:
            if digest in self._kept:
                return
            self._kept[digest] = (manifest, payload)
            self._size += len(payload)
            while self._size > self._limit:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._size -= len(dropped)


def _verify_size(manifest: Manifest, max_size: int) -> None:
    if manifest.length > max_size:
        raise EncodingError(f"{manifest.length} bytes, at most {max_size} are allowed")
