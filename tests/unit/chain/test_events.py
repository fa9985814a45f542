"""Decoding, ranges and reorganisations, over a fake node."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flchain.chain.abi import encode_values
from flchain.chain.base import Addresses
from flchain.chain.contracts import flatten, get_contract_names
from flchain.chain.events import LogFilter, decode_logs, get_event_specs, get_logged_events
from flchain.chain.rpc import RpcError
from flchain.chain.scanning import (
    EventScanner,
    ScanState,
    decode_scan_state,
    encode_scan_state,
)
from flchain.protocol.errors import AdapterError, EncodingError
from flchain.protocol.events import RoundOpened, TaskClosed, TaskFunded, UpdateSubmitted
from flchain.protocol.types import Digest, RoundId, TaskId, Version, Wei
from tests.unit.chain.fake_node import FakeNode
from tests.unit.chain.suite import ADDRESSES, name_address

ALICE = name_address(0xA11CE)
CLOSED = TaskClosed(TaskId(1))
FUNDED = TaskFunded(TaskId(2), ALICE, Wei(5))


def build_log(event, index=0, contract=None):
    """Return an event as a node tells it, but for its block."""
    spec = next(spec for spec in get_event_specs().values() if spec.kind is type(event))
    values = list(zip(spec.types, spec.is_indexed, flatten(event), strict=True))
    topics = [encode_values([kind], [value], "topic") for kind, indexed, value in values if indexed]
    plain = [(kind, value) for kind, indexed, value in values if not indexed]
    data = encode_values([kind for kind, _ in plain], [value for _, value in plain], "data")
    where = {name: address for address, name in get_contract_names(ADDRESSES).items()}
    return {
        "address": (contract or where[spec.kind.contract]).lower(),
        "topics": [spec.topic, *(f"0x{topic.hex()}" for topic in topics)],
        "data": f"0x{data.hex()}",
        "transactionHash": "0x" + "ab" * 32,
        "logIndex": hex(index),
    }


def placed(log, number=1):
    return log | {"blockNumber": hex(number), "blockHash": "0x" + "cd" * 32}


class LowerCaseNode(FakeNode):
    """Compares addresses as a node does: without EIP-55 case."""

    def eth_getLogs(self, wanted):  # noqa: N802
        lower = [address.lower() for address in wanted["address"]]
        return super().eth_getLogs(wanted | {"address": lower})


def build_node(*events, **options):
    """Return a node with one event a block from block 1 on."""
    node = LowerCaseNode(**options)
    for event in events:
        node.mine([build_log(event)])
    return node


def opened(number):
    return RoundOpened(TaskId(1), RoundId(number), Version(0), 3, 4)


def get_events(scan):
    return [item.event for item in scan.events]


def test_decode_logs__one_of_ours__event_with_its_place():
    event = UpdateSubmitted(TaskId(3), RoundId(4), ALICE, 5, Digest(b"\7" * 32), 6)
    (logged,) = decode_logs([placed(build_log(event, index=9), number=12)], ADDRESSES)
    assert logged.event == event
    assert logged.contract == ADDRESSES.round_manager
    assert (logged.block_number, logged.log_index) == (12, 9)
    assert (logged.block_hash, logged.tx_hash) == (b"\xcd" * 32, b"\xab" * 32)


def test_decode_logs__same_topic_of_another_contract__left_out():
    stranger = placed(build_log(CLOSED, contract=name_address(0x99)))
    sibling = placed(build_log(CLOSED, contract=ADDRESSES.model_registry))
    unknown = placed(build_log(CLOSED)) | {"topics": ["0x" + "12" * 32]}
    anonymous = placed(build_log(CLOSED)) | {"topics": []}
    assert decode_logs([stranger, sibling, unknown, anonymous], ADDRESSES) == []


@pytest.mark.parametrize(
    "change",
    [
        {"data": "0x"},
        {"data": "0x00"},
        {"data": "nonsense"},
        {"topics": ["TOPIC"]},
        {"blockNumber": None},
        {"blockHash": None},
        {"logIndex": "x"},
        {"address": "0x12"},
    ],
)
def test_decode_logs__damaged__encoding_error(change):
    log = placed(build_log(FUNDED))
    if "topics" in change:
        change = {"topics": log["topics"][:1]}
    with pytest.raises(EncodingError):
        decode_logs([log | change], ADDRESSES)


@given(st.integers(1, 40), st.integers(0, 45), st.integers(0, 45), st.integers(1, 50))
def test_logged_events__any_limit_of_the_node__every_event_once(count, first, last, limit):
    node = build_node(*(opened(number) for number in range(1, count + 1)), largest_range=limit)
    found = get_logged_events(node, LogFilter(ADDRESSES), first, last)
    expected = [number for number in range(1, count + 1) if first <= number <= last]
    assert [item.event.round for item in found] == expected


def test_logged_events__node_refuses_everything__its_error():
    node = build_node(CLOSED, largest_range=0)
    with pytest.raises(RpcError, match="10000 results"):
        get_logged_events(node, LogFilter(ADDRESSES), 0, 1 << 30)
    assert len(node.seen) < 40


def test_filter__task_and_kinds__only_those():
    node = build_node(CLOSED, FUNDED, opened(1))
    for wanted, expected in (
        (LogFilter(ADDRESSES), [CLOSED, FUNDED, opened(1)]),
        (LogFilter(ADDRESSES, TaskId(2)), [FUNDED]),
        (LogFilter(ADDRESSES, TaskId(1), (RoundOpened,)), [opened(1)]),
        (LogFilter(ADDRESSES, kinds=(TaskClosed, TaskFunded)), [CLOSED, FUNDED]),
        (LogFilter(ADDRESSES, TaskId(9)), []),
    ):
        assert [item.event for item in get_logged_events(node, wanted, 0, 9)] == expected


def test_filter__no_token__zero_address_not_asked_for():
    bare = dataclasses.replace(ADDRESSES, token=name_address(0))
    parameters = LogFilter(bare).get_parameters(0, 1)
    assert name_address(0) not in parameters["address"]
    assert isinstance(bare, Addresses)


def test_scan__nothing_new__one_round_trip_and_same_state():
    node = build_node(CLOSED)
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    state = scanner.scan().state
    node.seen.clear()
    again = scanner.scan(state)
    assert (again.events, again.state, again.rewound_to) == ((), state, None)
    assert node.seen == ["eth_getBlockByNumber"] * 2


def test_scan__in_steps__each_event_once():
    node = build_node(CLOSED)
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    first = scanner.scan()
    node.mine([build_log(FUNDED)])
    node.mine()
    second = scanner.scan(first.state)
    assert get_events(first) == [CLOSED]
    assert get_events(second) == [FUNDED]
    assert second.rewound_to is None


def test_scan__first_block__older_events_left_out():
    node = build_node(CLOSED, FUNDED)
    assert get_events(EventScanner(node, LogFilter(ADDRESSES), 2).scan()) == [FUNDED]


def test_scan__reorganised__rewinds_to_the_fork_and_reads_again():
    node = build_node(CLOSED, opened(1))
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    state = scanner.scan().state
    node.mine([build_log(opened(2))])
    state = scanner.scan(state).state
    node.reorganise(1, [build_log(opened(3))])
    scan = scanner.scan(state)
    assert scan.rewound_to == 2
    assert get_events(scan) == [opened(3)]


def test_scan__shorter_fork__rewinds():
    node = build_node(CLOSED, opened(1))
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    state = scanner.scan().state
    node.mine()
    node.mine()
    state = scanner.scan(state).state
    del node.blocks[3:]
    scan = scanner.scan(state)
    assert scan.rewound_to == 2
    assert scan.state.scanned == 2


def test_scan__replaced_below_the_trail__starts_anew():
    node = build_node(CLOSED, opened(1), opened(2), opened(3))
    scanner = EventScanner(node, LogFilter(ADDRESSES), 1)
    state = scanner.scan().state
    node.reorganise(4, [build_log(FUNDED)])
    scan = scanner.scan(state)
    assert scan.rewound_to == 0
    assert get_events(scan) == [FUNDED]


def test_scan__reorganised_while_reading__reads_again():
    node = build_node(CLOSED, opened(1))
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    state = scanner.scan().state
    node.mine([build_log(opened(2))])
    get_logs, turns = node.eth_getLogs, []

    def reorganise_once(wanted):
        found = get_logs(wanted)
        if not turns:
            turns.append(node.reorganise(1, [build_log(opened(7))]))
        return found

    node.eth_getLogs = reorganise_once
    assert get_events(scanner.scan(state)) == [opened(7)]


def test_scan__never_quiet__retryable():
    node = build_node(CLOSED)
    get_logs = node.eth_getLogs
    node.eth_getLogs = lambda wanted: (node.reorganise(1), get_logs(wanted))[1]
    with pytest.raises(AdapterError) as caught:
        EventScanner(node, LogFilter(ADDRESSES)).scan()
    assert caught.value.is_retryable


def test_scan__finality_advances__trail_stays_short():
    node = build_node(CLOSED)
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    state = ScanState()
    for _ in range(30):
        state = scanner.scan(state).state
        node.mine()
    assert len(state.trail) <= node.finality + 1
    assert state.trail[0].number <= len(node.blocks) - 2 - node.finality


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("mine"), st.integers(0, 2)),
            st.tuples(st.just("reorganise"), st.integers(1, 3)),
            st.tuples(st.just("scan"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_scan__any_history__what_was_kept_is_what_is_on_the_chain(steps):
    node = build_node(CLOSED, opened(1), opened(2), finality=3)
    scanner = EventScanner(node, LogFilter(ADDRESSES))
    state, kept, number = None, [], 100
    for step, size in [*steps, ("scan", 0)]:
        number += 1
        if step == "mine":
            node.mine([build_log(opened(number), index) for index in range(size)])
        elif step == "reorganise" and len(node.blocks) > size + 1:
            node.reorganise(size, [build_log(opened(number))])
        elif step == "scan":
            scan = scanner.scan(state)
            if scan.rewound_to is not None:
                kept = [item for item in kept if item.block_number <= scan.rewound_to]
            kept += scan.events
            state = decode_scan_state(encode_scan_state(scan.state))
    assert kept == get_logged_events(node, LogFilter(ADDRESSES), 0, len(node.blocks))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"scanned": 1},
        {"scanned": "x", "trail": []},
        {"scanned": 1, "trail": [[1]]},
        {"scanned": 1, "trail": [[1, "zz"]]},
        {"scanned": 1, "trail": 5},
    ],
)
def test_decode_scan_state__damaged__encoding_error(document):
    with pytest.raises(EncodingError, match="scan from the start"):
        decode_scan_state(document)


def test_scan_state__fresh__round_trip():
    assert decode_scan_state(encode_scan_state(ScanState())) == ScanState()
