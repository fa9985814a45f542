"""Child processes: what they complain about is passed on, and none outlives its parent."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from flchain.cli.children import Child, Children, ChildSpec
from flchain.protocol.errors import AdapterError
from tests.e2e import cli


def test_children__one_cannot_start__error_names_it_and_its_reason(tmp_path):
    specs = [ChildSpec("agent-1", ("keys", "show", str(tmp_path / "missing.json")))]
    with Children(tmp_path / "logs", lambda _: None) as children:
        children.start(specs)
        with pytest.raises(AdapterError, match=r"agent-1 did not start: keystore .*missing\.json"):
            children.wait_until_ready(60.0)


def test_children__left__all_have_ended(tmp_path):
    with Children(tmp_path / "logs", lambda _: None) as children:
        children.start([ChildSpec("one", ("simulate", "--dataset", "digits", "--rounds", "500"))])
        time.sleep(0.5)
        assert children.find_ended() == []
    assert [child.exit_code is not None for child in children.all] == [True]


def test_node__stdin_closes__process_ends(tmp_path):
    code = (
        "import time\n"
        "from flchain.cli.failures import run_guarded_function\n"
        "from flchain.cli.nodes import end_with_parent\n"
        "def main():\n"
        "    end_with_parent()\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "raise SystemExit(run_guarded_function(main))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdin.close()
    process.stdin = None
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (143, b"error: terminated\n")


@pytest.mark.parametrize("code", [0, 14])
def test_node__ends_while_stdin_is_open__own_exit_code_and_no_complaint(code):
    program = (
        "import sys, time\n"
        "from flchain.cli.nodes import end_with_parent\n"
        "end_with_parent()\n"
        "time.sleep(0.3)\n"
        f"sys.exit({code})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        # Not communicate(): that would close stdin.
        assert (process.wait(30), process.stderr.read()) == (code, b"")


def test_complaint__more_output_after_the_error__the_error(tmp_path):
    log = tmp_path / "one.log"
    log.write_text("trying again: busy\nerror: the store is full\nFatal: <no Python frame>\n")
    child = Child(ChildSpec("one", ()), process=None, log=log)
    assert child.get_complaint() == "the store is full"


def test_script__demo__accuracy_of_every_version(tmp_path):
    script = Path(cli.__file__).resolve().parents[2] / "scripts" / "demo.py"
    done = subprocess.run(
        [sys.executable, script, "1"],
        cwd=tmp_path,
        env={**cli.BARE, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["version", "0:"],
        ["version", "1:"],
    ]
