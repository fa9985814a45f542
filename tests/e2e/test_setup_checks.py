"""The project's own programs find what they are there to find."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    """Return a program under `tools` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


house = load("check_house")
tests = load("run_tests")
export = load("export_artifacts")


@pytest.mark.parametrize(
    ("path", "text", "finding"),
    [
        ("flchain/utils.py", "", "is not a name"),
        ("flchain/core/a.py", "", "is not a name"),
        ("flchain/a.py", "import ape\n", "imports ape"),
        ("flchain/a.py", "def f():\n    from tests import x\n", "imports tests"),
        ("flchain/a.py", "x = 1\n" * 401, "401 lines"),
        ("flchain/a.py", "def f():\n" + "    x = 1\n" * 60, "f: 61 lines"),
        ("flchain/a.py", "def f(:\n", "invalid syntax"),
        ("docs/a.md", "see /wor" + "k/main/x", "a path of one machine"),
        ("docs/a.md", "cat '/tm" + "p/x'", "a path of one machine"),
        ("docs/a.md", "https://pypi.or" + "g/project/x", "a package index"),
        ("README.md", "line\n" * 150, "README.md: more than 149"),
    ],
)
def test_house__bad_file__one_finding(path, text, finding, tmp_path, monkeypatch):
    monkeypatch.setattr(house, "ROOT", tmp_path)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    findings = list(house.check_file(path))
    assert len(findings) == 1, findings
    assert finding in findings[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("flchain/a.py", "import numpy\nfrom . import ape\n"),
        ("scripts/a.py", "import ape\n"),
        ("tests/test_a.py", "x = 1\n" * 401),
        ("docs/a.md", "a{0}/b, .{0}/x, https://example.org{0}/x".format("/" + "tmp")),
        ("README.md", "line\n" * 149),
    ],
)
def test_house__good_file__no_finding(path, text, tmp_path, monkeypatch):
    monkeypatch.setattr(house, "ROOT", tmp_path)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    assert not list(house.check_file(path))


def get_declared_packages():
    """Return the normalised names that pyproject.toml asks for, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(one for extra in extras for one in extra)]
    return {re.split(r"[<>=\[ ]", requirement)[0].lower() for requirement in wanted}


def test_package__third_party_imports__declared():
    distributions = metadata.packages_distributions()
    declared = get_declared_packages()
    for path in (ROOT / "flchain").rglob("*.py"):
        for line, name in house.get_imports(ast.parse(path.read_text())):
            if name != "flchain" and name not in sys.stdlib_module_names:
                providers = {
                    one.lower().replace("_", "-") for one in distributions.get(name, [name])
                }
                assert providers & declared, f"{path}:{line}: {name} is not in pyproject.toml"


def test_summary__one_failure__counts_and_says_so():
    results = [tests.Result("unit", 3, 1, 2, 1.5), tests.Result("e2e", 4, 0, 0, 0.5)]
    assert tests.get_summary(results, 2.0).endswith(
        "==== 1 failed, 7 passed, 2 skipped in 2.00s ===="
    )


@pytest.mark.parametrize(
    ("script", "counts"),
    [
        ("print('Ran: 5 tests passed, 0 failed, 1 skipped (6 total tests)')", (5, 0, 1)),
        ("print('Ran: 5 tests passed, 2 failed, 0 skipped (7 total tests)'); exit(1)", (5, 2, 0)),
        ("print('Ran: 5 tests passed, 0 failed, 0 skipped (5 total tests)'); exit(1)", (5, 1, 0)),
        ("print('error: does not compile'); exit(1)", (0, 1, 0)),
    ],
)
def test_forge__its_output__counted(script, counts):
    assert tests.run_forge([sys.executable, "-c", script]) == counts


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("def test_a(): pass\ndef test_b(): import pytest; pytest.skip()\n", (1, 0, 1)),
        ("def test_a(): pass\ndef test_b(): assert 0\n", (1, 1, 0)),
        ("import no_such_module\n", (0, 1, 0)),
    ],
)
def test_pytest__its_report__counted(body, counts, tmp_path):
    (tmp_path / "test_it.py").write_text(body)
    command = [*tests.PYTEST, *tests.WITHOUT_APE, "-c", str(tmp_path / "none"), str(tmp_path)]
    (tmp_path / "none").write_text("[pytest]\n")
    assert tests.run_pytest(command, tmp_path / "report.xml") == counts


def test_export__contract_removed__file_removed(tmp_path):
    assert export.process_artifacts({"A.json": "1", "B.json": "2"}, tmp_path) == [
        "A.json",
        "B.json",
    ]
    assert export.process_artifacts({"A.json": "1"}, tmp_path) == ["B.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["A.json"]


def put_forge_output(root, source, code, links=None):
    """Write a source file and what forge would leave for it."""
    name = Path(source).stem
    (root / source).parent.mkdir(parents=True, exist_ok=True)
    (root / source).touch()
    output = {
        "abi": [],
        "bytecode": {"object": code, "linkReferences": links or {}},
        "deployedBytecode": {"object": code},
        "metadata": {"settings": {"compilationTarget": {source: name}}},
    }
    path = root / "out" / f"{name}.sol" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(output))


def test_export__forge_output__deployables_and_their_libraries(tmp_path):
    links = {"contracts/libraries/Linked.sol": {"Linked": [{"start": 1, "length": 20}]}}
    put_forge_output(tmp_path, "contracts/A.sol", "0x01", links)
    put_forge_output(tmp_path, "contracts/token/Token.sol", "0x02")
    put_forge_output(tmp_path, "contracts/Base.sol", "0x")
    put_forge_output(tmp_path, "contracts/libraries/Linked.sol", "0x03")
    put_forge_output(tmp_path, "contracts/libraries/Inlined.sol", "0x04")
    put_forge_output(tmp_path, "contracts/interfaces/I.sol", "0x")
    put_forge_output(tmp_path, "tests/contracts/T.sol", "0x05")
    put_forge_output(tmp_path, "contracts/Removed.sol", "0x06")
    (tmp_path / "contracts" / "Removed.sol").unlink()
    artifacts = export.get_artifacts(export.get_outputs(tmp_path / "out", tmp_path))
    assert sorted(artifacts) == ["A.json", "Linked.json", "Token.json"]
    assert json.loads(artifacts["A.json"])["linkReferences"] == links


def test_env__sourced__tools_of_this_checkout():
    command = ". tools/env.sh && command -v anvil forge solc ape && solc --version"
    lines = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert all(line.startswith(str(ROOT)) for line in lines[:4])
    assert lines[-1].startswith("Version: 0.8.37+commit.")
