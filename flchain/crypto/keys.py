"""Private keys at rest: encrypted keystore files, version 3, as every Ethereum wallet reads them.

Format: https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/.
A file is created with mode 0600, never replaced, and refused if others can read it.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic
from eth_account.hdaccount.mnemonic import Mnemonic
from eth_account.types import Language
from eth_utils.address import is_hex_address, to_checksum_address

from flchain.crypto.signing import LocalSigner
from flchain.protocol.errors import ConfigError, EncodingError
from flchain.protocol.types import Address

STRONG_ROUNDS = 262_144
"""Work factor of scrypt: about a second and 256 MiB for each guess of a password."""
_KEY_SIZE = 32
_OTHERS = 0o077
_MAX_SIZE = 65_536


def create_keystore(
    path: Path, private_key: bytes, password: str, *, rounds: int = STRONG_ROUNDS
) -> Address:
    """Encrypt 32 bytes into a new file and return the key's address.

    `rounds` is scrypt's N, a power of two. Raises ConfigError if the file exists already or
    cannot be written.
    """
    if len(private_key) != _KEY_SIZE:
        raise EncodingError(f"a private key has {_KEY_SIZE} bytes, not {len(private_key)}")
    signer = LocalSigner(private_key)
    document = Account.encrypt(private_key, password, kdf="scrypt", iterations=rounds)
    _write_new(path, json.dumps(document, sort_keys=True))
    return signer.address


def load_keystore(path: Path, password: str) -> LocalSigner:
    """Decrypt the keystore file of an account; see `load_secret`."""
    return LocalSigner(load_secret(path, password))


def load_secret(path: Path, password: str) -> bytes:
    """Decrypt a keystore file of any kind of key.

    Raises ConfigError if it is missing, readable by others, malformed, or the password wrong.
    """
    document = _read(path)
    if path.stat().st_mode & _OTHERS:
        raise ConfigError(f"keystore {path} can be read by others; run `chmod 600 {path}`")
    try:
        return bytes(Account.decrypt(document, password))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise ConfigError(f"keystore {path}: wrong password") from None
        raise ConfigError(f"keystore {path} is not a version 3 keystore") from None
    # NotImplementedError is how eth-account refuses other versions and other ciphers.
    except (KeyError, TypeError, NotImplementedError):
        raise ConfigError(f"keystore {path} is not a version 3 keystore") from None


def get_keystore_address(path: Path) -> Address:
    """Return the account that a keystore file says it holds, without a password."""
    address = _read(path).get("address")
    if not isinstance(address, str) or not is_hex_address(address):
        raise ConfigError(f"keystore {path} names no address; use another file")
    return Address(to_checksum_address(address))


def build_mnemonic(entropy: bytes) -> str:
    """Return the BIP-39 phrase of 16 to 32 bytes; equal entropy gives equal keys."""
    return str(Mnemonic(Language.ENGLISH).to_mnemonic(entropy))


def derive_private_key(mnemonic: str, index: int) -> bytes:
    """Return the key at m/44'/60'/0'/0/`index` (BIP-44), where wallets and Anvil look."""
    return _derive(mnemonic, f"m/44'/60'/0'/0/{index}")


def derive_vrf_secret(mnemonic: str, index: int) -> bytes:
    """Return the VRF secret at m/44'/60'/1'/0/`index`: never the key of an account."""
    return _derive(mnemonic, f"m/44'/60'/1'/0/{index}")


def _derive(mnemonic: str, path: str) -> bytes:
    return key_from_seed(_stretch(mnemonic), path)


@lru_cache(maxsize=1)
def _stretch(mnemonic: str) -> bytes:
    # PBKDF2 is slow on purpose; a federation's keys all come from one phrase.
    return seed_from_mnemonic(mnemonic, "")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MAX_SIZE))
    except OSError as error:
        raise ConfigError(
            f"keystore {path} cannot be read ({error.strerror}); make one with "
            f"`flchain keys new --out {path}`"
        ) from error
    except ValueError:
        raise ConfigError(f"keystore {path} is not JSON; use another file") from None
    if not isinstance(document, dict):
        raise ConfigError(f"keystore {path} is not a version 3 keystore")
    return document


def _write_new(path: Path, text: str) -> None:
    """Write a file that did not exist, in full or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; choose another file") from None
    except OSError as error:
        raise ConfigError(f"keystore {path} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
