"""Every bad input: one line that says who must act, its exit code, and nothing lost."""

import json
from pathlib import Path

import numpy as np
import pytest

from flchain.learning.presets import get_preset_text
from tests.e2e import cli

pytestmark = [pytest.mark.anvil, pytest.mark.timeout(600)]

COUNT_EVENTS = "print(len(w3.eth.get_logs({'fromBlock': 0})))"
UNKNOWN_CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


@pytest.fixture(scope="module")
def devnet(tmp_path_factory):
    """A running devnet: its folder and what `devnet up` said."""
    folder = tmp_path_factory.mktemp("devnet")
    facts = cli.run_json(folder, "devnet", "up", "--port", "0")
    yield folder, facts
    assert cli.call(folder, "devnet", "down").returncode == 0
    assert cli.find_processes(str(folder)) == []


@pytest.fixture(scope="module")
def account(devnet):
    """An account with tokens and coins; the options that name it."""
    return make_account(devnet[0], "account", funded=True)


@pytest.fixture(scope="module")
def task(devnet, account):
    """A task for digits; its id."""
    folder, _ = devnet
    policy = folder / "policy.toml"
    policy.write_text(get_preset_text("digits"))
    done = cli.call(folder, "task", "create", "--policy", str(policy), *account)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def enrolled(devnet, task):
    """An agent of the task; the options that name it."""
    return make_member(devnet[0], "agent", task)


@pytest.fixture(scope="module")
def enrolled_validator(devnet, task):
    """A validator of the task; the options that name it."""
    return make_member(devnet[0], "validator", task)


def make_member(folder, role, task):
    options = (*make_account(folder, f"enrolled-{role}", funded=True), "--task", task)
    register = ["register"]
    if role == "validator":
        cli.make_key(folder, "vrf")
        register += ["--vrf-keystore", "vrf.json"]
    for step in (register, ["enrol"]):
        done = cli.call(folder, role, *step, *options)
        assert done.returncode == 0, done.stderr
    return options


def make_account(folder, name, *, funded):
    address = cli.make_key(folder, name)
    if funded:
        done = cli.call(folder, "devnet", "fund", address, "--tokens", "5000")
        assert done.returncode == 0, done.stderr
    return ("--keystore", f"{name}.json", "--password-file", "password")


def test_anvil__missing__exit_14(tmp_path):
    done = cli.call(tmp_path, "devnet", "up", "--anvil", "/nowhere/anvil")
    cli.check_one_line(done, 14)
    assert "/nowhere/anvil" in done.stderr
    assert list(tmp_path.glob("runs/*/run.json")) == []


@pytest.mark.parametrize(
    "command", [["verify"], ["ledger", "rounds"], ["console"], ["store", "gc"], ["devnet", "down"]]
)
def test_data_folder__empty__exit_14_says_what_to_run_first(tmp_path, command):
    done = cli.call(tmp_path, *command)
    cli.check_one_line(done, 14)
    assert "flchain demo" in done.stderr


def test_chain__wrong_id__exit_14(devnet):
    done = cli.call(devnet[0], "ledger", "agents", "--chain-id", "1")
    cli.check_one_line(done, 14)
    assert "chain 31337, not 1" in done.stderr


@pytest.mark.parametrize("url", ["notaurl", "ftp://secret@host", "http://", "http://[", ""])
def test_chain__address_is_no_url__exit_14_without_a_warning_or_the_secret(devnet, url):
    folder, facts = devnet
    options = ("--rpc", url, "--addresses", facts["addresses"])
    done = cli.run(folder, "ledger", "agents", *options)
    cli.check_one_line(done, 14)
    assert "secret" not in done.stderr


def test_chain__its_state_is_gone__exit_14_and_no_empty_chain(tmp_path):
    cli.run_json(tmp_path, "devnet", "up", "--port", "0")
    assert cli.call(tmp_path, "devnet", "down").returncode == 0
    (state,) = tmp_path.glob("runs/*/chain/state.json")
    state.unlink()
    for command in (("ledger", "agents"), ("devnet", "up")):
        done = cli.call(tmp_path, *command)
        cli.check_one_line(done, 14)
        assert "state.json is missing" in done.stderr


@pytest.mark.parametrize("command", [["pins"], ["gc"], ["export", UNKNOWN_CID, "--out", "x"]])
def test_store__folder_is_missing__exit_14_and_none_is_made(tmp_path, command):
    done = cli.call(tmp_path, "store", *command, "--store", f"file:{tmp_path / 'typo'}")
    cli.check_one_line(done, 14)
    assert list(tmp_path.iterdir()) == []


def test_summary__folder_is_missing__exit_14_before_anything_runs(tmp_path):
    done = cli.call(tmp_path, "simulate", "--summary", str(tmp_path / "typo" / "s.json"))
    cli.check_one_line(done, 14)
    assert list(tmp_path.iterdir()) == []


def test_demo__fails_before_its_task__leaves_no_run(tmp_path):
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    program.chmod(0o755)
    options = ("--dataset", "digits", "--anvil", str(program))
    for command in (("demo", *options), ("devnet", "up", "--anvil", str(program))):
        cli.check_one_line(cli.call(tmp_path, *command), 14)
        assert list(tmp_path.glob("runs/*")) == []


