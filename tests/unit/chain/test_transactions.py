"""Sending over a fake node: nonces, prices, refusals, lost answers and stuck transactions."""

import itertools
import threading

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from flchain.chain.fees import GWEI, FeePolicy, Fees
from flchain.chain.raw_transactions import sign_transaction
from flchain.chain.transactions import Clock, SendPolicy, Transaction, TransactionSender
from flchain.crypto.signing import LocalSigner
from flchain.protocol.errors import AdapterError, ConfigError, ProtocolError
from flchain.protocol.reverts import AlreadySubmitted, Panic
from flchain.protocol.types import Address
from tests.unit.chain.fake_node import FakeNode, decode_pooled

TARGET = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
ALICE, BOB = LocalSigner(b"\1" * 32), LocalSigner(b"\2" * 32)
ALREADY_SUBMITTED = keccak(text="AlreadySubmitted(address)")[:4] + bytes.fromhex(
    f"{TARGET[2:]:0>64}"
)


class FakeClock:
    """A clock that only sleeping moves; `during` runs each time somebody sleeps."""

    def __init__(self, during=lambda: None):
        self.now = 0.0
        self.during = during

    def get_time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.during()


def build_sender(node, clock=None, **policy):
    clock = clock or FakeClock()
    return TransactionSender(
        node, node.chain_id, SendPolicy(**policy), Clock(clock.get_time, clock.sleep)
    )


def call(number, gas=None):
    return Transaction(TARGET, bytes([number]) * 4, gas)


def get_mined(node):
    """Return (sender, nonce, data) of what was mined, in order."""
    items = sorted(node.mined.values(), key=lambda entry: (entry[1], entry[0].nonce))
    return [(item.sender, item.nonce, item.data) for item, _ in items]


def test_send__two_in_a_row__consecutive_nonces():
    node = FakeNode()
    sender = build_sender(node)
    for number in (1, 2):
        assert sender.send(call(number), ALICE)["status"] == "0x1"
    assert get_mined(node) == [
        (ALICE.address, 0, b"\1" * 4),
        (ALICE.address, 1, b"\2" * 4),
    ]


def test_send__used_account__starts_at_its_nonce():
    node = FakeNode(nonces={ALICE.address: 7})
    build_sender(node).send(call(1), ALICE)
    assert get_mined(node)[0][1] == 7


def test_send__signed_bytes__equal_eth_account():
    fees = Fees(3 * GWEI, GWEI)
    signed = sign_transaction(call(1), ALICE, chain_id=5, nonce=9, gas=50_000, fees=fees)
    fields = {
        "type": 2,
        "chainId": 5,
        "nonce": 9,
        "maxPriorityFeePerGas": GWEI,
        "maxFeePerGas": 3 * GWEI,
        "gas": 50_000,
        "to": TARGET,
        "value": 0,
        "data": b"\1" * 4,
    }
    expected = Account.from_key(b"\1" * 32).sign_transaction(fields)
    assert signed.raw == expected.raw_transaction
    assert signed.hash == "0x" + expected.hash.hex()


def test_send__refused_by_estimate__raises_revert_and_sends_nothing():
    node = FakeNode(reverts={b"\1" * 4: ALREADY_SUBMITTED})
    sender = build_sender(node)
    with pytest.raises(AlreadySubmitted) as caught:
        sender.send(call(1), ALICE)
    assert caught.value == AlreadySubmitted(TARGET)
    assert "eth_sendRawTransaction" not in node.seen
    sender.send(call(2), ALICE)
    assert get_mined(node) == [(ALICE.address, 0, b"\2" * 4)]


@pytest.mark.parametrize("has_traces", [True, False])
def test_send__refused_when_mined__raises_revert(has_traces):
    node = FakeNode(fails={b"\1" * 4: ALREADY_SUBMITTED}, has_traces=has_traces)
    with pytest.raises(AlreadySubmitted):
        build_sender(node).send(call(1), ALICE)


