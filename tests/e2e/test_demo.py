"""`flchain demo` over Anvil, and everything that can be done after it."""

import json
import signal

import pytest
from safetensors import safe_open

from flchain.storage.cid import decode_cid
from flchain.storage.disk import encode_key
from tests.e2e import cli

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.timeout(600)]

# Commands run as real processes where the process is the point, and in this one elsewhere.
SMALL = ("--dataset", "digits", "--agents", "4", "--validators", "6", "--rounds", "2")
TINY = (*SMALL[:2], "--agents", "2", "--validators", "1", "--rounds", "50", "--mode", "plain")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a demo that has ended, with what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = cli.run(folder, "demo", *SMALL, "--summary", "summary.json")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def summary(demo):
    return json.loads((demo[0] / "summary.json").read_text())


def test_demo__ended__no_process_is_left(demo):
    assert cli.find_processes(str(demo[0])) == []


def test_demo__summary__promised_keys(summary):
    assert summary["run"]["ledger"] == "anvil"
    assert [row["outcome"] for row in summary["rounds"]] == ["FINALIZED"] * 2
    assert summary["final_accuracy"] == summary["rounds"][-1]["accuracy"] > 0.3
    assert {"accuracy", "loss", "participants", "seconds", "model_cid"} <= set(summary["rounds"][0])
    masked = {"PostRecord", "AttestRecords"}
    assert masked | {"Register", "Propose", "CastVote", "Settle", "Claim"} <= set(summary["gas"])
    assert summary["run"]["mode"] == "secure"
    # Keys, shares, vector and release of four agents in two rounds.
    assert summary["gas"]["PostRecord"]["count"] == 32
    assert summary["totals"]["disk_bytes"] > 0
    assert int(summary["totals"]["rewards_wei"]) > 0


def test_demo__summary__is_in_the_data_folder_too(demo, summary):
    (path,) = demo[0].glob("runs/*/summary.json")
    assert json.loads(path.read_text()) == summary
    assert str(path) in demo[1]


def test_demo__screen__accuracy_gas_cid_disk_and_hints(demo, summary):
    text = demo[1]
    assert f"{summary['final_accuracy']:.4f}" in text
    assert summary["model_cid"] in text
    assert "MiB" in text
    assert "Gas by action" in text
    for hint in ("flchain verify --all", "flchain ledger rounds", "flchain console"):
        assert hint in text


