"""Keystore files keep their key, and give it to nobody else."""

import json
import stat

import pytest

from flchain.crypto.keys import (
    build_mnemonic,
    create_keystore,
    derive_private_key,
    get_keystore_address,
    load_keystore,
)
from flchain.crypto.signing import LocalSigner
from flchain.protocol.errors import ConfigError, EncodingError

KEY = bytes(range(1, 33))
ADDRESS = LocalSigner(KEY).address


@pytest.fixture
def keystore(tmp_path):
    path = tmp_path / "key.json"
    create_keystore(path, KEY, "secret", rounds=2)
    return path


def test_keystore__right_password__same_account(keystore):
    assert load_keystore(keystore, "secret").address == ADDRESS


def test_keystore__wrong_password__says_so_in_one_line(keystore):
    with pytest.raises(ConfigError, match="wrong password") as caught:
        load_keystore(keystore, "Secret")
    assert "\n" not in str(caught.value)


def test_keystore__created__only_the_owner_reads_it(keystore):
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    assert KEY.hex() not in keystore.read_text()


def test_keystore__readable_by_others__is_refused(keystore):
    keystore.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keystore(keystore, "secret")


def test_keystore__exists__is_never_replaced(keystore):
    before = keystore.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        create_keystore(keystore, bytes(31) + b"\x01", "other", rounds=2)
    assert keystore.read_bytes() == before
    assert [path.name for path in keystore.parent.iterdir()] == ["key.json"]


def test_keystore__address__without_password(keystore):
    assert get_keystore_address(keystore) == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 3}',
        '{"version": 3, "crypto": {}}',
        '{"version": 4, "crypto": {}}',
        '{"version": 3, "crypto": {"kdf": "none", "mac": "zz", "cipher": "aes-128-ctr"}}',
    ],
)
def test_keystore__malformed__is_refused(tmp_path, text):
    path = tmp_path / "key.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"key\.json"):
        load_keystore(path, "secret")


def test_keystore__missing__names_the_command(tmp_path):
    with pytest.raises(ConfigError, match="flchain keys new"):
        load_keystore(tmp_path / "none.json", "secret")


def test_keystore__one_byte_changed__is_refused(keystore):
    document = json.loads(keystore.read_text())
    text = document["crypto"]["ciphertext"]
    document["crypto"]["ciphertext"] = ("0" if text[0] != "0" else "1") + text[1:]
    keystore.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="wrong password"):
        load_keystore(keystore, "secret")


@pytest.mark.parametrize("key", [bytes(32), b"\x01", b"\xff" * 32])
def test_keystore__not_a_key__is_refused(tmp_path, key):
    with pytest.raises(EncodingError):
        create_keystore(tmp_path / "key.json", key, "secret", rounds=2)


def test_mnemonic__vectors_of_bip39():
    # https://github.com/trezor/python-mnemonic/blob/master/vectors.json
    assert build_mnemonic(bytes(16)) == " ".join(["abandon"] * 11 + ["about"])
    assert build_mnemonic(bytes([0x7F] * 16)).startswith("legal winner thank year wave")


def test_private_key__the_phrase_of_development_chains__known_accounts():
    phrase = "test test test test test test test test test test test junk"
    addresses = [LocalSigner(derive_private_key(phrase, index)).address for index in (0, 1)]
    assert addresses == [
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    ]
