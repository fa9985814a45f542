"""`ape run deploy` and the suite that it leaves."""

import ape
import click
import pytest

from flchain.chain.address_book import load_address_book
from flchain.chain.bytecode import load_artifact
from flchain.protocol.params import MINIMAL
from scripts.deploy import cli


def test_deploy__through_ape__contracts_know_each_other(at, book):
    manager = book.addresses.round_manager
    for name in ("AgentRegistry", "ModelRegistry", "RewardDistributor"):
        assert at(name).ROUND_MANAGER() == manager
    assert at("AgentRegistry").TOKEN() == book.addresses.token
    assert at("AgentRegistry").epochLength() == MINIMAL.network.epoch_length


def test_deploy__through_ape__code_is_linked(book, networks):
    code = networks.provider.get_code(book.addresses.round_manager).hex()
    for library in load_artifact("RoundManager").libraries:
        assert book.libraries[library].removeprefix("0x").lower() in code


# A chain that only the command had opened would end with it.
@pytest.mark.usefixtures("book")
def test_deploy__command__writes_address_book(tmp_path, networks):
    path = tmp_path / "book.json"
    network = networks.network.choice
    arguments = ["--preset", "minimal", "--token", "none", "--out", str(path)]
    cli.main([*arguments, "--network", network], standalone_mode=False)
    written = load_address_book(path)
    assert written.chain_id == networks.provider.chain_id
    assert written.network == MINIMAL.network
    assert ape.chain.provider.get_code(written.addresses.round_manager)


@pytest.mark.parametrize("option", ["--token", "--governance"])
def test_deploy__not_an_address__says_so(tmp_path, networks, option):
    network = networks.network.choice
    arguments = [option, "0x12", "--network", network, "--out", str(tmp_path / "book.json")]
    with pytest.raises(click.BadParameter, match="is not an address"):
        cli.main(arguments, standalone_mode=False)
    assert not list(tmp_path.iterdir())


def test_deploy__supply__belongs_to_deployer(at, sponsor):
    assert at("LocalToken").balanceOf(sponsor) == at("LocalToken").totalSupply()
