"""Order, linking, predicted addresses, and the address book."""

import dataclasses
import json

import pytest
from eth_utils.address import to_checksum_address

from flchain.chain.address_book import load_address_book, save_address_book
from flchain.chain.bytecode import load_artifact
from flchain.chain.contracts import get_contract_names
from flchain.chain.deployment import (
    Creation,
    compute_create_address,
    deploy_suite,
    verify_deployment,
)
from flchain.protocol.errors import AdapterError, ConfigError
from flchain.protocol.params import LOCAL, MINIMAL
from flchain.protocol.types import ZERO_ADDRESS, Address
from tests.unit.chain.fake_node import FakeNode
from tests.unit.chain.suite import ADDRESSES, BOOK, name_address

DEPLOYER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
GOVERNANCE = name_address(0x60)


class FakeDeployer:
    """Creates accounts with the code that creation code ends in."""

    chain_id = 31337
    address = DEPLOYER

    def __init__(self, nonce=0):
        self.nonce = nonce
        self.created = {}
        self.interrupt_before = None
        self.is_dead = False

    def get_nonce(self):
        return self.nonce

    def get_code(self, address):
        return self.created.get(address, b"")

    def create(self, init_code):
        if self.interrupt_before == len(self.created):
            self.nonce += 1
        address = compute_create_address(self.address, self.nonce)
        self.nonce += 1
        name = get_name(init_code)
        size = load_artifact(name).runtime_size
        self.created[address] = b"" if self.is_dead else init_code[-size:].ljust(size, b"\0")
        self.created.setdefault(name, []).append((address, init_code))
        return Creation(address, 10 + self.nonce)


def get_name(init_code):
    names = ["LocalToken", "AgentRegistry", "ModelRegistry", "RewardDistributor", "RoundManager"]
    names += ["ChainSeeds", "MaskedRounds"]
    names += load_artifact("RoundManager").libraries
    return next(
        name
        for name in names
        if init_code.hex().startswith(load_artifact(name).bytecode[:600].split("__$")[0])
        and len(load_artifact(name).bytecode) // 2
        <= len(init_code)
        < len(load_artifact(name).bytecode) // 2 + 500
    )


def test_create_address__known_contracts__same_address():
    # The first contract of Anvil's first account, on every Anvil chain.
    assert compute_create_address(DEPLOYER, 0) == "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    # CryptoKitties on Ethereum's main network.
    sender = Address(to_checksum_address("0xba52c75764d6f594735dc735be7f1830cdf58ddf"))
    assert compute_create_address(sender, 3515) == "0x06012c8cf97BEaD5deAe237070F9587f8E7A266d"


@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 300])
def test_deploy_suite__any_nonce__contracts_are_told_the_right_addresses(nonce):
    deployer = FakeDeployer(nonce)
    book = deploy_suite(deployer, LOCAL.network, GOVERNANCE)
    manager = book.addresses.round_manager[2:].lower()
    masked = book.addresses.masked_rounds[2:].lower()
    told = ("AgentRegistry", "ModelRegistry", "RewardDistributor", "ChainSeeds", "MaskedRounds")
    for name in told:
        ((_, code),) = deployer.created[name]
        assert code.hex().count(manager) == 1
    assert deployer.created["AgentRegistry"][0][1].hex().count(masked) == 1
    ((_, code),) = deployer.created["RoundManager"]
    assert masked in code.hex()[-64:]
    assert book.addresses.seed_source[2:].lower() in code.hex()[-128:-64]
    for library, address in book.libraries.items():
        places = load_artifact("RoundManager").libraries[library]
        assert code.hex().count(address[2:].lower()) == len(places)
    assert GOVERNANCE[2:].lower() in deployer.created["AgentRegistry"][0][1].hex()


