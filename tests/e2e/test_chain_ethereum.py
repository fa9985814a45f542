"""The Ethereum ledger over Anvil: a round, refusals, time, stuck fees, forks, bad set-ups."""

import dataclasses
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flchain.chain.address_book import load_address_book, save_address_book
from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.ethereum import EthereumLedger, connect
from flchain.chain.fees import GWEI
from flchain.chain.receipts import SendPolicy
from flchain.chain.rpc import HttpRpc
from flchain.crypto.signing import LocalSigner
from flchain.protocol.calls import Approve, OpenRound, Register, Settle, Submit, Transfer
from flchain.protocol.errors import AdapterError, ConfigError, EncodingError
from flchain.protocol.events import (
    BlobsAttested,
    ModelPublished,
    ProposalSubmitted,
    RewardClaimed,
    RoundOpened,
    RoundSettled,
    TaskCreated,
    UpdateSubmitted,
    VoteCast,
)
from flchain.protocol.records import Agent, Round
from flchain.protocol.reverts import (
    AlreadyRegistered,
    AlreadySubmitted,
    ERC20InsufficientBalance,
    NotEntitled,
    StakeTooLow,
    TooEarly,
    UnknownTask,
    UnknownVersion,
    WrongPhase,
)
from flchain.protocol.types import Outcome, Phase, Role, RoundId, Seconds, TaskId, Version, Wei
from tests.e2e.chain_players import (
    INITIAL,
    NETWORK,
    RESERVE,
    SCHEDULE,
    derive_signers,
    gather_players,
    number_digest,
)

pytestmark = pytest.mark.anvil

ROOT = Path(__file__).resolve().parents[2]
STRANGER = LocalSigner(b"\x77" * 32)
CHILD = """
import sys
from pathlib import Path
from urllib.parse import urlsplit
from flchain.chain.ethereum import connect
from flchain.crypto.signing import LocalSigner
from flchain.protocol.calls import Transfer
ledger = connect(sys.argv[1], Path(sys.argv[2]))
signer = LocalSigner(bytes.fromhex(sys.argv[3]))
for _ in range(10):
    ledger.send(Transfer(sys.argv[4], 1), signer)
"""


@pytest.fixture(scope="module")
def devnet(tmp_path_factory):
    with start_devnet(DevnetConfig(folder=tmp_path_factory.mktemp("chain"))) as started:
        yield started


@pytest.fixture(scope="module")
def registered(devnet):
    return gather_players(devnet, 3, 3)


@pytest.fixture
def players(registered, devnet):
    """Everybody in a new task, on a chain that forgets the test afterwards."""
    snapshot = devnet.control.take_snapshot()
    yield dataclasses.replace(registered, ledger=EthereumLedger(devnet.rpc, registered.ledger.book))
    devnet.control.set_mining(is_automatic=True)
    devnet.control.revert(snapshot)


@pytest.fixture
def ready(players):
    players.create_task()
    return players


def get_kinds(events):
    return [type(logged.event) for logged in events]


def verify_snapshot(ledger, task_id):
    """Check that one look shows what the single reads do; the time may move on meanwhile."""
    seen = ledger.get_snapshot(task_id)
    assert seen.round == ledger.get_round(task_id)
    assert seen.ballot == ledger.get_ballot(task_id)
    assert seen.draw == ledger.get_draw(task_id)
    assert seen.phase is ledger.get_phase(task_id)
    assert seen.head.number <= ledger.get_head().number
    assert 0 <= ledger.get_time() - seen.now < 60


def test_round__everybody_acts__finalised_paid_and_on_record(ready):
    ledger, task_id = ready.ledger, ready.task_id
    number = ready.open_round()
    assert ledger.get_phase(task_id) is Phase.SUBMIT
    verify_snapshot(ledger, task_id)
    ready.submit_all(number)
    assert ledger.get_submissions(task_id).count == 3
    ready.attest_all(number)
    assert ledger.get_survivors(task_id) == frozenset({0, 1, 2})
    assert ledger.get_proposer(task_id) == (0, ready.sponsor.address)
    proposed = ready.propose(number)
    assert proposed.result == ledger.get_proposal(task_id).proposal_id
    ready.vote_all(number, proposed.result)
    verify_snapshot(ledger, task_id)
    settled = ready.settle()
    assert [event.outcome for event in settled.events if isinstance(event, RoundSettled)] == [
        Outcome.FINALIZED
    ]
    assert ledger.get_round(task_id).outcome is Outcome.FINALIZED
    assert ledger.get_latest_version(task_id) == 1
    assert ledger.get_state_digest(task_id, Version(1)) == number_digest("state", number)
    assert ledger.get_state_digest(task_id, Version(0)) == INITIAL
    before = ledger.get_balance(ready.agents[0].address)
    ready.claim_all(number)
    assert ledger.get_balance(ready.agents[0].address) == before + RESERVE // 3
    assert ledger.is_claimed(task_id, number, 0)
    assert ledger.get_distribution(task_id, number).remaining < 3


