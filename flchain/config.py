"""Settings of one command, parsed once at the edge.

A value comes from, in this order: the command's option, the environment variable
`FLCHAIN_<NAME>`, the TOML file, the default. The file is the one that `--config` or
`FLCHAIN_CONFIG` names, else `flchain.toml` in the working folder if there is one.
Relative paths in the file count from the file's own folder.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flchain.protocol.errors import ConfigError

PREFIX = "FLCHAIN_"
FILE_NAME = "flchain.toml"
_SECRETS = ("password",)
_INTEGERS = ("chain_id", "task")
_END = 1 << 64
_PATHS = (
    "data_dir",
    "addresses",
    "keystore",
    "vrf_keystore",
    "password_file",
    "anvil",
    "mnist",
)


@dataclass(frozen=True)
class Secret:
    """A string that shows nothing of itself when printed."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass(frozen=True)
class Settings:
    """What a command works with; None means that nothing was said.

    `addresses` is the address book that a deployment wrote; `chain_id` is the only chain that
    the command may talk to. `password` comes from the environment alone.
    """

    data_dir: Path
    rpc: str | None = None
    store: str | None = None
    addresses: Path | None = None
    chain_id: int | None = None
    task: int | None = None
    keystore: Path | None = None
    vrf_keystore: Path | None = None
    password_file: Path | None = None
    password: Secret | None = None
    anvil: Path | None = None
    mnist: Path | None = None


def load_settings(
    options: Mapping[str, object], environment: Mapping[str, str], folder: Path, home: Path
) -> Settings:
    """Return the settings of a command run in `folder` by the owner of `home`.

    Raises ConfigError naming the option, variable or key that is wrong.
    """
    names = [field.name for field in fields(Settings)]
    given = {name: options[name] for name in names if options.get(name) is not None}
    variables = _read_environment(environment, names)
    file = _find_file(options.get("config"), environment, folder)
    merged = {**(_read_file(file) if file else {}), **variables, **given}
    merged.setdefault("data_dir", _find_data_dir(folder, home))
    return Settings(**{name: _convert(name, value, folder) for name, value in merged.items()})


def _find_data_dir(folder: Path, home: Path) -> Path:
    """Return the folder's own data if it has some or is a checkout, else the home's."""
    local = folder / ".flchain"
    is_checkout = (folder / "ape-config.yaml").is_file()
    return local if is_checkout or local.is_dir() else home / ".flchain"


def _read_environment(environment: Mapping[str, str], names: list[str]) -> dict[str, Any]:
    known = {PREFIX + name.upper(): name for name in names}
    return {known[key]: value for key, value in environment.items() if key in known and value}


def _find_file(option: object, environment: Mapping[str, str], folder: Path) -> Path | None:
    named = option or environment.get(PREFIX + "CONFIG")
    if named:
        return folder / str(named)
    default = folder / FILE_NAME
    return default if default.is_file() else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings file {path} is not valid TOML: {error}") from error
    known = {field.name for field in fields(Settings)} - set(_SECRETS)
    for key in table:
        if key not in known:
            hint = "; use password_file" if key in _SECRETS else ""
            raise ConfigError(
                f"settings file {path}: {key!r} is not one of {', '.join(sorted(known))}{hint}"
            )
    return {
        key: path.parent / str(value) if key in _PATHS else value for key, value in table.items()
    }


def _convert(name: str, value: object, folder: Path) -> Any:
    if name in _SECRETS:
        return Secret(str(value))
    if name in _INTEGERS:
        return _read_integer(name, value)
    if name in _PATHS:
        return folder / Path(str(value)).expanduser()
    if not isinstance(value, str):
        raise ConfigError(f"setting {name} is {value!r}; write a string")
    return value


def _read_integer(name: str, value: object) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value)
    if (is_number or isinstance(value, str)) and text.isdecimal() and 0 < int(text) < _END:
        return int(text)
    raise ConfigError(f"setting {name} is {value!r}; write a whole number from 1 to 2**64 - 1")
