# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from flchain.crypto.signing import (
    HALF_ORDER,
    LocalSigner,
    compact_signature,
    expand_signature,
    recover_address,
    verify_signature,
)
from flchain.protocol.errors import EncodingError

ORDER = 2 * HALF_ORDER + 1
DIGEST = keccak(b"flchain")
SIGNER = LocalSigner(b"\x01" * 32)
ERC_2098 = (
    (
        "Hello World",
        "68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b90",
        "7e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064",
    ),
    (
        "It's a small(er) world",
        "9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76",
        "939c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793",
    ),
)


def test_signer__key_of_all_ones__has_the_known_address():
    assert SIGNER.address == Account.from_key(b"\x01" * 32).address


@given(key=st.integers(1, ORDER - 1), digest=st.binary(min_size=32, max_size=32))
def test_signature__any_key__is_the_one_that_eth_account_makes(key, digest):
    signer = LocalSigner(key.to_bytes(32, "big"))
    signature = signer.sign_digest(digest)
    reference = Account.unsafe_sign_hash(digest, key.to_bytes(32, "big")).signature
    assert signature == bytes(reference)
    assert recover_address(digest, signature) == signer.address


@pytest.mark.parametrize("key", [b"", b"\x01" * 31, bytes(32), b"\xff" * 32])
def test_signer__bytes_that_are_no_key__are_refused(key):
    with pytest.raises(EncodingError, match="private key"):
        LocalSigner(key)


def test_signer__printed__keeps_its_key_secret():
    assert "0101" not in repr(SIGNER)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:64],
        lambda raw: raw + b"\0",
        lambda raw: raw[:64] + bytes([raw[64] - 27]),
        lambda raw: raw[:64] + bytes([29]),
        lambda raw: bytes(32) + raw[32:],
        lambda raw: raw[:32] + bytes(32) + raw[64:],
        lambda raw: b"\xff" * 32 + raw[32:],
        lambda raw: b"",
    ],
    ids=["short", "long", "v-0", "v-29", "r-zero", "s-zero", "r-too-large", "empty"],
)
def test_recovery__malformed_signature__gives_nobody(change):
    assert recover_address(DIGEST, change(SIGNER.sign_digest(DIGEST))) is None


def test_recovery__malleable_twin__gives_nobody():
    raw = SIGNER.sign_digest(DIGEST)
    high = ORDER - int.from_bytes(raw[32:64], "big")
    twin = raw[:32] + high.to_bytes(32, "big") + bytes([55 - raw[64]])
    assert recover_address(DIGEST, twin) is None


def test_verification__other_digest_or_signer__fails():
    raw = SIGNER.sign_digest(DIGEST)
    assert verify_signature(SIGNER.address, DIGEST, raw)
    assert not verify_signature(SIGNER.address, keccak(DIGEST), raw)
    assert not verify_signature(LocalSigner(b"\x02" * 32).address, DIGEST, raw)


@given(key=st.integers(1, ORDER - 1), digest=st.binary(min_size=32, max_size=32))
def test_compact_signature__any__expands_to_itself(key, digest):
    signature = LocalSigner(key.to_bytes(32, "big")).sign_digest(digest)
    assert expand_signature(*compact_signature(signature)) == signature


def test_compact_signature__example_of_erc_2098__has_its_vs():
    signer = LocalSigner(bytes.fromhex(("1234567890" * 7)[:64]))
    for text, r, vs in ERC_2098:
        prefixed = f"\x19Ethereum Signed Message:\n{len(text)}{text}".encode()
        compact = compact_signature(signer.sign_digest(keccak(prefixed)))
        assert [part.hex() for part in compact] == [r, vs]


@pytest.mark.parametrize("parts", [(b"", b""), (bytes(31), bytes(32)), (bytes(32), bytes(33))])
def test_compact_signature__other_length__is_refused(parts):
    with pytest.raises(EncodingError, match="32 bytes each"):
        expand_signature(*parts)


@given(raw=st.binary(max_size=70))
def test_recovery__any_bytes__never_raises(raw):
    recover_address(DIGEST, raw)
