"""The audit over Anvil: what the node says against what its own hashes prove."""

import pytest
import rlp
from eth_utils.crypto import keccak

from flchain.chain.address_book import load_address_book, save_address_book
from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.ethereum import EthereumLedger
from flchain.chain.events import get_event_specs
from flchain.chain.proofs.headers import _encode_field, _get_fields
from flchain.chain.rpc import HttpRpc
from flchain.protocol.events import (
    AgentRegistered,
    ModelPublished,
    ProposalSubmitted,
    UpdateSubmitted,
    VoteCast,
)
from flchain.protocol.types import RoundId
from flchain.roles.audit import Status, verify_task
from tests.e2e.federation import make_site_federation, open_site
from tests.e2e.lying_proxy import LyingProxy

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("verify")


@pytest.fixture(scope="module")
def site(place):
    with open_site(place) as opened:
        yield opened


@pytest.fixture(scope="module")
def federation(site, place):
    federation = make_site_federation(site, place)
    federation.run(2)
    return federation


def audit(site, federation, rpc=None, **options):
    rpc = rpc or site.devnet.rpc
    ledger = EthereumLedger(rpc, site.book)
    return verify_task(
        ledger,
        federation.store,
        federation.task_id,
        rpc=rpc,
        first_block=site.book.first_block,
        **options,
    )


def audit_through(site, federation, lie):
    """Return the report of an audit that sees the node through a liar."""
    with LyingProxy(site.devnet.rpc_url, lie) as proxy:
        report = audit(site, federation, HttpRpc(proxy.url))
        assert proxy.told > 0, "the lie was never told"
    return report


def get_subjects(report, status=Status.PASSED):
    return {check.subject for check in report.checks if check.status is status}


def get_place(federation, kind, number=2):
    """Return where round `number` logged its first event of a kind."""
    events = federation.ledger.get_events(task_id=federation.task_id, kinds=(kind,))
    return next(e for e in events if getattr(e.event, "round", number) == number)


def test_verify__honest_chain__is_sound_and_says_what_it_checked(site, federation):
    report = audit(site, federation)
    assert report.is_sound, report.failures
    expected = {"blocks", "transactions", "deployment", "code", "rules", "node", "state", "storage"}
    assert expected <= get_subjects(report)
    assert {"anchor", "quality"} == get_subjects(report, Status.NOTED)


def test_verify__without_anchor__says_what_cannot_be_told(site, federation):
    noted = next(c for c in audit(site, federation).checks if c.subject == "anchor")
    assert "a whole chain of its own" in noted.detail


def test_verify__anchor_on_the_chain__is_sound(site, federation):
    report = audit(site, federation, anchor=federation.ledger.get_head().hash)
    assert report.is_sound
    assert "anchor" in get_subjects(report)


def test_verify__anchor_of_another_chain__fails(site, federation):
    report = audit(site, federation, anchor=bytes([7]) * 32)
    assert [c.subject for c in report.failures] == ["chain"]
    assert bytes([7]).hex() * 32 in report.failures[0].detail


def test_verify__anchor_older_than_the_deployment__fails(site, federation):
    genesis = site.devnet.rpc.call("eth_getBlockByNumber", "0x0", False)
    report = audit(site, federation, anchor=bytes.fromhex(genesis["hash"][2:]))
    assert not report.is_sound


def test_verify__first_block_after_the_deployment__says_what_is_missing(site, federation):
    ledger = EthereumLedger(site.devnet.rpc, site.book)
    last = site.book.first_block + 8
    report = verify_task(
        ledger, federation.store, federation.task_id, rpc=site.devnet.rpc, first_block=last
    )
    assert "no transaction from block" in report.failures[0].detail


def test_verify__one_round__executes_only_that(site, federation):
    report = audit(site, federation, rounds=[RoundId(2)])
    assert report.is_sound
    assert {c.round for c in report.checks} == {None, 2}


def flip(text: str, place: int = -1) -> str:
    """Return hex data with its last digit, or another, changed."""
    digits = list(text)
    digits[place] = "1" if digits[place] == "0" else "0"
    return "".join(digits)


