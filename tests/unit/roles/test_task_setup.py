"""Money goes to tasks that exist."""

import pytest

from flchain.protocol.errors import ConfigError
from flchain.protocol.params import MINIMAL
from flchain.protocol.reverts import UnknownTask
from flchain.protocol.types import ZERO_ADDRESS, TaskId, Wei
from flchain.roles.task_setup import build_task, fund_task
from tests.e2e.federation import make_memory_federation, make_policy


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


def test_build_task__too_few_survivors_for_the_rule__is_refused_before_it_costs_anything():
    rule = {"name": "krum", "parameters": {"f": 1}}
    policy = make_policy(aggregator=rule, min_agents=5, min_survivors=4)
    with pytest.raises(ConfigError, match="raise min_survivors to 5 or lower f"):
        build_task(policy, MINIMAL.schedule, ZERO_ADDRESS)
