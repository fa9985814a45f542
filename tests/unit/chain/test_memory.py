# Literals stand for NewTypes here.
# mypy: disable-error-code="arg-type"
from dataclasses import fields, replace

import pytest

from flchain.chain import memory
from flchain.chain.base import Ledger
from flchain.chain.memory import MemoryLedger, build_config
from flchain.chain.spec.transition import PROCESSORS, RESERVED, process
from flchain.protocol import calls, events, reserved, reverts
from flchain.protocol.errors import EncodingError
from flchain.protocol.records import DrawKey, DrawView
from flchain.protocol.types import ZERO_ADDRESS, ZERO_DIGEST, Phase
from tests.unit.chain.stage import ADDRESSES, CONTENT, FUNDS, NETWORK, SIGNERS, START, TASK, Stage


class Clock:
    def __init__(self):
        self.time = float(START)

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(clock):
    config = build_config(NETWORK, ADDRESSES["governance"])
    return MemoryLedger(config, clock, dict.fromkeys(ADDRESSES.values(), FUNDS))


def test_ledger__port__is_implemented(ledger):
    port: Ledger = ledger
    missing = [name for name in dir(Ledger) if not name.startswith("_") and not hasattr(port, name)]
    assert missing == []


def test_send__successful_call__is_one_block_with_its_events(ledger):
    receipt = ledger.send(calls.CreateTask(TASK), SIGNERS["sponsor"])
    assert receipt.block.number == 1
    assert receipt.result == 1
    assert (receipt.gas_used, receipt.gas_price) == (0, 0)
    assert [type(event) for event in receipt.events] == [
        events.TaskCreated,
        events.ModelPublished,
    ]
    assert ledger.get_head() == ledger.get_finalized() == receipt.block


def test_send__refused_call__raises_and_makes_no_block(ledger):
    head = ledger.get_head()
    with pytest.raises(reverts.UnknownTask):
        ledger.send(calls.OpenRound(1), SIGNERS["a1"])
    assert ledger.get_head() == head
    assert ledger.get_events() == []


def test_send__time_has_passed__an_empty_block_comes_first(ledger, clock):
    first = ledger.send(calls.CreateTask(TASK), SIGNERS["sponsor"]).block
    assert ledger.send(calls.CreateTask(TASK), SIGNERS["sponsor"]).block.number == 2
    clock.time += 5
    receipt = ledger.send(calls.CreateTask(TASK), SIGNERS["sponsor"])
    assert (receipt.block.number, receipt.block.timestamp) == (4, START + 5)
    assert [entry.block_number for entry in ledger.get_events(from_block=3)] == [4, 4]
    assert first.timestamp == START


def test_env__block_hashes__are_those_of_the_256_blocks_before(ledger, clock, monkeypatch):
    seen = []

    def process(_state, env, _call):
        seen.append(env)
        return []

    monkeypatch.setattr(memory, "process", process)
    heads = [ledger.send(calls.Settle(1), SIGNERS["a1"]).block for _ in range(300)]
    known = {head.number: head.hash for head in heads}
    env = seen[-1]
    assert env.block == heads[-1].number == 300
    numbers = range(44, 300)
    assert [env.get_block_hash(number) for number in numbers] == [known[n] for n in numbers]
    clock.time += 1
    ledger.send(calls.Settle(1), SIGNERS["a1"])
    env = seen[-1]
    assert env.block == 302
    assert env.get_block_hash(300) == known[300]
    assert env.get_block_hash(301) not in {ZERO_DIGEST, known[300]}
    assert [env.get_block_hash(number) for number in (-1, 0, 45, 303, 2**40)] == [ZERO_DIGEST] * 5


def test_send_all__one_refused__does_not_stop_the_others(ledger):
    answers = ledger.send_all(
        [
            (calls.CreateTask(TASK), SIGNERS["sponsor"]),
            (calls.CloseTask(1), SIGNERS["a1"]),
            (calls.CreateTask(TASK), SIGNERS["sponsor"]),
        ]
    )
    assert [getattr(answer, "result", None) for answer in answers] == [1, None, 2]
    assert isinstance(answers[1], reverts.NotSponsor)


def test_result__round_and_proposal__are_what_the_contracts_return():
    stage = Stage().gather()
    ledger = MemoryLedger(stage.state.config, lambda: stage.time)
    ledger.state = stage.state
    assert ledger.send(calls.OpenRound(1), SIGNERS["stranger"]).result == 1
    stage.submit().attest()
    receipt = ledger.send(calls.Propose(1, 1, CONTENT), SIGNERS["orchestrator"])
    assert receipt.result == ledger.get_proposal(1).proposal_id
    assert ledger.send(calls.LeaveTask(1), SIGNERS["a1"]).result is None


