"""Where a keystore's password comes from: a file, the environment, or the person asked."""

import sys
from pathlib import Path

import click

from flchain.config import Settings
from flchain.crypto.signing import LocalSigner
from flchain.protocol.errors import ConfigError


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
    found = _find_password(settings)
    if found is None:
        _require_terminal()
        found = str(click.prompt(f"Password of {settings.keystore}", hide_input=True, err=True))
    return load_keystore(settings.keystore, found)


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
