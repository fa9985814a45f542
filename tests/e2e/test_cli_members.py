"""Members of a task, each with its own key, from registration to the stake's return."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flchain.cli.tables import format_amount
from flchain.learning.presets import get_preset_text
from tests.e2e import cli

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(600)]

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DATA = {
    "agent-1": "digits:0-300",
    "agent-2": "digits:300-600",
    "agent-3": "digits:600-900",
    "validator-1": "digits:1200-1300",
    "validator-2": "digits:1300-1400",
    "validator-3": "digits:1400-1500",
    "orchestrator-1": None,
}
ROUNDS = 2


def key(name):
    return ("--keystore", f"{name}.json", "--password-file", "password")


def call(folder, *arguments):
    done = cli.call(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def devnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    (folder / "password").write_text("correct horse\n")
    facts = cli.run_json(folder, "devnet", "up", "--port", "0")
    yield folder, facts
    call(folder, "devnet", "down")
    assert cli.find_processes(str(folder)) == []


@pytest.fixture(scope="module")
def task(devnet):
    """A funded task with everybody enrolled; nothing has run yet."""
    folder, _ = devnet
    addresses = {}
    for name in ("sponsor", *DATA):
        addresses[name] = cli.make_key(folder, name)
        call(folder, "devnet", "fund", addresses[name], "--tokens", "5000")
    policy = folder / "policy.json"
    policy.write_text(build_policy())
    lead = ["--orchestrator", addresses["orchestrator-1"], "--max-rounds", str(ROUNDS)]
    lead += ["--validators", "3"]
    call(folder, "task", "create", "--policy", str(policy), *lead, *key("sponsor"))
    call(folder, "task", "fund", "--amount", "2_000.5", *key("sponsor"))
    for name in DATA:
        role = name.split("-")[0]
        call(folder, role, "register", *key(name))
        call(folder, role, "enrol", *key(name))
    return addresses


def build_policy():
    """The shipped preset as JSON, with little local training."""
    table = tomllib.loads(get_preset_text("digits"))
    table["training"]["local_epochs"] = 1
    return json.dumps(table)


@pytest.fixture(scope="module")
def outputs(devnet, task):
    """What each node printed in two rounds: agents and validators as scripts."""
    folder, facts = devnet
    running = {name: start(folder, facts, name) for name in DATA}
    printed = {}
    for name, process in running.items():
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, f"{name}: {errors}"
        printed[name] = output
    return printed


def start(folder, facts, name):
    role, source = name.split("-")[0], DATA[name]
    environment = {
        **cli.BARE,
        "HOME": str(folder),
        "FLCHAIN_RPC": facts["rpc"],
        "FLCHAIN_ADDRESSES": facts["addresses"],
        "FLCHAIN_STORE": facts["store"],
        "FLCHAIN_DATA_DIR": str(folder / f"data-{name}"),
        "FLCHAIN_KEYSTORE": f"{name}.json",
        "FLCHAIN_PASSWORD_FILE": "password",
    }
    return subprocess.Popen(
        [sys.executable, SCRIPTS / f"run_{role}.py", *([source] if source else [])],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nodes__as_scripts__two_rounds_final(devnet, outputs):
    rows = cli.call_json(devnet[0], "ledger", "rounds")
    assert [row["outcome"] for row in rows] == ["FINALIZED"] * ROUNDS
    assert [row["updates"] for row in rows] == [3] * ROUNDS
    assert "make-submit" in outputs["agent-1"]
    assert "AttestRecords" in outputs["validator-1"]
    assert "OpenRound" in outputs["orchestrator-1"]


def test_nodes__own_journals__in_their_own_folders(devnet, outputs):
    (journal,) = devnet[0].glob("data-agent-2/journals/*/task-1/agent-*")
    # The secrets of all rounds are gone; what is left says that these were over.
    (left,) = journal.iterdir()
    assert left.name.startswith("closed-masked-")
    assert left.read_bytes() == str(ROUNDS).encode()


def test_nodes__keys__never_printed(devnet, outputs):
    for name in DATA:
        document = json.loads((devnet[0] / f"{name}.json").read_text())
        assert "correct horse" not in outputs[name]
        assert document["crypto"]["ciphertext"] not in outputs[name]


def test_verify__rounds_of_separate_members__sound(devnet, outputs):
    done = cli.call(devnet[0], "verify", "--all")
    assert done.returncode == 0, done.stdout + done.stderr


def test_task__orchestrator_and_rounds__as_asked(devnet, task, outputs):
    facts = cli.call_json(devnet[0], "task", "show")
    assert facts["orchestrator"] == task["orchestrator-1"]
    assert facts["max_rounds"] == ROUNDS
    assert facts["endorsements"] == 3


def test_rewards__claimed_by_the_nodes__nothing_is_left_to_claim(devnet, task, outputs):
    rows = cli.call_json(devnet[0], "ledger", "rewards")
    paid = {row["account"] for row in rows if row["state"] == "claimed"}
    assert paid == {task[name] for name in DATA if not name.startswith("o")}
    text = call(devnet[0], "agent", "claim", *key("agent-1"))
    assert text.startswith("claimed 0 rewards, 0 tokens")


def test_member__leaves__stake_comes_back_after_unbonding(devnet, outputs):
    folder, _ = devnet
    assert "left task" in call(folder, "agent", "leave", *key("agent-3"))
    assert "unbonding" in call(folder, "agent", "withdraw", *key("agent-3"))
    done = cli.call(folder, "agent", "withdraw", *key("agent-3"))
    cli.check_one_line(done, 12)
    advance(folder, 3601)
    assert "paid out 100" in call(folder, "agent", "withdraw", *key("agent-3"))


def test_dismissal__member_in_good_standing__refused(devnet, task, outputs):
    done = cli.call(devnet[0], "task", "dismiss", task["validator-1"], *key("sponsor"))
    cli.check_one_line(done, 12)


def test_task__closed_by_its_sponsor__budget_comes_back(devnet, task, outputs):
    folder, _ = devnet
    cli.check_one_line(cli.call(folder, "task", "close", *key("agent-1")), 12)
    facts = cli.call_json(folder, "task", "show")
    left = int(facts["budget_wei"])
    assert left > 0
    text = call(folder, "task", "close", *key("sponsor"))
    assert text == f"task 1 is closed, {format_amount(left)} tokens came back\n"
    assert cli.call_json(folder, "task", "show")["closed"]


def test_sweep__everybody_was_paid__nothing_to_do_or_refused(devnet, outputs):
    folder, _ = devnet
    text = call(folder, "task", "sweep", *key("agent-1"))
    assert text == "swept 0 rounds, 0 tokens, of task 1\n"
    cli.check_one_line(cli.call(folder, "task", "sweep", "--round", "1", *key("agent-1")), 12)


def advance(folder, seconds):
    """Move the devnet's clock ahead, as a person would in the console."""
    program = (
        f"_ = w3.provider.make_request('evm_increaseTime', [{seconds}])\n"
        "_ = w3.provider.make_request('evm_mine', [])\n"
    )
    assert cli.call(folder, "console", stdin=program).returncode == 0