def test_chain__nobody_answers__exit_13(devnet):
    folder, facts = devnet
    options = ("--rpc", "http://127.0.0.1:9", "--addresses", facts["addresses"])
    cli.check_one_line(cli.call(folder, "ledger", "agents", *options), 13)


def test_chain__no_contracts_at_the_addresses__exit_14(devnet, tmp_path):
    folder, facts = devnet
    book = json.loads(Path(facts["addresses"]).read_text())
    book["addresses"]["round_manager"] = "0x" + "11" * 20
    (tmp_path / "book.json").write_text(json.dumps(book))
    options = ("--rpc", facts["rpc"], "--addresses", str(tmp_path / "book.json"))
    done = cli.call(folder, "ledger", "agents", *options)
    cli.check_one_line(done, 14)
    assert "not deployed" in done.stderr


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "flchain-deployment-v1"}'])
def test_address_book__malformed__exit_14(devnet, tmp_path, text):
    folder, facts = devnet
    (tmp_path / "book.json").write_text(text)
    options = ("--rpc", facts["rpc"], "--addresses", str(tmp_path / "book.json"))
    cli.check_one_line(cli.call(folder, "ledger", "agents", *options), 14)


def test_task__unknown__exit_12(devnet):
    cli.check_one_line(cli.call(devnet[0], "ledger", "rounds", "--task", "99"), 12)


@pytest.mark.parametrize(
    "command",
    [
        ["ledger", "rewards"],
        ["ledger", "agents"],
        ["task", "fund", "--amount", "10"],
        ["task", "close"],
        ["agent", "enrol"],
    ],
)
def test_task__unknown__refused_and_nothing_is_sent(devnet, account, command):
    folder, _ = devnet
    options = () if command[0] == "ledger" else account
    before = cli.call(folder, "console", stdin=COUNT_EVENTS).stdout
    done = cli.call(folder, *command, "--task", "99", *options)
    cli.check_one_line(done, 12)
    assert "task 99" in done.stderr
    assert cli.call(folder, "console", stdin=COUNT_EVENTS).stdout == before


def test_funds__no_tokens__exit_14(devnet):
    options = make_account(devnet[0], "poor", funded=False)
    done = cli.call(devnet[0], "agent", "register", *options)
    cli.check_one_line(done, 14)
    assert "send it tokens first" in done.stderr


def test_funds__no_coins_for_gas__exit_14(devnet):
    folder, _ = devnet
    options = make_account(folder, "gasless", funded=False)
    address = cli.call(folder, "keys", "show", "gasless.json").stdout.strip()
    done = cli.call(folder, "devnet", "fund", address, "--tokens", "500", "--coins", "0")
    assert done.returncode == 0, done.stderr
    cli.check_one_line(cli.call(folder, "agent", "register", *options), 14)


def test_call__reverted__exit_12_names_the_rule(devnet):
    folder, _ = devnet
    options = make_account(folder, "twice", funded=True)
    assert cli.call(folder, "agent", "register", *options).returncode == 0
    done = cli.call(folder, "agent", "register", *options)
    cli.check_one_line(done, 12)
    assert "registration" in done.stderr


def test_password__wrong__exit_14_and_not_shown(devnet, account):
    environment = {"FLCHAIN_PASSWORD": "hunter2"}
    done = cli.call(
        devnet[0], "agent", "register", "--keystore", "account.json", environment=environment
    )
    cli.check_one_line(done, 14)
    assert "hunter2" not in done.stderr


def test_password__nobody_to_ask__exit_14(devnet, account):
    done = cli.call(devnet[0], "agent", "register", "--keystore", "account.json")
    cli.check_one_line(done, 14)
    assert "--password-file" in done.stderr


def test_role__not_enrolled__exit_14_says_how(devnet, account, task):
    done = cli.call(devnet[0], "agent", "run", "--data", "digits:0-50", "--task", task, *account)
    cli.check_one_line(done, 14)
    assert "flchain agent enrol" in done.stderr


@pytest.mark.parametrize(
    "case",
    [
        ('mode = "secure"', 'mode = "secure"\nmodes = "both"', "modes"),
        ('mode = "secure"', 'mode = "public"', "mode"),
        ('learning_rate = "0.05"', "learning_rate = 0.05", "learning_rate"),
        ("batch_size = 16", "batch_size = 16\nbatch_size = 32", "line 24"),
        ("max_agents = 64", "max_agents = 2", "max_agents"),
        ('name = "fedavg"', 'name = "unheard-of"', "strategy"),
        ("[data]", "[data", "TOML"),
    ],
)
def test_policy__wrong_or_ambiguous__exit_14_and_no_task(devnet, account, task, case):
    (folder, _), (old, new, named) = devnet, case
    text = get_preset_text("digits")
    assert old in text
    (folder / "wrong.toml").write_text(text.replace(old, new, 1))
    count = count_tasks(folder)
    done = cli.call(folder, "task", "create", "--policy", "wrong.toml", *account)
    cli.check_one_line(done, 14)
    assert named in done.stderr
    assert count_tasks(folder) == count


