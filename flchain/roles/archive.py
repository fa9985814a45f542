"""Payloads behind the digests on chain: sealing, publishing and fetching them.

A digest on chain names a manifest block, and the manifest names the payload. `fetch_payload`
follows both steps and checks every byte, so what it returns is what the digest commits to.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
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
from flchain.storage.cid import cid_from_digest, decode_cid
from flchain.storage.errors import ContentCorrupt
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


def publish_sealed(store: ContentStore, sealed: Sealed, pin: str) -> Digest:
    """Store the payload, then the manifest, under one pin; return the manifest's digest."""
    store.add(sealed.payload, pin=pin)
    store.put_block(encode_manifest(sealed.manifest), pin)
    return sealed.digest


def fetch_payload(
    store: ContentStore, digest: Digest, *, max_size: int, **binding: str | bytes
) -> bytes:
    """Return the payload that `digest` commits to.

    `binding` names manifest fields and the values they must have. Raises ContentUnavailable
    if a byte is missing, ContentCorrupt if a store altered one, and MalformedPayload if all
    bytes are there but wrong in themselves, which is the same for everybody who looks.
    """
    block = store.get_block(cid_from_digest(digest))
    try:
        return _read_behind(store, block, max_size, binding)
    except (EncodingError, ProofError) as error:
        if isinstance(error, ContentCorrupt):
            raise
        raise MalformedPayload(f"{digest.hex()}: {error}") from error


def _read_behind(
    store: ContentStore, block: bytes, max_size: int, binding: Mapping[str, str | bytes]
) -> bytes:
    manifest = decode_manifest(block)
    verify_binding(manifest, **binding)
    if manifest.length > max_size:
        raise EncodingError(f"{manifest.length} bytes, at most {max_size} are allowed")
    payload = store.read(decode_cid(manifest.cid), max_size=manifest.length)
    verify_payload(manifest, payload)
    return payload