def change_log(kind, number, change):
    """Return a lie: `change` what every answer says of a round's first log of a kind."""

    def build(federation):
        place = get_place(federation, kind, number)
        tx_hash = f"0x{place.tx_hash.hex()}"
        topic = next(t for t, spec in get_event_specs().items() if spec.kind is kind)

        def lie(method, _params, result):
            if method == "eth_getBlockReceipts":
                for receipt in result:
                    if receipt["transactionHash"] == tx_hash:
                        receipt["logs"] = change(receipt["logs"], topic)
            elif method == "eth_getTransactionReceipt" and result["transactionHash"] == tx_hash:
                result["logs"] = change(result["logs"], topic)
            elif method == "eth_getLogs":
                ours = [log for log in result if log["transactionHash"] == tx_hash]
                others = [log for log in result if log["transactionHash"] != tx_hash]
                result = sorted(
                    [*others, *change(ours, topic)],
                    key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)),
                )
            return result

        return lie

    return build


def drop(logs, topic):
    return [log for log in logs if log["topics"][0] != topic]


def alter(logs, topic):
    return [
        {**log, "data": flip(log["data"])} if log["topics"][0] == topic else log for log in logs
    ]


def change_receipt(change):
    """Return a lie about the receipt of round 2's proposal, told in block receipts alone."""

    def build(federation):
        place = get_place(federation, ProposalSubmitted)

        def lie(method, _params, result):
            if method == "eth_getBlockReceipts":
                for receipt in result:
                    if receipt["transactionHash"] == f"0x{place.tx_hash.hex()}":
                        change(receipt)
            return result

        return lie

    return build


def change_block(kind, change):
    """Return a lie about the block that holds round 2's first event of a kind."""

    def build(federation):
        number = get_place(federation, kind).block_number

        def lie(method, _params, result):
            if method == "eth_getBlockByNumber" and result and int(result["number"], 16) == number:
                change(result)
            return result

        return lie

    return build


def swap_recipient(block):
    for transaction in block["transactions"]:
        if isinstance(transaction, dict):
            transaction["to"] = flip(transaction["to"])


def swap_sender(block):
    for transaction in block["transactions"]:
        if isinstance(transaction, dict):
            transaction["from"] = f"0x{'12' * 20}"


def swap_transaction(federation):
    """Return a lie that shows round 1's vote where round 2's is."""
    first, second = (get_place(federation, VoteCast, number) for number in (1, 2))
    held = {}

    def lie(method, _params, result):
        if method == "eth_getBlockByNumber" and result and result["transactions"]:
            number = int(result["number"], 16)
            if isinstance(result["transactions"][0], dict):
                held[number] = result["transactions"]
                if number == second.block_number and first.block_number in held:
                    result["transactions"] = held[first.block_number]
        return result

    return lie


LIES = {
    "a proposal's content": (change_log(ProposalSubmitted, 2, alter), "block"),
    "a vote": (change_log(VoteCast, 2, alter), "block"),
    "a dropped submission": (change_log(UpdateSubmitted, 2, drop), "block"),
    "a dropped version": (change_log(ModelPublished, 2, drop), "block"),
    "a receipt's status": (change_receipt(lambda r: r.update(status="0x0")), "status of receipt"),
    "a receipt's gas": (
        change_receipt(lambda r: r.update(cumulativeGasUsed=flip(r["cumulativeGasUsed"]))),
        "a receipt, or the data of a log",
    ),
    "a header's time": (
        change_block(VoteCast, lambda b: b.update(timestamp=flip(b["timestamp"]))),
        "a field of the header was altered",
    ),
    "a header's state root": (
        change_block(VoteCast, lambda b: b.update(stateRoot=flip(b["stateRoot"]))),
        "a field of the header was altered",
    ),
    "a dropped transaction": (
        change_block(VoteCast, lambda b: b.update(transactions=[])),
        "one was added, dropped, altered or moved",
    ),
    "a transaction's recipient": (change_block(VoteCast, swap_recipient), "a field of it was"),
    "a transaction's sender": (change_block(VoteCast, swap_sender), "the node says that"),
    "a swapped transaction": (swap_transaction, "transactions give the root"),
}


@pytest.mark.parametrize("name", LIES)
def test_verify__lying_proxy__names_round_block_and_what_differs(site, federation, name):
    build, expected = LIES[name]
    report = audit_through(site, federation, build(federation))
    (failure,) = report.failures
    assert failure.round == 2, str(failure)
    assert failure.subject.startswith("block ")
    assert expected in failure.detail


