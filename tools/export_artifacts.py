"""Write each deployable contract's ABI and bytecode as package data.

Reads what `forge build` leaves in `build/forge-out` and writes one minified JSON file per contract
to `flchain/chain/artifacts`. A library that another contract calls is deployed too: it has a file
of its own, and the caller's `linkReferences` says where its address goes. The files are committed,
so that an installation from a wheel or from git needs neither Node nor a compiler.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FORGE_OUT = ROOT / "build" / "forge-out"
ARTIFACTS = ROOT / "flchain" / "chain" / "artifacts"
NOT_DEPLOYED = {"interfaces", "libraries", "types"}

Output = dict[str, Any]


def get_outputs(forge_out: Path, root: Path) -> dict[str, Output]:
    """Return forge's outputs for our contracts by name; those of removed sources are left out."""
    outputs = {}
    for path in sorted(forge_out.glob("*.sol/*.json")):
        output = json.loads(path.read_text())
        ((source, name),) = output["metadata"]["settings"]["compilationTarget"].items()
        if source.startswith("contracts/") and (root / source).exists():
            outputs[name] = output | {"source": source}
    return outputs


def is_deployable(output: Output) -> bool:
    """Return whether a contract has code and is deployed for its own sake."""
    folders = set(Path(output["source"]).parent.parts)
    return output["bytecode"]["object"] != "0x" and not folders & NOT_DEPLOYED


def get_libraries(output: Output) -> Iterator[str]:
    """Yield the names of the libraries that a contract must be linked with."""
    for libraries in output["bytecode"]["linkReferences"].values():
        yield from libraries


def get_names(outputs: dict[str, Output]) -> set[str]:
    """Return deployable contracts and, transitively, the libraries that they call."""
    found: set[str] = set()
    pending = [name for name, output in outputs.items() if is_deployable(output)]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(get_libraries(outputs[name]))
    return found


def compute_artifact(name: str, output: Output) -> dict[str, Any]:
    """Return what a client needs to link, deploy and call one contract."""
    artifact = {
        "name": name,
        "abi": output["abi"],
        "bytecode": output["bytecode"]["object"],
        "deployedBytecode": output["deployedBytecode"]["object"],
    }
    if references := output["bytecode"]["linkReferences"]:
        artifact["linkReferences"] = references
    return artifact


def get_artifacts(outputs: dict[str, Output]) -> dict[str, str]:
    """Return file names and their minified JSON text."""
    artifacts = (compute_artifact(name, outputs[name]) for name in get_names(outputs))
    return {
        f"{artifact['name']}.json": json.dumps(artifact, separators=(",", ":"), sort_keys=True)
        + "\n"
        for artifact in artifacts
    }


def process_artifacts(artifacts: dict[str, str], folder: Path) -> list[str]:
    """Make `folder` hold exactly `artifacts`; return the names that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    present = {path.name: path.read_text() for path in folder.glob("*.json")}
    names = artifacts.keys() | present.keys()
    changed = sorted(name for name in names if artifacts.get(name) != present.get(name))
    for name in changed:
        if name in artifacts:
            (folder / name).write_text(artifacts[name])
        else:
            (folder / name).unlink()
    return changed


def main() -> int:
    """Bring the package data up to date and name the files that changed."""
    outputs = get_outputs(FORGE_OUT, ROOT)
    if not outputs:
        print("export: no compiled contracts: run `make setup`", file=sys.stderr)
        return 1
    for name in process_artifacts(get_artifacts(outputs), ARTIFACTS):
        is_removed = not (ARTIFACTS / name).exists()
        print(
            f"export: {'removed' if is_removed else 'wrote'} {ARTIFACTS.relative_to(ROOT)}/{name}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
