"""Options that several commands share, turned into `Settings`."""

import os
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from flchain.cli.numbers import CHAIN_ID, TASK
from flchain.config import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)

_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "data_dir": ("--data-dir", {"type": _PATH, "help": "Folder of runs, stores and journals."}),
    "rpc": ("--rpc", {"metavar": "URL", "help": "Node to use instead of the saved devnet."}),
    "addresses": ("--addresses", {"type": _PATH, "help": "Address book of a deployment."}),
    "chain_id": ("--chain-id", {"type": CHAIN_ID, "help": "Refuse any other chain."}),
    "store": ("--store", {"metavar": "URL", "help": "file:FOLDER, kubo:ADDRESS or gateway:URL."}),
    "task": ("--task", {"type": TASK, "help": "Task id; default: the chain's only one."}),
    "keystore": ("--keystore", {"type": _PATH, "help": "Encrypted key file of the account."}),
    "vrf_keystore": (
        "--vrf-keystore",
        {"type": _PATH, "help": "Key file to be drawn with."},
    ),
    "password_file": ("--password-file", {"type": _PATH, "help": "File with its password."}),
    "anvil": ("--anvil", {"type": _PATH, "help": "Anvil program; default: found by itself."}),
    "mnist": ("--mnist", {"type": _PATH, "help": "Folder of the MNIST files."}),
}
_GROUPS = {
    "data": ("data_dir",),
    "chain": ("rpc", "addresses", "chain_id", "anvil"),
    "store": ("store",),
    "task": ("task",),
    "key": ("keystore", "password_file"),
    "vrf": ("vrf_keystore",),
    "devnet": ("anvil",),
    "mnist": ("mnist",),
}


def with_settings(*groups: str) -> Callable[[Command], Callable[..., Any]]:
    """Add the options of `groups` and pass the command one `settings` instead of them."""
    names = list(dict.fromkeys(name for group in ("data", *groups) for name in _GROUPS[group]))

    def decorate(command: Command) -> Callable[..., Any]:
        @wraps(command)
        def run(*args: Any, **kwargs: Any) -> Any:
            given = {name: kwargs.pop(name) for name in [*names, "config"]}
            return command(*args, settings=read_settings(given), **kwargs)

        run = click.option("--config", type=_PATH, help="Settings file (TOML).")(run)
        for name in reversed(names):
            flag, details = _OPTIONS[name]
            run = click.option(flag, name, **details)(run)
        return run

    return decorate


def read_settings(options: dict[str, Any]) -> Settings:
    """Return the settings of this process with `options` on top."""
    return load_settings(options, os.environ, Path.cwd(), _find_home())


def read_environment_names() -> tuple[str, ...]:
    """Return the names of the variables that are settings."""
    return tuple(f"FLCHAIN_{field.name.upper()}" for field in fields(Settings))


def _find_home() -> Path:
    # A user without an entry in the password file, as in containers, has no home.
    try:
        return Path.home()
    except RuntimeError:
        return Path.cwd()
