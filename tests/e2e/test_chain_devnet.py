"""Anvil as a process: start, save, resume, busy ports, and deaths of parent and child."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from flchain.chain.anvil import AnvilOptions
from flchain.chain.devnet import DevnetConfig, attach_devnet, open_devnet, start_devnet
from flchain.protocol.errors import ConfigError
from flchain.protocol.types import Address, Seconds, Wei

pytestmark = pytest.mark.anvil

ROOT = Path(__file__).resolve().parents[2]
SOMEBODY = Address("0x00000000000000000000000000000000000000A1")
PARENT = """
import sys, time
from pathlib import Path
from flchain.chain.devnet import DevnetConfig, start_devnet
devnet = start_devnet(DevnetConfig(folder=Path(sys.argv[1]), is_detached=sys.argv[2] == "detached"))
devnet.rpc.call("anvil_setBalance", "0x00000000000000000000000000000000000000A1", "0x7")
print(devnet.pid, devnet.port, flush=True)
try:
    time.sleep(60)
finally:
    devnet.stop()
"""


def start_parent(folder, kind="bound"):
    """Return a process that runs a devnet, and the devnet's pid."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), kind], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    pid, _ = map(int, parent.stdout.readline().split())
    parent.stdout.close()
    return parent, pid


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, timeout=15.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def config(folder, **options):
    return DevnetConfig(folder=folder, **options)


def get_balance(devnet):
    return int(devnet.rpc.call("eth_getBalance", SOMEBODY, "latest"), 16)


