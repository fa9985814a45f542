"""Each thing that can be missing at set-up gives one line that says what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INPUTS = (
    "constraints.txt",
    "requirements.txt",
    "pyproject.toml",
    "package.json",
    "package-lock.json",
    ".npmrc",
)
# What the script itself calls; Python, Node and npm are added by each test.
SYSTEM_TOOLS = (
    "bash cat cut dirname find flock grep ln mkdir rm sed sha256sum sort tail uname xargs"
)
FINE = "exit 0"


@pytest.fixture
def checkout(tmp_path):
    """A checkout without contracts, and a folder of programs that is its whole PATH."""
    for name in INPUTS:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    for tool in SYSTEM_TOOLS.split():
        if found := shutil.which(tool):
            (tmp_path / "bin" / tool).symlink_to(found)
    put(tmp_path / "bin" / "node", "case $1 in --version) echo v20.1.0 ;; *) echo 20 ;; esac")
    put(tmp_path / "bin" / "npm", FINE)
    return tmp_path


def put(path, script):
    """Write a program that stands in for a real one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    path.chmod(0o755)


def run_setup(checkout, **environment):
    """Return the exit code and the lines on stderr."""
    result = subprocess.run(
        ["bash", "tools/setup.sh"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), "HOME": str(checkout)} | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return result.returncode, result.stderr.splitlines()


def assert_one_line(outcome, *parts):
    status, lines = outcome
    assert status == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("setup: ")
    for part in parts:
        assert part in lines[0]


def test_setup__no_node__one_line(checkout):
    (checkout / "bin" / "node").unlink()
    assert_one_line(run_setup(checkout), "Node.js is missing")


def test_setup__no_npm__one_line(checkout):
    (checkout / "bin" / "npm").unlink()
    assert_one_line(run_setup(checkout), "npm is missing")


def test_setup__old_node__one_line(checkout):
    put(checkout / "bin" / "node", "case $1 in --version) echo v16.2.0 ;; *) echo 16 ;; esac")
    assert_one_line(run_setup(checkout), "Node v16.2.0 is too old", "Node 20")


def test_setup__no_python__one_line(checkout):
    assert_one_line(run_setup(checkout), "Python 3.11 or 3.12 is needed", "found none")


@pytest.mark.parametrize("version", ["3.9.2", "3.10.14", "3.13.1"])
def test_setup__other_python__one_line(checkout, version):
    put(checkout / "bin" / "python3", f"echo {version}")
    assert_one_line(run_setup(checkout), "Python 3.11 or 3.12 is needed", f"found {version}")


def test_setup__python_without_venv__one_line(checkout):
    put(checkout / "bin" / "python3", '[ "$1" = -c ] && echo 3.11.7')
    assert_one_line(run_setup(checkout), "install its venv module")


def test_setup__no_package_index__one_line(checkout):
    (checkout / "bin" / "python3").symlink_to(os.path.realpath(ROOT / ".venv" / "bin" / "python"))
    outcome = run_setup(
        checkout,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="1",
        PIP_NO_CACHE_DIR="1",
    )
    assert_one_line(outcome, "pip cannot reach the package index", "build/setup.log")


def test_setup__unknown_version__names_it(checkout):
    (checkout / "bin" / "python3").symlink_to(os.path.realpath(ROOT / ".venv" / "bin" / "python"))
    (checkout / "requirements.txt").write_text("./no-such-folder\n")
    assert_one_line(run_setup(checkout, PIP_CONFIG_FILE=os.devnull), "pip failed", "no-such-folder")


def test_setup__no_npm_registry__one_line(checkout):
    put(checkout / ".venv" / "bin" / "python", FINE)
    put(checkout / "bin" / "npm", "echo npm error code ENOTFOUND >&2; exit 1")
    assert_one_line(run_setup(checkout), "npm cannot reach its registry")


def test_setup__npm_lock_mismatch__says_it(checkout):
    put(checkout / ".venv" / "bin" / "python", FINE)
    put(checkout / "bin" / "npm", "echo npm error code EUSAGE >&2; exit 1")
    assert_one_line(run_setup(checkout), "npm failed", "EUSAGE")


def test_setup__no_anvil_for_platform__one_line(checkout):
    put(checkout / ".venv" / "bin" / "python", FINE)
    put(checkout / "node_modules" / ".bin" / "anvil", "exit 1")
    assert_one_line(run_setup(checkout), "no anvil for", "install Foundry")


def put_contracts(checkout, ape, forge):
    """Add a contract, the configuration, and stand-ins for what compiles it."""
    put(checkout / ".venv" / "bin" / "python", FINE)
    put(checkout / ".venv" / "bin" / "ape", ape)
    put(checkout / "node_modules" / ".bin" / "anvil", FINE)
    put(checkout / "node_modules" / ".bin" / "forge", f'[ "$1" = --version ] || {{ {forge}; }}')
    for name in ("ape-config.yaml", "foundry.toml"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "contracts").mkdir()
    (checkout / "contracts" / "Broken.sol").write_text("contract")


def test_setup__contracts_do_not_compile__shows_compiler(checkout):
    put_contracts(checkout, FINE, "echo ParserError: expected a semicolon; exit 1")
    status, lines = run_setup(checkout)
    assert status == 1
    assert lines == ["ParserError: expected a semicolon", "setup: the contracts do not compile"]


def test_setup__ape_alone_fails__one_line(checkout):
    put_contracts(checkout, "exit 1", FINE)
    assert_one_line(run_setup(checkout), "Ape does not", "build/ape-compile.log")


def test_setup__twice__second_does_nothing(checkout):
    put(checkout / ".venv" / "bin" / "python", FINE)
    put(checkout / "bin" / "npm", "echo called >>npm-calls")
    for tool in ("anvil", "forge"):
        put(checkout / "node_modules" / ".bin" / tool, FINE)
    assert run_setup(checkout) == (0, [])
    assert run_setup(checkout) == (0, [])
    assert (checkout / "npm-calls").read_text().split() == ["called"]
    with (checkout / "package.json").open("a") as file:
        file.write("\n")
    assert run_setup(checkout) == (0, [])
    assert (checkout / "npm-calls").read_text().split() == ["called", "called"]
