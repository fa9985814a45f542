"""Finding Anvil and starting it as a process.

Flags were checked with Anvil 1.7.1. `--mixed-mining` makes a block at once for a transaction and
one every block time besides, so that the clock moves while nobody sends. With one slot in an epoch,
`finalized` trails the head by two blocks. State of old blocks is kept in memory for about 1,800
blocks: by default Anvil writes it to the home folder and leaves it there (1.6 GB after 4,000
blocks), and `--preserve-historical-states` makes a state file of 0.5 MB a block.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flchain.protocol.disk_errors import explained
from flchain.protocol.errors import ConfigError

TEST_MNEMONIC = "test test test test test test test test test test test junk"
"""The phrase that every development chain uses: anybody knows its keys. For devnets alone."""

_PR_SET_PDEATHSIG = 1
_HISTORY_BLOCKS = "256"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnvilOptions:
    """What a development chain is like.

    `block_time` and `state_interval` are in seconds; `balance` is in whole coins for each of
    `accounts` accounts of `mnemonic`. With `keeps_history` the state of every block is saved.
    """

    chain_id: int = 31337
    mnemonic: str = TEST_MNEMONIC
    accounts: int = 32
    balance: int = 10_000
    block_time: float = 0.2
    state_interval: int = 5
    keeps_history: bool = False


def find_anvil(configured: Path | None = None) -> Path:
    """Return Anvil's path: as configured, the project's own, or on PATH.

    Raises ConfigError if there is none.
    """
    if configured is not None:
        if _is_program(configured):
            return configured
        raise ConfigError(f"no Anvil at {configured}: correct the path, or leave it out")
    for path in _get_candidates():
        if _is_program(path):
            return path
    raise ConfigError("Anvil is missing: run `npm ci` in the project, or put `anvil` on PATH")


def get_command(
    anvil: Path,
    options: AnvilOptions,
    *,
    port: int,
    state: Path,
    bound: Path,
    timestamp: int | None,
) -> list[str]:
    """Return the command line.

    The chain is loaded from and saved to `state`; `bound` is written once Anvil holds its port;
    the clock starts at `timestamp` instead of now.
    """
    history = (
        ["--preserve-historical-states", "--cache-path", str(state.parent / "cache")]
        if options.keeps_history
        else ["--prune-history", _HISTORY_BLOCKS]
    )
    clock = [] if timestamp is None else ["--timestamp", str(timestamp)]
    return [
        *(str(anvil), "--quiet", "--hardfork", "prague", "--host", "127.0.0.1"),
        *("--port", str(port), "--chain-id", str(options.chain_id)),
        *("--block-time", str(options.block_time), "--mixed-mining", "--slots-in-an-epoch", "1"),
        *("--mnemonic", options.mnemonic, "--accounts", str(options.accounts)),
        *("--balance", str(options.balance)),
        *("--state", str(state), "--state-interval", str(options.state_interval)),
        *("--config-out", str(bound)),
        *history,
        *clock,
    ]


def spawn(
    command: Sequence[str], log: Path, *, lock: int, is_bound: bool
) -> subprocess.Popen[bytes]:
    """Start Anvil in a session of its own, so that Ctrl-C reaches only this process.

    Anvil inherits the file descriptor `lock` and keeps it open until it ends. If `is_bound`, the
    kernel sends it SIGTERM (it saves its state) when the thread that called this ends, SIGKILL of
    this process included; so call it from the main thread. Linux alone has that; elsewhere
    nothing ends a bound Anvil whose parent was killed.
    """
    hook = _die_with(os.getpid()) if is_bound else None
    with explained(log), log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(lock,),
            preexec_fn=hook,  # noqa: PLW1509 - two system calls, looked up before the fork
        )


def _get_candidates() -> Iterator[Path]:
    for start in (Path(__file__).resolve(), Path(sys.prefix).resolve()):
        for folder in start.parents:
            yield folder / "node_modules" / ".bin" / "anvil"
    if found := shutil.which("anvil"):
        yield Path(found)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _die_with(parent: int) -> Callable[[], None] | None:
    """Return what the child runs before Anvil, to get SIGTERM when `parent` dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def process_fork() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the call above.
        if os.getppid() != parent:
            os._exit(1)

    return process_fork