def test_verify__after_a_demo__sound_and_says_what_is_not_executed_again(demo):
    done = cli.run(demo[0], "verify", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("sound:")
    assert "judgements" in done.stdout


def test_verify__one_byte_of_an_update_changed__exit_11_names_round_and_object(demo, summary):
    folder, _ = demo
    update = cli.call_json(folder, "ledger", "updates", "--round", "2")[1]
    block = find_block(folder, update["cid"])
    good = block.read_bytes()
    block.chmod(0o644)
    block.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        done = cli.call(folder, "verify", "--all")
    finally:
        for left in folder.glob("runs/*/store/quarantine/*"):
            left.unlink()
        block.write_bytes(good)
    assert done.returncode == 11, done.stdout
    failures = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    assert any("round 2" in line for line in failures), failures
    assert cli.call(folder, "verify").returncode == 0


def find_block(folder, cid):
    """Return the file of the root block of a CID in the demo's store."""
    key = encode_key(decode_cid(cid).digest)
    (path,) = folder.glob(f"runs/*/store/blocks/*/{key}.data")
    return path


def test_ledger__after_a_demo__rounds_as_json(demo, summary):
    rows = cli.run_json(demo[0], "ledger", "rounds")
    assert [(row["round"], row["outcome"]) for row in rows] == [(1, "FINALIZED"), (2, "FINALIZED")]
    assert [row["version"] for row in rows] == [1, 2]


@pytest.mark.parametrize("name", ["agents", "rounds", "updates", "votes", "rewards", "models"])
def test_ledger__every_table__rows_in_both_forms(demo, name):
    rows = cli.call_json(demo[0], "ledger", name)
    assert len(rows) >= 2
    text = cli.call(demo[0], "ledger", name).stdout
    assert len(text.splitlines()) >= len(rows) + 2


def test_ledger__models__cid_is_that_of_the_summary(demo, summary):
    rows = cli.call_json(demo[0], "ledger", "models")
    assert rows[-1]["cid"] == summary["model_cid"]
    assert rows[-1]["digest"] == summary["final_state_digest"]


def test_ledger__rewards__add_up_to_the_summary(demo, summary):
    rows = cli.call_json(demo[0], "ledger", "rewards")
    paid = sum(int(row["wei"]) for row in rows if row["state"] == "claimed")
    assert str(paid) == summary["totals"]["rewards_wei"]


def test_model__newest__a_safetensors_file(demo, summary):
    done = cli.call(demo[0], "model", "get", "--out", "model.safetensors")
    assert done.returncode == 0, done.stderr
    with safe_open(demo[0] / "model.safetensors", "numpy") as file:
        assert file.get_tensor("fc1.weight").shape == (32, 64)
        assert summary["final_state_digest"] in file.metadata()["flchain"]


def test_console__program_on_stdin__knows_chain_contracts_and_store(demo, summary):
    program = (
        "print(w3.eth.chain_id)\n"
        "RoundManager.functions.getPhase(task_id).call()\n"
        "for version in (1, 2):\n"
        "    print(ledger.get_state_digest(task_id, version).hex())\n"
        "\n"
        "print(len(list(store.pins())) > 0)\n"
    )
    done = cli.run(demo[0], "console", stdin=program)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert lines[0] == "31337"
    assert summary["final_state_digest"] in lines
    assert lines[-1] == "True"


def test_task__show__policy_and_budget(demo):
    facts = cli.call_json(demo[0], "task", "show")
    assert (facts["task"], facts["rounds"], facts["agents"]) == (1, 2, 4)
    assert '"digits"' in facts["policy"]


def test_store__export_and_import__the_same_cid(demo, summary, tmp_path):
    archive = tmp_path / "model.car"
    done = cli.call(demo[0], "store", "export", summary["model_cid"], "--out", str(archive))
    assert done.returncode == 0, done.stderr
    store = f"file:{tmp_path / 'other'}"
    done = cli.call(demo[0], "store", "import", str(archive), "--store", store)
    assert done.stdout.split() == [summary["model_cid"]]
    done = cli.call(demo[0], "store", "gc", "--min-age", "0", "--store", store)
    assert done.stdout.split() == ["blocks", "0", "bytes", "0"]


def test_demo__afterwards__no_command_left_a_process(demo):
    assert cli.find_processes(str(demo[0])) == []


def test_demo__processes__same_model_as_in_one_process(demo, summary, tmp_path):
    done = cli.run(tmp_path, "demo", *SMALL, "--processes", "--summary", "apart.json")
    assert done.returncode == 0, done.stderr
    apart = json.loads((tmp_path / "apart.json").read_text())
    assert apart["final_state_digest"] == summary["final_state_digest"]
    assert [row["seats"] for row in summary["rounds"]] == [5, 5]
    assert apart["gas"]["PostRecord"]["count"] == summary["gas"]["PostRecord"]["count"]
    assert apart["totals"]["rewards_wei"] == summary["totals"]["rewards_wei"]
    logs = list(tmp_path.glob("runs/*/logs/*.log"))
    assert len(logs) == 11
    assert [path.name for path in logs if "Fatal" in path.read_text()] == []
    assert cli.find_processes(str(tmp_path)) == []


def test_demo__in_memory__same_model(summary, tmp_path):
    done = cli.call(tmp_path, "demo", *SMALL, "--memory", "--summary", "memory.json")
    assert done.returncode == 0, done.stderr
    memory = json.loads((tmp_path / "memory.json").read_text())
    assert memory["model_cid"] == summary["model_cid"]
    cli.check_one_line(cli.call(tmp_path, "verify"), 14)


def test_demo__another_at_the_same_time_and_a_busy_port__neither_disturbs_the_other(tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    running = [cli.start(folder, "demo", *SMALL, "--summary", "summary.json") for folder in folders]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    documents = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    assert documents[0]["final_state_digest"] == documents[1]["final_state_digest"]


@pytest.mark.parametrize("options", [(), ("--processes",)], ids=["together", "apart"])
def test_demo__interrupted__one_line_no_process_and_a_chain_that_is_sound(tmp_path, options):
    process = cli.start(tmp_path, "demo", *TINY, *options)
    assert "round   1" in process.stdout.readline()
    _, errors = cli.stop(process)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("error: interrupted")
    assert cli.wait_until(lambda: cli.find_processes(str(tmp_path)) == [])
    done = cli.call(tmp_path, "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cli.call_json(tmp_path, "ledger", "rounds")) >= 1


def test_demo__killed__no_process_is_left(tmp_path):
    process = cli.start(tmp_path, "demo", *TINY, "--processes")
    assert "round   1" in process.stdout.readline()
    assert len(cli.find_processes(str(tmp_path))) >= 5
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert cli.wait_until(lambda: cli.find_processes(str(tmp_path)) == [])
