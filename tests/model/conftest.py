"""Anvil processes for the model test: bare ones, without block time, saved state or history."""

import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

import pytest

from flchain.chain.anvil import find_anvil
from tests.model.actors import MNEMONIC, NAMES
from tests.model.contracts import CHAIN_ID, Node

GENESIS_TIME = 1_800_000_000
TABLE = "table of commands and errors"
"""The property under which a test leaves what is printed after the run."""
_ATTEMPTS = 200


def _find_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _is_up(port: int) -> bool:
    try:
        with Node(port) as node:
            return bool(node.get("eth_chainId"))
    except (OSError, ValueError):
        return False


@contextmanager
def _run_anvil():
    port = _find_port()
    command = [
        *(str(find_anvil()), "--quiet", "--hardfork", "prague", "--prune-history"),
        *("--port", str(port), "--chain-id", str(CHAIN_ID), "--timestamp", str(GENESIS_TIME)),
        *("--mnemonic", MNEMONIC, "--accounts", str(len(NAMES))),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(_ATTEMPTS):
                if _is_up(port):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def pytest_terminal_summary(terminalreporter):
    """Print the tables of the tests, those run by other workers included."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", ()):
                if name == TABLE and report.when == "call":
                    terminalreporter.section(TABLE)
                    terminalreporter.write_line(text)


@pytest.fixture
def start_anvil():
    """Return a function that starts an Anvil and returns its port."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_run_anvil())