def count_tasks(folder):
    return cli.call(folder, "console", stdin="print(ledger.get_task_count())").stdout.strip()


@pytest.mark.parametrize(
    "floor",
    [(("--architecture", "other"), "which you do not allow"), (("--min-survivors", "999"), "999")],
    ids=["architecture", "survivors"],
)
def test_floor__above_what_the_task_offers__exit_14(devnet, enrolled, enrolled_validator, floor):
    floor, named = floor
    run = ("run", "--data", "digits:0-50")
    for command in (
        ("agent", *run, *enrolled),
        ("validator", *run, *enrolled_validator),
        ("validator", "endorse", *enrolled_validator),
    ):
        done = cli.call(devnet[0], *command, *floor)
        cli.check_one_line(done, 14)
        assert named in done.stderr


def test_floor__architecture_of_the_task_among_them__endorsed(devnet, enrolled_validator):
    policy = cli.call_json(devnet[0], "task", "show", *enrolled_validator[-2:])["policy"]
    name = json.loads(policy)["model"]["architecture"]
    floors = ("--architecture", "other", "--architecture", name)
    done = cli.call(devnet[0], "validator", "endorse", *floors, *enrolled_validator)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("inputs", "labels", "named"),
    [
        (np.zeros((40, 5)), np.zeros(40, int), "shape"),
        (np.full((40, 64), np.nan), np.zeros(40, int), "NaN"),
        (np.zeros((40, 64)), np.full(40, 77), "label 77"),
        (np.zeros((39, 64)), np.zeros(40, int), "39 inputs, 40 labels"),
    ],
    ids=["shape", "nan", "label", "length"],
)
def test_data__malformed__exit_14_before_anything_is_sent(devnet, enrolled, inputs, labels, named):
    folder, options = devnet[0], enrolled
    np.savez(folder / "rows.npz", inputs=inputs, labels=labels)
    done = cli.call(folder, "agent", "run", "--data", "rows.npz", *options)
    cli.check_one_line(done, 14)
    assert named in done.stderr


def test_cid__unknown__exit_13(devnet, task):
    done = cli.call(devnet[0], "store", "export", UNKNOWN_CID, "--out", "out.car")
    cli.check_one_line(done, 13)
    assert UNKNOWN_CID in done.stderr
    assert not (devnet[0] / "out.car").exists()


def test_cid__malformed__exit_10(devnet, task):
    cli.check_one_line(cli.call(devnet[0], "store", "export", "zzz", "--out", "out.car"), 10)


def test_block__corrupt__exit_11_and_kept_aside(devnet, task):
    folder, _ = devnet
    pin = next(row for row in cli.call_json(folder, "store", "pins") if row["cid"][3] == "k")
    copy = folder / "damaged"
    done = cli.call(folder, "store", "export", pin["cid"], "--out", "one.car")
    assert done.returncode == 0, done.stderr
    store = f"file:{copy}"
    assert cli.call(folder, "store", "import", "one.car", "--store", store).returncode == 0
    (block,) = copy.glob("blocks/*/*.data")
    block.chmod(0o644)
    block.write_bytes(b"x" + block.read_bytes()[1:])
    options = ("--out", "two.car", "--store", store)
    done = cli.call(folder, "store", "export", pin["cid"], *options)
    cli.check_one_line(done, 11)
    assert not (folder / "two.car").exists()
    assert len(list(copy.glob("quarantine/*"))) == 1


def test_blob__oversize__exit_10_and_nothing_kept(devnet, task):
    folder, _ = devnet
    pin = cli.call_json(folder, "store", "pins")[0]
    assert cli.call(folder, "store", "export", pin["cid"], "--out", "big.car").returncode == 0
    store = f"file:{folder / 'small'}"
    options = ("--max-size", "10", "--store", store)
    cli.check_one_line(cli.call(folder, "store", "import", "big.car", *options), 10)
    assert cli.call_json(folder, "store", "pins", "--store", store) == []


@pytest.mark.parametrize("data", [b"", b"\x00", b"not an archive at all", bytes(100)])
def test_archive__malformed__exit_10(devnet, data):
    (devnet[0] / "wrong.car").write_bytes(data)
    cli.check_one_line(cli.call(devnet[0], "store", "import", "wrong.car"), 10)


def test_port__busy__another_is_taken(devnet, tmp_path):
    port = devnet[1]["rpc"].rsplit(":", 1)[1]
    facts = cli.run_json(tmp_path, "devnet", "up", "--port", port)
    try:
        assert facts["running"]
        assert facts["rpc"] != devnet[1]["rpc"]
    finally:
        assert cli.call(tmp_path, "devnet", "down").returncode == 0


def test_devnet__up_twice__exit_14_and_the_first_goes_on(devnet):
    folder, facts = devnet
    cli.check_one_line(cli.call(folder, "devnet", "up"), 14)
    assert cli.call_json(folder, "devnet", "status")["pid"] == facts["pid"]
