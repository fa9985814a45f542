"""Child processes: what they complain about is passed on, and none outlives its parent."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from flchain.cli.apart import verify_enough
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


def test_children__disk_full__report_passed_on_and_error_names_the_log(tmp_path, capfd):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "one.jsonl").symlink_to("/dev/full")
    with Children(logs, lambda _: None) as children:
        children.start([ChildSpec("one", ("--help",))])
        children.wait(60.0)
        with pytest.raises(AdapterError, match=r"no room for .*one\.jsonl"):
            children.verify_kept()
    assert children.all[0].exit_code == 0
    assert "Traceback" not in capfd.readouterr().err


class EndedProcess:
    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code


def build_children(folder, agents, validators):
    log = folder / "log"
    log.write_text("error: gone\n")
    codes = [("agent", code) for code in agents] + [("validator", code) for code in validators]
    return [
        Child(ChildSpec(f"{role}-{index}", (role, "run")), EndedProcess(code), log)
        for index, (role, code) in enumerate(codes)
    ]


@pytest.mark.parametrize(
    ("agents", "validators"),
    [([None, None, 13], [None, None, None]), ([None] * 3, [None, None, None, 1])],
    ids=["agents", "validators"],
)
def test_enough__as_many_as_a_round_needs__goes_on(tmp_path, agents, validators):
    verify_enough(2, build_children(tmp_path, agents, validators))


def test_enough__all_ended_as_they_should__no_error(tmp_path):
    verify_enough(2, build_children(tmp_path, [0, 0, 0], [0, 0, 0]))


@pytest.mark.parametrize(
    ("agents", "validators", "text"),
    [
        ([None, 13, 13], [None, None, None], "1 of 3 agents are left, a round needs 2"),
        ([None] * 3, [None, 1, 1, None], "2 of 4 validators are left, a round needs 3"),
    ],
    ids=["agents", "validators"],
)
def test_enough__too_few_left__error_says_why_they_ended(tmp_path, agents, validators, text):
    with pytest.raises(AdapterError, match=f"{text}; .* ended .exit 1.*: gone"):
        verify_enough(2, build_children(tmp_path, agents, validators))


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


@pytest.mark.parametrize("rounds", ["x", "0", "-1"])
def test_script__rounds_are_no_number__usage(tmp_path, rounds):
    script = Path(cli.__file__).resolve().parents[2] / "scripts" / "demo.py"
    done = subprocess.run(
        [sys.executable, script, rounds], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("usage: ")


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
