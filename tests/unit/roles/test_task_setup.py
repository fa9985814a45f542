"""Money goes to tasks that exist."""

import pytest

from flchain.protocol.reverts import UnknownTask
from flchain.protocol.types import TaskId, Wei
from flchain.roles.task_setup import fund_task
from tests.e2e.federation import make_memory_federation


def test_fund_task__no_such_task__is_refused_before_a_token_moves():
    federation = make_memory_federation()
    ledger, sponsor = federation.ledger, federation.sponsor
    before = ledger.get_balance(sponsor.address)
    with pytest.raises(UnknownTask, match="task 99 does not exist"):
        fund_task(ledger, sponsor, TaskId(99), Wei(10))
    assert ledger.get_balance(sponsor.address) == before
    assert ledger.get_budget(TaskId(99)).available == 0


def test_fund_task__known_task__adds_to_its_budget():
    federation = make_memory_federation()
    before = federation.ledger.get_budget(federation.task_id).available
    fund_task(federation.ledger, federation.sponsor, federation.task_id, Wei(10))
    assert federation.ledger.get_budget(federation.task_id).available == before + 10