def test_send__panic__names_code():
    data = keccak(text="Panic(uint256)")[:4] + (0x11).to_bytes(32, "big")
    node = FakeNode(reverts={b"\1" * 4: data})
    with pytest.raises(Panic, match="0x11"):
        build_sender(node).send(call(1), ALICE)


def test_send__error_string__names_text():
    text = (32).to_bytes(32, "big") + (4).to_bytes(32, "big") + b"nope".ljust(32, b"\0")
    node = FakeNode(reverts={b"\1" * 4: keccak(text="Error(string)")[:4] + text})
    with pytest.raises(ProtocolError, match="nope"):
        build_sender(node).send(call(1), ALICE)


@pytest.mark.parametrize("data", [b"", b"\1\2", b"\xde\xad\xbe\xef", ALREADY_SUBMITTED[:20]])
def test_send__undecodable_refusal__plain_protocol_error(data):
    node = FakeNode(reverts={b"\1" * 4: data})
    with pytest.raises(ProtocolError) as caught:
        build_sender(node).send(call(1), ALICE)
    assert type(caught.value) is ProtocolError


def test_send__out_of_gas__may_be_sent_again():
    node = FakeNode(exhausts={b"\1" * 4})
    with pytest.raises(AdapterError, match="ran out") as caught:
        build_sender(node).send(call(1), ALICE)
    assert caught.value.is_retryable


def test_send__estimated__limit_above_estimate():
    node = FakeNode()
    build_sender(node).send(call(1), ALICE)
    ((item, _),) = node.mined.values()
    assert item.gas > 21_100 * 1.2


def test_send__poor_account__names_account_and_what_is_missing():
    node = FakeNode(balances={ALICE.address: 5})
    sender = build_sender(node)
    with pytest.raises(ConfigError) as caught:
        sender.send(call(1, gas=30_000), ALICE)
    missing = 30_000 * (2 * node.base_fee + GWEI) - 5
    assert ALICE.address in str(caught.value)
    assert f"{missing} wei more" in str(caught.value)
    node.balances[ALICE.address] = 10**20
    sender.send(call(1, gas=30_000), ALICE)
    assert get_mined(node)[0][1] == 0


def test_send__nonce_moved_by_somebody_else__asks_again():
    node = FakeNode()
    sender = build_sender(node)
    sender.send(call(1), ALICE)
    node.nonces[ALICE.address] = 5
    sender.send(call(2), ALICE)
    assert get_mined(node)[-1][1] == 5


def test_send__answer_lost_after_node_took_it__sent_once():
    node = FakeNode(outages=["eth_sendRawTransaction"], is_automatic=False)
    clock = FakeClock(during=node.mine)
    sender = build_sender(node, clock)
    sender.send(call(1), ALICE)
    sender.send(call(2), ALICE)
    assert [nonce for _, nonce, _ in get_mined(node)] == [0, 1]


def test_send__answer_lost_and_mined__sent_once():
    node = FakeNode(outages=["eth_sendRawTransaction"])
    build_sender(node).send(call(1), ALICE)
    assert len(node.mined) == 1


def test_send__node_away_for_a_while__waits_for_receipt():
    node = FakeNode(outages=["eth_getTransactionReceipt"] * 4)
    assert build_sender(node).send(call(1), ALICE)["status"] == "0x1"


def test_send__node_down__retryable():
    node = FakeNode(outages=["eth_estimateGas"])
    with pytest.raises(AdapterError) as caught:
        build_sender(node).send(call(1), ALICE)
    assert caught.value.is_retryable


def test_send__stuck__offers_more_for_same_nonce():
    node = FakeNode(is_automatic=False)
    clock = FakeClock()

    def process_sleep():
        if clock.now > 65:
            node.mine()

    clock.during = process_sleep
    seen = []
    accept = node.eth_sendRawTransaction

    def record(raw):
        seen.append(raw)
        return accept(raw)

    node.eth_sendRawTransaction = record
    build_sender(node, clock).send(call(1), ALICE)
    offers = [decode_pooled(bytes.fromhex(raw[2:])) for raw in seen]
    assert len(offers) == 3
    assert {item.nonce for item in offers} == {0}
    for before, after in itertools.pairwise(offers):
        assert after.max_fee * 10 >= before.max_fee * 11
    assert len(node.mined) == 1