def test_deploy_suite__book__says_what_was_deployed():
    book = deploy_suite(FakeDeployer(), MINIMAL.network, GOVERNANCE)
    assert (book.chain_id, book.network, book.governance) == (31337, MINIMAL.network, GOVERNANCE)
    assert book.first_block == 11
    assert set(book.builds) == {*get_contract_names(book.addresses).values(), *book.libraries}
    assert set(book.libraries) == set(load_artifact("RoundManager").libraries)


def test_deploy_suite__no_token__zero_address():
    deployer = FakeDeployer()
    book = deploy_suite(deployer, MINIMAL.network, GOVERNANCE, None)
    assert book.addresses.token == ZERO_ADDRESS
    assert "LocalToken" not in deployer.created


def test_deploy_suite__existing_token__used():
    deployer = FakeDeployer()
    token = name_address(0x70)
    with pytest.raises(ConfigError, match="no token at"):
        deploy_suite(deployer, MINIMAL.network, GOVERNANCE, token)
    deployer.created[token] = b"\1"
    assert deploy_suite(deployer, MINIMAL.network, GOVERNANCE, token).addresses.token == token


def test_deploy_suite__another_transaction_in_between__refused():
    deployer = FakeDeployer()
    libraries = len(load_artifact("RoundManager").libraries)
    # Creations count twice in the fake's table: once by address and once by name.
    deployer.interrupt_before = 2 * (libraries + 2)
    with pytest.raises(AdapterError, match="came in between") as caught:
        deploy_suite(deployer, MINIMAL.network, GOVERNANCE)
    assert caught.value.is_retryable


def test_deploy_suite__code_missing_afterwards__refused():
    deployer = FakeDeployer()
    deployer.is_dead = True
    with pytest.raises(AdapterError, match="has no code"):
        deploy_suite(deployer, MINIMAL.network, GOVERNANCE)


def build_node(**options):
    return FakeNode(codes=dict.fromkeys(get_contract_names(ADDRESSES), "0x60"), **options)


def test_verify_deployment__all_there__silent():
    verify_deployment(build_node(), BOOK)


def test_verify_deployment__other_chain__names_both():
    with pytest.raises(ConfigError, match="serves chain 5, the contracts are on 31337"):
        verify_deployment(build_node(chain_id=5), BOOK)


def test_verify_deployment__no_code__names_contract():
    node = build_node()
    del node.codes[ADDRESSES.reward_distributor]
    with pytest.raises(ConfigError, match="contracts not deployed: no RewardDistributor"):
        verify_deployment(node, BOOK)


def test_address_book__saved__same_when_loaded(tmp_path):
    path = tmp_path / "new" / "book.json"
    save_address_book(BOOK, path)
    assert load_address_book(path) == BOOK
    save_address_book(BOOK, path)
    assert [item.name for item in path.parent.iterdir()] == ["book.json"]


def test_address_book__file_of_another_chain__not_overwritten(tmp_path):
    path = tmp_path / "book.json"
    save_address_book(dataclasses.replace(BOOK, chain_id=1), path)
    with pytest.raises(ConfigError, match="belongs to chain 1, not 31337"):
        save_address_book(BOOK, path)
    assert load_address_book(path).chain_id == 1


def test_address_book__missing__says_deploy_first(tmp_path):
    with pytest.raises(ConfigError, match="deploy first"):
        load_address_book(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "flchain-deployment-v0"},
        {"chain_id": "x"},
        {"addresses": {}},
        {"addresses": 5},
        {"governance": "0x12"},
        {"network": {}},
        {"network": {"epoch_length": "soon"}},
        {"libraries": {"Settlement": 7}},
        {"first_block": None},
    ],
)
def test_address_book__damaged__config_error(tmp_path, change):
    path = tmp_path / "book.json"
    save_address_book(BOOK, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match="deploy again"):
        load_address_book(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"'])
def test_address_book__not_a_document__config_error(tmp_path, text):
    path = tmp_path / "book.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="deploy again"):
        load_address_book(path)