def test_round__bundles__same_outcome(ready):
    number = ready.open_round()
    ready.submit_all(number)
    ready.attest_bundle(number)
    ready.vote_bundle(number, ready.propose(number).result)
    ready.settle()
    assert ready.ledger.get_round(ready.task_id).outcome is Outcome.FINALIZED


def test_events__of_a_round__in_order_with_receipts(ready):
    ledger = ready.ledger
    opened = ledger.send(OpenRound(ready.task_id), ready.sponsor)
    submitted = ready.submit_all(opened.result)
    logged = ledger.get_events(from_block=opened.block.number, task_id=ready.task_id)
    kinds = (RoundOpened, UpdateSubmitted)
    assert [item.event for item in logged if isinstance(item.event, kinds)] == [
        event
        for receipt in (
            opened,
            *sorted(submitted, key=lambda r: (r.block.number, r.events[0].index)),
        )
        for event in receipt.events
    ]
    assert logged[0].block_hash == opened.block.hash
    assert logged[0].tx_hash == opened.tx_hash
    assert logged[0].contract == ledger.addresses.round_manager
    assert opened.gas_used > 21_000
    assert opened.gas_price > 0


def test_events__task_and_kinds__only_those(ready):
    ledger = ready.ledger
    other = dataclasses.replace(ready)
    other.create_task()
    events = ledger.get_events(task_id=other.task_id, kinds=(TaskCreated, ModelPublished))
    assert get_kinds(events) == [TaskCreated, ModelPublished]
    assert {item.event.task_id for item in events} == {other.task_id}
    head = ledger.get_head().number
    assert ledger.get_events(from_block=head + 1) == []
    assert (
        ledger.get_events(kinds=(VoteCast, BlobsAttested, ProposalSubmitted, RewardClaimed)) == []
    )


def test_reads__strangers_and_unknown_things__zero_or_their_revert(players):
    ledger = players.ledger
    assert ledger.get_agent(STRANGER.address) == Agent()
    assert not ledger.is_eligible(STRANGER.address, Role.AGENT)
    assert not ledger.is_allowed(STRANGER.address)
    assert ledger.get_round(TaskId(999)) == Round()
    assert ledger.get_phase(TaskId(999)) is Phase.NONE
    assert ledger.get_snapshot(TaskId(999)).round == Round()
    assert ledger.get_nonce(ledger.addresses.agent_registry, STRANGER.address) == 0
    assert ledger.get_nonce(ledger.addresses.token, STRANGER.address) == 0
    assert ledger.get_epoch_length() == NETWORK.epoch_length
    assert ledger.compute_required_stake(Role.AGENT) == NETWORK.agent_stake
    with pytest.raises(UnknownTask):
        ledger.get_task(TaskId(999))
    with pytest.raises(UnknownVersion):
        ledger.get_state_digest(TaskId(999), Version(1))
    with pytest.raises(WrongPhase):
        ledger.get_proposer(TaskId(999))


def test_send__rule_broken__its_revert_with_arguments(players):
    ledger, agent = players.ledger, players.agents[0]
    with pytest.raises(AlreadyRegistered) as caught:
        ledger.send(Register(Role.AGENT, NETWORK.agent_stake, number_digest("x", 1)), agent)
    assert caught.value == AlreadyRegistered(agent.address)
    newcomer = derive_signers(20)[19]
    with pytest.raises(StakeTooLow) as low:
        ledger.send(Register(Role.AGENT, Wei(5), number_digest("x", 1)), newcomer)
    assert low.value == StakeTooLow(Wei(5), NETWORK.agent_stake)
    with pytest.raises(ERC20InsufficientBalance):
        ledger.send(Transfer(agent.address, Wei(1)), newcomer)