def test_events__filters__give_blocks_tasks_and_kinds(ledger):
    for name in ("sponsor", "a1"):
        ledger.send(calls.CreateTask(TASK), SIGNERS[name])
    ledger.send(calls.SetAllowed(ADDRESSES["a1"], allowed=True), SIGNERS["governance"])
    everything = ledger.get_events()
    assert [entry.block_number for entry in everything] == [1, 1, 2, 2, 3]
    assert [entry.log_index for entry in everything] == [0, 1, 0, 1, 0]
    assert ledger.get_events(from_block=2, to_block=2) == everything[2:4]
    assert ledger.get_events(task_id=1) == everything[:2]
    assert ledger.get_events(kinds=(events.AllowanceSet,)) == everything[4:]
    assert ledger.get_events(from_block=4) == []
    assert everything[1].contract == ledger.addresses.model_registry
    assert len({entry.tx_hash for entry in everything}) == 3


def test_time__clock_that_steps_back__never_goes_before_the_head(ledger, clock):
    ledger.send(calls.CreateTask(TASK), SIGNERS["sponsor"])
    clock.time -= 50
    assert ledger.get_time() == START
    clock.time += 75.9
    assert ledger.get_time() == START + 25


def test_reads__unknown_task__are_zero_or_refused(ledger):
    with pytest.raises(reverts.UnknownTask):
        ledger.get_task(1)
    with pytest.raises(reverts.UnknownVersion):
        ledger.get_state_digest(1, 0)
    with pytest.raises(reverts.WrongPhase):
        ledger.get_proposer(1)
    assert ledger.get_phase(1) == Phase.NONE
    assert ledger.get_task_status(1).sponsor == ZERO_ADDRESS
    assert ledger.get_round(1).round == 0
    assert ledger.get_survivors(1) == frozenset()
    assert ledger.get_latest_version(1) == 0
    assert ledger.count_active(1).agents == 0
    assert not ledger.is_claimed(1, 1, 0)
    assert ledger.get_draw(1) == DrawView()
    assert ledger.get_draw_key(1, 0) == (DrawKey(), ZERO_ADDRESS)
    assert ledger.get_total_weight(1) == 0
    assert ledger.get_proven_key(ADDRESSES["v1"]) == ZERO_DIGEST
    assert ledger.get_guardian(ADDRESSES["v1"]) == ZERO_ADDRESS
    assert ledger.get_recovery(ADDRESSES["v1"]) == (ZERO_DIGEST, 0)


def test_reads__finished_round__agree_with_the_specification():
    stage = Stage().finish()
    ledger = MemoryLedger(stage.state.config, lambda: stage.time)
    ledger.state = stage.state
    assert ledger.get_phase(1) == Phase.ENDED
    assert ledger.get_task(1) == TASK
    assert ledger.get_task_count() == 1
    assert ledger.get_round(1).attesters == 4
    assert ledger.get_ballot(1).approvals == 3
    assert ledger.get_latest_version(1) == 1
    assert ledger.get_survivors(1) == {0, 1, 2}
    assert ledger.get_member(1, ADDRESSES["a1"]).submitted_round == 1
    assert ledger.get_balance(ADDRESSES["stranger"]) == FUNDS
    assert ledger.get_nonce(ledger.addresses.agent_registry, ADDRESSES["a1"]) == 0
    assert ledger.is_eligible(ADDRESSES["v1"], 2)
    assert not ledger.is_allowed(ADDRESSES["v1"])
    assert ledger.compute_required_stake(7) == 60 * 10**18
    assert ledger.get_epoch_length() == NETWORK.epoch_length
    assert ledger.get_native_balance(ADDRESSES["a1"]) > 0


@pytest.mark.parametrize("name", ["governance", "stranger"])
@pytest.mark.parametrize("kind", RESERVED, ids=lambda kind: kind.__name__)
def test_reserved_call__from_a_person__is_refused(ledger, kind, name):
    call = kind(*[0 for _ in fields(kind)])
    with pytest.raises(reverts.Revert) as caught:
        ledger.send(call, SIGNERS[name])
    assert type(caught.value) is RESERVED[kind]
    assert caught.value.arguments == (ADDRESSES[name],)


def test_process__every_call_class__has_a_rule():
    known = {
        kind
        for module in (calls, reserved)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, calls.Call) and hasattr(kind, "function")
    }
    assert known == set(PROCESSORS) | set(RESERVED)


def test_process__object_that_is_no_call__is_refused(ledger):
    with pytest.raises(EncodingError):
        process(ledger.state, None, object())


def test_ledgers__two_of_them__share_nothing(clock):
    config = build_config(NETWORK, ADDRESSES["governance"])
    first, second = MemoryLedger(config, clock), MemoryLedger(config, clock)
    first.send(calls.CreateTask(replace(TASK, max_rounds=1)), SIGNERS["sponsor"])
    assert second.get_task_count() == 0
