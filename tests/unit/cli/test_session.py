"""Where a member's journal is: no two tasks and no two chains share one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from flchain.cli import session as session_module
from flchain.cli.runs import create_run
from flchain.cli.session import Session
from flchain.config import Settings
from flchain.protocol.errors import AdapterError

LEDGER = SimpleNamespace(
    chain_id=31337,
    addresses=SimpleNamespace(round_manager="0xManager"),
    get_task=lambda _: None,  # there is every task
)


@pytest.fixture
def nodes(monkeypatch):
    """First blocks by URL; None stands for a node that has none."""
    blocks = {"a": {"hash": "0x" + "aa" * 32}, "b": {"hash": "0x" + "bb" * 32}, "pruned": None}

    class Node:
        def __init__(self, url):
            self.url = url

        def call(self, method, *params):
            assert (method, params) == ("eth_getBlockByNumber", ("0x0", False))
            return blocks[self.url]

    monkeypatch.setattr(session_module, "HttpRpc", Node)


def get_folder(tmp_path, task=1, url="a", run=None) -> Path:
    settings = Settings(tmp_path, task=task)
    session = Session(settings, url, None, LEDGER, None, run)
    return session.get_journal_folder("agent", "0xAccount")


def test_journal_folder__two_tasks__differ(tmp_path, nodes):
    first, again, second = (get_folder(tmp_path, task) for task in (1, 1, 2))
    assert first == again != second


def test_journal_folder__two_chains_with_equal_ids_and_addresses__differ(tmp_path, nodes):
    assert get_folder(tmp_path, url="a") != get_folder(tmp_path, url="b")


def test_journal_folder__of_a_run__is_in_the_runs_folder(tmp_path, nodes):
    run = create_run(tmp_path, "20260101-000000")
    assert get_folder(tmp_path, url="none", run=run).is_relative_to(run.folder)


def test_journal_folder__node_without_a_first_block__says_so(tmp_path, nodes):
    with pytest.raises(AdapterError, match="first block"):
        get_folder(tmp_path, url="pruned")
