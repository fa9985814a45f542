"""A digest on chain leads to exactly its payload, or to an error that says why not."""

import dataclasses

import pytest

from flchain.protocol.manifest import encode_manifest
from flchain.protocol.types import Digest
from flchain.roles.archive import (
    Archive,
    MalformedPayload,
    Sealed,
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


def test_fetch__published__returns_it(store: ContentStore) -> None:
    digest = Archive(store).publish(seal(), "pin")
    assert Archive(store).fetch(digest, max_size=100, kind="update", round_key=KEY) == b"payload"


def test_fetch__several_blocks_long__returns_it(store: ContentStore) -> None:
    payload = bytes(3 << 20)
    digest = Archive(store).publish(seal(payload), "pin")
    assert Archive(store).fetch(digest, max_size=4 << 20) == payload


def test_fetch__nothing_published__is_unavailable(store: ContentStore) -> None:
    with pytest.raises(ContentUnavailable):
        Archive(store).fetch(seal().digest, max_size=100)


def test_fetch__manifest_without_payload__is_unavailable(store: ContentStore) -> None:
    digest = publish_block(store, encode_manifest(seal().manifest))
    with pytest.raises(ContentUnavailable):
        Archive(store).fetch(digest, max_size=100)


def test_fetch__block_is_no_manifest__is_malformed(store: ContentStore) -> None:
    digest = publish_block(store, b"not a manifest")
    with pytest.raises(MalformedPayload, match=digest.hex()):
        Archive(store).fetch(digest, max_size=100)


@pytest.mark.parametrize(
    "binding", [{"kind": "state"}, {"round_key": bytes(32)}, {"agent": "0x" + "11" * 20}]
)
def test_fetch__other_binding__is_malformed(
    store: ContentStore, binding: dict[str, str | bytes]
) -> None:
    digest = Archive(store).publish(seal(), "pin")
    with pytest.raises(MalformedPayload, match="expected"):
        Archive(store).fetch(digest, max_size=100, **binding)


def test_fetch__longer_than_allowed__is_malformed(store: ContentStore) -> None:
    digest = Archive(store).publish(seal(), "pin")
    with pytest.raises(MalformedPayload, match="at most 3"):
        Archive(store).fetch(digest, max_size=3)


@pytest.mark.parametrize("field", [{"length": 6}, {"length": 8}, {"root": "00" * 32}])
def test_fetch__manifest_describes_other_bytes__is_malformed(
    store: ContentStore, field: dict[str, object]
) -> None:
    sealed = seal()
    Archive(store).publish(sealed, "pin")
    forged = dataclasses.replace(sealed.manifest, **field)
    digest = publish_block(store, encode_manifest(forged))
    with pytest.raises(MalformedPayload):
        Archive(store).fetch(digest, max_size=100)


def test_fetch__kept_after_verification__needs_the_store_no_more(store: ContentStore) -> None:
    archive = Archive(store)
    digest = publish_sealed_elsewhere(store)
    assert archive.fetch(digest, max_size=100) == b"payload"
    archive.store = make_memory_store()
    assert archive.fetch(digest, max_size=100) == b"payload"
    with pytest.raises(MalformedPayload, match="expected"):
        archive.fetch(digest, max_size=100, kind="state")


def test_fetch__more_than_the_limit__drops_the_oldest(store: ContentStore) -> None:
    archive = Archive(store, limit=10)
    first = archive.publish(seal(b"12345678"), "pin")
    second = archive.publish(seal(b"abcdefgh"), "pin")
    archive.store = make_memory_store()
    assert archive.fetch(second, max_size=100) == b"abcdefgh"
    with pytest.raises(ContentUnavailable):
        archive.fetch(first, max_size=100)


def publish_sealed_elsewhere(store: ContentStore) -> Digest:
    return Archive(store).publish(seal(), "pin")
