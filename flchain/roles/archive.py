"""Payloads behind the digests on chain: sealing, publishing and fetching them.

A digest on chain names a manifest block, and the manifest names the payload. `Archive.fetch`
follows both steps and checks every byte, so what it returns is what the digest commits to.
"""

import io
from collections import OrderedDict
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
from flchain.storage.cid import cid_from_digest, compute_raw_cid, decode_cid
from flchain.storage.errors import ContentCorrupt, ContentUnavailable
from flchain.storage.unixfs import build_blocks


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
        self._size = 0
        self._lock = Lock()

    def publish(self, sealed: Sealed, pin: str) -> Digest:
        """Store the payload, then the manifest, under one pin; return the manifest's digest."""
        block = encode_manifest(sealed.manifest)
        digest = compute_raw_cid(block).digest
        if not (self._get_kept(digest) and self._pin(sealed, pin)):
            self.store.add(sealed.payload, pin=pin)
        self.store.put_block(block, pin)
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

    def _pin(self, sealed: Sealed, pin: str) -> bool:
        """Return whether the payload was there already and has got one more name."""
        try:
            self.store.pin(decode_cid(sealed.manifest.cid), pin)
        except ContentUnavailable:
            return False
        return True

    def _read(self, digest: Digest, manifest: Manifest) -> bytes:
        payload = self.store.read(decode_cid(manifest.cid), max_size=manifest.length)
        verify_payload(manifest, payload)
        self._keep(digest, manifest, payload)
        return payload

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
