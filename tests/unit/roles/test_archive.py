"""A digest on chain leads to exactly its payload, or to an error that says why not."""

import dataclasses

import pytest

from flchain.protocol.manifest import encode_manifest
from flchain.protocol.types import Digest
from flchain.roles.archive import (
    MalformedPayload,
    Sealed,
    fetch_payload,
    publish_sealed,
    seal_payload,
)
from flchain.storage.base import ContentStore
from flchain.storage.cid import compute_raw_cid
from flchain.storage.errors import ContentUnavailable
from flchain.storage.memory import make_memory_store

KEY = bytes(range(32))


@pytest.fixture
def store() -> ContentStore:
    return make_memory_store()


def seal(payload: bytes = b"payload") -> Sealed:
    return seal_payload(payload, kind="update", dtype="int32", round_key=KEY)


def publish_block(store: ContentStore, block: bytes) -> Digest:
    store.put_block(block, "test")
    return compute_raw_cid(block).digest


def test_fetch_payload__published__returns_it(store: ContentStore) -> None:
    digest = publish_sealed(store, seal(), "pin")
    assert fetch_payload(store, digest, max_size=100, kind="update", round_key=KEY) == b"payload"


def test_fetch_payload__several_blocks_long__returns_it(store: ContentStore) -> None:
    payload = bytes(3 << 20)
    digest = publish_sealed(store, seal(payload), "pin")
    assert fetch_payload(store, digest, max_size=4 << 20) == payload


def test_fetch_payload__nothing_published__is_unavailable(store: ContentStore) -> None:
    with pytest.raises(ContentUnavailable):
        fetch_payload(store, seal().digest, max_size=100)


def test_fetch_payload__manifest_without_payload__is_unavailable(store: ContentStore) -> None:
    digest = publish_block(store, encode_manifest(seal().manifest))
    with pytest.raises(ContentUnavailable):
        fetch_payload(store, digest, max_size=100)


def test_fetch_payload__block_is_no_manifest__is_malformed(store: ContentStore) -> None:
    digest = publish_block(store, b"not a manifest")
    with pytest.raises(MalformedPayload, match=digest.hex()):
        fetch_payload(store, digest, max_size=100)


@pytest.mark.parametrize(
    "binding", [{"kind": "state"}, {"round_key": bytes(32)}, {"agent": "0x" + "11" * 20}]
)
def test_fetch_payload__other_binding__is_malformed(
    store: ContentStore, binding: dict[str, str | bytes]
) -> None:
    digest = publish_sealed(store, seal(), "pin")
    with pytest.raises(MalformedPayload, match="expected"):
        fetch_payload(store, digest, max_size=100, **binding)


def test_fetch_payload__longer_than_allowed__is_malformed(store: ContentStore) -> None:
    digest = publish_sealed(store, seal(), "pin")
    with pytest.raises(MalformedPayload, match="at most 3"):
        fetch_payload(store, digest, max_size=3)


@pytest.mark.parametrize("field", [{"length": 6}, {"length": 8}, {"root": "00" * 32}])
def test_fetch_payload__manifest_describes_other_bytes__is_malformed(
    store: ContentStore, field: dict[str, object]
) -> None:
    sealed = seal()
    publish_sealed(store, sealed, "pin")
    forged = dataclasses.replace(sealed.manifest, **field)  # type: ignore[arg-type]
    digest = publish_block(store, encode_manifest(forged))
    with pytest.raises(MalformedPayload):
        fetch_payload(store, digest, max_size=100)