def get_time(devnet):
    return int(devnet.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


def test_devnet__stopped_and_started__chain_and_clock_go_on(tmp_path):
    with start_devnet(config(tmp_path, options=AnvilOptions(chain_id=4242))) as devnet:
        devnet.control.set_balance(SOMEBODY, Wei(7))
        moved = devnet.control.advance_time(Seconds(100_000))
        block = devnet.rpc.call("eth_getBlockByNumber", "latest", False)
    assert not devnet.is_running
    with start_devnet(config(tmp_path, options=AnvilOptions(chain_id=4242))) as devnet:
        assert devnet.chain_id == int(devnet.rpc.call("eth_chainId"), 16) == 4242
        assert get_balance(devnet) == 7
        again = devnet.rpc.call("eth_getBlockByNumber", block["number"], False)
        assert again["hash"] == block["hash"]
        devnet.control.mine()
        assert moved <= get_time(devnet) < moved + 60


def test_devnet__flags__clock_moves_and_finality_follows(tmp_path):
    with start_devnet(config(tmp_path)) as devnet:
        wait_for(lambda: int(devnet.rpc.call("eth_blockNumber"), 16) >= 4)
        head, final = (
            int(devnet.rpc.call("eth_getBlockByNumber", tag, False)["number"], 16)
            for tag in ("latest", "finalized")
        )
        assert 2 <= head - final <= 3


def test_devnet__second_in_the_same_folder__refused(tmp_path):
    with start_devnet(config(tmp_path)) as devnet:
        with pytest.raises(ConfigError, match="a devnet is running in"):
            start_devnet(config(tmp_path))
        assert devnet.is_running
        attached = attach_devnet(tmp_path)
        assert attached is not None
        assert attached.pid == devnet.pid


def test_devnet__second_in_another_folder__neither_disturbed(tmp_path):
    with (
        start_devnet(config(tmp_path / "one")) as one,
        start_devnet(config(tmp_path / "two", port=one.port)) as two,
    ):
        assert one.port != two.port
        one.control.set_balance(SOMEBODY, Wei(1))
        two.control.set_balance(SOMEBODY, Wei(2))
        assert (get_balance(one), get_balance(two)) == (1, 2)
        two.stop()
        assert get_balance(one) == 1


def test_devnet__port_of_something_else__takes_another(tmp_path):
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with start_devnet(config(tmp_path, port=port)) as devnet:
            assert devnet.port != port
            assert devnet.rpc.call("eth_chainId") == "0x7a69"


def test_devnet__other_chain_id__refused(tmp_path):
    start_devnet(config(tmp_path)).stop()
    with pytest.raises(ConfigError, match="has id 31337, not 5"):
        start_devnet(config(tmp_path, options=AnvilOptions(chain_id=5)))


def test_devnet__bad_mnemonic__one_line_and_nothing_left(tmp_path):
    options = AnvilOptions(mnemonic="not a phrase")
    with pytest.raises(ConfigError, match="Anvil does not start") as caught:
        start_devnet(config(tmp_path, options=options))
    assert "\n" not in str(caught.value)
    assert attach_devnet(tmp_path) is None


def test_devnet__damaged_state__refused_and_kept(tmp_path):
    with start_devnet(config(tmp_path)) as devnet:
        devnet.control.set_balance(SOMEBODY, Wei(7))
        devnet.save()
    state = tmp_path / "state.json"
    state.write_bytes(state.read_bytes()[:1_000])
    with pytest.raises(ConfigError, match="is damaged"):
        start_devnet(config(tmp_path))
    assert state.stat().st_size == 1_000
    (tmp_path / "backup.json").replace(state)
    with start_devnet(config(tmp_path)) as devnet:
        assert get_balance(devnet) == 7


def test_devnet__killed__resumes_from_the_last_interval(tmp_path):
    options = AnvilOptions(state_interval=1)
    devnet = start_devnet(config(tmp_path, options=options))
    devnet.control.set_balance(SOMEBODY, Wei(7))
    written = time.time()
    wait_for(
        lambda: (
            (tmp_path / "state.json").exists()
            and (tmp_path / "state.json").stat().st_mtime > written + 0.2
        )
    )
    # Not while it writes: that is the damaged state above.
    time.sleep(0.3)
    os.kill(devnet.pid, signal.SIGKILL)
    wait_for(lambda: not devnet.is_running)
    with open_devnet(config(tmp_path, options=options)) as resumed:
        assert resumed.pid != devnet.pid
        assert get_balance(resumed) == 7


def test_devnet__parent_killed__ends_and_saves(tmp_path):
    parent, pid = start_parent(tmp_path)
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(pid))
    # Its threads end, and let go of the folder, a little after it.
    wait_for(lambda: attach_devnet(tmp_path) is None)
    with start_devnet(config(tmp_path)) as devnet:
        assert get_balance(devnet) == 7


def test_devnet__interrupted__nothing_left(tmp_path):
    parent, pid = start_parent(tmp_path)
    parent.send_signal(signal.SIGINT)
    parent.wait(20)
    assert not is_alive(pid)


def test_devnet__detached__outlives_its_parent(tmp_path):
    parent, pid = start_parent(tmp_path, "detached")
    parent.kill()
    parent.wait()
    with open_devnet(config(tmp_path)) as attached:
        assert attached.pid == pid
        assert get_balance(attached) == 7
    assert is_alive(pid)
    again = attach_devnet(tmp_path)
    assert again is not None
    again.stop()
    wait_for(lambda: not is_alive(pid))


def test_devnet__nothing_runs__attach_finds_nothing(tmp_path):
    assert attach_devnet(tmp_path) is None
    start_devnet(config(tmp_path)).stop()
    assert attach_devnet(tmp_path) is None


def test_devnet__snapshot__back_to_it_once(tmp_path):
    with start_devnet(config(tmp_path)) as devnet:
        snapshot = devnet.control.take_snapshot()
        devnet.control.set_balance(SOMEBODY, Wei(7))
        devnet.control.revert(snapshot)
        assert get_balance(devnet) == 0
        devnet.control.set_storage(SOMEBODY, 3, b"\5")
        assert devnet.control.get_storage(SOMEBODY, 3) == b"\0" * 31 + b"\5"
