"""Build hook: refuses a wheel that would lack the contracts' ABIs."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ArtifactsHook(BuildHookInterface):  # type: ignore[type-arg]  # the parameter is the builder's configuration, unused
    """Check the package data before a wheel is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Raise unless compiled contracts are there; editable installs may come before them."""
        artifacts = Path(self.root, "flchain", "chain", "artifacts")
        if (
            self.target_name == "wheel"
            and version == "standard"
            and not any(artifacts.glob("*.json"))
        ):
            raise SystemExit("flchain/chain/artifacts is empty: run `make setup` before building")