def test_send__stuck_at_the_cap__never_offers_more():
    node = FakeNode(is_automatic=False)
    cap = FeePolicy(max_fee=GWEI + 20)
    sender = build_sender(node, fees=cap, timeout=100.0)
    with pytest.raises(AdapterError, match="not mined in 100 s") as caught:
        sender.send(call(1), ALICE)
    assert caught.value.is_retryable
    assert [item.max_fee for item in node.pool] == [cap.max_fee]


def test_send__dropped_by_the_node__next_one_takes_its_nonce():
    node = FakeNode(is_automatic=False)
    sender = build_sender(node, timeout=10.0)
    with pytest.raises(AdapterError, match="not mined"):
        sender.send(call(1), ALICE)
    node.pool.clear()
    node.is_automatic = True
    sender.send(call(2), ALICE)
    assert get_mined(node) == [(ALICE.address, 0, b"\2" * 4)]


def test_send__base_fee_above_cap__waits_for_better_days():
    node = FakeNode(base_fee=10 * GWEI)
    with pytest.raises(AdapterError, match="above the limit") as caught:
        build_sender(node, fees=FeePolicy(max_fee=GWEI)).send(call(1), ALICE)
    assert caught.value.is_retryable
    assert not node.pool


def test_send__fee_too_low_meanwhile__signs_again():
    node = FakeNode(refusals=["max fee per gas less than block base fee"])
    build_sender(node).send(call(1), ALICE)
    assert get_mined(node) == [(ALICE.address, 0, b"\1" * 4)]


def test_send__unknown_refusal__adapter_error_and_nonce_free():
    node = FakeNode(refusals=["intrinsic gas too high"])
    sender = build_sender(node)
    with pytest.raises(AdapterError, match="intrinsic gas too high"):
        sender.send(call(1), ALICE)
    sender.send(call(2), ALICE)
    assert get_mined(node)[0][1] == 0


def test_send__confirmations__waits_for_later_blocks():
    node = FakeNode()
    clock = FakeClock(during=node.mine)
    receipt = build_sender(node, clock, confirmations=4).send(call(1), ALICE)
    assert len(node.blocks) - 1 >= int(receipt["blockNumber"], 16) + 3


def test_send_all__two_accounts__order_of_each_kept():
    node = FakeNode()
    calls = [(call(n, 50_000), ALICE if n % 2 else BOB) for n in range(1, 7)]
    answers = build_sender(node).send_all(calls)
    assert [answer["status"] for answer in answers] == ["0x1"] * 6
    for who, numbers in ((ALICE, (1, 3, 5)), (BOB, (2, 4, 6))):
        mine = [entry for entry in get_mined(node) if entry[0] == who.address]
        assert [data[0] for *_, data in sorted(mine, key=lambda e: e[1])] == list(numbers)
        assert sorted(nonce for _, nonce, _ in mine) == [0, 1, 2]


def test_send_all__middle_refused__others_go_out():
    node = FakeNode(reverts={b"\2" * 4: ALREADY_SUBMITTED})
    answers = build_sender(node).send_all([(call(n), ALICE) for n in (1, 2, 3)])
    assert isinstance(answers[1], AlreadySubmitted)
    assert [answers[index]["status"] for index in (0, 2)] == ["0x1", "0x1"]
    assert [nonce for _, nonce, _ in get_mined(node)] == [0, 1]


def test_send_all__nothing__nothing():
    node = FakeNode()
    assert build_sender(node).send_all([]) == []
    assert node.seen == []


def test_send__many_threads_one_account__no_nonce_twice():
    node = FakeNode()
    lock, answer = threading.Lock(), node.call_all

    def serialise(requests):
        with lock:
            return answer(requests)

    node.call_all = serialise
    sender = build_sender(node)
    threads = [
        threading.Thread(target=sender.send, args=(call(number), ALICE)) for number in range(1, 17)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [nonce for _, nonce, _ in get_mined(node)] == list(range(16))
