"""The committed ABIs and bytecode are the contracts': Ape and forge both agree with them."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "flchain" / "chain" / "artifacts"
FORGE_OUT = ROOT / "build" / "forge-out"
APE_MANIFEST = ROOT / ".build" / "__local__.json"
MAX_DEPLOYED_BYTES = 24_576  # EIP-170
NOT_DEPLOYED = {"interfaces", "libraries", "types"}


def get_forge_contracts():
    """Return forge's output for each contract that is deployed on its own, by name."""
    contracts = {}
    for path in FORGE_OUT.glob("*.sol/*.json"):
        output = json.loads(path.read_text())
        target = next(iter(output["metadata"]["settings"]["compilationTarget"].items()))
        folders = set(Path(target[0]).parts)
        is_ours = "contracts" in folders and not folders & {"tests", "node_modules", *NOT_DEPLOYED}
        if is_ours and output["bytecode"]["object"] != "0x":
            contracts[target[1]] = output
    return contracts


@pytest.fixture(scope="module")
def forge():
    # forge compares the sources' digests with its last output and compiles what differs.
    subprocess.run(["forge", "build", "--skip", "test"], cwd=ROOT, check=True, timeout=600)
    return get_forge_contracts()


@pytest.fixture(scope="module")
def ape():
    return json.loads(APE_MANIFEST.read_text())["contractTypes"]


@pytest.fixture(scope="module")
def committed():
    files = (json.loads(path.read_text()) for path in ARTIFACTS.glob("*.json"))
    return {artifact["name"]: artifact for artifact in files}


def sort_abi(abi):
    return sorted(json.dumps(entry, sort_keys=True) for entry in abi)


def test_artifacts__contracts_on_disk__same_set(committed, forge):
    assert committed.keys() == forge.keys()
    assert committed


def test_artifacts__recompiled__same_abi_and_bytecode(committed, forge):
    for name, artifact in committed.items():
        assert sort_abi(artifact["abi"]) == sort_abi(forge[name]["abi"]), name
        assert artifact["bytecode"] == forge[name]["bytecode"]["object"], name
        assert artifact["deployedBytecode"] == forge[name]["deployedBytecode"]["object"], name


def test_artifacts__ape_and_forge__same_bytecode(ape, forge):
    for name, output in forge.items():
        assert ape[name]["deploymentBytecode"]["bytecode"] == output["bytecode"]["object"], name


def test_artifacts__deployed_size__below_limit(committed):
    sizes = {
        name: len(artifact["deployedBytecode"]) // 2 - 1 for name, artifact in committed.items()
    }
    print(sizes)
    assert all(0 < size < MAX_DEPLOYED_BYTES for size in sizes.values()), sizes


def test_artifacts__bytecode__needs_no_linking(committed):
    for name, artifact in committed.items():
        assert bytes.fromhex(artifact["bytecode"].removeprefix("0x")), name
