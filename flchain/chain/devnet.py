"""A local chain for development: an Anvil process and its saved chain, one for each folder."""

import gzip
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from flchain.chain.anvil import AnvilOptions, find_anvil, get_command, spawn
from flchain.chain.devnet_control import DevnetControl
from flchain.chain.devnet_folder import DevnetFolder, Identity, Process
from flchain.chain.rpc import HttpRpc
from flchain.protocol.errors import AdapterError, ConfigError

DEFAULT_PORT = 8545
_HOST = "127.0.0.1"
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 20.0
_POLL = 0.01
_BIND_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DevnetConfig:
    """Where a devnet lives and how it is started.

    `port` is a wish: a free one is taken when it is busy. A `is_detached` devnet goes on when
    this process ends. `anvil` overrides the search of `find_anvil`.
    """

    folder: Path
    port: int = DEFAULT_PORT
    is_detached: bool = False
    anvil: Path | None = None
    options: AnvilOptions = field(default_factory=AnvilOptions)


class Devnet:
    """A running Anvil, started by this process or by another.

    As a context manager it stops the chain on leaving.
    """

    def __init__(
        self,
        folder: DevnetFolder,
        process: Process,
        identity: Identity,
        child: subprocess.Popen[bytes] | None = None,
    ) -> None:
        """Take a process that runs; `child` if it is ours."""
        self._folder = folder
        self._child = child
        self.pid = process.pid
        self.port = process.port
        self.chain_id = identity.chain_id
        self.mnemonic = identity.mnemonic
        self.rpc = HttpRpc(self.rpc_url)
        self.control = DevnetControl(self.rpc)

    @property
    def rpc_url(self) -> str:
        """Where it answers JSON-RPC."""
        return f"http://{_HOST}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        if self._child is not None:
            return self._child.poll() is None
        return self._folder.get_process() == Process(self.pid, self.port)

    def save(self) -> None:
        """Keep a copy of the chain as it is now, written whole or not at all."""
        packed = self.rpc.call("anvil_dumpState")
        self._folder.set_backup(gzip.decompress(bytes.fromhex(packed.removeprefix("0x"))))

    def stop(self, timeout: float = _STOP_TIMEOUT) -> None:
        """Save the chain and end the process; harmless if it has ended.

        After `timeout` seconds it is killed: what came after the last saving is lost then.
        """
        for signum in (signal.SIGTERM, signal.SIGKILL):
            if self.is_running:
                self._send_signal(signum)
            if self._wait(timeout):
                return
        raise AdapterError(f"Anvil (process {self.pid}) does not end: end it by hand")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _send_signal(self, signum: int) -> None:
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            pass  # it ended by itself
        except PermissionError as error:
            raise ConfigError(
                f"process {self.pid} is another user's: that user must stop it"
            ) from error

    def _wait(self, timeout: float) -> bool:
        if self._child is not None:
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
            return True
        deadline = time.monotonic() + timeout
        while self.is_running:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        return True


def start_devnet(config: DevnetConfig) -> Devnet:
    """Start a new chain in the folder, or resume the one that was saved there.

    Unless `is_detached`, the chain ends with the calling thread; see `anvil.spawn`. A resumed
    chain keeps its id and mnemonic, and its clock goes on where it was saved. Raises ConfigError
    if Anvil is missing, a devnet runs in the folder, or the saved chain is damaged or has
    another id.
    """
    anvil = find_anvil(config.anvil)
    folder = DevnetFolder(config.folder)
    lock = folder.lock()
    try:
        folder.set_process(None)
        options = _adopt_identity(folder, config.options)
        return _start(config, options, folder, anvil, lock)
    finally:
        # Anvil holds its own copy; without one the folder is free again.
        os.close(lock)


def attach_devnet(path: Path) -> Devnet | None:
    """Return the devnet that runs in a folder, or None if none does."""
    folder = DevnetFolder(path)
    process, identity = folder.get_process(), folder.get_identity()
    return Devnet(folder, process, identity) if process and identity else None


@contextmanager
def open_devnet(config: DevnetConfig) -> Iterator[Devnet]:
    """Use the devnet that runs in the folder, else start it and stop it on leaving."""
    running = attach_devnet(config.folder)
    if running is not None:
        yield running
        return
    with start_devnet(config) as started:
        yield started


def _adopt_identity(folder: DevnetFolder, options: AnvilOptions) -> AnvilOptions:
    """Return the options with the saved chain's mnemonic, or record a new chain."""
    identity = folder.get_identity()
    if identity is None or not folder.state.exists():
        folder.set_identity(Identity(options.chain_id, options.mnemonic))
        return options
    if identity.chain_id != options.chain_id:
        raise ConfigError(
            f"the chain saved in {folder.path} has id {identity.chain_id}, not {options.chain_id}: "
            "use its id, or another folder"
        )
    return replace(options, mnemonic=identity.mnemonic)


def _start(
    config: DevnetConfig, options: AnvilOptions, folder: DevnetFolder, anvil: Path, lock: int
) -> Devnet:
    # Anvil forgets how far its clock was moved ahead, and deadlines should not pass while the
    # chain is stopped: the clock goes on where it was saved.
    timestamp = folder.get_saved_time()
    if timestamp is not None:
        folder.set_backup()
    wish = config.port
    for _ in range(_BIND_ATTEMPTS):
        port = _choose_port(wish)
        folder.bound.unlink(missing_ok=True)
        command = get_command(
            anvil,
            options,
            port=port,
            state=folder.state,
            bound=folder.bound,
            timestamp=timestamp,
        )
        child = spawn(command, folder.log, lock=lock, is_bound=not config.is_detached)
        process = Process(child.pid, port)
        folder.set_process(process)
        devnet = Devnet(folder, process, Identity(options.chain_id, options.mnemonic), child)
        if _is_up(devnet, folder):
            if timestamp is not None:
                # A saved head's state root may count slots that were set to zero, which a loaded
                # chain no longer has: only a new block's root is one that proofs lead to.
                devnet.control.mine()
            return devnet
        wish = 0  # somebody took the port in between
    raise AdapterError("Anvil finds no free port on 127.0.0.1", is_retryable=True)


def _is_up(devnet: Devnet, folder: DevnetFolder) -> bool:
    """Wait until Anvil answers; return False if its port was taken.

    Raises ConfigError if it ends for another reason or does not answer in time.
    """
    try:
        if _wait_for_answer(devnet, folder):
            folder.bound.unlink()
            return True
    except BaseException:
        devnet.stop()
        raise
    devnet.stop()
    complaint = folder.get_complaint()
    if "in use" in complaint:
        return False
    raise ConfigError(f"Anvil does not start: {complaint or 'no answer in time'}")


def _wait_for_answer(devnet: Devnet, folder: DevnetFolder) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    while devnet.is_running and time.monotonic() < deadline:
        # Without this check another chain that holds the port could answer instead.
        if folder.bound.exists() and _get_chain_id(devnet.rpc) == devnet.chain_id:
            return True
        time.sleep(_POLL)
    return False


def _get_chain_id(rpc: HttpRpc) -> int | None:
    try:
        return int(rpc.call("eth_chainId"), 16)
    except AdapterError:
        return None


def _choose_port(wish: int) -> int:
    """Return `wish` if it is free, else a free port."""
    for port in (wish, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AdapterError("no free port on 127.0.0.1", is_retryable=True)