def test_send__refused_only_once_mined__its_revert(ready, devnet):
    number = ready.open_round()
    agent, other = ready.agents[:2]
    call = Submit(ready.task_id, number, number_digest("u", 0), 1)
    devnet.control.set_mining(is_automatic=False)
    with ThreadPoolExecutor(1) as pool:
        calls = [(call, agent), (call, agent), (call, other)]
        answers = pool.submit(ready.ledger.send_all, calls)
        wait_for_pool(devnet, 3)
        devnet.control.mine()
        first, second, third = answers.result()
    assert second == AlreadySubmitted(agent.address)
    assert first.events[0].agent == agent.address
    assert third.block == first.block


def wait_for_pool(devnet, count):
    def is_full():
        status = devnet.rpc.call("txpool_status")
        return int(status["pending"], 16) + int(status["queued"], 16) >= count

    for _ in range(2_000):
        if is_full():
            return
    raise AssertionError("the transactions did not arrive")


def test_send__no_native_balance__names_account(players):
    with pytest.raises(ConfigError, match=STRANGER.address) as caught:
        players.ledger.send(Approve(players.agents[0].address, Wei(1)), STRANGER)
    assert "wei more to pay for gas" in str(caught.value)


def test_send__values_that_do_not_fit__encoding_error(players):
    with pytest.raises(EncodingError):
        players.ledger.send(Register(300, Wei(1), number_digest("x", 1)), players.agents[0])
    good = (Approve(players.agents[0].address, Wei(1)), players.agents[0])
    bad = (Register(300, Wei(1), number_digest("x", 1)), players.agents[0])
    answers = players.ledger.send_all([good, bad, good])
    assert isinstance(answers[1], EncodingError)
    assert [answers[index].gas_used > 21_000 for index in (0, 2)] == [True, True]


def test_phase__window_over_with_no_block__already_ended(ready, devnet):
    ledger, number = ready.ledger, ready.open_round()
    devnet.control.set_mining(is_automatic=False)
    head = ledger.get_head()
    devnet.rpc.call("evm_increaseTime", SCHEDULE.submit_window)
    assert ledger.get_head() == head
    assert ledger.get_time() >= head.timestamp + SCHEDULE.submit_window
    assert ledger.get_phase(ready.task_id) is not Phase.SUBMIT
    with pytest.raises(WrongPhase):
        ledger.send(Submit(ready.task_id, number, number_digest("u", 0), 1), ready.agents[0])


def test_round__nobody_submits__aborted_and_next_one_waits(ready, devnet):
    ledger = ready.ledger
    ready.open_round()
    devnet.control.advance_time(Seconds(SCHEDULE.submit_window))
    ledger.send(Settle(ready.task_id), ready.agents[0])
    assert ledger.get_round(ready.task_id).outcome is Outcome.ABORTED_TOO_FEW
    stake = ledger.get_agent(ready.agents[0].address).stake
    assert stake == NETWORK.agent_stake
    status = ledger.get_task_status(ready.task_id)
    assert ledger.get_time() < status.next_open_at
    with pytest.raises(TooEarly):
        ledger.send(OpenRound(ready.task_id), ready.sponsor)
    devnet.control.advance_time(Seconds(2 * SCHEDULE.open_delay))
    assert ready.open_round() == 2


def test_submit__stranger__not_entitled(ready):
    number = ready.open_round()
    stranger = derive_signers(20)[19]
    with pytest.raises(NotEntitled):
        ready.ledger.send(Submit(ready.task_id, number, number_digest("u", 0), 1), stranger)


