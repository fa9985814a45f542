"""The suite on Ape's own chain, deployed by the same code as everywhere else."""

import ape
import pytest

from flchain.chain.bytecode import load_artifact
from flchain.chain.deployment import deploy_suite
from flchain.protocol.params import MINIMAL
from scripts.deploy import ApeDeployer


@pytest.fixture(scope="session")
def sponsor(accounts):
    return accounts[0]


@pytest.fixture(scope="session")
def book(sponsor, networks):
    deployer = ApeDeployer(networks.provider, sponsor)
    return deploy_suite(deployer, MINIMAL.network, deployer.address)


@pytest.fixture
def at(book):
    """Return a contract of the suite by name.

    With the committed ABI: Ape's `project` compiles a copy of everything in each test session.
    """
    where = {
        "LocalToken": book.addresses.token,
        "AgentRegistry": book.addresses.agent_registry,
        "RoundManager": book.addresses.round_manager,
        "ModelRegistry": book.addresses.model_registry,
        "RewardDistributor": book.addresses.reward_distributor,
    }

    def get_contract(name):
        return ape.Contract(where[name], abi=list(load_artifact(name).abi))

    return get_contract
