"""Where a keystore's password comes from: a file, the environment, or the person asked."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flchain.config import Settings
from flchain.crypto.signing import LocalSigner
from flchain.protocol.errors import ConfigError

if TYPE_CHECKING:
    from flchain.crypto.vrf import SecretKey


def ask_new_password(settings: Settings) -> str:
    """Return the password for a new key. Raises ConfigError if it is empty or cannot be asked."""
    found = _find_password(settings)
    if found is None:
        _require_terminal()
        found = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    if not found:
        raise ConfigError("the password is empty; choose one")
    return found


def load_signer(settings: Settings) -> LocalSigner:
    """Return the account that a command acts for. Raises ConfigError if none is named."""
    from flchain.crypto.keys import load_keystore  # noqa: PLC0415 - half a second

    if settings.keystore is None:
        raise ConfigError(
            "no account: name its key file with --keystore or FLCHAIN_KEYSTORE "
            "(`flchain keys new` makes one)"
        )
    return load_keystore(settings.keystore, _ask_password(settings, settings.keystore))


def load_vrf_secret(settings: Settings) -> "SecretKey | None":
    """Return the key that a validator is drawn with; None if none is named."""
    from flchain.crypto.keys import load_secret  # noqa: PLC0415 - half a second
    from flchain.crypto.vrf import load_secret_key  # noqa: PLC0415

    if settings.vrf_keystore is None:
        return None
    if settings.vrf_keystore == settings.keystore:
        raise ConfigError("the VRF key must be another than the account's: make a second key file")
    password = _ask_password(settings, settings.vrf_keystore)
    return load_secret_key(load_secret(settings.vrf_keystore, password))


def require_vrf_secret(settings: Settings) -> "SecretKey":
    """Return the key that a validator is drawn with. Raises ConfigError if none is named."""
    secret = load_vrf_secret(settings)
    if secret is None:
        raise ConfigError(
            "no VRF key: name its key file with --vrf-keystore or FLCHAIN_VRF_KEYSTORE "
            "(`flchain keys new` makes one)"
        )
    return secret


def _ask_password(settings: Settings, keystore: Path) -> str:
    found = _find_password(settings)
    if found is None:
        _require_terminal()
        found = str(click.prompt(f"Password of {keystore}", hide_input=True, err=True))
    return found


def _find_password(settings: Settings) -> str | None:
    if settings.password_file is not None:
        return _read_line(settings.password_file)
    return settings.password.value if settings.password is not None else None


def _read_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"password file {path} cannot be read; name another") from error


def _require_terminal() -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            "nobody can be asked for the password here; use --password-file or FLCHAIN_PASSWORD"
        )