def test_send__base_fee_jumps__offers_more_until_mined(players, devnet):
    policy = SendPolicy(bump_after=0.3, timeout=30.0)
    ledger = EthereumLedger(devnet.rpc, players.ledger.book, policy)
    call = Approve(players.agents[1].address, Wei(1))
    devnet.control.set_mining(is_automatic=False)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ledger.send, call, players.agents[0])
        wait_for_pool(devnet, 1)
        (offer,) = get_offers(devnet, players.agents[0])
        devnet.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(offer + offer // 20))
        devnet.control.set_mining(is_automatic=False, block_time=1)
        receipt = answer.result(30)
    assert receipt.gas_price > offer
    assert receipt.gas_price < 500 * GWEI


def get_offers(devnet, signer):
    content = devnet.rpc.call("txpool_content")
    found = {**content["pending"], **content["queued"]}
    mine = [txs for address, txs in found.items() if address.lower() == signer.address.lower()]
    return [int(item["maxFeePerGas"], 16) for txs in mine for item in txs.values()]


def test_send__many_threads_and_accounts__all_mined(players):
    ledger = players.ledger
    everybody = [players.sponsor, *players.agents, *players.validators]
    calls = [(Approve(players.sponsor.address, Wei(n)), who) for n in range(6) for who in everybody]
    with ThreadPoolExecutor(6) as pool:
        receipts = list(pool.map(lambda item: ledger.send(*item), calls))
    assert len({receipt.tx_hash for receipt in receipts}) == len(calls)


def test_send__two_processes_with_different_accounts__neither_disturbed(players, tmp_path, devnet):
    book = tmp_path / "book.json"
    save_address_book(players.ledger.book, book)
    keys = ["11" * 32, "22" * 32]
    for key in keys:
        address = LocalSigner(bytes.fromhex(key)).address
        devnet.control.set_balance(address, Wei(10**18))
        players.ledger.send(Transfer(address, Wei(10)), players.sponsor)
    target = STRANGER.address
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, devnet.rpc_url, str(book), key, target], cwd=ROOT
        )
        for key in keys
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    assert players.ledger.get_balance(target) == 20


def test_scan__blocks_replaced__rewinds_and_reads_the_new_ones(ready, devnet):
    devnet.control.set_mining(is_automatic=True)
    ledger = ready.ledger
    number = ready.open_round()
    scanner = ledger.build_scanner(ready.task_id)
    scan = scanner.scan()
    ledger.send(Submit(ready.task_id, number, number_digest("u", 0), 1), ready.agents[0])
    after = scanner.scan(scan.state)
    assert get_kinds(after.events) == [UpdateSubmitted]
    devnet.control.reorganise(after.head.number - scan.head.number)
    again = scanner.scan(after.state)
    assert again.rewound_to == scan.head.number
    kept = [item for item in (*scan.events, *after.events) if item.block_number <= again.rewound_to]
    assert [*kept, *again.events] == ledger.get_events(
        task_id=ready.task_id, to_block=again.head.number
    )


def test_finalized__idle_chain__two_behind(players):
    head, final = players.ledger.get_head(), players.ledger.get_finalized()
    assert 0 < head.number - final.number <= 5


def test_ledger__wrong_chain_id__one_line(players, devnet):
    with pytest.raises(ConfigError, match="the contracts are on 5"):
        EthereumLedger(devnet.rpc, dataclasses.replace(players.ledger.book, chain_id=5))


def test_ledger__nothing_deployed__one_line(players, tmp_path):
    path = tmp_path / "book.json"
    save_address_book(players.ledger.book, path)
    with (
        start_devnet(DevnetConfig(folder=tmp_path / "empty")) as empty,
        pytest.raises(ConfigError, match="contracts not deployed"),
    ):
        connect(empty.rpc_url, path)
    assert load_address_book(path) == players.ledger.book


def test_ledger__node_gone__retryable(tmp_path):
    with start_devnet(DevnetConfig(folder=tmp_path)) as devnet:
        signer = derive_signers(1)[0]
        book = deploy_suite(RpcDeployer(devnet.rpc, signer), NETWORK, signer.address)
        ledger = EthereumLedger(HttpRpc(devnet.rpc_url), book)
    with socket.socket() as held:
        # Bound but not listening: nobody answers here, and no other node can take the port.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", urlsplit(devnet.rpc_url).port))
        for attempt in (
            ledger.get_time,
            lambda: ledger.get_round(TaskId(1)),
            lambda: ledger.send(Approve(signer.address, Wei(1)), signer),
            ledger.get_events,
        ):
            with pytest.raises(AdapterError, match="no answer from the node") as caught:
                attempt()
            assert caught.value.is_retryable


def test_deploy__allow_list__no_token_and_no_balance(devnet, players):
    book = deploy_suite(
        RpcDeployer(devnet.rpc, players.sponsor), NETWORK, players.sponsor.address, None
    )
    ledger = EthereumLedger(devnet.rpc, book)
    assert ledger.get_balance(players.sponsor.address) == 0
    assert ledger.compute_required_stake(7) == 0
    with pytest.raises(ConfigError, match="no token"):
        ledger.send(Approve(players.sponsor.address, Wei(1)), players.sponsor)
    assert RoundId(0) == ledger.get_round(TaskId(1)).round
