"""The shipped policy files: starting points that a user copies and edits."""

from collections.abc import Mapping
from importlib import resources

from flchain.protocol.errors import ConfigError
from flchain.protocol.policy import Policy, load_policy_file

PRESETS = ("digits", "mnist")


def get_preset_text(name: str) -> str:
    """Return the policy file of a preset. Raises ConfigError on an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"no policy preset {name!r}; choose one of {', '.join(PRESETS)}")
    folder = resources.files("flchain.learning") / "policies"
    return (folder / f"{name}.toml").read_text(encoding="utf-8")


def load_preset(name: str, overrides: Mapping[str, object] | None = None) -> Policy:
    """Return a preset's policy, with values replaced by their full key."""
    return load_policy_file(get_preset_text(name), overrides)
