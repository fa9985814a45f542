"""The command's outline: help without imports, exit codes, one line for each error."""

import errno
import os
import subprocess
import sys
from importlib import import_module

import click
import pytest

from flchain.cli.failures import EXIT_CODES, Terminated, run_guarded
from flchain.cli.main import COMMANDS, cli
from flchain.protocol import errors


def run_raising(error):
    @click.command()
    def command():
        raise error

    return run_guarded(command, [])


@pytest.mark.parametrize("name", COMMANDS)
def test_command__help_line__is_that_of_the_command(name):
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = getattr(import_module(f"flchain.cli.{module}"), attribute)
    assert command.help.splitlines()[0] == COMMANDS[name][1]


def test_help__heavy_packages__are_not_imported():
    code = (
        "import sys; from flchain.cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'web3', 'torch', 'numpy', 'rich', 'eth_account', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help__every_exit_code__is_listed(capsys):
    assert run_guarded(cli, ["--help"]) == 0
    text = capsys.readouterr().out
    for code, meaning in EXIT_CODES.items():
        assert f"{code:<5} {meaning}" in text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.FlchainError("x"), 1),
        (errors.EncodingError("x"), 10),
        (errors.ProofError("x"), 11),
        (errors.ProtocolError("x"), 12),
        (errors.AdapterError("x"), 13),
        (errors.ConfigError("x"), 14),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
    ],
)
def test_error__of_each_branch__its_exit_code_and_one_line(capsys, error, code):
    assert run_raising(error) == code
    assert code in EXIT_CODES
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("error: ")
    assert streams.err.count("\n") == 1


def test_error__message_of_several_lines__one_line(capsys):
    run_raising(errors.ConfigError("first\n  second"))
    assert capsys.readouterr().err == "error: first second\n"


def test_error__unexpected__line_names_the_file_with_the_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_raising(RuntimeError("boom")) == 70
    streams = capsys.readouterr()
    (log,) = tmp_path.iterdir()
    assert str(log) in streams.err
    assert streams.err.count("\n") == 1
    assert "Traceback" not in streams.err
    assert "boom" in log.read_text()


def test_error__unexpected_and_no_room_for_its_file__still_one_line(capsys, monkeypatch):
    def fail(**_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", fail)
    assert run_raising(RuntimeError("boom")) == 70
    streams = capsys.readouterr()
    assert "boom" in streams.err
    assert streams.err.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, 13), (errno.EFBIG, 13), (errno.EROFS, 14)]
)
def test_error__of_the_disk__no_fault_of_flchain(capsys, number, code):
    assert run_raising(OSError(number, os.strerror(number), "some/file")) == code
    text = capsys.readouterr().err
    assert "some/file" in text
    assert "fault" not in text


def test_error__stderr_takes_nothing__exit_code_all_the_same(monkeypatch):
    def fail(*_values, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("click.echo", fail)
    assert run_raising(errors.ProofError("x")) == 11


@pytest.mark.parametrize(
    "line",
    [
        "agent run --data digits --poll -1",
        "agent run --data digits --poll 0",
        "agent run --data digits --poll nan",
        "agent run --data digits --poll 1e300",
        "agent run --data digits --rounds -1",
        "agent run --data digits --rounds 0",
        "agent run --data digits --min-survivors 0",
        "agent run --data digits --alpha nan",
        "agent run --data digits --seed -1",
        "agent register --stake -5",
        "agent register --stake 99999999999",
        "orchestrator run --rounds 0",
        "validator run --data digits --rounds 16777216",
        "model get --out x --version -1",
        "model get --out x --version 4294967296",
        "ledger rounds --task -1",
        "ledger rounds --task 0",
        "ledger rounds --round 0",
        "ledger rewards --task 99999999999999999999999",
        "ledger rounds --chain-id 0",
        "verify --round -1",
        "demo --rounds 99999999999",
        "demo --rounds 0",
        "demo --agents 0",
        "demo --agents 1025",
        "demo --validators 65",
        "demo --seed -1",
        "demo --alpha nan",
        "demo --alpha inf",
        "demo --alpha 0",
        "simulate --alpha -1",
        "simulate --noise-multiplier 0",
        "demo --noise-multiplier nan",
        "demo --epsilon -1",
        "simulate --epsilon 1e9",
        "task create --policy x --max-rounds 0",
        "task fund --task 1 --amount 99999999999",
        "task fund --task 1 --amount 0",
        "devnet up --port -1",
        "devnet up --port 65536",
        "devnet fund 0x1111111111111111111111111111111111111111 --coins -1",
        "store gc --min-age -1",
        "store gc --min-age nan",
        "store import x --max-size 0",
    ],
)
def test_number__out_of_range__exit_2_and_nothing_is_made(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLCHAIN_DATA_DIR", str(tmp_path / "data"))
    assert run_guarded(cli, line.split()) == 2
    assert "Invalid value" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--agents", "many"], ["keys", "new"]])
def test_usage__wrong__exit_code_2(arguments):
    assert run_guarded(cli, arguments) == 2


def test_keys__new_and_show__the_same_address_and_nothing_secret(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("flchain.crypto.keys.STRONG_ROUNDS", 2)
    monkeypatch.setenv("FLCHAIN_PASSWORD", "hunter2")
    path = tmp_path / "key.json"
    assert run_guarded(cli, ["keys", "new", "--out", str(path)]) == 0
    assert run_guarded(cli, ["keys", "show", str(path)]) == 0
    streams = capsys.readouterr()
    made, shown = streams.out.split()
    assert made == shown
    assert "hunter2" not in streams.out + streams.err + path.read_text()