def test_verify__proxy_that_rewrites_a_header_with_a_fitting_hash__breaks_the_link(
    site, federation
):
    """The liar is consistent in itself: the next block names another parent."""
    number = get_place(federation, VoteCast).block_number

    def lie(method, _params, result):
        if method == "eth_getBlockByNumber" and result and int(result["number"], 16) == number:
            result["timestamp"] = hex(int(result["timestamp"], 16) + 1)
            fields = [_encode_field(result, *field) for field in _get_fields(result)]
            result["hash"] = f"0x{keccak(rlp.encode(fields)).hex()}"
        return result

    (failure,) = audit_through(site, federation, lie).failures
    assert failure.round == 2
    assert f"block {number + 1} names" in failure.detail


def test_verify__proxy_that_hides_logs_from_others__is_found(site, federation):
    def lie(method, _params, result):
        return result[:-1] if method == "eth_getLogs" else result

    (failure,) = audit_through(site, federation, lie).failures
    assert failure.subject == "eth_getLogs"
    assert "hides or alters" in failure.detail
    assert failure.round == 2


def test_verify__proxy_that_alters_single_receipts__is_found(site, federation):
    place = get_place(federation, VoteCast)

    def lie(method, params, result):
        if method == "eth_getTransactionReceipt" and params == [f"0x{place.tx_hash.hex()}"]:
            result["status"] = "0x0"
        return result

    (failure,) = audit_through(site, federation, lie).failures
    assert failure.subject == f"transaction {place.tx_hash.hex()}"
    assert failure.round == 2


def test_verify__proxy_that_alters_a_record__is_found(site, federation):
    sponsor = federation.sponsor.address

    def lie(method, params, result):
        is_status = method == "eth_call" and sponsor[2:].lower() in str(result)
        return result.replace(sponsor[2:].lower(), "77" * 20) if is_status else result

    found = {c.subject for c in audit_through(site, federation, lie).failures}
    assert f"RoundManager.getTaskStatus({federation.task_id})" in found


def test_verify__proxy_that_alters_proofs__is_found(site, federation):
    def lie(method, _params, result):
        if method == "eth_getProof":
            result["accountProof"][-1] = flip(result["accountProof"][-1])
        return result

    failures = audit_through(site, federation, lie).failures
    assert {c.subject for c in failures} == {"state"}
    assert "does not lead to the root" in failures[0].detail


def test_verify__node_without_proofs__is_sound_and_says_so(site, federation):
    class NoProofs(HttpRpc):
        def call(self, method, *params):
            if method == "eth_getProof":
                return super().call("eth_noSuchMethod")
            return super().call(method, *params)

    report = audit(site, federation, NoProofs(site.devnet.rpc_url))
    assert report.is_sound
    assert "storage" in get_subjects(report, Status.NOTED)


def test_verify__resumed_devnet__is_sound_with_the_same_anchor(tmp_path):
    with open_site(tmp_path) as site:
        federation = make_site_federation(site, tmp_path, rounds=1)
        federation.run(1)
        anchor = federation.ledger.get_head().hash
        save_address_book(site.book, tmp_path / "book.json")
    with start_devnet(DevnetConfig(folder=tmp_path / "chain", port=0)) as devnet:
        book = load_address_book(tmp_path / "book.json")
        report = verify_task(
            EthereumLedger(devnet.rpc, book),
            federation.store,
            federation.task_id,
            rpc=devnet.rpc,
            first_block=book.first_block,
            anchor=anchor,
        )
    assert report.is_sound, report.failures
    assert "anchor" in get_subjects(report)


def test_verify__registration_that_the_node_denies__names_the_block(site, federation):
    place = federation.ledger.get_events(kinds=(AgentRegistered,))[0]

    def lie(method, _params, result):
        for receipt in result if method == "eth_getBlockReceipts" else ():
            if receipt["transactionHash"] == f"0x{place.tx_hash.hex()}":
                receipt["logs"] = receipt["logs"][1:]
        return result

    (failure,) = audit_through(site, federation, lie).failures
    assert failure.subject == f"block {place.block_number}"
    assert "a log of receipt 0 was dropped" in failure.detail
    assert failure.round is None
