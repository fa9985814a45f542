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


def get_forge_outputs():
    """Return forge's output for each of our contracts, by source and name."""
    outputs = {}
    for path in FORGE_OUT.glob("*.sol/*.json"):
        output = json.loads(path.read_text())
        ((source, name),) = output["metadata"]["settings"]["compilationTarget"].items()
        if source.startswith("contracts/") and (ROOT / source).exists():
            outputs[source, name] = output
    return outputs


def get_deployable(outputs):
    """Return contracts, and the libraries they must be linked with, by name."""
    linked = {
        (source, name)
        for output in outputs.values()
        for source, names in output["bytecode"]["linkReferences"].items()
        for name in names
    }
    return {
        name: output
        for (source, name), output in outputs.items()
        if output["bytecode"]["object"] != "0x"
        and ((source, name) in linked or not NOT_DEPLOYED & set(Path(source).parts))
    }


def build(*options):
    subprocess.run(["forge", "build", *options, "contracts"], cwd=ROOT, check=True)
    return get_deployable(get_forge_outputs())


@pytest.fixture(scope="module")
def forge(committed):
    """What forge makes of the sources; it compiles again what has changed."""
    outputs = build()
    codes = {name: artifact["bytecode"] for name, artifact in committed.items()}
    if codes != {name: output["bytecode"]["object"] for name, output in outputs.items()}:
        # via-IR gives other code when only some of the sources are compiled: all of them count.
        outputs = build("--force")
    return outputs


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
        assert artifact.get("linkReferences", {}) == forge[name]["bytecode"]["linkReferences"], name


def test_artifacts__ape_and_forge__same_bytecode(ape, forge):
    for name, output in forge.items():
        # Ape compiles a contract that must be linked only once its libraries have addresses.
        if not output["bytecode"]["linkReferences"]:
            assert ape[name]["deploymentBytecode"]["bytecode"] == output["bytecode"]["object"], name


def test_artifacts__deployed_size__below_limit(committed):
    sizes = {
        name: len(artifact["deployedBytecode"]) // 2 - 1 for name, artifact in committed.items()
    }
    print(sizes)
    assert all(0 < size < MAX_DEPLOYED_BYTES for size in sizes.values()), sizes


def test_artifacts__link_references__complete(committed):
    for name, artifact in committed.items():
        code = artifact["bytecode"].removeprefix("0x")
        for libraries in artifact.get("linkReferences", {}).values():
            assert libraries.keys() <= committed.keys(), name
            for place in (place for places in libraries.values() for place in places):
                start, end = 2 * place["start"], 2 * (place["start"] + place["length"])
                code = code[:start] + "00" * place["length"] + code[end:]
        assert bytes.fromhex(code), name
