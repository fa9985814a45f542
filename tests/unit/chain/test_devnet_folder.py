"""The devnet's folder and command line; the process itself is in tests/e2e."""

import errno
import os
import stat

import pytest

from flchain.chain.anvil import AnvilOptions, find_anvil, get_command
from flchain.chain.devnet_folder import DevnetFolder, Identity, Process
from flchain.protocol.errors import AdapterError, ConfigError


@pytest.fixture
def folder(tmp_path):
    return DevnetFolder(tmp_path / "chain")


def test_lock__held__refused_until_released(folder):
    held = folder.lock()
    assert folder.is_locked()
    with pytest.raises(ConfigError, match="a devnet is running in"):
        folder.lock(patience=0.05)
    os.close(held)
    assert not folder.is_locked()
    os.close(folder.lock(patience=0))


def test_lock__inherited_copy__still_held(folder):
    held = folder.lock()
    copy = os.dup(held)
    os.close(held)
    assert folder.is_locked()
    os.close(copy)
    assert not folder.is_locked()


def test_process__lock_free__record_is_stale(folder):
    held = folder.lock()
    folder.set_process(Process(os.getpid(), 1234))
    assert folder.get_process() == Process(os.getpid(), 1234)
    os.close(held)
    assert folder.get_process() is None
    assert folder.get_last_process() == Process(os.getpid(), 1234)


def test_process__never_started__none(folder):
    assert folder.get_process() is None
    assert folder.get_identity() is None
    assert folder.get_saved_time() is None


def test_identity__saved__owner_only(folder):
    folder.set_identity(Identity(31337, "secret words"))
    assert folder.get_identity() == Identity(31337, "secret words")
    mode = (folder.path / "devnet.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_identity__damaged__config_error(folder):
    folder.set_identity(Identity(1, "x"))
    for text in ('{"chain_id":', "[]", "{}", '{"chain_id": 1}', '{"chain_id": "", "mnemonic": 1}'):
        (folder.path / "devnet.json").write_text(text)
        with pytest.raises(ConfigError, match="is damaged") as caught:
            folder.get_identity()
        assert "remove" not in str(caught.value)


def test_process__damaged_record__names_the_file_alone(folder):
    folder.path.mkdir()
    (folder.path / "process.json").write_text("{")
    with pytest.raises(ConfigError, match=r"process\.json is damaged: .* remove that file"):
        folder.get_last_process()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, AdapterError),
        (errno.EDQUOT, AdapterError),
        (errno.EFBIG, AdapterError),
        (errno.EROFS, ConfigError),
        (errno.EACCES, ConfigError),
    ],
)
@pytest.mark.parametrize("call", ["lock", "identity", "process", "backup"])
def test_folder__cannot_be_written__error_names_it(folder, monkeypatch, number, kind, call):
    folder.path.mkdir()

    def fail(*_values, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    calls = {
        "lock": folder.lock,
        "identity": lambda: folder.set_identity(Identity(1, "x")),
        "process": lambda: folder.set_process(Process(1, 2)),
        "backup": lambda: folder.set_backup(b"{}"),
    }
    with pytest.raises(kind, match=str(folder.path)) as caught:
        calls[call]()
    assert getattr(caught.value, "is_retryable", False) == (kind is AdapterError)


def test_lock__file_can_only_be_read__still_says_whether_it_is_held(folder, monkeypatch):
    held = folder.lock()
    real = os.open

    def refuse_writing(path, flags, *rest):
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse_writing)
    assert folder.is_locked()
    os.close(held)
    assert not folder.is_locked()


def test_saved_time__whole_file__time_of_head(folder):
    folder.path.mkdir()
    folder.state.write_text('{"block":{"number":"0x5","timestamp":"0x3e8"},"accounts":{}}\n')
    assert folder.get_saved_time() == 1000


@pytest.mark.parametrize("text", ["", '{"block":{"number":"0x5","timestamp":"0x3e8"},"acc', "{}"])
def test_saved_time__torn_file__names_backup(folder, text):
    folder.path.mkdir()
    folder.state.write_text(text)
    with pytest.raises(ConfigError, match="no copy of it was kept"):
        folder.get_saved_time()
    folder.set_backup(b"{}")
    with pytest.raises(ConfigError, match=r"put backup\.json beside it in its place"):
        folder.get_saved_time()


def test_saved__state_is_missing__refused(folder):
    with pytest.raises(ConfigError, match=r"state\.json is missing"):
        folder.verify_saved()
    folder.path.mkdir()
    folder.state.touch()
    folder.verify_saved()


def test_backup__of_state_or_given__whole(folder):
    folder.path.mkdir()
    folder.state.write_bytes(b"{1}")
    folder.set_backup()
    assert folder.backup.read_bytes() == b"{1}"
    folder.set_backup(b"{2}")
    assert folder.backup.read_bytes() == b"{2}"
    assert {path.name for path in folder.path.iterdir()} == {"state.json", "backup.json"}


def test_complaint__log__last_line(folder):
    assert folder.get_complaint() == ""
    folder.path.mkdir()
    folder.log.write_text("one\nError: two \n\n")
    assert folder.get_complaint() == "Error: two"


def test_find_anvil__configured__that_or_nothing(tmp_path):
    program = tmp_path / "anvil"
    with pytest.raises(ConfigError, match="no Anvil at"):
        find_anvil(program)
    program.write_text("#!/bin/sh\n")
    with pytest.raises(ConfigError, match="no Anvil at"):
        find_anvil(program)
    program.chmod(0o755)
    assert find_anvil(program) == program


def test_find_anvil__nowhere__one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("flchain.chain.anvil.__file__", str(tmp_path / "a.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="Anvil is missing"):
        find_anvil()


def test_find_anvil__beside_the_environment__found_without_path(monkeypatch, tmp_path):
    monkeypatch.setattr("flchain.chain.anvil.__file__", str(tmp_path / "site" / "a.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "project" / ".venv"))
    monkeypatch.setenv("PATH", "")
    program = tmp_path / "project" / "node_modules" / ".bin" / "anvil"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_anvil() == program


def get_options(folder, **options):
    return get_command(
        folder.path,
        AnvilOptions(**options),
        port=8545,
        state=folder.state,
        bound=folder.bound,
        timestamp=None,
    )


def test_command__defaults__the_flags_of_a_devnet(folder):
    command = get_options(folder)
    text = " ".join(command)
    for flags in (
        "--block-time 0.2 --mixed-mining --slots-in-an-epoch 1",
        "--hardfork prague --host 127.0.0.1 --port 8545",
        "--state-interval 5",
        "--prune-history 256",
    ):
        assert flags in text
    assert "--preserve-historical-states" not in command
    assert "--timestamp" not in command


def test_command__history_kept__not_pruned(folder):
    command = get_options(folder, keeps_history=True)
    assert "--preserve-historical-states" in command
    assert "--prune-history" not in command


def test_command__resumed__starts_at_saved_time(folder):
    command = get_command(
        folder.path,
        AnvilOptions(),
        port=1,
        state=folder.state,
        bound=folder.bound,
        timestamp=1_000,
    )
    assert command[command.index("--timestamp") + 1] == "1000"
