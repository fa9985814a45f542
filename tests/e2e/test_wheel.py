"""The wheel works where there is neither Node nor a compiler."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A new environment with nothing in it but the wheel and what the wheel asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("flchain-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", wheel], check=True, capture_output=True)
    return folder / "venv"


def run(environment, cwd, *command):
    """Run a program of the environment that can find no other one."""
    return subprocess.run(
        [environment / "bin" / command[0], *command[1:]],
        cwd=cwd,
        env={"PATH": str(environment / "bin"), "HOME": str(cwd), "LANG": "C.UTF-8"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_wheel__package_data__every_abi(environment, tmp_path):
    code = (
        "import json; from importlib.resources import files\n"
        "found = {p.name for p in files('flchain.chain').joinpath('artifacts').iterdir()}\n"
        "print(json.dumps(sorted(name for name in found if name.endswith('.json'))))"
    )
    result = run(environment, tmp_path, "python", "-c", code)
    assert result.returncode == 0, result.stderr
    expected = (path.name for path in ROOT.glob("flchain/chain/artifacts/*.json"))
    assert json.loads(result.stdout) == sorted(expected)
    assert json.loads(result.stdout)


def test_wheel__demo_without_node__digits_in_memory(environment, tmp_path):
    summary = tmp_path / "summary.json"
    result = run(environment, tmp_path, "flchain", "demo", "--summary", str(summary))
    assert result.returncode == 0, result.stderr
    said = result.stdout.lower() + result.stderr.lower()
    assert "digits" in said
    assert "memory" in said
    assert json.loads(summary.read_text())["final_accuracy"] > 0.8
