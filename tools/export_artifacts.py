"""Write each deployable contract's ABI and bytecode as package data.

Reads the manifest that `ape compile` leaves in `.build` and writes one minified JSON file per
contract to `flchain/chain/artifacts`. The files are committed, so that an installation from a
wheel or from git needs neither Node nor a compiler.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / ".build" / "__local__.json"
ARTIFACTS = ROOT / "flchain" / "chain" / "artifacts"
NOT_DEPLOYED = ("interfaces", "libraries", "types")


def is_deployable(contract: dict[str, Any]) -> bool:
    """Return whether a contract type has code and is deployed on its own."""
    folders = Path(contract["sourceId"]).parent.parts
    has_code = contract["deploymentBytecode"].get("bytecode", "0x") != "0x"
    return has_code and not set(folders) & set(NOT_DEPLOYED)


def compute_artifact(contract: dict[str, Any]) -> dict[str, Any]:
    """Return what a client needs to deploy and call one contract."""
    return {
        "name": contract["contractName"],
        "abi": contract["abi"],
        "bytecode": contract["deploymentBytecode"]["bytecode"],
        "deployedBytecode": contract["runtimeBytecode"]["bytecode"],
    }


def get_artifacts(manifest: Path) -> dict[str, str]:
    """Return file names and their minified JSON text, from an ethPM manifest."""
    contracts = json.loads(manifest.read_text())["contractTypes"].values()
    artifacts = [compute_artifact(contract) for contract in contracts if is_deployable(contract)]
    return {
        f"{artifact['name']}.json": json.dumps(artifact, separators=(",", ":"), sort_keys=True)
        + "\n"
        for artifact in artifacts
    }


def process_artifacts(artifacts: dict[str, str], folder: Path) -> list[str]:
    """Make `folder` hold exactly `artifacts`; return the names that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    present = {path.name: path.read_text() for path in folder.glob("*.json")}
    changed = [
        name
        for name in artifacts.keys() | present.keys()
        if artifacts.get(name) != present.get(name)
    ]
    for name in changed:
        if name in artifacts:
            (folder / name).write_text(artifacts[name])
        else:
            (folder / name).unlink()
    return sorted(changed)


def main() -> int:
    """Bring the package data up to date and name the files that changed."""
    if not MANIFEST.exists():
        print("export: no compiled contracts: run `make setup`", file=sys.stderr)
        return 1
    for name in process_artifacts(get_artifacts(MANIFEST), ARTIFACTS):
        print(f"export: wrote {(ARTIFACTS / name).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
